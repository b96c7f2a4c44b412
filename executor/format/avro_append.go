package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// appendRow appends the row by the writer of its STRUCT.
func (n *avroWriter) appendRow(dst []byte, cols []*batch.Vector, i int32) ([]byte, error) {
	if n.op == avroOpMember {
		values := make([]types.Value, len(cols))
		for k, v := range cols {
			values[k] = v.View(i)
		}
		return n.appendMember(dst, values)
	}
	dst = append(dst, n.branch...)
	var err error
	for k := range n.fields {
		f := &n.fields[k]
		switch {
		case f.col < 0:
			dst = append(dst, f.initial...)
		case cols[f.col].IsNull(i):
			dst, err = f.appendNull(dst)
		default:
			dst, err = f.node.appendColumn(append(dst, f.node.branch...), cols[f.col], i)
		}
		if err != nil {
			return dst, within("."+f.name, err)
		}
	}
	return dst, nil
}

// appendNull writes null, or the default where null is not allowed.
func (f *avroWriteField) appendNull(dst []byte) ([]byte, error) {
	if f.node.null == nil && f.initial != nil {
		return append(dst, f.initial...), nil
	}
	return f.node.appendNull(dst)
}

func (n *avroWriter) appendNull(dst []byte) ([]byte, error) {
	if n.null == nil {
		return dst, errAvroNull
	}
	return append(dst, n.null...), nil
}

// appendColumn appends value i of a vector, which is not NULL, behind its branch.
func (n *avroWriter) appendColumn(dst []byte, v *batch.Vector, i int32) ([]byte, error) {
	switch n.op {
	case avroOpInt, avroOpLong:
		return binary.AppendVarint(dst, v.I64[i]), nil
	case avroOpDouble:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.F64[i])), nil
	case avroOpBoolean:
		return append(dst, boolByte(v.Bits.Get(i))), nil
	case avroOpString:
		return appendAvroText(dst, v.Bytes(i))
	case avroOpBytes:
		return appendAvroBytes(dst, v.Bytes(i)), nil
	case avroOpDecimal:
		if up := n.w.scale - int(n.t.Scale); v.Rep == batch.RepDecimal && up >= 0 && up <= batch.MaxInt128Digits {
			if x, ok := v.Dec[i].Scale10(up); ok && n.w.precision >= batch.MaxInt128Digits+1 || ok && x.FitsDigits(min(n.w.precision, batch.MaxInt128Digits)) {
				var buf [16]byte
				return n.appendUnscaled(dst, twosComplement(&buf, x))
			}
		}
	}
	return n.appendBare(dst, v.View(i))
}

func appendAvroBytes[T []byte | string](dst []byte, b T) []byte {
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func appendAvroText(dst, b []byte) ([]byte, error) {
	if !utf8.Valid(b) {
		return dst, errAvroText
	}
	return appendAvroBytes(dst, b), nil
}

// appendValue appends a value or NULL.
func (n *avroWriter) appendValue(dst []byte, v types.Value) ([]byte, error) {
	if v.IsNull() {
		return n.appendNull(dst)
	}
	return n.appendBare(append(dst, n.branch...), v)
}

// appendBare appends a value that is not NULL, behind its branch.
func (n *avroWriter) appendBare(dst []byte, v types.Value) ([]byte, error) {
	switch n.op {
	case avroOpInt, avroOpLong:
		return binary.AppendVarint(dst, v.Int()), nil
	case avroOpScaled:
		x := v.Int() * n.scale
		if x/n.scale != v.Int() {
			return dst, fmt.Errorf("%d ms are out of range of %s", v.Int(), n.w.logical)
		}
		return binary.AppendVarint(dst, x), nil
	case avroOpBoolean:
		return append(dst, boolByte(v.Bool())), nil
	case avroOpDouble:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
	case avroOpFloat:
		return appendFloat32(dst, v.Float()), nil
	case avroOpNumber:
		if n.w.kind == avroFloat {
			return appendFloat32(dst, float64(v.Int())), nil
		}
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(float64(v.Int()))), nil
	case avroOpString:
		if !utf8.ValidString(v.Str()) {
			return dst, errAvroText
		}
		return appendAvroBytes(dst, v.Str()), nil
	case avroOpBytes:
		return appendAvroBytes(dst, v.Str()), nil
	case avroOpFixed:
		if len(v.Str()) != n.w.size {
			return dst, fmt.Errorf("%d bytes for %s, which has %d", len(v.Str()), n.w.label(), n.w.size)
		}
		return append(dst, v.Str()...), nil
	case avroOpText:
		k := slices.Index(n.w.symbols, v.Str())
		if k < 0 {
			return dst, fmt.Errorf("%q is no symbol of %s", clip(v.Str()), n.w.label())
		}
		return binary.AppendVarint(dst, int64(k)), nil
	case avroOpDecimal:
		return n.appendDecimal(dst, v.Decimal())
	}
	return n.appendNested(dst, v)
}

