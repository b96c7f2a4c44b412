package batch

import (
	"math"
	"math/big"
	"math/bits"
)

// Int128 is a two's complement integer of 128 bits: the unscaled value of a
// DECIMAL of up to 38 digits.
type Int128 struct {
	Hi int64
	Lo uint64
}

// MaxInt128Digits is the number of decimal digits that always fit an Int128.
const MaxInt128Digits = 38

// FromInt64 returns v.
func FromInt64(v int64) Int128 { return Int128{v >> 63, uint64(v)} }

// Neg reports whether a < 0.
func (a Int128) Neg() bool { return a.Hi < 0 }

// IsZero reports whether a == 0.
func (a Int128) IsZero() bool { return a.Hi == 0 && a.Lo == 0 }

// Int64 returns a as an int64 and whether it fits.
func (a Int128) Int64() (int64, bool) { return int64(a.Lo), a.Hi == int64(a.Lo)>>63 }

// Negate returns -a.
func (a Int128) Negate() Int128 {
	lo, borrow := bits.Sub64(0, a.Lo, 0)
	hi, _ := bits.Sub64(0, uint64(a.Hi), borrow)
	return Int128{int64(hi), lo}
}

// Add returns a+b and whether it fits.
func (a Int128) Add(b Int128) (Int128, bool) {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, _ := bits.Add64(uint64(a.Hi), uint64(b.Hi), carry)
	r := Int128{int64(hi), lo}
	return r, (a.Hi^r.Hi)&(b.Hi^r.Hi) >= 0
}

// Sub returns a-b and whether it fits.
func (a Int128) Sub(b Int128) (Int128, bool) {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, _ := bits.Sub64(uint64(a.Hi), uint64(b.Hi), borrow)
	r := Int128{int64(hi), lo}
	return r, (a.Hi^b.Hi)&(a.Hi^r.Hi) >= 0
}

// Mul returns a*b and whether it fits.
func (a Int128) Mul(b Int128) (Int128, bool) {
	x, okX := a.Int64()
	y, okY := b.Int64()
	if okX && okY {
		hi, lo := bits.Mul64(uint64(x), uint64(y))
		return Int128{int64(hi) - (x>>63)&y - (y>>63)&x, lo}, true
	}
	neg := a.Neg() != b.Neg()
	ua, ub := a.abs(), b.abs()
	if ua.Hi != 0 && ub.Hi != 0 {
		return Int128{}, false
	}
	if ua.Hi == 0 {
		ua, ub = ub, ua // now ub is one word
	}
	hi, lo := bits.Mul64(ua.Lo, ub.Lo)
	over, top := bits.Mul64(uint64(ua.Hi), ub.Lo)
	hi, carry := bits.Add64(hi, top, 0)
	if over != 0 || carry != 0 || int64(hi) < 0 {
		return Int128{}, false
	}
	r := Int128{int64(hi), lo}
	if neg {
		r = r.Negate()
	}
	return r, true
}

// abs returns |a| as an unsigned number in the same words.
func (a Int128) abs() Int128 {
	if a.Neg() {
		return a.Negate()
	}
	return a
}

// Cmp returns -1, 0 or 1.
func (a Int128) Cmp(b Int128) int {
	switch {
	case a.Hi < b.Hi, a.Hi == b.Hi && a.Lo < b.Lo:
		return -1
	case a == b:
		return 0
	}
	return 1
}

// QuoRem10 divides |a| by a power of ten of at most 19 digits and returns the
// truncated quotient with a's sign and the remainder of |a|.
func (a Int128) QuoRem10(digits int) (Int128, uint64) {
	u := a.abs()
	d := pow10[digits]
	hi, r := uint64(u.Hi)/d, uint64(u.Hi)%d
	lo, rem := bits.Div64(r, u.Lo, d)
	q := Int128{int64(hi), lo}
	if a.Neg() {
		q = q.Negate()
	}
	return q, rem
}

// Scale10 returns a * 10^n and whether it fits, for n >= 0.
func (a Int128) Scale10(n int) (Int128, bool) {
	if a.IsZero() {
		return a, true
	}
	for n > 18 {
		var ok bool
		if a, ok = a.Mul(FromInt64(int64(pow10[18]))); !ok {
			return a, false
		}
		n -= 18
	}
	return a.Mul(FromInt64(int64(pow10[n])))
}

// FitsDigits reports whether |a| < 10^digits, for digits <= 38.
func (a Int128) FitsDigits(digits int) bool {
	u := a.abs()
	if digits <= 19 {
		return u.Hi == 0 && u.Lo < pow10[digits]
	}
	limit, ok := FromInt64(1).Scale10(digits)
	return ok && !u.Neg() && u.Cmp(limit) < 0
}

// Big returns a as a big integer.
func (a Int128) Big() *big.Int {
	u := a.abs()
	r := new(big.Int).SetUint64(uint64(u.Hi))
	r.Lsh(r, 64).Or(r, new(big.Int).SetUint64(u.Lo))
	if a.Neg() {
		r.Neg(r)
	}
	return r
}

// FromBig returns v and whether it fits.
func FromBig(v *big.Int) (Int128, bool) {
	if v.BitLen() > 127 {
		return Int128{}, false
	}
	u := new(big.Int).Abs(v)
	lo := new(big.Int).And(u, maxUint64).Uint64()
	r := Int128{int64(u.Rsh(u, 64).Uint64()), lo}
	if v.Sign() < 0 {
		r = r.Negate()
	}
	return r, true
}

var maxUint64 = new(big.Int).SetUint64(math.MaxUint64)

// AppendDecimal appends a, an unscaled value, as a plain decimal text with
// exactly scale digits behind the point.
func (a Int128) AppendDecimal(dst []byte, scale int) []byte {
	if a.Neg() {
		dst = append(dst, '-')
	}
	var digits [48]byte
	at := len(digits)
	u := a.abs()
	for n := 0; !u.IsZero() || n <= scale; {
		q, rem := u.unsignedQuoRem19()
		last := q.IsZero()
		for j := 0; j < 19; j++ {
			if last && rem == 0 && n > scale {
				break
			}
			if n == scale && scale > 0 {
				at--
				digits[at] = '.'
			}
			at--
			digits[at] = byte('0' + rem%10)
			rem /= 10
			n++
		}
		u = q
	}
	return append(dst, digits[at:]...)
}

func (a Int128) unsignedQuoRem19() (Int128, uint64) {
	const d = 10_000_000_000_000_000_000
	hi, r := uint64(a.Hi)/d, uint64(a.Hi)%d
	lo, rem := bits.Div64(r, a.Lo, d)
	return Int128{int64(hi), lo}, rem
}

var pow10 = func() (p [20]uint64) {
	p[0] = 1
	for i := 1; i < len(p); i++ {
		p[i] = p[i-1] * 10
	}
	return
}()
