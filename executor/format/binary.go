package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

var errShort = errors.New("binary row is too short")

// Binary is the codec of internal topics and state; doc.go draws it.
type Binary struct{ cols []types.Column }

// NewBinary returns the binary codec of some columns.
func NewBinary(cols []types.Column) *Binary { return &Binary{cols} }

// Append appends a row. It never fails and never answers null.
func (c *Binary) Append(dst []byte, cols []*batch.Vector, i int32) ([]byte, bool, error) {
	mark := len(dst)
	for range (len(cols) + 7) / 8 {
		dst = append(dst, 0)
	}
	for k, v := range cols {
		if v.IsNull(i) {
			dst[mark+k/8] |= 1 << (k % 8)
			continue
		}
		switch v.Rep {
		case batch.RepInt64:
			dst = binary.AppendVarint(dst, v.I64[i])
		case batch.RepFloat64:
			dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(v.F64[i]))
		case batch.RepBool:
			dst = append(dst, boolByte(v.Bits.Get(i)))
		case batch.RepBytes:
			b := v.Bytes(i)
			dst = binary.AppendUvarint(dst, uint64(len(b)))
			dst = append(dst, b...)
		default:
			dst = AppendBinary(dst, v.View(i), v.Type)
		}
	}
	return dst, false, nil
}

func boolByte(b bool) byte {
	if b {
		return 1
	}
	return 0
}

// AppendBinary appends a value that is not NULL.
func AppendBinary(dst []byte, v types.Value, t types.Type) []byte {
	switch t.Kind {
	case types.KindBoolean:
		return append(dst, boolByte(v.Bool()))
	case types.KindDouble:
		return binary.BigEndian.AppendUint64(dst, math.Float64bits(v.Float()))
	case types.KindString, types.KindBytes:
		dst = binary.AppendUvarint(dst, uint64(len(v.Str())))
		return append(dst, v.Str()...)
	case types.KindDecimal:
		d := v.Decimal()
		dst = binary.AppendVarint(dst, int64(d.Exponent))
		dst = append(dst, boolByte(d.Negative))
		coeff := d.Coeff.Bytes()
		dst = binary.AppendUvarint(dst, uint64(len(coeff)))
		return append(dst, coeff...)
	case types.KindArray:
		dst = binary.AppendUvarint(dst, uint64(len(v.Elems())))
		for _, e := range v.Elems() {
			dst = AppendNullable(dst, e, *t.Elem)
		}
		return dst
	case types.KindMap:
		m := v.Map()
		dst = binary.AppendUvarint(dst, uint64(len(m.Keys)))
		for i, k := range m.Keys {
			dst = AppendNullable(dst, k, *t.Key)
			dst = AppendNullable(dst, m.Values[i], *t.Elem)
		}
		return dst
	case types.KindStruct:
		for i, e := range v.Elems() {
			dst = AppendNullable(dst, e, t.Fields[i].Type)
		}
		return dst
	}
	return binary.AppendVarint(dst, v.Int())
}

// AppendNullable appends a null byte (1 = NULL) and the value.
func AppendNullable(dst []byte, v types.Value, t types.Type) []byte {
	if v.IsNull() {
		return append(dst, 1)
	}
	return AppendBinary(append(dst, 0), v, t)
}

// Decode reads a row into the columns that are not nil.
func (c *Binary) Decode(cols []*batch.Vector, i int32, b []byte) error {
	n := (len(c.cols) + 7) / 8
	if len(b) < n {
		return errShort
	}
	nulls, b := b[:n], b[n:]
	for k := range c.cols {
		v := cols[k]
		if nulls[k/8]>>(k%8)&1 != 0 {
			if v != nil {
				v.SetNull(i)
			}
			continue
		}
		var err error
		if b, err = decodeBinary(v, i, b, c.cols[k].Type); err != nil {
			return fmt.Errorf("column %s: %w", c.cols[k].Name, err)
		}
	}
	if len(b) != 0 {
		return fmt.Errorf("%d bytes behind a binary row", len(b))
	}
	return nil
}

// decodeBinary reads one value into v, or past it when v is nil.
func decodeBinary(v *batch.Vector, i int32, b []byte, t types.Type) ([]byte, error) {
	switch batch.RepOf(t) {
	case batch.RepInt64:
		x, n := binary.Varint(b)
		if n <= 0 {
			return nil, errShort
		}
		if v != nil {
			v.SetValid(i)
			v.I64[i] = x
		}
		return b[n:], nil
	case batch.RepBytes:
		text, rest, err := takeBytes(b)
		if err == nil && v != nil {
			setView(v, i, text)
		}
		return rest, err
	}
	x, rest, err := ReadBinary(b, t, 0)
	if err != nil || v == nil {
		return rest, err
	}
	if !v.Set(i, x) {
		return nil, fmt.Errorf("value does not fit %s", t)
	}
	return rest, nil
}

