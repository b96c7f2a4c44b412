package broker

import (
	"errors"
	"math"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// cleaner is the goroutine that compacts topics with cleanup.policy=compact, one
// partition after the other. It reads and writes on its own and has the keeper
// seal and swap segments, so that neither archiving nor back-pressure waits for
// more than a swap.
type cleaner struct {
	b    *Broker
	quit chan struct{}
	done sync.WaitGroup

	// uncleanable are partitions with damaged data: until the next start they are
	// left alone. Only pass touches it.
	uncleanable map[*partition]bool

	rounds, removed, in, out, failed atomic.Int64
}

// CleanerStats counts what compaction did since the broker was opened.
type CleanerStats struct {
	// Rounds over a partition; Failed are those that ended with an error.
	Rounds, Failed int64
	// Removed records; BytesIn and BytesOut are the sizes before and after.
	Removed, BytesIn, BytesOut int64
}

// CleanerStats returns what compaction did since the broker was opened.
func (b *Broker) CleanerStats() CleanerStats {
	c := &b.cleaner
	return CleanerStats{c.rounds.Load(), c.failed.Load(), c.removed.Load(), c.in.Load(), c.out.Load()}
}

func (c *cleaner) start(b *Broker) {
	c.b, c.quit, c.uncleanable = b, make(chan struct{}), map[*partition]bool{}
	c.done.Go(c.run) // stop ends it
}

// stop ends the goroutine and waits for it. The keeper must still run.
func (c *cleaner) stop() {
	close(c.quit)
	c.done.Wait()
}

func (c *cleaner) stopped() bool {
	select {
	case <-c.quit:
		return true
	default:
		return c.b.wal.Err() != nil
	}
}

func (c *cleaner) run() {
	timer := c.b.cfg.Clock.NewTimer(c.b.cfg.Limits.HousekeepingInterval)
	defer timer.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-timer.C:
			timer.Reset(c.b.cfg.Limits.HousekeepingInterval)
			c.pass(c.b.steady.now())
		}
	}
}

// pass compacts every partition that is due.
func (c *cleaner) pass(ms kafka.Timestamp) {
	c.b.topics.each(func(t *topic) {
		_, set := t.config()
		if !set.compact || !t.isLive() {
			return
		}
		for _, p := range t.partitions() {
			if c.stopped() || c.uncleanable[p] || !c.due(p, set, ms) {
				continue
			}
			if err := c.clean(p, set, ms); err != nil {
				c.fail(p, err)
			}
		}
	})
}

// due reports whether a partition should be compacted: a record passed
// max.compaction.lag.ms, or there is enough that is dirty, in bytes or in age,
// and its share is min.cleanable.dirty.ratio or more.
func (c *cleaner) due(p *partition, set settings, now kafka.Timestamp) bool {
	d := p.Dirty(log.Youngest(now, set.minLagMs))
	if d.Dirty == 0 {
		return false
	}
	age := int64(0)
	if d.Oldest != kafka.NoTimestamp {
		age = int64(now - d.Oldest)
	}
	if age > set.maxLagMs {
		return true
	}
	if d.Dirty < min(c.b.cfg.Limits.CleanerMinBytes, set.segmentBytes) && age <= set.segmentMs {
		return false
	}
	return float64(d.Dirty) >= set.dirtyRatio*float64(d.Clean+d.Dirty)
}

// clean compacts one partition in as many rounds as its keys need.
func (c *cleaner) clean(p *partition, set settings, now kafka.Timestamp) error {
	b := c.b
	roll := b.roll(set)
	roll.Seal = true
	err := b.keeper.do(func() error {
		return b.store.Archive(math.MaxUint64, []*log.Partition{p.Partition}, func(*log.Partition) log.Roll { return roll })
	})
	for more := err == nil; more; {
		var stats log.CompactStats
		stats, err = p.Compact(log.CompactOptions{
			Now: now, MinLag: set.minLagMs, DeleteRetention: set.deleteRetentionMs,
			SegmentBytes: roll.Bytes, KeyMapBytes: b.cfg.Limits.CleanerKeyMapBytes, Active: b.activeProducers(p),
			Swap:     b.keeper.do,
			Replaced: func(stems []string) { b.keeper.replaced = append(b.keeper.replaced, stems...) },
			Stopped:  c.stopped,
		})
		more = err == nil && stats.More
		c.count(p, stats)
	}
	// Replaced segments go with the next checkpoint: now, since they take room.
	return errors.Join(err, b.keeper.do(func() error {
		if len(b.keeper.replaced) == 0 {
			return nil
		}
		return b.keeper.checkpoint(0)
	}))
}

func (c *cleaner) count(p *partition, s log.CompactStats) {
	c.rounds.Add(1)
	c.removed.Add(s.Removed)
	c.in.Add(s.BytesIn)
	c.out.Add(s.BytesOut)
	c.b.cfg.Logger.Debug("compacted", "partition", p.tp, "records", s.Records, "removed", s.Removed,
		"bytes_in", s.BytesIn, "bytes_out", s.BytesOut, "cleaned_to", s.CleanedTo, "more", s.More)
}

// fail decides what an error means: something to try again, damage in one
// partition, or a storage error, after which nothing is written any more.
func (c *cleaner) fail(p *partition, err error) {
	switch {
	case errors.Is(err, ErrClosed) || errors.Is(err, wal.ErrClosed) || errors.Is(err, log.ErrStale) || vfs.IsNotExist(err):
		return // closing, or retention or a deletion was faster
	case errors.Is(err, log.ErrCorrupt) || errors.Is(err, kafka.ErrCorruptBatch) || errors.Is(err, log.ErrTooLarge):
		c.uncleanable[p] = true
		c.b.cfg.Logger.Error("partition cannot be compacted until the next start", "partition", p.tp, "err", err)
	case vfs.IsFull(err):
		c.b.cfg.Logger.Warn("compaction waits for room on the disk", "partition", p.tp, "err", err)
	default:
		c.b.wal.Fence("compact "+p.tp.String(), err)
	}
	c.failed.Add(1)
}

// activeProducers returns where the producers of a partition that are remembered
// stand.
func (b *Broker) activeProducers(p *partition) map[kafka.ProducerID]log.ActiveProducer {
	active := map[kafka.ProducerID]log.ActiveProducer{}
	b.mu.Lock()
	defer b.mu.Unlock()
	p.producers.Active(func(pid kafka.ProducerID, epoch kafka.Epoch, last kafka.Offset) {
		active[pid] = log.ActiveProducer{Epoch: epoch, HasData: last >= 0, Last: last}
	})
	return active
}
