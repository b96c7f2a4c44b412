package log

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// OffsetForTime returns the first offset below upTo whose record has a timestamp
// of ts or later, with that timestamp; -1 when there is none.
func (p *Partition) OffsetForTime(ts kafka.Timestamp, upTo kafka.Offset) (kafka.Offset, kafka.Timestamp, error) {
	for attempt := 0; ; attempt++ {
		at, found, err := p.offsetForTime(ts, upTo)
		moved := errors.Is(err, wal.ErrRetired) || errors.Is(err, errSegmentGone)
		if !moved || attempt == readAttempts {
			return at, found, err
		}
	}
}

func (p *Partition) offsetForTime(ts kafka.Timestamp, upTo kafka.Offset) (kafka.Offset, kafka.Timestamp, error) {
	for _, r := range p.candidates(ts) {
		from := r.from
		if r.segment != nil {
			h, err := p.store.cache.acquire(p.dir, r.segment)
			if err != nil {
				return -1, kafka.NoTimestamp, p.gone(r.segment, err)
			}
			from = max(from, h.floorTime(r.segment, ts))
			h.release()
		}
		at, found, err := p.searchRange(from, min(r.next, upTo), ts)
		if err != nil || at >= 0 {
			return at, found, err
		}
	}
	return -1, kafka.NoTimestamp, nil
}

// offsetRange is a segment or an entry that may hold a timestamp.
type offsetRange struct {
	from, next   kafka.Offset
	maxTimestamp kafka.Timestamp
	segment      *segment
}

// candidates returns the segments and entries whose largest timestamp is ts or
// later, in offset order.
func (p *Partition) candidates(ts kafka.Timestamp) []offsetRange {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var ranges []offsetRange
	for _, s := range p.segments {
		if s.next > p.logStart && s.maxTimestamp >= ts {
			ranges = append(ranges, offsetRange{max(p.logStart, s.base), s.next, s.maxTimestamp, s})
		}
	}
	for _, e := range p.entries {
		if e.next > p.logStart && e.maxTimestamp >= ts {
			ranges = append(ranges, offsetRange{max(p.logStart, e.base), e.next, e.maxTimestamp, nil})
		}
	}
	return ranges
}

// MaxTimestamp returns the largest timestamp below upTo and the first offset
// that has it; -1 when there are no records.
func (p *Partition) MaxTimestamp(upTo kafka.Offset) (kafka.Offset, kafka.Timestamp, error) {
	// What segments and entries are known by may be of a marker, or of a record
	// outside of [log start, upTo): then the records themselves tell.
	ranges := p.candidates(kafka.NoTimestamp)
	slices.SortStableFunc(ranges, func(a, b offsetRange) int { return cmp.Compare(b.maxTimestamp, a.maxTimestamp) })
	largest := kafka.NoTimestamp
	for _, r := range ranges {
		if r.maxTimestamp <= largest || r.from >= upTo {
			continue
		}
		ts, err := p.largest(r.from, min(r.next, upTo))
		if err != nil {
			return -1, kafka.NoTimestamp, err
		}
		largest = max(largest, ts)
	}
	if largest == kafka.NoTimestamp {
		return -1, kafka.NoTimestamp, nil
	}
	return p.OffsetForTime(largest, upTo)
}

// largest returns the largest timestamp of the records from one offset up to
// another.
func (p *Partition) largest(from, upTo kafka.Offset) (kafka.Timestamp, error) {
	largest := kafka.NoTimestamp
	for at := from; at < upTo; {
		run, err := p.Read(at, upTo, searchReadBytes)
		if err != nil {
			return largest, err
		}
		for rest := run.Batches; len(rest) > 0; {
			b, after, err := kafka.NextBatch(rest)
			if err != nil {
				return largest, err
			}
			rest = after
			if b.Control() || b.MaxTimestamp() <= largest {
				continue
			}
			if b.BaseOffset() >= from {
				largest = b.MaxTimestamp()
				continue
			}
			payload, err := Payload(b, p.store.opts.DecompressedMaxBytes)
			if err != nil {
				return largest, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
			}
			walk := b.Records(payload)
			for walk.Next() {
				if r := walk.Record(); r.Offset >= from {
					largest = max(largest, r.Timestamp)
				}
			}
			if walk.Err() != nil {
				return largest, walk.Err()
			}
		}
		if len(run.Batches) == 0 {
			break
		}
		at = run.Next
	}
	return largest, nil
}

// searchReadBytes are read at a time while a time is searched.
const searchReadBytes = 1 << 20

func (p *Partition) searchRange(from, next kafka.Offset, ts kafka.Timestamp) (kafka.Offset, kafka.Timestamp, error) {
	for from < next {
		run, err := p.Read(from, next, searchReadBytes)
		if err != nil {
			return -1, kafka.NoTimestamp, err
		}
		if len(run.Batches) == 0 {
			break
		}
		for rest := run.Batches; len(rest) > 0; {
			b, after, err := kafka.NextBatch(rest)
			if err != nil {
				return -1, kafka.NoTimestamp, err
			}
			rest = after
			if b.Control() || b.MaxTimestamp() < ts {
				continue
			}
			at, found, err := searchBatch(b, from, p.store.opts.DecompressedMaxBytes, ts)
			if err != nil || at >= 0 {
				return at, found, err
			}
		}
		from = run.Next
	}
	return -1, kafka.NoTimestamp, nil
}

func searchBatch(b kafka.Batch, from kafka.Offset, maxBytes int, ts kafka.Timestamp) (kafka.Offset, kafka.Timestamp, error) {
	payload, err := Payload(b, maxBytes)
	if err != nil {
		return -1, kafka.NoTimestamp, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	r := b.Records(payload)
	for r.Next() {
		if rec := r.Record(); rec.Offset >= from && rec.Timestamp >= ts {
			return rec.Offset, rec.Timestamp, nil
		}
	}
	return -1, kafka.NoTimestamp, r.Err()
}
