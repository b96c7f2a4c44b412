package txn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// What a batch can be refused for; the names are Kafka's.
var (
	ErrOutOfOrderSequence   = errors.New("txn: out of order sequence number")
	ErrInvalidProducerEpoch = errors.New("txn: invalid producer epoch")
)

// windowBatches is how many batches of a producer are remembered: as many as a
// client may have in flight.
const windowBatches = 5

// window is one producer on one partition.
type window struct {
	epoch   kafka.Epoch
	batches []produced // oldest first, all of this epoch
	// last is the wall time of the last batch or marker.
	last kafka.Timestamp
	// open says that a transaction of the producer has data here.
	open bool
}

// produced describes one appended batch. After an abort one stands for all that the
// producer had appended: it has no sequences, and firstSeq, one above lastSeq, is
// where it had got to.
type produced struct {
	firstSeq, lastSeq int32
	base              kafka.Offset    // after an abort, of the last record
	timestamp         kafka.Timestamp // log append time, or NoTimestamp
}

func (d produced) aborted() bool { return d.firstSeq == addSequence(d.lastSeq, 1) }

// lastOffset is that of the last record.
func (d produced) lastOffset() kafka.Offset {
	if d.aborted() {
		return d.base
	}
	return d.base + kafka.Offset((int64(d.lastSeq)-int64(d.firstSeq))&math.MaxInt32)
}

// Producers is the state of all idempotent producers of one partition. The zero
// value is empty. Its owner serialises all calls.
type Producers struct {
	byID map[kafka.ProducerID]*window
	// attempts are of producers whose transaction has no data here yet. They are
	// not durable: after a restart they begin again, as after a failover of Kafka.
	attempts map[kafka.ProducerID]attempt
}

// attempt is what a producer has sent for a transaction without any of it being
// appended.
type attempt struct {
	epoch  kafka.Epoch
	lowest int32 // sequence
	last   kafka.Timestamp
}

// Duplicate is where a batch that came twice was appended.
type Duplicate struct {
	Base          kafka.Offset
	LogAppendTime kafka.Timestamp
}

// Check decides about a client's batch: a duplicate of one of the last five, in
// order (nil, nil), or an error. It changes nothing.
func (p *Producers) Check(b kafka.Batch) (*Duplicate, error) {
	w := p.byID[b.ProducerID()]
	if b.ProducerID() == kafka.NoProducerID || w == nil {
		// A producer that is not known (any more) may start anywhere: refusing it
		// breaks producers that were idle for long.
		return nil, nil
	}
	first, epoch := b.BaseSequence(), b.ProducerEpoch()
	last := addSequence(first, b.Count()-1)
	switch {
	case epoch < w.epoch:
		return nil, fmt.Errorf("%w: producer %d has epoch %d, current is %d", ErrInvalidProducerEpoch, b.ProducerID(), epoch, w.epoch)
	case epoch > w.epoch:
		if first != 0 {
			return nil, fmt.Errorf("%w: producer %d starts epoch %d with sequence %d", ErrOutOfOrderSequence, b.ProducerID(), epoch, first)
		}
		return nil, nil
	}
	for _, d := range w.batches {
		if d.firstSeq == first && d.lastSeq == last {
			return &Duplicate{d.base, d.timestamp}, nil
		}
	}
	next, again := int32(0), false // after a marker that began the epoch
	if n := len(w.batches); n > 0 {
		next = addSequence(w.batches[n-1].lastSeq, 1)
		again = w.batches[n-1].aborted() && uint32(next-first)&math.MaxInt32 < math.MaxInt32/2
	}
	if first != next && !again {
		return nil, fmt.Errorf("%w: producer %d sent sequence %d, expected %d", ErrOutOfOrderSequence, b.ProducerID(), first, next)
	}
	return nil, nil
}

// Attempt notes a batch for a transaction that has no data here, and refuses one
// behind a batch that was refused: of several in flight the first to be appended
// is the first that was sent (KIP-890).
func (p *Producers) Attempt(b kafka.Batch, now kafka.Timestamp) error {
	pid, epoch, first := b.ProducerID(), b.ProducerEpoch(), b.BaseSequence()
	a, ok := p.attempts[pid]
	if !ok || epoch > a.epoch {
		a = attempt{epoch: epoch, lowest: first}
	}
	if epoch == a.epoch {
		a.lowest = min(a.lowest, first)
	}
	a.last = now
	if p.attempts == nil {
		p.attempts = map[kafka.ProducerID]attempt{}
	}
	p.attempts[pid] = a
	if first > a.lowest {
		return fmt.Errorf("%w: producer %d sent sequence %d, and %d before", ErrOutOfOrderSequence, pid, first, a.lowest)
	}
	return nil
}

// Started reports whether a batch of a producer's present epoch is remembered.
func (p *Producers) Started(pid kafka.ProducerID) bool {
	w := p.byID[pid]
	return w != nil && len(w.batches) > 0
}

// addSequence adds modulo 2^31: sequences wrap from 2^31-1 to 0.
func addSequence(seq, n int32) int32 {
	return int32((int64(seq) + int64(n)) & math.MaxInt32)
}

