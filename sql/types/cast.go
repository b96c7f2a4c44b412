package types

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// CanCast reports whether CAST from one type to another exists, whatever the
// value.
func CanCast(from, to Type) bool {
	switch {
	case from.Kind == KindNull || from.Equal(to):
		return true
	case from.Kind == to.Kind:
		return canCastNested(from, to)
	case to.Kind == KindString:
		return from.Kind != KindBytes
	}
	switch from.Kind {
	case KindString:
		return to.Kind >= KindBoolean && to.Kind <= KindTimestamp
	case KindInteger:
		return to.Kind.Numeric()
	case KindBigint, KindDecimal, KindDouble:
		return to.Kind.Numeric()
	case KindDate:
		return to.Kind == KindTimestamp
	case KindTimestamp:
		return to.Kind == KindDate || to.Kind == KindTime
	}
	return false
}

func canCastNested(from, to Type) bool {
	switch from.Kind {
	case KindArray:
		return CanCast(*from.Elem, *to.Elem)
	case KindMap:
		return CanCast(*from.Key, *to.Key) && CanCast(*from.Elem, *to.Elem)
	case KindStruct:
		for _, f := range to.Fields {
			if i := from.Field(f.Name); i >= 0 && !CanCast(from.Fields[i].Type, f.Type) {
				return false
			}
		}
	}
	return true
}

// Cast converts v of type from to type to by the rules of CAST: BIGINT wraps to
// INTEGER, DOUBLE saturates, DECIMALs round half up and overflow with
// ErrDecimalOverflow, text is trimmed and must be a value of the type. NULL
// stays NULL. A pair that CanCast rejects is an error.
func Cast(v Value, from, to Type) (Value, error) {
	if v.IsNull() {
		return NullValue, nil
	}
	switch to.Kind {
	case KindBoolean, KindBytes, KindTime, KindDate, KindTimestamp:
		return castSimple(v, from, to)
	case KindInteger:
		n, err := castInt(v, from, to, 32)
		return NewInteger(int32(n)), err
	case KindBigint:
		n, err := castInt(v, from, to, 64)
		return NewBigint(n), err
	case KindDouble:
		f, err := castDouble(v, from, to)
		return NewDouble(f), err
	case KindDecimal:
		return castDecimal(v, from, to)
	case KindString:
		return castString(v, from)
	}
	return castNested(v, from, to)
}

func noCast(from, to Type) error {
	return fmt.Errorf("cast of %s to %s is not supported", from, to)
}

func castSimple(v Value, from, to Type) (Value, error) {
	if v.kind == to.Kind {
		return v, nil
	}
	switch {
	case v.kind == KindString && to.Kind == KindBoolean:
		return NewBoolean(ParseBoolean(v.str)), nil
	case v.kind == KindString && to.Kind == KindBytes:
		b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(v.str))
		if err != nil {
			return NullValue, fmt.Errorf("text is not base64: %w", err)
		}
		return Value{kind: KindBytes, str: string(b)}, nil
	case v.kind == KindString:
		return ParseDatetime(strings.TrimSpace(v.str), to.Kind)
	case v.kind == KindDate && to.Kind == KindTimestamp:
		return NewTimestamp(v.num * msPerDay), nil
	case v.kind == KindTimestamp && to.Kind == KindDate:
		return NewDate(int32(floorDiv(v.num, msPerDay))), nil
	case v.kind == KindTimestamp && to.Kind == KindTime:
		return NewTime(int32(v.num - floorDiv(v.num, msPerDay)*msPerDay)), nil
	}
	return NullValue, noCast(from, to)
}

// ParseBoolean reads text as CAST does: TRUE for a prefix of true or yes, in any
// case, FALSE for anything else.
func ParseBoolean(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	return s != "" && (strings.HasPrefix("true", s) || strings.HasPrefix("yes", s))
}

// ParseDatetime reads ISO text as a TIME, DATE or TIMESTAMP.
func ParseDatetime(s string, kind Kind) (Value, error) {
	var n int64
	var err error
	switch kind {
	case KindTime:
		n, err = ParseTime(s)
	case KindDate:
		n, err = ParseDate(s)
	default:
		n, err = ParseTimestamp(s)
	}
	if err != nil {
		return NullValue, err
	}
	return Value{kind: kind, num: n}, nil
}

func castInt(v Value, from, to Type, bits int) (int64, error) {
	switch v.kind {
	case KindInteger, KindBigint:
		return v.num, nil
	case KindDouble:
		return saturate(v.Float(), bits), nil
	case KindDecimal:
		return truncateDecimal(v.Decimal()), nil
	case KindString:
		s := strings.TrimSpace(v.str)
		n, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			return 0, fmt.Errorf("%q is not a value of %s", s, to)
		}
		return n, nil
	}
	return 0, noCast(from, to)
}

// saturate converts a DOUBLE to an integer towards zero; NaN becomes 0.
func saturate(f float64, bits int) int64 {
	limit := math.Ldexp(1, bits-1)
	switch {
	case f != f:
		return 0
	case f >= limit:
		return 1<<(bits-1) - 1
	case f <= -limit:
		return -1 << (bits - 1)
	}
	return int64(f)
}

// truncateDecimal drops the fraction and keeps the low 64 bits of the rest.
func truncateDecimal(d *apd.Decimal) int64 {
	coeff := d.Coeff.MathBigInt()
	if d.Exponent < 0 {
		var scaled, whole apd.Decimal
		scaled.Set(d)
		ctx := exact
		ctx.Rounding = apd.RoundDown
		if _, err := ctx.Quantize(&whole, &scaled, 0); err != nil {
			return 0
		}
		coeff = whole.Coeff.MathBigInt()
	}
	n := int64(0)
	for i, w := range coeff.Bits() {
		if i*strconv.IntSize >= 64 {
			break
		}
		n |= int64(uint64(w) << (i * strconv.IntSize))
	}
	if d.Negative {
		n = -n
	}
	return n
}

