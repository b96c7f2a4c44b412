package broker

import (
	"maps"
	"slices"
	"sync"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// committed is an offset that a group committed.
type committed struct {
	next        kafka.Offset
	leaderEpoch int32
	metadata    string
	at          kafka.Timestamp
}

type groupOffsets map[kafka.TopicPartition]committed

// offsetStore holds the committed offsets of all groups, and those that open
// transactions will commit.
type offsetStore struct {
	mu      sync.RWMutex // a leaf lock, guards all below
	byGroup map[string]groupOffsets
	// held: durable offsets of open transactions, by producer and group.
	held map[kafka.ProducerID]map[string]heldOffsets
	// unstable counts, per group, the offsets of open transactions, from the
	// moment that they are queued until the transaction's end is published.
	unstable map[string]map[kafka.TopicPartition]int
}

// heldOffset is an offset that an open transaction will commit. times is how
// often the transaction set it.
type heldOffset struct {
	committed
	times int
}

type heldOffsets map[kafka.TopicPartition]heldOffset

func (s *offsetStore) init() {
	s.byGroup = map[string]groupOffsets{}
	s.held = map[kafka.ProducerID]map[string]heldOffsets{}
	s.unstable = map[string]map[kafka.TopicPartition]int{}
}

// count adds n to the open offsets of a group and topic-partition. The caller
// holds mu.
func (s *offsetStore) count(group string, tp kafka.TopicPartition, n int) {
	g := s.unstable[group]
	if g == nil {
		g = map[kafka.TopicPartition]int{}
		s.unstable[group] = g
	}
	if g[tp] += n; g[tp] <= 0 {
		delete(g, tp)
	}
	if len(g) == 0 {
		delete(s.unstable, group)
	}
}

// hold adds an offset to a producer's open transaction. The caller holds mu.
func (s *offsetStore) hold(pid kafka.ProducerID, group string, tp kafka.TopicPartition, c committed, times int) {
	groups := s.held[pid]
	if groups == nil {
		groups = map[string]heldOffsets{}
		s.held[pid] = groups
	}
	if groups[group] == nil {
		groups[group] = heldOffsets{}
	}
	groups[group][tp] = heldOffset{c, groups[group][tp].times + times}
}

// get returns a committed offset; unstable says that an open transaction may
// still change it.
func (s *offsetStore) get(group string, tp kafka.TopicPartition) (c committed, ok, unstable bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok = s.byGroup[group][tp]
	return c, ok, s.unstable[group][tp] > 0
}

// partitions returns every topic-partition for which a group has an offset.
func (s *offsetStore) partitions(group string) []kafka.TopicPartition {
	s.mu.RLock()
	defer s.mu.RUnlock()
	tps := slices.Collect(maps.Keys(s.byGroup[group]))
	slices.SortFunc(tps, compareTP)
	return tps
}

// has reports whether a group has offsets, or had some that are gone since the last
// pass of forgetEmpty.
func (s *offsetStore) has(group string) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byGroup[group] != nil
}

// groups returns the names of all groups that has knows.
func (s *offsetStore) groups() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.byGroup))
}

// set overwrites a group's offsets. The caller holds mu.
func (s *offsetStore) set(group string, offsets groupOffsets) {
	g := s.byGroup[group]
	if g == nil {
		g = groupOffsets{}
		s.byGroup[group] = g
	}
	maps.Copy(g, offsets)
}

// dropTopic forgets a deleted topic's offsets.
func (s *offsetStore) dropTopic(topic string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := func(tp kafka.TopicPartition, _ committed) bool { return tp.Topic == topic }
	for _, g := range s.byGroup {
		maps.DeleteFunc(g, gone)
	}
	for _, groups := range s.held {
		for name, g := range groups {
			for tp, o := range g {
				if tp.Topic == topic {
					delete(g, tp)
					s.count(name, tp, -o.times)
				}
			}
		}
	}
}

func encodeOffsets(w *wal.Encoder, offsets groupOffsets) {
	w.Uint(uint64(len(offsets)))
	for _, tp := range slices.SortedFunc(maps.Keys(offsets), compareTP) {
		c := offsets[tp]
		w.String(tp.Topic)
		w.Int(int64(tp.Partition))
		w.Int(int64(c.next))
		w.Int(int64(c.leaderEpoch))
		w.String(c.metadata)
		w.Int(int64(c.at))
	}
}

func decodeOffsets(d *wal.Decoder) groupOffsets {
	offsets := groupOffsets{}
	for range d.Count() {
		tp := kafka.TopicPartition{Topic: d.String(), Partition: int32(d.Int())}
		offsets[tp] = committed{kafka.Offset(d.Int()), int32(d.Int()), d.String(), kafka.Timestamp(d.Int())}
	}
	return offsets
}

// encode writes the published state for the checkpoint.
func (s *offsetStore) encode(w *wal.Encoder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.Uint(uint64(len(s.byGroup)))
	for _, name := range slices.Sorted(maps.Keys(s.byGroup)) {
		w.String(name)
		encodeOffsets(w, s.byGroup[name])
	}
}

func (s *offsetStore) decode(d *wal.Decoder) {
	for range d.Count() {
		name := d.String()
		s.byGroup[name] = decodeOffsets(d)
	}
}

