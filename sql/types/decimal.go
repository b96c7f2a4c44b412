package types

import (
	"errors"
	"fmt"

	"github.com/cockroachdb/apd/v3"
)

// ErrDecimalOverflow says that a number has more digits before the point than
// its type.
var ErrDecimalOverflow = errors.New("numeric field overflow")

// ErrInexact says that a result has no exact decimal form in its type, as 1/3.
var ErrInexact = errors.New("rounding necessary")

// errInexactQuotient says which operation it was.
var errInexactQuotient = fmt.Errorf("DECIMAL division has no exact result (CAST an operand to DOUBLE for a rounded one): %w", ErrInexact)

// ErrDivisionByZero says what it says.
var ErrDivisionByZero = errors.New("division by zero")

// CheckDecimal checks the bounds of a DECIMAL type: 1 <= precision <=
// MaxDecimalPrecision and 0 <= scale <= precision.
func CheckDecimal(t Type) error {
	switch {
	case t.Precision < 1:
		return fmt.Errorf("DECIMAL precision must be >= 1: DECIMAL(%d,%d)", t.Precision, t.Scale)
	case t.Precision > MaxDecimalPrecision:
		return fmt.Errorf("DECIMAL precision must be <= %d: DECIMAL(%d,%d)", MaxDecimalPrecision, t.Precision, t.Scale)
	case t.Scale < 0:
		return fmt.Errorf("DECIMAL scale must be >= 0: DECIMAL(%d,%d)", t.Precision, t.Scale)
	case t.Scale > t.Precision:
		return fmt.Errorf("DECIMAL precision must be >= scale: DECIMAL(%d,%d)", t.Precision, t.Scale)
	}
	return nil
}

// DecimalLiteral returns the value and the type of a decimal literal: 1.50 is a
// DECIMAL(3, 2), and a number below 1 has one digit before the point, so that
// 0.005 is a DECIMAL(4, 3). A negative scale becomes 0.
func DecimalLiteral(d *apd.Decimal) (Value, Type, error) {
	if d.Exponent > 0 {
		if d.Exponent > MaxDecimalPrecision {
			return NullValue, Null, fmt.Errorf("number has more than %d digits", MaxDecimalPrecision)
		}
		var scaled apd.Decimal
		if _, err := exact.Quantize(&scaled, d, 0); err != nil {
			return NullValue, Null, fmt.Errorf("number has more than %d digits", MaxDecimalPrecision)
		}
		d = &scaled
	}
	if d.IsZero() && d.Negative {
		d = apd.New(0, d.Exponent)
	}
	t := decimalTypeOf(d)
	if t.Precision > MaxDecimalPrecision {
		return NullValue, Null, fmt.Errorf("number has more than %d digits", MaxDecimalPrecision)
	}
	return NewDecimal(d), t, nil
}

// decimalTypeOf returns the smallest type that holds d, whose exponent is not
// positive.
func decimalTypeOf(d *apd.Decimal) Type {
	scale := -d.Exponent
	digits := int32(d.NumDigits())
	if d.IsZero() || digits <= scale {
		digits = scale + 1
	}
	return Decimal(digits, scale)
}

// exact computes with more digits than any DECIMAL has and reports rounding.
var exact = apd.Context{
	Precision:   3*MaxDecimalPrecision + 8,
	MaxExponent: apd.MaxExponent,
	MinExponent: apd.MinExponent,
	Traps:       apd.DefaultTraps,
	Rounding:    apd.RoundHalfUp,
}

// integerTypes are the DECIMAL types that hold every INTEGER and BIGINT.
var (
	integerDecimal = Decimal(10, 0)
	bigintDecimal  = Decimal(19, 0)
)

// AsDecimal returns the DECIMAL type that an INTEGER, BIGINT or DECIMAL counts
// as in arithmetic with a DECIMAL.
func AsDecimal(t Type) Type {
	switch t.Kind {
	case KindInteger:
		return integerDecimal
	case KindBigint:
		return bigintDecimal
	}
	return t
}

// WidenDecimal returns the type that holds every value of two DECIMAL types.
func WidenDecimal(a, b Type) Type {
	scale := max(a.Scale, b.Scale)
	return Decimal(max(a.Precision-a.Scale, b.Precision-b.Scale)+scale, scale)
}

// RescaleDecimal converts d to a DECIMAL type, rounding half up. Errors:
// ErrDecimalOverflow.
func RescaleDecimal(d *apd.Decimal, t Type) (*apd.Decimal, error) {
	if d.Form != apd.Finite {
		return nil, ErrDecimalOverflow
	}
	if d.Exponent == -t.Scale && d.NumDigits() <= int64(t.Precision) && !(d.IsZero() && d.Negative) {
		return d, nil
	}
	if d.NumDigits()+int64(d.Exponent) > MaxDecimalPrecision && !d.IsZero() {
		return nil, ErrDecimalOverflow
	}
	var out apd.Decimal
	if _, err := exact.Quantize(&out, d, -t.Scale); err != nil {
		return nil, ErrDecimalOverflow
	}
	if out.IsZero() {
		out.Negative = false
	}
	if !out.IsZero() && out.NumDigits() > int64(t.Precision) {
		return nil, ErrDecimalOverflow
	}
	return &out, nil
}

// FitDecimal converts d to a DECIMAL type without rounding. Errors:
// ErrDecimalOverflow, ErrInexact.
func FitDecimal(d *apd.Decimal, t Type) (*apd.Decimal, error) {
	out, err := RescaleDecimal(d, t)
	if err != nil {
		return nil, err
	}
	if out.Cmp(d) != 0 {
		return nil, ErrInexact
	}
	return out, nil
}

// decimalFloat returns the nearest DOUBLE.
func decimalFloat(d *apd.Decimal) float64 {
	f, err := d.Float64()
	if err != nil {
		// Out of range: apd reports it along with the infinity or zero that we want.
		return f
	}
	return f
}
