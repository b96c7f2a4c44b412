package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

const (
	signBit      = 1 << 63
	decimalBytes = 33
)

var errBadKey = errors.New("malformed sortable key")

// Sortable is the codec of keys in internal topics and state: byte order is
// value order. Keys with a MAP are not supported. doc.go draws it.
type Sortable struct{ cols []types.Column }

// NewSortable returns the key codec of some columns.
func NewSortable(cols []types.Column) (*Sortable, error) {
	for _, c := range cols {
		if c.Type.Contains(types.KindMap) {
			return nil, fmt.Errorf("key column %s of type %s: a key cannot hold a MAP", c.Name, c.Type)
		}
	}
	return &Sortable{cols}, nil
}

// Append appends the key of row i. It never answers null.
func (c *Sortable) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	for _, v := range cols {
		if v.IsNull(i) {
			dst = append(dst, 0)
			continue
		}
		dst = append(dst, 1)
		switch v.Rep {
		case batch.RepInt64:
			dst = binary.BigEndian.AppendUint64(dst, uint64(v.I64[i])^signBit)
		case batch.RepBytes:
			dst = appendEscaped(dst, v.Bytes(i))
		default:
			dst = appendSortable(dst, v.View(i), v.Type)
		}
	}
	return dst, false, nil
}

// AppendRow appends the key of a row of values.
func (c *Sortable) AppendRow(dst []byte, values []types.Value) []byte {
	for i, v := range values {
		dst = appendSortableColumn(dst, v, c.cols[i].Type)
	}
	return dst
}

func appendSortableColumn(dst []byte, v types.Value, t types.Type) []byte {
	if v.IsNull() {
		return append(dst, 0)
	}
	return appendSortable(append(dst, 1), v, t)
}

func appendSortable(dst []byte, v types.Value, t types.Type) []byte {
	switch t.Kind {
	case types.KindBoolean:
		return append(dst, boolByte(v.Bool()))
	case types.KindDouble:
		bits := math.Float64bits(v.Float())
		if bits&signBit != 0 {
			bits = ^bits
		} else {
			bits |= signBit
		}
		return binary.BigEndian.AppendUint64(dst, bits)
	case types.KindString, types.KindBytes:
		return appendEscaped(dst, []byte(v.Str()))
	case types.KindDecimal:
		return appendSortableDecimal(dst, v.Decimal())
	case types.KindArray:
		for _, e := range v.Elems() {
			dst = appendSortableColumn(append(dst, 1), e, *t.Elem)
		}
		return append(dst, 0)
	case types.KindStruct:
		for i, e := range v.Elems() {
			dst = appendSortableColumn(dst, e, t.Fields[i].Type)
		}
		return dst
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int())^signBit)
}

// appendEscaped writes 00 as 00 FF and ends with 00 01.
func appendEscaped(dst, b []byte) []byte {
	for {
		n := bytes.IndexByte(b, 0)
		if n < 0 {
			dst = append(dst, b...)
			return append(dst, 0, 1)
		}
		dst = append(dst, b[:n]...)
		dst = append(dst, 0, 0xFF)
		b = b[n+1:]
	}
}

// appendSortableDecimal writes the unscaled value; the scale is the type's.
func appendSortableDecimal(dst []byte, d *apd.Decimal) []byte {
	n := new(big.Int).Set(d.Coeff.MathBigInt())
	if d.Negative {
		n.Neg(n)
	}
	n.Add(n, decimalBias)
	mark := len(dst)
	dst = append(dst, make([]byte, decimalBytes)...)
	n.FillBytes(dst[mark:])
	return dst
}

// decimalBias makes every unscaled value of up to 76 digits positive.
var decimalBias = new(big.Int).Lsh(big.NewInt(1), 8*decimalBytes-1)

