package state

import (
	"encoding/binary"

	"github.com/zeebo/xxh3"
)

// Sizes of sub-tables. A full one of subMaxSlots splits in two.
const (
	subMinSlots = 8
	subMaxSlots = 1024
	// maxDepth bounds the directory: beyond it sub-tables double instead.
	maxDepth = 24
)

// slot points to an entry. off is its place in the sub-table's arena plus 1, 0
// for a free slot; mark holds its number in the undo log plus 1, 0 when clean,
// and above it used, which the eviction hand takes away.
type slot struct {
	hash uint64
	off  uint32
	mark uint32
}

// used says that an entry was used since the eviction hand passed it.
const used = 1 << 31

func (sl *slot) dirty() uint32 { return sl.mark &^ used }

func (sl *slot) use() {
	if sl.mark&used == 0 {
		sl.mark |= used
	}
}

func (sl *slot) clean() { sl.mark &= used }

// An entry in an arena is key length, value length and value capacity as
// uint32, the key, the value.
const (
	entryHeader = 12
	absent      = ^uint32(0) // value length of a deleted key
)

// sub is one sub-table: a power of two of slots probed linearly, at most three
// quarters of them taken.
type sub struct {
	slots []slot
	arena []byte
	used  int    // slots taken, deleted keys included
	gone  int    // slots of deleted keys
	dead  int    // arena bytes of no use
	depth uint   // leading hash bits that all its keys share
	pos   uint64 // those bits, left-aligned
}

// Table is a hash table from bytes to bytes. The zero value is empty. It is not
// safe for concurrent use.
type Table struct {
	dir   []*sub // 2^depth entries, by leading hash bits
	depth uint
	live  int
	undo  undoLog
	bytes int64 // of all sub-tables
	// disk holds the keys that are not in memory; nil when all of them are.
	disk *segmentDisk
	hand uint64 // hash position of the eviction hand
	// charged is what the store's budget knows of the table's size.
	charged int64
}

// undoLog lists the keys changed since the last commit.
type undoLog struct {
	recs []undoRec
	buf  []byte
}

type undoRec struct {
	hash   uint64
	key    uint32 // in buf
	keyLen uint32
	oldLen uint32 // behind the key; absent when the key was new
}

func (u *undoLog) key(r undoRec) []byte { return u.buf[r.key : r.key+r.keyLen] }

func (u *undoLog) old(r undoRec) ([]byte, bool) {
	if r.oldLen == absent {
		return nil, false
	}
	return u.buf[r.key+r.keyLen : r.key+r.keyLen+r.oldLen], true
}

// hashOf returns the hash of a key.
func hashOf(key []byte) uint64 { return xxh3.Hash(key) }

func (t *Table) sub(hash uint64) *sub {
	if t.dir == nil {
		t.dir = []*sub{{slots: make([]slot, subMinSlots)}}
		t.bytes += t.dir[0].size()
	}
	return t.dir[hash>>(64-t.depth)] // a shift by 64 gives 0
}

func (s *sub) entry(sl *slot) (key, value []byte) {
	e := s.arena[sl.off-1:]
	k, v := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:])
	key = e[entryHeader : entryHeader+k : entryHeader+k]
	if v == absent {
		return key, nil
	}
	at := entryHeader + k
	return key, e[at : at+v : at+v]
}

func (s *sub) deleted(sl *slot) bool {
	return binary.LittleEndian.Uint32(s.arena[sl.off+3:]) == absent
}

