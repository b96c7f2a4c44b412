package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/kafka"
)

// ErrStale: what a compaction was about has changed; it did nothing more and may
// be tried again.
var ErrStale = errors.New("log: segments changed during compaction")

// ActiveProducer is where an idempotent producer that is remembered stands.
type ActiveProducer struct {
	Epoch kafka.Epoch
	// HasData says that Last is the last offset of its last batch; without it
	// only a marker tells its epoch.
	HasData bool
	Last    kafka.Offset
}

// CompactOptions say how a partition is compacted.
type CompactOptions struct {
	// Now is wall time (ms).
	Now kafka.Timestamp
	// MinLag keeps records that are younger (ms), DeleteRetention keeps
	// tombstones and markers for so long after their first compaction (ms).
	MinLag, DeleteRetention int64
	// SegmentBytes is the size up to which segments are joined, KeyMapBytes
	// bounds the memory for keys: what does not fit is left to the next round.
	SegmentBytes int64
	KeyMapBytes  int
	// Active are the producers that the broker remembers.
	Active map[kafka.ProducerID]ActiveProducer
	// Swap runs f where segments may be changed: in the archiver's goroutine.
	Swap func(f func() error) error
	// Replaced is told the paths, without suffix, of segments that may be
	// removed once a checkpoint without them is durable.
	Replaced func(stems []string)
	// Stopped asks whether to give up between two writes.
	Stopped func() bool
}

// CompactStats is what a compaction did.
type CompactStats struct {
	// Records were looked at, Removed of them are gone; aborted ones do not count.
	Records, Removed int64
	// BytesIn and BytesOut are the sizes of the segments before and after.
	BytesIn, BytesOut int64
	// CleanedTo: below it there is one value per key. More says that the keys of
	// the rest did not fit into memory, so that another round is needed.
	CleanedTo kafka.Offset
	More      bool
}

// compaction is one round over one partition.
type compaction struct {
	p        *Partition
	o        CompactOptions
	segments []*segment
	epochs   []EpochStart
	start    kafka.Offset // of what is dirty
	limit    kafka.Offset // last stable offset, or the end of the segments
	rewriter rewriter
}

// Compact runs one round: of every key that has a newer record in the sealed
// segments below the last stable offset, older records go; offsets stay. Files
// are replaced group by group: readers that hold the old ones read on. It runs in
// its own goroutine; one round at a time per partition.
func (p *Partition) Compact(o CompactOptions) (CompactStats, error) {
	c := &compaction{p: p, o: o}
	if !c.begin() {
		return CompactStats{CleanedTo: c.start}, nil
	}
	more, err := c.buildMap()
	if err != nil || c.rewriter.end <= c.start {
		return CompactStats{CleanedTo: c.start}, err
	}
	groups := c.groups()
	for i, g := range groups {
		if err := c.replace(g, i == len(groups)-1); err != nil {
			return c.rewriter.stats, err
		}
	}
	c.rewriter.stats.CleanedTo, c.rewriter.stats.More = c.rewriter.end, more
	return c.rewriter.stats, nil
}

// begin takes a view of the partition; false when there is nothing to do.
func (c *compaction) begin() bool {
	p := c.p
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, s := range p.segments {
		if s.sealed && s.next > p.logStart {
			c.segments = append(c.segments, s)
		}
	}
	c.start, c.limit = max(p.cleanedTo, p.logStart), p.bounds().LastStable
	c.epochs = p.epochs
	c.rewriter = rewriter{
		now: c.o.Now, horizon: later(c.o.Now, c.o.DeleteRetention), aborted: append([]AbortedTxn(nil), p.aborted...),
		active: c.o.Active, maxBytes: p.store.opts.DecompressedMaxBytes, kept: map[kafka.ProducerID]bool{},
	}
	n := len(c.segments)
	if p.deleted || n == 0 {
		return false
	}
	c.limit = min(c.limit, c.segments[n-1].next)
	return c.start < c.limit
}

// later adds milliseconds to a timestamp, up to the largest there is.
func later(t kafka.Timestamp, ms int64) kafka.Timestamp {
	if sum := t + kafka.Timestamp(ms); sum >= t {
		return sum
	}
	return 1<<63 - 1
}

// buildMap reads the dirty part and notes the newest offset of every key, until
// the part ends, the map is full, or a record is too young. more says that the
// map was full.
func (c *compaction) buildMap() (more bool, err error) {
	r := &c.rewriter
	if r.keys, err = newKeyMap(c.o.KeyMapBytes); err != nil {
		return false, err
	}
	youngest := Youngest(c.o.Now, c.o.MinLag)
	r.end = c.start
	for _, s := range c.segments {
		if s.next <= c.start {
			continue
		}
		done, err := c.each(s, max(c.start, s.base), func(b kafka.Batch) (stop bool, err error) {
			if b.LastOffset() >= c.limit || b.MaxTimestamp() > youngest {
				return true, nil
			}
			if !b.Control() && !(b.Transactional() && r.isAborted(b)) {
				full, err := c.noteKeys(b)
				if full || err != nil {
					more = full
					return true, err
				}
			}
			r.end = b.LastOffset() + 1
			return false, nil
		})
		if done || err != nil {
			return more, err
		}
	}
	return false, nil
}

// noteKeys puts a batch's keys into the map. When it is full, what was noted of
// the batch counts: the map then knows every record below rewriter.end.
func (c *compaction) noteKeys(b kafka.Batch) (full bool, err error) {
	payload, err := Payload(b, c.rewriter.maxBytes)
	if err != nil {
		return false, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	walk := b.Records(payload)
	for walk.Next() {
		rec := walk.Record()
		if rec.Key == nil || rec.Offset < c.start {
			continue
		}
		if !c.rewriter.keys.put(rec.Key, rec.Offset) {
			c.rewriter.end = rec.Offset
			return true, nil
		}
	}
	return false, walk.Err()
}

// compactReadBytes are read at a time, so that other readers of the disk wait
// for no more than that.
const compactReadBytes = 1 << 20

// each calls f for the batches of a segment from the one that holds offset from
// on, until it says stop.
func (c *compaction) each(s *segment, from kafka.Offset, f func(kafka.Batch) (stop bool, err error)) (stopped bool, err error) {
	for from < s.next {
		if c.o.Stopped() {
			return true, ErrStale
		}
		run, err := s.read(c.p.store, c.p.dir, c.epochs, from, s.next, compactReadBytes)
		if errors.Is(err, errSegmentGone) {
			return true, ErrStale // retention was faster
		}
		if err != nil {
			return true, err
		}
		for rest := run.Batches; len(rest) > 0; {
			var b kafka.Batch
			if b, rest, err = kafka.NextBatch(rest); err != nil {
				return true, err
			}
			if stop, err := f(b); stop || err != nil {
				return true, err
			}
		}
		from = run.Next
	}
	return false, nil
}

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
	at := -1
	for i, s := range p.segments {
		if s == group[0] {
			at = i
		}
	}
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
	c.o.Replaced(stems)
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
