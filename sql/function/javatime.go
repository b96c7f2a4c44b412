package function

import (
	"fmt"
	"strings"
	"sync"
)

// Patterns of java.time.format.DateTimeFormatter (English names, ISO weeks).
//
// Gaps: full zone names (zzzz) and v, the period of day (B) and modified Julian
// days (g) are errors; localised week fields (e, c, w, W, Y) follow ISO.

// field is what a pattern letter stands for.
type field byte

// item is one piece of a pattern: text to be met as it is, a field, or the start
// or end of an optional section.
type item struct {
	letter  field // 0 for text, '[' and ']' for sections
	count   int
	padding int // width from a p in front
	text    string
}

const (
	dateLetters = "GuyDMLdQqYwWEecF"
	timeLetters = "aHhKkmsSAnN"
	zoneLetters = "VOXxZz"
)

// timePattern is a compiled pattern.
type timePattern struct {
	text  string
	items []item
	// lenient lets numbers have any width, unless a number follows directly.
	lenient bool
}

// maxPatternText bounds a pattern.
const maxPatternText = 1000

// compilePattern reads a pattern.
func compilePattern(s string) (*timePattern, error) {
	p := &timePattern{text: s}
	if len(s) > maxPatternText {
		return nil, fmt.Errorf("pattern is longer than the limit of %d", maxPatternText)
	}
	sections, padding := 0, 0
	for i := 0; i < len(s); {
		c := s[i]
		n := 1
		for i+n < len(s) && s[i+n] == c {
			n++
		}
		switch {
		case c == '\'':
			text, used, ok := quotedText(s[i:])
			if !ok {
				return nil, fmt.Errorf("pattern %q has an unterminated quote", s)
			}
			p.items = append(p.items, item{text: text})
			n = used
		case c == '[' || c == ']':
			n = 1
			if sections += 1 - 2*int((c-'[')/2); sections < 0 {
				return nil, fmt.Errorf("pattern %q closes a section that is not open", s)
			}
			p.items = append(p.items, item{letter: field(c)})
		case c == 'p':
			padding = n
			i += n
			continue
		case strings.IndexByte(dateLetters+timeLetters+zoneLetters, c) >= 0:
			if n > maxCount(c) {
				if c == 'z' && n == 4 {
					return nil, fmt.Errorf("pattern %q: full names of zones are not supported, use z", s)
				}
				return nil, fmt.Errorf("pattern %q has too many letters %c", s, c)
			}
			p.items = append(p.items, item{letter: field(c), count: n, padding: padding})
		case c|0x20 >= 'a' && c|0x20 <= 'z' || strings.IndexByte("{}#", c) >= 0:
			return nil, fmt.Errorf("pattern %q has the letter %c, which is not supported", s, c)
		default:
			p.items = append(p.items, item{text: s[i : i+n]})
		}
		padding = 0
		i += n
	}
	for ; sections > 0; sections-- {
		p.items = append(p.items, item{letter: ']'})
	}
	return p, nil
}

// quotedText reads 'text', ” standing for a quote, and returns its length.
func quotedText(s string) (text string, used int, ok bool) {
	if strings.HasPrefix(s, "''") {
		return "'", 2, true
	}
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] != '\'' {
			b.WriteByte(s[i])
			continue
		}
		if i+1 < len(s) && s[i+1] == '\'' {
			b.WriteByte('\'')
			i++
			continue
		}
		return b.String(), i + 1, true
	}
	return "", 0, false
}

func maxCount(c byte) int {
	switch c {
	case 'd', 'H', 'h', 'K', 'k', 'm', 's', 'w':
		return 2
	case 'D':
		return 3
	case 'S':
		return 9
	case 'a', 'F', 'W':
		return 1
	case 'G', 'M', 'L', 'E', 'e', 'c', 'Q', 'q', 'X', 'x', 'Z':
		return 5
	case 'V':
		return 2
	case 'O':
		return 4
	case 'z':
		return 3
	}
	return 19
}

// has returns the first of the letters that the pattern uses, or 0.
func (p *timePattern) has(letters string) field {
	for _, it := range p.items {
		if it.letter != 0 && strings.IndexByte(letters, byte(it.letter)) >= 0 {
			return it.letter
		}
	}
	return 0
}

// timePatterns caches compiled patterns by their text, as patterns does.
var timePatterns = struct {
	sync.Mutex // guards m; held for lookups only
	m          map[string]*timePattern
}{m: map[string]*timePattern{}}

// findPattern returns the compiled pattern.
func findPattern(s string) (*timePattern, error) {
	timePatterns.Lock()
	p := timePatterns.m[s]
	timePatterns.Unlock()
	if p != nil {
		return p, nil
	}
	p, err := compilePattern(s)
	if err != nil {
		return nil, err
	}
	timePatterns.Lock()
	defer timePatterns.Unlock()
	if len(timePatterns.m) >= maxPatterns {
		clear(timePatterns.m)
	}
	timePatterns.m[s] = p
	return p, nil
}
