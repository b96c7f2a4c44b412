package state

import (
	"slices"
)

// The methods of this file are for pull queries: they take the lock themselves,
// briefly, and see committed values only.

// Get calls f with a key's committed value in every segment from first to last
// where it has one, in ascending order. The value dies with the call.
func (s *Store) Get(key []byte, first, last int64, f func(segment int64, value []byte)) {
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
}

// Scan calls f with every committed key in segments from first to last, until it
// answers false. It holds the lock for one sub-table at a time, so that a task
// is never kept waiting for a scan; f runs without it. Keys and values are the
// callee's to keep.
func (s *Store) Scan(first, last int64, f func(segment int64, key, value []byte) bool) {
	s.mu.Lock()
	ids := append([]int64(nil), s.committedSegments()...)
	s.mu.Unlock()
	type pair struct{ key, value []byte }
	var pairs []pair
	for _, id := range ids {
		if id < first || id > last {
			continue
		}
		for pos, more := uint64(0), true; more; {
			pairs = pairs[:0]
			s.mu.Lock()
			t := s.committedTable(id)
			if t == nil {
				s.mu.Unlock()
				break
			}
			pos, more = t.EachCommitted(pos, func(k, v []byte) {
				pairs = append(pairs, pair{append([]byte(nil), k...), append([]byte{}, v...)})
			})
			s.mu.Unlock()
			for _, p := range pairs {
				if !f(id, p.key, p.value) {
					return
				}
			}
		}
	}
}

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