func castDouble(v Value, from, to Type) (float64, error) {
	switch {
	case v.kind.Numeric():
		return toFloat(v), nil
	case v.kind == KindString:
		s := strings.TrimSpace(v.str)
		f, err := strconv.ParseFloat(s, 64)
		if !plainNumber(s) || err != nil && !math.IsInf(f, 0) {
			return 0, fmt.Errorf("%q is not a value of %s", s, to)
		}
		if math.IsInf(f, 0) {
			return 0, fmt.Errorf("%q is out of the range of %s", s, to)
		}
		return f, nil
	}
	return 0, noCast(from, to)
}

// plainNumber keeps hexadecimal numbers, NaN and infinities out.
func plainNumber(s string) bool {
	return s != "" && strings.Trim(s, "0123456789+-.eE") == "" && strings.IndexFunc(s, func(r rune) bool {
		return !strings.ContainsRune("0123456789+-.eE", r)
	}) < 0
}

func castDecimal(v Value, from, to Type) (Value, error) {
	var d *apd.Decimal
	switch v.kind {
	case KindInteger, KindBigint, KindDecimal:
		d = toDecimal(v)
	case KindDouble:
		var err error
		if d, err = doubleDecimal(v.Float()); err != nil {
			return NullValue, err
		}
	case KindString:
		var err error
		if d, err = ParseDecimal(strings.TrimSpace(v.str)); err != nil {
			return NullValue, err
		}
	default:
		return NullValue, noCast(from, to)
	}
	out, err := RescaleDecimal(d, to)
	if err != nil {
		return NullValue, fmt.Errorf("%s: %w", to, err)
	}
	return NewDecimal(out), nil
}

// doubleDecimal returns the decimal that a DOUBLE prints as.
func doubleDecimal(f float64) (*apd.Decimal, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return nil, fmt.Errorf("%s has no DECIMAL form", FormatDouble(f))
	}
	var buf [32]byte
	d, _, err := apd.NewFromString(string(strconv.AppendFloat(buf[:0], f, 'e', -1, 64)))
	return d, err
}

// maxNumberText bounds the text that is read as a DECIMAL.
const maxNumberText = 1024

// ParseDecimal reads a number with or without an exponent.
func ParseDecimal(s string) (*apd.Decimal, error) {
	if len(s) > maxNumberText || !plainNumber(s) {
		return nil, fmt.Errorf("%.40q is not a number", s)
	}
	d, _, err := apd.NewFromString(s)
	if err != nil {
		return nil, fmt.Errorf("%.40q is not a number", s)
	}
	return d, nil
}

func castString(v Value, from Type) (Value, error) {
	switch v.kind {
	case KindString:
		return v, nil
	case KindBytes:
		return NullValue, noCast(from, String)
	case KindArray, KindMap, KindStruct:
		return NewString(string(appendCast(nil, v, from))), nil
	}
	return NewString(FormatText(v, from)), nil
}

// appendCast appends a nested value as CAST to STRING gives it: [1, 2], {k=v},
// Struct{A=1,B=2}, the latter without its NULL fields.
func appendCast(b []byte, v Value, t Type) []byte {
	switch v.kind {
	case KindArray:
		b = append(b, '[')
		for i, e := range v.Elems() {
			b = appendCast(separate(b, i), e, *t.Elem)
		}
		return append(b, ']')
	case KindMap:
		b = append(b, '{')
		for i, k := range v.Map().Keys {
			b = appendCast(separate(b, i), k, *t.Key)
			b = appendCast(append(b, '='), v.Map().Values[i], *t.Elem)
		}
		return append(b, '}')
	case KindStruct:
		b = append(b, "Struct{"...)
		n := 0
		for i, f := range v.Elems() {
			if f.IsNull() {
				continue
			}
			if n++; n > 1 {
				b = append(b, ',')
			}
			b = append(append(b, t.Fields[i].Name...), '=')
			b = appendCast(b, f, t.Fields[i].Type)
		}
		return append(b, '}')
	}
	return AppendText(b, v, &t)
}

func castNested(v Value, from, to Type) (Value, error) {
	if v.kind != to.Kind {
		return NullValue, noCast(from, to)
	}
	switch v.kind {
	case KindArray:
		elems, err := castAll(v.Elems(), *from.Elem, *to.Elem)
		return NewArray(elems), err
	case KindMap:
		keys, err := castAll(v.Map().Keys, *from.Key, *to.Key)
		if err != nil {
			return NullValue, err
		}
		values, err := castAll(v.Map().Values, *from.Elem, *to.Elem)
		return NewMap(&MapValue{Keys: keys, Values: values}), err
	case KindStruct:
		fields := make([]Value, len(to.Fields))
		for i, f := range to.Fields {
			j := from.Field(f.Name)
			if j < 0 {
				continue
			}
			var err error
			if fields[i], err = Cast(v.Elems()[j], from.Fields[j].Type, f.Type); err != nil {
				return NullValue, err
			}
		}
		return NewStruct(fields), nil
	}
	return NullValue, noCast(from, to)
}

func castAll(list []Value, from, to Type) ([]Value, error) {
	if from.Equal(to) {
		return list, nil
	}
	out := make([]Value, len(list))
	for i, v := range list {
		var err error
		if out[i], err = Cast(v, from, to); err != nil {
			return nil, err
		}
	}
	return out, nil
}
