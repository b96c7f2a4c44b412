package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

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
// caller.
const (
	checkpointMagic       = "MILLRACE"
	checkpointHeaderBytes = 28
	checkpointName        = "checkpoint"
	// FormatVersion is the version of the data directory. It changes with any
	// format in it that the version of the checkpoint's body does not tell.
	FormatVersion = 1
	// checkpointMaxBytes bounds the checkpoint file.
	checkpointMaxBytes = 1 << 30
)

// SaveCheckpoint replaces the checkpoint in dir atomically.
func SaveCheckpoint(fs vfs.FS, dir string, root Root, state []byte) error {
	e := Encoder{Buf: make([]byte, checkpointHeaderBytes, checkpointHeaderBytes+len(state)+64)}
	e.Uint(root.FirstFile)
	e.Uint(root.FirstSequence)
	e.Uint(root.Synced)
	e.Bool(root.Clean)
	e.Uint(uint64(root.Epoch))
	b := append(e.Buf, state...)
	copy(b, checkpointMagic)
	body := b[checkpointHeaderBytes:]
	binary.BigEndian.PutUint32(b[8:], FormatVersion)
	binary.BigEndian.PutUint32(b[16:], crc32.Checksum(body, castagnoli))
	binary.BigEndian.PutUint64(b[20:], uint64(len(body)))
	if err := vfs.WriteFileAtomic(fs, fs.PathJoin(dir, checkpointName), b); err != nil {
		return fmt.Errorf("write checkpoint: %w", err)
	}
	return nil
}

// LoadCheckpoint reads the checkpoint in dir. The error wraps fs.ErrNotExist
// when there is none, ErrVersion when a newer program wrote it, ErrCorrupt when
// its checksum is wrong.
func LoadCheckpoint(fs vfs.FS, dir string) (Root, []byte, error) {
	b, err := vfs.ReadFile(fs, fs.PathJoin(dir, checkpointName), checkpointMaxBytes)
	if err != nil {
		return Root{}, nil, fmt.Errorf("read checkpoint: %w", err)
	}
	if len(b) < checkpointHeaderBytes || string(b[:8]) != checkpointMagic {
		return Root{}, nil, fmt.Errorf("%w: checkpoint: not a millrace data directory", ErrCorrupt)
	}
	if v := binary.BigEndian.Uint32(b[8:]); v > FormatVersion {
		return Root{}, nil, fmt.Errorf("%w: data directory has format version %d, this program reads up to %d", ErrVersion, v, FormatVersion)
	}
	body := b[checkpointHeaderBytes:]
	if binary.BigEndian.Uint32(b[8:]) == 0 {
		return Root{}, nil, fmt.Errorf("%w: checkpoint: version 0", ErrCorrupt)
	}
	if binary.BigEndian.Uint64(b[20:]) != uint64(len(body)) || binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(body, castagnoli) {
		return Root{}, nil, fmt.Errorf("%w: checkpoint: checksum mismatch", ErrCorrupt)
	}
	d := Decoder{Buf: body}
	root := Root{FirstFile: d.Uint(), FirstSequence: d.Uint(), Synced: d.Uint(), Clean: d.Bool(), Epoch: uint32(d.Uint())}
	if d.Err != nil {
		return Root{}, nil, fmt.Errorf("checkpoint: %w", d.Err)
	}
	return root, d.Buf, nil
}
