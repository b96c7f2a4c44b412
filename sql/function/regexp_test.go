package function

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

// What each pattern finds is what java.util.regex finds (Java SE 17).
var javaMatches = []struct {
	pattern, text string
	want          string // the matches, | between; "-" for none
	linear        bool   // whether RE2 can say it
}{
	{`a(?=b)`, "acab", "a", false},
	{`(?<!x)y`, "xyzy", "y", false},
	{`(?<=\d)[a-z]`, "a1b2c", "b|c", false},
	{`(\w)\1`, "hello aab", "ll|aa", false},
	{`(?<c>\w)\k<c>`, "hello", "ll", false},
	{`(?i)(a)\1`, "aA", "aA", false},
	{`(a)\10`, "aa0", "aa0", false},
	{`(a)|\2b`, "ab", "a", false},
	{`a*+a`, "aaa", "-", false},
	{`(?>a|ab)c`, "abc", "-", false},
	{`"[^"]*+"`, `say "hi"`, `"hi"`, false},
	{`\Gab`, "ababxab", "ab|ab", false},
	{`x{2000}`, strings.Repeat("x", 2001), strings.Repeat("x", 2000), false},
	{`a\R`, "a\r\na\u2028a", "a\r\n|a\u2028", true},
	{`\h+`, "a \t\u00a0b", " \t\u00a0", true},
	{`\v`, "a\x0bb\n", "\x0b|\n", true},
	{`\s`, "\x0b", "\x0b", true},
	{`[^\s]`, "\x0ba", "a", true},
	{`\S\H\V`, "a\tb\nabc", "b\na", true},
	{`\Qa.b\E+`, "a.bb axb", "a.bb", true},
	{`[\Q^-]\E]`, "a]^-", "]|^|-", true},
	{`[a-z&&[^bc]]+`, "abcde", "a|de", true},
	{`[a-d[m-p]]+`, "amz", "am", true},
	{`[^a-d[m-p]]`, "amz", "z", true},
	{`[a-z&&[def]&&[ex]]`, "defx", "e", true},
	{`[]a]`, "]a", "]|a", true},
	{`[a-]`, "b-", "-", true},
	{`\p{Alpha}\p{Digit}`, "é1a1", "a1", true},
	{`\p{javaLowerCase}+`, "Ünïcode", "nïcode", true},
	{`\p{IsGreek}\p{Lu}\pN`, "αA1", "αA1", true},
	{`\P{Punct}`, "!a", "a", true},
	{`\p{script=Latin}`, "яq", "q", true},
	{`(?i)k`, "K\u212a", "K", true}, // the Kelvin sign folds with (?iu) only
	{`(?iu)k`, "K\u212a", "K|\u212a", true},
	{`(?i)[^a]`, "Ab", "b", true},
	{`(?i)\p{Lower}`, "A1", "A", true},
	{`(?iu)é`, "É", "É", true},
	{`(?i)é`, "É", "-", true},
	{`a(?i)b|c`, "aBC", "aB|C", true},
	{`(a(?i)b)c`, "aBC", "-", true},
	{`(?x) a b # both`, "ab", "ab", true},
	{`(?x)[a b]`, "a ", "a", true},
	{`a.c`, "a\nc a\rc a\u0085c abc", "abc", true},
	{`(?d)a.c`, "a\nc a\rc", "a\rc", true},
	{`(?s)a.c`, "a\nc", "a\nc", true},
	{`a$`, "a\n", "a", true},
	{`a$`, "a\nb", "-", true},
	{`a$`, "a\r\n", "a", true},
	{`a\Z`, "aa\n", "a", true},
	{`a\z`, "a\n", "-", true},
	{`(?m)^a$`, "a\na\r\na", "a|a|a", true},
	{`(?m)^`, "a\n", "", true},
	{`(?m)^`, "", "-", true},
	{`(?m-m)a$`, "a\nb", "-", true},
	{`\bé\b`, "é", "é", true}, // before Java 19 \b knows letters of all scripts
	{`\b\w+\b`, "ab cd", "ab|cd", true},
	{`é\B`, "éa é", "é", true},
	{`a*`, "baac", "|aa||", true},
	{`\x41\u0042\0103\x{1F600}\cA`, "ABC😀\x01", "ABC😀\x01", true},
	{`\ud83d\ude00`, "😀", "😀", true},
	{`.`, "a\xffb", "a|\xff|b", true}, // no UTF-8: a character per wrong byte
	{`(?=a).(?<n>.)`, "xa\xff", "a\xff", false},
	{``, "", "", true},
	{`a{2}?a`, "aaaa", "aaa", true},
	{`a{00}b{01,}`, "bb", "bb", true},
	{`[^,]`, "0,", "0", true},
	{`\-\é`, "-é", "-é", true},
	{`[\x{10000}-\x{10ffff}]`, "a😀", "😀", true},
	{`[a&&b]`, "ab", "-", true},
	{`a#b }]`, "a#b }]", "a#b }]", true},
}

func TestJavaPatterns(t *testing.T) {
	for _, test := range javaMatches {
		p, err := compile(test.pattern)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
			continue
		}
		if (p.linear != nil) != test.linear {
			t.Errorf("%q: linear %v", test.pattern, p.linear != nil)
		}
		matches, err := p.findAll(test.text)
		if err != nil {
			t.Errorf("%q: %v", test.pattern, err)
		}
		if got := joined(test.text, matches); got != test.want {
			t.Errorf("%q in %q: %q, want %q", test.pattern, test.text, got, test.want)
		}
	}
}

