package vfs

import (
	"errors"
	"fmt"
	"syscall"
)

// errSync marks that a sync failed.
var errSync = errors.New("sync")

// Sync makes a file durable. Its error is told apart from that of a write: after
// a failed sync nobody knows what is on disk.
func Sync(f File) error { return syncError(f.Sync()) }

// SyncData is Sync without metadata that is not needed to read the data.
func SyncData(f File) error { return syncError(f.SyncData()) }

// SyncTo hands the first length bytes of a file to the disk and waits for those
// that were handed over before: it promises nothing, but leaves little to wait
// for to the sync that does. Its error is one of a sync.
func SyncTo(f File, length int64) error {
	_, err := f.SyncTo(length)
	return syncError(err)
}

func syncError(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", errSync, err)
}

// IsFull reports whether err says that the disk, or a quota of it, is full, and
// that nothing but a write or a creation failed.
func IsFull(err error) bool {
	return (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) && !errors.Is(err, errSync)
}
