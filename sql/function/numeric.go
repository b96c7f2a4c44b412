package function

import (
	"fmt"
	"math"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/sql/types"
)

const mathematical = "MATHEMATICAL"

// trio describes f over INTEGER, BIGINT and DOUBLE.
func trio(f func(float64) float64) []*Overload {
	var list []*Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		list = append(list, over("x "+t, "DOUBLE", func(a []types.Value) (types.Value, error) { return types.NewDouble(f(number(a[0]))), nil }))
	}
	return list
}

// pair describes f over two INTEGERs, BIGINTs or DOUBLEs.
func pair(x, y string, f func(x, y float64) float64) []*Overload {
	var list []*Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		list = append(list, over(x+" "+t+", "+y+" "+t, "DOUBLE", func(a []types.Value) (types.Value, error) {
			return types.NewDouble(f(number(a[0]), number(a[1]))), nil
		}))
	}
	return list
}

func double(f func([]types.Value) float64) body {
	return func(a []types.Value) (types.Value, error) { return types.NewDouble(f(a)), nil }
}

func integer(f func([]types.Value) int64) body {
	return func(a []types.Value) (types.Value, error) { return types.NewInteger(int32(f(a))), nil }
}

func bigint(f func([]types.Value) int64) body {
	return func(a []types.Value) (types.Value, error) { return types.NewBigint(f(a)), nil }
}

func numericFunctions() []*Function {
	list := []*Function{
		fn("ABS", mathematical, "Absolute value. That of the smallest integer is itself.",
			over("x INTEGER", "INTEGER", integer(func(a []types.Value) int64 { return absInt(a[0].Int()) })),
			over("x BIGINT", "BIGINT", bigint(func(a []types.Value) int64 { return absInt(a[0].Int()) })),
			over("x DOUBLE", "DOUBLE", double(func(a []types.Value) float64 { return math.Abs(a[0].Float()) })),
			over("x DECIMAL", "", decimal(func(z, x *apd.Decimal) { z.Abs(x) })).returning(sameAsFirst)),
		fn("CEIL", mathematical, "Smallest whole number that is not less than x.", rounders(math.Ceil, apd.RoundCeiling)...),
		fn("FLOOR", mathematical, "Greatest whole number that is not more than x.", rounders(math.Floor, apd.RoundFloor)...),
		fn("ATAN2", mathematical, "Angle of the point (x, y) in radians.", pair("y", "x", math.Atan2)...),
		fn("POWER", mathematical, "base to the power of exponent.", pair("base", "exponent", math.Pow)...),
		fn("LOG", mathematical, "Natural logarithm of x, or the logarithm of x to a base.",
			append(trio(naturalLog), pair("base", "x", logBase)...)...),
		fn("PI", mathematical, "The ratio of a circle's circumference to its diameter.",
			over("", "DOUBLE", double(func([]types.Value) float64 { return math.Pi }))),
		fn("RANDOM", mathematical, "A random number from 0 to below 1.",
			overEnv("", "DOUBLE", func(env *Env, _ []types.Value) (types.Value, error) {
				return types.NewDouble(float64(env.Random()>>11) / (1 << 53)), nil
			}).volatile()),
		fn("SIGN", mathematical, "-1, 0 or 1 by the sign of x.", signs()...),
		fn("ROUND", mathematical, "Nearest whole number, or nearest number with n digits after the point; halves go up, towards positive infinity.",
			roundOverloads()...),
		fn("TRUNC", mathematical, "x without its fraction, or with n digits after the point.", truncOverloads()...),
		fn("GREATEST", mathematical, "The greatest argument, NULL left out.", extremes(1)...),
		fn("LEAST", mathematical, "The smallest argument, NULL left out.", extremes(-1)...),
		fn("GEO_DISTANCE", mathematical, "Great-circle distance of two points in degrees, in KM (default) or MILES.",
			over("lat1 DOUBLE!, lon1 DOUBLE!, lat2 DOUBLE!, lon2 DOUBLE!", "DOUBLE", geoDistance).nullable(),
			over("lat1 DOUBLE!, lon1 DOUBLE!, lat2 DOUBLE!, lon2 DOUBLE!, unit STRING", "DOUBLE", geoDistance).nullable()),
	}
	for _, f := range []struct {
		name, doc string
		f         func(float64) float64
	}{
		{"ACOS", "Arc cosine in radians, NaN outside of [-1, 1].", math.Acos},
		{"ASIN", "Arc sine in radians, NaN outside of [-1, 1].", math.Asin},
		{"ATAN", "Arc tangent in radians.", math.Atan},
		{"CBRT", "Cube root.", math.Cbrt},
		{"COS", "Cosine of an angle in radians.", math.Cos},
		{"COSH", "Hyperbolic cosine.", math.Cosh},
		{"COT", "Cotangent of an angle in radians.", func(x float64) float64 { return 1 / math.Tan(x) }},
		{"DEGREES", "Radians to degrees.", func(x float64) float64 { return x * 180 / math.Pi }},
		{"EXP", "e to the power of x.", math.Exp},
		{"LN", "Natural logarithm.", naturalLog},
		{"RADIANS", "Degrees to radians.", func(x float64) float64 { return x / 180 * math.Pi }},
		{"SIN", "Sine of an angle in radians.", math.Sin},
		{"SINH", "Hyperbolic sine.", math.Sinh},
		{"SQRT", "Square root, NaN for a negative number.", math.Sqrt},
		{"TAN", "Tangent of an angle in radians.", math.Tan},
		{"TANH", "Hyperbolic tangent.", math.Tanh},
	} {
		list = append(list, fn(f.name, mathematical, f.doc, trio(f.f)...))
	}
	return list
}

