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
		s := p.segmentFor(from)
		p.mu.RUnlock()
		if s == nil {
			return Run{}, fmt.Errorf("%w: no segment holds offset %d", ErrCorrupt, from)
		}
		return s.read(p.store, p.dir, from, upTo, maxBytes)
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
	first, err := p.entryBytes(entries[0], from, maxBytes)
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
		b, err := p.entryBytes(e, e.base, e.size)
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
// about maxBytes of them.
func (p *Partition) entryBytes(e entry, from kafka.Offset, maxBytes int) ([]byte, error) {
	if e.data != nil {
		return cut(e.data, from, maxBytes)
	}
	read := func(b []byte, at int64) error {
		return p.store.wal.ReadAt(b, wal.Position{File: e.at.File, Offset: at})
	}
	b, err := readBatches(read, place{e.at.Offset, e.base}, e.at.Offset+int64(e.size), from, e.next, maxBytes)
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

type readAt func(b []byte, at int64) error

// seekWindowBytes is read at a time while headers are hopped over.
const seekWindowBytes = 16 << 10

// place is where a batch starts: its position on disk and its base offset, which
// a batch's checksum does not cover.
type place struct {
	at   int64
	base kafka.Offset
}

// readBatches reads batches from disk, from a place where one starts to position
// end: from the one that holds offset from on, below upTo, about maxBytes, at
// least one. Everything that it returns was checked: length, magic, checksum, and
// that each batch goes on where the one before ended.
func readBatches(read readAt, start place, end int64, from, upTo kafka.Offset, maxBytes int) ([]byte, error) {
	first, size, err := seek(read, start, end, from)
	if err != nil {
		return nil, err
	}
	buf := make([]byte, min(end-first.at, max(int64(size), int64(maxBytes))))
	if err := read(buf, first.at); err != nil {
		return nil, err
	}
	n := 0
	next := first.base
	for rest := buf; len(rest) >= kafka.BatchHeaderBytes; {
		b, after, err := kafka.NextBatch(rest)
		if err != nil {
			if n > 0 && fits(rest) && first.at+int64(len(buf)) < end {
				break // cut by maxBytes
			}
			return nil, fmt.Errorf("%w: at position %d: %w", ErrCorrupt, first.at+int64(n), err)
		}
		if !b.CRCValid() || b.BaseOffset() != next || b.LastOffsetDelta() < 0 {
			return nil, fmt.Errorf("%w: batch at position %d, offset %d: checksum or offset mismatch, expected offset %d", ErrCorrupt, first.at+int64(n), b.BaseOffset(), next)
		}
		if b.BaseOffset() >= upTo {
			break
		}
		next = b.LastOffset() + 1
		n += len(b)
		rest = after
	}
	if n == 0 {
		return nil, fmt.Errorf("%w: no batch at position %d", ErrCorrupt, first.at)
	}
	return buf[:n:n], nil
}

// fits reports whether b starts with a batch that is only longer than b.
func fits(b []byte) bool {
	size, err := headerSize(b)
	return err == nil && size > len(b)
}

// headerSize returns the size of the batch whose header b starts with.
func headerSize(b []byte) (int, error) {
	n := int64(int32(uint32(b[8])<<24|uint32(b[9])<<16|uint32(b[10])<<8|uint32(b[11]))) + 12
	if n < kafka.BatchHeaderBytes || b[16] != 2 {
		return 0, fmt.Errorf("%w: batch length %d, magic %d", ErrCorrupt, n, b[16])
	}
	return int(n), nil
}

// seek hops over batch headers to the batch that holds offset from, and returns
// its place and size.
func seek(read readAt, p place, end int64, from kafka.Offset) (place, int, error) {
	var window []byte
	windowAt := p.at
	for {
		if end-p.at < kafka.BatchHeaderBytes {
			return p, 0, fmt.Errorf("%w: offset %d is not before position %d", ErrCorrupt, from, end)
		}
		if p.at+kafka.BatchHeaderBytes > windowAt+int64(len(window)) {
			windowAt = p.at
			window = make([]byte, min(seekWindowBytes, end-p.at))
			if err := read(window, p.at); err != nil {
				return p, 0, err
			}
		}
		b := kafka.Batch(window[p.at-windowAt:])
		size, err := headerSize(b)
		if err != nil || int64(size) > end-p.at || b.BaseOffset() != p.base || b.LastOffsetDelta() < 0 {
			return p, 0, fmt.Errorf("%w: batch of %d bytes at position %d has offset %d, expected %d", ErrCorrupt, size, p.at, b.BaseOffset(), p.base)
		}
		if b.LastOffset() >= from {
			return p, size, nil
		}
		p = place{p.at + int64(size), b.LastOffset() + 1}
	}
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
