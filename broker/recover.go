package broker

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"syscall"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// The data directory:
//
//	LOCK            held by the process that has the directory open
//	checkpoint      the root: everything but records (package wal)
//	checkpoint.copy the same again
//	wal/            log files
//	topics/         segments (package log)
//	reserve         room for the checkpoint on a full disk (keeper.go)

// lockDir creates the data directory when it is missing and locks it.
func (b *Broker) lockDir() error {
	fs, dir := b.cfg.FS, b.cfg.Dir
	if dir == "" {
		return fmt.Errorf("%w: no data directory given", ErrInvalid)
	}
	if err := fs.MkdirAll(fs.PathJoin(dir, "wal"), 0o755); err != nil {
		return fmt.Errorf("create data directory %s: %w", dir, err)
	}
	lock, err := fs.Lock(fs.PathJoin(dir, "LOCK"))
	if err != nil {
		if errors.Is(err, syscall.EAGAIN) || errors.Is(err, syscall.EACCES) || err.Error() == "lock held by current process" {
			return fmt.Errorf("data directory %s is in use by another process: %w", dir, err)
		}
		return fmt.Errorf("lock data directory %s: %w", dir, err)
	}
	b.lock = lock
	return nil
}

// recover loads the checkpoint, replays the log behind it, and makes the
// result durable as a new checkpoint with the next epoch: an epoch that was used
// once never comes again, and clients notice the restart.
func (b *Broker) recover() (wal.Root, error) {
	fs, dir := b.cfg.FS, b.cfg.Dir
	cp, err := wal.LoadCheckpoint(fs, dir, b.encryption.sealer)
	root := cp.Root
	fresh := vfs.IsNotExist(err)
	if fresh {
		root, err = b.initDir()
	}
	if err != nil {
		return wal.Root{}, err
	}
	replayed := root.FirstSequence // nothing of the log is in an empty state
	if !fresh {
		if replayed, err = b.decodeState(cp.State); err != nil {
			return wal.Root{}, b.preferCopy(cp, b.fromCopy(cp, err))
		}
	}
	if err := b.resolveKeys(cp.Keys, fresh); err != nil {
		return wal.Root{}, err
	}
	b.wal, err = wal.Open(b.walOptions(), root, b.replayBehind(replayed))
	if err != nil {
		return wal.Root{}, b.preferCopy(cp, b.fromCopy(cp, err))
	}
	b.store.SetLog(b.wal)
	next, err := b.finishRecovery(cp, root.Epoch, fresh)
	if err != nil {
		return wal.Root{}, b.preferCopy(cp, errors.Join(err, b.wal.Close()))
	}
	b.tellKeys()
	return next, nil
}

// replayBehind replays frames behind a checkpoint that has the effects of those below
// replayed.
func (b *Broker) replayBehind(replayed uint64) wal.Replay {
	return func(sequence uint64, entries []wal.Entry) error {
		if err := b.replay(entries, sequence < replayed); err != nil {
			return fmt.Errorf("replay frame %d: %w", sequence, err)
		}
		return nil
	}
}

// checkRestored checks what was replayed.
func (b *Broker) checkRestored() (err error) {
	b.topics.each(func(t *topic) {
		for _, p := range t.partitions() {
			err = errors.Join(err, p.CheckRestored())
			p.next = p.Bounds().HighWatermark
		}
	})
	return err
}

// finishRecovery checks what was replayed, behind the checkpoint cp of incarnation
// epoch, and makes it the new checkpoint. What no checkpoint names is removed when
// both files of the old one are whole.
func (b *Broker) finishRecovery(cp wal.Checkpoint, epoch uint32, fresh bool) (wal.Root, error) {
	if err := b.checkRestored(); err != nil {
		return wal.Root{}, err
	}
	if !fresh {
		if err := b.mendCheckpoint(cp); err != nil {
			return wal.Root{}, err
		}
	}
	if err := b.removeStray(); err != nil {
		return wal.Root{}, err
	}
	if err := b.checkFiles(); err != nil {
		return wal.Root{}, err
	}
	b.keeper.dropRemoved()
	next := b.wal.Root()
	next.Epoch = epoch + 1
	if cp.Root.FromCopy {
		next.Epoch += copyEpochs
	}
	state := b.encodeStaged()(next.Synced)
	err := b.whenFull(func() error {
		return wal.SaveCheckpoint(b.cfg.FS, b.cfg.Dir, next, state, b.encryption.sealing())
	})
	if err != nil {
		return wal.Root{}, err
	}
	return next, b.wal.MakeSpare()
}

// whenFull writes something at a start. On a full disk the spare makes room, so that
// the start succeeds.
func (b *Broker) whenFull(write func() error) error {
	err := write()
	if vfs.IsFull(err) {
		if err = b.wal.DropSpare(); err == nil {
			err = write()
		}
	}
	return err
}

// removeStray removes files of the log and of topics that the checkpoint does not
// name.
func (b *Broker) removeStray() error {
	known := func(id TopicID) ([]*log.Partition, bool) {
		t := b.topics.staged(id)
		if t == nil {
			return nil, false
		}
		var parts []*log.Partition
		for _, p := range t.partitions() {
			parts = append(parts, p.Partition)
		}
		return parts, true
	}
	if err := b.wal.RemoveRetired(); err != nil {
		return err
	}
	return b.store.RemoveOrphans(known)
}

