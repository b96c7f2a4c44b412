package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"sort"

	"github.com/millrace/millrace/internal/kafka"
)

type readAt func(b []byte, at int64) error

// seekWindowBytes is read at a time while headers are hopped over.
const seekWindowBytes = 16 << 10

const (
	// guardBytes stand before every batch of a compacted segment: the CRC-32C of
	// guardedBytes, the head of the batch that its own checksum does not cover,
	// and that checksum.
	guardBytes   = 4
	guardedBytes = 21
)

// appendGuard appends the guard of a batch.
func appendGuard(dst []byte, b kafka.Batch) []byte {
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(b[:guardedBytes], castagnoli))
}

// place is where a batch starts: its position on disk and its base offset, which
// a batch's checksum does not cover. In a compacted segment the position is that
// of the guard, and the base offset may be lower than the batch's own.
type place struct {
	at   int64
	base kafka.Offset
}

// stored is a run of batches on disk that ends at position end. Everything that
// its methods return was checked.
type stored struct {
	read    readAt
	end     int64
	guarded bool
	epochs  []EpochStart // nil when nothing is known about them
	sealed  bool         // batches may be encrypted
}

func (s *stored) guard() int64 {
	if s.guarded {
		return guardBytes
	}
	return 0
}

// check verifies what a batch's checksum does not cover; head starts at a place.
// It returns the batch's header and the size of batch and guard.
func (s *stored) check(head []byte, p place) (kafka.Batch, int, error) {
	b := kafka.Batch(head[s.guard():])
	size, err := headerSize(b)
	if err != nil {
		return nil, 0, fmt.Errorf("%w at position %d", err, p.at)
	}
	total := size + int(s.guard())
	switch {
	case s.guarded && binary.BigEndian.Uint32(head) != crc32.Checksum(b[:guardedBytes], castagnoli):
		err = fmt.Errorf("%w: batch head at position %d does not match its guard", ErrCorrupt, p.at)
	case int64(total) > s.end-p.at:
		err = fmt.Errorf("%w: batch of %d bytes at position %d passes the end at %d", ErrCorrupt, size, p.at, s.end)
	case b.LastOffsetDelta() < 0 || b.BaseOffset() < p.base || !s.guarded && b.BaseOffset() != p.base:
		err = fmt.Errorf("%w: batch at position %d has offset %d, expected %d", ErrCorrupt, p.at, b.BaseOffset(), p.base)
	case !s.epochFits(b):
		err = fmt.Errorf("%w: batch at position %d has leader epoch %d", ErrCorrupt, p.at, b.LeaderEpoch())
	}
	return b, total, err
}

// epochFits compares a batch's leader epoch, which no checksum covers, with the
// epoch of its offset.
func (s *stored) epochFits(b kafka.Batch) bool {
	i := sort.Search(len(s.epochs), func(i int) bool { return s.epochs[i].Start > b.BaseOffset() })
	return i == 0 || s.epochs[i-1].Epoch == b.LeaderEpoch()
}

// header reads the header of the batch at a place.
func (s *stored) header(p place) (kafka.Batch, int, error) {
	head := make([]byte, s.guard()+kafka.BatchHeaderBytes)
	if int64(len(head)) > s.end-p.at {
		return nil, 0, fmt.Errorf("%w: %d bytes at position %d are less than a header", ErrCorrupt, s.end-p.at, p.at)
	}
	if err := s.read(head, p.at); err != nil {
		return nil, 0, err
	}
	return s.check(head, p)
}

// batches reads from a place where a batch starts: from the batch that holds
// offset from on, or the next one when there is a gap, below upTo, those that are
// wanted. Nothing is returned when a gap reaches up to upTo. Guards are taken out.
func (s *stored) batches(p place, from, upTo kafka.Offset, want Want) ([]byte, error) {
	p, size, err := s.seek(p, from)
	if err != nil {
		return nil, err
	}
	if size > want.Bytes && !want.AtLeastOne {
		return nil, errNoRoom
	}
	buf := want.alloc(int(min(s.end-p.at, max(int64(size), int64(want.Bytes)))))
	if buf, err = s.readSome(buf, size, p.at); err != nil {
		return nil, err
	}
	g := int(s.guard())
	n, first := 0, true
	for rest := buf; len(rest) >= g+kafka.BatchHeaderBytes; {
		b, err := s.next(rest, p)
		if err != nil && want.Partial && !first {
			break
		}
		if err != nil {
			return nil, err
		}
		if b == nil {
			break // more than is wanted
		}
		if b.BaseOffset() >= upTo {
			if first && !s.guarded {
				return nil, fmt.Errorf("%w: no batch at position %d", ErrCorrupt, p.at)
			}
			break
		}
		total := len(b) + g
		p = place{p.at + int64(total), b.LastOffset() + 1}
		if s.guarded {
			copy(buf[n:], b) // over guards, b itself included
		}
		n += len(b)
		rest, first = rest[total:], false
	}
	return buf[:n:n], nil
}

// readSome fills b, or only its first n bytes when not all of it can be read: a file
// that was cut short, or a disk that does not give a part of it, costs only what is
// there.
func (s *stored) readSome(b []byte, n int, at int64) ([]byte, error) {
	err := s.read(b, at)
	if err != nil && n < len(b) {
		b = b[:n]
		err = s.read(b, at)
	}
	return b, err
}

// next returns the batch at a place, with which, or with its guard, rest begins: nil
// when rest ends before it does.
func (s *stored) next(rest []byte, p place) (kafka.Batch, error) {
	head, total, err := s.check(rest, p)
	if err != nil {
		return nil, err
	}
	if total > len(rest) {
		return nil, nil
	}
	b := head[:total-int(s.guard())]
	if !b.CRCValid() {
		return nil, fmt.Errorf("%w: batch at position %d, offset %d: checksum mismatch", ErrCorrupt, p.at, b.BaseOffset())
	}
	if b.Codec() == CodecSealed && !s.sealed {
		return nil, fmt.Errorf("%w: batch at position %d is encrypted, the data directory is not", ErrCorrupt, p.at)
	}
	return b, nil
}

// headerSize returns the size of the batch whose header b starts with.
func headerSize(b []byte) (int, error) {
	n := int64(int32(binary.BigEndian.Uint32(b[8:]))) + 12
	if n < kafka.BatchHeaderBytes || b[16] != 2 {
		return 0, fmt.Errorf("%w: batch length %d, magic %d", ErrCorrupt, n, b[16])
	}
	return int(n), nil
}

// seek hops over batch headers to the batch that holds offset from, or the
// first one behind it, and returns its place and its size with its guard.
func (s *stored) seek(p place, from kafka.Offset) (place, int, error) {
	var window []byte
	windowAt := p.at
	need := s.guard() + kafka.BatchHeaderBytes
	for {
		if s.end-p.at < need {
			return p, 0, fmt.Errorf("%w: offset %d is not before position %d", ErrCorrupt, from, s.end)
		}
		if p.at+need > windowAt+int64(len(window)) {
			windowAt = p.at
			var err error
			window, err = s.readSome(make([]byte, min(seekWindowBytes, s.end-p.at)), int(need), p.at)
			if err != nil {
				return p, 0, err
			}
		}
		b, size, err := s.check(window[p.at-windowAt:], p)
		if err != nil {
			return p, 0, err
		}
		if b.LastOffset() >= from {
			return p, size, nil
		}
		p = place{p.at + int64(size), b.LastOffset() + 1}
	}
}
