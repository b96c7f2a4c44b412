package log

import (
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
)

// rewriter decides what becomes of a batch in one compaction, and encodes what
// stays of it. It sees the batches of a partition from the first on, in order.
type rewriter struct {
	keys     *keyMap
	end      kafka.Offset // the map knows every record below it
	now      kafka.Timestamp
	horizon  kafka.Timestamp // for tombstones and markers that get one now
	aborted  []AbortedTxn
	active   map[kafka.ProducerID]ActiveProducer
	maxBytes int // of one decompressed batch

	// kept: data of the producer's transaction stays, so its marker must.
	kept map[kafka.ProducerID]bool
	// markers are the offsets of markers that went.
	markers []kafka.Offset
	stats   CompactStats
	buf     []byte
}

// rewrite returns what is to be stored of a batch, nil for nothing. last says
// that it is the last batch of what is compacted. The result is valid until the
// next call.
func (r *rewriter) rewrite(b kafka.Batch, last bool) (kafka.Batch, error) {
	switch {
	case b.Control():
		return r.marker(b, last)
	case b.BaseOffset() >= r.end:
		r.keep(b)
		return b, nil
	case b.Transactional() && r.isAborted(b):
		return r.emptied(b, last), nil
	}
	payload, err := Payload(b, r.maxBytes)
	if err != nil {
		return nil, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	f, err := r.filter(b, payload)
	if err != nil {
		return nil, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
	}
	_, hasHorizon := b.DeleteHorizon()
	switch {
	case f.count == 0 && b.Count() > 0 || b.Count() == 0:
		return r.emptied(b, last), nil
	case f.count == b.Count() && (!f.tombstones || hasHorizon):
		r.keep(b)
		return b, nil
	}
	r.keep(b)
	return r.encode(b, payload, f, f.tombstones && !hasHorizon)
}

func (r *rewriter) keep(b kafka.Batch) {
	if b.Transactional() {
		r.kept[b.ProducerID()] = true
	}
}

func (r *rewriter) isAborted(b kafka.Batch) bool {
	for _, a := range r.aborted {
		if a.ProducerID == b.ProducerID() && a.First <= b.BaseOffset() && b.BaseOffset() <= a.Last {
			return true
		}
	}
	return false
}

// marker decides about a transaction marker: it goes when all data of its
// transaction is gone, its delete horizon has passed, and it is not what an
// active producer's epoch is known by.
func (r *rewriter) marker(b kafka.Batch, last bool) (kafka.Batch, error) {
	dataKept := r.kept[b.ProducerID()]
	delete(r.kept, b.ProducerID())
	if dataKept || b.BaseOffset() >= r.end {
		return b, nil
	}
	horizon, ok := b.DeleteHorizon()
	if !ok {
		return r.encode(b, b.Payload(), filtered{count: b.Count(), all: true}, true)
	}
	a, active := r.active[b.ProducerID()]
	if horizon > r.now || last || active && !a.HasData && a.Epoch == b.ProducerEpoch() {
		return b, nil
	}
	r.markers = append(r.markers, b.BaseOffset())
	return nil, nil
}

// filtered is what stays of a batch's records.
type filtered struct {
	count        int32
	all          bool // every record stays
	tombstones   bool // some of those that stay are tombstones
	maxTimestamp kafka.Timestamp
	stay         []bool // by index of the record; not set with all
}

func (r *rewriter) filter(b kafka.Batch, payload []byte) (filtered, error) {
	horizon, hasHorizon := b.DeleteHorizon()
	f := filtered{maxTimestamp: kafka.NoTimestamp, stay: make([]bool, 0, min(int(b.Count()), len(payload)))}
	walk := b.Records(payload)
	for walk.Next() {
		rec := walk.Record()
		stays := rec.Offset >= r.end || rec.Key == nil ||
			!r.keys.superseded(rec.Key, rec.Offset) && (rec.Value != nil || !hasHorizon || horizon > r.now)
		f.stay = append(f.stay, stays)
		r.stats.Records++
		if !stays {
			r.stats.Removed++
			continue
		}
		f.count++
		f.tombstones = f.tombstones || rec.Value == nil && rec.Key != nil
		f.maxTimestamp = max(f.maxTimestamp, rec.Timestamp)
	}
	return f, walk.Err()
}

// emptied returns a batch without records, in place of one whose records all go,
// when it must be kept: it is the last of an active producer, whose sequence
// would be forgotten, or the last of all, and offsets would go backwards.
func (r *rewriter) emptied(b kafka.Batch, last bool) kafka.Batch {
	a, active := r.active[b.ProducerID()]
	if !last && !(active && a.HasData && a.Last == b.LastOffset()) {
		return nil
	}
	r.buf = append(r.buf[:0], b[:kafka.BatchHeaderBytes]...)
	e := kafka.Batch(r.buf)
	e.SetAttributes(b.Attributes() &^ (kafka.AttrCodecMask | kafka.AttrDeleteHorizon))
	e.SetBaseTimestamp(kafka.NoTimestamp)
	e.SetMaxTimestamp(kafka.NoTimestamp)
	e.SetCount(0)
	e.Seal()
	return e
}

// encode writes the records that stay behind the batch's own header: base
// offset, last offset delta and producer stay as they are. setHorizon puts the
// delete horizon in, which the timestamp deltas then count from.
func (r *rewriter) encode(b kafka.Batch, payload []byte, f filtered, setHorizon bool) (kafka.Batch, error) {
	base := b.BaseTimestamp()
	if setHorizon {
		base = r.horizon
	}
	records, err := reencode(make([]byte, 0, len(payload)+len(payload)/8), payload, f, int64(b.BaseTimestamp()-base))
	if err != nil {
		return nil, err
	}
	r.buf = append(r.buf[:0], b[:kafka.BatchHeaderBytes]...)
	if r.buf, err = Compress(r.buf, b.Codec(), records); err != nil {
		return nil, err
	}
	out := kafka.Batch(r.buf)
	out.SetCount(f.count)
	if !f.all && b.Attributes()&kafka.AttrLogAppendTime == 0 {
		out.SetMaxTimestamp(f.maxTimestamp)
	}
	if setHorizon {
		out.SetAttributes(b.Attributes() | kafka.AttrDeleteHorizon)
		out.SetBaseTimestamp(base)
	}
	out.Seal()
	return out, nil
}

// reencode copies the records that stay, with shift added to their timestamp
// deltas.
func reencode(dst, payload []byte, f filtered, shift int64) ([]byte, error) {
	for i := 0; len(payload) > 0; i++ {
		length, n := kafka.Varint(payload)
		if n <= 0 || length < 1 || length > int64(len(payload)-n) {
			return nil, fmt.Errorf("%w: record length", kafka.ErrCorruptBatch)
		}
		record := payload[:n+int(length)]
		body := record[n:]
		payload = payload[len(record):]
		if !f.all && !f.stay[i] {
			continue
		}
		if shift == 0 {
			dst = append(dst, record...)
			continue
		}
		delta, m := kafka.Varint(body[1:])
		if m <= 0 {
			return nil, fmt.Errorf("%w: timestamp delta", kafka.ErrCorruptBatch)
		}
		var shifted [10]byte
		ts := kafka.AppendVarint(shifted[:0], delta+shift)
		dst = kafka.AppendVarint(dst, length+int64(len(ts)-m))
		dst = append(dst, body[0])
		dst = append(dst, ts...)
		dst = append(dst, body[1+m:]...)
	}
	return dst, nil
}
