package function

import (
	"fmt"
	"unicode"

	"github.com/millrace/millrace/sql/types"
)

// The MASK functions replace letters and digits by their class, per code point.

func maskFunctions() []*Function {
	const classes = "upper STRING, lower STRING, digit STRING, other STRING"
	list := []*Function{fn("MASK", stringCategory, "Upper-case letters as X, lower-case as x, digits as n, all else as -; NULL leaves a class alone.",
		over("value STRING", "STRING", maskAll).nullable(), over("value STRING, "+classes, "STRING", maskAll).nullable())}
	for _, f := range []struct {
		name, doc string
		span      func(n, size int) (from, to int)
	}{
		{"MASK_KEEP_LEFT", "Masked but for the first n characters.", func(n, size int) (int, int) { return n, size }},
		{"MASK_KEEP_RIGHT", "Masked but for the last n characters.", func(n, size int) (int, int) { return 0, size - n }},
		{"MASK_LEFT", "With the first n characters masked.", func(n, _ int) (int, int) { return 0, n }},
		{"MASK_RIGHT", "With the last n characters masked.", func(n, size int) (int, int) { return size - n, size }},
	} {
		b := func(a []types.Value) (types.Value, error) {
			if a[1].Int() < 0 {
				return types.NullValue, fmt.Errorf("%s: number of characters %d is negative", f.name, a[1].Int())
			}
			if a[0].IsNull() {
				return types.NullValue, nil
			}
			r := []rune(a[0].Str())
			from, to := f.span(int(min(a[1].Int(), int64(len(r)))), len(r))
			return mask(r, from, to, a[2:])
		}
		list = append(list, fn(f.name, stringCategory, f.doc, over("value STRING, n INTEGER!", "STRING", b).nullable(),
			over("value STRING, n INTEGER!, "+classes, "STRING", b).nullable()))
	}
	return list
}

func maskAll(a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.NullValue, nil
	}
	r := []rune(a[0].Str())
	return mask(r, 0, len(r), a[1:])
}

// mask replaces runes [from, to) in place. classes is empty or holds the four
// replacements.
func mask(r []rune, from, to int, classes []types.Value) (types.Value, error) {
	replace := [4]rune{'X', 'x', 'n', '-'}
	var keep [4]bool
	for i, c := range classes {
		if c.IsNull() {
			keep[i] = true
			continue
		}
		one := []rune(c.Str())
		if len(one) != 1 {
			return types.NullValue, fmt.Errorf("mask %q is not one character", c.Str())
		}
		replace[i] = one[0]
	}
	for i := from; i < to; i++ {
		class := 3
		switch {
		case unicode.Is(unicode.Lu, r[i]):
			class = 0
		case unicode.Is(unicode.Ll, r[i]):
			class = 1
		case unicode.Is(unicode.Nd, r[i]):
			class = 2
		}
		if !keep[class] {
			r[i] = replace[class]
		}
	}
	return types.NewString(string(r)), nil
}
