package types

import (
	"math"

	"github.com/cockroachdb/apd/v3"
)

// Value is one datum. The zero Value is NULL. Scalars are held without an
// allocation; decimals and nested values by reference to data that is never
// changed after the Value was made.
type Value struct {
	kind Kind
	num  int64  // BOOLEAN 0/1, INTEGER, BIGINT, TIME ms, DATE days, TIMESTAMP ms, DOUBLE bits
	str  string // STRING, BYTES
	ref  any    // *apd.Decimal, []Value (ARRAY, STRUCT in field order), *MapValue
}

// MapValue is the content of a MAP in insertion order. Keys are unique.
type MapValue struct {
	Keys   []Value
	Values []Value
}

// NullValue is the NULL value.
var NullValue = Value{}

// NewBoolean returns a BOOLEAN.
func NewBoolean(b bool) Value {
	if b {
		return Value{kind: KindBoolean, num: 1}
	}
	return Value{kind: KindBoolean}
}

// NewInteger returns an INTEGER.
func NewInteger(i int32) Value { return Value{kind: KindInteger, num: int64(i)} }

// NewBigint returns a BIGINT.
func NewBigint(i int64) Value { return Value{kind: KindBigint, num: i} }

// NewDouble returns a DOUBLE.
func NewDouble(f float64) Value { return Value{kind: KindDouble, num: int64(math.Float64bits(f))} }

// NewDecimal returns a DECIMAL whose scale is -d.Exponent. d must not be
// changed afterwards.
func NewDecimal(d *apd.Decimal) Value { return Value{kind: KindDecimal, ref: d} }

// NewString returns a STRING.
func NewString(s string) Value { return Value{kind: KindString, str: s} }

// NewBytes returns BYTES holding a copy of b.
func NewBytes(b []byte) Value { return Value{kind: KindBytes, str: string(b)} }

// NewTime returns a TIME, in milliseconds of the day.
func NewTime(ms int32) Value { return Value{kind: KindTime, num: int64(ms)} }

// NewDate returns a DATE, in days since 1970-01-01.
func NewDate(days int32) Value { return Value{kind: KindDate, num: int64(days)} }

// NewTimestamp returns a TIMESTAMP, in milliseconds since the Unix epoch.
func NewTimestamp(ms int64) Value { return Value{kind: KindTimestamp, num: ms} }

// NewArray returns an ARRAY that owns elems.
func NewArray(elems []Value) Value { return Value{kind: KindArray, ref: elems} }

// NewStruct returns a STRUCT that owns fields, which are in the type's order.
func NewStruct(fields []Value) Value { return Value{kind: KindStruct, ref: fields} }

// NewMap returns a MAP that owns m.
func NewMap(m *MapValue) Value { return Value{kind: KindMap, ref: m} }

// Kind returns the value's kind, KindNull for NULL.
func (v Value) Kind() Kind { return v.kind }

// IsNull reports whether v is NULL.
func (v Value) IsNull() bool { return v.kind == KindNull }

// Bool returns a BOOLEAN's value.
func (v Value) Bool() bool { return v.num != 0 }

// Int returns the number of an INTEGER, BIGINT, TIME, DATE or TIMESTAMP.
func (v Value) Int() int64 { return v.num }

// Float returns a DOUBLE's value.
func (v Value) Float() float64 { return math.Float64frombits(uint64(v.num)) }

// Decimal returns a DECIMAL's value, which must not be changed.
func (v Value) Decimal() *apd.Decimal { return v.ref.(*apd.Decimal) }

// Str returns the text of a STRING or the bytes of a BYTES.
func (v Value) Str() string { return v.str }

// Elems returns the elements of an ARRAY or the fields of a STRUCT, which must
// not be changed.
func (v Value) Elems() []Value {
	if v.ref == nil {
		return nil
	}
	return v.ref.([]Value)
}

// Map returns the content of a MAP, which must not be changed.
func (v Value) Map() *MapValue { return v.ref.(*MapValue) }
