package types

import (
	"cmp"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// Compare orders two values that are not NULL: -1, 0 or 1. Numbers compare by
// value across kinds and scales, DATE with TIMESTAMP at midnight; otherwise the
// kinds must be equal. FALSE is before TRUE, NaN after all other numbers, STRING
// in UTF-16 code unit order, BYTES by unsigned byte. ARRAY and STRUCT compare
// element by element with NULL first; MAP has no order and must not be given.
func Compare(a, b Value) int {
	if a.kind != b.kind {
		return compareMixed(a, b)
	}
	switch a.kind {
	case KindDouble:
		return compareFloats(a.Float(), b.Float())
	case KindDecimal:
		return a.Decimal().Cmp(b.Decimal())
	case KindString:
		return CompareStrings(a.str, b.str)
	case KindBytes:
		return strings.Compare(a.str, b.str)
	case KindArray, KindStruct:
		return compareElems(a.Elems(), b.Elems())
	case KindMap:
		panic("types: MAP values have no order")
	}
	return cmp.Compare(a.num, b.num)
}

// compareFloats orders NaN last and equal to itself.
func compareFloats(a, b float64) int {
	switch aNaN, bNaN := a != a, b != b; {
	case aNaN && bNaN:
		return 0
	case aNaN:
		return 1
	case bNaN:
		return -1
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func compareElems(a, b []Value) int {
	for i := 0; i < len(a) && i < len(b); i++ {
		switch {
		case a[i].IsNull() && b[i].IsNull():
		case a[i].IsNull():
			return -1
		case b[i].IsNull():
			return 1
		default:
			if c := Compare(a[i], b[i]); c != 0 {
				return c
			}
		}
	}
	return cmp.Compare(len(a), len(b))
}

func compareMixed(a, b Value) int {
	switch {
	case a.kind.Numeric() && b.kind.Numeric():
		return compareNumbers(a, b)
	case a.kind == KindDate && b.kind == KindTimestamp:
		return cmp.Compare(a.num*msPerDay, b.num)
	case a.kind == KindTimestamp && b.kind == KindDate:
		return cmp.Compare(a.num, b.num*msPerDay)
	}
	panic("types: " + a.kind.String() + " is not comparable with " + b.kind.String())
}

func compareNumbers(a, b Value) int {
	switch {
	case a.kind == KindDouble || b.kind == KindDouble:
		return compareFloats(toFloat(a), toFloat(b))
	case a.kind == KindDecimal || b.kind == KindDecimal:
		return toDecimal(a).Cmp(toDecimal(b))
	}
	return cmp.Compare(a.num, b.num)
}

// toFloat returns a number as a DOUBLE.
func toFloat(v Value) float64 {
	switch v.kind {
	case KindDouble:
		return v.Float()
	case KindDecimal:
		return decimalFloat(v.Decimal())
	}
	return float64(v.num)
}

// toDecimal returns an INTEGER, BIGINT or DECIMAL as a decimal.
func toDecimal(v Value) *apd.Decimal {
	if v.kind == KindDecimal {
		return v.Decimal()
	}
	return apd.New(v.num, 0)
}

// CompareStrings orders strings by UTF-16 code units, as KSQL does. It differs
// from byte order only between characters beyond U+FFFF and those from U+E000
// to U+FFFF: the former come first.
func CompareStrings(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		x, y := a[i], b[i]
		if x == y {
			continue
		}
		if x >= 0xEE && y >= 0xEE && (x >= 0xF0) != (y >= 0xF0) {
			x, y = y, x
		}
		return cmp.Compare(x, y)
	}
	return cmp.Compare(len(a), len(b))
}

// Equal reports whether two values are the same. NULL equals NULL, numbers of
// different kinds or scales are equal by value, MAPs are equal in any order.
func Equal(a, b Value) bool {
	if a.IsNull() || b.IsNull() {
		return a.IsNull() && b.IsNull()
	}
	if a.kind != b.kind {
		if a.kind.Numeric() && b.kind.Numeric() {
			return compareNumbers(a, b) == 0
		}
		return a.kind == KindDate && b.kind == KindTimestamp && Compare(a, b) == 0 ||
			a.kind == KindTimestamp && b.kind == KindDate && Compare(a, b) == 0
	}
	switch a.kind {
	case KindString, KindBytes:
		return a.str == b.str
	case KindArray, KindStruct:
		x, y := a.Elems(), b.Elems()
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !Equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case KindMap:
		return equalMaps(a.Map(), b.Map())
	}
	return Compare(a, b) == 0
}

func equalMaps(a, b *MapValue) bool {
	if len(a.Keys) != len(b.Keys) {
		return false
	}
	for i, k := range a.Keys {
		v, ok := b.Get(k)
		if !ok || !Equal(a.Values[i], v) {
			return false
		}
	}
	return true
}

// Get returns the value of a key.
func (m *MapValue) Get(key Value) (Value, bool) {
	for i, k := range m.Keys {
		if Equal(k, key) {
			return m.Values[i], true
		}
	}
	return NullValue, false
}
