package broker

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestDiskFullReal fills a small tmpfs under clients: the room comes back from
// the topic that filled it, deleted on the full disk.
func TestDiskFullReal(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("mounting a small tmpfs needs root")
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("mount tmpfs: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Error(err)
		}
	})
	limits := Limits{WALFileBytes: 256 << 10, WALMaxBytes: 1 << 20, WALSpareBytes: 64 << 10, SegmentBytes: 256 << 10}
	open := func() *Broker {
		b, err := Open(Config{Keys: testKeys, Dir: filepath.Join(dir, "data"), Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	b := open()
	addr := serveOn(t, b)
	makeProbe(t, b)
	fullLoad(t, b, addr, rounds(5),
		func() { waitRefused(t, b) },
		func() {
			if err := b.Apply(Metadata{DeleteTopics: []string{"probe"}}); err != nil {
				t.Error(err)
				return
			}
			// The files go in the background, and until then there is no room.
			for range 1_000_000 {
				err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "probe"}}})
				if err == nil {
					return
				}
				if !errors.Is(err, ErrDiskFull) {
					t.Error(err)
					return
				}
			}
			t.Error("there is no room after the topic was deleted")
		})
	want := len(readValues(t, b, "full"))
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	b = open()
	if got := len(readValues(t, b, "full")); got != want {
		t.Errorf("%d records after a restart, %d before", got, want)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}