func absInt(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}

// naturalLog rounds correctly but for rare cases, as Java's does; math.Log may be
// one unit in the last place off. ln(m) is 2 artanh((m-1)/(m+1)), whose first term
// is kept in two floats.
func naturalLog(x float64) float64 {
	if !(x > 0) || math.IsInf(x, 1) {
		return math.Log(x)
	}
	const (
		ln2Hi = 6.93147180369123816490e-01 // 32 bits: its product with an exponent is exact
		ln2Lo = 1.90821492927058770002e-10
	)
	m, e := math.Frexp(x)
	if m < math.Sqrt2/2 {
		m, e = m*2, e-1
	}
	k := float64(e)
	den := m + 1
	denLo := m - (den - 1)
	s := (m - 1) / den
	sLo := (math.FMA(-s, den, m-1) - s*denLo) / den
	tail, s2 := 0.0, s*s
	for n := 25.0; n >= 3; n -= 2 {
		tail = tail*s2 + 2/n
	}
	tail = tail*s*s2 + 2*sLo + k*ln2Lo
	hi := k*ln2Hi + 2*s
	lo := 2*s - (hi - k*ln2Hi)
	if k == 0 {
		lo = 0
	}
	return hi + (lo + tail)
}

func logBase(base, x float64) float64 {
	if base <= 0 || base == 1 {
		return math.NaN()
	}
	return naturalLog(x) / naturalLog(base)
}

// decimal applies f, whose result keeps the scale.
func decimal(f func(z, x *apd.Decimal)) body {
	return func(a []types.Value) (types.Value, error) {
		var z apd.Decimal
		f(&z, a[0].Decimal())
		return types.NewDecimal(&z), nil
	}
}

// roundDecimal rounds to digits after the point and keeps the scale of t.
func roundDecimal(d *apd.Decimal, digits int32, mode apd.Rounder, t types.Type) (types.Value, error) {
	ctx := apd.BaseContext.WithPrecision(4 * types.MaxDecimalPrecision)
	ctx.Rounding = mode
	var z apd.Decimal
	if _, err := ctx.Quantize(&z, d, -max(min(digits, types.MaxDecimalPrecision), -types.MaxDecimalPrecision)); err != nil {
		return types.NullValue, types.ErrDecimalOverflow
	}
	out, err := types.RescaleDecimal(&z, t)
	if err != nil {
		return types.NullValue, err
	}
	return types.NewDecimal(out), nil
}

