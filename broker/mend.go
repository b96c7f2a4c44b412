package broker

import (
	"fmt"
	"log/slog"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// copyEpochs are left out by a start from the copy of the checkpoint: if it is of an
// older state than anything on the disk shows, starts since then have used some.
const copyEpochs = 1000

// fromCopy says of an error of a start that it read the copy, and why.
func (b *Broker) fromCopy(cp wal.Checkpoint, err error) error {
	if !cp.Root.FromCopy || !isDamage(err) {
		return err
	}
	return fmt.Errorf("%s cannot be read (%v), and %s is of no use: %w", wal.CheckpointName, cp.Damage, wal.CheckpointCopyName, err)
}

// olderText explains that a start from checkpoint is refused while its copy is good.
const olderText = "%w; " + wal.CheckpointName + " is of an older state than " + wal.CheckpointCopyName +
	", as when one of the two was put back from a backup: move it away, and the start takes the copy, from which everything can be read"

// preferCopy says of the damage that a start from checkpoint found that the copy, which is
// of a later save, is good alone, when that is so.
func (b *Broker) preferCopy(cp wal.Checkpoint, err error) error {
	if !cp.Older || !isDamage(err) {
		return err
	}
	later, lerr := wal.LoadCheckpointCopy(b.cfg.FS, b.cfg.Dir, b.encryption.sealer)
	if lerr != nil || rehearse(b.cfg, b.encryption.sealer, later) != nil {
		return err
	}
	return fmt.Errorf(olderText, err)
}

// rehearse returns the error that a start from cp would end with, for what it reads,
// and changes nothing.
func rehearse(cfg Config, sealer *seal.Sealer, cp wal.Checkpoint) error {
	cfg.Logger = slog.New(slog.DiscardHandler)
	b := &Broker{cfg: cfg}
	b.encryption.sealer = sealer
	b.init()
	defer b.store.Close()
	replayed, err := b.decodeState(cp.State)
	if err == nil {
		err = b.resolveKeys(cp.Keys, false)
	}
	if err == nil {
		err = wal.Check(b.walOptions(), cp.Root, b.replayBehind(replayed))
	}
	if err == nil {
		err = b.checkRestored()
	}
	if err == nil && cp.Root.FromCopy {
		return b.checkCopy(cp)
	}
	return b.fromCopy(cp, err)
}

// mendCheckpoint makes the two files of the checkpoint that was loaded the same,
// before anything is removed that one of them may name. One that is damaged is moved
// to damaged/ first: it may tell why, and somebody may want to know.
func (b *Broker) mendCheckpoint(cp wal.Checkpoint) error {
	if cp.Root.FromCopy {
		if err := b.checkCopy(cp); err != nil {
			return err
		}
	}
	if cp.Whole {
		return nil
	}
	aside := ""
	err := b.whenFull(func() (err error) {
		if cp.Damage != nil && !vfs.IsNotExist(cp.Damage) && aside == "" {
			aside, err = b.setCheckpointAside(cp.Other())
		}
		if err == nil {
			err = cp.WriteOther(b.cfg.FS, b.cfg.Dir)
		}
		return err
	})
	if err != nil {
		return err
	}
	switch {
	case cp.Damage == nil: // of another save, or there was none
		return nil
	case aside == "":
		b.mended = fmt.Sprintf("%s was missing: it was written anew from %s, with nothing lost", cp.Other(), cp.Name())
	default:
		b.mended = fmt.Sprintf("%s could not be read (%v): it was written anew from %s, with nothing lost, and is kept as %s; look after the disk",
			cp.Other(), cp.Damage, cp.Name(), aside)
	}
	b.cfg.Logger.Warn("a file of the checkpoint was mended", "dir", b.cfg.Dir, "what", b.mended)
	return nil
}

// Mended says what Open found wrong with the files of the checkpoint, and did about
// it; it is empty when there was nothing.
func (b *Broker) Mended() string { return b.mended }

// checkCopy refuses a copy that names segments that are not there: they may have been
// replaced since then by others, which a start from the copy would remove.
func (b *Broker) checkCopy(cp wal.Checkpoint) error {
	all, err := b.missingFiles()
	if err == nil && len(all) > 0 {
		err = fmt.Errorf("%w: it names files that are not there, of partition %s, %s", wal.ErrCorrupt, all[0].tp, all[0].text())
	}
	return b.fromCopy(cp, err)
}

// setCheckpointAside moves a damaged file of the checkpoint to damaged/ and returns
// where it is now. When a crash comes in between, the file is missing, and the other
// one is there.
func (b *Broker) setCheckpointAside(name string) (string, error) {
	fs := b.cfg.FS
	dir := fs.PathJoin(b.cfg.Dir, damagedDir)
	if err := fs.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("set a damaged checkpoint aside: %w", err)
	}
	to, err := b.freeName(fs.PathJoin(dir, name))
	if err != nil {
		return "", err
	}
	if err := fs.Rename(fs.PathJoin(b.cfg.Dir, name), to); err != nil {
		return "", fmt.Errorf("set a damaged checkpoint aside: %w", err)
	}
	for _, d := range []string{dir, b.cfg.Dir} {
		if err := vfs.SyncDir(fs, d); err != nil {
			return "", fmt.Errorf("sync %s: %w", d, err)
		}
	}
	return to, nil
}