func appendFloat32(dst []byte, x float64) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(x)))
}

func (n *avroWriter) appendNested(dst []byte, v types.Value) (_ []byte, err error) {
	switch n.op {
	case avroOpArray:
		if len(v.Elems()) > 0 {
			dst = binary.AppendVarint(dst, int64(len(v.Elems())))
		}
		for k, e := range v.Elems() {
			if dst, err = n.elem.appendValue(dst, e); err != nil {
				return dst, within("["+strconv.Itoa(k)+"]", err)
			}
		}
		return append(dst, 0), nil
	case avroOpMap, avroOpEntries:
		m := v.Map()
		if len(m.Keys) > 0 {
			dst = binary.AppendVarint(dst, int64(len(m.Keys)))
		}
		for k, key := range m.Keys {
			if dst, err = n.key.appendValue(dst, key); err != nil {
				return dst, within("[key]", err)
			}
			if dst, err = n.elem.appendValue(dst, m.Values[k]); err != nil {
				return dst, within("["+strconv.Quote(clip(key.Str()))+"]", err)
			}
		}
		return append(dst, 0), nil
	case avroOpRecord:
		for k := range n.fields {
			f := &n.fields[k]
			switch {
			case f.col < 0:
				dst = append(dst, f.initial...)
			case v.Elems()[f.col].IsNull():
				dst, err = f.appendNull(dst)
			default:
				dst, err = f.node.appendValue(dst, v.Elems()[f.col])
			}
			if err != nil {
				return dst, within("."+f.name, err)
			}
		}
		return dst, nil
	}
	return n.appendMember(dst, v.Elems())
}

// appendMember writes the one field that is not NULL as its branch of a union.
func (n *avroWriter) appendMember(dst []byte, fields []types.Value) ([]byte, error) {
	one := -1
	for k, v := range fields {
		if v.IsNull() {
			continue
		}
		if one >= 0 {
			return dst, errors.New("a union holds one value: more than one field is not NULL")
		}
		one = k
	}
	if one < 0 {
		return n.appendNull(dst)
	}
	return n.members[one].appendValue(dst, fields[one])
}

// appendDecimal writes a DECIMAL with the scale of the schema, exactly.
func (n *avroWriter) appendDecimal(dst []byte, d *apd.Decimal) ([]byte, error) {
	fit, err := fitDecimal(d, types.Decimal(int32(min(n.w.precision, math.MaxInt32)), int32(n.w.scale)))
	if err != nil {
		return dst, err
	}
	x := fit.Coeff.MathBigInt()
	if fit.Negative {
		x = new(big.Int).Neg(x)
	}
	return n.appendUnscaled(dst, bigTwosComplement(x))
}

// appendUnscaled writes the bytes of a decimal, with the sign before them in a
// fixed.
func (n *avroWriter) appendUnscaled(dst, b []byte) ([]byte, error) {
	if n.w.kind == avroBytes {
		return appendAvroBytes(dst, b), nil
	}
	if len(b) > n.w.size {
		return dst, fmt.Errorf("decimal takes %d bytes, %s has %d", len(b), n.w.label(), n.w.size)
	}
	sign := byte(int8(b[0]) >> 7)
	for range n.w.size - len(b) {
		dst = append(dst, sign)
	}
	return append(dst, b...), nil
}

// twosComplement returns the shortest big-endian form of x in buf, one byte at
// least.
func twosComplement(buf *[16]byte, x batch.Int128) []byte {
	binary.BigEndian.PutUint64(buf[:], uint64(x.Hi))
	binary.BigEndian.PutUint64(buf[8:], x.Lo)
	b := buf[:]
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	return b
}

// bigTwosComplement is twosComplement for any number: that of -x is the
// complement of x-1.
func bigTwosComplement(x *big.Int) []byte {
	if x.Sign() >= 0 {
		b := x.Bytes()
		if len(b) == 0 || b[0] >= 0x80 {
			b = append([]byte{0}, b...)
		}
		return b
	}
	b := new(big.Int).Not(x).Bytes()
	if len(b) == 0 || b[0] >= 0x80 {
		b = append([]byte{0}, b...)
	}
	for k := range b {
		b[k] = ^b[k]
	}
	return b
}
