package log

import (
	"errors"
	"slices"

	"github.com/millrace/millrace/internal/kafka"
)

// groups joins the segments below the map's end into groups that become one
// segment each.
func (c *compaction) groups() [][]*segment {
	var groups [][]*segment
	size := int64(0)
	for _, s := range c.segments {
		if s.base >= c.rewriter.end {
			break
		}
		if n := len(groups); n > 0 && size+s.size <= c.o.SegmentBytes {
			groups[n-1] = append(groups[n-1], s)
			size += s.size
			continue
		}
		groups = append(groups, []*segment{s})
		size = s.size
	}
	return groups
}

// replace writes what stays of a group into one new segment and puts it in the
// group's place.
func (c *compaction) replace(group []*segment, last bool) error {
	p := c.p
	r := &c.rewriter
	r.markers = r.markers[:0]
	out := &segment{base: group[0].base, sealed: true, maxTimestamp: kafka.NoTimestamp, firstTimestamp: kafka.NoTimestamp}
	in := int64(0)
	for _, s := range group {
		out.generation = max(out.generation, s.generation+1)
		in += s.size
	}
	w := &cleanWriter{p: p, s: out}
	err := w.open()
	end := group[len(group)-1].next
	for _, s := range group {
		if err != nil {
			break
		}
		_, err = c.each(s, s.base, func(b kafka.Batch) (bool, error) {
			// The last batch stays, of the files and of what was looked at: a
			// reader that stops at the last stable offset must get there.
			next := b.LastOffset() + 1
			kept, err := r.rewrite(b, next == r.end || last && next == end)
			if err == nil && kept != nil {
				err = w.add(kept)
			}
			return false, err
		})
	}
	if err = errors.Join(err, w.close(err == nil)); err != nil {
		return errors.Join(err, w.remove())
	}
	r.stats.BytesIn += in
	r.stats.BytesOut += out.size
	cleanedTo := kafka.Offset(0)
	if last {
		cleanedTo = r.end
	}
	if err := c.o.Swap(func() error { return c.swap(group, out, cleanedTo) }); err != nil {
		return errors.Join(err, w.remove())
	}
	if out.size == 0 {
		return w.remove()
	}
	return nil
}

// swap puts a segment in the place of a group. Both forms are right, so that a
// crash may bring the old one back.
func (c *compaction) swap(group []*segment, out *segment, cleanedTo kafka.Offset) error {
	p := c.p
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.exchange(group, out, c.o.Replaced); err != nil {
		return err
	}
	p.cleanedTo = max(p.cleanedTo, cleanedTo)
	// A marker that goes takes its entry of the aborted index along, or the
	// producer's next transaction would be taken for aborted. The data went in an
	// earlier round, so that no read under way can miss the entry.
	kept := p.aborted[:0:0]
	for _, a := range p.aborted {
		if !slices.Contains(c.rewriter.markers, a.Last) {
			kept = append(kept, a)
		}
	}
	p.aborted = kept
	return nil
}

// exchange puts a segment, unless it is empty, in the place of a group, and tells
// replaced what that was. The caller holds mu.
func (p *Partition) exchange(group []*segment, out *segment, replaced func(stems []string)) error {
	at := slices.Index(p.segments, group[0])
	if p.deleted || at < 0 || at+len(group) > len(p.segments) {
		return ErrStale
	}
	stems := make([]string, len(group))
	for i, s := range group {
		if p.segments[at+i] != s {
			return ErrStale
		}
		stems[i] = p.store.opts.FS.PathJoin(p.dir, s.stem())
	}
	segments := append([]*segment(nil), p.segments[:at]...)
	if out.size > 0 {
		segments = append(segments, out)
	}
	p.segments = append(segments, p.segments[at+len(group):]...)
	replaced(stems)
	return nil
}

// RemoveReplaced removes segments that compaction has replaced. A checkpoint
// that does not name them must be durable.
func (s *Store) RemoveReplaced(stems []string) error {
	for _, stem := range stems {
		if err := s.removeSegment(stem); err != nil {
			return err
		}
	}
	return nil
}
