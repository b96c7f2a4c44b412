package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

var errAvroText = errors.New("string is not valid UTF-8")

// value reads a value, its branch first when it is nullable.
func (r *avroReader) value(n *avroNode, depth int) (types.Value, error) {
	if n.some >= 0 {
		k, err := r.index(2, "branch")
		if err != nil || k == n.null {
			return types.NullValue, err
		}
	}
	return r.bare(n, depth)
}

// bare reads a value behind its branch, if it has one.
func (r *avroReader) bare(n *avroNode, depth int) (types.Value, error) {
	if r.values--; r.values < 0 {
		return types.NullValue, errAvroMany
	}
	if depth > MaxNesting {
		return types.NullValue, errAvroDeep
	}
	switch n.op {
	case avroOpArray:
		return r.array(n, depth)
	case avroOpMap, avroOpEntries:
		return r.mapping(n, depth)
	case avroOpRecord:
		return r.record(n, depth)
	case avroOpUnion, avroOpMember:
		return r.union(n, depth)
	case avroOpMismatch:
		return types.NullValue, n.err
	}
	return r.scalar(n)
}

func (r *avroReader) scalar(n *avroNode) (types.Value, error) {
	switch n.op {
	case avroOpBoolean:
		x, err := r.boolean()
		return types.NewBoolean(x), err
	case avroOpInt:
		x, err := r.int()
		return intValue(x, n.t.Kind), err
	case avroOpLong:
		x, err := r.long()
		return intValue(x, n.t.Kind), err
	case avroOpScaled:
		x, err := r.long()
		return intValue(floorDiv(x, n.divisor), n.t.Kind), err
	case avroOpFloat, avroOpDouble, avroOpNumber:
		x, err := r.double(n.w.kind)
		return types.NewDouble(x), err
	case avroOpString:
		b, err := r.bytes()
		if err == nil && !utf8.Valid(b) {
			err = errAvroText
		}
		return types.NewString(string(b)), err
	case avroOpBytes:
		b, err := r.bytes()
		return types.NewBytes(b), err
	case avroOpFixed:
		b, err := r.take(n.w.size)
		return types.NewBytes(b), err
	case avroOpText:
		var buf [32]byte
		b, err := r.text(buf[:0], n.w)
		return types.NewString(string(b)), err
	case avroOpDecimal:
		b, err := r.unscaled(n.w)
		if err != nil {
			return types.NullValue, err
		}
		d, err := bigDecimal(b, n.w.scale, n.t)
		return types.NewDecimal(d), err
	}
	return types.NullValue, n.err
}

// floorDiv divides by a positive number, rounding down.
func floorDiv(x, by int64) int64 {
	q := x / by
	if x%by < 0 {
		q--
	}
	return q
}

// double reads any number as a DOUBLE.
func (r *avroReader) double(kind avroKind) (float64, error) {
	switch kind {
	case avroInt:
		x, err := r.int()
		return float64(x), err
	case avroLong:
		x, err := r.long()
		return float64(x), err
	case avroFloat:
		b, err := r.take(4)
		if err != nil {
			return 0, err
		}
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b))), nil
	}
	b, err := r.take(8)
	if err != nil {
		return 0, err
	}
	return math.Float64frombits(binary.LittleEndian.Uint64(b)), nil
}

// text appends a scalar as its text, as Java's String.valueOf does.
func (r *avroReader) text(dst []byte, w *avroType) ([]byte, error) {
	switch w.kind {
	case avroBoolean:
		x, err := r.boolean()
		return strconv.AppendBool(dst, x), err
	case avroInt:
		x, err := r.int()
		return strconv.AppendInt(dst, x, 10), err
	case avroLong:
		x, err := r.long()
		return strconv.AppendInt(dst, x, 10), err
	case avroFloat:
		x, err := r.double(avroFloat)
		if err != nil {
			return dst, err
		}
		// The shortest digits that tell the float from its neighbours, read as a
		// double, print as those digits.
		if !math.IsNaN(x) && !math.IsInf(x, 0) {
			if x, err = strconv.ParseFloat(strconv.FormatFloat(x, 'g', -1, 32), 64); err != nil {
				return dst, err
			}
		}
		return types.AppendDouble(dst, x), nil
	case avroDouble:
		x, err := r.double(avroDouble)
		return types.AppendDouble(dst, x), err
	}
	k, err := r.index(len(w.symbols), "symbol")
	if err != nil {
		return dst, err
	}
	return append(dst, w.symbols[k]...), nil
}

// unscaled reads the bytes of a decimal: big-endian two's complement.
func (r *avroReader) unscaled(w *avroType) ([]byte, error) {
	if w.kind == avroFixed {
		return r.take(w.size)
	}
	return r.bytes()
}

