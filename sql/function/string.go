package function

import (
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/millrace/millrace/sql/types"
)

const stringCategory = "STRING"

// maxText bounds the text that a function makes out of little, as LPAD does.
const maxText = 64 << 20

// Positions in text count characters (Unicode code points). The original counts
// UTF-16 units, which differs for characters beyond U+FFFF.

// text describes a body over STRINGs that gives a STRING.
func text(f func(a []types.Value) string) body {
	return func(a []types.Value) (types.Value, error) { return types.NewString(f(a)), nil }
}

func stringFunctions() []*Function {
	return []*Function{
		fn("CHR", stringCategory, "The character of a code point, or of a code written as \\uXXXX; NULL for an invalid one.",
			over("code INTEGER", "STRING", chrNumber), over("code STRING", "STRING", chrText)),
		fn("CONCAT", stringCategory, "The arguments one after the other, NULL left out.",
			over("part STRING...", "STRING", concat(types.NewString)).nullable(), over("part BYTES...", "BYTES", concat(newBytes)).nullable()),
		fn("CONCAT_WS", stringCategory, "The arguments with a separator between them, NULL left out.",
			over("separator STRING, part STRING...", "STRING", concatWS(types.NewString)).nullable(),
			over("separator BYTES, part BYTES...", "BYTES", concatWS(newBytes)).nullable()),
		fn("ELT", stringCategory, "The n-th of the strings, from 1; NULL when there is none.", over("n INTEGER!, part STRING...", "STRING", elt).nullable()),
		fn("FIELD", stringCategory, "The index, from 1, of a string among others; 0 when it is absent.",
			over("value STRING, part STRING...", "INTEGER", fieldIndex).nullable()),
		fn("INITCAP", stringCategory, "The first letter of every word in upper case, the others in lower case.",
			over("value STRING", "STRING", text(func(a []types.Value) string { return initcap(a[0].Str()) }))),
		fn("INSTR", stringCategory, "Position of a substring, from 1, or 0; a negative position searches backwards from that far before the end.",
			over("value STRING, part STRING", "INTEGER", instr).nullable(), over("value STRING, part STRING, position INTEGER!", "INTEGER", instr).nullable(),
			over("value STRING, part STRING, position INTEGER!, occurrence INTEGER!", "INTEGER", instr).nullable()),
		fn("LCASE", stringCategory, "In lower case.", over("value STRING", "STRING", text(func(a []types.Value) string { return lowerCase(a[0].Str()) }))),
		fn("UCASE", stringCategory, "In upper case.", over("value STRING", "STRING", text(func(a []types.Value) string { return upperCase(a[0].Str()) }))),
		fn("LEN", stringCategory, "Number of characters (Unicode code points, where KSQL counts UTF-16 units), or of bytes.",
			over("value STRING", "INTEGER", integer(func(a []types.Value) int64 { return int64(utf8.RuneCountInString(a[0].Str())) })),
			over("value BYTES", "INTEGER", integer(func(a []types.Value) int64 { return int64(len(a[0].Str())) }))),
		fn("LPAD", stringCategory, "Padded on the left, or cut on the right, to a length.", padOverloads(true)...),
		fn("RPAD", stringCategory, "Padded, or cut, on the right to a length.", padOverloads(false)...),
		fn("MD5", stringCategory, "MD5 hash of the UTF-8 text in hexadecimal.", over("value STRING", "STRING", text(func(a []types.Value) string {
			sum := md5.Sum([]byte(a[0].Str()))
			return hex.EncodeToString(sum[:])
		}))),
		fn("REPLACE", stringCategory, "Every occurrence of a substring replaced.",
			over("value STRING, old STRING, new STRING", "STRING", text(func(a []types.Value) string {
				return strings.ReplaceAll(a[0].Str(), a[1].Str(), a[2].Str())
			}))),
		fn("SPLIT", stringCategory, "The parts between delimiters; an empty delimiter splits every character.",
			over("value STRING, delimiter STRING", "ARRAY<STRING>", split(types.NewString)),
			over("value BYTES, delimiter BYTES", "ARRAY<BYTES>", split(newBytes))),
		fn("SPLIT_TO_MAP", stringCategory, "Entries of a text such as a=1;b=2 as a MAP; entries without the second delimiter are skipped.",
			over("value STRING, entryDelimiter STRING, keyDelimiter STRING", "MAP<STRING, STRING>", splitToMap)),
		fn("SUBSTRING", stringCategory, "From a position on, from 1 or negative from the end, of a length when given; both in characters (Unicode code points), or bytes.",
			over("value STRING, pos INTEGER", "STRING", substring), over("value STRING, pos INTEGER, len INTEGER", "STRING", substring),
			over("value BYTES, pos INTEGER", "BYTES", subbytes), over("value BYTES, pos INTEGER, len INTEGER", "BYTES", subbytes)),
		fn("TRIM", stringCategory, "Without white space and control characters at both ends.", over("value STRING", "STRING", text(func(a []types.Value) string {
			return strings.TrimFunc(a[0].Str(), func(r rune) bool { return r <= ' ' })
		}))),
		fn("UUID", stringCategory, "A random UUID, or 16 bytes written as one.", overEnv("", "STRING", randomUUID).volatile(), over("value BYTES", "STRING", uuidOf)),
	}
}