// Append records an appended batch, a client's or a marker; commit is the marker's
// type. A marker of a later epoch begins the sequences again (KIP-890). One of the
// batches' own epoch, as those of TV1 are, keeps them; behind one that aborts a
// sequence may come again: a client that does not know what became of a batch may
// abort and send it anew, and taking that for a duplicate of the aborted one, as
// Kafka does, would lose it.
func (p *Producers) Append(b kafka.Batch, commit bool, now kafka.Timestamp) {
	pid := b.ProducerID()
	if pid == kafka.NoProducerID {
		return
	}
	if p.byID == nil {
		p.byID = map[kafka.ProducerID]*window{}
	}
	w := p.byID[pid]
	if w == nil {
		w = &window{epoch: b.ProducerEpoch()}
		p.byID[pid] = w
	}
	w.last = now
	if b.Transactional() {
		delete(p.attempts, pid)
	}
	if w.epoch != b.ProducerEpoch() {
		w.epoch, w.batches = b.ProducerEpoch(), nil
	}
	if b.Control() {
		if n := len(w.batches); n > 0 && w.open && !commit {
			last := w.batches[n-1]
			w.batches = []produced{{addSequence(last.lastSeq, 1), last.lastSeq, last.lastOffset(), kafka.NoTimestamp}}
		}
		w.open = false
		return
	}
	w.open = w.open || b.Transactional()
	d := produced{b.BaseSequence(), addSequence(b.BaseSequence(), b.Count()-1), b.BaseOffset(), kafka.NoTimestamp}
	if b.Attributes()&kafka.AttrLogAppendTime != 0 {
		d.timestamp = b.MaxTimestamp()
	}
	// A new slice: what Save returned keeps the old one.
	old := w.batches[max(0, len(w.batches)-windowBatches+1):]
	w.batches = append(append(make([]produced, 0, len(old)+1), old...), d)
}

// SavedProducer is one producer's state, to be put back when an append is refused.
type SavedProducer struct {
	pid     kafka.ProducerID
	window  window
	known   bool
	attempt attempt
	tried   bool
}

// Save returns a producer's state as it is now.
func (p *Producers) Save(pid kafka.ProducerID) SavedProducer {
	s := SavedProducer{pid: pid}
	if w := p.byID[pid]; w != nil {
		s.window, s.known = *w, true
	}
	s.attempt, s.tried = p.attempts[pid]
	return s
}

// Restore puts a producer's state back.
func (p *Producers) Restore(s SavedProducer) {
	if s.tried {
		p.attempts[s.pid] = s.attempt
	}
	if !s.known {
		delete(p.byID, s.pid)
		return
	}
	if p.byID == nil {
		p.byID = map[kafka.ProducerID]*window{}
	}
	p.byID[s.pid] = &s.window
}

// Epoch returns the newest epoch of a producer.
func (p *Producers) Epoch(pid kafka.ProducerID) (kafka.Epoch, bool) {
	w := p.byID[pid]
	if w == nil {
		return 0, false
	}
	return w.epoch, true
}

// Open reports whether a transaction of a producer has data here.
func (p *Producers) Open(pid kafka.ProducerID) bool {
	w := p.byID[pid]
	return w != nil && w.open
}

// Active calls f for every producer that is remembered: last is the offset of
// the last record of its last batch, -1 when only a marker tells its epoch.
func (p *Producers) Active(f func(pid kafka.ProducerID, epoch kafka.Epoch, last kafka.Offset)) {
	for pid, w := range p.byID {
		last := kafka.Offset(-1)
		if n := len(w.batches); n > 0 {
			last = w.batches[n-1].lastOffset()
		}
		f(pid, w.epoch, last)
	}
}

// Expire forgets producers whose last batch or marker is older than before,
// unless they have an open transaction.
func (p *Producers) Expire(before kafka.Timestamp) {
	maps.DeleteFunc(p.byID, func(_ kafka.ProducerID, w *window) bool { return w.last < before && !w.open })
	maps.DeleteFunc(p.attempts, func(_ kafka.ProducerID, a attempt) bool { return a.last < before })
}

// Encode writes the state for the checkpoint.
func (p *Producers) Encode(e *wal.Encoder) {
	e.Uint(uint64(len(p.byID)))
	for _, pid := range slices.Sorted(maps.Keys(p.byID)) {
		w := p.byID[pid]
		e.Int(int64(pid))
		e.Int(int64(w.epoch))
		e.Int(int64(w.last))
		e.Bool(w.open)
		e.Uint(uint64(len(w.batches)))
		for _, d := range w.batches {
			e.Int(int64(d.firstSeq))
			e.Int(int64(d.lastSeq))
			e.Int(int64(d.base))
			e.Int(int64(d.timestamp))
		}
	}
}

// Decode reads what Encode wrote.
func (p *Producers) Decode(d *wal.Decoder) {
	n := d.Count()
	if n == 0 {
		return
	}
	p.byID = make(map[kafka.ProducerID]*window, n)
	for range n {
		pid := kafka.ProducerID(d.Int())
		w := &window{epoch: kafka.Epoch(d.Int()), last: kafka.Timestamp(d.Int()), open: d.Bool()}
		for range d.Count() {
			w.batches = append(w.batches, produced{int32(d.Int()), int32(d.Int()), kafka.Offset(d.Int()), kafka.Timestamp(d.Int())})
		}
		p.byID[pid] = w
	}
}

// Producer is a producer that a partition remembers.
type Producer struct {
	ProducerID kafka.ProducerID
	Epoch      kafka.Epoch
	// LastSequence is -1 when no batch is remembered.
	LastSequence int32
	// Last is the wall time of the last batch or marker.
	Last kafka.Timestamp
}

// List returns the producers in the order of their ids.
func (p *Producers) List() []Producer {
	all := make([]Producer, 0, len(p.byID))
	for _, pid := range slices.Sorted(maps.Keys(p.byID)) {
		w := p.byID[pid]
		a := Producer{pid, w.epoch, -1, w.last}
		if n := len(w.batches); n > 0 {
			a.LastSequence = w.batches[n-1].lastSeq
		}
		all = append(all, a)
	}
	return all
}
