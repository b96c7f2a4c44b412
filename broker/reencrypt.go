package broker

import (
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Reencrypted is what Reencrypt did with one partition.
type Reencrypted struct {
	TP kafka.TopicPartition
	// Segments were written anew; they had so many Bytes.
	Segments int
	Bytes    int64
}

// Reencrypt writes everything that is not encrypted with the first key anew with
// it, and tells emit of every partition in which there was some: the log is
// archived, segments are replaced one by one, and Close begins a new log and
// removes the files of the old one. newLog is false when the log is empty, as after
// an earlier call, and stays. It is meant for a directory that nobody else uses:
// Close fails when something was appended meanwhile.
//
// What an interrupted call has not done, another one does. The list of needed keys
// stays: a start without the old one looks, and forgets it.
func (b *Broker) Reencrypt(emit func(Reencrypted) error) (newLog bool, err error) {
	if b.encryption.sealer == nil {
		return false, fmt.Errorf("%w: no encryption key given", ErrInvalid)
	}
	roll := func(p *log.Partition) log.Roll { return log.Roll{Bytes: b.cfg.Limits.SegmentBytes, Seal: true} }
	if newLog, err = b.logHolds(); err != nil {
		return false, err
	}
	if newLog {
		err = b.keeper.do(func() error { return b.store.Archive(math.MaxUint64, b.keeper.partitions(), roll) })
	}
	if err != nil {
		return false, err
	}
	var parts []*partition
	b.topics.each(func(t *topic) { parts = append(parts, t.partitions()...) })
	r := reencryption{b: b}
	for _, p := range parts {
		done, err := r.partition(p)
		if err != nil {
			return false, fmt.Errorf("%s: %w", p.tp, err)
		}
		if done.Segments == 0 {
			continue
		}
		if err := emit(done); err != nil {
			return false, err
		}
	}
	if newLog || r.replaced > 0 {
		if err := r.settle(); err != nil {
			return false, err
		}
	}
	if newLog {
		b.freshLog.Store(true)
	}
	return newLog, nil
}

// logHolds reports whether there is anything in the files of the log, those that
// are kept to be written again included.
func (b *Broker) logHolds() (bool, error) {
	fs, dir := b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "wal")
	names, err := fs.List(dir)
	if err != nil {
		return false, fmt.Errorf("list log files: %w", err)
	}
	for _, name := range names {
		if _, ok := wal.FileNumber(name); !ok {
			continue
		}
		if info, err := fs.Stat(fs.PathJoin(dir, name)); err != nil {
			return false, fmt.Errorf("look at log file %s: %w", name, err)
		} else if info.Size() > 0 {
			return true, nil
		}
	}
	return false, nil
}

// reencryption is one call of Reencrypt.
type reencryption struct {
	b *Broker
	// replaced are bytes of segments that the checkpoint still names.
	replaced int64
}

// settle makes what was done durable, and removes what was replaced.
func (r *reencryption) settle() error {
	r.replaced = 0
	return r.b.keeper.do(func() error { return r.b.keeper.checkpoint(0) })
}

// partition is Reencrypt of one partition. What was replaced goes when it is as
// large as a segment may be, so that there must be room for two.
func (r *reencryption) partition(p *partition) (done Reencrypted, err error) {
	k := &r.b.keeper
	done.TP = p.tp
	for from := kafka.Offset(0); ; {
		next, bytes, err := p.Reencrypt(from, log.ReencryptOptions{
			Swap:     k.do,
			Replaced: func(stems []string) { k.replaced = append(k.replaced, stems...) },
			Stopped:  func() bool { return r.b.wal.Err() != nil },
		})
		if err != nil || next == from {
			return done, err
		}
		from = next
		if bytes == 0 {
			continue
		}
		done.Segments, done.Bytes = done.Segments+1, done.Bytes+bytes
		if r.replaced += bytes; r.replaced < r.b.cfg.Limits.SegmentBytes {
			continue
		}
		if err := r.settle(); err != nil {
			return done, err
		}
	}
}

// freshRoot is the root of a new log behind the one that there is, of which
// nothing is needed: next is the sequence of its first frame.
func (b *Broker) freshRoot(root wal.Root, next uint64) (wal.Root, error) {
	if n := b.store.Entries(); n > 0 {
		return root, fmt.Errorf("begin a new log: %d of the old one's entries are not archived, since something was appended meanwhile", n)
	}
	sealed, _ := b.wal.Sealed()
	root.FirstFile, root.FirstSequence = root.FirstFile+uint64(len(sealed))+1, next
	return root, wal.CreateFile(b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "wal"), root.FirstFile)
}

// removeLog removes the files of the log, which is closed, but for the new one, that
// a durable checkpoint needs and nothing is in.
func (b *Broker) removeLog() error {
	first := b.freshFile
	fs, dir := b.cfg.FS, b.cfg.FS.PathJoin(b.cfg.Dir, "wal")
	names, err := fs.List(dir)
	for _, name := range names {
		if number, ok := wal.FileNumber(name); ok && number < first {
			err = errors.Join(err, fs.Remove(fs.PathJoin(dir, name)))
		}
	}
	if err != nil {
		return fmt.Errorf("remove the old log: %w", err)
	}
	return nil
}