func newBytes(s string) types.Value { return types.NewBytes([]byte(s)) }

func chrNumber(a []types.Value) (types.Value, error) {
	n := a[0].Int()
	if n < 0 || n > unicode.MaxRune || utf16.IsSurrogate(rune(n)) {
		return types.NullValue, nil
	}
	return types.NewString(string(rune(n))), nil
}

// chrText reads \uXXXX, or two of them for a surrogate pair.
func chrText(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	var units []uint16
	for rest := s; rest != ""; rest = rest[6:] {
		if len(rest) < 6 || rest[0] != '\\' || rest[1] != 'u' {
			return types.NullValue, nil
		}
		n, err := strconv.ParseUint(rest[2:6], 16, 16)
		if err != nil {
			return types.NullValue, nil // not a code: NULL by definition
		}
		units = append(units, uint16(n))
	}
	runes := utf16.Decode(units)
	if len(runes) == 0 || runes[0] == unicode.ReplacementChar && units[0] != unicode.ReplacementChar {
		return types.NullValue, nil
	}
	return types.NewString(string(runes)), nil
}

func concat(make func(string) types.Value) body {
	return func(a []types.Value) (types.Value, error) {
		var b strings.Builder
		for _, v := range a {
			b.WriteString(v.Str())
		}
		return make(b.String()), nil
	}
}

func concatWS(make func(string) types.Value) body {
	return func(a []types.Value) (types.Value, error) {
		if len(a) < 2 {
			return types.NullValue, fmt.Errorf("CONCAT_WS needs a separator and at least one value")
		}
		if a[0].IsNull() {
			return types.NullValue, nil
		}
		var parts []string
		for _, v := range a[1:] {
			if !v.IsNull() {
				parts = append(parts, v.Str())
			}
		}
		return make(strings.Join(parts, a[0].Str())), nil
	}
}

func elt(a []types.Value) (types.Value, error) {
	if n := a[0].Int(); n >= 1 && n < int64(len(a)) {
		return a[n], nil
	}
	return types.NullValue, nil
}

func fieldIndex(a []types.Value) (types.Value, error) {
	if !a[0].IsNull() {
		if i := indexOf(a[1:], a[0]); i >= 0 {
			return types.NewInteger(int32(i + 1)), nil
		}
	}
	return types.NewInteger(0), nil
}

func initcap(s string) string {
	start := true
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			start = true
			return r
		case start:
			start = false
			return unicode.ToUpper(r)
		}
		return unicode.ToLower(r)
	}, strings.TrimLeftFunc(s, unicode.IsSpace))
}

func instr(a []types.Value) (types.Value, error) {
	none := types.NewInteger(0)
	if a[0].IsNull() || a[1].IsNull() {
		return none, nil
	}
	s, part := []rune(a[0].Str()), []rune(a[1].Str())
	pos, occurrence := int64(1), int64(1)
	if len(a) > 2 {
		pos = a[2].Int()
	}
	if len(a) > 3 {
		occurrence = a[3].Int()
	}
	if absInt(pos) > int64(len(s)) || occurrence < 1 {
		return none, nil
	}
	step, at := 1, max(int(pos)-1, 0)
	if pos < 0 {
		step, at = -1, len(s)+int(pos)
	}
	for ; at >= 0 && at < len(s); at += step {
		if !hasPrefix(s[at:], part) {
			continue
		}
		if occurrence--; occurrence == 0 {
			return types.NewInteger(int32(at + 1)), nil
		}
	}
	return none, nil
}