func joined(text string, matches [][]int) string {
	if len(matches) == 0 {
		return "-"
	}
	var parts []string
	for _, loc := range matches {
		parts = append(parts, text[loc[0]:loc[1]])
	}
	return strings.Join(parts, "|")
}

// Both engines give the same answer where both can be asked.
func TestEnginesAgree(t *testing.T) {
	for _, test := range javaMatches {
		if !test.linear {
			continue
		}
		p, err := compile(test.pattern)
		if err != nil || !p.linearFor(test.text) {
			continue
		}
		var slow []int
		if err := p.backtrack(test.text, func(loc []int) bool { slow = loc; return false }); err != nil {
			t.Errorf("%q: %v", test.pattern, err)
		}
		fast := p.linear.FindStringSubmatchIndex(test.text)
		if len(fast) != len(slow) || fast != nil && (fast[0] != slow[0] || fast[1] != slow[1]) {
			t.Errorf("%q in %q: %v and %v", test.pattern, test.text, fast, slow)
		}
	}
}

func TestPatternErrors(t *testing.T) {
	for pattern, want := range map[string]string{
		`(`: "unclosed group", `)`: "unmatched closing", `*a`: "dangling", `a**`: "dangling", `[a`: "unclosed character class", `a{2`: "unclosed counted",
		`a{x}`: "illegal repetition", `a{3,2}`: "illegal repetition", `\`: "ends with a backslash", `[z-a]`: "illegal character range",
		`\p{InGreek}`: "no character property {InGreek}", `\p{`: "unclosed character family", `\X`: `\X is not supported`, `\N{DIGIT ONE}`: `\N is not supported`,
		`(?U)\w`: "(?U)", `(?q)`: "unknown inline modifier", `(?<1a>x)`: "a group's name", `(?<a>x)(?<a>y)`: "already defined", `\k<b>`: "does not exist",
		`\x{110000}`: `escape sequence \x`, `\u12`: `escape sequence \u`, `\ud83d\u0041`: "surrogate", "\xff": "not UTF-8", `[a-\d]`: "illegal character range",
		strings.Repeat("(", 300): "nest deeper", strings.Repeat("[", 300): "nest deeper", strings.Repeat("a", maxPatternBytes+1): "the most is",
		`\0`: `\0`, `\c`: "control escape", `\p`: "unknown character property", `(?i`: "unclosed group", `\y`: `\y is not supported`,
	} {
		_, err := compile(pattern)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: error %v, want %q", pattern, err, want)
		}
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%.40q: the error repeats the whole pattern", pattern)
		}
	}
}

func TestMatchTimeout(t *testing.T) {
	p, err := compile(`(?=x)(x+)+$`)
	if err != nil {
		t.Fatal(err)
	}
	re, err := p.backtracking()
	if err != nil {
		t.Fatal(err)
	}
	if re.MatchTimeout != matchTimeout {
		t.Fatal("the search has no limit")
	}
	limited := *re
	limited.MatchTimeout = time.Millisecond
	p.backtracking = func() (*regexp2.Regexp, error) { return &limited, nil }
	if _, err := p.find(strings.Repeat("x", 200) + "y"); err == nil || !strings.Contains(err.Error(), "needed more than") {
		t.Fatalf("exponential search: %v", err)
	}
	patterns.Lock()
	clear(patterns.m)
	patterns.Unlock()
}

func TestPatternCacheIsBounded(t *testing.T) {
	for i := range 2 * maxPatterns {
		if _, err := compile("a" + strings.Repeat("b", i%1000) + string(rune('A'+i%26))); err != nil {
			t.Fatal(err)
		}
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.m) > maxPatterns {
		t.Fatalf("%d patterns are kept", len(patterns.m))
	}
}

// FuzzRegexpEngines holds that no pattern panics or blocks, that matches lie in the text
// in order, and that both engines find the same first match.
func FuzzRegexpEngines(f *testing.F) {
	for _, test := range javaMatches {
		f.Add(test.pattern, test.text)
	}
	f.Fuzz(func(t *testing.T, pattern, text string) {
		if len(pattern) > 100 || len(text) > 100 {
			return
		}
		p, err := newPattern(pattern)
		if err != nil {
			return
		}
		matches, err := p.findAll(text)
		if err != nil {
			return
		}
		end := 0
		for _, loc := range matches {
			if len(loc) != 2*(p.groups+1) || loc[0] < end || loc[1] < loc[0] || loc[1] > len(text) {
				t.Fatalf("%q in %q: %v", pattern, text, matches)
			}
			end = loc[1]
		}
		if p.linear == nil || !p.linearFor(text) || !utf8.ValidString(text) {
			return
		}
		fast := p.linear.FindStringSubmatchIndex(text)
		var slow []int
		if err := p.backtrack(text, func(loc []int) bool { slow = loc; return false }); err != nil {
			return
		}
		if (fast == nil) != (slow == nil) || fast != nil && (fast[0] != slow[0] || fast[1] != slow[1]) {
			t.Fatalf("%q in %q: %v and %v", pattern, text, fast, slow)
		}
	})
}
