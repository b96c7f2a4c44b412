package batch

import (
	"bytes"
	"unsafe"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/sql/types"
)

// Rep is how a vector represents its values.
type Rep uint8

// The representations.
const (
	RepInt64 Rep = iota
	RepFloat64
	RepBool
	RepDecimal
	RepBytes
	RepBoxed
	reps
)

// RepOf returns the representation of a type.
func RepOf(t types.Type) Rep {
	switch t.Kind {
	case types.KindInteger, types.KindBigint, types.KindTime, types.KindDate, types.KindTimestamp:
		return RepInt64
	case types.KindDouble:
		return RepFloat64
	case types.KindBoolean:
		return RepBool
	case types.KindString, types.KindBytes:
		return RepBytes
	case types.KindDecimal:
		if t.Precision <= MaxInt128Digits {
			return RepDecimal
		}
	}
	return RepBoxed
}

// View is a piece of a vector's Data, or of its arena when Len has the arena bit.
type View struct {
	Off uint32
	Len uint32
}

const arenaBit = 1 << 31

// Vector is one column.
type Vector struct {
	Type types.Type
	Rep  Rep
	// Valid has a bit set per value that is not NULL; nil when none is NULL.
	Valid Bitmap

	I64   []int64
	F64   []float64
	Bits  Bitmap
	Dec   []Int128
	Str   []View
	Boxed []types.Value

	// Data is what views without the arena bit look into: fetched bytes that
	// the batch's owner keeps alive.
	Data []byte
	// Clean says that no string needs an escape in JSON.
	Clean bool

	arena    []byte
	validBuf Bitmap
	n        int
}

// NewVector returns a vector of n valid but unset values.
func NewVector(t types.Type, n int) *Vector {
	v := new(Vector)
	v.Reset(t, n)
	return v
}

// Reset makes the vector one of n values of type t, all valid. Values are
// unset, bits of a BOOLEAN are false. Memory is kept.
func (v *Vector) Reset(t types.Type, n int) {
	v.Type, v.Rep, v.n = t, RepOf(t), n
	v.Valid, v.Data, v.Clean, v.arena = nil, nil, false, v.arena[:0]
	switch v.Rep {
	case RepInt64:
		v.I64 = sized(v.I64, n)
	case RepFloat64:
		v.F64 = sized(v.F64, n)
	case RepBool:
		v.Bits = grow(v.Bits, n, false)
	case RepDecimal:
		v.Dec = sized(v.Dec, n)
	case RepBytes:
		v.Str = sized(v.Str, n)
	case RepBoxed:
		v.Boxed = sized(v.Boxed, n)
		clear(v.Boxed)
	}
}

// sized returns a slice of length n that reuses s's memory when it is enough.
func sized[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	c := 16
	for c < n {
		c *= 2
	}
	return make([]T, n, c)
}

// Len returns the number of values.
func (v *Vector) Len() int { return v.n }

// Extend grows the vector to n values; new ones are valid and unset.
func (v *Vector) Extend(n int) {
	if n <= v.n {
		return
	}
	switch v.Rep {
	case RepInt64:
		v.I64 = extended(v.I64, n)
	case RepFloat64:
		v.F64 = extended(v.F64, n)
	case RepBool:
		v.Bits = resize(v.Bits, n, false)
	case RepDecimal:
		v.Dec = extended(v.Dec, n)
	case RepBytes:
		v.Str = extended(v.Str, n)
	case RepBoxed:
		v.Boxed = extended(v.Boxed, n)
	}
	if v.Valid != nil {
		v.Valid = resize(v.Valid, n, true)
		v.validBuf = v.Valid
	}
	v.n = n
}

// extended keeps s's values, unlike sized.
func extended[T any](s []T, n int) []T {
	if cap(s) < n {
		grown := make([]T, n, max(16, 2*n))
		copy(grown, s)
		return grown
	}
	return s[:n]
}

// IsNull reports whether value i is NULL.
func (v *Vector) IsNull(i int32) bool {
	return v.Valid != nil && v.Valid[uint32(i)>>6]>>(uint32(i)&63)&1 == 0
}

// SetNull makes value i NULL.
func (v *Vector) SetNull(i int32) {
	v.needValid()
	v.Valid.Clear(i)
}

// SetValid makes value i not NULL.
func (v *Vector) SetValid(i int32) {
	if v.Valid != nil {
		v.Valid.Set(i)
	}
}

func (v *Vector) needValid() {
	if v.Valid == nil {
		v.validBuf = grow(v.validBuf, max(v.n, 1), true)
		v.Valid = v.validBuf
	}
}

// SetAllNull makes every value NULL.
func (v *Vector) SetAllNull() {
	v.validBuf = grow(v.validBuf, max(v.n, 1), false)
	v.Valid = v.validBuf
}

// AndValid makes v NULL wherever one of the others is.
func (v *Vector) AndValid(others ...*Vector) {
	for _, o := range others {
		if o.Valid == nil {
			continue
		}
		v.needValid()
		for w := range v.Valid {
			if w < len(o.Valid) {
				v.Valid[w] &= o.Valid[w]
			}
		}
	}
}

// Bytes returns the bytes of STRING or BYTES value i, a view.
func (v *Vector) Bytes(i int32) []byte {
	s := v.Str[i]
	if s.Len&arenaBit != 0 {
		n := s.Len &^ arenaBit
		return v.arena[s.Off : s.Off+n : s.Off+n]
	}
	return v.Data[s.Off : s.Off+s.Len : s.Off+s.Len]
}

// SetBytes copies b into the vector's arena as value i.
func (v *Vector) SetBytes(i int32, b []byte) {
	v.Str[i] = View{uint32(len(v.arena)), uint32(len(b)) | arenaBit}
	v.arena = append(v.arena, b...)
}