// encodeHeld writes the open transactions' offsets for the checkpoint.
func (s *offsetStore) encodeHeld(w *wal.Encoder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.Uint(uint64(len(s.held)))
	for _, pid := range slices.Sorted(maps.Keys(s.held)) {
		w.Int(int64(pid))
		w.Uint(uint64(len(s.held[pid])))
		for _, name := range slices.Sorted(maps.Keys(s.held[pid])) {
			w.String(name)
			offsets := groupOffsets{}
			for tp, o := range s.held[pid][name] {
				offsets[tp] = o.committed
			}
			encodeOffsets(w, offsets)
		}
	}
}

func (s *offsetStore) decodeHeld(d *wal.Decoder) {
	for range d.Count() {
		pid := kafka.ProducerID(d.Int())
		for range d.Count() {
			name := d.String()
			for tp, c := range decodeOffsets(d) {
				s.hold(pid, name, tp, c, 1)
				s.count(name, tp, 1)
			}
		}
	}
}

// offsetsCommitted: group, offsets.
type offsetsCommitted struct {
	group   string
	offsets groupOffsets
}

func (*offsetsCommitted) kind() byte              { return kindOffsetsCommitted }
func (e *offsetsCommitted) encode(w *wal.Encoder) { w.String(e.group); encodeOffsets(w, e.offsets) }
func (e *offsetsCommitted) decode(d *wal.Decoder) { e.group, e.offsets = d.String(), decodeOffsets(d) }
func (*offsetsCommitted) stage(*Broker)           {}
func (*offsetsCommitted) undo(*Broker) func()     { return nil }
func (e *offsetsCommitted) publish(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	b.offsets.set(e.group, e.offsets)
}

// offsetsDeleted: group, topic-partitions (as offsets).
type offsetsDeleted struct {
	group   string
	offsets groupOffsets
}

func (*offsetsDeleted) kind() byte              { return kindOffsetsDeleted }
func (e *offsetsDeleted) encode(w *wal.Encoder) { w.String(e.group); encodeOffsets(w, e.offsets) }
func (e *offsetsDeleted) decode(d *wal.Decoder) { e.group, e.offsets = d.String(), decodeOffsets(d) }
func (*offsetsDeleted) stage(*Broker)           {}
func (*offsetsDeleted) undo(*Broker) func()     { return nil }
func (e *offsetsDeleted) publish(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	for tp := range e.offsets {
		delete(b.offsets.byGroup[e.group], tp)
	}
}

// txnOffsets: producer id, group, offsets that its transaction will commit.
type txnOffsets struct {
	pid     kafka.ProducerID
	group   string
	offsets groupOffsets
}

func (*txnOffsets) kind() byte { return kindTxnOffsets }
func (e *txnOffsets) encode(w *wal.Encoder) {
	w.Int(int64(e.pid))
	w.String(e.group)
	encodeOffsets(w, e.offsets)
}
func (e *txnOffsets) decode(d *wal.Decoder) {
	e.pid, e.group, e.offsets = kafka.ProducerID(d.Int()), d.String(), decodeOffsets(d)
}
func (e *txnOffsets) stage(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	for tp := range e.offsets {
		b.offsets.count(e.group, tp, 1)
	}
}
func (e *txnOffsets) undo(b *Broker) func() {
	return func() {
		b.offsets.mu.Lock()
		defer b.offsets.mu.Unlock()
		for tp := range e.offsets {
			b.offsets.count(e.group, tp, -1)
		}
	}
}
func (e *txnOffsets) publish(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	b.offsets.set(e.group, nil) // the group is known, though the transaction may abort
	for tp, c := range e.offsets {
		b.offsets.hold(e.pid, e.group, tp, c, 1)
	}
}

// txnOffsetsEnded: producer id, commit. It ends what was published before it.
type txnOffsetsEnded struct {
	pid    kafka.ProducerID
	commit bool
}

func (*txnOffsetsEnded) kind() byte              { return kindTxnOffsetsEnded }
func (e *txnOffsetsEnded) encode(w *wal.Encoder) { w.Int(int64(e.pid)); w.Bool(e.commit) }
func (e *txnOffsetsEnded) decode(d *wal.Decoder) {
	e.pid, e.commit = kafka.ProducerID(d.Int()), d.Bool()
}
func (*txnOffsetsEnded) stage(*Broker)       {}
func (*txnOffsetsEnded) undo(*Broker) func() { return nil }
func (e *txnOffsetsEnded) publish(b *Broker) {
	b.offsets.mu.Lock()
	defer b.offsets.mu.Unlock()
	for name, offsets := range b.offsets.held[e.pid] {
		done := groupOffsets{}
		for tp, o := range offsets {
			done[tp] = o.committed
			b.offsets.count(name, tp, -o.times)
		}
		if e.commit {
			b.offsets.set(name, done)
		}
	}
	delete(b.offsets.held, e.pid)
}

func compareTP(a, b kafka.TopicPartition) int {
	if a.Topic != b.Topic {
		if a.Topic < b.Topic {
			return -1
		}
		return 1
	}
	return int(a.Partition) - int(b.Partition)
}
