package kafka

import "encoding/binary"

// BatchBuilder encodes records into uncompressed record batches, one behind
// the other in one reused buffer. Base offsets start at 0 in every batch: the
// log assigns the real ones on append.
//
// Append adds a whole record. The hot path writes keys and values in place:
//
//	w.BeginRecord(ts)
//	w.BeginField(); w.SetBuffer(append(w.Buffer(), key...)); w.EndField()
//	w.BeginField(); w.SetBuffer(encode(w.Buffer())); w.EndField() // or w.NullField()
//	w.EndRecord(nil)
//
// The zero value is ready for use.
type BatchBuilder struct {
	buf    []byte
	batch  int // where the open batch starts
	record int // where the open record's length prefix stands
	field  int // where the open field's length prefix stands
	count  int32
	base   Timestamp
	max    Timestamp
	total  int // records in finished batches
}

// A length varint is reserved as two bytes, right for 64 to 8191; other lengths
// shift what stands behind them.
const lengthPlaceholderBytes = 2

// Reset forgets all batches and keeps the buffer.
func (w *BatchBuilder) Reset() { w.buf, w.count, w.total = w.buf[:0], 0, 0 }

// Take finishes the open batch, hands its buffer to the caller and goes on with
// the buffer next, which may be nil.
func (w *BatchBuilder) Take(next []byte) []byte {
	w.Finish()
	b := w.buf
	w.buf, w.total = next[:0], 0
	return b
}

// Bytes returns the finished batches, valid until the builder is used again.
func (w *BatchBuilder) Bytes() []byte { return w.buf }

// Len returns the bytes written, the open batch included.
func (w *BatchBuilder) Len() int { return len(w.buf) }

// Records returns the number of records since Reset or Take.
func (w *BatchBuilder) Records() int { return w.total + int(w.count) }

// OpenBytes returns the size of the open batch, 0 when none is open.
func (w *BatchBuilder) OpenBytes() int {
	if w.count == 0 {
		return 0
	}
	return len(w.buf) - w.batch
}

// Append adds one record; a nil key or value is null.
func (w *BatchBuilder) Append(ts Timestamp, key, value []byte, headers []Header) {
	w.BeginRecord(ts)
	w.bytesField(key)
	w.bytesField(value)
	w.EndRecord(headers)
}

func (w *BatchBuilder) bytesField(b []byte) {
	if b == nil {
		w.NullField()
		return
	}
	w.buf = AppendVarint(w.buf, int64(len(b)))
	w.buf = append(w.buf, b...)
}

// BeginRecord opens a record, and a batch when none is open.
func (w *BatchBuilder) BeginRecord(ts Timestamp) {
	if w.count == 0 {
		var header [BatchHeaderBytes]byte
		w.batch = len(w.buf)
		w.buf = append(w.buf, header[:]...)
		w.base, w.max = ts, ts
	}
	if ts > w.max {
		w.max = ts
	}
	w.record = len(w.buf)
	w.buf = append(w.buf, 0, 0, 0) // length placeholder, record attributes
	w.buf = AppendVarint(w.buf, int64(ts-w.base))
	w.buf = AppendVarint(w.buf, int64(w.count))
}

// AbortRecord drops the record opened last, and its batch when it was the
// batch's first.
func (w *BatchBuilder) AbortRecord() {
	if w.count == 0 {
		w.buf = w.buf[:w.batch]
		return
	}
	w.buf = w.buf[:w.record]
}

// Buffer returns the buffer to append a field's bytes to.
func (w *BatchBuilder) Buffer() []byte { return w.buf }

// SetBuffer takes the buffer back after bytes were appended to it.
func (w *BatchBuilder) SetBuffer(b []byte) { w.buf = b }

// BeginField opens the key (first call of a record) or the value (second).
func (w *BatchBuilder) BeginField() {
	w.field = len(w.buf)
	w.buf = append(w.buf, 0, 0)
}

// EndField closes the field that BeginField opened.
func (w *BatchBuilder) EndField() {
	w.buf = putLength(w.buf, w.field, len(w.buf)-w.field-lengthPlaceholderBytes)
}

// NullField writes a null key or value.
func (w *BatchBuilder) NullField() { w.buf = append(w.buf, 1) }

// EndRecord closes the record.
func (w *BatchBuilder) EndRecord(headers []Header) {
	w.buf = AppendVarint(w.buf, int64(len(headers)))
	for _, h := range headers {
		w.buf = AppendVarint(w.buf, int64(len(h.Key)))
		w.buf = append(w.buf, h.Key...)
		w.bytesField(h.Value)
	}
	w.endRecord()
}

// EndRecordRaw closes the record with an already encoded header section, as in
// Record.RawHeaders.
func (w *BatchBuilder) EndRecordRaw(rawHeaders []byte) {
	w.buf = append(w.buf, rawHeaders...)
	w.endRecord()
}

func (w *BatchBuilder) endRecord() {
	w.buf = putLength(w.buf, w.record, len(w.buf)-w.record-lengthPlaceholderBytes)
	w.count++
}

// Finish seals the open batch; the next record opens another. It does nothing
// when no record was written.
func (w *BatchBuilder) Finish() {
	w.FinishAs(0, NoProducerID, -1, -1)
}

// FinishAs is Finish with attributes and a producer's identity.
func (w *BatchBuilder) FinishAs(attributes int16, pid ProducerID, epoch Epoch, baseSequence int32) {
	if w.count == 0 {
		return
	}
	b := w.buf[w.batch:]
	binary.BigEndian.PutUint32(b[posLeaderEpoch:], ^uint32(0))
	b[posMagic] = 2
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(attributes))
	binary.BigEndian.PutUint32(b[posLastOffsetDelta:], uint32(w.count-1))
	binary.BigEndian.PutUint64(b[posBaseTimestamp:], uint64(w.base))
	binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(w.max))
	binary.BigEndian.PutUint64(b[posProducerID:], uint64(pid))
	binary.BigEndian.PutUint16(b[posProducerEpoch:], uint16(epoch))
	binary.BigEndian.PutUint32(b[posBaseSequence:], uint32(baseSequence))
	binary.BigEndian.PutUint32(b[posRecordCount:], uint32(w.count))
	Batch(b).Seal()
	w.total += int(w.count)
	w.count = 0
}

// putLength writes n as a varint over the two-byte placeholder at position at
// and shifts what follows when the varint is shorter or longer.
func putLength(b []byte, at, n int) []byte {
	u := uint64(n) << 1
	if u >= 1<<7 && u < 1<<14 {
		b[at], b[at+1] = byte(u)|0x80, byte(u>>7)
		return b
	}
	var tmp [binary.MaxVarintLen64]byte
	size := binary.PutUvarint(tmp[:], u)
	switch {
	case size < lengthPlaceholderBytes:
		copy(b[at+size:], b[at+lengthPlaceholderBytes:])
		b = b[:len(b)-(lengthPlaceholderBytes-size)]
	case size > lengthPlaceholderBytes:
		grow := size - lengthPlaceholderBytes
		end := len(b)
		b = append(b, tmp[:grow]...)
		copy(b[at+size:], b[at+lengthPlaceholderBytes:end])
	}
	copy(b[at:], tmp[:size])
	return b
}
