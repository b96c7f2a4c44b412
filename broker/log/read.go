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

// Read returns whole batches from the one that holds offset from on, all below
// upTo, about maxBytes, but at least one batch when there is any (KIP-74). An
// empty Run means that from is upTo or above.
func (p *Partition) Read(from, upTo kafka.Offset, maxBytes int) (Run, error) {
	for attempt := 0; ; attempt++ {
		run, err := p.read(from, upTo, maxBytes)
		moved := errors.Is(err, wal.ErrRetired) || errors.Is(err, errSegmentGone)
		if !moved || attempt == readAttempts {
			return run, err
		}
	}
}

func (p *Partition) read(from, upTo kafka.Offset, maxBytes int) (Run, error) {
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
		return s.read(p.store, p.dir, epochs, from, upTo, maxBytes)
	}
	i := sort.Search(len(p.entries), func(i int) bool { return p.entries[i].next > from })
	last, total := i+1, p.entries[i].size
	for last < len(p.entries) && last-i < readEntriesMax && total < min(maxBytes, gatherBytes) && p.entries[last].base < upTo {
		total += p.entries[last].size
		last++
	}
	var few [8]entry
	entries := append(few[:0], p.entries[i:last]...)
	p.mu.RUnlock()
	return p.gather(entries, from, maxBytes)
}

// gather reads entries: one as a view when it is in memory, several as a copy.
func (p *Partition) gather(entries []entry, from kafka.Offset, maxBytes int) (Run, error) {
	first, err := p.entryBytes(nil, entries[0], from, maxBytes)
	if err != nil {
		return Run{}, err
	}
	run := Run{Batches: first, Next: nextOffset(first), Plain: entries[0].plain}
	if run.Next < entries[0].next || len(entries) == 1 {
		return run, nil
	}
	gathered := append(make([]byte, 0, min(maxBytes, gatherBytes)+len(first)), first...)
	for _, e := range entries[1:] {
		if len(gathered)+e.size > maxBytes {
			break
		}
		b, err := p.entryBytes(nil, e, e.base, e.size)
		if err != nil {
			return Run{}, err
		}
		gathered = append(gathered, b...)
		run.Next, run.Plain = e.next, run.Plain && e.plain
	}
	run.Batches = gathered
	return run, nil
}

// entryBytes returns an entry's batches from the one that holds offset from on,
// about maxBytes of them: a view when they are in memory, else in buf's memory
// when that has room.
func (p *Partition) entryBytes(buf []byte, e entry, from kafka.Offset, maxBytes int) ([]byte, error) {
	if e.data != nil {
		return cut(e.data, from, maxBytes)
	}
	read := func(b []byte, at int64) error {
		return p.store.wal.ReadAt(b, wal.Position{File: e.at.File, Offset: at})
	}
	stored := stored{read: read, end: e.at.Offset + int64(e.size), epochs: p.epochStarts()}
	b, err := stored.batches(buf, place{e.at.Offset, e.base}, from, e.next, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("partition %x-%d: %w", p.Topic, p.Partition, err)
	}
	return b, nil
}

// cut returns the batches from the one that holds offset from on, about
// maxBytes, at least one.
func cut(batches []byte, from kafka.Offset, maxBytes int) ([]byte, error) {
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
	if len(rest) <= maxBytes {
		return rest, nil
	}
	n := len(b)
	for tail := rest[n:]; len(tail) > 0; {
		next, after, err := kafka.NextBatch(tail)
		if err != nil {
			return nil, err
		}
		if n+len(next) > maxBytes {
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

// ReadMany is Read that goes on, with copies, until about maxBytes are together
// or upTo is reached: a view when one run is enough.
func (p *Partition) ReadMany(from, upTo kafka.Offset, maxBytes int) (Run, error) {
	run, err := p.Read(from, upTo, maxBytes)
	if err != nil || len(run.Batches) == 0 || run.Next >= upTo || len(run.Batches) >= maxBytes {
		return run, err
	}
	all := run
	all.Batches = append(make([]byte, 0, 2*len(run.Batches)), run.Batches...)
	for all.Next < upTo {
		run, err := p.Read(all.Next, upTo, maxBytes-len(all.Batches))
		if err != nil || len(run.Batches) == 0 || len(all.Batches)+len(run.Batches) > maxBytes {
			break // what is together is good; the next call meets the error
		}
		all.Batches = append(all.Batches, run.Batches...)
		all.Next, all.Plain = run.Next, all.Plain && run.Plain
	}
	return all, nil
}
