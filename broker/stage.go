package broker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// change is a set of batches and events that becomes durable as one frame.
// Batches are added before submit, so that they are copied outside Broker.mu;
// events may be added by submit's validate function too.
type change struct {
	frame    *wal.Frame
	appends  []staged
	events   []event
	undo     []func() // takes the events' staged changes back
	stuck    error    // why that is not possible
	reserved int64
}

// staged is one append of a change.
type staged struct {
	p     *partition
	info  log.Info
	entry int // in the frame
	base  kafka.Offset
	// producers are the idempotent producers of the batches as they were before.
	producers []txn.SavedProducer
}

// newChange returns an empty change with room for payloadBytes.
func newChange(payloadBytes int) *change {
	return &change{frame: wal.NewFrame(payloadBytes)}
}

// append adds batches, whose headers were checked, to a partition.
func (c *change) append(p *partition, batches []byte, info log.Info) *staged {
	c.appends = append(c.appends, staged{p: p, info: info, entry: p.AddTo(c.frame, batches)})
	return &c.appends[len(c.appends)-1]
}

// summed says that the i-th append is one batch whose CRC is right.
func (c *change) summed(i int) {
	entry := c.appends[i].entry
	c.frame.Summed(entry, kafka.CRCFrom, kafka.Batch(c.frame.Batches(entry)).CRC())
}

// drop takes the i-th append out again.
func (c *change) drop(i int) {
	c.frame.Drop(c.appends[i].entry)
	c.appends = slices.Delete(c.appends, i, i+1)
}

// stage makes an event's staged change and adds it. The caller holds Broker.mu
// and has validated it.
func (b *Broker) stage(c *change, e event) {
	if u, ok := e.(undoer); !ok {
		c.stuck = fmt.Errorf("an event of kind %d cannot be taken back", e.kind())
	} else if undo := u.undo(b); undo != nil {
		c.undo = append(c.undo, undo)
	}
	e.stage(b)
	var enc wal.Encoder
	e.encode(&enc)
	c.frame.AddEvent(e.kind(), enc.Buf, b.encryption.sealer)
	c.events = append(c.events, e)
}

// submit makes a change durable and visible: the one path to the log. validate
// runs under Broker.mu; when it fails, nothing was changed. Then offsets are
// assigned and the frame is queued. done is called exactly once, from the
// committer unless validate failed: with nil when everything is durable and
// published, else with the reason. done may not block and may not take
// Broker.mu. submit returns validate's error, which done also gets.
func (b *Broker) submit(c *change, validate func() error, done func(error)) error {
	b.mu.Lock()
	if validate != nil {
		if err := validate(); err != nil {
			b.mu.Unlock()
			b.wal.Unreserve(c.reserved)
			done(err)
			return err
		}
	}
	if c.frame.Empty() {
		b.wal.Barrier(func(_ uint64, err error) { done(err) })
		b.mu.Unlock()
		b.wal.Unreserve(c.reserved)
		return nil
	}
	now := b.now()
	for i := range c.appends {
		a := &c.appends[i]
		a.base = a.p.next
		batches := c.frame.Batches(a.entry)
		log.Assign(batches, a.base, b.epoch)
		a.p.next += kafka.Offset(a.info.Offsets)
		if !a.info.Plain || kafka.Batch(batches).ProducerID() != kafka.NoProducerID {
			a.producers = a.p.noteProducers(batches, now)
		}
	}
	b.wal.Append(c.frame, c.reserved, func(at wal.Position, err error) { done(b.publish(c, at, err)) })
	b.mu.Unlock()
	return nil
}

// noteProducers updates the windows of idempotent producers and returns them as
// they were before each batch. The caller holds Broker.mu.
func (p *partition) noteProducers(batches []byte, now kafka.Timestamp) (before []txn.SavedProducer) {
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			break // checked before
		}
		if b.ProducerID() != kafka.NoProducerID {
			before = append(before, p.producers.Save(b.ProducerID()))
		}
		commit := false
		if b.Control() {
			commit, _ = log.MarkerCommits(b)
		}
		p.producers.Append(b, commit, now)
		batches = rest
	}
	return before
}

// publish makes a synced frame visible: records first, offsets and other events
// after them.
func (b *Broker) publish(c *change, at wal.Position, err error) error {
	if err != nil {
		if errors.Is(err, wal.ErrDiskFull) {
			b.refused.add(b, c)
		}
		return err
	}
	parts := make([]*log.Partition, 0, len(c.appends))
	bases := make([]kafka.Offset, 0, len(c.appends))
	for i := range c.events {
		if e, ok := c.events[i].(earlyPublisher); ok {
			e.publishEarly(b)
		}
	}
	for i := range c.appends {
		a := &c.appends[i]
		err := a.p.Publish(log.Published{
			Base: a.base, Next: a.base + kafka.Offset(a.info.Offsets), At: c.frame.At(at, a.entry),
			Info: a.info, Data: c.frame.Batches(a.entry), InMemory: true, Frame: c.frame,
		})
		if err != nil {
			return b.wal.Fence("publish "+a.p.tp.String(), err)
		}
		parts, bases = append(parts, a.p.Partition), append(bases, a.base)
	}
	for _, e := range c.events {
		e.publish(b)
	}
	if len(parts) > 0 {
		b.store.Kept(c.frame, parts, bases)
	}
	return nil
}

// submitWait is submit for callers that may block: it reserves room in the log,
// and returns when the change is durable.
func (b *Broker) submitWait(c *change, validate func() error) error {
	if err := b.reserve(c, int64(c.frame.Len())); err != nil {
		return err
	}
	errs := make(chan error, 1)
	b.submit(c, validate, func(err error) { errs <- err })
	return <-errs
}

// reserve waits for room in the log.
func (b *Broker) reserve(c *change, n int64) error {
	if n > int64(b.cfg.Limits.FrameMaxBytes) {
		return fmt.Errorf("%w: a commit of %d bytes passes wal.frame.max.bytes = %d", ErrInvalid, n, b.cfg.Limits.FrameMaxBytes)
	}
	wait := b.wal.Reserve
	if c.frame.Urgent {
		wait = b.wal.ReserveUrgent
	}
	if err := wait(n); err != nil {
		return err
	}
	c.reserved = n
	return nil
}
