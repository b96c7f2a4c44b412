package log

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
)

// ReencryptOptions say how a segment is encrypted anew.
type ReencryptOptions struct {
	// Swap, Replaced and Stopped are those of CompactOptions.
	Swap     func(f func() error) error
	Replaced func(stems []string)
	Stopped  func() bool
}

// Reencrypt looks at the segment that holds offset from, or the next one, and
// writes it anew when a batch of it is not encrypted with the first key: with
// another one, or not at all. The new segment takes the old one's place as a
// compacted one does (exchange), so that a crash leaves one or the other. next is
// the offset to go on from, from itself when there is no such segment; bytes is
// the size of what was replaced. Entries that are not archived are not looked at.
func (p *Partition) Reencrypt(from kafka.Offset, o ReencryptOptions) (next kafka.Offset, bytes int64, err error) {
	if p.store.opts.Sealer == nil {
		return from, 0, errors.New("encrypt a segment anew: there is no key")
	}
	p.mu.RLock()
	s := p.segmentFor(max(from, p.logStart))
	p.mu.RUnlock()
	if s == nil {
		return from, 0, nil
	}
	stale, err := p.hasOtherKeys(s)
	if err != nil || !stale {
		return s.next, 0, p.gone(s, err)
	}
	if err := p.reencrypt(s, o); err != nil {
		return from, 0, fmt.Errorf("encrypt segment %s anew: %w", s.name(), err)
	}
	return s.next, s.size, nil
}

// hasOtherKeys reports whether a batch of a segment that holds something of value
// is not encrypted with the first key.
func (p *Partition) hasOtherKeys(s *segment) (bool, error) {
	first := p.store.opts.Sealer.Keys().First()
	for from := s.base; from < s.next; {
		run, err := s.read(p.store, p.dir, p.epochStarts(), from, s.next, Want{Bytes: compactReadBytes, AtLeastOne: true})
		if err != nil {
			return false, err
		}
		for rest := run.Batches; len(rest) > 0; {
			var b kafka.Batch
			if b, rest, err = kafka.NextBatch(rest); err != nil {
				return false, err
			}
			id, sealed, err := KeyOf(b)
			switch {
			case err != nil:
				return false, err
			case sealed && id != first, !sealed && !b.Control() && b.Count() > 0:
				return true, nil
			}
		}
		from = run.Next
	}
	return false, nil
}

// reencrypt writes a segment anew, every batch in its place.
func (p *Partition) reencrypt(s *segment, o ReencryptOptions) error {
	w := &cleanWriter{p: p, s: &segment{base: s.base, generation: s.generation + 1, sealed: true, firstTimestamp: s.firstTimestamp, maxTimestamp: s.maxTimestamp}}
	c := &compaction{p: p, o: CompactOptions{Stopped: o.Stopped}, epochs: p.epochStarts()}
	err := w.open()
	if err == nil {
		_, err = c.each(s, s.base, func(b kafka.Batch) (bool, error) { return false, w.add(b) })
	}
	if err == nil && w.s.next != s.next {
		err = fmt.Errorf("%w: what was written ends at offset %d, not %d", ErrStale, w.s.next, s.next)
	}
	if err = errors.Join(err, w.close(err == nil)); err == nil {
		w.s.firstTimestamp = s.firstTimestamp
		err = o.Swap(func() error {
			p.mu.Lock()
			defer p.mu.Unlock()
			return p.exchange([]*segment{s}, w.s, o.Replaced)
		})
	}
	if err != nil {
		return errors.Join(err, w.remove())
	}
	return nil
}
