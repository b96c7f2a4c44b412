package state

import (
	"slices"
)

// The methods of this file are for pull queries: they take the lock themselves,
// briefly, and see committed values only.

// Get calls f with a key's committed value in every segment from first to last
// where it has one, in ascending order. The value dies with the call. Errors are
// those of the disk.
func (s *Store) Get(key []byte, first, last int64, f func(segment int64, value []byte)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.committedSegments() {
		if id < first || id > last {
			continue
		}
		if v, ok := s.committedTable(id).Committed(key); ok {
			f(id, v)
		}
	}
	return s.err
}

// Scan calls f with every committed key in segments from first to last, until it
// answers false. It holds the lock for one sub-table at a time, so that a task
// is never kept waiting for a scan; f runs without it. Keys and values are the
// callee's to keep. Errors are those of the disk.
func (s *Store) Scan(first, last int64, f func(segment int64, key, value []byte) bool) error {
	s.mu.Lock()
	ids := append([]int64(nil), s.committedSegments()...)
	s.mu.Unlock()
	for _, id := range ids {
		if id < first || id > last {
			continue
		}
		if more, err := s.scanSegment(id, f); err != nil || !more {
			return err
		}
	}
	return nil
}

// scanSegment scans one segment: in memory while all of it is there, and from
// where entries were evicted on disk, which holds exactly what is committed.
func (s *Store) scanSegment(id int64, f func(segment int64, key, value []byte) bool) (bool, error) {
	type pair struct{ key, value []byte }
	var pairs []pair
	for pos, more := uint64(0), true; more; {
		pairs = pairs[:0]
		s.mu.Lock()
		t := s.committedTable(id)
		if t == nil {
			s.mu.Unlock()
			break
		}
		if t.disk != nil {
			s.mu.Unlock()
			return s.scanDisk(id, pos, f)
		}
		pos, more = t.EachCommitted(pos, func(k, v []byte) {
			pairs = append(pairs, pair{append([]byte(nil), k...), append([]byte{}, v...)})
		})
		s.mu.Unlock()
		for _, p := range pairs {
			if !f(id, p.key, p.value) {
				return false, nil
			}
		}
	}
	return true, nil
}

// scanDisk gives the keys of a segment whose hash position is at least pos: the
// others were given from memory.
func (s *Store) scanDisk(id int64, pos uint64, f func(segment int64, key, value []byte) bool) (more bool, err error) {
	more = true
	var from []byte
	for more {
		n := 0
		var again bool
		again, err = s.mirror.walk(id, from, func(key, value []byte) bool {
			if from != nil && string(from) == string(key) {
				return true
			}
			if n++; n > scanPiece {
				return false
			}
			from = append([]byte{}, key...)
			if hashOf(key) >= pos {
				more = f(id, append([]byte(nil), key...), append([]byte{}, value...))
			}
			return more
		})
		if err != nil || !again {
			break
		}
	}
	return more && err == nil, err
}

// scanPiece is the number of keys that a scan reads from disk at a time: what it
// holds there must not be kept from the store for as long as a slow reader takes.
const scanPiece = 1000

// committedSegments returns the segments that may hold committed keys.
func (s *Store) committedSegments() []int64 {
	if len(s.dropped) == 0 {
		return s.order
	}
	ids := append([]int64(nil), s.order...)
	for id := range s.dropped {
		if s.segments[id] == nil {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

func (s *Store) committedTable(id int64) *Table {
	if t := s.dropped[id]; t != nil {
		return t
	}
	return s.segments[id]
}
