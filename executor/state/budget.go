package state

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Budget bounds the memory of all stores that are attached to it. Stores account
// for what they hold when they commit and roll back; Reclaim makes the ones with
// a mirror on disk evict clean entries. A transaction may exceed the limit while
// it lasts.
type Budget struct {
	limit   int64
	charged atomic.Int64
	// again is what must be exceeded, too, for Reclaim to try again when it could
	// not get below the limit: not everything can be evicted.
	again atomic.Int64

	mu     sync.Mutex // guards what follows; before the stores' locks
	stores []*Store
	next   int // the store that evicts next
}

// NewBudget returns a budget of limit bytes.
func NewBudget(limit int64) *Budget { return &Budget{limit: limit} }

// Used returns the bytes that the attached stores hold.
func (b *Budget) Used() int64 { return b.charged.Load() }

// Exceeded reports whether the stores hold more than the limit.
func (b *Budget) Exceeded() bool { return b.charged.Load() > b.limit }

// reclaimPart is the share of the limit, as 1/reclaimPart, that Reclaim makes
// free beyond what is exceeded, so that it is not called for at every commit.
const reclaimPart = 8

// Reclaim evicts clean entries while the limit is exceeded: a share of every
// store's in turn, of the cold ones first. Stores that are in use are passed
// over. The caller holds no store's lock.
func (b *Budget) Reclaim() {
	if used := b.charged.Load(); used <= b.limit || used <= b.again.Load() || !b.mu.TryLock() {
		return
	}
	defer b.mu.Unlock()
	b.again.Store(0)
	visits := maxVisits
	// The first round takes the marks of what was used, the second evicts that.
	for range 2 * len(b.stores) {
		enough := b.charged.Load() - b.limit + b.limit/reclaimPart
		if enough <= 0 || visits <= 0 {
			return
		}
		b.next = (b.next + 1) % len(b.stores)
		if s := b.stores[b.next]; s.mu.TryLock() {
			s.evict(enough, &visits)
			s.mu.Unlock()
		}
	}
	b.again.Store(b.charged.Load() + b.limit/reclaimPart)
}

// maxVisits is the number of sub-tables that one Reclaim looks at, so that it
// takes milliseconds at most; the next one goes on from there.
const maxVisits = 1024

func (b *Budget) add(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stores = append(b.stores, s)
}

func (b *Budget) remove(s *Store) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if at := slices.Index(b.stores, s); at >= 0 {
		b.stores = slices.Delete(b.stores, at, at+1)
	}
}

// Attach makes a budget account for the store and, with a mirror, evict from it.
// A store without one stays in memory whole.
func (s *Store) Attach(b *Budget, m *Mirror) {
	s.budget, s.mirror = b, m
	b.add(s)
}

// Detach ends the accounting when the task is closed. Readers may go on.
func (s *Store) Detach() {
	if s.budget == nil {
		return
	}
	s.budget.remove(s)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.budget.charged.Add(-s.charged)
	s.budget, s.charged = nil, 0
}

// SetOverhead accounts for memory that the operator keeps beside the store.
func (s *Store) SetOverhead(bytes int64) {
	s.charge(bytes - s.overhead)
	s.overhead = bytes
}

func (s *Store) charge(bytes int64) {
	s.charged += bytes
	if s.budget != nil {
		s.budget.charged.Add(bytes)
	}
}

// measure accounts for a table as it is now.
func (s *Store) measure(t *Table) {
	size := t.size()
	s.charge(size - t.charged)
	t.charged = size
}

// evict frees about enough bytes, the oldest segments first, and takes the
// sub-tables that it looks at off visits; the lock is held.
func (s *Store) evict(enough int64, visits *int) {
	if s.mirror == nil || s.err != nil {
		return
	}
	for _, id := range s.order {
		if enough <= 0 || *visits <= 0 {
			return
		}
		t := s.segments[id]
		d := t.disk
		if d == nil {
			d = &segmentDisk{store: s, id: id}
		}
		enough -= t.evict(enough, visits, d)
		s.measure(t)
	}
}

// LoadPartly makes a store usable whose mirror was not loaded to its end: the
// notes are read, everything else is looked up on disk when it is missed.
func (s *Store) LoadPartly() error {
	if err := s.mirror.notes(func(key, value []byte) error { return s.Restore(key, value) }); err != nil {
		return err
	}
	s.notes.Commit()
	return s.mirror.segments(func(id int64) {
		t := s.Open(id)
		if t.disk == nil {
			t.disk = &segmentDisk{store: s, id: id}
		}
	})
}

// Complete reports whether everything that the store holds is in memory.
func (s *Store) Complete() bool {
	for _, t := range s.segments {
		if t.disk != nil {
			return false
		}
	}
	return true
}

// Err returns the first error of the disk behind the store. What a run computed
// since then is worthless.
func (s *Store) Err() error { return s.err }

func (s *Store) note(err error) {
	if s.err == nil {
		s.err = err
	}
}