// Decode reads a key into the columns that are not nil.
func (c *Sortable) Decode(cols []*batch.Vector, i int32, b []byte) error {
	for k, col := range c.cols {
		v, rest, err := readSortableColumn(b, col.Type, 0)
		if err != nil {
			return fmt.Errorf("column %s: %w", col.Name, err)
		}
		b = rest
		if cols[k] != nil && !cols[k].Set(i, v) {
			return fmt.Errorf("column %s: value does not fit %s", col.Name, col.Type)
		}
	}
	if len(b) != 0 {
		return fmt.Errorf("%w: %d bytes too many", errBadKey, len(b))
	}
	return nil
}

// DecodeRow reads a key as values.
func (c *Sortable) DecodeRow(b []byte) ([]types.Value, error) {
	out := make([]types.Value, len(c.cols))
	for k, col := range c.cols {
		var err error
		if out[k], b, err = readSortableColumn(b, col.Type, 0); err != nil {
			return nil, fmt.Errorf("column %s: %w", col.Name, err)
		}
	}
	if len(b) != 0 {
		return nil, fmt.Errorf("%w: %d bytes too many", errBadKey, len(b))
	}
	return out, nil
}

func readSortableColumn(b []byte, t types.Type, depth int) (types.Value, []byte, error) {
	switch {
	case len(b) == 0 || depth > MaxNesting:
		return types.NullValue, nil, errBadKey
	case b[0] == 0:
		return types.NullValue, b[1:], nil
	}
	return readSortable(b[1:], t, depth)
}

func readSortable(b []byte, t types.Type, depth int) (types.Value, []byte, error) {
	switch t.Kind {
	case types.KindBoolean:
		if len(b) < 1 {
			return types.NullValue, nil, errBadKey
		}
		return types.NewBoolean(b[0] != 0), b[1:], nil
	case types.KindString, types.KindBytes:
		text, rest, err := readEscaped(b)
		if t.Kind == types.KindBytes {
			return types.NewBytes(text), rest, err
		}
		return types.NewString(string(text)), rest, err
	case types.KindDecimal:
		if len(b) < decimalBytes {
			return types.NullValue, nil, errBadKey
		}
		n := new(big.Int).SetBytes(b[:decimalBytes])
		n.Sub(n, decimalBias)
		d := &apd.Decimal{Negative: n.Sign() < 0, Exponent: -t.Scale}
		d.Coeff.SetMathBigInt(n.Abs(n))
		return types.NewDecimal(d), b[decimalBytes:], nil
	case types.KindArray:
		elems := []types.Value{}
		for {
			if len(b) == 0 {
				return types.NullValue, nil, errBadKey
			}
			more := b[0] != 0
			b = b[1:]
			if !more {
				return types.NewArray(elems), b, nil
			}
			e, rest, err := readSortableColumn(b, *t.Elem, depth+1)
			if err != nil {
				return types.NullValue, nil, err
			}
			elems, b = append(elems, e), rest
		}
	case types.KindStruct:
		fields := make([]types.Value, len(t.Fields))
		for i, f := range t.Fields {
			var err error
			if fields[i], b, err = readSortableColumn(b, f.Type, depth+1); err != nil {
				return types.NullValue, nil, err
			}
		}
		return types.NewStruct(fields), b, nil
	}
	if len(b) < 8 {
		return types.NullValue, nil, errBadKey
	}
	bits := binary.BigEndian.Uint64(b)
	if t.Kind != types.KindDouble {
		return intValue(int64(bits^signBit), t.Kind), b[8:], nil
	}
	if bits&signBit != 0 {
		bits &^= signBit
	} else {
		bits = ^bits
	}
	return types.NewDouble(math.Float64frombits(bits)), b[8:], nil
}

func readEscaped(b []byte) (text, rest []byte, err error) {
	for {
		n := bytes.IndexByte(b, 0)
		if n < 0 || n+1 >= len(b) {
			return nil, nil, errBadKey
		}
		text = append(text, b[:n]...)
		switch b[n+1] {
		case 1:
			return text, b[n+2:], nil
		case 0xFF:
			text = append(text, 0)
		default:
			return nil, nil, errBadKey
		}
		b = b[n+2:]
	}
}
