package log

import (
	"errors"
	"fmt"

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
		run, err := s.read(c.p.store, c.p.dir, c.epochs, from, s.next, Want{Bytes: compactReadBytes, AtLeastOne: true})
		if err = c.p.gone(s, err); errors.Is(err, errSegmentGone) {
			return true, ErrStale // retention was faster
		}
		if err != nil {
			return true, err
		}
		if run, err = c.p.opened(run, Want{}); err != nil {
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
