package wal

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// A checkpoint stands in two files with the same bytes, so that one that is
// damaged costs nothing. A save writes them one after the other, and what it
// permits comes after both:
//
//	           checkpoint   checkpoint.copy   log files, segments
//	before        n               n           those of n
//	              n+1             n           those of n and of n+1
//	              n+1             n+1         those of n and of n+1
//	after         n+1             n+1         those of n+1
//
// So checkpoint, when it can be read, is the truth, and a copy that is there while it
// cannot is the same or the one before, of which everything is there as well. But
// a copy can be older than that: an older program writes checkpoint alone, and
// somebody may have put the copy back from a backup. Nothing in the copy tells, and
// nothing needs to: a start from it goes on only if the log is whole from its first
// frame on, of no later incarnation than it knows, and every segment that it names
// is there. Then it comes out where checkpoint would have.
const (
	// CheckpointName and CheckpointCopyName are the two files.
	CheckpointName     = "checkpoint"
	CheckpointCopyName = "checkpoint.copy"
)

// Checkpoint is what LoadCheckpoint found.
type Checkpoint struct {
	// Root.FromCopy says that it was read from the copy.
	Root  Root
	State []byte
	// Keys are those without which the directory cannot be read, none when it is
	// plain.
	Keys []seal.KeyID
	// Whole: the other file has the same content. Damage says what is wrong with it
	// otherwise, nil when it is merely of another save, or there is no copy.
	Whole  bool
	Damage error
	// Older: this was read from checkpoint, and the copy, which is whole too, is of a
	// later save, as when somebody has put back one file from a backup.
	Older bool

	content []byte
}

// Name is the file that the checkpoint was read from, Other the other one.
func (c *Checkpoint) Name() string {
	if c.Root.FromCopy {
		return CheckpointCopyName
	}
	return CheckpointName
}

// Other is the name of the file that the checkpoint was not read from.
func (c *Checkpoint) Other() string {
	if c.Root.FromCopy {
		return CheckpointName
	}
	return CheckpointCopyName
}

// Same reports whether two checkpoints were read from the same content.
func (c *Checkpoint) Same(o Checkpoint) bool {
	return c.Root.FromCopy == o.Root.FromCopy && bytes.Equal(c.content, o.content)
}

// WriteOther makes the other file the same.
func (c *Checkpoint) WriteOther(fsys vfs.FS, dir string) error {
	if err := vfs.WriteFileAtomic(fsys, fsys.PathJoin(dir, c.Other()), c.content); err != nil {
		return fmt.Errorf("write %s: %w", c.Other(), err)
	}
	return nil
}

// LoadCheckpoint reads the checkpoint in dir, from its copy when the file is missing,
// damaged, or not given by the disk. The error wraps fs.ErrNotExist when there is
// neither, ErrVersion when a newer program wrote it, ErrCorrupt when neither can be
// read, ErrSealed when it is encrypted and there is no sealer, and seal.ErrUnknownKey
// when the sealer does not have its key; Keys are returned with the last two.
func LoadCheckpoint(fsys vfs.FS, dir string, sealer *seal.Sealer) (Checkpoint, error) {
	one, oneErr := readCheckpoint(fsys, dir, CheckpointName)
	two, twoErr := readCheckpoint(fsys, dir, CheckpointCopyName)
	// The version is the one field that no checksum covers: when everything else is
	// the same, it is damaged.
	if twin(one, two) {
		oneErr, twoErr = flipped(oneErr), flipped(twoErr)
	}
	c, err := decodeFile(one, oneErr, sealer)
	if err == nil {
		if errors.Is(twoErr, ErrVersion) {
			return Checkpoint{}, fmt.Errorf("%s: %w", CheckpointCopyName, twoErr)
		}
		c.Whole = twoErr == nil && bytes.Equal(one, two)
		if twoErr != nil && !vfs.IsNotExist(twoErr) {
			c.Damage = twoErr
		}
		if twoErr == nil && !c.Whole {
			other, err := decodeFile(two, nil, sealer)
			c.Older = err == nil && c.Root.before(other.Root)
		}
		return c, nil
	}
	if !unreadable(err) {
		return c, fmt.Errorf("%s: %w", CheckpointName, err)
	}
	if vfs.IsNotExist(err) && vfs.IsNotExist(twoErr) {
		return Checkpoint{}, fmt.Errorf("read checkpoint: %w", err)
	}
	c, copyErr := decodeFile(two, twoErr, sealer)
	switch {
	case copyErr == nil:
		c.Root.FromCopy, c.Damage = true, err
		return c, nil
	case !unreadable(copyErr):
		return c, fmt.Errorf("%s: %v; %s: %w", CheckpointName, err, CheckpointCopyName, copyErr)
	}
	// A missing one is not wrapped: nobody may take the directory for a new one.
	return Checkpoint{}, fmt.Errorf("%w: neither the checkpoint nor its copy can be read: %s: %v; %s: %v", ErrCorrupt, CheckpointName, err, CheckpointCopyName, copyErr)
}

