package log

import (
	"errors"
	"fmt"
	"sort"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Run is what Read returns: whole batches, read only.
type Run struct {
	Batches []byte
	// Next is the offset to go on from.
	Next kafka.Offset
	// Plain: no batch is compressed, transactional or a marker.
	Plain bool
	// owned: the bytes are nobody else's.
	owned bool
}

const (
	// gatherBytes: a run from memory shorter than this is put together from
	// several entries by copying; a longer one is a view.
	gatherBytes = 32 << 10
	// readEntriesMax bounds the entries that one Read puts together.
	readEntriesMax = 4096
	// readAttempts is how often a read looks again because the bytes have moved
	// from the log to a segment meanwhile.
	readAttempts = 8
)

// Want says how much a read should return, and into which memory.
type Want struct {
	// Bytes is about how much; AtLeastOne: one batch, however large (KIP-74).
	Bytes      int
	AtLeastOne bool
	// Partial: what is readable before something damaged is enough.
	Partial bool
	// Alloc returns memory for what is not in memory already, with any content;
	// nil stands for memory that is the result's own.
	Alloc func(n int) []byte
	// Pinned is given the frames that the result is a view of, to be unpinned when
	// it is of no use any more; nil: the result is used for good.
	Pinned func(*wal.Frame)
}

func (w *Want) alloc(n int) []byte {
	if w.Alloc == nil {
		return make([]byte, n)
	}
	return w.Alloc(n)
}

// view hands the pin of an entry that the result is a view of to the reader.
func (w *Want) view(e *entry) {
	switch {
	case e.frame == nil:
	case w.Pinned != nil:
		w.Pinned(e.frame)
	default:
		e.frame.Keep()
		e.frame.Unpin()
	}
}

// errNoRoom: the first batch is larger than what is wanted.
var errNoRoom = errors.New("log: batch is larger than wanted")

// Read returns whole batches from the one that holds offset from on, all below
// upTo, about maxBytes, but at least one batch when there is any (KIP-74). An
// empty Run means that from is upTo or above.
func (p *Partition) Read(from, upTo kafka.Offset, maxBytes int) (Run, error) {
	return p.ReadWant(from, upTo, Want{Bytes: maxBytes, AtLeastOne: true})
}

// ReadWant is Read of what is wanted. An empty Run whose Next is from means that
// the first batch is larger.
func (p *Partition) ReadWant(from, upTo kafka.Offset, want Want) (Run, error) {
	for attempt := 0; ; attempt++ {
		run, err := p.read(from, upTo, want)
		if errors.Is(err, errNoRoom) {
			return Run{Next: from, Plain: true}, nil
		}
		moved := errors.Is(err, wal.ErrRetired) || errors.Is(err, errSegmentGone)
		if err != nil && (!moved || attempt == readAttempts) {
			return run, err
		}
		if err == nil {
			return p.opened(run, want)
		}
	}
}

func (p *Partition) read(from, upTo kafka.Offset, want Want) (Run, error) {
	p.mu.RLock()
	if p.deleted {
		p.mu.RUnlock()
		return Run{}, ErrDeleted
	}
	if from < p.logStart || from > p.next {
		start, next := p.logStart, p.next
		p.mu.RUnlock()
		return Run{}, fmt.Errorf("%w: %d is not in [%d, %d]", ErrOffsetOutOfRange, from, start, next)
	}
	upTo = min(upTo, p.next)
	if from >= upTo {
		p.mu.RUnlock()
		return Run{Next: from, Plain: true}, nil
	}
	if from < p.archived {
		s, epochs := p.segmentFor(from), p.epochs
		p.mu.RUnlock()
		if s == nil {
			return Run{}, fmt.Errorf("%w: no segment holds offset %d", ErrCorrupt, from)
		}
		run, err := s.read(p.store, p.dir, epochs, from, upTo, want)
		return run, p.gone(s, err)
	}
	i := sort.Search(len(p.entries), func(i int) bool { return p.entries[i].next > from })
	last, total := i+1, p.entries[i].size
	for last < len(p.entries) && last-i < readEntriesMax && total < min(want.Bytes, gatherBytes) && p.entries[last].base < upTo {
		total += p.entries[last].size
		last++
	}
	var few [8]entry
	entries := append(few[:0], p.entries[i:last]...)
	pin(entries)
	p.mu.RUnlock()
	run, err := p.gather(entries, from, want)
	if err == nil && !run.owned {
		want.view(&entries[0])
		entries = entries[1:]
	}
	unpin(entries)
	return run, err
}

// gather reads entries: one as a view when it is in memory, several as a copy.
func (p *Partition) gather(entries []entry, from kafka.Offset, want Want) (Run, error) {
	first, err := p.entryBytes(entries[0], from, want)
	if err != nil {
		return Run{}, err
	}
	run := Run{Batches: first, Next: nextOffset(first), Plain: entries[0].plain, owned: entries[0].data == nil}
	if run.Next < entries[0].next || len(entries) == 1 {
		return run, nil
	}
	gathered := append(want.alloc(min(want.Bytes, gatherBytes) + len(first))[:0], first...)
	for _, e := range entries[1:] {
		if len(gathered)+e.size > want.Bytes {
			break
		}
		b, err := p.entryBytes(e, e.base, Want{Bytes: e.size, AtLeastOne: true, Alloc: want.Alloc})
		if err != nil && want.Partial {
			break
		}
		if err != nil {
			return Run{}, err
		}
		gathered = append(gathered, b...)
		run.Next, run.Plain = e.next, run.Plain && e.plain
	}
	run.Batches, run.owned = gathered, true
	return run, nil
}

// entryBytes returns an entry's batches from the one that holds offset from on,
// those that are wanted: a view when they are in memory.
func (p *Partition) entryBytes(e entry, from kafka.Offset, want Want) ([]byte, error) {
	if e.data != nil {
		return cut(e.data, from, want)
	}
	read := func(b []byte, at int64) error {
		return p.store.wal.ReadAt(b, wal.Position{File: e.at.File, Offset: at})
	}
	stored := stored{read: read, end: e.at.Offset + int64(e.size), epochs: p.epochStarts(), sealed: p.store.opts.Sealer != nil}
	b, err := stored.batches(place{e.at.Offset, e.base}, from, e.next, want)
	if err != nil {
		return nil, fmt.Errorf("partition %s: %w", p.text(), err)
	}
	return b, nil
}

// cut returns the batches from the one that holds offset from on that are wanted.
func cut(batches []byte, from kafka.Offset, want Want) ([]byte, error) {
	var b kafka.Batch
	rest := batches
	for {
		var after []byte
		var err error
		if b, after, err = kafka.NextBatch(rest); err != nil {
			return nil, err
		}
		if b.LastOffset() >= from {
			break
		}
		rest = after
	}
	if len(b) > want.Bytes && !want.AtLeastOne {
		return nil, errNoRoom
	}
	if len(rest) <= want.Bytes {
		return rest, nil
	}
	n := len(b)
	for tail := rest[n:]; len(tail) > 0; {
		next, after, err := kafka.NextBatch(tail)
		if err != nil {
			return nil, err
		}
		if n+len(next) > want.Bytes {
			break
		}
		n += len(next)
		tail = after
	}
	return rest[:n:n], nil
}

// nextOffset returns the offset behind the last batch of a non-empty run.
func nextOffset(batches []byte) kafka.Offset {
	var next kafka.Offset
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			break
		}
		next = b.LastOffset() + 1
		batches = rest
	}
	return next
}

// Runs is what ReadMany returns: whole batches in order, read only.
type Runs struct {
	Batches [][]byte
	Bytes   int
	// Next is the offset to go on from.
	Next kafka.Offset
}

// ReadMany is Read that goes on until want is met, upTo is reached, or something
// cannot be read: the next call, which begins there, says why.
func (p *Partition) ReadMany(from, upTo kafka.Offset, want Want) (Runs, error) {
	all := Runs{Next: from}
	for all.Next < upTo && (all.Bytes < want.Bytes || all.Bytes == 0) {
		run, err := p.ReadWant(all.Next, upTo, Want{want.Bytes - all.Bytes, want.AtLeastOne && all.Bytes == 0, true, want.Alloc, want.Pinned})
		if err != nil && all.Bytes == 0 {
			return all, err
		}
		if err != nil {
			break // what is together is good; the next call meets the error
		}
		all.Next = run.Next
		if len(run.Batches) == 0 {
			break
		}
		all.Batches, all.Bytes = append(all.Batches, run.Batches), all.Bytes+len(run.Batches)
	}
	return all, nil
}
