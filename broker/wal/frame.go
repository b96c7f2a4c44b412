package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"sync/atomic"

	"github.com/millrace/millrace/internal/lend"
	"github.com/millrace/millrace/internal/seal"
)

// TopicID identifies a topic for ever (a version 4 UUID).
type TopicID [16]byte

const (
	frameMagic   = 0x6d72776c // "mrwl"
	frameVersion = 1

	// frameHeaderBytes is the size of a frame without its payload.
	frameHeaderBytes = 44
	entryHeaderBytes = 8
	// batchesPrefixBytes precede the record batches in an entry's body.
	batchesPrefixBytes = 20
	batchesHeadBytes   = entryHeaderBytes + batchesPrefixBytes
	frameAlign         = 8
)

// entrySealed is the flag of an event whose body is encrypted.
const entrySealed = 1

// KindBatches is the entry kind of record batches; every other kind is the
// caller's.
const KindBatches = 0

// ErrCorrupt is wrapped by every error about bytes that were durable once and
// cannot be read now.
var ErrCorrupt = errors.New("wal: corrupt")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Frame is a set of entries to be made durable at once. Build it with
// AddBatches and AddEvent, then hand it to Log.Append, which owns it from then
// on: views into it stay readable while it is pinned, nobody may write.
type Frame struct {
	// Urgent: the frame frees space, and may take what is kept for such on a
	// full disk.
	Urgent bool

	buf     []byte
	payload int // bytes without padding, once sealed
	batches []span
	// See memory.go.
	lent bool
	pins atomic.Int32
	kept atomic.Bool
}

// span is where the record batches of an entry stand in the frame. From summed to
// its end they have the CRC-32C sum, unless summed is 0: nothing is known then.
type span struct {
	from, to int
	summed   int
	sum      uint32
}

// NewFrame returns an empty frame with room for payloadBytes of bodies.
func NewFrame(payloadBytes int) *Frame {
	n := frameHeaderBytes + payloadBytes + frameAlign
	if n < lentFrameBytes {
		return &Frame{buf: make([]byte, frameHeaderBytes, n)}
	}
	f := &Frame{buf: lend.Bytes(n)[:frameHeaderBytes], lent: true}
	f.pins.Store(1)
	return f
}

// BatchesEntryBytes is the most that an entry of one batch adds to the batch's own
// size: its head, and what encryption adds, with room for what package log
// encrypts beside the records.
const BatchesEntryBytes = batchesHeadBytes + seal.Overhead + 8

// AddBatches adds record batches of one topic-partition and returns the
// entry's index for Batches.
func (f *Frame) AddBatches(id TopicID, partition int32, batches []byte) int {
	from := f.beginBatches(id, partition)
	f.buf = append(f.buf, batches...)
	return f.endBatches(from)
}

// AddBatchesBy is AddBatches for batches that encode appends to what it is given.
func (f *Frame) AddBatchesBy(id TopicID, partition int32, encode func(dst []byte) []byte) int {
	from := f.beginBatches(id, partition)
	f.buf = encode(f.buf)
	return f.endBatches(from)
}

func (f *Frame) beginBatches(id TopicID, partition int32) (from int) {
	f.buf = append(f.buf, KindBatches, 0, 0, 0, 0, 0, 0, 0)
	f.buf = append(f.buf, id[:]...)
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(partition))
	return len(f.buf)
}

func (f *Frame) endBatches(from int) int {
	body := from - batchesPrefixBytes
	binary.BigEndian.PutUint32(f.buf[body-4:], uint32(len(f.buf)-body))
	f.batches = append(f.batches, span{from: from, to: len(f.buf)})
	return len(f.batches) - 1
}

// summedBytesMin is from where on a sum that is known is used: joining it costs as
// much as reading so many bytes.
const summedBytesMin = 4 << 10

// Summed says that the batches of an entry have the CRC-32C sum from their byte at
// offset from on, and that from there on nobody will change them: the checksum of
// the frame is made without reading them. When it is wrong, so is the frame's.
func (f *Frame) Summed(i, from int, sum uint32) {
	if s := &f.batches[i]; s.to-s.from-from >= summedBytesMin {
		s.summed, s.sum = s.from+from, sum
	}
}

