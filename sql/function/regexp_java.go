package function

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Limits of patterns.
const (
	// maxPatternBytes bounds a pattern, which a column may bring.
	maxPatternBytes = 64 << 10
	// maxPatternNesting bounds groups in groups and classes in classes.
	maxPatternNesting = 250
)

// errBacktracking says that a pattern uses what RE2 has not: look-around,
// back-references, atomic groups, possessive quantifiers, \G.
var errBacktracking = errors.New("needs a backtracking engine")

// javaFlags are the match flags of java.util.regex.Pattern.
type javaFlags struct{ ignoreCase, multiLine, dotAll, comments, unixLines, unicodeCase bool }

// translated is a pattern in the words of RE2 or regexp2. Groups are numbered, not
// named: regexp2 numbers named ones after all others.
type translated struct {
	text   string
	groups int
	names  map[string]int
	// lines and words say that the text for RE2 means something else than Java's
	// where a subject has line ends other than \n in its middle, or letters
	// outside ASCII beside a \b.
	lines, words bool
}

// translator rewrites a pattern of java.util.regex (Java SE 17, class Pattern)
// for RE2, or for regexp2 when backtracking is set. Character classes and letter
// case become explicit sets, since Java, RE2 and .NET differ about both.
type translator struct {
	translated
	in           string
	pos          int
	out          []byte
	flags        javaFlags
	open         []openGroup
	atom         int // where in out the atom before pos begins, -1 when none
	total        int // groups in all, 0 in the first pass
	backtracking bool
}

type openGroup struct {
	flags javaFlags
	start int
}

// translate rewrites a pattern. Errors: errBacktracking, and those of syntax.
func translate(pattern string, backtracking bool) (*translated, error) {
	if len(pattern) > maxPatternBytes {
		return nil, fmt.Errorf("the pattern has %d bytes, the most is %d", len(pattern), maxPatternBytes)
	}
	if !utf8.ValidString(pattern) {
		return nil, errors.New("the pattern is not UTF-8")
	}
	// What \11 refers to depends on how many groups there are: two passes.
	first := &translator{in: pattern, backtracking: backtracking, atom: -1}
	if err := first.run(); err != nil {
		return nil, err
	}
	t := &translator{in: pattern, backtracking: backtracking, atom: -1, total: first.groups}
	err := t.run()
	t.text = string(t.out)
	return &t.translated, err
}

func (t *translator) run() error {
	t.names = map[string]int{}
	for {
		t.skipComments()
		if t.pos == len(t.in) {
			break
		}
		if err := t.step(); err != nil {
			if errors.Is(err, errBacktracking) {
				return err
			}
			return fmt.Errorf("%w near index %d", err, t.pos)
		}
	}
	if len(t.open) > 0 {
		return errors.New("unclosed group")
	}
	return nil
}

// skipComments skips white space and comments where (?x) holds.
func (t *translator) skipComments() {
	for t.flags.comments && t.pos < len(t.in) {
		switch c := t.in[t.pos]; {
		case c == '#':
			end := strings.IndexAny(t.in[t.pos:], "\n\r\u0085\u2028\u2029")
			if end < 0 {
				end = len(t.in) - t.pos
			}
			t.pos += end
		case spaceSet.has(rune(c)):
			t.pos++
		default:
			return
		}
	}
}

func (t *translator) peek(prefix string) bool { return strings.HasPrefix(t.in[t.pos:], prefix) }

func (t *translator) take(prefix string) bool {
	if t.peek(prefix) {
		t.pos += len(prefix)
		return true
	}
	return false
}

// emit writes an atom.
func (t *translator) emit(text string) {
	t.atom = len(t.out)
	t.out = append(t.out, text...)
}

// step translates one piece of the pattern.
func (t *translator) step() error {
	switch t.in[t.pos] {
	case '(':
		return t.group()
	case ')':
		if len(t.open) == 0 {
			return errors.New("unmatched closing ')'")
		}
		top := t.open[len(t.open)-1]
		t.open = t.open[:len(t.open)-1]
		t.pos++
		t.flags, t.atom = top.flags, top.start
		t.out = append(t.out, ')')
		return nil
	case '|':
		t.pos++
		t.out, t.atom = append(t.out, '|'), -1
		return nil
	case '*', '+', '?', '{':
		return t.quantifier()
	case '[':
		set, err := t.class(0)
		t.emit(set.class())
		return err
	case '.':
		t.pos++
		t.dot()
		return nil
	case '^', '$':
		t.anchor(t.in[t.pos])
		t.pos++
		return nil
	case '\\':
		return t.escape()
	}
	r, n := utf8.DecodeRuneInString(t.in[t.pos:])
	t.pos += n
	t.literal(r)
	return nil
}

