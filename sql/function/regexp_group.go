package function

import (
	"errors"
	"fmt"
	"strings"
)

// lookAround are the groups that RE2 has not.
var lookAround = []string{"(?=", "(?!", "(?<=", "(?<!", "(?>"}

// group opens a group, or sets flags.
func (t *translator) group() error {
	if len(t.open) >= maxPatternNesting {
		return fmt.Errorf("groups nest deeper than %d", maxPatternNesting)
	}
	for _, opening := range lookAround {
		if t.take(opening) {
			if !t.backtracking {
				return errBacktracking
			}
			t.push(opening, t.flags)
			return nil
		}
	}
	switch {
	case t.take("(?:"):
		t.push("(?:", t.flags)
	case t.take("(?<"):
		end := strings.IndexByte(t.in[t.pos:], '>')
		if end < 0 || !groupName(t.in[t.pos:t.pos+end]) {
			return errors.New("a group's name is letters and digits in <>")
		}
		name := t.in[t.pos : t.pos+end]
		if _, twice := t.names[name]; twice {
			return fmt.Errorf("group <%s> is already defined", name)
		}
		t.pos += end + 1
		t.groups++
		t.names[name] = t.groups
		t.push("(", t.flags)
	case t.take("(?"):
		return t.flagGroup()
	default:
		t.pos++
		t.groups++
		t.push("(", t.flags)
	}
	return nil
}

// push opens a group in the output; outer are the flags behind it.
func (t *translator) push(opening string, outer javaFlags) {
	t.open = append(t.open, openGroup{outer, len(t.out)})
	t.out, t.atom = append(t.out, opening...), -1
}

func groupName(s string) bool {
	for i := range len(s) {
		letter := s[i] >= 'a' && s[i] <= 'z' || s[i] >= 'A' && s[i] <= 'Z'
		if !letter && (i == 0 || s[i] < '0' || s[i] > '9') {
			return false
		}
	}
	return s != ""
}

// flagGroup is (?flags) or (?flags:...).
func (t *translator) flagGroup() error {
	outer, on := t.flags, true
	for ; t.pos < len(t.in); t.pos++ {
		switch c := t.in[t.pos]; c {
		case '-':
			on = false
		case 'i':
			t.flags.ignoreCase = on
		case 'm':
			t.flags.multiLine = on
		case 's':
			t.flags.dotAll = on
		case 'x':
			t.flags.comments = on
		case 'd':
			t.flags.unixLines = on
		case 'u':
			t.flags.unicodeCase = on
		case 'U':
			return errors.New("flag (?U), Unicode character classes, is not supported; \\p{IsAlphabetic} and its like are")
		case ')':
			t.pos++
			t.atom = -1
			return nil
		case ':':
			t.pos++
			t.push("(?:", outer)
			return nil
		default:
			return fmt.Errorf("unknown inline modifier '%c'", c)
		}
	}
	return errors.New("unclosed group")
}

// class reads a character class at its opening bracket: ranges, nested classes
// and intersections.
func (t *translator) class(depth int) (runeSet, error) {
	if depth > maxPatternNesting {
		return nil, fmt.Errorf("classes nest deeper than %d", maxPatternNesting)
	}
	t.pos++
	negate := t.take("^")
	var left, set runeSet
	intersect, first := false, true
	join := func() runeSet {
		set = set.normal()
		if intersect && len(set) > 0 {
			return left.and(set)
		} else if intersect {
			return left
		}
		return set
	}
	for ; ; first = false {
		t.skipComments()
		switch {
		case t.pos == len(t.in):
			return nil, errors.New("unclosed character class")
		case t.peek("]") && !first:
			t.pos++
			out := join()
			if negate {
				out = out.negated()
			}
			return out, nil
		case t.take("&&"):
			left, set, intersect = join(), nil, true
		case t.peek("["):
			inner, err := t.class(depth + 1)
			if err != nil {
				return nil, err
			}
			set = append(set, inner...)
		default:
			item, err := t.classItem()
			if err != nil {
				return nil, err
			}
			set = append(set, item...)
		}
	}
}

// classItem reads a character, a range, an escape or a quotation in a class.
func (t *translator) classItem() (runeSet, error) {
	if t.take(`\Q`) {
		var set runeSet
		for _, r := range t.quotation() {
			set = set.with(r, r)
		}
		return t.fold(set.normal()), nil
	}
	low, set, err := t.classRune()
	if err != nil || set != nil {
		return set, err
	}
	t.skipComments()
	high := low
	if t.peek("-") && !t.peek("-]") && !t.peek("-[") && !t.peek("-&&") && t.pos+1 < len(t.in) {
		t.pos++
		t.skipComments()
		if high, set, err = t.classRune(); err != nil {
			return nil, err
		}
		if set != nil || high < low {
			return nil, errors.New("illegal character range")
		}
	}
	return t.fold(runeSet{low, high}), nil
}
