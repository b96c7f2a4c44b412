package sql

import (
	"slices"
	"strings"
	"unicode/utf8"
)

func fields(s string) []string { return strings.Fields(s) }

func sortedFields(s string) []string {
	f := fields(s)
	slices.Sort(f)
	return f
}

// Scan splits text into tokens, comments included and white space left out. It
// never fails: what is no token becomes a TokInvalid whose Word says why. An
// unterminated string, quoted name or comment reaches to the end of the text.
// The last token is TokEOF, an empty span at the end of the text.
func Scan(text string) []Token {
	toks := make([]Token, 0, len(text)/4+4)
	for pos := 0; ; {
		for pos < len(text) && isSpace(text[pos]) {
			pos++
		}
		if pos >= len(text) {
			return append(toks, Token{Kind: TokEOF, Span: Span{len(text), len(text)}})
		}
		t := scanToken(text, pos)
		toks = append(toks, t)
		pos = t.Span.End
	}
}

func scanToken(text string, pos int) Token {
	c := text[pos]
	rest := text[pos:]
	switch {
	case isLetter(c) || c == '_':
		return scanWord(text, pos)
	case isDigit(c), c == '.' && len(rest) > 1 && isDigit(rest[1]):
		return scanNumber(text, pos)
	case c == '\'':
		return scanQuoted(text, pos, TokString, "unterminated string")
	case c == '`' || c == '"':
		return scanQuoted(text, pos, TokQuoted, "unterminated quoted name")
	case strings.HasPrefix(rest, "--"):
		end := strings.IndexByte(rest, '\n')
		if end < 0 {
			end = len(rest)
		}
		return Token{Kind: TokComment, Span: Span{pos, pos + end}}
	case strings.HasPrefix(rest, "/*"):
		end := strings.Index(rest[2:], "*/")
		if end < 0 {
			return Token{TokInvalid, Span{pos, len(text)}, "unterminated comment"}
		}
		return Token{Kind: TokComment, Span: Span{pos, pos + end + 4}}
	case strings.HasPrefix(rest, "${"):
		return scanVariable(text, pos)
	}
	for _, op := range operators {
		if strings.HasPrefix(rest, op) {
			return Token{TokOp, Span{pos, pos + len(op)}, op}
		}
	}
	_, n := utf8.DecodeRuneInString(rest)
	return Token{TokInvalid, Span{pos, pos + n}, "unexpected character"}
}

// operators are ordered so that a longer one is found before its prefix.
var operators = []string{
	"->", "=>", ":=", "<>", "!=", "<=", ">=", "||",
	"(", ")", "[", "]", ",", ".", ";", "=", "<", ">", "+", "-", "*", "/", "%",
}

func scanWord(text string, pos int) Token {
	end := pos + 1
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	t := Token{Kind: TokName, Span: Span{pos, end}}
	if end-pos > maxWordLen {
		return t
	}
	var upper [maxWordLen]byte
	for i := pos; i < end; i++ {
		upper[i-pos] = upperByte(text[i])
	}
	if w, ok := words[string(upper[:end-pos])]; ok {
		t.Word = w.text
		if w.reserved {
			t.Kind = TokReserved
		}
	}
	return t
}

// scanNumber reads 1, 1.5, 1., .5, 1e3 or a name that starts with a digit: the
// longest of them wins, and a number wins a tie (1e3 is a DOUBLE, 1e is a name).
func scanNumber(text string, pos int) Token {
	digits := func(i int) int {
		for i < len(text) && isDigit(text[i]) {
			i++
		}
		return i
	}
	end := digits(pos)
	kind := TokInteger
	if end < len(text) && text[end] == '.' {
		kind = TokDecimal
		end = digits(end + 1)
	}
	if end < len(text) && (text[end] == 'e' || text[end] == 'E') {
		exp := end + 1
		if exp < len(text) && (text[exp] == '+' || text[exp] == '-') {
			exp++
		}
		if e := digits(exp); e > exp {
			kind, end = TokDouble, e
		}
	}
	name := pos
	for name < len(text) && isNameByte(text[name]) {
		name++
	}
	if name > end {
		return Token{Kind: TokName, Span: Span{pos, name}}
	}
	return Token{Kind: kind, Span: Span{pos, end}}
}

// scanQuoted reads text between two equal quotes; a doubled quote stands for
// one.
func scanQuoted(text string, pos int, kind TokenKind, unterminated string) Token {
	quote := text[pos]
	for i := pos + 1; i < len(text); i++ {
		if text[i] != quote {
			continue
		}
		if i+1 < len(text) && text[i+1] == quote {
			i++
			continue
		}
		return Token{Kind: kind, Span: Span{pos, i + 1}}
	}
	return Token{TokInvalid, Span{pos, len(text)}, unterminated}
}

func scanVariable(text string, pos int) Token {
	end := pos + 2
	for end < len(text) && isNameByte(text[end]) {
		end++
	}
	if end == pos+2 || end >= len(text) || text[end] != '}' {
		return Token{TokInvalid, Span{pos, end}, "unterminated variable"}
	}
	return Token{Kind: TokVariable, Span: Span{pos, end + 1}}
}

// unquote returns what a TokString or TokQuoted stands for.
func unquote(lit string) string {
	quote := lit[:1]
	body := lit[1 : len(lit)-1]
	if !strings.Contains(body, quote) {
		return body
	}
	return strings.ReplaceAll(body, quote+quote, quote)
}

func isSpace(c byte) bool  { return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isLetter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

func isNameByte(c byte) bool { return isLetter(c) || isDigit(c) || c == '_' || c == '@' }

func upperByte(c byte) byte {
	if c >= 'a' && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
