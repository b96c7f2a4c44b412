package op

import (
	"encoding/binary"
	"errors"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/sql/types"
)

var errBadRow = errors.New("stored row is malformed")

// rowCodec keeps rows in state: the sortable key, and row time (8 bytes BE)
// followed by the binary value.
type rowCodec struct {
	schema *types.Schema
	key    *format.Sortable
	value  *format.Binary
	keyBuf []byte
	valBuf []byte
}

func newRowCodec(schema *types.Schema) (*rowCodec, error) {
	key, err := format.NewSortable(schema.Key)
	if err != nil {
		return nil, err
	}
	return &rowCodec{schema: schema, key: key, value: format.NewBinary(schema.Value)}, nil
}

// keyOf returns the key of row i, valid until the next call.
func (r *rowCodec) keyOf(b *batch.Batch, i int32) []byte {
	r.keyBuf, _, _ = r.key.Append(r.keyBuf[:0], b.Cols[:b.Keys], i)
	return r.keyBuf
}

// valueOf returns the stored form of row i at a time, valid until the next call.
func (r *rowCodec) valueOf(b *batch.Batch, i int32, time int64) []byte {
	r.valBuf = binary.BigEndian.AppendUint64(r.valBuf[:0], uint64(time))
	r.valBuf, _, _ = r.value.Append(r.valBuf, b.Cols[b.Keys:], i)
	return r.valBuf
}

// rowTime returns the time of a stored row in ms.
func rowTime(stored []byte) int64 {
	if len(stored) < 8 {
		return 0
	}
	return int64(binary.BigEndian.Uint64(stored))
}

// load sets the value columns of row o, starting at column from, to a stored
// row, copying it.
func (r *rowCodec) load(b *batch.Batch, from int, o int32, stored []byte) error {
	if len(stored) < 8 {
		return errBadRow
	}
	cols := b.Cols[from : from+len(r.schema.Value)]
	for _, v := range cols {
		v.Data = nil // stored bytes move: copy them into the arena
	}
	return r.value.Decode(cols, o, stored[8:])
}

// setNull makes the value columns of row o, starting at column from, NULL.
func (r *rowCodec) setNull(b *batch.Batch, from int, o int32) {
	for _, v := range b.Cols[from : from+len(r.schema.Value)] {
		v.SetNull(o)
	}
}