// rounders are CEIL and FLOOR, which keep the type.
func rounders(f func(float64) float64, mode apd.Rounder) []*Overload {
	same := func(a []types.Value) (types.Value, error) { return a[0], nil }
	return []*Overload{
		over("x INTEGER", "INTEGER", same), over("x BIGINT", "BIGINT", same),
		over("x DOUBLE", "DOUBLE", double(func(a []types.Value) float64 { return f(a[0].Float()) })),
		overEnv("x DECIMAL", "", func(env *Env, a []types.Value) (types.Value, error) {
			return roundDecimal(a[0].Decimal(), 0, mode, env.Result)
		}).returning(sameAsFirst),
	}
}

func signs() []*Overload {
	var list []*Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE"} {
		list = append(list, over("x "+t, "INTEGER", integer(func(a []types.Value) int64 {
			switch x := number(a[0]); {
			case x > 0:
				return 1
			case x < 0:
				return -1
			}
			return 0
		})))
	}
	return list
}

// wholeDecimal is the type of ROUND(x) and TRUNC(x).
func wholeDecimal(args []types.Type) (types.Type, error) {
	return types.Decimal(max(1, args[0].Precision-args[0].Scale), 0), nil
}

// halfUp rounds halves towards positive infinity, as KSQL does: HALF_UP above
// zero and HALF_DOWN below.
func halfUp(negative bool) apd.Rounder {
	if negative {
		return apd.RoundHalfDown
	}
	return apd.RoundHalfUp
}

func roundOverloads() []*Overload {
	same := bigint(func(a []types.Value) int64 { return a[0].Int() })
	return []*Overload{
		over("x INTEGER!", "BIGINT", same), over("x BIGINT!", "BIGINT", same),
		over("x DOUBLE", "BIGINT", func(a []types.Value) (types.Value, error) {
			return types.Cast(types.NewDouble(math.Floor(a[0].Float()+0.5)), types.Double, types.Bigint)
		}),
		overEnv("x DECIMAL", "", func(env *Env, a []types.Value) (types.Value, error) {
			return roundDecimal(a[0].Decimal(), 0, halfUp(a[0].Decimal().Negative), env.Result)
		}).returning(wholeDecimal),
		over("x DOUBLE, n INTEGER", "DOUBLE", func(a []types.Value) (types.Value, error) {
			return roundDouble(a[0].Float(), a[1].Int(), halfUp(a[0].Float() <= 0))
		}),
		overEnv("x DECIMAL, n INTEGER", "", func(env *Env, a []types.Value) (types.Value, error) {
			return roundDecimal(a[0].Decimal(), digitCount(a[1].Int()), halfUp(a[0].Decimal().Negative), env.Result)
		}).returning(sameAsFirst),
	}
}

func truncOverloads() []*Overload {
	same := bigint(func(a []types.Value) int64 { return a[0].Int() })
	return []*Overload{
		over("x INTEGER", "BIGINT", same), over("x BIGINT", "BIGINT", same),
		over("x DOUBLE", "BIGINT", func(a []types.Value) (types.Value, error) { return types.Cast(a[0], types.Double, types.Bigint) }),
		overEnv("x DECIMAL", "", func(env *Env, a []types.Value) (types.Value, error) {
			return roundDecimal(a[0].Decimal(), 0, apd.RoundDown, env.Result)
		}).returning(wholeDecimal),
		over("x DOUBLE, n INTEGER", "DOUBLE", func(a []types.Value) (types.Value, error) {
			return roundDouble(a[0].Float(), a[1].Int(), apd.RoundDown)
		}),
		overEnv("x DECIMAL, n INTEGER", "", func(env *Env, a []types.Value) (types.Value, error) {
			return roundDecimal(a[0].Decimal(), digitCount(a[1].Int()), apd.RoundDown, env.Result)
		}).returning(sameAsFirst),
	}
}

