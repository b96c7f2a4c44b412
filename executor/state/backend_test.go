package state

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

func load(t *testing.T, m *Mirror, most int) map[string]string {
	t.Helper()
	got := map[string]string{}
	for {
		err := m.Load(most, func(k, v []byte) error { got[string(k)] = string(v); return nil })
		if errors.Is(err, io.EOF) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func apply(t *testing.T, m *Mirror, next int64, pairs ...string) {
	t.Helper()
	err := m.Apply(next, func(f func(k, v []byte)) error {
		for i := 0; i < len(pairs); i += 2 {
			v := []byte(pairs[i+1])
			if pairs[i+1] == "-" {
				v = nil
			}
			f([]byte(pairs[i]), v)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mirror(t *testing.T, b *Backend, name string) *Mirror {
	t.Helper()
	m, err := b.Mirror(name)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMirrorsKeepApart(t *testing.T) {
	b, err := OpenBackend(vfs.NewMem(), "state")
	if err != nil {
		t.Fatal(err)
	}
	m, n := mirror(t, b, "a"), mirror(t, b, "ab")
	if next, err := m.Next(); err != nil || next != -1 {
		t.Fatalf("an empty mirror is at %d, %v", next, err)
	}
	apply(t, m, 3, "x", "1", "y", "2", "", "empty")
	apply(t, n, 9, "x", "other")
	apply(t, m, 5, "y", "-", "z", "")
	for _, most := range []int{1, 100} {
		if got := load(t, m, most); !maps.Equal(got, map[string]string{"x": "1", "z": "", "": "empty"}) {
			t.Fatalf("mirror holds %v", got)
		}
	}
	if err := m.Clear(); err != nil {
		t.Fatal(err)
	}
	if next, _ := m.Next(); next != -1 || len(load(t, m, 10)) != 0 {
		t.Fatalf("a cleared mirror is at %d", next)
	}
	if next, _ := n.Next(); next != 9 || len(load(t, n, 10)) != 1 {
		t.Fatalf("the other mirror is at %d", next)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Mirror(""); err == nil {
		t.Fatal("an empty name is accepted")
	}
}

// TestCrashLeavesAPrefix kills the store at points between flushes: what is left
// is always the changes up to the offset that is left.
func TestCrashLeavesAPrefix(t *testing.T) {
	fs := vfs.NewCrashable()
	b, err := OpenBackend(fs, "state")
	if err != nil {
		t.Fatal(err)
	}
	m := mirror(t, b, "s")
	const steps = 40
	for i := range int64(steps) {
		apply(t, m, i+1, fmt.Sprint("k", i%7), fmt.Sprint(i))
		if i%10 == 4 {
			if err := b.Flush(); err != nil {
				t.Fatal(err)
			}
		}
		if i%3 != 0 {
			continue
		}
		c, err := OpenBackend(fs.CrashClone(vfs.CrashCloneCfg{}), "state")
		if err != nil {
			t.Fatal(err)
		}
		left := mirror(t, c, "s")
		next, err := left.Next()
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for j := range next {
			want[fmt.Sprint("k", j%7)] = fmt.Sprint(j)
		}
		if got := load(t, left, 3); !maps.Equal(got, want) {
			t.Fatalf("after a crash at %d the mirror at %d holds %v, want %v", i, next, got, want)
		}
		if i > 5 && next < 5 {
			t.Fatalf("a flush at 5 was lost: the mirror is at %d", next)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
}
