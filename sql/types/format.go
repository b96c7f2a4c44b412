package types

import (
	"encoding/base64"
	"math"
	"strconv"
	"strings"
)

// String returns the value as results print it; see FormatText.
func (v Value) String() string { return string(AppendText(nil, v, nil)) }

// FormatText returns a value of type t as results print it: NULL as null, text
// as it is, BYTES in base64, dates and times in ISO form, DOUBLE always with a
// point (1.0, 1.0E10), [1, 2] for an ARRAY, {k=v} for a MAP and {NAME=v} for a
// STRUCT.
func FormatText(v Value, t Type) string { return string(AppendText(nil, v, &t)) }

// AppendText appends FormatText's result to b. Without a type a STRUCT prints
// its values alone.
func AppendText(b []byte, v Value, t *Type) []byte {
	switch v.kind {
	case KindNull:
		return append(b, "null"...)
	case KindBoolean:
		return strconv.AppendBool(b, v.Bool())
	case KindInteger, KindBigint:
		return strconv.AppendInt(b, v.num, 10)
	case KindDouble:
		return AppendDouble(b, v.Float())
	case KindDecimal:
		return v.Decimal().Append(b, 'f')
	case KindString:
		return append(b, v.str...)
	case KindBytes:
		return base64.StdEncoding.AppendEncode(b, []byte(v.str))
	case KindTime:
		return append(b, FormatTime(v.num)...)
	case KindDate:
		return appendDate(b, v.num)
	case KindTimestamp:
		return append(b, FormatTimestamp(v.num)...)
	}
	return appendNested(b, v, t)
}

func appendNested(b []byte, v Value, t *Type) []byte {
	var elem *Type
	if t != nil {
		elem = t.Elem
	}
	switch v.kind {
	case KindArray:
		b = append(b, '[')
		for i, e := range v.Elems() {
			b = AppendText(separate(b, i), e, elem)
		}
		return append(b, ']')
	case KindMap:
		m := v.Map()
		b = append(b, '{')
		for i, k := range m.Keys {
			b = AppendText(separate(b, i), k, nil)
			b = AppendText(append(b, '='), m.Values[i], elem)
		}
		return append(b, '}')
	}
	b = append(b, '{')
	for i, f := range v.Elems() {
		b = separate(b, i)
		if t == nil || i >= len(t.Fields) {
			b = AppendText(b, f, nil)
			continue
		}
		b = append(append(b, t.Fields[i].Name...), '=')
		b = AppendText(b, f, &t.Fields[i].Type)
	}
	return append(b, '}')
}

func separate(b []byte, i int) []byte {
	if i > 0 {
		b = append(b, ", "...)
	}
	return b
}

// FormatDouble returns the shortest text that reads back as f, in the form that
// KSQL prints: a point always (1.0), an exponent below 1e-3 and from 1e7 on
// (1.0E7), two digits at least (4.9E-324).
func FormatDouble(f float64) string { return string(AppendDouble(nil, f)) }

// AppendDouble appends FormatDouble's result to b.
func AppendDouble(b []byte, f float64) []byte {
	switch {
	case math.IsNaN(f):
		return append(b, "NaN"...)
	case math.IsInf(f, 1):
		return append(b, "Infinity"...)
	case math.IsInf(f, -1):
		return append(b, "-Infinity"...)
	}
	start := len(b)
	if a := math.Abs(f); a == 0 || a >= 1e-3 && a < 1e7 {
		b = strconv.AppendFloat(b, f, 'f', -1, 64)
		if !strings.Contains(string(b[start:]), ".") {
			b = append(b, ".0"...)
		}
		return b
	}
	var buf [32]byte
	e := strconv.AppendFloat(buf[:0], f, 'e', -1, 64)
	mantissa, exponent, _ := strings.Cut(string(e), "e")
	if !strings.Contains(mantissa, ".") {
		// Of the numbers with two digits the nearest is chosen, not x.0.
		mantissa, exponent, _ = strings.Cut(strconv.FormatFloat(f, 'e', 1, 64), "e")
	}
	n, err := strconv.Atoi(exponent)
	if err != nil {
		panic("types: exponent " + exponent + " of a formatted DOUBLE")
	}
	b = append(append(b, mantissa...), 'E')
	return strconv.AppendInt(b, int64(n), 10)
}
