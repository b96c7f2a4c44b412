package types

import (
	"fmt"
	"math"

	"github.com/cockroachdb/apd/v3"
)

// Op is an arithmetic operator.
type Op byte

// The arithmetic operators.
const (
	Add Op = '+'
	Sub Op = '-'
	Mul Op = '*'
	Div Op = '/'
	Mod Op = '%'
)

// ArithmeticType returns the result type of a op b. Two STRINGs may be added.
// A DECIMAL result has the precision and scale of the SQL language's rules
// (integers count as DECIMAL(10, 0) and DECIMAL(19, 0)):
//
//   - -  precision max(s1,s2)+max(p1-s1,p2-s2)+1       scale max(s1,s2)
//   - precision p1+p2+1                             scale s1+s2
//     /    precision p1-s1+s2+max(6,s1+p2+1)             scale max(6,s1+p2+1)
//     %    precision min(p1-s1,p2-s2)+max(s1,s2)         scale max(s1,s2)
func ArithmeticType(op Op, a, b Type) (Type, error) {
	switch {
	case a.Kind == KindString && b.Kind == KindString && op == Add:
		return String, nil
	case !a.Kind.Numeric() || !b.Kind.Numeric():
		return Null, fmt.Errorf("operator %c does not take %s and %s", op, a, b)
	case a.Kind == KindDouble || b.Kind == KindDouble:
		return Double, nil
	case a.Kind != KindDecimal && b.Kind != KindDecimal:
		if a.Kind == KindBigint || b.Kind == KindBigint {
			return Bigint, nil
		}
		return Integer, nil
	}
	t := decimalResult(op, AsDecimal(a), AsDecimal(b))
	if t.Precision > MaxDecimalPrecision {
		return Null, fmt.Errorf("%s %c %s needs %d digits, more than the limit of %d", a, op, b, t.Precision, MaxDecimalPrecision)
	}
	return t, nil
}

func decimalResult(op Op, a, b Type) Type {
	p1, s1, p2, s2 := a.Precision, a.Scale, b.Precision, b.Scale
	switch op {
	case Mul:
		return Decimal(p1+p2+1, s1+s2)
	case Div:
		scale := max(6, s1+p2+1)
		return Decimal(p1-s1+s2+scale, scale)
	case Mod:
		return Decimal(min(p1-s1, p2-s2)+max(s1, s2), max(s1, s2))
	}
	return Decimal(max(s1, s2)+max(p1-s1, p2-s2)+1, max(s1, s2))
}

// Arithmetic computes a op b as a value of type t, which ArithmeticType gave.
// NULL with anything is NULL. INTEGER and BIGINT wrap on overflow and divide
// towards zero. Errors: ErrDivisionByZero (not for DOUBLE), ErrDecimalOverflow,
// and ErrInexact for a DECIMAL quotient without an exact form in t, such as 1/3:
// nothing is rounded silently.
func Arithmetic(op Op, a, b Value, t Type) (Value, error) {
	if a.IsNull() || b.IsNull() {
		return NullValue, nil
	}
	switch t.Kind {
	case KindString:
		return NewString(a.str + b.str), nil
	case KindDouble:
		return NewDouble(floatArithmetic(op, toFloat(a), toFloat(b))), nil
	case KindDecimal:
		d, err := DecimalArithmetic(op, toDecimal(a), toDecimal(b), t)
		if err != nil {
			return NullValue, err
		}
		return NewDecimal(d), nil
	}
	n, err := intArithmetic(op, a.num, b.num)
	if err != nil {
		return NullValue, err
	}
	if t.Kind == KindInteger {
		return NewInteger(int32(n)), nil
	}
	return NewBigint(n), nil
}

func floatArithmetic(op Op, a, b float64) float64 {
	switch op {
	case Add:
		return a + b
	case Sub:
		return a - b
	case Mul:
		return a * b
	case Div:
		return a / b
	}
	return math.Mod(a, b)
}

func intArithmetic(op Op, a, b int64) (int64, error) {
	switch op {
	case Add:
		return a + b, nil
	case Sub:
		return a - b, nil
	case Mul:
		return a * b, nil
	}
	if b == 0 {
		return 0, ErrDivisionByZero
	}
	if op == Div {
		return a / b, nil
	}
	return a % b, nil
}

// DecimalArithmetic computes a op b exactly as a DECIMAL of type t.
func DecimalArithmetic(op Op, a, b *apd.Decimal, t Type) (*apd.Decimal, error) {
	var out apd.Decimal
	var cond apd.Condition
	var err error
	switch op {
	case Add:
		cond, err = exact.Add(&out, a, b)
	case Sub:
		cond, err = exact.Sub(&out, a, b)
	case Mul:
		cond, err = exact.Mul(&out, a, b)
	default:
		if b.IsZero() {
			return nil, ErrDivisionByZero
		}
		if op == Div {
			cond, err = exact.Quo(&out, a, b)
		} else {
			cond, err = exact.Rem(&out, a, b)
		}
	}
	if err != nil {
		return nil, ErrDecimalOverflow
	}
	if cond.Inexact() {
		return nil, errInexactQuotient
	}
	return FitDecimal(&out, t)
}

// Negate returns -v, wrapping for the smallest INTEGER and BIGINT.
func Negate(v Value) (Value, error) {
	switch v.kind {
	case KindNull:
		return v, nil
	case KindInteger:
		return NewInteger(int32(-v.num)), nil
	case KindBigint:
		return NewBigint(-v.num), nil
	case KindDouble:
		return NewDouble(-v.Float()), nil
	case KindDecimal:
		if v.Decimal().IsZero() {
			return v, nil
		}
		var out apd.Decimal
		out.Neg(v.Decimal())
		return NewDecimal(&out), nil
	}
	return NullValue, fmt.Errorf("operator - does not take %s", v.kind)
}
