// Package vfs is the file system that every durable part of millrace writes
// through: the operating system's in production, one in memory with crash clones
// in tests, either of them with injected faults.
//
// The types are those of github.com/cockroachdb/pebble/v2/vfs, so that the state
// store and the log share one file system, and one crash clone shows both as
// they would stand after a power loss.
package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

type (
	// FS is a file system.
	FS = pebblevfs.FS
	// File is an open file.
	File = pebblevfs.File
	// MemFS is a file system in memory. Made by NewCrashable it knows what was
	// synced: CrashClone copies the state that a power loss could leave.
	MemFS = pebblevfs.MemFS
	// CrashCloneCfg says how much of the unsynced data a crash clone keeps.
	CrashCloneCfg = pebblevfs.CrashCloneCfg
)

// Default is the operating system's file system.
var Default FS = pebblevfs.Default

// Category labels our writes in Pebble's disk statistics.
const Category = pebblevfs.WriteCategoryUnspecified

// NewMem returns an empty file system in memory.
func NewMem() *MemFS { return pebblevfs.NewMem() }

// NewCrashable returns an empty file system in memory that supports CrashClone.
func NewCrashable() *MemFS { return pebblevfs.NewCrashableMem() }

// ErrCorrupt is wrapped by the errors of file systems that check what they read.
var ErrCorrupt = errors.New("vfs: corrupt file")

// IsNotExist reports whether err says that a file is missing, on any FS.
func IsNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// ReadFile returns the content of a file, at most limit bytes; a longer file is
// an error.
func ReadFile(fsys FS, name string, limit int64) (_ []byte, err error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("read %s: larger than %d bytes", name, limit)
	}
	return b, err
}

// WriteFileAtomic replaces a file's content so that a crash leaves the old or
// the new content, whole: write to a temporary file, sync, rename, sync the
// directory.
func WriteFileAtomic(fsys FS, name string, content []byte) (err error) {
	tmp := name + ".tmp"
	f, err := fsys.Create(tmp, Category)
	if err != nil {
		return err
	}
	_, err = f.Write(append([]byte(nil), content...)) // Write may change its argument
	if err == nil {
		err = Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		// A full disk should not be filled by what is of no use.
		return fmt.Errorf("write %s: %w", tmp, errors.Join(err, fsys.Remove(tmp)))
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return err
	}
	return SyncDir(fsys, fsys.PathDir(name))
}

// SyncDir makes creations, renames and removals in a directory durable.
func SyncDir(fsys FS, dir string) error {
	d, err := fsys.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(Sync(d), d.Close())
}

// DiskSpace returns the size of the disk that holds a directory and what is left
// of it for us, in bytes.
func DiskSpace(fsys FS, dir string) (total, usable int64, err error) {
	u, err := fsys.GetDiskUsage(dir)
	if err != nil {
		return 0, 0, fmt.Errorf("disk usage of %s: %w", dir, err)
	}
	return int64(u.TotalBytes), int64(u.AvailBytes), nil
}
