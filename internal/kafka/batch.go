package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// Byte positions inside a record batch of magic 2.
const (
	posBaseOffset      = 0
	posBatchLength     = 8
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posRecordCount     = 57

	// BatchHeaderBytes is the size of a record batch without its records.
	BatchHeaderBytes = 61
	// batchLengthBytes is what the batch length field does not count.
	batchLengthBytes = 12
)

// Attribute bits of a record batch.
const (
	AttrCodecMask     = 0x07
	AttrLogAppendTime = 0x08
	AttrTransactional = 0x10
	AttrControl       = 0x20
	AttrDeleteHorizon = 0x40
)

// ErrCorruptBatch is wrapped by every error that a malformed batch causes.
var ErrCorruptBatch = errors.New("kafka: corrupt record batch")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Batch is a view of one encoded record batch, header included. Its methods
// read the header in place; NewBatch has checked that they may.
type Batch []byte

// NextBatch splits the first record batch off b. It checks magic and length,
// not the CRC. It returns rest == nil at the end of b. An incomplete last batch
// is an error that wraps ErrCorruptBatch.
func NextBatch(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) < BatchHeaderBytes {
		return nil, nil, fmt.Errorf("%w: %d bytes are less than a header", ErrCorruptBatch, len(b))
	}
	n := int64(int32(binary.BigEndian.Uint32(b[posBatchLength:]))) + batchLengthBytes
	if n < BatchHeaderBytes || n > int64(len(b)) {
		return nil, nil, fmt.Errorf("%w: length %d of %d bytes", ErrCorruptBatch, n, len(b))
	}
	if b[posMagic] != 2 {
		return nil, nil, fmt.Errorf("%w: magic %d", ErrCorruptBatch, b[posMagic])
	}
	if int64(len(b)) == n {
		return Batch(b[:n:n]), nil, nil
	}
	return Batch(b[:n:n]), b[n:], nil
}

// BaseOffset returns the offset of the first record.
func (b Batch) BaseOffset() Offset {
	return Offset(binary.BigEndian.Uint64(b[posBaseOffset:]))
}

// SetBaseOffset rewrites the base offset in place; the CRC does not cover it.
func (b Batch) SetBaseOffset(o Offset) {
	binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(o))
}

// LeaderEpoch returns the partition leader epoch.
func (b Batch) LeaderEpoch() int32 { return int32(binary.BigEndian.Uint32(b[posLeaderEpoch:])) }

// SetLeaderEpoch rewrites the leader epoch in place; the CRC does not cover it.
func (b Batch) SetLeaderEpoch(e int32) { binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(e)) }

// Attributes returns the attribute bits.
func (b Batch) Attributes() int16 { return int16(binary.BigEndian.Uint16(b[posAttributes:])) }

// LastOffset returns the offset of the last record (inclusive).
func (b Batch) LastOffset() Offset { return b.BaseOffset() + Offset(b.LastOffsetDelta()) }

// LastOffsetDelta returns last offset minus base offset.
func (b Batch) LastOffsetDelta() int32 {
	return int32(binary.BigEndian.Uint32(b[posLastOffsetDelta:]))
}

// BaseTimestamp returns the timestamp that the records' deltas are added to.
func (b Batch) BaseTimestamp() Timestamp {
	return Timestamp(binary.BigEndian.Uint64(b[posBaseTimestamp:]))
}

// DeleteHorizon returns when the tombstones of a compacted batch may go (ms), if
// that is decided (KIP-534). It stands in place of the base timestamp, and the
// records' deltas count from it, so that readers need not know about it.
func (b Batch) DeleteHorizon() (Timestamp, bool) {
	if b.Attributes()&AttrDeleteHorizon == 0 {
		return NoTimestamp, false
	}
	return b.BaseTimestamp(), true
}

// MaxTimestamp returns the largest record timestamp.
func (b Batch) MaxTimestamp() Timestamp {
	return Timestamp(binary.BigEndian.Uint64(b[posMaxTimestamp:]))
}

// SetMaxTimestamp rewrites the largest timestamp; call Seal afterwards.
func (b Batch) SetMaxTimestamp(t Timestamp) {
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(t))
}

// SetBaseTimestamp rewrites the timestamp that the records' deltas are added to;
// call Seal afterwards.
func (b Batch) SetBaseTimestamp(t Timestamp) {
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(t))
}

// SetCount rewrites the record count; call Seal afterwards. It is lower than the
// last offset delta says in a batch that compaction took records from.
func (b Batch) SetCount(n int32) { binary.BigEndian.PutUint32(b[posRecordCount:], uint32(n)) }

