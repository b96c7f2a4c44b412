package expr

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// This file is the executor's only use of value semantics that belong to
// sql/types and sql/function: comparison, casts and the lookup of bodies.

// lookupOverload finds a function's body by the ID in a plan.
var lookupOverload = func(string) (*function.Overload, bool) { return nil, false }

// unordered is the result of comparing with NaN.
const unordered = 2

// compareValues compares two values of one kind that are not NULL.
func compareValues(a, b types.Value) (int, error) {
	if a.Kind() != b.Kind() {
		return 0, fmt.Errorf("cannot compare %s with %s", a.Kind(), b.Kind())
	}
	switch a.Kind() {
	case types.KindBoolean, types.KindInteger, types.KindBigint, types.KindTime, types.KindDate, types.KindTimestamp:
		return cmp.Compare(a.Int(), b.Int()), nil
	case types.KindDouble:
		if math.IsNaN(a.Float()) || math.IsNaN(b.Float()) {
			return unordered, nil
		}
		return cmp.Compare(a.Float(), b.Float()), nil
	case types.KindDecimal:
		return a.Decimal().Cmp(b.Decimal()), nil
	case types.KindString, types.KindBytes:
		return strings.Compare(a.Str(), b.Str()), nil
	}
	return 0, fmt.Errorf("%s values have no order", a.Kind())
}

// equalValues reports whether two values that are not NULL are equal; inside
// nested values NULL equals NULL.
func equalValues(a, b types.Value) bool {
	if a.Kind() != b.Kind() {
		return false
	}
	switch a.Kind() {
	case types.KindNull:
		return true
	case types.KindArray, types.KindStruct:
		x, y := a.Elems(), b.Elems()
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equalValues(x[i], y[i]) {
				return false
			}
		}
		return true
	case types.KindMap:
		x, y := a.Map(), b.Map()
		if len(x.Keys) != len(y.Keys) {
			return false
		}
		for i, k := range x.Keys {
			found := false
			for j, l := range y.Keys {
				if equalValues(k, l) {
					found = equalValues(x.Values[i], y.Values[j])
					break
				}
			}
			if !found {
				return false
			}
		}
		return true
	}
	c, err := compareValues(a, b)
	return err == nil && c == 0
}

// castValue is CAST of a value that is not NULL.
func castValue(v types.Value, from, to types.Type) (types.Value, error) {
	if from.Equal(to) {
		return v, nil
	}
	switch to.Kind {
	case types.KindString:
		return castToString(v)
	case types.KindInteger, types.KindBigint:
		n, err := castToInt(v, to)
		if to.Kind == types.KindInteger {
			return types.NewInteger(int32(n)), err
		}
		return types.NewBigint(n), err
	case types.KindDouble:
		switch v.Kind() {
		case types.KindInteger, types.KindBigint:
			return types.NewDouble(float64(v.Int())), nil
		case types.KindDecimal:
			f, err := v.Decimal().Float64()
			return types.NewDouble(f), err
		case types.KindString:
			f, err := strconv.ParseFloat(strings.TrimSpace(v.Str()), 64)
			if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
				return types.NullValue, fmt.Errorf("cannot cast %q to DOUBLE", v.Str())
			}
			return types.NewDouble(f), nil
		}
	case types.KindDecimal:
		return castToDecimal(v, to)
	case types.KindBoolean:
		if v.Kind() == types.KindString {
			s := strings.ToLower(strings.TrimSpace(v.Str()))
			return types.NewBoolean(s != "" && (strings.HasPrefix("true", s) || strings.HasPrefix("yes", s))), nil
		}
	}
	return types.NullValue, fmt.Errorf("cast from %s to %s is not supported", from, to)
}

func castToString(v types.Value) (types.Value, error) {
	switch v.Kind() {
	case types.KindBoolean:
		return types.NewString(strconv.FormatBool(v.Bool())), nil
	case types.KindInteger, types.KindBigint:
		return types.NewString(strconv.FormatInt(v.Int(), 10)), nil
	case types.KindDouble:
		return types.NewString(string(format.AppendDouble(nil, v.Float()))), nil
	case types.KindDecimal:
		return types.NewString(v.Decimal().Text('f')), nil
	}
	return types.NullValue, fmt.Errorf("cast from %s to STRING is not supported", v.Kind())
}

func castToInt(v types.Value, to types.Type) (int64, error) {
	lo, hi, bits := int64(math.MinInt64), int64(math.MaxInt64), 64
	if to.Kind == types.KindInteger {
		lo, hi, bits = math.MinInt32, math.MaxInt32, 32
	}
	switch v.Kind() {
	case types.KindInteger, types.KindBigint:
		return v.Int(), nil
	case types.KindDouble:
		f := v.Float()
		switch {
		case math.IsNaN(f):
			return 0, nil
		case f <= float64(lo):
			return lo, nil
		case f >= float64(hi):
			return hi, nil
		}
		return int64(f), nil
	case types.KindDecimal:
		d := new(apd.Decimal)
		if _, err := apd.BaseContext.WithPrecision(200).RoundToIntegralValue(d, truncated(v.Decimal())); err != nil {
			return 0, err
		}
		n, err := d.Int64()
		if err != nil {
			return 0, errOverflow(to)
		}
		return n, nil
	case types.KindString:
		n, err := strconv.ParseInt(strings.TrimSpace(v.Str()), 10, bits)
		if err != nil {
			return 0, fmt.Errorf("cannot cast %q to %s", v.Str(), to)
		}
		return n, nil
	}
	return 0, fmt.Errorf("cast from %s to %s is not supported", v.Kind(), to)
}

// truncated cuts the digits behind the point.
func truncated(d *apd.Decimal) *apd.Decimal {
	whole := new(apd.Decimal)
	d.Modf(whole, nil)
	return whole
}

func castToDecimal(v types.Value, to types.Type) (types.Value, error) {
	d := new(apd.Decimal)
	switch v.Kind() {
	case types.KindInteger, types.KindBigint:
		d.SetInt64(v.Int())
	case types.KindDouble:
		if _, err := d.SetFloat64(v.Float()); err != nil || d.Form != apd.Finite {
			return types.NullValue, fmt.Errorf("cannot cast %v to %s", v.Float(), to)
		}
	case types.KindDecimal:
		d = v.Decimal()
	case types.KindString:
		var err error
		if d, _, err = apd.NewFromString(strings.TrimSpace(v.Str())); err != nil || d.Form != apd.Finite {
			return types.NullValue, fmt.Errorf("cannot cast %q to %s", v.Str(), to)
		}
	default:
		return types.NullValue, fmt.Errorf("cast from %s to %s is not supported", v.Kind(), to)
	}
	return roundDecimal(d, to)
}
