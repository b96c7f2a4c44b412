package vfs

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
)

// Reserve is room on a disk, held by a file of zeros, for what must be written
// when the disk is full. Its methods are safe for concurrent use.
type Reserve struct {
	fs    FS
	path  string
	bytes int64
	// occupy is Occupy or Claim.
	occupy func(fs FS, path string, n int64) error

	mu   sync.Mutex // guards held
	held bool
}

// NewReserve returns a reserve that is not held yet.
func NewReserve(fs FS, path string, bytes int64) *Reserve {
	return &Reserve{fs: fs, path: path, bytes: bytes, occupy: Occupy}
}

// NewLargeReserve is NewReserve for one that takes no time to hold, where the file
// system can do that.
func NewLargeReserve(fs FS, path string, bytes int64) *Reserve {
	return &Reserve{fs: fs, path: path, bytes: bytes, occupy: claim}
}

// Hold writes the file, unless it is there. A full disk is no error.
func (r *Reserve) Hold() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.held || r.bytes == 0 {
		return nil
	}
	if info, err := r.fs.Stat(r.path); err == nil && info.Size() == r.bytes {
		r.held = true
		return nil
	}
	err := r.occupy(r.fs, r.path, r.bytes)
	if r.held = err == nil; err != nil && !IsFull(err) {
		return fmt.Errorf("reserve room on the disk: %w", err)
	}
	return nil
}

// HoldIfAmple is Hold, unless that takes more than half of the room that is left, or
// nobody knows how much that is.
func (r *Reserve) HoldIfAmple() error {
	if _, usable, err := DiskSpace(r.fs, r.fs.PathDir(r.path)); err != nil || usable < 2*r.bytes {
		return nil
	}
	return r.Hold()
}

// Held reports whether there is room in reserve.
func (r *Reserve) Held() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.held
}

// Release gives the room back and reports whether there was any.
func (r *Reserve) Release() (released bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.held {
		return false, nil
	}
	r.held = false
	if err := r.fs.Remove(r.path); err != nil && !IsNotExist(err) {
		return false, fmt.Errorf("release room on the disk: %w", err)
	}
	return true, nil
}

// claim is Occupy for a file that nobody writes: where the file system can, its
// blocks are set aside without being written.
func claim(fs FS, path string, n int64) (err error) {
	f, err := fs.Create(path, Category)
	if err != nil {
		return err
	}
	err = errors.ErrUnsupported
	if runtime.GOOS == "linux" { // elsewhere it does nothing
		if err = f.Preallocate(0, n); err == nil {
			_, err = f.WriteAt([]byte{0}, n-1) // its size
		}
	}
	if errors.Is(err, errors.ErrUnsupported) {
		err = errors.Join(f.Close(), fs.Remove(path))
		if err == nil {
			err = Occupy(fs, path, n)
		}
		return err
	}
	if err == nil {
		err = Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(path))
	}
	return SyncDir(fs, fs.PathDir(path))
}

// Occupy writes a durable file of n zeros, so that its blocks are its own. It
// leaves nothing behind when it fails.
func Occupy(fs FS, path string, n int64) (err error) {
	f, err := fs.Create(path, Category)
	if err != nil {
		return err
	}
	if _, err = f.Write(make([]byte, n)); err == nil {
		err = Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(path))
	}
	return SyncDir(fs, fs.PathDir(path))
}