// SetString is SetBytes for a string.
func (v *Vector) SetString(i int32, s string) {
	v.Str[i] = View{uint32(len(v.arena)), uint32(len(s)) | arenaBit}
	v.arena = append(v.arena, s...)
}

// Arena returns the arena to append to; SetArena takes it back with the bytes
// behind mark as value i.
func (v *Vector) Arena() []byte { return v.arena }

// SetArena takes the arena back after bytes of value i were appended behind mark.
func (v *Vector) SetArena(i int32, mark int, arena []byte) {
	v.arena = arena
	v.Str[i] = View{uint32(mark), uint32(len(arena)-mark) | arenaBit}
}

// Value returns value i, which owns its bytes.
func (v *Vector) Value(i int32) types.Value {
	if v.Rep == RepBytes && !v.IsNull(i) {
		if v.Type.Kind == types.KindString {
			return types.NewString(string(v.Bytes(i)))
		}
		return types.NewBytes(v.Bytes(i))
	}
	return v.View(i)
}

// View returns value i; a STRING or BYTES looks into the vector's bytes and
// dies with them.
func (v *Vector) View(i int32) types.Value {
	if v.IsNull(i) {
		return types.NullValue
	}
	switch v.Rep {
	case RepInt64:
		n := v.I64[i]
		switch v.Type.Kind {
		case types.KindInteger:
			return types.NewInteger(int32(n))
		case types.KindTime:
			return types.NewTime(int32(n))
		case types.KindDate:
			return types.NewDate(int32(n))
		case types.KindTimestamp:
			return types.NewTimestamp(n)
		}
		return types.NewBigint(n)
	case RepFloat64:
		return types.NewDouble(v.F64[i])
	case RepBool:
		return types.NewBoolean(v.Bits.Get(i))
	case RepDecimal:
		return types.NewDecimal(v.Dec[i].Apd(v.Type.Scale))
	case RepBytes:
		b := v.Bytes(i)
		if v.Type.Kind == types.KindString {
			return types.NewString(unsafe.String(unsafe.SliceData(b), len(b)))
		}
		return types.NewBytes(b)
	}
	return v.Boxed[i]
}

// Set sets value i, which must be of the vector's type or NULL. A DECIMAL whose
// scale differs is an error of the caller and is rescaled exactly or set to
// NULL; ok tells.
func (v *Vector) Set(i int32, x types.Value) (ok bool) {
	if x.IsNull() {
		v.SetNull(i)
		return true
	}
	v.SetValid(i)
	switch v.Rep {
	case RepInt64:
		v.I64[i] = x.Int()
	case RepFloat64:
		v.F64[i] = x.Float()
	case RepBool:
		v.Bits.Put(i, x.Bool())
	case RepDecimal:
		d, ok := FromApd(x.Decimal(), v.Type.Scale)
		if !ok {
			v.SetNull(i)
			return false
		}
		v.Dec[i] = d
	case RepBytes:
		v.SetString(i, x.Str())
	case RepBoxed:
		v.Boxed[i] = x
	}
	return true
}

// Copy sets value i to value j of o, a vector of the same type, copying bytes.
func (v *Vector) Copy(i int32, o *Vector, j int32) {
	if o.IsNull(j) {
		v.SetNull(i)
		return
	}
	v.SetValid(i)
	switch v.Rep {
	case RepInt64:
		v.I64[i] = o.I64[j]
	case RepFloat64:
		v.F64[i] = o.F64[j]
	case RepBool:
		v.Bits.Put(i, o.Bits.Get(j))
	case RepDecimal:
		v.Dec[i] = o.Dec[j]
	case RepBytes:
		v.SetBytes(i, o.Bytes(j))
	case RepBoxed:
		v.Boxed[i] = o.Boxed[j]
	}
}

// CompareText compares value i of v with value j of o, both STRING or both
// BYTES, in the order of types.Compare.
func (v *Vector) CompareText(i int32, o *Vector, j int32) int {
	a, b := v.Bytes(i), o.Bytes(j)
	if v.Type.Kind == types.KindBytes {
		return bytes.Compare(a, b)
	}
	return types.CompareStrings(unsafe.String(unsafe.SliceData(a), len(a)), unsafe.String(unsafe.SliceData(b), len(b)))
}

// Apd returns the decimal a * 10^-scale.
func (a Int128) Apd(scale int32) *apd.Decimal {
	d := new(apd.Decimal)
	if n, ok := a.Int64(); ok {
		d.SetFinite(n, -scale)
		return d
	}
	coeff := a.Big()
	d.Negative = coeff.Sign() < 0
	d.Coeff.SetMathBigInt(coeff.Abs(coeff))
	d.Exponent = -scale
	return d
}

// FromApd returns the unscaled value of d at a scale and whether it is exact
// and fits.
func FromApd(d *apd.Decimal, scale int32) (Int128, bool) {
	if d.Form != apd.Finite {
		return Int128{}, false
	}
	var a Int128
	if d.Coeff.IsInt64() {
		a = FromInt64(d.Coeff.Int64())
	} else {
		var ok bool
		if a, ok = FromBig(d.Coeff.MathBigInt()); !ok {
			return a, false
		}
	}
	if d.Negative {
		a = a.Negate()
	}
	shift := int(d.Exponent) + int(scale)
	if a.IsZero() || shift < -MaxInt128Digits {
		return Int128{}, a.IsZero()
	}
	if shift >= 0 {
		return a.Scale10(shift)
	}
	for shift < 0 {
		n := min(-shift, 18)
		q, rem := a.QuoRem10(n)
		if rem != 0 {
			return a, false
		}
		a, shift = q, shift+n
	}
	return a, true
}
