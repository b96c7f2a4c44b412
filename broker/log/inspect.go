package log

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// SegmentInfo describes one segment of a partition.
type SegmentInfo struct {
	// Stem is the file's name without suffix.
	Stem         string
	Base, Next   kafka.Offset
	Size         int64
	MaxTimestamp kafka.Timestamp
	Generation   uint64
	Sealed       bool
}

// PartitionInfo describes a partition as the checkpoint has it.
type PartitionInfo struct {
	Bounds
	Archived, CleanedTo kafka.Offset
	Epochs              []EpochStart
	Open                map[kafka.ProducerID]kafka.Offset
	Aborted             []AbortedTxn
	Segments            []SegmentInfo
}

// Info describes the partition.
func (p *Partition) Info() PartitionInfo {
	p.mu.RLock()
	defer p.mu.RUnlock()
	info := PartitionInfo{Bounds: p.bounds(), Archived: p.archived, CleanedTo: p.cleanedTo, Epochs: p.epochs, Open: p.open, Aborted: p.aborted}
	for _, s := range p.segments {
		info.Segments = append(info.Segments, SegmentInfo{s.stem(), s.base, s.next, s.size, s.maxTimestamp, s.generation, s.sealed})
	}
	return info
}

// ParseSegmentName reads the base offset and the generation from a segment's
// file name.
func ParseSegmentName(name string) (base kafka.Offset, generation uint64, ok bool) {
	stem, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, 0, false
	}
	var s segment
	if n, err := fmt.Sscanf(stem, "%020d-%d", &s.base, &s.generation); err != nil && n < 1 || s.stem() != stem {
		return 0, 0, false
	}
	return s.base, s.generation, true
}

// InspectSegment reads a segment file of which size bytes count without changing
// it, and calls batch for every batch, with an error when it is damaged. A batch
// is nil when not even its length can be trusted: then nothing behind it is read.
func InspectSegment(fs vfs.FS, path string, size int64, batch func(at int64, b kafka.Batch, err error) error) (err error) {
	base, generation, ok := ParseSegmentName(fs.PathBase(path))
	if !ok {
		return fmt.Errorf("%s: not the name of a segment", path)
	}
	f, err := fs.Open(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	s := stored{read: readFull(f), end: size, guarded: generation > 0}
	for p := (place{0, base}); p.at < size; {
		_, total, err := s.header(p)
		if err != nil {
			return batch(p.at, nil, err)
		}
		b := make([]byte, total)
		if err := s.read(b, p.at); err != nil {
			return err
		}
		body := kafka.Batch(b[s.guard():])
		var damage error
		if !body.CRCValid() {
			damage = fmt.Errorf("%w: checksum mismatch", ErrCorrupt)
		}
		if err := batch(p.at, body, damage); err != nil {
			return err
		}
		p = place{p.at + int64(total), body.LastOffset() + 1}
	}
	return nil
}
