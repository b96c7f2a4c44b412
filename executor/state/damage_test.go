package state

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// TestDamagedBackendIsBuiltAgain: a power loss may lose the manifest that Pebble's
// marker names. What is on disk is only a copy of the changelogs.
func TestDamagedBackendIsBuiltAgain(t *testing.T) {
	fs := vfs.NewMem()
	open := func(damaged bool) {
		t.Helper()
		b, err := OpenBackend(fs, "state")
		if err != nil {
			t.Fatal(err)
		}
		if (b.Discarded != nil) != damaged {
			t.Errorf("discarded: %v, want damage: %t", b.Discarded, damaged)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
	}
	open(false)
	names, err := fs.List("state")
	if err != nil {
		t.Fatal(err)
	}
	removed := 0
	for _, name := range names {
		if strings.HasPrefix(name, "MANIFEST-") {
			removed++
			if err := fs.Remove(fs.PathJoin("state", name)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if removed == 0 {
		t.Fatalf("no manifest among %v", names)
	}
	open(true)
	open(false)
}
