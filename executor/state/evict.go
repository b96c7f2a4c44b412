package state

import (
	"math/bits"
)

// Eviction works on entries, sub-table by sub-table: a hand goes round the hash
// positions, takes the used mark of every entry that it passes, and drops clean
// entries that have none (the clock algorithm). A dropped entry is on disk, where
// every committed change is before it becomes a clean one.

// segmentDisk is the part of a store's mirror that a table without all its keys
// reads them from.
type segmentDisk struct {
	store *Store
	id    int64
	key   []byte
}

// get reads a committed value; an error of the disk sticks to the store.
func (d *segmentDisk) get(key []byte) ([]byte, bool) {
	d.key = appendChangeKey(d.key[:0], d.id, key)
	v, err := d.store.mirror.get(d.key)
	d.store.note(err)
	return v, v != nil && err == nil
}

// each walks the committed keys on disk in byte order until f answers false.
func (d *segmentDisk) each(f func(key, value []byte) bool) {
	_, err := d.store.mirror.walk(d.id, nil, func(key, value []byte) bool { return f(key, value) })
	d.store.note(err)
}

// fetch brings a key's entry back from disk, as a clean one, and reports whether
// there is one.
func (t *Table) fetch(key []byte, hash uint64) bool {
	v, ok := t.disk.get(key)
	if !ok {
		return false
	}
	s, sl := t.reserve(key, hash)
	before := cap(s.arena)
	s.insert(sl, key, hash, len(v))
	s.setValue(sl, v)
	sl.use()
	t.live++
	t.bytes += int64(cap(s.arena) - before)
	return true
}

// subOverhead is the size of a sub-table beside its slots and arena, and of its
// place in the directory.
const subOverhead = 112

func (s *sub) size() int64 { return int64(cap(s.arena)+16*cap(s.slots)) + subOverhead }

// size is the memory that the table takes.
func (t *Table) size() int64 {
	return t.bytes + int64(cap(t.undo.buf)+24*cap(t.undo.recs))
}

// evict moves the hand over sub-tables until it has gone round or freed enough
// bytes, and returns how many. d is where the entries are from then on.
func (t *Table) evict(enough int64, visits *int, d *segmentDisk) (freed int64) {
	*visits-- // a table without keys is not for nothing either
	if t.dir == nil {
		return 0
	}
	for left, more := len(t.dir), true; more && freed < enough && *visits > 0; {
		*visits--
		s := t.sub(t.hand)
		before := t.bytes
		t.evictSub(s, d)
		freed += before - t.bytes
		width := 1 << (t.depth - s.depth)
		left -= width
		more = left > 0
		if s.depth == 0 {
			break
		}
		t.hand = s.pos + 1<<(64-s.depth) // behind the last one it is 0 again
	}
	return freed
}

// evictSub drops the cold entries of a sub-table and makes the others cold.
func (t *Table) evictSub(s *sub, d *segmentDisk) {
	keep, cold := 0, 0
	for i := range s.slots {
		switch sl := &s.slots[i]; {
		case sl.off == 0:
		case sl.mark != 0:
			keep++
		default:
			cold++
		}
	}
	if cold > 0 {
		t.disk = d
		t.rebuild(s, slotsFor(keep), true)
	}
	for i := range s.slots {
		if sl := &s.slots[i]; sl.dirty() == 0 {
			sl.mark = 0
		}
	}
}

// slotsFor returns the number of slots that n keys need.
func slotsFor(n int) int {
	return max(subMinSlots, 1<<bits.Len(uint(n+n/3)))
}