// find returns the key's slot, or the free slot where it would go.
func (s *sub) find(key []byte, hash uint64) *slot {
	mask := uint64(len(s.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		sl := &s.slots[i]
		if sl.off == 0 {
			return sl
		}
		if sl.hash == hash {
			if k, _ := s.entry(sl); string(k) == string(key) {
				return sl
			}
		}
	}
}

// Get returns a key's value, a view that dies with the next change.
func (t *Table) Get(key []byte) ([]byte, bool) {
	s, sl := t.lookup(key, hashOf(key))
	if sl.off == 0 || s.deleted(sl) {
		return nil, false
	}
	sl.use()
	_, v := s.entry(sl)
	return v, true
}

// lookup finds a key's slot and brings its entry back when it was evicted.
func (t *Table) lookup(key []byte, hash uint64) (*sub, *slot) {
	s := t.sub(hash)
	sl := s.find(key, hash)
	if sl.off == 0 && t.disk != nil && t.fetch(key, hash) {
		s = t.sub(hash)
		sl = s.find(key, hash)
	}
	return s, sl
}

// Committed returns the value that a key had at the last commit.
func (t *Table) Committed(key []byte) ([]byte, bool) {
	hash := hashOf(key)
	s := t.sub(hash)
	sl := s.find(key, hash)
	switch {
	case sl.off == 0 && t.disk != nil:
		return t.disk.get(key)
	case sl.off == 0:
		return nil, false
	case sl.dirty() != 0:
		return t.undo.old(t.undo.recs[sl.dirty()-1])
	case s.deleted(sl):
		return nil, false
	}
	_, v := s.entry(sl)
	return v, true
}

// Put sets a key's value, copying both.
func (t *Table) Put(key, value []byte) {
	copy(t.Slot(key, len(value), false), value)
}

// Slot returns the value of a key for writing in place, resized to size bytes;
// the old value is in the undo log then. With keep the old content stays (new
// bytes are zero), else it is undefined. It dies with the next change.
func (t *Table) Slot(key []byte, size int, keep bool) []byte {
	hash := hashOf(key)
	s, sl := t.reserve(key, hash)
	if sl.off == 0 && t.disk != nil && t.fetch(key, hash) {
		s, sl = t.reserve(key, hash)
	}
	fresh, before := sl.off == 0, cap(s.arena)
	if fresh {
		s.insert(sl, key, hash, size)
	}
	wasAbsent := fresh || s.deleted(sl)
	t.log(s, sl, key, hash, wasAbsent)
	if wasAbsent {
		t.live++
		if !fresh {
			s.gone--
		}
	}
	e := s.arena[sl.off-1:]
	k, old, room := binary.LittleEndian.Uint32(e), binary.LittleEndian.Uint32(e[4:]), binary.LittleEndian.Uint32(e[8:])
	if old == absent {
		old = 0
	}
	if uint32(size) > room {
		s.move(sl, key, old, size)
		e = s.arena[sl.off-1:]
	}
	binary.LittleEndian.PutUint32(e[4:], uint32(size))
	at := entryHeader + k
	v := e[at : at+uint32(size) : at+uint32(size)]
	if keep && int(old) < size {
		clear(v[old:])
	}
	t.bytes += int64(cap(s.arena) - before)
	return v
}

// Delete removes a key and reports whether it was there.
func (t *Table) Delete(key []byte) bool {
	hash := hashOf(key)
	s, sl := t.lookup(key, hash)
	if sl.off == 0 || s.deleted(sl) {
		return false
	}
	t.log(s, sl, key, hash, false)
	binary.LittleEndian.PutUint32(s.arena[sl.off+3:], absent)
	t.live--
	s.gone++
	return true
}

// log notes the key's value before its first change since the commit.
func (t *Table) log(s *sub, sl *slot, key []byte, hash uint64, wasAbsent bool) {
	if sl.dirty() != 0 {
		return
	}
	r := undoRec{hash, uint32(len(t.undo.buf)), uint32(len(key)), absent}
	t.undo.buf = append(t.undo.buf, key...)
	if !wasAbsent {
		_, old := s.entry(sl)
		r.oldLen = uint32(len(old))
		t.undo.buf = append(t.undo.buf, old...)
	}
	t.undo.recs = append(t.undo.recs, r)
	sl.mark = uint32(len(t.undo.recs)) | used
}

// reserve finds a key's slot after making sure that a new key finds room.
func (t *Table) reserve(key []byte, hash uint64) (*sub, *slot) {
	for {
		s := t.sub(hash)
		sl := s.find(key, hash)
		if sl.off != 0 || (s.used+1)*4 <= len(s.slots)*3 {
			return s, sl
		}
		if s.gone > s.used/2 && t.rebuild(s, len(s.slots), false) {
			continue // room was made by forgetting deleted keys
		}
		if len(s.slots) < subMaxSlots || s.depth >= maxDepth {
			t.rebuild(s, 2*len(s.slots), false)
		} else {
			t.split(s)
		}
	}
}

func (s *sub) insert(sl *slot, key []byte, hash uint64, size int) {
	off := len(s.arena)
	s.arena = appendEntry(s.arena, key, absent, size)
	*sl = slot{hash: hash, off: uint32(off) + 1}
	s.used++
}

// appendEntry appends an entry with room for a value of size bytes.
func appendEntry(arena, key []byte, length uint32, size int) []byte {
	arena = binary.LittleEndian.AppendUint32(arena, uint32(len(key)))
	arena = binary.LittleEndian.AppendUint32(arena, length)
	arena = binary.LittleEndian.AppendUint32(arena, uint32(size))
	arena = append(arena, key...)
	for range size {
		arena = append(arena, 0)
	}
	return arena
}

// setValue fills the value of an entry that was made for it.
func (s *sub) setValue(sl *slot, value []byte) {
	e := s.arena[sl.off-1:]
	binary.LittleEndian.PutUint32(e[4:], uint32(len(value)))
	copy(e[entryHeader+binary.LittleEndian.Uint32(e):], value)
}

// move gives an entry a new place with twice the room, and tidies the arena
// when half of it is dead.
func (s *sub) move(sl *slot, key []byte, old uint32, size int) {
	from := sl.off - 1
	s.dead += entryHeader + len(key) + int(binary.LittleEndian.Uint32(s.arena[from+8:]))
	off := len(s.arena)
	s.arena = appendEntry(s.arena, key, 0, 2*size)
	at := from + entryHeader + uint32(len(key))
	copy(s.arena[off+entryHeader+len(key):], s.arena[at:at+old])
	binary.LittleEndian.PutUint32(s.arena[off+4:], old)
	sl.off = uint32(off) + 1
	if s.dead > len(s.arena)/2 && s.dead > 4096 {
		s.compact()
	}
}

// compact copies the arena's live entries.
func (s *sub) compact() {
	old := s.arena
	s.arena = make([]byte, 0, len(old)-s.dead)
	for i := range s.slots {
		if s.slots[i].off != 0 {
			s.adopt(&s.slots[i], old)
		}
	}
	s.dead = 0
}

// adopt copies a slot's entry from another arena into s's and points to it.
func (s *sub) adopt(sl *slot, from []byte) {
	e := from[sl.off-1:]
	n := entryHeader + binary.LittleEndian.Uint32(e) + binary.LittleEndian.Uint32(e[8:])
	sl.off = uint32(len(s.arena)) + 1
	s.arena = append(s.arena, e[:n]...)
}

// place puts a slot into a table that has room and not its key.
func (s *sub) place(sl slot) *slot {
	mask := uint64(len(s.slots) - 1)
	for i := sl.hash & mask; ; i = (i + 1) & mask {
		if s.slots[i].off == 0 {
			s.slots[i] = sl
			s.used++
			return &s.slots[i]
		}
	}
}

// rebuild gives a sub-table n slots and reports whether it shrank. Clean deleted
// keys are left behind, and with cold the clean ones that are not marked used.
func (t *Table) rebuild(s *sub, n int, cold bool) bool {
	slots, arena, taken := s.slots, s.arena, s.used
	t.bytes -= s.size()
	room := len(arena) - s.dead
	if cold {
		room = 0
	}
	s.slots, s.arena, s.used, s.dead, s.gone = make([]slot, n), make([]byte, 0, room), 0, 0, 0
	for _, sl := range slots {
		if sl.off == 0 {
			continue
		}
		deleted := binary.LittleEndian.Uint32(arena[sl.off+3:]) == absent
		if sl.dirty() == 0 && (deleted || cold && sl.mark == 0) {
			if !deleted {
				t.live--
			}
			continue
		}
		if deleted {
			s.gone++
		}
		s.adopt(s.place(sl), arena)
	}
	t.bytes += s.size()
	return s.used < taken
}

// split parts a full sub-table by its next hash bit and doubles the directory
// when it must.
func (t *Table) split(s *sub) {
	if s.depth == t.depth {
		dir := make([]*sub, 2*len(t.dir))
		for i := range dir {
			dir[i] = t.dir[i/2]
		}
		t.dir, t.depth = dir, t.depth+1
	}
	bit := uint64(1) << (63 - s.depth)
	low := &sub{slots: make([]slot, subMaxSlots), depth: s.depth + 1, pos: s.pos}
	high := &sub{slots: make([]slot, subMaxSlots), depth: s.depth + 1, pos: s.pos | bit}
	for _, sl := range s.slots {
		if sl.off == 0 || sl.dirty() == 0 && s.deleted(&sl) {
			continue
		}
		to := low
		if sl.hash&bit != 0 {
			to = high
		}
		if s.deleted(&sl) {
			to.gone++
		}
		to.adopt(to.place(sl), s.arena)
	}
	t.bytes += low.size() + high.size() - s.size()
	from, n := s.pos>>(64-t.depth), uint64(1)<<(t.depth-s.depth)
	for i := range n {
		if i < n/2 {
			t.dir[from+i] = low
		} else {
			t.dir[from+i] = high
		}
	}
}

// Len returns the number of keys in memory.
func (t *Table) Len() int { return t.live }

// Dirty returns the number of keys changed since the last commit.
func (t *Table) Dirty() int { return len(t.undo.recs) }

// EachDirty calls f for every key changed since the last commit with its value
// of now, in the order of first change.
func (t *Table) EachDirty(f func(key, value []byte, deleted bool)) {
	for _, r := range t.undo.recs {
		key := t.undo.key(r)
		s := t.sub(r.hash)
		sl := s.find(key, r.hash)
		if s.deleted(sl) {
			f(key, nil, true)
			continue
		}
		_, v := s.entry(sl)
		f(key, v, false)
	}
}

// Commit makes the changes committed ones.
func (t *Table) Commit() {
	for _, r := range t.undo.recs {
		s := t.sub(r.hash)
		s.find(t.undo.key(r), r.hash).clean()
	}
	t.clearUndo()
}

// Rollback takes every change since the last commit back.
func (t *Table) Rollback() {
	log := t.undo
	t.undo = undoLog{}
	for _, r := range log.recs {
		key := log.key(r)
		s := t.sub(r.hash)
		s.find(key, r.hash).clean()
		if old, ok := log.old(r); ok {
			t.Put(key, old)
		} else {
			t.Delete(key)
		}
	}
	for _, r := range t.undo.recs {
		s := t.sub(r.hash)
		s.find(t.undo.key(r), r.hash).clean()
	}
	t.clearUndo()
}

// maxIdleUndo is the capacity that a hardly used undo log keeps.
const maxIdleUndo = 4 << 10

func (t *Table) clearUndo() {
	if cap(t.undo.buf) > maxIdleUndo && len(t.undo.buf) < cap(t.undo.buf)/8 {
		t.undo = undoLog{}
	}
	t.undo.recs, t.undo.buf = t.undo.recs[:0], t.undo.buf[:0]
}

// Each calls f for every key until it answers false: those in memory in hash
// order, then the others in theirs.
func (t *Table) Each(f func(key, value []byte) bool) {
	more := true
	t.eachInMemory(func(key, value []byte) bool {
		more = f(key, value)
		return more
	})
	if !more || t.disk == nil {
		return
	}
	t.disk.each(func(key, value []byte) bool {
		hash := hashOf(key)
		if s := t.sub(hash); s.find(key, hash).off != 0 {
			return true // changed or deleted since, or seen above
		}
		return f(key, value)
	})
}

func (t *Table) eachInMemory(f func(key, value []byte) bool) {
	for pos, more := uint64(0), true; more; {
		var s *sub
		if s, pos, more = t.at(pos); s == nil {
			return
		}
		for i := range s.slots {
			if sl := &s.slots[i]; sl.off != 0 && !s.deleted(sl) {
				if !f(s.entry(sl)) {
					return
				}
			}
		}
	}
}

// EachCommitted calls f for every committed key of the sub-table at pos and
// returns the next position and whether there is one. Splits between two calls
// neither repeat nor lose a key. It knows only what is in memory.
func (t *Table) EachCommitted(pos uint64, f func(key, value []byte)) (next uint64, more bool) {
	s, next, more := t.at(pos)
	if s == nil {
		return 0, false
	}
	for i := range s.slots {
		sl := &s.slots[i]
		if sl.off == 0 || sl.hash < pos {
			continue
		}
		key, v := s.entry(sl)
		if sl.dirty() != 0 {
			old, ok := t.undo.old(t.undo.recs[sl.dirty()-1])
			if ok {
				f(key, old)
			}
		} else if !s.deleted(sl) {
			f(key, v)
		}
	}
	return next, more
}

// at returns the sub-table that holds hash position pos, the position behind
// it, and whether there is one.
func (t *Table) at(pos uint64) (*sub, uint64, bool) {
	if t.dir == nil {
		return nil, 0, false
	}
	s := t.sub(pos)
	if s.depth == 0 {
		return s, 0, false
	}
	next := s.pos + 1<<(64-s.depth)
	return s, next, next != 0
}
