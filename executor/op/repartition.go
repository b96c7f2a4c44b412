package op

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/sql/types"
)

// MaxBatchBytes is the size at which an output record batch is closed.
const MaxBatchBytes = 512 << 10

// A record of a repartition topic has the sortable key and this value:
//
//	+-------+---------------------------+------------------+----------------+
//	| flags | window start, end: varint | length + before, | after: binary  |
//	|       | when flagWindow           | when flagBefore  | value          |
//	+-------+---------------------------+------------------+----------------+
//
// Both rows of a change are one record, since they have one key.
const (
	flagOpMask    = 0x03
	flagBefore    = 0x04
	flagWindow    = 0x08
	flagValueNull = 0x10
)

var errBadRepartition = errors.New("malformed repartition record")

// Repartition writes rows to the partition of their key (plan.Repartition).
type Repartition struct {
	id         string
	topic      string
	partitions int32
	rows       *rowCodec
	// hash encodes the key as the topics do that this one is co-partitioned with.
	hash    format.Codec
	hashBuf []byte
}

// NewRepartition returns the writer of a repartition topic. Keys are hashed in
// the form of hash, or in their own when it is nil.
func NewRepartition(id, topic string, schema *types.Schema, partitions int32, hash format.Codec) (*Repartition, error) {
	rows, err := newRowCodec(schema)
	if err != nil {
		return nil, fatal(id, err)
	}
	if hash == nil {
		hash = rows.key
	}
	return &Repartition{id: id, topic: topic, partitions: partitions, rows: rows, hash: hash}, nil
}

// Process writes one record per row or change.
func (r *Repartition) Process(c *Context, b *batch.Batch) error {
	for k := 0; k < len(b.Sel); k++ {
		i, before := b.Sel[k], int32(-1)
		if b.OpAt(i) == batch.UpdateBefore && k+1 < len(b.Sel) && b.OpAt(b.Sel[k+1]) == batch.UpdateAfter {
			k++
			before, i = i, b.Sel[k]
		}
		if err := r.write(c, b, i, before); err != nil {
			return fatal(r.id, err)
		}
	}
	return nil
}

func (r *Repartition) write(c *Context, b *batch.Batch, i, before int32) error {
	partition, err := r.partition(b, i)
	if err != nil {
		c.report(r.id, KindSerialization, b, i, err, effectRowOut)
		return nil
	}
	w := c.Out.Builder(kafka.TopicPartition{Topic: r.topic, Partition: partition})
	w.BeginRecord(kafka.Timestamp(b.Time[i]))
	if b.KeyNull.Get(i) {
		w.NullField()
	} else {
		w.BeginField()
		buf, _, _ := r.rows.key.Append(w.Buffer(), b.Cols[:b.Keys], i)
		w.SetBuffer(buf)
		w.EndField()
	}
	w.BeginField()
	w.SetBuffer(r.appendValue(w.Buffer(), b, i, before))
	w.EndField()
	w.EndRecordRaw(b.RawHeaders(i))
	if w.OpenBytes() >= MaxBatchBytes {
		w.Finish()
	}
	return nil
}

func (r *Repartition) partition(b *batch.Batch, i int32) (int32, error) {
	if r.partitions == 1 {
		return 0, nil
	}
	if b.KeyNull.Get(i) {
		return b.Partition[i] % r.partitions, nil
	}
	buf, null, err := r.hash.Append(r.hashBuf[:0], b.Cols[:b.Keys], i)
	r.hashBuf = buf
	if err != nil {
		return 0, fmt.Errorf("key: %w", err)
	}
	if null {
		return b.Partition[i] % r.partitions, nil
	}
	return kafka.Partition(buf, r.partitions), nil
}

func (r *Repartition) appendValue(dst []byte, b *batch.Batch, i, before int32) []byte {
	flags := byte(b.OpAt(i))
	if before >= 0 {
		flags |= flagBefore
	}
	if b.WindowStart != nil {
		flags |= flagWindow
	}
	if b.ValueNull.Get(i) {
		flags |= flagValueNull
	}
	dst = append(dst, flags)
	if b.WindowStart != nil {
		dst = binary.AppendVarint(binary.AppendVarint(dst, b.WindowStart[i]), b.WindowEnd[i])
	}
	if before >= 0 {
		r.rows.valBuf, _, _ = r.rows.value.Append(r.rows.valBuf[:0], b.Cols[b.Keys:], before)
		dst = binary.AppendUvarint(dst, uint64(len(r.rows.valBuf)))
		dst = append(dst, r.rows.valBuf...)
	}
	if flags&flagValueNull == 0 {
		dst, _, _ = r.rows.value.Append(dst, b.Cols[b.Keys:], i)
	}
	return dst
}

// RepartitionDecoder reads what Repartition wrote. One record may give two rows.
type RepartitionDecoder struct {
	id, topic string
	schema    *types.Schema
	windowed  bool
	rows      *rowCodec
}

// NewRepartitionDecoder returns the reader of a repartition topic.
func NewRepartitionDecoder(id, topic string, schema *types.Schema, windowed bool) (*RepartitionDecoder, error) {
	rows, err := newRowCodec(schema)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &RepartitionDecoder{id: id, topic: topic, schema: schema, windowed: windowed, rows: rows}, nil
}

// Begin readies an empty batch for up to rows records out of the fetched bytes.
func (d *RepartitionDecoder) Begin(b *batch.Batch, fetched []byte, rows int) {
	b.Reset(d.schema, d.windowed)
	b.Topic = d.topic
	b.Grow(rows)
	for _, v := range b.Cols {
		v.Data = fetched
	}
}

// Decode appends the rows of one record. A malformed one is an error: nobody
// else writes to the topic.
func (d *RepartitionDecoder) Decode(b *batch.Batch, partition int32, r *kafka.Record) error {
	if len(r.Value) == 0 {
		return errBadRepartition
	}
	flags, rest := r.Value[0], r.Value[1:]
	var start, end int64
	if flags&flagWindow != 0 {
		var n, m int
		if start, n = binary.Varint(rest); n <= 0 {
			return errBadRepartition
		}
		if end, m = binary.Varint(rest[n:]); m <= 0 {
			return errBadRepartition
		}
		rest = rest[n+m:]
	}
	add := func(op batch.Op, value []byte) error {
		i := b.Append(int64(r.Timestamp), partition, int64(r.Offset), op)
		if b.WindowStart != nil {
			b.WindowStart[i], b.WindowEnd[i] = start, end
		}
		b.SetHeaders(i, r.RawHeaders)
		if r.Key == nil {
			b.SetKeyNull(i)
		} else if err := d.rows.key.Decode(b.Cols[:b.Keys], i, r.Key); err != nil {
			return err
		}
		if value == nil {
			b.SetValueNull(i)
			return nil
		}
		return d.rows.value.Decode(b.Cols[b.Keys:], i, value)
	}
	if flags&flagBefore != 0 {
		size, n := binary.Uvarint(rest)
		if n <= 0 || size > uint64(len(rest)-n) {
			return errBadRepartition
		}
		if err := add(batch.UpdateBefore, rest[n:n+int(size)]); err != nil {
			return err
		}
		rest = rest[n+int(size):]
	}
	if flags&flagValueNull != 0 {
		return add(batch.Op(flags&flagOpMask), nil)
	}
	return add(batch.Op(flags&flagOpMask), rest)
}