// Drop takes the batches of an entry out again. The indexes of others stay.
func (f *Frame) Drop(i int) {
	s := f.batches[i]
	n := s.to - s.from + batchesHeadBytes
	f.buf = append(f.buf[:s.from-batchesHeadBytes], f.buf[s.to:]...)
	f.batches[i] = span{}
	for j := range f.batches {
		if f.batches[j].from > s.from {
			f.batches[j].from -= n
			f.batches[j].to -= n
			if f.batches[j].summed > 0 {
				f.batches[j].summed -= n
			}
		}
	}
}

// AddEvent adds a metadata event, encrypted when there is a sealer. kind must not
// be KindBatches.
func (f *Frame) AddEvent(kind byte, body []byte, s *seal.Sealer) {
	if s == nil {
		f.buf = append(f.buf, kind, 0, 0, 0)
		f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(len(body)))
		f.buf = append(f.buf, body...)
		return
	}
	f.buf = append(f.buf, kind, entrySealed, 0, 0)
	f.buf = binary.BigEndian.AppendUint32(f.buf, uint32(seal.Overhead+len(body)))
	f.buf = s.Seal(f.buf, eventContext(kind), body)
}

// eventContext is what the encrypted body of an event is bound to.
func eventContext(kind byte) []byte { return []byte{'e', kind} }

// Batches returns the record batches of an entry, for base offsets to be
// written in place before Append and for reading afterwards.
func (f *Frame) Batches(i int) []byte {
	s := f.batches[i]
	return f.buf[s.from:s.to:s.to]
}

// At returns where the batches of an entry stand in the file, given the
// position of the frame.
func (f *Frame) At(frame Position, i int) Position {
	return Position{File: frame.File, Offset: frame.Offset + int64(f.batches[i].from)}
}

// Empty reports whether nothing was added.
func (f *Frame) Empty() bool { return len(f.buf) == frameHeaderBytes }

// Len returns the frame's size on disk.
func (f *Frame) Len() int { return alignUp(len(f.buf)) }

func alignUp(n int) int { return (n + frameAlign - 1) &^ (frameAlign - 1) }

// header is the decoded header of a frame.
type header struct {
	length   uint32
	crc      uint32
	epoch    uint32
	file     uint64
	sequence uint64
	synced   uint64
}

// seal writes the header and pads the frame. A frame that is written elsewhere
// after all is sealed again.
func (f *Frame) seal(h header) {
	f.fill(h)
	crc, at := headerCRC(f.buf), frameHeaderBytes
	for i := range f.batches {
		if s := &f.batches[i]; s.summed > 0 {
			crc = crc32.Update(crc, castagnoli, f.buf[at:s.summed])
			crc, at = joinCRC(crc, s.sum, s.to-s.summed), s.to
		}
	}
	f.setCRC(crc32.Update(crc, castagnoli, f.buf[at:frameHeaderBytes+f.payload]))
}

// unsummed returns how many bytes seal reads.
func (f *Frame) unsummed() int {
	n := len(f.buf)
	for i := range f.batches {
		if s := &f.batches[i]; s.summed > 0 {
			n -= s.to - s.summed
		}
	}
	return n
}

// fill is seal without the checksum.
func (f *Frame) fill(h header) {
	if f.payload == 0 {
		f.payload = len(f.buf) - frameHeaderBytes
	}
	length := f.payload
	for len(f.buf)%frameAlign != 0 {
		f.buf = append(f.buf, 0)
	}
	b := f.buf
	binary.BigEndian.PutUint32(b, frameMagic)
	b[4], b[5], b[6], b[7] = frameVersion, 0, 0, 0
	binary.BigEndian.PutUint32(b[8:], uint32(length))
	binary.BigEndian.PutUint32(b[16:], h.epoch)
	binary.BigEndian.PutUint64(b[20:], h.file)
	binary.BigEndian.PutUint64(b[28:], h.sequence)
	binary.BigEndian.PutUint64(b[36:], h.synced)
}

