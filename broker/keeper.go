package broker

import (
	"errors"
	"sync"
	"time"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// keeper is the one goroutine that works behind the log: it archives and retires
// log files, applies retention, removes files of deleted topics, and expires
// producers and transactions. All segments change in it: the cleaner, which
// writes compacted ones in a goroutine of its own, has them swapped in as a job.
type keeper struct {
	b    *Broker
	wake chan struct{}
	jobs chan job
	quit chan struct{}
	done sync.WaitGroup
	// reserve is for the checkpoint that makes room on a full disk.
	reserve *vfs.Reserve

	// replaced are segments that a checkpoint may still name, by path without
	// suffix. Only the goroutine touches it.
	replaced []string

	// checked is when groups were last looked for that have nothing left. Only the
	// goroutine touches it.
	checked time.Time

	// waits: work found the disk full, and the log says so. It is told again when
	// the disk was not full at a tick of the timer in between. Only the goroutine
	// touches it.
	waits bool

	mu      sync.Mutex // a leaf lock, guards removed
	removed []*topic
}

// job is work for the keeper's goroutine.
type job struct {
	f    func() error
	done chan error
}

// do runs f in the keeper's goroutine.
func (k *keeper) do(f func() error) error {
	j := job{f, make(chan error, 1)}
	select {
	case k.jobs <- j:
		return <-j.done
	case <-k.quit:
		return ErrClosed
	}
}

// walFilesMax is how many sealed log files are kept before the oldest retires,
// whatever their size.
const walFilesMax = 16

func (k *keeper) start(b *Broker) {
	k.b = b
	k.reserve = vfs.NewReserve(b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "reserve"), b.cfg.Limits.WALSpareBytes)
	k.quit, k.jobs = make(chan struct{}), make(chan job)
	k.mu.Lock()
	k.wake = make(chan struct{}, 1)
	k.wake <- struct{}{} // recovery may have left work
	k.mu.Unlock()
	k.done.Go(k.run) // stop ends it
}

// stop ends the goroutine and waits for it.
func (k *keeper) stop() {
	close(k.quit)
	k.done.Wait()
}

// poke makes the keeper look for work now. It never blocks.
func (k *keeper) poke() {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.wake == nil {
		return
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// removeTopic hands a deleted topic's files over for removal.
func (k *keeper) removeTopic(t *topic) {
	k.mu.Lock()
	k.removed = append(k.removed, t)
	k.mu.Unlock()
	k.poke()
}

// dropRemoved forgets topics whose files recovery has removed.
func (k *keeper) dropRemoved() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.removed = nil
}

func (k *keeper) run() {
	timer := k.b.cfg.Clock.NewTimer(k.b.cfg.Limits.HousekeepingInterval)
	k.checked = k.b.cfg.Clock.Now()
	defer timer.Stop()
	for {
		select {
		case <-k.quit:
			return
		case j := <-k.jobs:
			j.done <- j.f()
			continue
		case <-k.wake:
		case <-timer.C:
			timer.Reset(k.b.cfg.Limits.HousekeepingInterval)
			now := k.b.cfg.Clock.Now()
			k.b.steady.advance(k.b, kafka.Timestamp(now.UnixMilli()))
			k.b.expire(now)
			k.b.wal.TellRoom()
			k.waits = k.waits && k.b.wal.Full()
			if now.Sub(k.checked) >= k.b.cfg.Limits.OffsetsRetentionCheckInterval {
				k.checked = now
				k.b.expireGroups()
			}
		}
		if k.b.wal.Err() != nil {
			continue // nothing may be written any more
		}
		k.judge(k.work())
	}
}

// judge decides what an error of work means: a full disk makes it wait, and with
// it those for whom it makes room; anything else fences the directory.
func (k *keeper) judge(err error) {
	full := vfs.IsFull(err) || errors.Is(err, wal.ErrDiskFull)
	k.b.wal.SetBehindFull(full)
	switch {
	case full && !k.waits:
		k.waits = true
		k.b.cfg.Logger.Warn("the work behind the log waits for room on the disk", "err", err)
	case err != nil && !full:
		k.b.wal.Fence("work behind the log", err)
	}
}

// work does what is due. Any error is a storage error.
func (k *keeper) work() error {
	if err := k.removeFiles(); err != nil {
		return err
	}
	if !k.b.wal.Full() {
		if err := k.reserve.Hold(); err != nil {
			return err
		}
	}
	for {
		sealed, live := k.b.wal.Sealed()
		limits := k.b.cfg.Limits
		due := live > limits.WALMaxBytes/2 || k.b.store.Entries() > limits.WALMaxEntries || len(sealed) > walFilesMax
		if len(sealed) == 0 || !due && !k.worthless(sealed[0]) {
			return nil
		}
		err := k.retire(sealed[0])
		if vfs.IsFull(err) {
			if released, releaseErr := k.reserve.Release(); released {
				err = k.retire(sealed[0])
			} else if releaseErr != nil {
				err = releaseErr
			}
		}
		if err != nil {
			return err
		}
		select {
		case <-k.quit:
			return nil
		default:
		}
	}
}

// worthless reports whether the oldest log file can retire nearly without writing,
// because what it held was deleted: it only takes room.
func (k *keeper) worthless(number uint64) bool {
	return k.b.store.Unarchived(number, k.partitions()) <= k.b.cfg.Limits.WALSpareBytes/2
}

// partitions returns those of all topics.
func (k *keeper) partitions() (parts []*log.Partition) {
	k.b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			parts = append(parts, p.Partition)
		}
	})
	return parts
}

