package broker

import (
	"errors"
	"slices"
	"sync"

	"github.com/millrace/millrace/broker/wal"
)

// refused undoes what frames staged that the log refused because the disk is
// full. From the first one on the log refuses every frame, since each was
// validated against those before it; undo takes Broker.mu, waits until all that
// was queued is refused too, takes it back in reverse order, and lets the log go
// on. So staged state is again what was published, and a client's retry is
// judged as if its first try had never come.
type refused struct {
	mu      sync.Mutex // a leaf lock, guards the next two
	changes []*change
	undoing chan struct{} // closed when the undoing that runs is done; nil when none runs
	done    sync.WaitGroup
}

// add takes note of a refused change. It is called by the committer, in order.
func (r *refused) add(b *Broker, c *change) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.changes = append(r.changes, c)
	if r.undoing == nil {
		r.undoing = make(chan struct{})
		r.done.Go(func() { r.undo(b) }) // ends by itself: the log answers everything
	}
}

// undo waits for the log with Broker.mu held, which nobody else may: no frame may
// be staged before all refused ones are taken back, and the committer's callbacks
// never take Broker.mu.
func (r *refused) undo(b *Broker) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wal.Drain()
	r.mu.Lock()
	changes := r.changes
	r.changes = nil
	r.mu.Unlock()
	for _, c := range slices.Backward(changes) {
		if err := b.unstage(c); err != nil {
			b.wal.Fence("undo a refused change", err)
		}
	}
	b.wal.Resume()
	r.mu.Lock()
	close(r.undoing)
	r.undoing = nil
	r.mu.Unlock()
}

// unstage takes back what a change staged. The caller holds Broker.mu.
func (b *Broker) unstage(c *change) error {
	for i := range slices.Backward(c.appends) {
		a := &c.appends[i]
		for _, s := range slices.Backward(a.producers) {
			a.p.producers.Restore(s)
		}
		a.p.next = a.base
	}
	for _, undo := range slices.Backward(c.undo) {
		undo()
	}
	return c.stuck
}

// wait waits until what was refused is undone.
func (r *refused) wait() {
	r.mu.Lock()
	undoing := r.undoing
	r.mu.Unlock()
	if undoing != nil {
		<-undoing
	}
}

// urgentAttempts is how often a change that frees space is tried when the disk
// is full: it may be refused together with others that were queued before it.
const urgentAttempts = 100

// urgently runs f, which submits an urgent change.
func (b *Broker) urgently(f func() error) error {
	var err error
	for range urgentAttempts {
		if err = f(); !errors.Is(err, wal.ErrDiskFull) {
			break
		}
		b.refused.wait()
	}
	return err
}