func (t *translator) literal(r rune) {
	if set := t.fold(runeSet{r, r}); len(set) > 2 || r >= firstSurrogate && r <= lastSurrogate {
		t.emit(set.class())
		return
	}
	t.emit("")
	if strings.ContainsRune(`\.+*?()|[]{}^$`, r) {
		t.out = append(t.out, '\\')
	}
	t.out = append(t.out, string(r)...)
}

// fold adds other cases where (?i) holds: of ASCII letters, or of all with (?iu).
func (t *translator) fold(s runeSet) runeSet {
	if t.flags.ignoreCase {
		return s.folded(t.flags.unicodeCase)
	}
	return s
}

// dot is any character but a line end, of which Java has five.
func (t *translator) dot() {
	switch {
	case t.flags.dotAll:
		t.emit("(?s:.)")
	case t.flags.unixLines:
		t.emit(`[^\n]`)
	default:
		t.emit(lineEndSet.negated().class())
	}
}

// anchor is ^ or $. Java's $ stands before a last line end, too; with (?m) ^ never
// stands at the end of the text.
func (t *translator) anchor(c byte) {
	multi := t.flags.multiLine
	if c == '^' && !multi {
		t.emit(`\A`)
		return
	}
	t.lines = true
	if !t.backtracking {
		if multi {
			t.emit("(?m:" + string(c) + ")")
		} else {
			t.emit(`\z`)
		}
		return
	}
	texts := map[byte]string{
		'^': `(?:(?!\z)(?:\A|(?<=[\n` + "\u0085\u2028\u2029" + `])|(?<=\r)(?!\n)))`,
		'$': `(?:\z|(?=[\r` + "\u0085\u2028\u2029" + `])|(?<!\r)(?=\n))`,
	}
	switch {
	case multi && t.flags.unixLines:
		texts = map[byte]string{'^': `(?:(?!\z)(?:\A|(?<=\n)))`, '$': `(?=\n|\z)`}
	case t.flags.unixLines:
		texts = map[byte]string{'$': `(?=\n?\z)`}
	case !multi:
		texts = map[byte]string{'$': `(?=(?:\r\n|(?<!\r)\n|[\r` + "\u0085\u2028\u2029" + `])?\z)`}
	}
	t.emit(texts[c])
}

// quantifier is *, +, ?, {n}, {n,} or {n,m}, greedy, reluctant or possessive.
func (t *translator) quantifier() error {
	if t.atom < 0 {
		return fmt.Errorf("dangling meta character '%c'", t.in[t.pos])
	}
	text := t.in[t.pos : t.pos+1]
	if text != "{" {
		t.pos++
	} else {
		var err error
		if text, err = t.counts(); err != nil {
			return err
		}
	}
	switch {
	case t.take("?"):
		t.out = append(append(t.out, text...), '?')
	case t.take("+"):
		if !t.backtracking {
			return errBacktracking
		}
		t.out = slices.Insert(t.out, t.atom, []byte("(?>")...)
		t.out = append(append(t.out, text...), ')')
	default:
		t.out = append(t.out, text...)
	}
	t.atom = -1
	return nil
}

// counts reads {n}, {n,} or {n,m} and returns it without zeros in front, which RE2
// would take for plain text.
func (t *translator) counts() (string, error) {
	end := strings.IndexByte(t.in[t.pos:], '}')
	if end < 0 {
		return "", errors.New("unclosed counted closure")
	}
	low, high, ranged := strings.Cut(t.in[t.pos+1:t.pos+end], ",")
	n, err := strconv.ParseInt(low, 10, 32)
	m := n
	if err == nil && ranged && high != "" {
		m, err = strconv.ParseInt(high, 10, 32)
	}
	if err != nil || low[0] == '+' || low[0] == '-' || m < n {
		return "", errors.New("illegal repetition")
	}
	t.pos += end + 1
	switch {
	case !ranged:
		return fmt.Sprintf("{%d}", n), nil
	case high == "":
		return fmt.Sprintf("{%d,}", n), nil
	}
	return fmt.Sprintf("{%d,%d}", n, m), nil
}