// retire archives the oldest log file, writes the checkpoint that no longer
// needs it, and gives it back to the log.
func (k *keeper) retire(number uint64) error {
	// A sealed file may hold frames that are synced but not published yet.
	published := make(chan error, 1)
	k.b.wal.Barrier(func(_ uint64, err error) { published <- err })
	if err := <-published; err != nil {
		return err
	}
	if err := k.b.store.Archive(number, k.partitions(), k.rollOf); err != nil {
		return err
	}
	if err := k.checkpoint(number); err != nil {
		return err
	}
	return k.b.wal.Retire(number)
}

// checkpoint writes a checkpoint without log files up to number, and removes
// segments that the one before needed.
func (k *keeper) checkpoint(number uint64) error {
	if err := k.b.checkpoint(number, false); err != nil {
		return err
	}
	if err := k.b.store.RemoveReplaced(k.replaced); err != nil {
		return err
	}
	k.replaced = nil
	return nil
}

// lastCheckpoint writes the one of a clean end, when the goroutine has stopped. On
// a full disk the one before stands, and the next start reads the log behind it.
func (k *keeper) lastCheckpoint() error {
	err := k.b.checkpoint(0, true)
	if vfs.IsFull(err) {
		if _, err := k.reserve.Release(); err != nil {
			return err
		}
		err = k.b.checkpoint(0, true)
	}
	if vfs.IsFull(err) && !k.b.freshLog.Load() {
		k.b.cfg.Logger.Warn("the disk is full: no checkpoint at the end; nothing is lost, the next start reads the log instead", "err", err)
		return nil
	}
	return err
}

// roll says when a topic's segments are full.
func (b *Broker) roll(set settings) log.Roll {
	return log.Roll{Bytes: min(set.segmentBytes, b.cfg.Limits.SegmentBytes), Age: set.segmentMs}
}

// rollOf is roll of a partition's topic.
func (k *keeper) rollOf(p *log.Partition) log.Roll {
	t := k.b.topics.staged(p.Topic)
	if t == nil {
		return k.b.roll(settings{segmentBytes: k.b.cfg.Limits.SegmentBytes}) // deleted meanwhile
	}
	_, set := t.config()
	return k.b.roll(set)
}

// removeFiles removes the files of deleted topics, and segments below the log
// start offset. A checkpoint that still names a removed segment is no harm for a
// deleted topic, whose deletion is in the log; for segments the checkpoint comes
// first.
func (k *keeper) removeFiles() error {
	k.mu.Lock()
	removed := k.removed
	k.removed = nil
	k.mu.Unlock()
	for _, t := range removed {
		var parts []*log.Partition
		for _, p := range t.partitions() {
			parts = append(parts, p.Partition)
		}
		if err := k.b.store.RemoveTopic(t.id, parts); err != nil {
			return err
		}
	}
	var expired []*partition
	k.b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			if p.HasExpired() {
				expired = append(expired, p)
			}
		}
	})
	for _, p := range expired {
		if err := p.RemoveExpired(); err != nil {
			return err
		}
	}
	return nil
}

// expire applies retention and forgets what was not used for long, by the steady
// clock, and aborts transactions past their time-out.
func (b *Broker) expire(now time.Time) {
	ms := b.steady.now()
	b.topics.each(func(t *topic) {
		_, set := t.config()
		// Internal topics never expire: their owner deletes records.
		if t.internal || !t.isLive() || set.keepFrom(ms) == kafka.NoTimestamp && set.keepBytes() < 0 {
			return
		}
		for _, p := range t.partitions() {
			start := p.Expired(set.keepFrom(ms), set.keepBytes())
			if start <= p.Bounds().LogStart {
				continue
			}
			if err := b.raiseLogStart(p, start); err != nil {
				b.cfg.Logger.Warn("retention", "partition", p.tp, "err", err)
				return
			}
		}
	})
	b.mu.Lock()
	b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			p.producers.Expire(ms - kafka.Timestamp(b.cfg.Limits.ProducerExpiration.Milliseconds()))
		}
	})
	b.mu.Unlock()
	b.expireTransactions(now)
	b.expireOffsets(now)
}

// raiseLogStart makes a higher log start offset durable, on a full disk too.
func (b *Broker) raiseLogStart(p *partition, start kafka.Offset) error {
	return b.urgently(func() error {
		c := newChange(64)
		c.frame.Urgent = true
		return b.submitWait(c, func() error {
			if p.deleted {
				return ErrUnknownTopic
			}
			b.stage(c, &logStartSet{p.Topic, p.Partition.Partition, start})
			return nil
		})
	})
}
