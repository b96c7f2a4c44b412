package vfs

import (
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// Op is a file system operation as a hook sees it.
type Op = errorfs.Op

// WithHook wraps fsys: hook runs before every operation, and when it returns an
// error the operation fails with it and does nothing. Hooks count operations,
// take crash clones and inject faults.
func WithHook(fsys FS, hook func(Op) error) FS {
	return errorfs.Wrap(fsys, errorfs.InjectorFunc(hook))
}

// IsWrite reports whether an operation changes the file system (a sync counts).
func IsWrite(op Op) bool {
	switch op.Kind {
	case errorfs.OpCreate, errorfs.OpLink, errorfs.OpRemove, errorfs.OpRemoveAll, errorfs.OpRename,
		errorfs.OpReuseForWrite, errorfs.OpMkdirAll, errorfs.OpFileWrite, errorfs.OpFileWriteAt,
		errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}

// IsSync reports whether an operation makes data durable.
func IsSync(op Op) bool {
	switch op.Kind {
	case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		return true
	}
	return false
}