func takeBytes(b []byte) (text, rest []byte, err error) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, errShort
	}
	end := n + int(size)
	return b[n:end:end], b[end:], nil
}

// ReadBinary reads a value that AppendBinary wrote.
func ReadBinary(b []byte, t types.Type, depth int) (types.Value, []byte, error) {
	fail := func(err error) (types.Value, []byte, error) { return types.NullValue, nil, err }
	if depth > MaxNesting {
		return fail(fmt.Errorf("value nests deeper than %d", MaxNesting))
	}
	switch t.Kind {
	case types.KindBoolean:
		if len(b) < 1 {
			return fail(errShort)
		}
		return types.NewBoolean(b[0] != 0), b[1:], nil
	case types.KindDouble:
		if len(b) < 8 {
			return fail(errShort)
		}
		return types.NewDouble(math.Float64frombits(binary.BigEndian.Uint64(b))), b[8:], nil
	case types.KindString, types.KindBytes:
		text, rest, err := takeBytes(b)
		if err != nil {
			return fail(err)
		}
		if t.Kind == types.KindBytes {
			return types.NewBytes(text), rest, nil
		}
		return types.NewString(string(text)), rest, nil
	case types.KindDecimal:
		return readDecimal(b)
	case types.KindArray:
		count, n := binary.Uvarint(b)
		if n <= 0 || count > uint64(len(b)) {
			return fail(errShort)
		}
		elems, rest, err := readMany(b[n:], int(count), depth, func(int) types.Type { return *t.Elem })
		return types.NewArray(elems), rest, err
	case types.KindMap:
		count, n := binary.Uvarint(b)
		if n <= 0 || count > uint64(len(b)) {
			return fail(errShort)
		}
		both, rest, err := readMany(b[n:], 2*int(count), depth, func(i int) types.Type {
			if i%2 == 0 {
				return *t.Key
			}
			return *t.Elem
		})
		if err != nil {
			return fail(err)
		}
		m := new(types.MapValue)
		for i := 0; i < len(both); i += 2 {
			m.Keys, m.Values = append(m.Keys, both[i]), append(m.Values, both[i+1])
		}
		return types.NewMap(m), rest, nil
	case types.KindStruct:
		fields, rest, err := readMany(b, len(t.Fields), depth, func(i int) types.Type { return t.Fields[i].Type })
		return types.NewStruct(fields), rest, err
	}
	x, n := binary.Varint(b)
	if n <= 0 {
		return fail(errShort)
	}
	return intValue(x, t.Kind), b[n:], nil
}

func intValue(x int64, k types.Kind) types.Value {
	switch k {
	case types.KindInteger:
		return types.NewInteger(int32(x))
	case types.KindTime:
		return types.NewTime(int32(x))
	case types.KindDate:
		return types.NewDate(int32(x))
	case types.KindTimestamp:
		return types.NewTimestamp(x)
	}
	return types.NewBigint(x)
}

func readDecimal(b []byte) (types.Value, []byte, error) {
	exp, n := binary.Varint(b)
	if n <= 0 || len(b) <= n || exp < -maxExponent || exp > maxExponent {
		return types.NullValue, nil, errShort
	}
	negative := b[n] != 0
	coeff, rest, err := takeBytes(b[n+1:])
	if err != nil {
		return types.NullValue, nil, err
	}
	d := &apd.Decimal{Negative: negative, Exponent: int32(exp)}
	d.Coeff.SetBytes(coeff)
	return types.NewDecimal(d), rest, nil
}

func readMany(b []byte, count, depth int, typeOf func(int) types.Type) ([]types.Value, []byte, error) {
	out := make([]types.Value, 0, min(count, len(b)))
	for i := range count {
		v, rest, err := ReadNullable(b, typeOf(i), depth+1)
		if err != nil {
			return nil, nil, err
		}
		out, b = append(out, v), rest
	}
	return out, b, nil
}

// ReadNullable reads a value that AppendNullable wrote.
func ReadNullable(b []byte, t types.Type, depth int) (types.Value, []byte, error) {
	if len(b) == 0 {
		return types.NullValue, nil, errShort
	}
	if b[0] != 0 {
		return types.NullValue, b[1:], nil
	}
	return ReadBinary(b[1:], t, depth)
}