// LoadCheckpointCopy is LoadCheckpoint as if there were no checkpoint beside its copy.
func LoadCheckpointCopy(fsys vfs.FS, dir string, sealer *seal.Sealer) (Checkpoint, error) {
	c, err := LoadCheckpointFile(fsys, fsys.PathJoin(dir, CheckpointCopyName), sealer)
	c.Root.FromCopy = true
	return c, err
}

// before reports whether a root is of an earlier save: all of these only grow.
func (r Root) before(o Root) bool {
	return cmp.Or(cmp.Compare(r.Epoch, o.Epoch), cmp.Compare(r.FirstFile, o.FirstFile),
		cmp.Compare(r.FirstSequence, o.FirstSequence), cmp.Compare(r.Synced, o.Synced)) < 0
}

// LoadCheckpointFile is LoadCheckpoint of one of the files, wherever it is.
func LoadCheckpointFile(fsys vfs.FS, path string, sealer *seal.Sealer) (Checkpoint, error) {
	b, err := readCheckpoint(fsys, fsys.PathDir(path), fsys.PathBase(path))
	return decodeFile(b, err, sealer)
}

// readCheckpoint reads one of the files and checks its header.
func readCheckpoint(fsys vfs.FS, dir, name string) ([]byte, error) {
	b, err := vfs.ReadFile(fsys, fsys.PathJoin(dir, name), checkpointMaxBytes)
	if err == nil {
		_, _, err = checkpointBody(b)
	}
	return b, err
}

// decodeFile reads the content of one of the files, if it was read without an error.
func decodeFile(b []byte, err error, sealer *seal.Sealer) (c Checkpoint, _ error) {
	if err != nil {
		return Checkpoint{}, err
	}
	c.content = b
	c.Root, c.State, c.Keys, err = decodeCheckpoint(b, sealer)
	return c, err
}

// twin reports whether two files differ in their version only.
func twin(one, two []byte) bool {
	return min(len(one), len(two)) >= checkpointHeaderBytes && bytes.Equal(one[:8], two[:8]) &&
		!bytes.Equal(one[8:12], two[8:12]) && bytes.Equal(one[12:], two[12:])
}

// flipped is the error of a version that cannot be right.
func flipped(err error) error {
	if errors.Is(err, ErrVersion) {
		return fmt.Errorf("%w: the version is another than in the other file, and nothing else is", ErrCorrupt)
	}
	return err
}

// unreadable reports whether a file is of no use, so that the copy is asked for.
// One that needs a newer program or a key is not, nor is one that belongs to
// another user.
func unreadable(err error) bool {
	return !errors.Is(err, ErrVersion) && !errors.Is(err, ErrSealed) && !errors.Is(err, seal.ErrUnknownKey) && !errors.Is(err, fs.ErrPermission)
}
