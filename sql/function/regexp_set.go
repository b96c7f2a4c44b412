package function

import (
	"slices"
	"unicode"
)

// runeSet is a set of characters: pairs of a first and a last one, in order,
// neither overlapping nor touching once normal has been called.
type runeSet []rune

func (s runeSet) with(lo, hi rune) runeSet { return append(s, lo, hi) }

// normal sorts and joins the ranges.
func (s runeSet) normal() runeSet {
	pairs := make([][2]rune, 0, len(s)/2)
	for i := 0; i < len(s); i += 2 {
		pairs = append(pairs, [2]rune{s[i], s[i+1]})
	}
	slices.SortFunc(pairs, func(a, b [2]rune) int { return int(a[0] - b[0]) })
	out := runeSet{}
	for _, p := range pairs {
		if n := len(out); n > 0 && p[0] <= out[n-1]+1 {
			out[n-1] = max(out[n-1], p[1])
			continue
		}
		out = append(out, p[0], p[1])
	}
	return out
}

// negated returns what is not in a normal set.
func (s runeSet) negated() runeSet {
	out, next := runeSet{}, rune(0)
	for i := 0; i < len(s); i += 2 {
		if next < s[i] {
			out = append(out, next, s[i]-1)
		}
		next = s[i+1] + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, next, unicode.MaxRune)
	}
	return out
}

// and returns what is in both of two normal sets.
func (s runeSet) and(t runeSet) runeSet {
	return append(slices.Clone(s.negated()), t.negated()...).normal().negated()
}

func (s runeSet) has(r rune) bool {
	i, found := slices.BinarySearch(s, r)
	return found || i%2 == 1
}

// maxFolded is above the last character that has another case.
const maxFolded = 0x1E944

// folded adds the other cases of a normal set's letters: of ASCII's alone, or by
// Unicode's simple folding.
func (s runeSet) folded(allUnicode bool) runeSet {
	out, end := slices.Clone(s), rune(maxFolded)
	if !allUnicode {
		end = unicode.MaxASCII + 1
	}
	for r := rune(0); r < end; r++ {
		if !s.has(r) {
			continue
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if f < end || allUnicode {
				out = append(out, f, f)
			}
		}
	}
	return out.normal()
}

// tableSet returns the characters of Unicode tables.
func tableSet(tables ...*unicode.RangeTable) runeSet {
	out := runeSet{}
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			out = append(out, lo, hi)
			return
		}
		for r := lo; r <= hi; r += stride {
			out = append(out, r, r)
		}
	}
	for _, t := range tables {
		for _, r := range t.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range t.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return out.normal()
}

// The surrogates are no characters of UTF-8, and no pattern may hold them.
const (
	firstSurrogate = 0xD800
	lastSurrogate  = 0xDFFF
)

// class returns a class of the set that RE2 and regexp2 read alike.
func (s runeSet) class() string {
	s = s.and(runeSet{firstSurrogate, lastSurrogate}.negated())
	if len(s) == 0 {
		return "[^\\x00-\U0010FFFF]"
	}
	out := []byte{'['}
	for i := 0; i < len(s); i += 2 {
		out = appendClassRune(out, s[i])
		if s[i] != s[i+1] {
			out = append(out, '-')
			out = appendClassRune(out, s[i+1])
		}
	}
	return string(append(out, ']'))
}

func appendClassRune(out []byte, r rune) []byte {
	switch r {
	case '-': // regexp2 takes no \- for an end of a range
		return append(out, `\x2D`...)
	case '\\', '[', ']', '^':
		out = append(out, '\\')
	}
	return append(out, string(r)...)
}
