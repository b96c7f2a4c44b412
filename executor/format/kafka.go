package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// kafkaCodec is the format of Kafka's own serialisers: one column, raw.
type kafkaCodec struct{ col types.Column }

func newKafka(cols []types.Column) (Codec, error) {
	if len(cols) == 0 {
		return none{}, nil
	}
	if len(cols) > 1 {
		return nil, fmt.Errorf("format KAFKA takes one column, got %d", len(cols))
	}
	switch cols[0].Type.Kind {
	case types.KindInteger, types.KindBigint, types.KindDouble, types.KindString, types.KindBytes:
		return &kafkaCodec{cols[0]}, nil
	}
	return nil, fmt.Errorf("format KAFKA cannot hold column %s of type %s", cols[0].Name, cols[0].Type)
}

// Decode reads the raw value; a wrong length is an error.
func (c *kafkaCodec) Decode(cols []*batch.Vector, i int32, payload []byte) error {
	want := 8
	switch c.col.Type.Kind {
	case types.KindString:
		if !utf8.Valid(payload) {
			return errors.New("payload is not valid UTF-8")
		}
		fallthrough
	case types.KindBytes:
		want = len(payload)
	case types.KindInteger:
		want = 4
	}
	if len(payload) != want {
		return fmt.Errorf("size of data received by %s is %d bytes, expected %d", c.col.Type, len(payload), want)
	}
	v := cols[0]
	if v == nil {
		return nil
	}
	v.SetValid(i)
	switch c.col.Type.Kind {
	case types.KindInteger:
		v.I64[i] = int64(int32(binary.BigEndian.Uint32(payload)))
	case types.KindBigint:
		v.I64[i] = int64(binary.BigEndian.Uint64(payload))
	case types.KindDouble:
		v.F64[i] = math.Float64frombits(binary.BigEndian.Uint64(payload))
	default:
		setView(v, i, payload)
	}
	return nil
}

// Append writes the raw value; NULL is a null payload.
func (c *kafkaCodec) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	v := cols[0]
	if v.IsNull(i) {
		return dst, true, nil
	}
	switch c.col.Type.Kind {
	case types.KindInteger:
		return binary.BigEndian.AppendUint32(dst, uint32(v.I64[i])), false, nil
	case types.KindBigint:
		return binary.BigEndian.AppendUint64(dst, uint64(v.I64[i])), false, nil
	case types.KindDouble:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.F64[i])), false, nil
	}
	return append(dst, v.Bytes(i)...), false, nil
}
