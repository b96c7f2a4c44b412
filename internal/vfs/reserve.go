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
	// fill gives the file its size, with blocks of its own.
	fill func(f File, n int64) error

	mu   sync.Mutex // guards held
	held bool
}

// NewReserve returns a reserve that is not held yet.
func NewReserve(fs FS, path string, bytes int64) *Reserve {
	return &Reserve{fs: fs, path: path, bytes: bytes, fill: writeZeros}
}

// NewLargeReserve is NewReserve for one that takes no time to hold, where the file
// system can do that.
func NewLargeReserve(fs FS, path string, bytes int64) *Reserve {
	return &Reserve{fs: fs, path: path, bytes: bytes, fill: claim}
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
	err := occupy(r.fs, r.path, r.bytes, r.fill)
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

// Occupy writes a durable file of n zeros, so that its blocks are its own. It
// leaves nothing behind when it fails.
func Occupy(fs FS, path string, n int64) error { return occupy(fs, path, n, writeZeros) }

func occupy(fs FS, path string, n int64, fill func(f File, n int64) error) error {
	f, err := fs.Create(path, Category)
	if err != nil {
		return err
	}
	if err = fill(f, n); err == nil {
		err = Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fs.Remove(path))
	}
	return SyncDir(fs, fs.PathDir(path))
}

func writeZeros(f File, n int64) error {
	_, err := f.Write(make([]byte, n))
	return err
}

// claim is writeZeros for a file that nobody writes afterwards: where the file
// system can, its blocks are set aside without being written.
func claim(f File, n int64) error {
	if runtime.GOOS != "linux" { // Preallocate does nothing there
		return writeZeros(f, n)
	}
	err := f.Preallocate(0, n)
	if errors.Is(err, errors.ErrUnsupported) {
		return writeZeros(f, n)
	}
	if err == nil {
		_, err = f.WriteAt([]byte{0}, n-1) // its size
	}
	return err
}
