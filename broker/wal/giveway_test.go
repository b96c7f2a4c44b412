package wal

import (
	"testing"
	"testing/synctest"

	"github.com/millrace/millrace/internal/vfs"
)

// TestGiveWay: what is written behind the log waits for the group that the
// committer is at and for no later one, and not at all when the log is idle or
// nearly full.
func TestGiveWay(t *testing.T) { synctest.Test(t, testGiveWay) }

func testGiveWay(t *testing.T) {
	fs := vfs.NewMem()
	l, _, err := openTest(t, fs, testOptions(fs), firstRoot)
	if err != nil {
		t.Fatal(err)
	}
	l.GiveWay() // idle
	l.Start(1)
	release := make(chan struct{})
	hold := func() { // appends a frame whose answer keeps the committer
		f := NewFrame(8)
		f.AddEvent(1, []byte("x"), nil)
		l.Append(f, 0, func(Position, error) { <-release })
		synctest.Wait()
	}
	hold()
	gave := false
	go func() { l.GiveWay(); gave = true }()
	hold() // the next group
	if gave {
		t.Fatal("did not wait for the group at work")
	}
	release <- struct{}{}
	synctest.Wait()
	if !gave {
		t.Fatal("waits for more than the group that was at work")
	}
	l.mu.Lock()
	l.opts.MaxBytes = 4 // there is more than that
	l.mu.Unlock()
	l.GiveWay()
	release <- struct{}{}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
