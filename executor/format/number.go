package format

import (
	"errors"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// parseDouble reads a number's text as Java's Double.parseDouble does, without
// its hexadecimal forms and type suffixes.
func parseDouble(s string) (float64, error) {
	s = strings.TrimSpace(s)
	switch strings.TrimLeft(s, "+-") {
	case "NaN", "Infinity":
	default:
		for _, c := range s {
			if c != '+' && c != '-' && c != '.' && c != 'e' && c != 'E' && (c < '0' || c > '9') {
				return 0, fmt.Errorf("not a number: %q", clip(s))
			}
		}
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, fmt.Errorf("not a number: %q", clip(s))
	}
	return f, nil
}

// parseInteger reads a whole number's text strictly.
func parseInteger(s string, bits int) (int64, error) {
	n, err := strconv.ParseInt(s, 10, bits)
	if err != nil {
		return 0, fmt.Errorf("not an integer of %d bits: %q", bits, clip(s))
	}
	return n, nil
}

// truncateNumber reads a JSON number as Java's BigDecimal.intValue or longValue
// does: the whole part, its low bits when it is too large.
func truncateNumber(s string, bits int) (int64, error) {
	d, _, err := apd.NewFromString(s)
	if err != nil {
		return 0, fmt.Errorf("not a number: %q", clip(s))
	}
	if d.Exponent > maxExponent || d.Exponent < -maxExponent {
		return 0, fmt.Errorf("exponent of %q is out of range", clip(s))
	}
	n := new(big.Int).Set(d.Coeff.MathBigInt())
	shift := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(d.Exponent, -d.Exponent))), nil)
	if d.Exponent >= 0 {
		n.Mul(n, shift)
	} else {
		n.Quo(n, shift)
	}
	low := int64(new(big.Int).And(n, maxUint64).Uint64())
	if d.Negative {
		low = -low
	}
	if bits == 32 {
		low = int64(int32(low))
	}
	return low, nil
}

var maxUint64 = new(big.Int).SetUint64(math.MaxUint64)

// maxExponent bounds the decimal exponents that are expanded into digits.
const maxExponent = 1000

// setDecimal reads a number's text into value i of a DECIMAL vector. It must fit
// exactly: no digit is rounded away.
func setDecimal(v *batch.Vector, i int32, s []byte) error {
	if v.Rep == batch.RepDecimal {
		if n, ok := plainDecimal(s, int(v.Type.Scale)); ok && n.FitsDigits(int(v.Type.Precision)) {
			v.SetValid(i)
			v.Dec[i] = n
			return nil
		}
	}
	d, err := parseDecimal(string(s), v.Type)
	if err != nil {
		return err
	}
	if !v.Set(i, types.NewDecimal(d)) {
		return fmt.Errorf("%s does not fit %s", clip(string(s)), v.Type)
	}
	return nil
}

// plainDecimal reads up to 18 digits with an optional point as an unscaled
// number; anything else is left to parseDecimal.
func plainDecimal(s []byte, scale int) (batch.Int128, bool) {
	neg := len(s) > 0 && s[0] == '-'
	if neg {
		s = s[1:]
	}
	if len(s) == 0 || len(s) > 19 {
		return batch.Int128{}, false
	}
	n, point := int64(0), -1
	for k, c := range s {
		switch {
		case c >= '0' && c <= '9':
			n = n*10 + int64(c-'0')
		case c == '.' && point < 0 && k > 0 && k < len(s)-1:
			point = k
		default:
			return batch.Int128{}, false
		}
	}
	if point < 0 && len(s) > 18 {
		return batch.Int128{}, false
	}
	have := 0
	if point >= 0 {
		have = len(s) - 1 - point
	}
	if have > scale {
		return batch.Int128{}, false
	}
	if neg {
		n = -n
	}
	return batch.FromInt64(n).Scale10(scale - have)
}

// parseDecimal reads a number's text as a DECIMAL of type t, exactly.
func parseDecimal(s string, t types.Type) (*apd.Decimal, error) {
	s = strings.TrimSpace(s)
	d, _, err := apd.NewFromString(s)
	if err != nil || d.Form != apd.Finite {
		return nil, fmt.Errorf("not a decimal: %q", clip(s))
	}
	if d.Exponent > maxExponent || d.Exponent < -maxExponent {
		return nil, fmt.Errorf("exponent of %q is out of range", clip(s))
	}
	return fitDecimal(d, t)
}

// fitDecimal rescales d to t's scale; a digit lost or too many digits is an
// error.
func fitDecimal(d *apd.Decimal, t types.Type) (*apd.Decimal, error) {
	shift := d.Exponent + t.Scale
	r := new(apd.Decimal).Set(d)
	factor := new(apd.BigInt).Exp(apd.NewBigInt(10), apd.NewBigInt(int64(max(shift, -shift))), nil)
	if shift >= 0 {
		r.Coeff.Mul(&r.Coeff, factor)
	} else {
		rem := new(apd.BigInt)
		r.Coeff.QuoRem(&r.Coeff, factor, rem)
		if rem.Sign() != 0 {
			return nil, fmt.Errorf("%s has more than %d digits behind the point of %s", clip(d.Text('f')), t.Scale, t)
		}
	}
	r.Exponent = -t.Scale
	if r.NumDigits() > int64(t.Precision) && !r.IsZero() {
		return nil, fmt.Errorf("%s has too many digits for %s", clip(d.Text('f')), t)
	}
	return r, nil
}

// clip shortens a text that goes into an error message.
func clip(s string) string {
	const most = 80
	if len(s) > most {
		return s[:most] + "..."
	}
	return s
}
