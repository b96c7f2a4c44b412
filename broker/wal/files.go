package wal

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/millrace/millrace/internal/vfs"
)

const fileSuffix = ".wal"

func fileName(fs vfs.FS, dir string, number uint64) string {
	return fs.PathJoin(dir, fmt.Sprintf("%016x%s", number, fileSuffix))
}

// parseFileName returns the number of a log file's name.
func parseFileName(name string) (number uint64, ok bool) {
	n, err := fmt.Sscanf(name, "%016x.wal", &number)
	return number, err == nil && n == 1 && name == fmt.Sprintf("%016x%s", number, fileSuffix)
}

// openForWrite creates file number, or renames an old file to it and keeps its
// blocks: overwriting blocks that exist halves the time of a sync.
func openForWrite(fs vfs.FS, dir string, number uint64, old string) (vfs.File, error) {
	name := fileName(fs, dir, number)
	if old != "" {
		if err := fs.Rename(old, name); err != nil {
			return nil, err
		}
	}
	f, err := fs.OpenReadWrite(name, vfs.Category)
	if err != nil {
		return nil, err
	}
	if err := vfs.SyncDir(fs, dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// CreateFile makes the empty, durable first file of a new log.
func CreateFile(fs vfs.FS, dir string, number uint64) error {
	f, err := openForWrite(fs, dir, number, "")
	if err != nil {
		return fmt.Errorf("create log file: %w", err)
	}
	return f.Close()
}

// ReadAt fills b from a live file. ErrRetired says that the bytes have moved to
// a segment.
func (l *Log) ReadAt(b []byte, at Position) error {
	l.mu.Lock()
	i := slices.IndexFunc(l.files, func(f *file) bool { return f.number == at.File })
	if i < 0 || l.files[i].f == nil {
		l.mu.Unlock()
		return ErrRetired
	}
	f := l.files[i]
	handle := f.f
	f.readers++
	l.mu.Unlock()

	n, err := handle.ReadAt(b, at.Offset)
	if n == len(b) {
		err = nil
	} else if err == nil || errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}

	l.mu.Lock()
	f.readers--
	last := f.retired && f.readers == 0
	l.mu.Unlock()
	if last {
		err = errors.Join(err, handle.Close())
	}
	if err != nil {
		return fmt.Errorf("read log file %d at %d: %w", at.File, at.Offset, err)
	}
	return nil
}

// Sealed returns the numbers of the live files that are no longer written,
// oldest first, and the bytes of all live files.
func (l *Log) Sealed() (numbers []uint64, liveBytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files[:len(l.files)-1] {
		numbers = append(numbers, f.number)
	}
	return numbers, l.liveBytes()
}

// FileBytes returns how long log files are about.
func (l *Log) FileBytes() int64 { return l.opts.FileBytes }

// RootWithout returns Root as it will be once the files up to number, which
// must be sealed, are retired.
func (l *Log) RootWithout(number uint64) Root {
	r := l.Root()
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.files {
		if f.number > number {
			r.FirstFile, r.FirstSequence = f.number, f.firstSequence
			break
		}
	}
	return r
}

// Retire takes the oldest file, which must be sealed, out of the log. A
// checkpoint that no longer names it must be durable. The file is kept to be
// written again, unless somebody still reads it, there are enough of them, or the disk is
// full.
func (l *Log) Retire(number uint64) error {
	l.mu.Lock()
	f := l.files[0]
	if f.number != number || len(l.files) == 1 {
		l.mu.Unlock()
		return fmt.Errorf("wal: retire file %d: the oldest sealed file is another", number)
	}
	l.files = l.files[1:]
	f.retired = true
	recycle := f.readers == 0 && len(l.free) < freeFilesMax && !l.full.now && !l.full.behind
	idle := f.readers == 0
	l.mu.Unlock()
	l.room.Broadcast()

	if idle {
		if err := f.f.Close(); err != nil {
			return l.Fence("close a log file", err)
		}
	}
	if !recycle {
		err := l.opts.FS.Remove(fileName(l.opts.FS, l.opts.Dir, number))
		if err == nil {
			return nil
		}
		if !vfs.IsFull(err) {
			return l.Fence("remove a log file", err)
		}
		// Some file systems need room to remove: then it is kept after all.
	}
	l.mu.Lock()
	l.free = append(l.free, number)
	l.mu.Unlock()
	return nil
}
