package broker

import (
	"context"
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Txn is the handle through which one unit commits. Opening its id again fences
// it. It holds nothing durable: the data-directory lock keeps other processes
// out.
type Txn struct {
	b     *Broker
	id    string
	token uint64
}

// OpenTxn returns the newest handle of an id; every older one is fenced from now
// on: a commit of it either was queued before, and Committed waits for it, or
// has the outcome Fenced.
func (b *Broker) OpenTxn(id string) (*Txn, error) {
	if b.closed.Load() {
		return nil, ErrClosed
	}
	if err := b.wal.Err(); err != nil {
		return nil, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.handles[id]++
	return &Txn{b: b, id: id, token: b.handles[id]}, nil
}

// Commit is Broker.Commit, fenced by the handle.
func (t *Txn) Commit(c Commit, done func(CommitResult)) {
	c.Fence = t
	t.b.Commit(c, done)
}

// Close gives the handle up. A commit that was started goes on.
func (t *Txn) Close() {
	t.b.mu.Lock()
	defer t.b.mu.Unlock()
	if t.b.handles[t.id] == t.token {
		// The next handle must have another token: count on, keep the entry.
		t.b.handles[t.id]++
	}
}

// Commit makes a set of appends and offsets durable and visible at once, as one
// frame. It returns at once; done is called exactly once, from any goroutine.
// Offsets of any group may be committed, protected ones too: this is the
// engine's entrance.
func (b *Broker) Commit(c Commit, done func(CommitResult)) {
	ch, err := b.prepareCommit(c)
	if err != nil {
		done(CommitResult{Outcome: Aborted, Err: err})
		return
	}
	size := int64(ch.frame.Len())
	if b.wal.TryReserve(size) {
		ch.reserved = size
		b.finishCommit(c, ch, done)
		return
	}
	go func() { // ends when there is room, or the log fails or closes
		if err := b.reserve(ch, size); err != nil {
			done(CommitResult{Outcome: Aborted, Err: err})
			return
		}
		b.finishCommit(c, ch, done)
	}()
}

// prepareCommit checks a commit and copies its batches into a frame.
func (b *Broker) prepareCommit(c Commit) (*change, error) {
	if b.closed.Load() {
		return nil, ErrClosed
	}
	if err := b.wal.Err(); err != nil {
		return nil, err
	}
	size := 0
	for _, a := range c.Appends {
		size += len(a.Batches) + wal.BatchesEntryBytes
	}
	if size > b.cfg.Limits.FrameMaxBytes {
		return nil, fmt.Errorf("%w: a commit of %d bytes passes wal.frame.max.bytes = %d", ErrInvalid, size, b.cfg.Limits.FrameMaxBytes)
	}
	ch := newChange(size + 64*len(c.Offsets) + 64)
	for _, a := range c.Appends {
		if len(a.Batches) == 0 {
			continue
		}
		p := b.topics.partition(a.TP)
		if p == nil {
			return nil, fmt.Errorf("append %s: %w", a.TP, ErrUnknownTopic)
		}
		info, err := inspectAppend(a)
		if err != nil {
			return nil, err
		}
		ch.append(p, a.Batches, info)
	}
	return ch, nil
}

// inspectAppend checks the headers of an append. The caller sealed the batches:
// nothing is done per record.
func inspectAppend(a Append) (log.Info, error) {
	info, err := log.Inspect(a.Batches)
	if err != nil {
		return info, fmt.Errorf("append %s: %w: %w", a.TP, ErrInvalid, err)
	}
	if !info.Plain || info.Offsets != int64(a.Records) {
		return info, fmt.Errorf("append %s: %w: batches must be plain and hold the %d records they are said to, not %d", a.TP, ErrInvalid, a.Records, info.Offsets)
	}
	return info, nil
}

// finishCommit queues a prepared commit that has room in the log.
func (b *Broker) finishCommit(c Commit, ch *change, done func(CommitResult)) {
	queued := false
	validate := func() error {
		if c.Fence != nil && b.handles[c.Fence.id] != c.Fence.token {
			return fmt.Errorf("%w: %q", ErrFenced, c.Fence.id)
		}
		if err := ch.checkLive(); err != nil {
			return err
		}
		b.stageOffsets(ch, c.Offsets)
		queued = true
		return nil
	}
	b.submit(ch, validate, func(err error) {
		switch {
		case err == nil:
			done(CommitResult{Outcome: Committed, BaseOffsets: ch.baseOffsets(c.Appends)})
		case errors.Is(err, ErrFenced):
			done(CommitResult{Outcome: Fenced, Err: err})
		case !queued || errors.Is(err, wal.ErrClosed) || errors.Is(err, wal.ErrDiskFull):
			done(CommitResult{Outcome: Aborted, Err: err})
		default:
			done(CommitResult{Outcome: Unknown, Err: err})
		}
	})
}

// checkLive verifies that no append goes to a deleted topic. The caller holds
// Broker.mu.
func (c *change) checkLive() error {
	for i := range c.appends {
		if c.appends[i].p.deleted {
			return fmt.Errorf("append %s: %w", c.appends[i].p.tp, ErrUnknownTopic)
		}
	}
	return nil
}

// baseOffsets returns one offset per append, -1 for an empty one.
func (c *change) baseOffsets(appends []Append) []kafka.Offset {
	bases := make([]kafka.Offset, len(appends))
	next := 0
	for i, a := range appends {
		bases[i] = -1
		if len(a.Batches) > 0 {
			bases[i] = c.appends[next].base
			next++
		}
	}
	return bases
}

// stageOffsets adds offsets of any groups to a change, an event for each run of
// one group. The caller holds Broker.mu.
func (b *Broker) stageOffsets(c *change, offsets []GroupOffset) {
	now := b.now()
	for len(offsets) > 0 {
		e := &offsetsCommitted{group: offsets[0].Group, offsets: make(groupOffsets, len(offsets))}
		n := 0
		for ; n < len(offsets) && offsets[n].Group == e.group; n++ {
			e.offsets[offsets[n].TP] = committed{next: offsets[n].Next, leaderEpoch: -1, at: now}
		}
		b.stage(c, e)
		offsets = offsets[n:]
	}
}

// Committed returns the offsets that a group has committed, -1 where there is
// none. It waits until everything that was queued before is durable, so that
// after an unknown outcome it tells which one it was.
func (b *Broker) Committed(ctx context.Context, group string, tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	settled := make(chan error, 1)
	b.mu.Lock()
	b.wal.Barrier(func(_ uint64, err error) { settled <- err })
	b.mu.Unlock()
	select {
	case err := <-settled:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	next := make([]kafka.Offset, len(tps))
	for i, tp := range tps {
		next[i] = -1
		c, ok, unstable := b.offsets.get(group, tp)
		if unstable {
			return nil, fmt.Errorf("group %s: an open transaction may still change the offset of %s", group, tp)
		}
		if ok {
			next[i] = c.next
		}
	}
	return next, nil
}

// Apply makes a set of metadata changes, appends and offsets in one atomic
// frame: after a crash either all of it or nothing happened. It validates
// everything first and waits until the frame is durable and visible.
func (b *Broker) Apply(m Metadata) error {
	if b.closed.Load() {
		return ErrClosed
	}
	size := 256 * (len(m.CreateTopics) + len(m.Offsets) + 1)
	for _, a := range m.Appends {
		size += len(a.Batches) + wal.BatchesEntryBytes
	}
	apply := func() error {
		c := newChange(size)
		c.frame.Urgent = m.onlyDeletes()
		if err := b.reserve(c, int64(size)); err != nil {
			return err
		}
		errs := make(chan error, 1)
		b.submit(c, func() error { return b.stageMetadata(c, m) }, func(err error) { errs <- err })
		return <-errs
	}
	if m.onlyDeletes() {
		return b.urgently(apply)
	}
	return apply()
}

// onlyDeletes reports whether m only frees space.
func (m *Metadata) onlyDeletes() bool {
	return len(m.DeleteTopics) > 0 && len(m.CreateTopics)+len(m.Appends)+len(m.Offsets) == 0
}

// stageMetadata validates m as a whole and stages it. The caller holds Broker.mu.
func (b *Broker) stageMetadata(c *change, m Metadata) error {
	deleted := map[string]*topic{}
	for _, name := range m.DeleteTopics {
		t := b.topics.get(name)
		if t == nil {
			return fmt.Errorf("delete topic %s: %w", name, ErrUnknownTopic)
		}
		deleted[name] = t
	}
	created := map[string]*topicCreated{}
	for _, spec := range m.CreateTopics {
		if created[spec.Name] != nil {
			return fmt.Errorf("create topic %s: %w twice in one change", spec.Name, ErrTopicExists)
		}
		e, err := b.newTopic(spec, deleted[spec.Name] != nil)
		if err != nil {
			return fmt.Errorf("create topic %s: %w", spec.Name, err)
		}
		created[spec.Name] = e
	}
	infos := make([]log.Info, len(m.Appends))
	for i, a := range m.Appends {
		n := int32(0)
		if e := created[a.TP.Topic]; e != nil {
			n = e.partitions
		} else if t := b.topics.get(a.TP.Topic); t != nil && deleted[a.TP.Topic] == nil {
			n = int32(len(t.partitions()))
		}
		if a.TP.Partition < 0 || a.TP.Partition >= n {
			return fmt.Errorf("append %s: %w", a.TP, ErrUnknownTopic)
		}
		var err error
		if infos[i], err = inspectAppend(a); err != nil {
			return err
		}
	}
	// Nothing can fail from here on.
	for _, name := range m.DeleteTopics {
		b.stage(c, &topicDeleted{id: deleted[name].id})
	}
	for _, spec := range m.CreateTopics {
		b.stage(c, created[spec.Name])
	}
	for i, a := range m.Appends {
		if len(a.Batches) > 0 {
			b.topics.mu.RLock()
			p := b.topics.byName[a.TP.Topic].parts[a.TP.Partition]
			b.topics.mu.RUnlock()
			c.append(p, a.Batches, infos[i])
		}
	}
	for _, g := range m.DeleteGroups {
		b.stage(c, &groupDeleted{group: g})
	}
	b.stageOffsets(c, m.Offsets)
	return nil
}

// newTopic validates a topic and gives it an id. replaces says that the topic of
// the same name is deleted in the same change. The caller holds Broker.mu.
func (b *Broker) newTopic(spec TopicSpec, replaces bool) (*topicCreated, error) {
	if spec.Partitions == 0 {
		spec.Partitions = b.cfg.DefaultPartitions
	}
	_, err := b.checkNew(spec)
	if err != nil && !(replaces && errors.Is(err, ErrTopicExists)) {
		return nil, err
	}
	id, err := newTopicID()
	if err != nil {
		return nil, err
	}
	return &topicCreated{id: id, name: spec.Name, partitions: spec.Partitions, internal: spec.Internal, configs: spec.Configs}, nil
}

// DeleteRecords raises the log start offset: records below before are gone. It
// works on internal topics too.
func (b *Broker) DeleteRecords(tp kafka.TopicPartition, before kafka.Offset) error {
	p := b.topics.partition(tp)
	if p == nil {
		return fmt.Errorf("delete records of %s: %w", tp, ErrUnknownTopic)
	}
	if hw := p.Bounds().HighWatermark; before < 0 || before > hw {
		return fmt.Errorf("delete records of %s below %d: %w: high watermark is %d", tp, before, ErrOffsetOutOfRange, hw)
	}
	return b.raiseLogStart(p, before)
}
