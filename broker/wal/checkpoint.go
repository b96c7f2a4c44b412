package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// The checkpoint file is the root of the data directory:
//
//	 0          8         12         16       20       28
//	+----------+---------+----------+--------+--------+------- ...
//	| MILLRACE | version | reserved | CRC-32C| length | body
//	+----------+---------+----------+--------+--------+------- ...
//
// The CRC covers the body. The body starts with the Root as uvarints: first
// file, first sequence, synced, clean (0 or 1), epoch; the rest belongs to the
// caller. That is version 1. In version 2 all of it is encrypted:
//
//	 28      30          30 + 8n
//	+-------+-----------+-------------------------+
//	| n u16 | n key ids | blob of the body (seal) |
//	+-------+-----------+-------------------------+
//
// The ids are of the keys without which the directory cannot be read; the blob is
// bound to them.
const (
	checkpointMagic       = "MILLRACE"
	checkpointHeaderBytes = 28
	checkpointName        = "checkpoint"
	// FormatVersion is the highest version of the data directory. It changes with
	// any format in it that the version of the checkpoint's body does not tell.
	// A directory has it from the first checkpoint on that needs it.
	FormatVersion = formatSealed
	formatPlain   = 1
	formatSealed  = 2
	// checkpointMaxBytes bounds the checkpoint file.
	checkpointMaxBytes = 1 << 30
)

// ErrSealed is wrapped when a directory is encrypted and no key was given.
var ErrSealed = errors.New("data directory is encrypted")

// Sealing is how a checkpoint is encrypted; the zero value leaves it plain.
type Sealing struct {
	Sealer *seal.Sealer
	// Keys are those without which the directory cannot be read.
	Keys []seal.KeyID
}

// SaveCheckpoint replaces the checkpoint in dir atomically.
func SaveCheckpoint(fs vfs.FS, dir string, root Root, state []byte, how Sealing) error {
	e := Encoder{Buf: make([]byte, checkpointHeaderBytes, checkpointHeaderBytes+len(state)+64)}
	e.Uint(root.FirstFile)
	e.Uint(root.FirstSequence)
	e.Uint(root.Synced)
	e.Bool(root.Clean)
	e.Uint(uint64(root.Epoch))
	b, version := append(e.Buf, state...), uint32(formatPlain)
	if how.Sealer != nil {
		b, version = sealCheckpoint(b[checkpointHeaderBytes:], how), formatSealed
	}
	copy(b, checkpointMagic)
	body := b[checkpointHeaderBytes:]
	binary.BigEndian.PutUint32(b[8:], version)
	binary.BigEndian.PutUint32(b[16:], crc32.Checksum(body, castagnoli))
	binary.BigEndian.PutUint64(b[20:], uint64(len(body)))
	if err := vfs.WriteFileAtomic(fs, fs.PathJoin(dir, checkpointName), b); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// sealCheckpoint encrypts a checkpoint's body, behind room for the header.
func sealCheckpoint(body []byte, how Sealing) []byte {
	b := make([]byte, checkpointHeaderBytes, checkpointHeaderBytes+2+8*len(how.Keys)+seal.Overhead+len(body))
	b = binary.BigEndian.AppendUint16(b, uint16(len(how.Keys)))
	for _, id := range how.Keys {
		b = append(b, id[:]...)
	}
	return how.Sealer.Seal(b, checkpointContext(b[checkpointHeaderBytes:]), body)
}

// checkpointContext is what a checkpoint is bound to: the list of its keys.
func checkpointContext(keys []byte) []byte { return append([]byte{'c'}, keys...) }

// LoadCheckpoint reads the checkpoint in dir. keys are those without which the
// directory cannot be read, none when it is plain. The error wraps fs.ErrNotExist
// when there is none, ErrVersion when a newer program wrote it, ErrCorrupt when it
// is damaged, ErrSealed when it is encrypted and there is no sealer, and
// seal.ErrUnknownKey when the sealer does not have its key; keys are returned with
// the last two.
func LoadCheckpoint(fs vfs.FS, dir string, sealer *seal.Sealer) (root Root, state []byte, keys []seal.KeyID, err error) {
	b, err := vfs.ReadFile(fs, fs.PathJoin(dir, checkpointName), checkpointMaxBytes)
	if err != nil {
		return Root{}, nil, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	version, body, err := checkpointBody(b)
	if err != nil {
		return Root{}, nil, nil, err
	}
	if version == formatSealed {
		if body, keys, err = openCheckpoint(body, sealer); err != nil {
			return Root{}, nil, keys, err
		}
	}
	d := Decoder{Buf: body}
	root = Root{FirstFile: d.Uint(), FirstSequence: d.Uint(), Synced: d.Uint(), Clean: d.Bool(), Epoch: uint32(d.Uint())}
	if d.Err != nil {
		return Root{}, nil, nil, fmt.Errorf("checkpoint: %w", d.Err)
	}
	return root, d.Buf, keys, nil
}

// checkpointBody checks a checkpoint's header.
func checkpointBody(b []byte) (version uint32, body []byte, err error) {
	if len(b) < checkpointHeaderBytes || string(b[:8]) != checkpointMagic {
		return 0, nil, fmt.Errorf("%w: checkpoint: not a millrace data directory", ErrCorrupt)
	}
	if version = binary.BigEndian.Uint32(b[8:]); version > FormatVersion {
		return 0, nil, fmt.Errorf("%w: data directory has format version %d, this program reads up to %d", ErrVersion, version, FormatVersion)
	}
	if version == 0 {
		return 0, nil, fmt.Errorf("%w: checkpoint: version 0", ErrCorrupt)
	}
	body = b[checkpointHeaderBytes:]
	if binary.BigEndian.Uint64(b[20:]) != uint64(len(body)) || binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(body, castagnoli) {
		return 0, nil, fmt.Errorf("%w: checkpoint: checksum mismatch", ErrCorrupt)
	}
	return version, body, nil
}

// openCheckpoint decrypts a checkpoint's body.
func openCheckpoint(body []byte, sealer *seal.Sealer) (plain []byte, keys []seal.KeyID, err error) {
	if len(body) < 2 || len(body) < 2+8*int(binary.BigEndian.Uint16(body)) {
		return nil, nil, fmt.Errorf("%w: checkpoint: list of keys", ErrCorrupt)
	}
	head := body[:2+8*int(binary.BigEndian.Uint16(body))]
	for ids := head[2:]; len(ids) > 0; ids = ids[8:] {
		keys = append(keys, seal.KeyID(ids[:8]))
	}
	blob := body[len(head):]
	id, err := seal.KeyOf(blob)
	if err != nil {
		return nil, keys, fmt.Errorf("%w: checkpoint: %w", ErrCorrupt, err)
	}
	if sealer == nil {
		return nil, keys, fmt.Errorf("%w with key %s", ErrSealed, id)
	}
	plain, err = sealer.Open(nil, checkpointContext(head), blob)
	if errors.Is(err, seal.ErrOpen) {
		err = fmt.Errorf("%w: checkpoint: %w", ErrCorrupt, err)
	}
	return plain, keys, err
}
