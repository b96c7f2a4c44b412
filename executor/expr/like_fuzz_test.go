package expr

import (
	"regexp"
	"strings"
	"testing"
)

// FuzzPattern holds LIKE against the regular expression that means the same.
func FuzzPattern(f *testing.F) {
	for _, s := range []struct {
		pattern, text string
		escape        int32
	}{
		{"a%b_", "axxbc", -3}, {"%%a%", "a", -3}, {`\%\\`, `%\`, '\\'}, {"!__", "_é", '!'}, {"a%a%a%b", "aaaaaaaaaa", -3}, {"%\xff", "\xff\xfe", 0xfffd}, {"x!", "x", '!'}, {"", "", '%'},
	} {
		f.Add(s.pattern, s.text, s.escape)
	}
	f.Fuzz(func(t *testing.T, pattern, text string, escape int32) {
		if len(pattern) > 100 || len(text) > 1000 || escape == anyRune || escape == anyRun {
			return
		}
		p, err := parseLike(pattern, escape)
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString(`(?s)\A`)
		for _, r := range p {
			switch r {
			case anyRune:
				b.WriteString(".")
			case anyRun:
				b.WriteString(".*")
			default:
				b.WriteString(regexp.QuoteMeta(string(r)))
			}
		}
		if want := regexp.MustCompile(b.String() + `\z`).MatchString(text); p.match(text) != want {
			t.Fatalf("%q LIKE %q ESCAPE %q is %t, expected %t", text, pattern, escape, !want, want)
		}
	})
}
