package sql

import (
	"fmt"
	"unicode/utf8"
)

// Limits of a script. Passing one is an error with CodeLimit that names it.
const (
	// MaxScriptBytes bounds the text of one script.
	MaxScriptBytes = 16 << 20
	// MaxNesting bounds the depth of expressions and types.
	MaxNesting = 500
	// MaxOperators bounds the operators, calls and subscripts of one query or
	// row of values: a chain like a OR b OR c is as deep a tree as it is long.
	MaxOperators = 10_000
	// MaxErrors bounds how many errors of a script are reported.
	MaxErrors = 20
)

// Parse turns a script into statements. Every statement ends with a semicolon.
// A statement with an error is left out of the result and reported, at most
// MaxErrors of them, and parsing goes on after its semicolon. Spans are byte
// ranges of text.
func Parse(text string) ([]Statement, []*Error) {
	if err := checkText(text); err != nil {
		return nil, []*Error{err}
	}
	p := newParser(text)
	var stmts []Statement
	var errs []*Error
	for p.nextStatement() {
		stmt, err := p.parseStatement()
		if err == nil {
			stmts = append(stmts, stmt)
			continue
		}
		errs = append(errs, err)
		if len(errs) == MaxErrors {
			break
		}
	}
	return stmts, errs
}

// ParseExpr parses an expression that stands alone.
func ParseExpr(text string) (expr Expr, err *Error) {
	if err := checkText(text); err != nil {
		return nil, err
	}
	p := newParser(text)
	p.end = len(p.toks) - 1
	defer p.recover(&err)
	p.checkTokens()
	p.ctx = "expression"
	list := p.expressions(func() { p.expr() })
	if p.pos < p.end || len(list) != 1 {
		p.unexpected("the end of the expression")
	}
	return list[0], nil
}

func checkText(text string) *Error {
	if len(text) > MaxScriptBytes {
		return &Error{Code: CodeLimit, Msg: fmt.Sprintf("script of %d bytes is longer than the limit of %d", len(text), MaxScriptBytes),
			Hint: "split it into several scripts"}
	}
	if utf8.ValidString(text) {
		return nil
	}
	for i := 0; ; {
		r, n := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && n == 1 {
			return &Error{Code: CodeSyntax, Msg: fmt.Sprintf("byte 0x%02X is not valid UTF-8", text[i]), Span: Span{i, i + 1}}
		}
		i += n
	}
}
