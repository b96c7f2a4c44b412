package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/internal/vfs"
)

// diskStore is a store with a mirror and little memory, as a task uses it.
type diskStore struct {
	*Store
	b    *Budget
	m    *Mirror
	next int64
}

func openDiskStore(b *Backend, limit int64) (*diskStore, error) {
	m, err := b.Mirror("s")
	if err != nil {
		return nil, err
	}
	d := &diskStore{Store: NewStore("s", true), b: NewBudget(limit), m: m}
	d.Attach(d.b, m)
	if d.next, err = m.Next(); err != nil {
		return nil, err
	}
	d.next = max(0, d.next)
	for d.next > 0 {
		err := m.Load(3, d.Restore)
		d.Store.Commit()
		switch {
		case errors.Is(err, io.EOF):
			return d, nil
		case err != nil:
			return nil, err
		case d.b.Exceeded():
			err := d.LoadPartly()
			d.Store.Commit()
			d.b.Reclaim()
			return d, err
		}
	}
	return d, nil
}

func (d *diskStore) commit() error {
	d.next++
	if err := d.m.Apply(d.next, d.Changes); err != nil {
		return err
	}
	d.Store.Commit()
	d.b.Reclaim()
	return d.Err()
}

// TestEvictedStoreAgainstMap drives stores of several budgets with random
// changes, commits, rollbacks, drops and restarts against a map.
func TestEvictedStoreAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		disk, err := OpenBackend(vfs.NewMem(), "state")
		if err != nil {
			t.Fatal(err)
		}
		defer disk.Close()
		limit := rapid.SampledFrom([]int64{1, 3000, 1 << 30}).Draw(t, "limit")
		s, err := openDiskStore(disk, limit)
		if err != nil {
			t.Fatal(err)
		}
		now, last := map[string]string{}, map[string]string{}
		seg := func() int64 { return int64(rapid.IntRange(-1, 2).Draw(t, "segment")) * 10 }
		for range rapid.IntRange(1, 120).Draw(t, "steps") {
			k, id := fmt.Sprint("k", rapid.IntRange(0, 60).Draw(t, "key")), seg()
			at := fmt.Sprint(id, "/", k)
			switch rapid.IntRange(0, 13).Draw(t, "do") {
			case 0, 1, 2:
				v := rapid.StringN(0, 40, 60).Draw(t, "value")
				s.Open(id).Put([]byte(k), []byte(v))
				now[at] = v
			case 3, 4:
				v := s.Open(id).Slot([]byte(k), len(now[at])+1, true)
				v[len(v)-1] = 'x'
				now[at] += "x"
			case 5, 6:
				_, has := now[at]
				if got := s.Open(id).Delete([]byte(k)); got != has {
					t.Fatalf("delete of %s answers %v", at, got)
				}
				delete(now, at)
			case 7:
				if s.dropped[id] == nil {
					s.Drop(id)
					maps.DeleteFunc(now, func(x, _ string) bool { return bytes.HasPrefix([]byte(x), fmt.Append(nil, id, "/k")) })
				}
			case 8, 9, 10:
				s.SetInt64Note("n", s.next)
				if err := s.commit(); err != nil {
					t.Fatal(err)
				}
				last = maps.Clone(now)
			case 11:
				s.Rollback()
				now = maps.Clone(last)
			case 12:
				s.Detach()
				if s, err = openDiskStore(disk, limit); err != nil {
					t.Fatal(err)
				}
				if s.next > 0 && s.Int64Note("n", -1) != s.next-1 {
					t.Fatalf("note is %d after %d commits", s.Int64Note("n", -1), s.next)
				}
				now = maps.Clone(last)
			case 13:
				v, ok := s.Open(id).Get([]byte(k))
				if want, has := now[at]; ok != has || string(v) != want {
					t.Fatalf("get %s = %q %v, want %q %v", at, v, ok, want, has)
				}
				was, had := last[at]
				found := false
				err := s.Store.Get([]byte(k), id, id, func(_ int64, v []byte) { found = string(v) == was })
				if err != nil || found != had {
					t.Fatalf("committed value of %s is not %q %v", at, was, had)
				}
			}
			if got := content(s.Store); !maps.Equal(got, now) {
				t.Fatalf("content is %v, want %v", got, now)
			}
			if got := committed(s.Store); !maps.Equal(got, last) {
				t.Fatalf("committed is %v, want %v", got, last)
			}
			if s.Complete() && limit == 1 && len(last) > 10 && s.Dirty() == 0 {
				t.Fatal("nothing was evicted")
			}
		}
		s.Detach()
		if s.b.Used() != 0 {
			t.Fatalf("%d bytes are accounted for without a store", s.b.Used())
		}
	})
}

