package txn

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Encode writes the change as the body of a metadata event: id, producer id,
// epoch, last producer id, last epoch, timeout (ms), state, updated, forget,
// partitions (topic id, partition), groups.
func (ch *Change) Encode(e *wal.Encoder) {
	e.String(ch.ID)
	e.Int(int64(ch.ProducerID))
	e.Int(int64(ch.Epoch))
	e.Int(int64(ch.LastProducerID))
	e.Int(int64(ch.LastEpoch))
	e.Int(ch.Timeout.Milliseconds())
	e.Uint(uint64(ch.State))
	e.Int(int64(ch.Updated))
	e.Bool(ch.Forget)
	e.Uint(uint64(len(ch.Partitions)))
	for _, p := range ch.Partitions {
		e.ID(p.Topic)
		e.Int(int64(p.Partition))
	}
	e.Uint(uint64(len(ch.Groups)))
	for _, g := range ch.Groups {
		e.String(g)
	}
}

// Decode reads what Encode wrote.
func (ch *Change) Decode(d *wal.Decoder) {
	ch.ID = d.String()
	ch.ProducerID, ch.Epoch = kafka.ProducerID(d.Int()), kafka.Epoch(d.Int())
	ch.LastProducerID, ch.LastEpoch = kafka.ProducerID(d.Int()), kafka.Epoch(d.Int())
	ch.Timeout = time.Duration(d.Int()) * time.Millisecond
	ch.State = min(State(d.Uint()), CompleteAbort)
	ch.Updated = kafka.Timestamp(d.Int())
	ch.Forget = d.Bool()
	for range d.Count() {
		ch.Partitions = append(ch.Partitions, Partition{d.ID(), int32(d.Int())})
	}
	for range d.Count() {
		ch.Groups = append(ch.Groups, d.String())
	}
}

// Encode writes the coordinator for the checkpoint: the next producer id and
// every transactional id as a Change.
func (c *Coordinator) Encode(e *wal.Encoder) {
	e.Int(int64(c.nextID))
	e.Uint(uint64(len(c.byID)))
	for _, id := range slices.Sorted(maps.Keys(c.byID)) {
		t := c.byID[id]
		ch := t.change()
		ch.Updated = t.Updated
		ch.Partitions = slices.SortedFunc(maps.Keys(t.Partitions), func(a, b Partition) int {
			return cmp.Or(slices.Compare(a.Topic[:], b.Topic[:]), cmp.Compare(a.Partition, b.Partition))
		})
		ch.Groups = slices.Sorted(maps.Keys(t.Groups))
		ch.Encode(e)
	}
}

// Decode reads what Encode wrote; open transactions get their time-out anew.
func (c *Coordinator) Decode(d *wal.Decoder, now time.Time) {
	c.nextID = kafka.ProducerID(d.Int())
	for range d.Count() {
		var ch Change
		ch.Decode(d)
		c.Apply(&ch, now)
	}
}
