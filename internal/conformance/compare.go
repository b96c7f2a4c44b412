package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
)

// compare compares an expected JSON value with a decoded one by the corpus's
// rules: integers after truncation, decimals with their scale, objects with the
// same number of fields looked up by name and by upper-cased name.
func (r *runner) compare(want, got any) error {
	differ := func() error { return fmt.Errorf("%s, expected %s", text(got), text(want)) }
	switch w := want.(type) {
	case nil:
		if got != nil {
			return differ()
		}
	case bool:
		if g, ok := got.(bool); !ok || g != w {
			return differ()
		}
	case string:
		return compareString(w, got)
	case json.Number:
		if f, ok := got.(float64); ok {
			x, err := strconv.ParseFloat(string(w), 64)
			if err != nil || math.Abs(x-f) >= 1e-6 && x != f {
				return differ()
			}
			return nil
		}
		g, ok := got.(json.Number)
		if !ok || !r.sameNumber(string(w), string(g)) {
			return differ()
		}
	case []any:
		g, ok := got.([]any)
		if !ok || len(g) != len(w) {
			return differ()
		}
		for i := range w {
			if err := r.compare(w[i], g[i]); err != nil {
				return fmt.Errorf("[%d]: %w", i, err)
			}
		}
	case map[string]any:
		return r.compareObject(w, got)
	}
	return nil
}

func (r *runner) compareObject(want map[string]any, got any) error {
	g, ok := got.(map[string]any)
	if !ok || len(g) != len(want) {
		return fmt.Errorf("%s, expected %s", text(got), text(want))
	}
	for name, w := range want {
		v, ok := g[name]
		if !ok {
			v, ok = g[strings.ToUpper(name)]
		}
		if !ok {
			return fmt.Errorf("no field %s in %s", name, text(got))
		}
		if err := r.compare(w, v); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func compareString(want string, got any) error {
	if g, ok := got.(string); ok && g == want {
		return nil
	}
	switch g := got.(type) {
	case json.Number:
		if decimalsEqual(want, string(g)) {
			return nil
		}
	case []byte:
		if base64.StdEncoding.EncodeToString(g) == want {
			return nil
		}
	case float64:
		if x, err := strconv.ParseFloat(want, 64); err == nil && (x == g || math.IsNaN(x) && math.IsNaN(g)) {
			return nil
		}
	}
	return fmt.Errorf("%s, expected %q", text(got), want)
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(b)
}

// sameNumber compares numbers: an integer output with the truncated expectation,
// a decimal output with value and scale.
func (r *runner) sameNumber(want, got string) bool {
	if v, ok := r.c.Properties["use.exact.numeric.comparison"]; ok && strings.EqualFold(fmt.Sprint(v), "false") {
		a, err1 := strconv.ParseFloat(want, 64)
		b, err2 := strconv.ParseFloat(got, 64)
		return err1 == nil && err2 == nil && math.Abs(a-b) < 1e-6
	}
	if !strings.ContainsAny(got, ".eE") {
		w, _, err := big.ParseFloat(want, 10, 200, big.ToZero)
		g, ok := new(big.Int).SetString(got, 10)
		if err != nil || !ok {
			return false
		}
		i, _ := w.Int(nil)
		return i.Cmp(g) == 0
	}
	return decimalsEqual(want, got)
}

// decimalsEqual compares unscaled value and scale.
func decimalsEqual(a, b string) bool {
	ua, sa, ok1 := unscaled(a)
	ub, sb, ok2 := unscaled(b)
	return ok1 && ok2 && sa == sb && ua.Cmp(ub) == 0
}

func unscaled(s string) (*big.Int, int, bool) {
	mantissa, exponent := s, 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		n, err := strconv.Atoi(s[i+1:])
		if err != nil {
			return nil, 0, false
		}
		mantissa, exponent = s[:i], n
	}
	scale := 0
	if i := strings.IndexByte(mantissa, '.'); i >= 0 {
		scale = len(mantissa) - i - 1
		mantissa = mantissa[:i] + mantissa[i+1:]
	}
	u, ok := new(big.Int).SetString(mantissa, 10)
	scale -= exponent
	if ok && scale < 0 {
		u.Mul(u, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-scale)), nil))
		scale = 0
	}
	return u, scale, ok
}
