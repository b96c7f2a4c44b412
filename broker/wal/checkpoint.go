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
// bound to them. A second file has the same bytes (copy.go).
const (
	checkpointMagic       = "MILLRACE"
	checkpointHeaderBytes = 28
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

// SaveCheckpoint replaces the checkpoint in dir, in both of its files, one after
// the other. What it permits, such as the removal of log files that it does not
// name, may be done when it has returned nil. With an error, each file holds this
// checkpoint or what was there before.
func SaveCheckpoint(fs vfs.FS, dir string, root Root, state []byte, how Sealing) error {
	b := encodeCheckpoint(root, state, how)
	for _, name := range []string{CheckpointName, CheckpointCopyName} {
		if err := vfs.WriteFileAtomic(fs, fs.PathJoin(dir, name), b); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// encodeCheckpoint returns the content of a checkpoint's files.
func encodeCheckpoint(root Root, state []byte, how Sealing) []byte {
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
	return b
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

// decodeCheckpoint reads the content of a checkpoint's file. keys are those without
// which the directory cannot be read, none when it is plain.
func decodeCheckpoint(b []byte, sealer *seal.Sealer) (root Root, state []byte, keys []seal.KeyID, err error) {
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
		return Root{}, nil, nil, d.Err
	}
	return root, d.Buf, keys, nil
}

// checkpointBody checks the header of a checkpoint's file.
func checkpointBody(b []byte) (version uint32, body []byte, err error) {
	if len(b) < checkpointHeaderBytes || string(b[:8]) != checkpointMagic {
		return 0, nil, fmt.Errorf("%w: not a millrace data directory", ErrCorrupt)
	}
	if version = binary.BigEndian.Uint32(b[8:]); version > FormatVersion {
		return 0, nil, fmt.Errorf("%w: data directory has format version %d, this program reads up to %d", ErrVersion, version, FormatVersion)
	}
	if version == 0 {
		return 0, nil, fmt.Errorf("%w: version 0", ErrCorrupt)
	}
	body = b[checkpointHeaderBytes:]
	if binary.BigEndian.Uint64(b[20:]) != uint64(len(body)) || binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(body, castagnoli) {
		return 0, nil, fmt.Errorf("%w: checksum mismatch", ErrCorrupt)
	}
	return version, body, nil
}

// openCheckpoint decrypts a checkpoint's body.
func openCheckpoint(body []byte, sealer *seal.Sealer) (plain []byte, keys []seal.KeyID, err error) {
	if len(body) < 2 || len(body) < 2+8*int(binary.BigEndian.Uint16(body)) {
		return nil, nil, fmt.Errorf("%w: list of keys", ErrCorrupt)
	}
	head := body[:2+8*int(binary.BigEndian.Uint16(body))]
	for ids := head[2:]; len(ids) > 0; ids = ids[8:] {
		keys = append(keys, seal.KeyID(ids[:8]))
	}
	blob := body[len(head):]
	id, err := seal.KeyOf(blob)
	if err != nil {
		return nil, keys, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if sealer == nil {
		return nil, keys, fmt.Errorf("%w with key %s", ErrSealed, id)
	}
	plain, err = sealer.Open(nil, checkpointContext(head), blob)
	if errors.Is(err, seal.ErrOpen) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return plain, keys, err
}
