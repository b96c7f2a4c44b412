package function

import (
	"fmt"
	"regexp"
	"strings"
	"sync"

	"github.com/millrace/millrace/sql/types"
)

// Patterns are RE2's: Go's regexp package, which runs in linear time. Gaps:
// lookahead and lookbehind, back-references in a pattern, possessive quantifiers
// and class intersection, which Java's patterns have, are errors.

// maxPatterns bounds the compiled patterns that are kept. When they are more, all
// are dropped: patterns are nearly always constants of few queries.
const maxPatterns = 1000

// patterns caches compiled patterns by their text.
var patterns = struct {
	sync.Mutex // guards m; held for lookups only
	m          map[string]*regexp.Regexp
}{m: map[string]*regexp.Regexp{}}

func compile(pattern string) (*regexp.Regexp, error) {
	patterns.Lock()
	re := patterns.m[pattern]
	patterns.Unlock()
	if re != nil {
		return re, nil
	}
	re, err := regexp.Compile(pattern)
	if err != nil {
		return nil, fmt.Errorf("pattern %q is not supported: %w", pattern, err)
	}
	patterns.Lock()
	defer patterns.Unlock()
	if len(patterns.m) >= maxPatterns {
		clear(patterns.m)
	}
	patterns.m[pattern] = re
	return re, nil
}

func regexpFunctions() []*Function {
	const category = "REGULAR EXPRESSION"
	return []*Function{
		fn("REGEXP_EXTRACT", category, "The first match of a pattern, or of one of its groups.",
			over("pattern STRING, value STRING", "STRING", regexpExtract), over("pattern STRING, value STRING, group INTEGER", "STRING", regexpExtract)),
		fn("REGEXP_EXTRACT_ALL", category, "All matches of a pattern, or of one of its groups.",
			over("pattern STRING, value STRING", "ARRAY<STRING>", regexpExtractAll),
			over("pattern STRING, value STRING, group INTEGER", "ARRAY<STRING>", regexpExtractAll)),
		fn("REGEXP_REPLACE", category, "Every match of a pattern replaced; $1 and ${name} stand for groups.",
			over("value STRING, pattern STRING, new STRING", "STRING", regexpReplace)),
		fn("REGEXP_SPLIT_TO_ARRAY", category, "The parts between the matches of a pattern.",
			over("value STRING, pattern STRING", "ARRAY<STRING>", regexpSplit)),
	}
}

// group returns the group asked for; ok is false when the pattern has fewer.
func group(re *regexp.Regexp, a []types.Value) (n int, ok bool) {
	if len(a) > 2 {
		n = int(a[2].Int())
	}
	return n, n >= 0 && n <= re.NumSubexp()
}

func regexpExtract(a []types.Value) (types.Value, error) {
	re, err := compile(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	n, ok := group(re, a)
	if !ok {
		return types.NullValue, nil
	}
	return matchGroup(a[1].Str(), re.FindStringSubmatchIndex(a[1].Str()), n), nil
}

// matchGroup returns group n of a match, NULL when it took no part.
func matchGroup(s string, loc []int, n int) types.Value {
	if loc == nil || loc[2*n] < 0 {
		return types.NullValue
	}
	return types.NewString(s[loc[2*n]:loc[2*n+1]])
}

func regexpExtractAll(a []types.Value) (types.Value, error) {
	re, err := compile(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	n, ok := group(re, a)
	if !ok {
		return types.NullValue, nil
	}
	var list []types.Value
	for _, loc := range re.FindAllStringSubmatchIndex(a[1].Str(), -1) {
		list = append(list, matchGroup(a[1].Str(), loc, n))
	}
	return types.NewArray(list), nil
}

func regexpReplace(a []types.Value) (types.Value, error) {
	re, err := compile(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	template, err := expandTemplate(re, a[2].Str())
	if err != nil {
		return types.NullValue, err
	}
	return types.NewString(re.ReplaceAllString(a[0].Str(), template)), nil
}

// expandTemplate turns Java's replacement text into Go's: \x stands for x, $n
// takes as many digits as there are groups for, $ alone is an error.
func expandTemplate(re *regexp.Regexp, s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			if s[i] == '$' {
				b.WriteString("$$")
			} else {
				b.WriteByte(s[i])
			}
		case s[i] == '\\':
			return "", fmt.Errorf("replacement %q ends with a backslash", s)
		case s[i] == '$' && strings.HasPrefix(s[i:], "${"):
			end := strings.IndexByte(s[i:], '}')
			if end < 0 || re.SubexpIndex(s[i+2:i+end]) < 0 {
				return "", fmt.Errorf("replacement %q refers to a group that the pattern does not have", s)
			}
			b.WriteString(s[i : i+end+1])
			i += end
		case s[i] == '$':
			n, digits := -1, 0
			for j := i + 1; j < len(s) && s[j] >= '0' && s[j] <= '9'; j++ {
				next := max(n, 0)*10 + int(s[j]-'0')
				if next > re.NumSubexp() && digits > 0 {
					break
				}
				n, digits = next, digits+1
			}
			if n < 0 || n > re.NumSubexp() {
				return "", fmt.Errorf("replacement %q refers to a group that the pattern does not have", s)
			}
			fmt.Fprintf(&b, "${%d}", n)
			i += digits
		default:
			b.WriteByte(s[i])
		}
	}
	return b.String(), nil
}

// regexpSplit keeps empty parts. A match of nothing at the start of the text
// splits nothing off, and where the pattern can match nothing, empty parts at
// the end are dropped, as Java's String.split does.
func regexpSplit(a []types.Value) (types.Value, error) {
	re, err := compile(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	s := a[0].Str()
	var parts []string
	start := 0
	for _, loc := range re.FindAllStringIndex(s, -1) {
		if loc[1] == 0 || loc[0] == loc[1] && loc[0] == len(s) {
			continue
		}
		parts = append(parts, s[start:loc[0]])
		start = loc[1]
	}
	parts = append(parts, s[start:])
	if re.MatchString("") {
		for len(parts) > 1 && parts[len(parts)-1] == "" {
			parts = parts[:len(parts)-1]
		}
	}
	return arrayOf(parts, types.NewString), nil
}
