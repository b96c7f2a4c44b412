package state

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
)

// Tags of changelog keys.
const (
	tagPlain   = 0x00
	tagSegment = 0x01
	tagNote    = 0xFF
)

var errBadKey = errors.New("state: malformed changelog key")

// Store is an operator's state in one task: tables by segment, and notes. All
// methods but the readers of read.go want the lock held, which the task takes
// for a run.
type Store struct {
	// Name is unique in the query; Backed says that a changelog keeps it.
	Name   string
	Backed bool

	mu       sync.Mutex
	segments map[int64]*Table
	order    []int64 // keys of segments, ascending
	// dropped are the segments that expired since the last commit.
	dropped map[int64]*Table
	notes   Table
	// touched are the segments used since the last commit: the only ones that
	// can have changes.
	touched map[int64]struct{}
	// last and lastID are the segment used last, which is touched.
	last   *Table
	lastID int64
	keyBuf []byte

	// Of budget.go: what the store holds beyond memory, and how much in it.
	mirror   *Mirror
	budget   *Budget
	charged  int64
	overhead int64
	err      error // of the disk
}

// NewStore returns an empty store.
func NewStore(name string, backed bool) *Store {
	return &Store{Name: name, Backed: backed, segments: map[int64]*Table{}, dropped: map[int64]*Table{}, touched: map[int64]struct{}{}}
}

// Lock takes the store for a run of its task.
func (s *Store) Lock() { s.mu.Lock() }

// Unlock gives the store back.
func (s *Store) Unlock() { s.mu.Unlock() }

// Plain returns the table of a store without windows.
func (s *Store) Plain() *Table { return s.Open(0) }

// Open returns a segment's table, which it makes when there is none.
func (s *Store) Open(segment int64) *Table {
	if s.last != nil && s.lastID == segment {
		return s.last
	}
	t := s.segments[segment]
	if t == nil {
		t = s.dropped[segment]
		if t != nil {
			// A segment that comes back since the commit goes on with its undo log.
			delete(s.dropped, segment)
			for _, k := range keysOf(t) {
				t.Delete(k)
			}
		} else {
			t = new(Table)
		}
		s.add(segment, t)
	}
	s.touch(segment, t)
	return t
}

func (s *Store) touch(segment int64, t *Table) {
	s.last, s.lastID = t, segment
	s.touched[segment] = struct{}{}
}