// SetAttributes rewrites the attribute bits; call Seal afterwards.
func (b Batch) SetAttributes(a int16) { binary.BigEndian.PutUint16(b[posAttributes:], uint16(a)) }

// ProducerID returns the idempotent producer's ID, or NoProducerID.
func (b Batch) ProducerID() ProducerID {
	return ProducerID(binary.BigEndian.Uint64(b[posProducerID:]))
}

// ProducerEpoch returns the producer's epoch.
func (b Batch) ProducerEpoch() Epoch { return Epoch(binary.BigEndian.Uint16(b[posProducerEpoch:])) }

// SetProducer rewrites the producer's identity and the sequence of the first
// record; call Seal afterwards.
func (b Batch) SetProducer(id ProducerID, epoch Epoch, baseSequence int32) {
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(id))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(baseSequence))
}

// BaseSequence returns the sequence of the first record, -1 for none.
func (b Batch) BaseSequence() int32 { return int32(binary.BigEndian.Uint32(b[posBaseSequence:])) }

// Count returns the record count of the header.
func (b Batch) Count() int32 { return int32(binary.BigEndian.Uint32(b[posRecordCount:])) }

// CRC returns the stored CRC-32C.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[posCRC:]) }

// CRCFrom is where the bytes begin that a batch's CRC covers, up to its end.
const CRCFrom = posAttributes

// CRCValid reports whether the stored CRC matches the bytes.
func (b Batch) CRCValid() bool { return b.CRC() == crc32.Checksum(b[posAttributes:], castagnoli) }

// Seal recomputes the length and the CRC after the batch was changed.
func (b Batch) Seal() {
	binary.BigEndian.PutUint32(b[posBatchLength:], uint32(len(b)-batchLengthBytes))
	binary.BigEndian.PutUint32(b[posCRC:], crc32.Checksum(b[posAttributes:], castagnoli))
}

// Control reports whether the batch holds a transaction marker.
func (b Batch) Control() bool { return b.Attributes()&AttrControl != 0 }

// Transactional reports whether the batch belongs to a client's transaction.
func (b Batch) Transactional() bool { return b.Attributes()&AttrTransactional != 0 }

// Codec returns the compression codec: 0 none, 1 gzip, 2 snappy, 3 lz4, 4 zstd.
func (b Batch) Codec() int { return int(b.Attributes() & AttrCodecMask) }

// Payload returns the records section, compressed unless Codec is 0.
func (b Batch) Payload() []byte { return b[BatchHeaderBytes:] }

// Records walks the records of one batch whose payload is not compressed (or
// was decompressed by the caller).
//
//	r := batch.Records(batch.Payload())
//	for r.Next() { use(r.Record()) }
//	err := r.Err()
type Records struct {
	rec           Record
	rest          []byte
	base          Offset
	baseTimestamp Timestamp
	left          int32
	appendTime    Timestamp
	err           error
}

// Records returns a walker over payload, which must be the batch's records in
// uncompressed form.
func (b Batch) Records(payload []byte) Records {
	r := Records{rest: payload, base: b.BaseOffset(), baseTimestamp: b.BaseTimestamp(), left: b.Count(), appendTime: NoTimestamp}
	if b.Attributes()&AttrLogAppendTime != 0 {
		r.appendTime = b.MaxTimestamp()
	}
	return r
}

// Next advances to the next record and reports whether there is one.
func (r *Records) Next() bool {
	if r.left <= 0 || r.err != nil {
		if r.err == nil && len(r.rest) != 0 {
			r.err = fmt.Errorf("%w: %d trailing bytes", ErrCorruptBatch, len(r.rest))
		}
		return false
	}
	r.left--
	return r.short() || r.long()
}

// long is Next for any record.
func (r *Records) long() bool {
	length, n := Varint(r.rest)
	if n <= 0 || length < 0 || length > int64(len(r.rest)-n) {
		return r.fail("record length")
	}
	body := r.rest[n : n+int(length)]
	r.rest = r.rest[n+int(length):]
	if len(body) < 1 {
		return r.fail("record attributes")
	}
	body = body[1:]
	tsDelta, n := Varint(body)
	if n <= 0 {
		return r.fail("timestamp delta")
	}
	body = body[n:]
	offDelta, n := Varint(body)
	if n <= 0 {
		return r.fail("offset delta")
	}
	body = body[n:]
	var ok bool
	if r.rec.Key, body, ok = varBytes(body); !ok {
		return r.fail("key")
	}
	if r.rec.Value, body, ok = varBytes(body); !ok {
		return r.fail("value")
	}
	if len(body) == 0 {
		return r.fail("header count")
	}
	r.rec.RawHeaders = body
	r.rec.Offset = r.base + Offset(offDelta)
	r.rec.Timestamp = r.baseTimestamp + Timestamp(tsDelta)
	if r.appendTime != NoTimestamp {
		r.rec.Timestamp = r.appendTime
	}
	return true
}

