package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// TestFenceSays: a restart is advised when it helps, which is after a write or sync
// that failed, and not when durable data cannot be read.
func TestFenceSays(t *testing.T) {
	own := errors.New("batch: corrupt")
	for _, c := range []struct {
		cause      error
		unreadable bool
	}{
		{errors.New("input/output error"), false},
		{&fs.PathError{Op: "write", Path: "f", Err: errors.New("input/output error")}, false},
		{&fs.PathError{Op: "sync", Path: "f", Err: errors.New("input/output error")}, false},
		{fmt.Errorf("archive: %w", &fs.PathError{Op: "read", Path: "f", Err: errors.New("input/output error")}), true},
		{fmt.Errorf("archive: %w", ErrCorrupt), true},
		{fmt.Errorf("archive: %w", own), true},
	} {
		mem := vfs.NewMem()
		opts := testOptions(mem)
		opts.Dir = "data/wal"
		opts.Damage = func(err error) bool { return errors.Is(err, own) }
		if err := mem.MkdirAll(opts.Dir, 0o755); err != nil {
			t.Fatal(err)
		}
		l, err := Open(opts, firstRoot, func(uint64, []Entry) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		err = l.Fence("work", c.cause)
		restart := strings.Contains(err.Error(), "may be lost, restart to recover")
		dump := strings.Contains(err.Error(), "acknowledged cannot be read") && strings.Contains(err.Error(), "`millrace log dump data`")
		if !errors.Is(err, ErrFenced) || !errors.Is(err, c.cause) || restart == c.unreadable || dump != c.unreadable {
			t.Errorf("%v: %v", c.cause, err)
		}
		if err := l.Close(); !errors.Is(err, ErrFenced) {
			t.Error(err)
		}
	}
}