// changed returns the touched segments that exist, ascending.
func (s *Store) changed() []int64 {
	ids := make([]int64, 0, len(s.touched))
	for id := range s.touched {
		if s.segments[id] != nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *Store) add(segment int64, t *Table) {
	s.segments[segment] = t
	at, _ := slices.BinarySearch(s.order, segment)
	s.order = slices.Insert(s.order, at, segment)
}

func keysOf(t *Table) (keys [][]byte) {
	t.Each(func(k, _ []byte) bool {
		keys = append(keys, append([]byte(nil), k...))
		return true
	})
	return keys
}

// Find returns a segment's table, nil when there is none.
func (s *Store) Find(segment int64) *Table {
	if s.last != nil && s.lastID == segment {
		return s.last
	}
	t := s.segments[segment]
	if t != nil {
		s.touch(segment, t)
	}
	return t
}

// Segments returns the segments in ascending order. The caller must not keep it
// across changes.
func (s *Store) Segments() []int64 { return s.order }

// Drop removes a segment with all its keys.
func (s *Store) Drop(segment int64) {
	t := s.segments[segment]
	if t == nil {
		return
	}
	s.remove(segment)
	if before := s.dropped[segment]; before != nil {
		panic("state: a segment was dropped twice between commits")
	}
	s.dropped[segment] = t
}

func (s *Store) remove(segment int64) {
	if t := s.segments[segment]; t != nil {
		s.charge(-t.charged)
		t.charged = 0
	}
	delete(s.segments, segment)
	if at, ok := slices.BinarySearch(s.order, segment); ok {
		s.order = slices.Delete(s.order, at, at+1)
	}
	s.last = nil
}

// Note returns an operator's note, nil when there is none.
func (s *Store) Note(name string) []byte {
	v, _ := s.notes.Get([]byte(name))
	return v
}

// SetNote sets an operator's note.
func (s *Store) SetNote(name string, value []byte) { s.notes.Put([]byte(name), value) }

// Int64Note returns a note that holds a number.
func (s *Store) Int64Note(name string, absent int64) int64 {
	if v := s.Note(name); len(v) == 8 {
		return int64(binary.BigEndian.Uint64(v))
	}
	return absent
}

// SetInt64Note sets a note to a number.
func (s *Store) SetInt64Note(name string, v int64) {
	binary.BigEndian.PutUint64(s.notes.Slot([]byte(name), 8, false), uint64(v))
}

// Changes calls f for every changelog record of the changes since the last
// commit: one per dirty key, in a fixed order; a nil value deletes. Key and
// value die with the call. An error is the disk's: changes are missing then.
func (s *Store) Changes(f func(key, value []byte)) error {
	gone := make([]int64, 0, len(s.dropped))
	for id := range s.dropped {
		gone = append(gone, id)
	}
	slices.Sort(gone)
	for _, id := range gone {
		s.eachCommitted(id, s.dropped[id], func(key, _ []byte) { f(s.changeKey(id, key), nil) })
	}
	for _, id := range s.changed() {
		s.segments[id].EachDirty(func(key, value []byte, deleted bool) {
			if deleted {
				f(s.changeKey(id, key), nil)
			} else {
				f(s.changeKey(id, key), notNil(value))
			}
		})
	}
	s.notes.EachDirty(func(key, value []byte, _ bool) {
		s.keyBuf = append(append(s.keyBuf[:0], tagNote), key...)
		f(s.keyBuf, notNil(value))
	})
	return s.err
}

// notNil keeps an empty value apart from none.
func notNil(v []byte) []byte {
	if v == nil {
		return []byte{}
	}
	return v
}

// eachCommitted walks the committed keys of a segment's table.
func (s *Store) eachCommitted(id int64, t *Table, f func(key, value []byte)) {
	if t.disk != nil {
		// The disk holds what is committed, no more and no less.
		_, err := s.mirror.walk(id, nil, func(key, value []byte) bool { f(key, value); return true })
		s.note(err)
		return
	}
	for pos, more := uint64(0), true; more; {
		pos, more = t.EachCommitted(pos, f)
	}
}

func (s *Store) changeKey(segment int64, key []byte) []byte {
	s.keyBuf = appendChangeKey(s.keyBuf[:0], segment, key)
	return s.keyBuf
}

// appendChangeKey appends the changelog key of a key in a segment.
func appendChangeKey(dst []byte, segment int64, key []byte) []byte {
	if segment == 0 {
		return append(append(dst, tagPlain), key...)
	}
	dst = binary.BigEndian.AppendUint64(append(dst, tagSegment), uint64(segment)^1<<63)
	return append(dst, key...)
}

// Restore applies one changelog record; a nil value deletes.
func (s *Store) Restore(key, value []byte) error {
	if len(key) == 0 {
		return errBadKey
	}
	var t *Table
	switch tag := key[0]; tag {
	case tagPlain:
		t, key = s.Open(0), key[1:]
	case tagNote:
		t, key = &s.notes, key[1:]
	case tagSegment:
		if len(key) < 9 {
			return errBadKey
		}
		t, key = s.Open(int64(binary.BigEndian.Uint64(key[1:])^1<<63)), key[9:]
	default:
		return fmt.Errorf("%w: tag %d", errBadKey, tag)
	}
	if value == nil {
		t.Delete(key)
	} else {
		t.Put(key, value)
	}
	return nil
}

// Dirty returns the number of keys changed since the last commit, about, and 0
// when there is none.
func (s *Store) Dirty() (n int) {
	for id := range s.touched {
		if t := s.segments[id]; t != nil {
			n += t.Dirty()
		}
	}
	for _, t := range s.dropped {
		n += max(1, t.Len())
	}
	return n + s.notes.Dirty()
}

// Commit makes the changes since the last one committed.
func (s *Store) Commit() {
	clear(s.dropped)
	for id := range s.touched {
		t := s.segments[id]
		if t == nil {
			continue
		}
		t.Commit()
		s.settle(id, t)
	}
	clear(s.touched)
	s.last = nil
	s.notes.Commit()
}

// settle accounts for a touched table and removes an empty one.
func (s *Store) settle(id int64, t *Table) {
	if t.Len() == 0 && id != 0 && (t.disk == nil || s.emptyOnDisk(id)) {
		s.remove(id)
		return
	}
	s.measure(t)
}

func (s *Store) emptyOnDisk(id int64) bool {
	empty := true
	_, err := s.mirror.walk(id, nil, func(_, _ []byte) bool { empty = false; return false })
	s.note(err)
	return empty && err == nil
}

// Rollback takes the changes since the last commit back.
func (s *Store) Rollback() {
	for id, t := range s.dropped {
		if s.segments[id] == nil {
			s.add(id, t)
			s.measure(t)
		}
	}
	clear(s.dropped)
	for id := range s.touched {
		t := s.segments[id]
		if t == nil {
			continue
		}
		t.Rollback()
		s.settle(id, t)
	}
	clear(s.touched)
	s.last = nil
	s.notes.Rollback()
}

// Clear forgets everything, for a restore from the start.
func (s *Store) Clear() {
	s.charge(-s.charged)
	s.overhead, s.err = 0, nil
	s.segments, s.order, s.dropped, s.notes, s.last = map[int64]*Table{}, nil, map[int64]*Table{}, Table{}, nil
	clear(s.touched)
}
