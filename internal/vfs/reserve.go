package vfs

import (
	"errors"
	"fmt"
	"sync"
)

// Reserve is room on a disk, held by a file of zeros, for what must be written
// when the disk is full. Its methods are safe for concurrent use.
type Reserve struct {
	fs    FS
	path  string
	bytes int64

	mu   sync.Mutex // guards held
	held bool
}

// NewReserve returns a reserve that is not held yet.
func NewReserve(fs FS, path string, bytes int64) *Reserve {
	return &Reserve{fs: fs, path: path, bytes: bytes}
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
	err := Occupy(r.fs, r.path, r.bytes)
	if r.held = err == nil; err != nil && !IsFull(err) {
		return fmt.Errorf("reserve room on the disk: %w", err)
	}
	return nil
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
