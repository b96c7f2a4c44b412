package state

import (
	"strings"

	pebblevfs "github.com/cockroachdb/pebble/v2/vfs"

	"github.com/millrace/millrace/internal/vfs"
)

// reserveBytes are kept on the disk for Pebble's own records.
const reserveBytes = 1 << 20

// metadataFS gives Pebble's manifest and the other small files that it cannot do
// without the reserve when the disk is full: it ends the process when it cannot
// write them. Tables do without, which it tries again later.
type metadataFS struct {
	vfs.FS
	reserve *vfs.Reserve
}

// again reports whether what failed with err should be tried once more.
func (m metadataFS) again(err error) bool {
	if !vfs.IsFull(err) {
		return false
	}
	released, releaseErr := m.reserve.Release()
	return released && releaseErr == nil
}

func (m metadataFS) isTable(name string) bool {
	return strings.HasSuffix(name, ".sst") || strings.HasSuffix(name, ".blob")
}

// Create is vfs.FS's.
func (m metadataFS) Create(name string, category pebblevfs.DiskWriteCategory) (vfs.File, error) {
	f, err := m.FS.Create(name, category)
	if m.isTable(name) {
		return f, err
	}
	if m.again(err) {
		f, err = m.FS.Create(name, category)
	}
	if err != nil {
		return nil, err
	}
	return metadataFile{f, m}, nil
}

// metadataFile is a file that gets the reserve.
type metadataFile struct {
	vfs.File
	fs metadataFS
}

// Write is vfs.File's.
func (f metadataFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b)
	if f.fs.again(err) {
		var more int
		more, err = f.File.Write(b[n:])
		n += more
	}
	return n, err
}
