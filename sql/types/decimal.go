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
