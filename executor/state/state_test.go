package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"testing"

	"pgregory.net/rapid"
)

// content returns what a store holds, as seen by its task.
func content(s *Store) map[string]string {
	m := map[string]string{}
	for _, id := range s.Segments() {
		s.segments[id].Each(func(k, v []byte) bool {
			m[fmt.Sprint(id, "/", string(k))] = string(v)
			return true
		})
	}
	return m
}

func committed(s *Store) map[string]string {
	m := map[string]string{}
	s.Scan(-1<<63, 1<<63-1, func(id int64, k, v []byte) bool {
		m[fmt.Sprint(id, "/", string(k))] = string(v)
		return true
	})
	return m
}

// TestStoreAgainstMap drives a store with random changes, commits, rollbacks and
// drops against a map, and restores a second one from its changelog.
func TestStoreAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := NewStore("s", true)
		now, last := map[string]string{}, map[string]string{}
		type change struct{ key, value []byte }
		var changelog []change
		lastNote := int64(-2)
		key := func() string { return fmt.Sprint("k", rapid.IntRange(0, 60).Draw(t, "key")) }
		seg := func() int64 { return int64(rapid.IntRange(-1, 2).Draw(t, "segment")) * 10 }
		steps := rapid.IntRange(1, 200).Draw(t, "steps")
		for range steps {
			switch rapid.IntRange(0, 11).Draw(t, "do") {
			default:
				k, id := key(), seg()
				v := rapid.StringN(0, 40, 60).Draw(t, "value")
				s.Open(id).Put([]byte(k), []byte(v))
				now[fmt.Sprint(id, "/", k)] = v
			case 6, 7:
				k, id := key(), seg()
				s.Open(id).Delete([]byte(k))
				delete(now, fmt.Sprint(id, "/", k))
			case 8:
				id := seg()
				s.mu.Lock()
				droppable := s.dropped[id] == nil
				s.mu.Unlock()
				if droppable {
					s.Drop(id)
					maps.DeleteFunc(now, func(k, _ string) bool { return len(k) > 2 && k[:len(fmt.Sprint(id, "/"))] == fmt.Sprint(id, "/") })
				}
			case 9:
				n := int64(len(now))
				s.SetInt64Note("n", n)
				lastNote = n
				s.Changes(func(k, v []byte) {
					c := change{key: bytes.Clone(k)}
					if v != nil {
						c.value = append([]byte{}, v...)
					}
					changelog = append(changelog, c)
				})
				s.Commit()
				last = maps.Clone(now)
			case 10:
				s.Rollback()
				now = maps.Clone(last)
			case 11:
				k, id := key(), seg()
				v, ok := s.Open(id).Get([]byte(k))
				if want, has := now[fmt.Sprint(id, "/", k)]; ok != has || string(v) != want {
					t.Fatalf("get %s = %q %v, want %q %v", k, v, ok, want, has)
				}
			}
			if got := content(s); !maps.Equal(got, now) {
				t.Fatalf("content is %v, want %v", got, now)
			}
			if got := committed(s); !maps.Equal(got, last) {
				t.Fatalf("committed is %v, want %v", got, last)
			}
		}
		r := NewStore("r", true)
		for _, c := range changelog {
			if err := r.Restore(c.key, c.value); err != nil {
				t.Fatal(err)
			}
		}
		r.Commit()
		if got := content(r); !maps.Equal(got, last) {
			t.Fatalf("restored %v, want %v", got, last)
		}
		if len(changelog) > 0 && r.Int64Note("n", -1) != lastNote {
			t.Fatal("note is not restored")
		}
	})
}

func TestTableGrows(t *testing.T) {
	var tab Table
	const n = 100_000
	var k [8]byte
	for round := range 2 {
		for i := range n {
			binary.BigEndian.PutUint64(k[:], uint64(i))
			v := tab.Slot(k[:], 8, true)
			binary.BigEndian.PutUint64(v, binary.BigEndian.Uint64(v)+uint64(i+1))
		}
		if tab.Dirty() != n || tab.Len() != n {
			t.Fatalf("round %d: %d dirty, %d keys", round, tab.Dirty(), tab.Len())
		}
		tab.Commit()
	}
	for i := range n {
		binary.BigEndian.PutUint64(k[:], uint64(i))
		v, ok := tab.Get(k[:])
		if !ok || binary.BigEndian.Uint64(v) != 2*uint64(i+1) {
			t.Fatalf("key %d: %x %v", i, v, ok)
		}
	}
	seen := 0
	tab.Each(func(k, v []byte) bool { seen++; return true })
	if seen != n {
		t.Fatalf("%d keys are seen", seen)
	}
}

func TestDeletedKeysAreForgotten(t *testing.T) {
	var tab Table
	for i := range 200_000 {
		k := fmt.Appendf(nil, "%d", i)
		tab.Put(k, k)
		tab.Delete(k)
		if i%100 == 0 {
			tab.Commit()
		}
	}
	if n := len(tab.dir); n > 2 {
		t.Fatalf("%d sub-tables for an empty table", n)
	}
}

func TestBadChangelogKeys(t *testing.T) {
	s := NewStore("s", true)
	for _, k := range [][]byte{nil, {7, 1}, {tagSegment, 1, 2}} {
		if err := s.Restore(k, []byte("v")); err == nil {
			t.Errorf("key %x is accepted", k)
		}
	}
}

func BenchmarkCountPerKey(b *testing.B) {
	for _, keys := range []int{1e4, 1e6} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			var tab Table
			var k [17]byte
			n, x := 0, uint64(1)
			b.ReportAllocs()
			for b.Loop() {
				x = x*6364136223846793005 + 1442695040888963407
				binary.BigEndian.PutUint64(k[8:], (x>>33)%uint64(keys))
				v := tab.Slot(k[:], 8, true)
				binary.LittleEndian.PutUint64(v, binary.LittleEndian.Uint64(v)+1)
				if n++; n == 100_000 {
					tab.EachDirty(func(_, _ []byte, _ bool) {})
					tab.Commit()
					n = 0
				}
			}
		})
	}
}
