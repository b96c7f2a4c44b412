package broker

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

// rehearsals is how often Dump tries what a start would do while the checkpoint is
// replaced by a broker that runs.
const rehearsals = 3

// checkpoints dumps the checkpoint of a data directory, as a start would read it, and
// says how the other one of its two files is.
func (d *dumper) checkpoints(dir string) error {
	cp, err := d.rehearse(dir)
	switch {
	case vfs.IsNotExist(err):
		if err = CheckNew(d.fs, dir); !errors.Is(err, ErrNoCheckpoint) {
			return err
		}
		return d.emit(DumpItem{Kind: "damage", File: d.fs.PathJoin(dir, wal.CheckpointName), Damage: err.Error()})
	case isLocked(err):
		return d.lockedCheckpoints(dir)
	}
	if cerr := d.checkpoint(d.fs.PathJoin(dir, cp.Name()), cp, err); cerr != nil || err != nil {
		return cerr
	}
	return d.otherCheckpoint(dir, cp)
}

// rehearse loads the checkpoint and finds out whether a start from it is refused.
func (d *dumper) rehearse(dir string) (cp wal.Checkpoint, err error) {
	for range rehearsals {
		if cp, err = wal.LoadCheckpoint(d.fs, dir, d.sealer); err != nil {
			return cp, err
		}
		b := &Broker{cfg: Config{Dir: dir, FS: d.fs}.withDefaults()}
		b.encryption.sealer = d.sealer
		if d.refused = b.preferCopy(cp, rehearse(b.cfg, d.sealer, cp)); d.refused == nil {
			break
		}
		// A broker that runs may have retired what this checkpoint names.
		if again, err := wal.LoadCheckpoint(d.fs, dir, d.sealer); err == nil && again.Same(cp) {
			break
		}
	}
	return cp, nil
}

// refusal says why a start is refused, unless the damage of the log that was shown
// says it.
func (d *dumper) refusal(dir string) error {
	if d.refused == nil || d.logDamaged && isDamage(d.refused) {
		return nil
	}
	if isLocked(d.refused) { // by a key that something behind the checkpoint needs
		return nil
	}
	return d.emit(DumpItem{Kind: "damage", File: dir, Damage: fmt.Sprintf("a start is refused: %v", d.refused)})
}

// lockedCheckpoints shows each file of a checkpoint that is encrypted with a key that
// is not given: the other one may be damaged, which needs no key to see.
func (d *dumper) lockedCheckpoints(dir string) error {
	for _, name := range []string{wal.CheckpointName, wal.CheckpointCopyName} {
		path := d.fs.PathJoin(dir, name)
		cp, err := wal.LoadCheckpointFile(d.fs, path, d.sealer)
		if vfs.IsNotExist(err) && name == wal.CheckpointCopyName {
			continue // as in a directory that never had one
		}
		if err := d.checkpoint(path, cp, err); err != nil {
			return err
		}
	}
	return nil
}

// otherCheckpoint says how the file is that the checkpoint was not read from. What
// the next start does is said when it is known.
func (d *dumper) otherCheckpoint(dir string, cp wal.Checkpoint) error {
	item := DumpItem{Kind: "checkpoint", File: d.fs.PathJoin(dir, cp.Other())}
	then := ""
	switch _, err := d.fs.Stat(item.File); {
	case cp.Whole:
		item.Text = "the same"
	case cp.Damage != nil:
		if d.refused == nil {
			then = ": the next start takes " + cp.Name()
		}
		item.Kind, item.Damage = "damage", cp.Damage.Error()+then
	default:
		if d.refused == nil {
			then = ": the next start makes it the same"
		}
		item.Text = "another save" + then
		if cp.Older {
			item.Text = "a later save" + then
		} else if vfs.IsNotExist(err) {
			item.Text = "none" + then
		}
	}
	return d.emit(item)
}

// isLocked reports whether an error is of a key that was not given.
func isLocked(err error) bool { return errors.Is(err, ErrSealed) || errors.Is(err, ErrUnknownKey) }
