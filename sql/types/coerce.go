package types

import (
	"fmt"
	"math"
	"strings"
)

// CanImplicitlyCast reports whether a value of type from may stand where to is
// due without a CAST: numbers widen (INTEGER, BIGINT, DECIMAL, DOUBLE in this
// order; a DECIMAL to one that holds all its values), STRING becomes TIME, DATE,
// TIMESTAMP (ISO text) or BYTES (base64), nested types part by part, STRUCT
// fields by name. NULL fits everything.
func CanImplicitlyCast(from, to Type) bool {
	switch {
	case from.Kind == KindNull || from.Equal(to):
		return true
	case from.Kind.Numeric() && to.Kind.Numeric():
		if from.Kind == KindDecimal && to.Kind == KindDecimal {
			return from.Scale <= to.Scale && from.Precision-from.Scale <= to.Precision-to.Scale
		}
		return numericRank(from.Kind) < numericRank(to.Kind)
	case from.Kind == KindString:
		return to.Kind >= KindBytes && to.Kind <= KindTimestamp
	case from.Kind != to.Kind:
		return false
	}
	switch from.Kind {
	case KindArray:
		return CanImplicitlyCast(*from.Elem, *to.Elem)
	case KindMap:
		return CanImplicitlyCast(*from.Key, *to.Key) && CanImplicitlyCast(*from.Elem, *to.Elem)
	case KindStruct:
		for _, f := range from.Fields {
			if i := to.Field(f.Name); i < 0 || !CanImplicitlyCast(f.Type, to.Fields[i].Type) {
				return false
			}
		}
		return true
	}
	return false
}

func numericRank(k Kind) int {
	switch k {
	case KindInteger:
		return 0
	case KindBigint:
		return 1
	case KindDecimal:
		return 2
	}
	return 3
}

// WidenNumeric returns the type that holds the values of two numeric types.
func WidenNumeric(a, b Type) Type {
	if numericRank(a.Kind) < numericRank(b.Kind) {
		a, b = b, a
	}
	if a.Kind == KindDecimal {
		return WidenDecimal(a, AsDecimal(b))
	}
	return a
}

// Typed is an expression as far as coercion is concerned. Literal is nil when it
// is not a constant.
type Typed struct {
	Type    Type
	Literal *Value
}

// CommonType returns the type that all expressions of a list can be coerced to,
// as in IN, ARRAY[], MAP(), CASE and COALESCE. It folds from left to right,
// starting at the first that is not NULL: numbers widen, a STRING literal joins
// numbers, BOOLEAN or dates when it reads as one, other literals join STRING,
// STRUCTs unite their fields. All NULL gives the zero Type. On an error, bad is
// the index of the expression that did not fit.
func CommonType(list []Typed) (t Type, bad int, err error) {
	for i, e := range list {
		switch {
		case e.Type.Kind == KindNull:
		case t.Kind == KindNull:
			t = e.Type
		default:
			joined, ok := join(t, e)
			if !ok {
				return Null, i, fmt.Errorf("%s and %s have no common type", t, e.Type)
			}
			t = joined
		}
	}
	return t, 0, nil
}

func join(t Type, e Typed) (Type, bool) {
	switch {
	case t.Equal(e.Type):
		return t, true
	case t.Kind.Numeric() && e.Type.Kind.Numeric():
		joined := WidenNumeric(t, e.Type)
		return joined, joined.Kind != KindDecimal || joined.Precision <= MaxDecimalPrecision
	case t.Kind == KindString && e.Literal != nil:
		return t, e.Type.Kind <= KindTimestamp && e.Type.Kind != KindBytes
	case e.Type.Kind == KindString && (t.Kind == KindTime || t.Kind == KindDate || t.Kind == KindTimestamp || t.Kind == KindBytes):
		return t, true
	case e.Type.Kind == KindString && e.Literal != nil:
		return joinText(t, e.Literal.Str())
	}
	return joinNested(t, e.Type)
}

// joinText joins a STRING literal to a number or a BOOLEAN.
func joinText(t Type, s string) (Type, bool) {
	switch {
	case t.Kind == KindBoolean:
		return t, booleanText(s)
	case t.Kind.Numeric():
		n, ok := numberText(s)
		if !ok {
			return Null, false
		}
		return WidenNumeric(t, n), true
	}
	return Null, false
}

// booleanText reports whether s is a prefix of true, false, yes or no.
func booleanText(s string) bool {
	s = strings.ToLower(strings.TrimSpace(s))
	for _, word := range []string{"true", "false", "yes", "no"} {
		if s != "" && strings.HasPrefix(word, s) {
			return true
		}
	}
	return false
}