// initDir prepares a new data directory. Log files or segments without a checkpoint
// are not a new directory: a start that took it for one would remove them.
func (b *Broker) initDir() (wal.Root, error) {
	fs, dir := b.cfg.FS, b.cfg.Dir
	if err := CheckNew(fs, dir); err != nil {
		return wal.Root{}, err
	}
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return wal.Root{}, fmt.Errorf("make cluster id: %w", err)
	}
	b.clusterID = base64.RawURLEncoding.EncodeToString(id[:])
	for _, d := range []string{dir, fs.PathDir(dir)} {
		if err := vfs.SyncDir(fs, d); err != nil {
			return wal.Root{}, fmt.Errorf("sync %s: %w", d, err)
		}
	}
	return wal.Root{FirstFile: 1, FirstSequence: 1}, nil
}

// CheckNew returns an error that wraps ErrNoCheckpoint when a directory without a
// checkpoint holds what a broker wrote.
func CheckNew(fs vfs.FS, dir string) error {
	// The first checkpoint is durable before the first frame is written; a crash
	// before that leaves at most one empty file.
	for _, part := range []struct{ name, holds string }{{"wal", "log files"}, {"topics", "segments"}} {
		names, err := fs.List(fs.PathJoin(dir, part.name))
		if vfs.IsNotExist(err) {
			continue
		} else if err != nil {
			return fmt.Errorf("list %s: %w", part.name, err)
		}
		for _, name := range names {
			info, err := fs.Stat(fs.PathJoin(dir, part.name, name))
			if err != nil {
				return fmt.Errorf("look into %s: %w", part.name, err)
			}
			if info.Size() > 0 || info.IsDir() {
				return fmt.Errorf("%w: %s has %s (%s/) but no checkpoint, without which they cannot be read; restore it from a copy together with them", ErrNoCheckpoint, dir, part.holds, part.name)
			}
		}
	}
	return nil
}

// ErrNoCheckpoint is wrapped when the checkpoint of a data directory is missing; it
// wraps wal.ErrCorrupt.
var ErrNoCheckpoint = fmt.Errorf("%w: the checkpoint is missing", wal.ErrCorrupt)

func (b *Broker) walOptions() wal.Options {
	l := b.cfg.Limits
	return wal.Options{
		FS: b.cfg.FS, Dir: b.cfg.FS.PathJoin(b.cfg.Dir, "wal"), Logger: b.cfg.Logger,
		FileBytes: l.WALFileBytes, MaxBytes: l.WALMaxBytes, QueueBytes: min(l.QueueMaxBytes, l.WALMaxBytes/4),
		FrameMaxBytes: l.FrameMaxBytes, Sealer: b.encryption.sealer, SpareBytes: l.WALSpareBytes, OnFull: b.keeper.poke,
		Damage: isDamage,
	}
}

// replay applies a recovered frame. inState says that the checkpoint holds its
// effects already, and only the place of its records matters.
func (b *Broker) replay(entries []wal.Entry, inState bool) error {
	// As in publish: topics first, then records, then what refers to them.
	var events []event
	for _, e := range entries {
		if e.Kind == wal.KindBatches || inState {
			continue
		}
		ev, err := newEvent(e.Kind)
		if err != nil {
			return err
		}
		d := wal.Decoder{Buf: e.Body}
		if ev.decode(&d); d.Err != nil {
			return d.Err
		}
		ev.stage(b)
		if early, ok := ev.(earlyPublisher); ok {
			early.publishEarly(b)
		}
		events = append(events, ev)
	}
	for _, e := range entries {
		if e.Kind == wal.KindBatches {
			if err := b.replayBatches(e, inState); err != nil {
				return err
			}
		}
	}
	for _, ev := range events {
		ev.publish(b)
	}
	return nil
}

// replayBatches puts recovered batches where they belong.
func (b *Broker) replayBatches(e wal.Entry, inState bool) error {
	t := b.topics.staged(e.Topic)
	if t == nil && inState {
		return nil // deleted before the checkpoint
	}
	if t == nil {
		return fmt.Errorf("%w: records of topic %s, which was not created", wal.ErrCorrupt, topicIDText(e.Topic))
	}
	parts := t.partitions()
	if e.Partition < 0 || int(e.Partition) >= len(parts) {
		return fmt.Errorf("%w: %s has no partition %d", wal.ErrCorrupt, t.name, e.Partition)
	}
	p := parts[e.Partition]
	info, err := log.Inspect(e.Batches)
	if err != nil {
		return fmt.Errorf("%s: %w", p.tp, err)
	}
	if err := log.CheckKeys(e.Batches, b.encryption.sealer); err != nil {
		return fmt.Errorf("%s: %w", p.tp, err)
	}
	base := kafka.Batch(e.Batches).BaseOffset()
	pub := log.Published{Base: base, Next: base + kafka.Offset(info.Offsets), At: e.At, Info: info, Data: e.Batches}
	if inState {
		return p.Restore(pub)
	}
	p.noteProducers(e.Batches, b.now())
	return p.Publish(pub)
}
