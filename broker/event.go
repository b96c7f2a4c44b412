package broker

import (
	"fmt"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// event is a metadata event: what a frame holds besides record batches. The
// same two functions run when it happens and when it is recovered.
type event interface {
	kind() byte
	encode(*wal.Encoder)
	decode(*wal.Decoder)
	// stage changes what the next frames are validated against; the caller
	// holds Broker.mu. It cannot fail: the event was validated.
	stage(*Broker)
	// publish changes what readers see, once the event is durable. It runs in
	// the committer.
	publish(*Broker)
}

// An undoer is an event whose staged change can be taken back when its frame is
// refused because the disk is full. undo runs right before stage and returns what
// takes the change back, nil for nothing. It will run under Broker.mu, when
// everything that was staged later is taken back already. A refused frame with an
// event of another type fences the directory.
type undoer interface{ undo(*Broker) func() }

// earlyPublisher is an event that must be visible before the frame's records.
type earlyPublisher interface{ publishEarly(*Broker) }

// The kinds of events. A kind is never used again for something else.
const (
	kindTopicCreated     = 1
	kindTopicDeleted     = 2
	kindPartitionsAdded  = 3
	kindConfigsSet       = 4
	kindLogStart         = 5
	kindOffsetsCommitted = 6
	kindOffsetsDeleted   = 7
	kindGroupState       = 8
	kindGroupDeleted     = 9
	kindTxnChanged       = 10
	kindProducerID       = 11
	kindTxnOffsets       = 12
	kindTxnOffsetsEnded  = 13
	kindOffsetsExpired   = 40

	kindCredentialSet     = 20
	kindCredentialDeleted = 21
	kindRulesChanged      = 22
	kindQuotaSet          = 23
)

// newEvent returns an empty event of a kind.
func newEvent(kind byte) (event, error) {
	switch kind {
	case kindTopicCreated:
		return &topicCreated{}, nil
	case kindTopicDeleted:
		return &topicDeleted{}, nil
	case kindPartitionsAdded:
		return &partitionsAdded{}, nil
	case kindConfigsSet:
		return &configsSet{}, nil
	case kindLogStart:
		return &logStartSet{}, nil
	case kindOffsetsCommitted:
		return &offsetsCommitted{}, nil
	case kindOffsetsDeleted:
		return &offsetsDeleted{}, nil
	case kindGroupState:
		return &groupState{}, nil
	case kindGroupDeleted:
		return &groupDeleted{}, nil
	case kindTxnChanged:
		return &txnChanged{}, nil
	case kindProducerID:
		return &producerIDUsed{}, nil
	case kindTxnOffsets:
		return &txnOffsets{}, nil
	case kindTxnOffsetsEnded:
		return &txnOffsetsEnded{}, nil
	case kindOffsetsExpired:
		return &offsetsExpired{}, nil
	case kindCredentialSet:
		return &credentialSet{}, nil
	case kindCredentialDeleted:
		return &credentialDeleted{}, nil
	case kindRulesChanged:
		return &rulesChanged{}, nil
	case kindQuotaSet:
		return &quotaSet{}, nil
	}
	return nil, fmt.Errorf("%w: event of kind %d", wal.ErrCorrupt, kind)
}

// topicCreated: topic id, name, partition count, internal, configs.
type topicCreated struct {
	id         TopicID
	name       string
	partitions int32
	internal   bool
	configs    map[string]string
	t          *topic
}

func (*topicCreated) kind() byte { return kindTopicCreated }
func (e *topicCreated) encode(w *wal.Encoder) {
	w.ID(e.id)
	w.String(e.name)
	w.Int(int64(e.partitions))
	w.Bool(e.internal)
	w.StringMap(e.configs)
}
func (e *topicCreated) decode(d *wal.Decoder) {
	e.id, e.name, e.partitions, e.internal, e.configs = d.ID(), d.String(), int32(d.Int()), d.Bool(), d.StringMap()
}
func (e *topicCreated) stage(b *Broker) {
	set, err := parseSettings(e.configs)
	if err != nil {
		// A value that an older version allowed: the default applies.
		set, _ = parseSettings(nil)
		b.cfg.Logger.Warn("topic configuration ignored", "topic", e.name, "err", err)
	}
	e.t = &topic{set: &b.topics, id: e.id, name: e.name, internal: e.internal, configs: e.configs, settings: set}
	b.addPartitions(e.t, e.partitions)
	b.topics.mu.Lock()
	defer b.topics.mu.Unlock()
	b.topics.byName[e.name], b.topics.byID[e.id] = e.t, e.t
}
func (e *topicCreated) undo(b *Broker) func() {
	return func() {
		b.topics.mu.Lock()
		defer b.topics.mu.Unlock()
		delete(b.topics.byName, e.name)
		delete(b.topics.byID, e.id)
		b.topics.count -= len(e.t.parts)
	}
}
func (e *topicCreated) publishEarly(b *Broker) {
	b.topics.mu.Lock()
	defer b.topics.mu.Unlock()
	e.t.live = true
	b.topics.version.Add(1)
}
func (e *topicCreated) publish(*Broker) {}

// addPartitions grows a topic.
func (b *Broker) addPartitions(t *topic, n int32) {
	b.topics.mu.Lock()
	defer b.topics.mu.Unlock()
	parts := append([]*partition(nil), t.parts...)
	for i := int32(len(parts)); i < int32(len(t.parts))+n; i++ {
		parts = append(parts, &partition{
			Partition: b.store.NewPartition(t.id, i), topic: t,
			tp: kafka.TopicPartition{Topic: t.name, Partition: i},
		})
	}
	t.parts = parts
	b.topics.count += int(n)
	b.topics.version.Add(1)
}

// topicDeleted: topic id.
type topicDeleted struct {
	id TopicID
	t  *topic
}

func (*topicDeleted) kind() byte              { return kindTopicDeleted }
func (e *topicDeleted) encode(w *wal.Encoder) { w.ID(e.id) }
func (e *topicDeleted) decode(d *wal.Decoder) { e.id = d.ID() }
func (e *topicDeleted) stage(b *Broker) {
	b.topics.mu.Lock()
	e.t = b.topics.byID[e.id]
	if e.t != nil {
		delete(b.topics.byID, e.id)
		delete(b.topics.byName, e.t.name)
		b.topics.count -= len(e.t.parts)
		for _, p := range e.t.parts {
			p.deleted = true
		}
		b.topics.version.Add(1)
	}
	b.topics.mu.Unlock()
	b.txns.DropTopic(e.id)
}
func (e *topicDeleted) undo(b *Broker) func() {
	txns := b.txns.SaveTopic(e.id)
	return func() {
		for _, s := range txns {
			b.txns.Restore(s)
		}
		if e.t == nil {
			return
		}
		b.topics.mu.Lock()
		defer b.topics.mu.Unlock()
		b.topics.byID[e.id], b.topics.byName[e.t.name] = e.t, e.t
		b.topics.count += len(e.t.parts)
		for _, p := range e.t.parts {
			p.deleted = false
		}
	}
}
func (e *topicDeleted) publish(b *Broker) {
	if e.t == nil {
		return
	}
	for _, p := range e.t.partitions() {
		p.Delete()
	}
	b.offsets.dropTopic(e.t.name)
	b.keeper.removeTopic(e.t)
}

// partitionsAdded: topic id, how many.
type partitionsAdded struct {
	id    TopicID
	count int32
}

func (*partitionsAdded) kind() byte              { return kindPartitionsAdded }
func (e *partitionsAdded) encode(w *wal.Encoder) { w.ID(e.id); w.Int(int64(e.count)) }
func (e *partitionsAdded) decode(d *wal.Decoder) { e.id, e.count = d.ID(), int32(d.Int()) }
func (e *partitionsAdded) stage(b *Broker) {
	if t := b.topics.staged(e.id); t != nil {
		b.addPartitions(t, e.count)
	}
}
func (e *partitionsAdded) undo(b *Broker) func() {
	t := b.topics.staged(e.id)
	if t == nil {
		return nil
	}
	n := len(t.partitions())
	return func() {
		b.topics.mu.Lock()
		defer b.topics.mu.Unlock()
		b.topics.count -= len(t.parts) - n
		t.parts = t.parts[:n:n]
	}
}
func (*partitionsAdded) publish(*Broker) {}

// configsSet: topic id, all configs that are set from now on.
type configsSet struct {
	id      TopicID
	configs map[string]string
}

func (*configsSet) kind() byte              { return kindConfigsSet }
func (e *configsSet) encode(w *wal.Encoder) { w.ID(e.id); w.StringMap(e.configs) }
func (e *configsSet) decode(d *wal.Decoder) { e.id, e.configs = d.ID(), d.StringMap() }
func (e *configsSet) stage(b *Broker) {
	t := b.topics.staged(e.id)
	set, err := parseSettings(e.configs)
	if t == nil || err != nil {
		return
	}
	b.topics.mu.Lock()
	defer b.topics.mu.Unlock()
	t.configs, t.settings = e.configs, set
}
func (e *configsSet) undo(b *Broker) func() {
	t := b.topics.staged(e.id)
	if t == nil {
		return nil
	}
	configs, set := t.config()
	return func() {
		b.topics.mu.Lock()
		defer b.topics.mu.Unlock()
		t.configs, t.settings = configs, set
	}
}
func (*configsSet) publish(*Broker) {}

// logStartSet: topic id, partition, offset.
type logStartSet struct {
	id        TopicID
	partition int32
	offset    kafka.Offset
}

func (*logStartSet) kind() byte { return kindLogStart }
func (e *logStartSet) encode(w *wal.Encoder) {
	w.ID(e.id)
	w.Int(int64(e.partition))
	w.Int(int64(e.offset))
}
func (e *logStartSet) decode(d *wal.Decoder) {
	e.id, e.partition, e.offset = d.ID(), int32(d.Int()), kafka.Offset(d.Int())
}
func (*logStartSet) stage(*Broker)       {}
func (*logStartSet) undo(*Broker) func() { return nil }
func (e *logStartSet) publish(b *Broker) {
	if t := b.topics.staged(e.id); t != nil {
		if parts := t.partitions(); int(e.partition) < len(parts) {
			parts[e.partition].SetLogStart(e.offset)
			b.keeper.poke()
		}
	}
}

// txnChanged: see txn.Change.
type txnChanged struct{ txn.Change }

func (*txnChanged) kind() byte              { return kindTxnChanged }
func (e *txnChanged) encode(w *wal.Encoder) { e.Change.Encode(w) }
func (e *txnChanged) decode(d *wal.Decoder) { e.Change.Decode(d) }
func (e *txnChanged) stage(b *Broker)       { b.txns.Apply(&e.Change, b.cfg.Clock.Now()) }
func (e *txnChanged) undo(b *Broker) func() {
	before := b.txns.Save(e.ID)
	return func() { b.txns.Restore(before) }
}
func (*txnChanged) publish(*Broker) {}

// producerIDUsed: a producer id that was given out without a transactional id.
type producerIDUsed struct{ pid kafka.ProducerID }

func (*producerIDUsed) kind() byte              { return kindProducerID }
func (e *producerIDUsed) encode(w *wal.Encoder) { w.Int(int64(e.pid)) }
func (e *producerIDUsed) decode(d *wal.Decoder) { e.pid = kafka.ProducerID(d.Int()) }
func (e *producerIDUsed) stage(b *Broker)       { b.txns.UseProducerID(e.pid) }
func (*producerIDUsed) undo(*Broker) func()     { return nil } // an id may go unused
func (*producerIDUsed) publish(*Broker)         {}
