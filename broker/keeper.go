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
	// reserve is for the checkpoint that makes room on a full disk, segmentsReserve
	// for what is left of a log file when most of what the log held was deleted.
	reserve, segmentsReserve *vfs.Reserve

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

// WALFilesMax is how many sealed log files are kept before the oldest retires,
// whatever their size.
const WALFilesMax = 16

func (k *keeper) start(b *Broker) {
	k.b = b
	k.reserve = vfs.NewReserve(b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "reserve"), b.cfg.Limits.WALSpareBytes)
	k.segmentsReserve = vfs.NewLargeReserve(b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "reserve.segments"), b.wal.FileBytes()+b.cfg.Limits.WALSpareBytes)
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
	if err := k.hold(); err != nil {
		return err
	}
	full := k.b.wal.Full()
	for {
		sealed, live := k.b.wal.Sealed()
		limits := k.b.cfg.Limits
		due := live > limits.WALMaxBytes/2 || k.b.store.Entries() > limits.WALMaxEntries || len(sealed) > WALFilesMax
		if len(sealed) == 0 || !due && !k.worthless(sealed, live, full) {
			return nil
		}
		if err := k.retireWithReserves(sealed[0]); err != nil {
			return err
		}
		select {
		case <-k.quit:
			return nil
		default:
		}
	}
}

// hold sees to it that there are reserves for a full disk: a small one always, one
// for a log file when there is a file that may have to retire.
func (k *keeper) hold() error {
	if k.b.wal.Full() {
		return nil
	}
	err := k.reserve.Hold()
	if sealed, _ := k.b.wal.Sealed(); err == nil && len(sealed) > 0 {
		err = k.segmentsReserve.HoldIfAmple()
	}
	return err
}

// retireWithReserves is retire, which gets the reserves when the disk is full.
func (k *keeper) retireWithReserves(number uint64) error {
	err := k.retire(number)
	if !vfs.IsFull(err) {
		return err
	}
	k.b.wal.Lend(true)
	defer k.b.wal.Lend(false)
	if err := k.settle(); err != nil && !errors.Is(err, wal.ErrDiskFull) {
		return err
	}
	for _, r := range []*vfs.Reserve{k.segmentsReserve, k.reserve} {
		released, releaseErr := r.Release()
		if releaseErr != nil {
			return releaseErr
		}
		if !released {
			continue
		}
		err = errors.Join(k.retire(number), r.Hold())
		if !vfs.IsFull(err) {
			return err
		}
	}
	return err
}

// worthless reports whether log files only take room, because what they held was
// deleted: the oldest can retire nearly without writing, or, when the disk is full,
// all that are sealed give back at least twice what has to be written.
func (k *keeper) worthless(sealed []uint64, live int64, full bool) bool {
	parts := k.partitions()
	if k.b.store.Unarchived(sealed[0], parts) <= k.b.cfg.Limits.WALSpareBytes/2 {
		return true
	}
	held := min(live, int64(len(sealed))*k.b.wal.FileBytes())
	return full && k.b.store.Unarchived(sealed[len(sealed)-1], parts) <= held/2
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
	if err := k.settle(); err != nil {
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

// settle waits until everything that is queued in the log is answered.
func (k *keeper) settle() error {
	answered := make(chan error, 1)
	k.b.wal.Barrier(func(_ uint64, err error) { answered <- err })
	return <-answered
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