func (f *Frame) setCRC(crc uint32) { binary.BigEndian.PutUint32(f.buf[12:], crc) }

func frameCRC(b []byte) uint32 {
	return crc32.Update(headerCRC(b), castagnoli, b[frameHeaderBytes:])
}

// headerCRC is the checksum of a frame's header, which that of the payload goes on
// from.
func headerCRC(b []byte) uint32 {
	crc := crc32.Update(0, castagnoli, b[:12])
	return crc32.Update(crc, castagnoli, b[16:frameHeaderBytes])
}

// parseHeader decodes a frame header. ok is false when b does not start with
// one; its CRC is not checked yet.
func parseHeader(b []byte) (h header, version byte, ok bool) {
	if len(b) < frameHeaderBytes || binary.BigEndian.Uint32(b) != frameMagic {
		return header{}, 0, false
	}
	h = header{
		length:   binary.BigEndian.Uint32(b[8:]),
		crc:      binary.BigEndian.Uint32(b[12:]),
		epoch:    binary.BigEndian.Uint32(b[16:]),
		file:     binary.BigEndian.Uint64(b[20:]),
		sequence: binary.BigEndian.Uint64(b[28:]),
		synced:   binary.BigEndian.Uint64(b[36:]),
	}
	return h, b[4], true
}

// Entry is one entry of a recovered frame.
type Entry struct {
	Kind byte
	// Body is a metadata event's body, or nil. Locked is why it could not be
	// decrypted, when it could not.
	Body   []byte
	Locked error
	// Topic, Partition, Batches and At are set for KindBatches. At is where the
	// batches stand in the file.
	Topic     TopicID
	Partition int32
	Batches   []byte
	At        Position
}

// parseEntries decodes a frame's payload, which starts at position at. Without a
// sealer encrypted events stay locked.
func parseEntries(payload []byte, at Position, s *seal.Sealer) ([]Entry, error) {
	var entries []Entry
	for pos := 0; pos < len(payload); {
		rest := payload[pos:]
		if len(rest) < entryHeaderBytes {
			return nil, fmt.Errorf("%w: entry header at %v", ErrCorrupt, at)
		}
		n := int64(binary.BigEndian.Uint32(rest[4:]))
		if n > int64(len(rest)-entryHeaderBytes) {
			return nil, fmt.Errorf("%w: entry length %d at %v", ErrCorrupt, n, at)
		}
		body := rest[entryHeaderBytes : entryHeaderBytes+n]
		e := Entry{Kind: rest[0], Body: body}
		if rest[1] > entrySealed || rest[1] != 0 && e.Kind == KindBatches {
			return nil, fmt.Errorf("%w: entry with flags %x at %v", ErrVersion, rest[1], at)
		}
		if rest[1] == entrySealed {
			e.Body, e.Locked = openEvent(e.Kind, body, s)
		}
		if e.Kind == KindBatches {
			if len(body) < batchesPrefixBytes {
				return nil, fmt.Errorf("%w: short batches entry at %v", ErrCorrupt, at)
			}
			copy(e.Topic[:], body)
			e.Partition = int32(binary.BigEndian.Uint32(body[16:]))
			e.Batches, e.Body = body[batchesPrefixBytes:], nil
			e.At = Position{File: at.File, Offset: at.Offset + int64(pos) + batchesHeadBytes}
		}
		entries = append(entries, e)
		pos += entryHeaderBytes + int(n)
	}
	return entries, nil
}

// openEvent decrypts the body of an event.
func openEvent(kind byte, body []byte, s *seal.Sealer) ([]byte, error) {
	if s == nil {
		id, err := seal.KeyOf(body)
		if err == nil {
			err = &seal.UnknownKeyError{ID: id}
		}
		return nil, err
	}
	plain, err := s.Open(nil, eventContext(kind), body)
	if errors.Is(err, seal.ErrOpen) {
		err = fmt.Errorf("%w: event of kind %d: %w", ErrCorrupt, kind, err)
	}
	return plain, err
}
