package log

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
)

// OffsetForTime returns the first offset below upTo whose record has a timestamp
// of ts or later, with that timestamp; -1 when there is none.
func (p *Partition) OffsetForTime(ts kafka.Timestamp, upTo kafka.Offset) (kafka.Offset, kafka.Timestamp, error) {
	for _, r := range p.candidates(ts) {
		from := r.from
		if r.segment != nil {
			h, err := p.store.cache.acquire(p.dir, r.segment)
			if errors.Is(err, errSegmentGone) {
				continue // retention was faster
			}
			if err != nil {
				return -1, kafka.NoTimestamp, err
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
	from, next kafka.Offset
	segment    *segment
}

// candidates returns the segments and entries whose largest timestamp is ts or
// later, in offset order.
func (p *Partition) candidates(ts kafka.Timestamp) []offsetRange {
	p.mu.RLock()
	defer p.mu.RUnlock()
	var ranges []offsetRange
	for _, s := range p.segments {
		if s.next > p.logStart && s.maxTimestamp >= ts {
			ranges = append(ranges, offsetRange{max(p.logStart, s.base), s.next, s})
		}
	}
	for _, e := range p.entries {
		if e.next > p.logStart && e.maxTimestamp >= ts {
			ranges = append(ranges, offsetRange{max(p.logStart, e.base), e.next, nil})
		}
	}
	return ranges
}

// MaxTimestamp returns the largest timestamp below upTo and the first offset
// that has it; -1 when there are no records.
func (p *Partition) MaxTimestamp(upTo kafka.Offset) (kafka.Offset, kafka.Timestamp, error) {
	largest := kafka.NoTimestamp
	p.mu.RLock()
	for _, s := range p.segments {
		largest = max(largest, s.maxTimestamp)
	}
	for _, e := range p.entries {
		largest = max(largest, e.maxTimestamp)
	}
	p.mu.RUnlock()
	if largest == kafka.NoTimestamp {
		return -1, kafka.NoTimestamp, nil
	}
	return p.OffsetForTime(largest, upTo)
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