// numberText returns the type of a number in quotes: INTEGER or BIGINT by size,
// DECIMAL for anything else.
func numberText(s string) (Type, bool) {
	d, err := ParseDecimal(strings.TrimSpace(s))
	if err != nil {
		return Null, false
	}
	if v, err := Cast(NewString(s), String, Bigint); err == nil {
		if v.num >= math.MinInt32 && v.num <= math.MaxInt32 {
			return Integer, true
		}
		return Bigint, true
	}
	_, t, err := DecimalLiteral(d)
	return t, err == nil
}

func joinNested(a, b Type) (Type, bool) {
	if a.Kind != b.Kind {
		return Null, false
	}
	switch a.Kind {
	case KindArray:
		elem, ok := join(*a.Elem, Typed{Type: *b.Elem})
		return Array(elem), ok
	case KindMap:
		key, ok := join(*a.Key, Typed{Type: *b.Key})
		if !ok {
			return Null, false
		}
		elem, ok := join(*a.Elem, Typed{Type: *b.Elem})
		return Map(key, elem), ok
	case KindStruct:
		fields := append([]Field(nil), a.Fields...)
		for _, f := range b.Fields {
			i := a.Field(f.Name)
			if i < 0 {
				fields = append(fields, f)
				continue
			}
			t, ok := join(fields[i].Type, Typed{Type: f.Type})
			if !ok {
				return Null, false
			}
			fields[i].Type = t
		}
		return Struct(fields...), true
	}
	return Null, false
}

// Coerce converts a value implicitly. It is Cast where CanImplicitlyCast holds,
// except that a DECIMAL is never rounded. Errors: ErrInexact,
// ErrDecimalOverflow, text that does not read as the type.
func Coerce(v Value, from, to Type) (Value, error) {
	if v.IsNull() || from.Equal(to) {
		return v, nil
	}
	if to.Kind == KindDecimal && (v.kind == KindDecimal || v.kind == KindInteger || v.kind == KindBigint) {
		d, err := FitDecimal(toDecimal(v), to)
		if err != nil {
			return NullValue, fmt.Errorf("%s does not fit %s: %w", v, to, err)
		}
		return NewDecimal(d), nil
	}
	return Cast(v, from, to)
}

// CoerceLiteral converts a constant to the type that is due, by the lax rules of
// INSERT ... VALUES, lists and comparisons: beside what Coerce does, BOOLEAN,
// numbers and times become STRING, and a STRING becomes BOOLEAN (a prefix of
// true, false, yes or no) or a number that fits without rounding.
func CoerceLiteral(v Value, from, to Type) (Value, error) {
	switch {
	case v.IsNull() || from.Equal(to):
		return v, nil
	case from.Kind == KindString && to.Kind == KindBoolean:
		if !booleanText(v.str) {
			return NullValue, fmt.Errorf("%q is not a value of BOOLEAN", v.str)
		}
		return Cast(v, from, to)
	case from.Kind == KindString && to.Kind == KindDecimal:
		d, err := ParseDecimal(strings.TrimSpace(v.str))
		if err != nil {
			return NullValue, err
		}
		return Coerce(NewDecimal(d), Null, to)
	case from.Kind == KindString && to.Kind.Numeric():
		return Cast(v, from, to)
	case to.Kind == KindString && from.Kind < KindArray && from.Kind != KindBytes:
		return Cast(v, from, to)
	case from.Kind >= KindArray:
		return coerceNested(v, from, to)
	case !CanImplicitlyCast(from, to) && !(from.Kind == KindDecimal && to.Kind == KindDecimal):
		return NullValue, fmt.Errorf("%s is not a value of %s", v, to)
	}
	return Coerce(v, from, to)
}

func coerceNested(v Value, from, to Type) (Value, error) {
	if from.Kind != to.Kind {
		return NullValue, fmt.Errorf("%s is not a value of %s", from, to)
	}
	all := func(list []Value, from, to Type) ([]Value, error) {
		out := make([]Value, len(list))
		for i, e := range list {
			var err error
			if out[i], err = CoerceLiteral(e, from, to); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	switch v.kind {
	case KindArray:
		elems, err := all(v.Elems(), *from.Elem, *to.Elem)
		return NewArray(elems), err
	case KindMap:
		keys, err := all(v.Map().Keys, *from.Key, *to.Key)
		if err != nil {
			return NullValue, err
		}
		values, err := all(v.Map().Values, *from.Elem, *to.Elem)
		return NewMap(&MapValue{Keys: keys, Values: values}), err
	}
	fields := make([]Value, len(to.Fields))
	for i, f := range from.Fields {
		j := to.Field(f.Name)
		if j < 0 {
			return NullValue, fmt.Errorf("%s has no field %s", to, f.Name)
		}
		var err error
		if fields[j], err = CoerceLiteral(v.Elems()[i], f.Type, to.Fields[j].Type); err != nil {
			return NullValue, err
		}
	}
	return NewStruct(fields), nil
}