func hasPrefix(s, prefix []rune) bool {
	if len(s) < len(prefix) {
		return false
	}
	for i, r := range prefix {
		if s[i] != r {
			return false
		}
	}
	return true
}

func padOverloads(left bool) []*Overload {
	return []*Overload{
		over("value STRING, length INTEGER, padding STRING", "STRING", func(a []types.Value) (types.Value, error) {
			out, ok, err := pad([]rune(a[0].Str()), []rune(a[2].Str()), a[1].Int(), left)
			if !ok || err != nil {
				return types.NullValue, err
			}
			return types.NewString(string(out)), nil
		}),
		over("value BYTES, length INTEGER, padding BYTES", "BYTES", func(a []types.Value) (types.Value, error) {
			out, ok, err := pad([]byte(a[0].Str()), []byte(a[2].Str()), a[1].Int(), left)
			if !ok || err != nil {
				return types.NullValue, err
			}
			return types.NewBytes(out), nil
		}),
	}
}

// pad returns s with exactly n elements; ok is false where the answer is NULL.
func pad[T rune | byte](s, padding []T, n int64, left bool) (out []T, ok bool, err error) {
	switch {
	case n < 0 || len(padding) == 0:
		return nil, false, nil
	case n > maxText:
		return nil, false, fmt.Errorf("length %d is more than the limit of %d", n, maxText)
	case int64(len(s)) >= n:
		return s[:n], true, nil
	}
	fill := make([]T, 0, n)
	for i := range int(n) - len(s) {
		fill = append(fill, padding[i%len(padding)])
	}
	if left {
		return append(fill, s...), true, nil
	}
	return append(s[:len(s):len(s)], fill...), true, nil
}

func split(make func(string) types.Value) body {
	return func(a []types.Value) (types.Value, error) {
		var parts []string
		switch s, delimiter := a[0].Str(), a[1].Str(); {
		case s == "":
			parts = []string{""}
		case delimiter == "" && a[0].Kind() == types.KindBytes:
			for i := range len(s) {
				parts = append(parts, s[i:i+1])
			}
		default:
			parts = strings.Split(s, delimiter)
		}
		return arrayOf(parts, make), nil
	}
}

func arrayOf(parts []string, make func(string) types.Value) types.Value {
	var list []types.Value
	for _, p := range parts {
		list = append(list, make(p))
	}
	return types.NewArray(list)
}

func splitToMap(a []types.Value) (types.Value, error) {
	s, entryDelimiter, keyDelimiter := a[0].Str(), a[1].Str(), a[2].Str()
	if entryDelimiter == "" || keyDelimiter == "" || entryDelimiter == keyDelimiter {
		return types.NullValue, nil
	}
	m := newMap()
	for _, entry := range strings.Split(s, entryDelimiter) {
		parts := strings.Split(entry, keyDelimiter)
		if entry == "" || len(parts) < 2 {
			continue
		}
		m.put(types.NewString(parts[0]), types.NewString(parts[1]))
	}
	return m.value(), nil
}

// slice returns the range [start, end) of n elements for SUBSTRING.
func slice(a []types.Value, n int) (start, end int) {
	size := int64(n)
	pos := a[1].Int()
	first := min(max(pos-1, 0), size)
	if pos < 0 {
		first = max(size+pos, 0)
	}
	last := size
	if len(a) > 2 {
		last = max(first, min(first+a[2].Int(), size))
	}
	return int(first), int(last)
}

func substring(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	if isASCII(s) {
		start, end := slice(a, len(s))
		return types.NewString(s[start:end]), nil
	}
	r := []rune(s)
	start, end := slice(a, len(r))
	return types.NewString(string(r[start:end])), nil
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func subbytes(a []types.Value) (types.Value, error) {
	s := a[0].Str()
	start, end := slice(a, len(s))
	return newBytes(s[start:end]), nil
}

func formatUUID(b []byte) types.Value {
	h := hex.EncodeToString(b)
	return types.NewString(h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:])
}

// randomUUID makes a version 4 UUID (RFC 9562).
func randomUUID(env *Env, _ []types.Value) (types.Value, error) {
	var b [16]byte
	for i := 0; i < len(b); i += 8 {
		r := env.Random()
		for j := range 8 {
			b[i+j] = byte(r >> (8 * j))
		}
	}
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return formatUUID(b[:]), nil
}

func uuidOf(a []types.Value) (types.Value, error) {
	if len(a[0].Str()) != 16 {
		return types.NullValue, nil
	}
	return formatUUID([]byte(a[0].Str())), nil
}
