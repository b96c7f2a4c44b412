package state

import (
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// TestOpenOnFullDisk: the store opens on a full disk, from its reserve; when that
// is used up, in memory, and what is on disk stays for the next start.
func TestOpenOnFullDisk(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	open := func(volatile bool) *Mirror {
		t.Helper()
		b, err := OpenBackend(disk, "state")
		if err != nil {
			t.Fatal(err)
		}
		if b.Volatile != volatile || b.Discarded != nil {
			t.Fatalf("volatile: %t, discarded: %v", b.Volatile, b.Discarded)
		}
		m, err := b.Mirror("m")
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	next := func(m *Mirror, want int64) {
		t.Helper()
		if n, err := m.Next(); err != nil || n != want {
			t.Fatalf("next offset %d, %v, want %d", n, err, want)
		}
	}
	m := open(false)
	if err := m.Apply(7, func(func(key, value []byte)) error { return nil }); err != nil {
		t.Fatal(err)
	}
	if err := m.b.Close(); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(disk.Used())
	for range 3 { // each start writes a manifest
		m = open(false)
		next(m, 7)
		if err := m.b.db.Close(); err != nil {
			t.Fatal(err)
		}
		disk.SetCapacity(disk.Used())
		if _, err := disk.Stat("state" + reserveSuffix); err == nil {
			continue
		}
		break
	}
	m = open(true)
	next(m, -1)
	if err := m.Apply(9, func(func(key, value []byte)) error { return nil }); err != nil {
		t.Fatal(err)
	}
	next(m, 9)
	if err := m.b.Close(); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(1 << 40)
	next(open(false), 7)
}