// digitCount bounds the digits asked for: no number has more.
func digitCount(n int64) int32 { return int32(max(min(n, 400), -400)) }

// roundDouble rounds the decimal that a DOUBLE prints as.
func roundDouble(f float64, digits int64, mode apd.Rounder) (types.Value, error) {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return types.NullValue, fmt.Errorf("%s cannot be rounded", types.FormatDouble(f))
	}
	d, err := types.ParseDecimal(types.FormatDouble(f))
	if err != nil {
		return types.NullValue, err
	}
	ctx := apd.BaseContext.WithPrecision(1000)
	ctx.Rounding = mode
	var z apd.Decimal
	if _, err := ctx.Quantize(&z, d, -digitCount(digits)); err != nil {
		return types.NullValue, fmt.Errorf("%s cannot be rounded to %d digits", types.FormatDouble(f), digits)
	}
	out, err := z.Float64()
	return types.NewDouble(out), err
}

func extremes(sign int) []*Overload {
	var list []*Overload
	for _, t := range comparableTypes {
		result := t
		if t == "DECIMAL" {
			result = "" // widened below
		}
		o := overEnv("x "+t+", more "+t+"...", result, func(env *Env, a []types.Value) (types.Value, error) {
			best := types.NullValue
			for _, v := range a {
				if best.IsNull() || !v.IsNull() && compareSigned(v, best)*sign > 0 {
					best = v
				}
			}
			if best.Kind() == types.KindDecimal {
				return types.Coerce(best, types.Null, env.Result)
			}
			return best, nil
		}).nullable()
		if t == "DECIMAL" {
			o.returning(func(args []types.Type) (types.Type, error) {
				widest := args[0]
				for _, t := range args[1:] {
					if t.Precision > 0 {
						widest = types.WidenDecimal(widest, t)
					}
				}
				return widest, nil
			})
		}
		list = append(list, o)
	}
	return list
}

// compareSigned is types.Compare with BYTES in the order of signed bytes, as the
// Java virtual machine compares buffers.
func compareSigned(a, b types.Value) int {
	if a.Kind() != types.KindBytes {
		return types.Compare(a, b)
	}
	x, y := a.Str(), b.Str()
	for i := range min(len(x), len(y)) {
		if d := int(int8(x[i])) - int(int8(y[i])); d != 0 {
			return d
		}
	}
	return len(x) - len(y)
}

const (
	earthRadiusKm    = 6371
	earthRadiusMiles = 3959
)

// geoDistance is the haversine formula on a sphere.
func geoDistance(a []types.Value) (types.Value, error) {
	radius := float64(earthRadiusKm)
	if len(a) == 5 && !a[4].IsNull() {
		switch unit := strings.ToLower(strings.TrimSpace(a[4].Str())); unit {
		case "", "km", "kilometer", "kilometers", "kilometre", "kilometres":
		case "mi", "mile", "miles":
			radius = earthRadiusMiles
		default:
			return types.NullValue, fmt.Errorf("unknown unit %q, expected KM or MILES", unit)
		}
	}
	lat1, lon1, lat2, lon2 := a[0].Float(), a[1].Float(), a[2].Float(), a[3].Float()
	if !(math.Abs(lat1) <= 90 && math.Abs(lat2) <= 90) {
		return types.NullValue, fmt.Errorf("latitude is outside of [-90, 90]")
	}
	if !(math.Abs(lon1) <= 180 && math.Abs(lon2) <= 180) {
		return types.NullValue, fmt.Errorf("longitude is outside of [-180, 180]")
	}
	const rad = math.Pi / 180
	dLat, dLon := (lat2-lat1)*rad, (lon2-lon1)*rad
	h := math.Pow(math.Sin(dLat/2), 2) + math.Pow(math.Sin(dLon/2), 2)*math.Cos(lat1*rad)*math.Cos(lat2*rad)
	return types.NewDouble(2 * radius * math.Asin(math.Sqrt(h))), nil
}
