package function

import (
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2"
)

const (
	// maxPatterns bounds the compiled patterns that are kept. When they are more, all
	// are dropped: patterns are nearly always constants of few queries.
	maxPatterns = 1000
	// matchTimeout bounds one search of the backtracking engine, which some patterns
	// keep busy for a time exponential in the length of the text. The clock behind
	// it ticks every 100 ms, so a search may take up to twice as long.
	matchTimeout = 100 * time.Millisecond
)

// pattern is a compiled pattern with the meaning of java.util.regex. It is searched
// in linear time by RE2 (package regexp) where RE2 can say what Java means, else
// by backtracking, as Java does: the two find the same leftmost-first match.
// Backtracking is needed for look-around, back-references, atomic groups,
// possessive quantifiers and \G; for the matches after the first when the pattern
// can match nothing, since Go leaves out empty ones that Java finds; and for $ and
// \b on the texts whose line ends or letters they mean otherwise in RE2.
//
// Texts that are no UTF-8 have no counterpart in Java: both engines read every
// wrong byte as one U+FFFD, and what they return are the bytes as they were.
// Gaps: \X, \N, (?U), blocks (\p{InGreek}), canonical equivalence.
type pattern struct {
	source       string
	groups       int
	names        map[string]int
	linear       *regexp.Regexp // nil when RE2 cannot say it
	emptyable    bool
	lines, words bool
	backtracking func() (*regexp2.Regexp, error)
}

// patterns caches compiled patterns by their text.
var patterns = struct {
	sync.Mutex // guards m; held for lookups only
	m          map[string]*pattern
}{m: map[string]*pattern{}}

// compile returns the pattern of a text. The error says what is wrong with it.
func compile(text string) (*pattern, error) {
	patterns.Lock()
	p := patterns.m[text]
	patterns.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := newPattern(text)
	if err != nil {
		return nil, fmt.Errorf("invalid regular expression %q: %w", shortened(text), err)
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.m) >= maxPatterns {
		clear(patterns.m)
	}
	patterns.m[text] = p
	return p, nil
}

// shortened is a pattern as messages show it.
func shortened(text string) string {
	const most = 200
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}

func newPattern(text string) (*pattern, error) {
	p := &pattern{source: text}
	p.backtracking = sync.OnceValues(func() (*regexp2.Regexp, error) {
		t, err := translate(text, true)
		if err != nil {
			return nil, err
		}
		re, err := regexp2.Compile(t.text, regexp2.None)
		if err == nil {
			re.MatchTimeout = matchTimeout
		}
		return re, err
	})
	t, err := translate(text, false)
	if err == nil {
		// RE2 refuses what Java takes where it would be too big: a{2000}.
		if p.linear, err = regexp.Compile(t.text); err == nil {
			p.emptyable = matchesNothing(t.text)
		} else {
			p.linear = nil
		}
	}
	if p.linear == nil {
		if t, err = translate(text, true); err == nil {
			_, err = p.backtracking()
		}
		if err != nil {
			return nil, err
		}
	}
	p.groups, p.names, p.lines, p.words = t.groups, t.names, t.lines, t.words
	return p, nil
}

// matchesNothing reports whether a pattern that compiles may match zero characters.
func matchesNothing(text string) bool {
	re, err := syntax.Parse(text, syntax.Perl)
	return err != nil || minWidth(re) == 0
}

// minWidth is the least number of characters that a match has, at most 1.
func minWidth(re *syntax.Regexp) int {
	switch re.Op {
	case syntax.OpLiteral:
		return min(len(re.Rune), 1)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL, syntax.OpNoMatch:
		return 1
	case syntax.OpCapture, syntax.OpPlus:
		return minWidth(re.Sub[0])
	case syntax.OpRepeat:
		return min(re.Min, 1) * minWidth(re.Sub[0])
	case syntax.OpConcat:
		for _, sub := range re.Sub {
			if minWidth(sub) > 0 {
				return 1
			}
		}
	case syntax.OpAlternate:
		for _, sub := range re.Sub {
			if minWidth(sub) == 0 {
				return 0
			}
		}
		return 1
	}
	return 0
}

// linearFor reports whether RE2 gives Java's answer for a text.
func (p *pattern) linearFor(s string) bool {
	switch {
	case p.linear == nil:
		return false
	case p.lines && (s == "" || strings.HasSuffix(s, "\n") || strings.ContainsAny(s, "\r\u0085\u2028\u2029")):
		return false
	case p.words:
		for i := range len(s) {
			if s[i] >= utf8.RuneSelf {
				return false
			}
		}
	}
	return true
}

// find returns the first match in s as pairs of byte offsets by group, -1 where a
// group took no part; nil when there is none. It fails when the search takes
// longer than matchTimeout.
func (p *pattern) find(s string) ([]int, error) {
	if p.linearFor(s) {
		return p.linear.FindStringSubmatchIndex(s), nil
	}
	var first []int
	err := p.backtrack(s, func(loc []int) bool {
		first = loc
		return false
	})
	return first, err
}

// findAll returns all matches as Matcher.find gives them one after the other: an
// empty one may begin where the one before ended.
func (p *pattern) findAll(s string) ([][]int, error) {
	if !p.emptyable && p.linearFor(s) {
		return p.linear.FindAllStringSubmatchIndex(s, -1), nil
	}
	var all [][]int
	err := p.backtrack(s, func(loc []int) bool {
		all = append(all, loc)
		return true
	})
	return all, err
}

// backtrack gives the matches in s to yield until that returns false.
func (p *pattern) backtrack(s string, yield func(loc []int) bool) error {
	re, err := p.backtracking()
	if err != nil {
		return fmt.Errorf("invalid regular expression %q: %w", shortened(p.source), err)
	}
	// regexp2 counts characters.
	offsets := make([]int, 0, len(s)+1)
	runes := make([]rune, 0, len(s))
	for i, r := range s {
		offsets, runes = append(offsets, i), append(runes, r)
	}
	offsets = append(offsets, len(s))
	m, err := re.FindRunesMatch(runes)
	for ; err == nil && m != nil; m, err = re.FindNextMatch(m) {
		loc := make([]int, 0, 2*(p.groups+1))
		for _, g := range m.Groups() {
			if len(g.Captures) == 0 {
				loc = append(loc, -1, -1)
				continue
			}
			loc = append(loc, offsets[g.Index], offsets[g.Index+g.Length])
		}
		if !yield(loc) {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("regular expression %q needed more than %s", shortened(p.source), matchTimeout)
	}
	return nil
}
