package format

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner walks one JSON text.
type scanner struct {
	b  []byte
	at int
	// clean says that the text is ASCII without escapes and control characters,
	// so that every string ends at the next quote.
	clean bool
	// buf holds the last string that had escapes.
	buf []byte
}

// pathError is an error inside a payload with the place where it is.
type pathError struct {
	path string
	err  error
}

func (e *pathError) Error() string { return e.path + ": " + e.err.Error() }
func (e *pathError) Unwrap() error { return e.err }

// within puts a path in front of the path of err.
func within(path string, err error) error {
	var inner *pathError
	if errors.As(err, &inner) && inner == err {
		return &pathError{path + inner.path, inner.err}
	}
	return &pathError{path, err}
}

// reset starts on a text and answers once for all whether it is clean.
func (s *scanner) reset(b []byte) error {
	s.b, s.at = b, 0
	s.clean = clean(b)
	if !s.clean && !utf8.Valid(b) {
		return errors.New("payload is not valid UTF-8")
	}
	return nil
}

// clean reports whether b is ASCII without backslashes and control characters,
// eight bytes a step.
func clean(b []byte) bool {
	if bytes.IndexByte(b, '\\') >= 0 {
		return false
	}
	const high, space = 0x8080808080808080, 0x2020202020202020
	var bad uint64
	for len(b) >= 32 {
		x0, x1 := binary.LittleEndian.Uint64(b), binary.LittleEndian.Uint64(b[8:])
		x2, x3 := binary.LittleEndian.Uint64(b[16:]), binary.LittleEndian.Uint64(b[24:])
		// A borrow out of one byte can only make a neighbour look bad.
		bad |= (x0 - space | x0) | (x1 - space | x1) | (x2 - space | x2) | (x3 - space | x3)
		b = b[32:]
	}
	for _, c := range b {
		if c < 0x20 {
			return false
		}
		bad |= uint64(c)
	}
	return bad&high == 0
}

func (s *scanner) space() {
	for s.at < len(s.b) {
		switch s.b[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.at < len(s.b) && s.b[s.at] == c {
		s.at++
		return true
	}
	return false
}

// word takes a literal word.
func (s *scanner) word(w string) bool {
	if len(s.b)-s.at >= len(w) && string(s.b[s.at:s.at+len(w)]) == w {
		s.at += len(w)
		return true
	}
	return false
}

func (s *scanner) null() bool { return s.word("null") }

func (s *scanner) peek() byte {
	if s.at < len(s.b) {
		return s.b[s.at]
	}
	return 0
}

// end reports an error when something stands behind the value.
func (s *scanner) end() error {
	s.space()
	if s.at != len(s.b) {
		return s.unexpected("the end of the payload")
	}
	return nil
}

func (s *scanner) unexpected(want string) error {
	if s.at >= len(s.b) {
		return fmt.Errorf("unexpected end of JSON, expected %s", want)
	}
	return fmt.Errorf("unexpected %q at byte %d of JSON, expected %s", s.b[s.at], s.at, want)
}

// str reads a string; the result is a view of the text or of buf.
func (s *scanner) str() ([]byte, error) {
	if !s.take('"') {
		return nil, s.unexpected("a string")
	}
	n := bytes.IndexByte(s.b[s.at:], '"')
	if n < 0 {
		s.at = len(s.b)
		return nil, s.unexpected("'\"'")
	}
	if s.clean {
		text := s.b[s.at : s.at+n]
		s.at += n + 1
		return text, nil
	}
	return s.dirtyString()
}

// dirtyString reads a string that may hold escapes, behind its quote.
func (s *scanner) dirtyString() ([]byte, error) {
	from := s.at
	for s.at < len(s.b) {
		switch c := s.b[s.at]; {
		case c == '"':
			text := s.b[from:s.at]
			s.at++
			return text, nil
		case c == '\\':
			return s.escapedString(from)
		case c < 0x20:
			return nil, s.unexpected("no control character in a string")
		}
		s.at++
	}
	return nil, s.unexpected("'\"'")
}

func (s *scanner) escapedString(from int) ([]byte, error) {
	buf := append(s.buf[:0], s.b[from:s.at]...)
	for s.at < len(s.b) {
		c := s.b[s.at]
		switch {
		case c == '"':
			s.at++
			s.buf = buf
			return buf, nil
		case c < 0x20:
			return nil, s.unexpected("no control character in a string")
		case c != '\\':
			buf = append(buf, c)
			s.at++
			continue
		}
		s.at++
		e := s.peek()
		s.at++
		switch e {
		case '"', '\\', '/':
			buf = append(buf, e)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			r, err := s.unicode()
			if err != nil {
				return nil, err
			}
			buf = utf8.AppendRune(buf, r)
		default:
			s.at--
			return nil, s.unexpected("an escape")
		}
	}
	return nil, s.unexpected("'\"'")
}

// unicode reads the digits of \u, and a second escape when it is a surrogate
// pair. A lone surrogate becomes U+FFFD.
func (s *scanner) unicode() (rune, error) {
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	back := s.at
	if s.word(`\u`) {
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if pair := utf16.DecodeRune(r, low); pair != utf8.RuneError {
			return pair, nil
		}
	}
	s.at = back
	return utf8.RuneError, nil
}

func (s *scanner) hex4() (rune, error) {
	if len(s.b)-s.at < 4 {
		s.at = len(s.b)
		return 0, s.unexpected("four hexadecimal digits")
	}
	var r rune
	for range 4 {
		c := s.b[s.at]
		switch {
		case c >= '0' && c <= '9':
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, s.unexpected("a hexadecimal digit")
		}
		r = r<<4 | rune(c)
		s.at++
	}
	return r, nil
}

// number reads a number's text; whole says that it has no point or exponent.
func (s *scanner) number() (text []byte, whole bool, err error) {
	from := s.at
	s.take('-')
	switch c := s.peek(); {
	case c == '0':
		s.at++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return nil, false, s.unexpected("a value")
	}
	whole = true
	if s.take('.') {
		whole = false
		if s.digits() == 0 {
			return nil, false, s.unexpected("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		whole = false
		s.at++
		if !s.take('+') {
			s.take('-')
		}
		if s.digits() == 0 {
			return nil, false, s.unexpected("a digit")
		}
	}
	return s.b[from:s.at], whole, nil
}

func (s *scanner) digits() int {
	from := s.at
	for s.at < len(s.b) && s.b[s.at]-'0' <= 9 {
		s.at++
	}
	return s.at - from
}

// skip reads any value and checks that it is well formed.
func (s *scanner) skip(depth int) error {
	switch c := s.peek(); {
	case c == '"':
		_, err := s.str()
		return err
	case c == '{' || c == '[':
		return s.skipNested(c, depth)
	case s.word("true"), s.word("false"), s.word("null"):
		return nil
	}
	_, _, err := s.number()
	return err
}

func (s *scanner) skipNested(open byte, depth int) error {
	if depth >= MaxNesting {
		return fmt.Errorf("JSON nests deeper than %d", MaxNesting)
	}
	closing := open + 2 // '{' and '}', '[' and ']' are two apart
	s.at++
	s.space()
	if s.take(closing) {
		return nil
	}
	for {
		s.space()
		if open == '{' {
			if _, err := s.str(); err != nil {
				return err
			}
			s.space()
			if !s.take(':') {
				return s.unexpected("':'")
			}
			s.space()
		}
		if err := s.skip(depth + 1); err != nil {
			return err
		}
		s.space()
		if s.take(closing) {
			return nil
		}
		if !s.take(',') {
			return s.unexpected(fmt.Sprintf("',' or '%c'", closing))
		}
	}
}
