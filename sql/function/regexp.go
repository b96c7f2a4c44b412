package function

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// maxReplacedBytes bounds the result of REGEXP_REPLACE: a replacement that repeats a
// group many times makes much of little.
const maxReplacedBytes = 64 << 20

func regexpFunctions() []*Function {
	const category = "REGULAR EXPRESSION"
	return []*Function{
		fn("REGEXP_EXTRACT", category, "The first match of a pattern, or of one of its groups.",
			over("pattern STRING~regex, value STRING", "STRING", regexpExtract), over("pattern STRING~regex, value STRING, group INTEGER", "STRING", regexpExtract)),
		fn("REGEXP_EXTRACT_ALL", category, "All matches of a pattern, or of one of its groups.",
			over("pattern STRING~regex, value STRING", "ARRAY<STRING>", regexpExtractAll),
			over("pattern STRING~regex, value STRING, group INTEGER", "ARRAY<STRING>", regexpExtractAll)),
		fn("REGEXP_REPLACE", category, "Every match of a pattern replaced; $1 and ${name} stand for groups.",
			over("value STRING, pattern STRING~regex, new STRING", "STRING", regexpReplace)),
		fn("REGEXP_SPLIT_TO_ARRAY", category, "The parts between the matches of a pattern.",
			over("value STRING, pattern STRING~regex", "ARRAY<STRING>", regexpSplit)),
	}
}

// group returns the group asked for; ok is false when the pattern has fewer.
func group(p *pattern, a []types.Value) (n int, ok bool) {
	if len(a) > 2 {
		n = int(a[2].Int())
	}
	return n, n >= 0 && n <= p.groups
}

func regexpExtract(a []types.Value) (types.Value, error) {
	p, err := compile(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	n, ok := group(p, a)
	if !ok {
		return types.NullValue, nil
	}
	loc, err := p.find(a[1].Str())
	return matchGroup(a[1].Str(), loc, n), err
}

// matchGroup returns group n of a match, NULL when it took no part.
func matchGroup(s string, loc []int, n int) types.Value {
	if loc == nil || loc[2*n] < 0 {
		return types.NullValue
	}
	return types.NewString(s[loc[2*n]:loc[2*n+1]])
}

func regexpExtractAll(a []types.Value) (types.Value, error) {
	p, err := compile(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	n, ok := group(p, a)
	if !ok {
		return types.NullValue, nil
	}
	var list []types.Value
	matches, err := p.findAll(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	for _, loc := range matches {
		list = append(list, matchGroup(a[1].Str(), loc, n))
	}
	return types.NewArray(list), nil
}

func regexpReplace(a []types.Value) (types.Value, error) {
	p, err := compile(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	s := a[0].Str()
	matches, err := p.findAll(s)
	if err != nil || len(matches) == 0 {
		return a[0], err
	}
	parts, err := p.replacement(a[2].Str())
	if err != nil {
		return types.NullValue, err
	}
	var b strings.Builder
	end := 0
	for _, loc := range matches {
		b.WriteString(s[end:loc[0]])
		for _, part := range parts {
			b.WriteString(part.text)
			if g := 2 * part.group; g >= 0 && loc[g] >= 0 {
				b.WriteString(s[loc[g]:loc[g+1]])
			}
			if b.Len() > maxReplacedBytes {
				return types.NullValue, fmt.Errorf("the result of REGEXP_REPLACE is longer than %d bytes", maxReplacedBytes)
			}
		}
		end = loc[1]
	}
	b.WriteString(s[end:])
	return types.NewString(b.String()), nil
}

// replacementPart is text, and a group behind it unless group is negative.
type replacementPart struct {
	text  string
	group int
}

// replacement reads the replacement of Java's Matcher: \x stands for x, $n takes as
// many digits as there are groups for, ${name} is a named group, and a $ alone is
// an error.
func (p *pattern) replacement(s string) ([]replacementPart, error) {
	missing := fmt.Errorf("replacement %q refers to a group that the pattern does not have", s)
	var parts []replacementPart
	var text []byte
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
			text = append(text, s[i])
			continue
		case s[i] == '\\':
			return nil, fmt.Errorf("replacement %q ends with a backslash", s)
		case s[i] != '$':
			text = append(text, s[i])
			continue
		}
		group := -1
		if name, _, ok := strings.Cut(s[i+1:], "}"); ok && strings.HasPrefix(name, "{") {
			if group, ok = p.names[name[1:]]; !ok {
				return nil, missing
			}
			i += len(name) + 1
		} else {
			for ; i+1 < len(s) && s[i+1] >= '0' && s[i+1] <= '9'; i++ {
				next := max(group, 0)*10 + int(s[i+1]-'0')
				if next > p.groups && group >= 0 {
					break
				}
				group = next
			}
		}
		if group < 0 || group > p.groups {
			return nil, missing
		}
		parts = append(parts, replacementPart{string(text), group})
		text = nil
	}
	return append(parts, replacementPart{string(text), -1}), nil
}

// regexpSplit splits as ksqlDB does: by Java's String.split where the pattern
// matches the empty text, else by Guava's Splitter, which keeps empty parts at the
// end.
func regexpSplit(a []types.Value) (types.Value, error) {
	p, err := compile(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	empty, err := p.find("")
	if err != nil {
		return types.NullValue, err
	}
	s := a[0].Str()
	matches, err := p.findAll(s)
	if err != nil {
		return types.NullValue, err
	}
	if empty != nil || s == "" {
		return arrayOf(splitJava(s, matches), types.NewString), nil
	}
	return arrayOf(splitGuava(s, matches), types.NewString), nil
}

// splitJava drops empty parts at the end, and a match of nothing at the start.
func splitJava(s string, matches [][]int) []string {
	var parts []string
	start := 0
	for _, loc := range matches {
		if loc[1] > 0 {
			parts = append(parts, s[start:loc[0]])
			start = loc[1]
		}
	}
	if len(parts) == 0 {
		return []string{s}
	}
	parts = append(parts, s[start:])
	for len(parts) > 0 && parts[len(parts)-1] == "" {
		parts = parts[:len(parts)-1]
	}
	return parts
}

// splitGuava passes over a match of nothing where a part begins; at the end of
// the text that ends the splitting.
func splitGuava(s string, matches [][]int) []string {
	parts := []string{}
	start := 0
	for _, loc := range matches {
		if loc[1] == start && loc[0] == start {
			if start == len(s) {
				return parts
			}
			continue
		}
		parts = append(parts, s[start:loc[0]])
		start = loc[1]
	}
	return append(parts, s[start:])
}