// maxDecimalBytes is the most bytes of an unscaled value, sign extension not
// counted: twice what the widest DECIMAL needs, as scales may differ.
const maxDecimalBytes = 64

// smallDecimal returns an unscaled value of up to 16 bytes; empty is zero.
func smallDecimal(b []byte) (batch.Int128, bool) {
	if len(b) > 16 {
		return batch.Int128{}, false
	}
	if len(b) == 0 {
		return batch.Int128{}, true
	}
	sign := int64(int8(b[0])) >> 7
	hi, lo := sign, uint64(sign)
	for _, c := range b {
		hi, lo = hi<<8|int64(lo>>56), lo<<8|uint64(c)
	}
	return batch.Int128{Hi: hi, Lo: lo}, true
}

// bigDecimal returns an unscaled value of a scale as a DECIMAL of type t.
func bigDecimal(b []byte, scale int, t types.Type) (*apd.Decimal, error) {
	for len(b) > 1 && (b[0] == 0 && b[1] < 0x80 || b[0] == 0xff && b[1] >= 0x80) {
		b = b[1:]
	}
	if len(b) > maxDecimalBytes {
		return nil, fmt.Errorf("decimal has too many digits for %s", t)
	}
	x := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		x.Sub(x, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	d := &apd.Decimal{Negative: x.Sign() < 0, Exponent: int32(-scale)}
	d.Coeff.SetMathBigInt(x.Abs(x))
	return fitDecimal(d, t)
}

func (r *avroReader) array(n *avroNode, depth int) (types.Value, error) {
	elems := []types.Value{}
	err := r.blocks(n.leastItem(), func() error {
		v, err := r.value(n.elem, depth+1)
		if err != nil {
			return within("["+strconv.Itoa(len(elems))+"]", err)
		}
		elems = append(elems, v)
		return nil
	})
	return types.NewArray(elems), err
}

// leastItem is the fewest bytes that an item of an array or map takes.
func (n *avroNode) leastItem() int {
	if n.w.kind == avroMap {
		return 1 + n.w.items.least()
	}
	return n.w.items.least()
}

// mapping reads a MAP. Of equal keys the last one wins.
func (r *avroReader) mapping(n *avroNode, depth int) (types.Value, error) {
	m := new(types.MapValue)
	at := make(map[string]int)
	null := -1
	err := r.blocks(n.leastItem(), func() error {
		if n.op == avroOpEntries && depth+1 > MaxNesting {
			return errAvroDeep
		}
		key, err := r.value(n.key, depth+1)
		if err != nil {
			return within("[key]", err)
		}
		v, err := r.value(n.elem, depth+1)
		if err != nil {
			return within("["+strconv.Quote(clip(key.Str()))+"]", err)
		}
		k, ok := at[key.Str()]
		if key.IsNull() {
			k, ok = null, null >= 0
		}
		if ok {
			m.Values[k] = v
			return nil
		}
		if key.IsNull() {
			null = len(m.Keys)
		} else {
			at[key.Str()] = len(m.Keys)
		}
		m.Keys, m.Values = append(m.Keys, key), append(m.Values, v)
		return nil
	})
	return types.NewMap(m), err
}

func (r *avroReader) record(n *avroNode, depth int) (types.Value, error) {
	if r.values -= len(n.t.Fields); r.values < 0 {
		return types.NullValue, errAvroMany
	}
	fields := make([]types.Value, len(n.t.Fields))
	for k := range n.steps {
		s := &n.steps[k]
		var err error
		if s.col < 0 {
			err = r.unwanted(s, depth+1)
		} else {
			fields[s.col], err = r.value(s.node, depth+1)
		}
		if err != nil {
			return types.NullValue, within("."+s.name, err)
		}
	}
	return types.NewStruct(fields), nil
}

// unwanted skips a field.
func (r *avroReader) unwanted(s *avroStep, depth int) error {
	if s.nullable {
		k, err := r.index(2, "branch")
		if err != nil || k == int(s.null>>1) {
			return err
		}
	}
	return r.skip(s.skip, depth)
}

// union reads a value by the branch that it is of. As a STRUCT of the branches it
// has that one field; a branch without a field leaves all of them NULL.
func (r *avroReader) union(n *avroNode, depth int) (types.Value, error) {
	k, err := r.index(len(n.branches), "branch")
	if err != nil || n.branches[k] == nil {
		return types.NullValue, err
	}
	if n.op == avroOpUnion {
		return r.value(n.branches[k], depth+1)
	}
	if r.values -= len(n.t.Fields); r.values < 0 {
		return types.NullValue, errAvroMany
	}
	fields := make([]types.Value, len(n.t.Fields))
	if col := n.members[k]; col >= 0 {
		fields[col], err = r.value(n.branches[k], depth+1)
	} else {
		err = r.skip(n.w.branches[k], depth+1)
	}
	return types.NewStruct(fields), err
}
