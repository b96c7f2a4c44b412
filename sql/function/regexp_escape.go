package function

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// unicodeWord is what stands on one side of Java's \b: a letter or digit of any
// script, which \w does not mean (before Java 19).
const unicodeWord = `[_\p{L}\p{Nd}]`

// escape translates what stands behind a backslash outside a class.
func (t *translator) escape() error {
	if t.pos+1 == len(t.in) {
		return errors.New("the pattern ends with a backslash")
	}
	switch c := t.in[t.pos+1]; c {
	case 'Q':
		t.pos += 2
		for _, r := range t.quotation() {
			t.literal(r)
		}
		return nil
	case 'A', 'z':
		t.emit(t.in[t.pos : t.pos+2])
	case 'Z':
		outer := t.flags
		t.flags.multiLine = false
		t.anchor('$')
		t.flags = outer
	case 'b', 'B':
		t.boundary(c)
	case 'G':
		if !t.backtracking {
			return errBacktracking
		}
		t.emit(`\G`)
	case 'R':
		t.emit(`(?:\r\n|` + verticalSet.class() + `)`)
	case 'k':
		return t.namedReference()
	case '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return t.reference()
	default:
		r, set, err := t.classRune()
		if err != nil {
			return err
		}
		if set != nil {
			t.emit(set.class())
		} else {
			t.literal(r)
		}
		return nil
	}
	t.pos += 2
	return nil
}

func (t *translator) boundary(c byte) {
	t.words = true
	w := unicodeWord
	switch {
	case !t.backtracking:
		t.emit(`\` + string(c))
	case c == 'b':
		t.emit(`(?:(?<=` + w + `)(?!` + w + `)|(?<!` + w + `)(?=` + w + `))`)
	default:
		t.emit(`(?:(?<=` + w + `)(?=` + w + `)|(?<!` + w + `)(?!` + w + `))`)
	}
}

// quotation takes the text up to \E, or to the end.
func (t *translator) quotation() string {
	text, _, closed := strings.Cut(t.in[t.pos:], `\E`)
	t.pos += len(text)
	if closed {
		t.pos += 2
	}
	return text
}

// reference is \n: one digit, and more while there are that many groups.
func (t *translator) reference() error {
	t.pos++
	n := 0
	for ; t.pos < len(t.in) && t.in[t.pos] >= '0' && t.in[t.pos] <= '9'; t.pos++ {
		next := n*10 + int(t.in[t.pos]-'0')
		if n > 0 && next > t.groups {
			break
		}
		n = next
	}
	return t.refer(n)
}

func (t *translator) namedReference() error {
	name, _, ok := strings.Cut(t.in[t.pos+2:], ">")
	if !ok || !strings.HasPrefix(name, "<") {
		return errors.New(`\k is not followed by a group's name in <>`)
	}
	n, ok := t.names[name[1:]]
	if !ok {
		return fmt.Errorf("group %s> does not exist", name)
	}
	t.pos += 2 + len(name) + 1
	return t.refer(n)
}

func (t *translator) refer(n int) error {
	switch {
	case !t.backtracking:
		return errBacktracking
	case t.total > 0 && n > t.total || t.total == 0 && n > t.groups:
		t.emit("(?!)") // a group that does not exist never matched
	case t.flags.ignoreCase:
		t.emit(fmt.Sprintf(`(?i:\%d)`, n))
	default:
		t.emit(fmt.Sprintf(`(?:\%d)`, n))
	}
	return nil
}

// classRune reads a character or an escape that means one, or a set of them.
func (t *translator) classRune() (rune, runeSet, error) {
	if t.in[t.pos] != '\\' {
		r, n := utf8.DecodeRuneInString(t.in[t.pos:])
		t.pos += n
		return r, nil, nil
	}
	t.pos++
	if t.pos == len(t.in) {
		return 0, nil, errors.New("the pattern ends with a backslash")
	}
	r, n := utf8.DecodeRuneInString(t.in[t.pos:])
	t.pos += n
	if r < utf8.RuneSelf {
		if set, ok := letterClasses[byte(r)]; ok {
			return 0, t.fold(set), nil
		}
		if set, ok := letterClasses[byte(unicode.ToLower(r))]; ok {
			return 0, set.negated(), nil
		}
	}
	switch r {
	case 'p', 'P':
		set, err := t.property()
		if err == nil && r == 'P' {
			set = set.negated()
		}
		return 0, set, err
	case 't', 'n', 'r', 'f', 'a', 'e':
		return map[rune]rune{'t': '\t', 'n': '\n', 'r': '\r', 'f': '\f', 'a': '\a', 'e': 0x1B}[r], nil, nil
	case '0', 'x', 'u', 'c':
		v, err := t.code(r)
		return v, nil, err
	}
	if r < utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsDigit(r)) {
		return 0, nil, fmt.Errorf(`escape sequence \%c is not supported`, r)
	}
	return r, nil, nil
}

// property is {name} or one letter behind \p.
func (t *translator) property() (runeSet, error) {
	if t.pos == len(t.in) {
		return nil, errors.New("unknown character property")
	}
	name := t.in[t.pos : t.pos+1]
	if name == "{" {
		end := strings.IndexByte(t.in[t.pos:], '}')
		if end < 0 {
			return nil, errors.New("unclosed character family")
		}
		name = t.in[t.pos+1 : t.pos+end]
		t.pos += end
	}
	t.pos++
	set, err := namedSet(name)
	return t.fold(set), err
}

// code is a character by number: \0n octal, \xhh, \x{h...}, \uhhhh, \cX.
func (t *translator) code(kind rune) (rune, error) {
	rest := t.in[t.pos:]
	if kind == 'c' {
		if rest == "" || rest[0] >= utf8.RuneSelf {
			return 0, errors.New("illegal control escape sequence")
		}
		t.pos++
		return rune(rest[0]) ^ 0x40, nil
	}
	base, digits := 16, 2
	switch {
	case kind == '0':
		base, digits = 8, 0
		for digits < len(rest) && digits < 3 && rest[digits] >= '0' && rest[digits] <= '7' && (digits < 2 || rest[0] <= '3') {
			digits++
		}
	case kind == 'u':
		digits = 4
	case strings.HasPrefix(rest, "{"):
		if digits = strings.IndexByte(rest, '}') - 1; digits < 1 {
			return 0, errors.New("illegal hexadecimal escape sequence")
		}
		rest = rest[1:]
		t.pos += 2
	}
	if digits == 0 || digits > len(rest) {
		return 0, fmt.Errorf(`illegal escape sequence \%c`, kind)
	}
	n, err := strconv.ParseUint(rest[:digits], base, 32)
	if err != nil || n > unicode.MaxRune {
		return 0, fmt.Errorf(`illegal escape sequence \%c`, kind)
	}
	t.pos += digits
	if kind == 'u' && utf16.IsSurrogate(rune(n)) && t.take(`\u`) {
		low, err := t.code('u')
		if r := utf16.DecodeRune(rune(n), low); err == nil && r != unicode.ReplacementChar {
			return r, nil
		}
		return 0, errors.New("half of a surrogate pair")
	}
	return rune(n), nil
}