// short is Next for a record whose numbers take one or two bytes, as they do up
// to 8 KiB and 8,192 records. It reports false, and changes nothing, for any other
// and for one that is malformed.
func (r *Records) short() bool {
	b := r.rest
	if len(b) < 2 {
		return false
	}
	u, at := shortUvarint(b, 0)
	end := at + int(u>>1)
	if at == 0 || u&1 != 0 || end > len(b) || end < at+6 {
		return false
	}
	last := end - 1 // a number read before it cannot pass end
	ts, n := shortUvarint(b, at+1)
	at += 1 + n
	if n == 0 || at >= last {
		return false
	}
	offset, n := shortUvarint(b, at)
	at += n
	if n == 0 || at >= last {
		return false
	}
	key, at := shortBytes(b, at, end)
	if at == 0 || at >= last {
		return false
	}
	value, at := shortBytes(b, at, end)
	if at == 0 || at >= end {
		return false
	}
	r.rest = b[end:]
	r.rec.Key, r.rec.Value, r.rec.RawHeaders = key, value, b[at:end]
	r.rec.Offset = r.base + Offset(int64(offset>>1)^-int64(offset&1))
	r.rec.Timestamp = r.baseTimestamp + Timestamp(int64(ts>>1)^-int64(ts&1))
	if r.appendTime != NoTimestamp {
		r.rec.Timestamp = r.appendTime
	}
	return true
}

// shortBytes is varBytes for a length of one or two bytes; next is 0 when it is
// longer or passes end - 1, since something follows.
func shortBytes(b []byte, at, end int) (v []byte, next int) {
	u, n := shortUvarint(b, at)
	at += n
	if u == 1 {
		return nil, at // null
	}
	size := int(u >> 1)
	if n == 0 || u&1 != 0 || size >= end-at {
		return nil, 0
	}
	return b[at : at+size : at+size], at + size
}

// shortUvarint reads a varint of one or two bytes at b[at:], which must be two
// bytes at least; n is 0 for a longer one.
func shortUvarint(b []byte, at int) (u uint64, n int) {
	first, second := uint64(b[at]), uint64(b[at+1])
	if first < 0x80 {
		return first, 1
	}
	if second < 0x80 {
		return first&0x7f | second<<7, 2
	}
	return 0, 0
}

func (r *Records) fail(what string) bool {
	r.err = fmt.Errorf("%w: bad %s", ErrCorruptBatch, what)
	return false
}

// Record returns the current record; the next call of Next overwrites it.
func (r *Records) Record() *Record { return &r.rec }

// Err returns what ended the walk early, nil at a clean end.
func (r *Records) Err() error { return r.err }

// ParseHeaders decodes a record's raw header section, at most max headers. The
// result is nil when there are none.
func ParseHeaders(raw []byte, max int) ([]Header, error) {
	count, n := Varint(raw)
	if n <= 0 || count < 0 || count > int64(max) {
		return nil, fmt.Errorf("%w: header count", ErrCorruptBatch)
	}
	raw = raw[n:]
	var headers []Header
	for range count {
		key, rest, ok := varBytes(raw)
		if !ok || key == nil {
			return nil, fmt.Errorf("%w: header key", ErrCorruptBatch)
		}
		value, rest, ok := varBytes(rest)
		if !ok {
			return nil, fmt.Errorf("%w: header value", ErrCorruptBatch)
		}
		headers = append(headers, Header{Key: string(key), Value: value})
		raw = rest
	}
	if len(raw) != 0 {
		return nil, fmt.Errorf("%w: bytes after the headers", ErrCorruptBatch)
	}
	return headers, nil
}

// Varint reads a zig-zag varint; n <= 0 means that b is too short or the value
// overflows 64 bits.
func Varint(b []byte) (v int64, n int) {
	if len(b) > 0 && b[0] < 0x80 {
		return int64(b[0]>>1) ^ -int64(b[0]&1), 1
	}
	u, n := binary.Uvarint(b)
	return int64(u>>1) ^ -int64(u&1), n
}

// AppendVarint appends v as a zig-zag varint.
func AppendVarint(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v<<1)^uint64(v>>63))
}

// varBytes reads a varint length and that many bytes; -1 is null.
func varBytes(b []byte) (v, rest []byte, ok bool) {
	length, n := Varint(b)
	if n <= 0 || length < -1 || length > int64(len(b)-n) {
		return nil, nil, false
	}
	if length == -1 {
		return nil, b[n:], true
	}
	return b[n : n+int(length) : n+int(length)], b[n+int(length):], true
}
