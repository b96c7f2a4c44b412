package log

import (
	"maps"
	"slices"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Encode writes what the checkpoint holds of a partition: offsets, epochs, open
// and aborted transactions, segments, how far it is compacted. It must run where
// nothing is published, in a callback of the committer.
func (p *Partition) Encode(e *wal.Encoder) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	e.Int(int64(p.logStart))
	e.Int(int64(p.archived))
	e.Int(int64(p.next))
	e.Uint(uint64(len(p.epochs)))
	for _, s := range p.epochs {
		e.Int(int64(s.Epoch))
		e.Int(int64(s.Start))
	}
	e.Uint(uint64(len(p.open)))
	for _, pid := range slices.Sorted(maps.Keys(p.open)) {
		e.Int(int64(pid))
		e.Int(int64(p.open[pid]))
	}
	e.Uint(uint64(len(p.aborted)))
	for _, a := range p.aborted {
		e.Int(int64(a.ProducerID))
		e.Int(int64(a.First))
		e.Int(int64(a.Last))
	}
	e.Uint(uint64(len(p.segments)))
	for _, s := range p.segments {
		e.Int(int64(s.base))
		e.Int(int64(s.next))
		e.Int(s.size)
		e.Int(int64(s.maxTimestamp))
		e.Uint(uint64(s.indexEntries))
		e.Int(int64(s.firstTimestamp))
		e.Uint(s.generation)
		e.Bool(s.sealed)
	}
	e.Int(int64(p.cleanedTo))
}

// Decode fills an empty partition from what Encode wrote. compacts is false for
// a checkpoint of before compaction.
func (p *Partition) Decode(d *wal.Decoder, compacts bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.logStart = kafka.Offset(d.Int())
	p.archived = kafka.Offset(d.Int())
	p.next = kafka.Offset(d.Int())
	for range d.Count() {
		p.epochs = append(p.epochs, EpochStart{int32(d.Int()), kafka.Offset(d.Int())})
	}
	for range d.Count() {
		pid := kafka.ProducerID(d.Int())
		p.open[pid] = kafka.Offset(d.Int())
	}
	for range d.Count() {
		p.aborted = append(p.aborted, AbortedTxn{kafka.ProducerID(d.Int()), kafka.Offset(d.Int()), kafka.Offset(d.Int())})
	}
	for range d.Count() {
		s := &segment{
			base: kafka.Offset(d.Int()), next: kafka.Offset(d.Int()), size: d.Int(),
			maxTimestamp: kafka.Timestamp(d.Int()), indexEntries: int(d.Uint()), firstTimestamp: kafka.NoTimestamp,
		}
		if compacts {
			s.firstTimestamp, s.generation, s.sealed = kafka.Timestamp(d.Int()), d.Uint(), d.Bool()
		}
		p.segments = append(p.segments, s)
	}
	if compacts {
		p.cleanedTo = kafka.Offset(d.Int())
	}
}