// BenchmarkEvicted counts per key out of 2*10^5 with memory for all, a half and a
// tenth of them, in transactions of 1000 updates.
func BenchmarkEvicted(b *testing.B) {
	const keys = 200_000
	for _, limit := range []int64{1 << 30, 8 << 20, 2 << 20} {
		b.Run(fmt.Sprint(limit), func(b *testing.B) {
			disk, err := OpenBackend(vfs.NewMem(), "state")
			if err != nil {
				b.Fatal(err)
			}
			s, err := openDiskStore(disk, limit)
			if err != nil {
				b.Fatal(err)
			}
			var k [17]byte
			x := uint64(1)
			for n := 0; b.Loop(); n++ {
				x = x*6364136223846793005 + 1442695040888963407
				binary.BigEndian.PutUint64(k[8:], (x>>33)%keys)
				v := s.Plain().Slot(k[:], 8, true)
				binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)+1)
				if n%1000 == 999 {
					if err := s.commit(); err != nil {
						b.Fatal(err)
					}
				}
			}
			s.Detach()
			if err := disk.Close(); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// TestBudgetHolds fills stores far beyond their budget, scans them and restarts.
func TestBudgetHolds(t *testing.T) {
	disk, err := OpenBackend(vfs.NewMem(), "state")
	if err != nil {
		t.Fatal(err)
	}
	const limit, keys = 1 << 20, 60_000
	s, err := openDiskStore(disk, limit)
	if err != nil {
		t.Fatal(err)
	}
	for i := range keys {
		s.Open(int64(i%3)).Put(fmt.Appendf(nil, "key %d", i), fmt.Appendf(nil, "value %d", i))
		if i%500 == 499 {
			if err := s.commit(); err != nil {
				t.Fatal(err)
			}
			if s.b.Exceeded() {
				t.Fatalf("%d bytes of %d are used after a commit", s.b.Used(), limit)
			}
		}
	}
	check := func() {
		t.Helper()
		n := 0
		err := s.Scan(0, 1<<62, func(id int64, k, v []byte) bool {
			var i, j int64
			if _, err := fmt.Sscanf(string(k)+" "+string(v), "key %d value %d", &i, &j); err != nil || i != j || i%3 != id {
				t.Fatalf("%s is %s in segment %d", k, v, id)
			}
			n++
			return true
		})
		if err != nil || n != keys {
			t.Fatalf("a scan gives %d of %d keys, %v", n, keys, err)
		}
	}
	if s.Complete() {
		t.Fatal("nothing was evicted")
	}
	check()
	s.Detach()
	if s, err = openDiskStore(disk, limit); err != nil {
		t.Fatal(err)
	}
	if s.Complete() || s.b.Exceeded() {
		t.Fatalf("a restart loads %d bytes", s.b.Used())
	}
	check()
	for i := 0; i < keys; i += 7 {
		if v, ok := s.Open(int64(i % 3)).Get(fmt.Appendf(nil, "key %d", i)); !ok || string(v) != fmt.Sprint("value ", i) {
			t.Fatalf("key %d is %q %v", i, v, ok)
		}
	}
	s.Detach()
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
}
