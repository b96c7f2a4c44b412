package wal

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/millrace/millrace/internal/vfs"
)

// TestReserveInOrder: small reservations do not overtake a large one that waits, nor
// does one that may not wait; and all that wait hear of the end.
func TestReserveInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		opts := testOptions(fs)
		opts.QueueBytes = 100
		l, _, err := openTest(t, fs, opts, firstRoot)
		if err != nil {
			t.Fatal(err)
		}
		l.Start(1)
		var mu sync.Mutex // guards order and ends
		var order []int64
		var ends []error
		reserve := func(n int64) {
			go func() {
				err := l.Reserve(n)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					ends = append(ends, err)
					return
				}
				order = append(order, n)
			}()
			synctest.Wait()
		}
		check := func(want ...int64) {
			t.Helper()
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			if !slices.Equal(order, want) {
				t.Fatalf("reserved in the order %d, want %d", order, want)
			}
		}
		reserve(60)
		reserve(250) // fits an empty queue only
		reserve(10)
		reserve(20)
		check(60)
		if l.TryReserve(1) {
			t.Fatal("one that may not wait has overtaken three that do")
		}
		l.Unreserve(60)
		check(60, 250)
		l.Unreserve(250)
		check(60, 250, 10, 20)
		if !l.TryReserve(1) {
			t.Fatal("no room though nobody waits")
		}
		for _, n := range []int64{90, 91, 1} {
			reserve(n)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		if len(ends) != 3 || !errors.Is(ends[0], ErrClosed) || !errors.Is(ends[2], ErrClosed) {
			t.Fatalf("of three that waited %v ended", ends)
		}
	})
}
