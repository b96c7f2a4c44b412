package function_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// overload returns an overload's body.
func overload(t testing.TB, id string) func(args ...types.Value) (types.Value, error) {
	t.Helper()
	o, ok := function.ByID(id)
	if !ok {
		t.Fatalf("no overload %s", id)
	}
	env := &function.Env{}
	return func(args ...types.Value) (types.Value, error) { return o.Body(env, args) }
}

// Instants between the years 1 and 9999, where every pattern letter has a value.
const (
	minInstant = -62135596800000
	maxInstant = 253402300799999
)

// FuzzPattern formats an instant by any pattern of java.time and reads the
// result again: what is read must look the same.
func FuzzPattern(f *testing.F) {
	for i, s := range []string{
		"yyyy-MM-dd'T'HH:mm:ss.SSSXXX", "dd/MM/yy hh:mm a", "EEEE, d MMMM uuuu G", "yyyyMMddHHmmssSSS", "[yyyy]['x''y'][-MM]", "D/u", "Q QQQ qqqq",
		"YYYY-'W'ww-e", "ppppH n N A", "K k h", "xxx XXXXX ZZZZZ O OOOO VV z", "L LLLLL MMMMM EEEEE", "yyy y uuuuu", "''", "S SS SSSSSSSSS", "{", "]", "[[[y]]", "c w W F",
	} {
		f.Add(s, int64(i)*1_234_567_890_123, s)
	}
	write := overload(f, "FORMAT_TIMESTAMP(TIMESTAMP, STRING)")
	read := overload(f, "PARSE_TIMESTAMP(STRING, STRING)")
	f.Fuzz(func(t *testing.T, pattern string, ms int64, text string) {
		p := types.NewString(pattern)
		// Any text: an error or a value, and a value that can be written again.
		if v, err := read(types.NewString(text), p); err == nil {
			if _, err := write(v, p); err != nil && v.Int() >= minInstant && v.Int() <= maxInstant {
				t.Fatalf("%q: %q is read as %d, which cannot be written: %v", pattern, text, v.Int(), err)
			}
		}
		if ms < minInstant || ms > maxInstant {
			ms = minInstant + int64(uint64(ms)%uint64(maxInstant-minInstant))
		}
		if strings.ContainsAny(pattern, "cewWFDqQYEAnN") || strings.Contains(pattern, "a") && !strings.Contains(pattern, "h") {
			return // a field that reading only checks, or that needs others
		}
		if strings.Contains(pattern, "[") {
			return // a number may swallow the digits of an optional section
		}
		s, err := write(types.NewTimestamp(ms), p)
		if err != nil {
			return
		}
		v, err := read(s, p)
		if err != nil {
			return // the pattern does not say enough, or runs numbers together
		}
		again, err := write(v, p)
		if err != nil || again.Str() != s.Str() {
			t.Fatalf("%q: %d is written %q, which is read as %d and written %q, %v", pattern, ms, s.Str(), v.Int(), again.Str(), err)
		}
	})
}

// FuzzRegexp holds the functions over one pattern against each other.
func FuzzRegexp(f *testing.F) {
	for _, s := range []struct{ pattern, value, with string }{
		{`a(b)?`, "abaab", "$1-"}, {`(?i)\bX+?`, "xx Xx", `\$`}, {`^$`, "", "x"}, {`[\p{L}&&[^a]]`, "éa", "${n}"}, {`(?<n>.)|`, "ab\n", "${n}"}, {`(`, "(", "$"},
		{`x*`, "aéx", "-"}, {`(a|b)\1`, "aabb", "$0"}, {`(?=b)`, "ab", ""}, {`\Qa.b\E`, "a.b", "$11"},
	} {
		f.Add(s.pattern, s.value, s.with)
	}
	extract := overload(f, "REGEXP_EXTRACT(STRING, STRING)")
	extractAll := overload(f, "REGEXP_EXTRACT_ALL(STRING, STRING)")
	replace := overload(f, "REGEXP_REPLACE(STRING, STRING, STRING)")
	split := overload(f, "REGEXP_SPLIT_TO_ARRAY(STRING, STRING)")
	f.Fuzz(func(t *testing.T, pattern, value, with string) {
		if !utf8.ValidString(value) || !utf8.ValidString(pattern) || len(pattern) > 64 || len(value) > 256 {
			return
		}
		p, v := types.NewString(pattern), types.NewString(value)
		all, err := extractAll(p, v)
		if err != nil {
			return
		}
		first, err := extract(p, v)
		if err != nil {
			t.Fatalf("%q finds all in %q but not one: %v", pattern, value, err)
		}
		matches := all.Elems()
		if first.IsNull() != (len(matches) == 0) || !first.IsNull() && first.Str() != matches[0].Str() {
			t.Fatalf("%q in %q: one is %v, all are %v", pattern, value, first, matches)
		}
		rest := value
		for _, m := range matches {
			_, behind, ok := strings.Cut(rest, m.Str())
			if !ok {
				t.Fatalf("%q: %q is not found in this order in %q", pattern, m.Str(), value)
			}
			rest = behind
		}
		same, err := replace(v, p, types.NewString("$0"))
		if err != nil || same.Str() != value {
			t.Fatalf("%q: %q with its matches replaced by themselves is %v, %v", pattern, value, same, err)
		}
		parts, err := split(v, p)
		if err != nil {
			t.Fatalf("%q finds all in %q but does not split it: %v", pattern, value, err)
		}
		if n := len(parts.Elems()); n > len(matches)+1 {
			t.Fatalf("%q splits %q into %d by %d matches", pattern, value, n, len(matches))
		}
		if _, err := replace(v, p, types.NewString(with)); err != nil {
			return // the replacement names no group
		}
	})
}
