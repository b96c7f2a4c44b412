package vfs

import (
	"strings"
	"sync"
	"syscall"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"
)

// Disk is a file system with room for so many bytes of file content: a write
// that passes it writes what fits and fails with ENOSPC, as a real one does.
// Files that were there before count nothing until they are written.
type Disk struct {
	FS
	mu       sync.Mutex // guards the fields below
	capacity int64
	used     int64
	sizes    map[string]int64 // by path
}

// WithCapacity limits the content of files in fsys to capacity bytes.
func WithCapacity(fsys FS, capacity int64) *Disk {
	return &Disk{FS: fsys, capacity: capacity, sizes: map[string]int64{}}
}

// SetCapacity changes the room; files keep what they have.
func (d *Disk) SetCapacity(bytes int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.capacity = bytes
}

// Used returns the bytes of all files.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// GetDiskUsage implements FS.
func (d *Disk) GetDiskUsage(string) (pebblevfs.DiskUsage, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := uint64(max(0, d.capacity-d.used))
	return pebblevfs.DiskUsage{AvailBytes: left, TotalBytes: uint64(d.capacity), UsedBytes: uint64(d.used)}, nil
}

// grow takes room for a file to become size bytes long, as far as there is any,
// and returns how long it may become.
func (d *Disk) grow(name string, size int64) int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	old := d.sizes[name]
	if size <= old {
		return size
	}
	got := min(size, old+max(0, d.capacity-d.used))
	d.used += got - old
	d.sizes[name] = got
	return got
}

func (d *Disk) forget(name string) {
	d.used -= d.sizes[name]
	delete(d.sizes, name)
}

// Create implements FS.
func (d *Disk) Create(name string, category pebblevfs.DiskWriteCategory) (File, error) {
	f, err := d.FS.Create(name, category)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	d.forget(name)
	d.mu.Unlock()
	return &diskFile{File: f, d: d, name: name}, nil
}

// OpenReadWrite implements FS.
func (d *Disk) OpenReadWrite(name string, category pebblevfs.DiskWriteCategory, opts ...pebblevfs.OpenOption) (File, error) {
	f, err := d.FS.OpenReadWrite(name, category, opts...)
	if err != nil {
		return nil, err
	}
	return &diskFile{File: f, d: d, name: name}, nil
}

// Rename implements FS.
func (d *Disk) Rename(from, to string) error {
	if err := d.FS.Rename(from, to); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(to)
	if size, ok := d.sizes[from]; ok {
		d.sizes[to] = size
		delete(d.sizes, from)
	}
	return nil
}

// Remove implements FS.
func (d *Disk) Remove(name string) error {
	if err := d.FS.Remove(name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.forget(name)
	return nil
}

// RemoveAll implements FS.
func (d *Disk) RemoveAll(name string) error {
	if err := d.FS.RemoveAll(name); err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for path := range d.sizes {
		if path == name || strings.HasPrefix(path, name+"/") {
			d.forget(path)
		}
	}
	return nil
}

// diskFile is an open file of a Disk.
type diskFile struct {
	File
	d    *Disk
	name string
	at   int64 // of the next Write
}

// Write implements File.
func (f *diskFile) Write(b []byte) (int, error) {
	fits := max(0, f.d.grow(f.name, f.at+int64(len(b)))-f.at)
	n, err := f.File.Write(b[:fits])
	f.at += int64(n)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}

// WriteAt implements File.
func (f *diskFile) WriteAt(b []byte, at int64) (int, error) {
	fits := min(int64(len(b)), max(0, f.d.grow(f.name, at+int64(len(b)))-at))
	n, err := f.File.WriteAt(b[:fits], at)
	if err == nil && n < len(b) {
		err = syscall.ENOSPC
	}
	return n, err
}
