package log

import (
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// ErrOffsetOutOfRange: below the log start offset or above the high watermark.
var ErrOffsetOutOfRange = errors.New("log: offset out of range")

// ErrCorrupt is wrapped by every error about stored bytes that cannot be right.
var ErrCorrupt = errors.New("log: corrupt")

// ErrDeleted: the topic was deleted.
var ErrDeleted = errors.New("log: topic was deleted")

// AbortedTxn is an entry of the aborted-transaction index: First is the offset
// of the transaction's first record, Last that of its marker.
type AbortedTxn struct {
	ProducerID  kafka.ProducerID
	First, Last kafka.Offset
}

// EpochStart says at which offset a leader epoch began.
type EpochStart struct {
	Epoch int32
	Start kafka.Offset
}

// entry is the part of one log frame that belongs to one partition.
type entry struct {
	base, next   kafka.Offset
	at           wal.Position
	size         int
	maxTimestamp kafka.Timestamp
	// plain: no batch is compressed, transactional or a marker.
	plain bool
	// data is nil when the bytes are on disk only. frame is whose they are when its
	// memory is lent: it is pinned while data is here.
	data  []byte
	frame *wal.Frame
}

// pin keeps the data of entries as it is until unpin. The caller holds Partition.mu.
func pin(entries []entry) {
	for i := range entries {
		if f := entries[i].frame; f != nil {
			f.Pin()
		}
	}
}

func unpin(entries []entry) {
	for i := range entries {
		if f := entries[i].frame; f != nil {
			f.Unpin()
		}
	}
}

// Partition is one topic-partition. Its methods are safe for concurrent use;
// only the committer publishes, only the archiver archives.
type Partition struct {
	Topic     wal.TopicID
	Partition int32
	store     *Store
	dir       string

	// mu guards the fields below.
	mu       sync.RWMutex
	deleted  bool
	logStart kafka.Offset
	archived kafka.Offset // everything below it is in segments or deleted
	next     kafka.Offset // high watermark
	entries  []entry
	segments []*segment
	// cleanedTo: below it a newer record of the same key was looked for.
	cleanedTo kafka.Offset
	epochs    []EpochStart
	open      map[kafka.ProducerID]kafka.Offset // first offset of open transactions
	aborted   []AbortedTxn
	watchers  map[int]func()
	watchID   int
}

// text is the partition as TOPIC-ID-PARTITION, the id as Kafka prints it.
func (p *Partition) text() string {
	return fmt.Sprintf("%s-%d", base64.RawURLEncoding.EncodeToString(p.Topic[:]), p.Partition)
}

// Bounds are the offsets that describe a partition.
type Bounds struct {
	LogStart, HighWatermark, LastStable kafka.Offset
}

// Bounds returns the log start offset, the high watermark and the last stable
// offset.
func (p *Partition) Bounds() Bounds {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.bounds()
}

func (p *Partition) bounds() Bounds {
	b := Bounds{p.logStart, p.next, p.next}
	for _, first := range p.open {
		b.LastStable = min(b.LastStable, first)
	}
	// DeleteRecords may pass an open transaction; never show a stable offset
	// that cannot be read.
	b.LastStable = max(b.LastStable, b.LogStart)
	return b
}

// Published describes batches that became durable.
type Published struct {
	Base, Next kafka.Offset
	At         wal.Position
	Info       Info
	// Data is the batches; InMemory says that they may be kept, and Frame, when it
	// is not nil, in which frame they stand.
	Data     []byte
	InMemory bool
	Frame    *wal.Frame
}

// Publish makes batches readable. They must go on where the partition ends.
func (p *Partition) Publish(e Published) error {
	p.mu.Lock()
	if e.Base != p.next {
		next := p.next
		p.mu.Unlock()
		return fmt.Errorf("%w: batches at offset %d do not go on from %d", ErrCorrupt, e.Base, next)
	}
	p.addEntry(e)
	p.next = e.Next
	p.noteEpoch(kafka.Batch(e.Data).LeaderEpoch(), e.Base)
	if !e.Info.Plain {
		p.noteTransactions(e.Data)
	}
	p.mu.Unlock()
	p.notify()
	return nil
}

// Restore adds the position of batches whose effects the checkpoint already
// holds.
func (p *Partition) Restore(e Published) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if e.Next <= p.archived {
		return nil
	}
	end := p.archived
	if n := len(p.entries); n > 0 {
		end = p.entries[n-1].next
	}
	if e.Base != end || e.Next > p.next {
		return fmt.Errorf("%w: batches at offset %d do not go on from %d", ErrCorrupt, e.Base, end)
	}
	p.addEntry(e)
	return nil
}

// CheckRestored proves that replay found everything that the checkpoint counts.
func (p *Partition) CheckRestored() error {
	p.mu.RLock()
	defer p.mu.RUnlock()
	end := p.archived
	if n := len(p.entries); n > 0 {
		end = p.entries[n-1].next
	}
	if end != p.next {
		return fmt.Errorf("%w: partition %s ends at %d, offsets up to %d were acknowledged", ErrCorrupt, p.text(), end, p.next)
	}
	return nil
}

func (p *Partition) addEntry(e Published) {
	n := entry{base: e.Base, next: e.Next, at: e.At, size: len(e.Data), maxTimestamp: e.Info.MaxTimestamp, plain: e.Info.Plain}
	if e.InMemory {
		n.data = e.Data
		if e.Frame != nil && e.Frame.Lent() {
			n.frame = e.Frame
		}
	}
	p.entries = append(p.entries, n)
	p.store.entries.Add(1)
}

// noteEpoch records the start of a leader epoch (KIP-101).
func (p *Partition) noteEpoch(epoch int32, base kafka.Offset) {
	if n := len(p.epochs); n == 0 || p.epochs[n-1].Epoch < epoch {
		p.epochs = append(p.epochs, EpochStart{epoch, base})
	}
}

// epochStarts returns the leader epochs so far; the slice only grows behind.
func (p *Partition) epochStarts() []EpochStart {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return p.epochs
}

// noteTransactions follows which transactions are open, and which were aborted.
func (p *Partition) noteTransactions(batches []byte) {
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			return // checked when it was appended
		}
		batches = rest
		if !b.Transactional() {
			continue
		}
		pid := b.ProducerID()
		if !b.Control() {
			if _, ok := p.open[pid]; !ok {
				p.open[pid] = b.BaseOffset()
			}
			continue
		}
		first, ok := p.open[pid]
		delete(p.open, pid)
		if commit, known := MarkerCommits(b); ok && known && !commit {
			p.aborted = append(p.aborted, AbortedTxn{pid, first, b.BaseOffset()})
		}
	}
}

// Aborted returns the aborted transactions that overlap offsets from to next
// (exclusive).
func (p *Partition) Aborted(from, next kafka.Offset) []AbortedTxn {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []AbortedTxn
	for _, a := range p.aborted {
		if a.Last >= from && a.First < next {
			out = append(out, a)
		}
	}
	return out
}

// EndOfEpoch returns the largest leader epoch not above the asked one and the
// offset at which it ended; -1, -1 when there is none.
func (p *Partition) EndOfEpoch(epoch, current int32) (int32, kafka.Offset) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	if epoch > current {
		return -1, -1
	}
	if epoch == current {
		return epoch, p.next
	}
	i := len(p.epochs) - 1
	for i >= 0 && p.epochs[i].Epoch > epoch {
		i--
	}
	switch {
	case i < 0 && len(p.epochs) > 0:
		return epoch, p.epochs[0].Start
	case i < 0 || i == len(p.epochs)-1:
		return epoch, p.next
	}
	return p.epochs[i].Epoch, p.epochs[i+1].Start
}

// OpenTransactions returns the first offset of every open transaction.
func (p *Partition) OpenTransactions() map[kafka.ProducerID]kafka.Offset {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return maps.Clone(p.open)
}

// SetLogStart raises the log start offset; a lower one changes nothing.
func (p *Partition) SetLogStart(offset kafka.Offset) {
	p.mu.Lock()
	p.logStart = max(p.logStart, min(offset, p.next))
	p.aborted = slices.DeleteFunc(p.aborted, func(a AbortedTxn) bool { return a.Last < p.logStart })
	p.mu.Unlock()
	p.notify()
}

// Delete ends all reads; the files are removed by Store.RemoveTopic.
func (p *Partition) Delete() {
	p.mu.Lock()
	p.deleted = true
	p.store.entries.Add(-int64(len(p.entries)))
	p.entries = nil
	p.mu.Unlock()
	p.notify()
}

// Watch calls f after every change of the partition's offsets, from the
// committer: f must not block. cancel ends it.
func (p *Partition) Watch(f func()) (cancel func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watchID++
	id := p.watchID
	if p.watchers == nil {
		p.watchers = map[int]func(){}
	}
	p.watchers[id] = f
	return func() {
		p.mu.Lock()
		delete(p.watchers, id)
		p.mu.Unlock()
	}
}

func (p *Partition) notify() {
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, f := range p.watchers {
		f()
	}
}

// evict drops the memory of the entry at base.
func (p *Partition) evict(base kafka.Offset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i, ok := slices.BinarySearchFunc(p.entries, base, func(e entry, o kafka.Offset) int { return int(e.base - o) }); ok {
		p.entries[i].data, p.entries[i].frame = nil, nil
	}
}

// Size returns the bytes of all segments and entries above the log start.
func (p *Partition) Size() int64 {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var n int64
	for _, s := range p.segments {
		n += s.size
	}
	for _, e := range p.entries {
		if e.next > p.logStart {
			n += int64(e.size)
		}
	}
	return n
}
