package sql

import (
	"fmt"
	"slices"
	"strings"
)

// parser recognises the statements of one script. It reads tokens of the
// statement [start, end) and never goes past end, where a semicolon or the end of
// the text stands. Errors leave by panic(*Error) and are caught once per
// statement.
type parser struct {
	text string
	toks []Token // without comments; the last is TokEOF
	pos  int
	end  int // index of the token that ends the statement

	ctx   string // what is being parsed, in the user's words
	depth int
	ops   int

	em        emission
	types     map[int]castType // by the index of the token AS
	tries     *attempts        // nil unless an error is looked into
	gaveUp    *Error           // the last error of unexpected
	allowStar bool             // p->* may come: a select item starts here
	itemStart int
}

// castType is the type of a CAST and the last token of its text.
type castType struct {
	name TypeName
	last int
}

func newParser(text string) *parser {
	toks := Scan(text)
	toks = slices.DeleteFunc(toks, func(t Token) bool { return t.Kind == TokComment })
	return &parser{text: text, toks: toks, end: -1}
}

// nextStatement moves to the next statement that is not empty.
func (p *parser) nextStatement() bool {
	for p.pos = p.end + 1; p.pos < len(p.toks); p.pos++ {
		switch t := p.toks[p.pos]; {
		case t.Kind == TokEOF:
			return false
		case t.Word == ";":
			continue
		}
		p.end = p.pos
		for p.toks[p.end].Kind != TokEOF && (p.toks[p.end].Kind != TokOp || p.toks[p.end].Word != ";") {
			p.end++
		}
		return true
	}
	return false
}

func (p *parser) parseStatement() (stmt Statement, err *Error) {
	first := p.pos
	func() {
		defer p.recover(&err)
		p.checkTokens()
		stmt = p.terminated()
	}()
	if err != nil {
		return nil, p.improve(first, err)
	}
	return stmt, nil
}

// terminated reads a statement and checks that the semicolon follows.
func (p *parser) terminated() Statement {
	p.ctx, p.depth, p.ops = "statement", 0, 0
	stmt := p.statement()
	if p.pos < p.end {
		p.unexpected("the end of the statement")
	}
	if p.toks[p.end].Kind == TokEOF {
		at := p.toks[p.end-1].Span.End
		p.fail(&Error{Code: CodeSyntax, Msg: "statement is not terminated", Span: Span{at, at}, Hint: "end it with a semicolon"})
	}
	return stmt
}

// checkTokens rejects what the scanner could not read.
func (p *parser) checkTokens() {
	for _, t := range p.toks[p.pos:p.end] {
		switch t.Kind {
		case TokInvalid:
			msg := t.Word
			if msg == "unexpected character" {
				msg += " " + p.textOf(t)
			} else {
				// The caret goes under the opening, not under the rest of the text.
				t.Span.End = t.Span.Start + 1
			}
			p.fail(&Error{Code: CodeSyntax, Msg: msg, Span: t.Span})
		case TokVariable:
			name := p.textOf(t)
			name = name[2 : len(name)-1]
			p.fail(&Error{Code: CodeSyntax, Msg: "variable " + name + " is not defined", Span: t.Span,
				Hint: fmt.Sprintf("DEFINE %s = 'value'; sets it", name)})
		}
	}
}

// recover turns the panic of fail into an error.
func (p *parser) recover(err **Error) {
	switch r := recover().(type) {
	case nil:
	case *Error:
		*err = r
	default:
		panic(r)
	}
}

func (p *parser) fail(err *Error) { panic(err) }

func (p *parser) failf(code Code, span Span, format string, args ...any) {
	p.fail(&Error{Code: code, Msg: fmt.Sprintf(format, args...), Span: span})
}

// unsupported rejects what is understood and not available.
func (p *parser) unsupported(what string, span Span) {
	p.fail(&Error{Code: CodeUnsupported, Msg: what + " is not supported", Span: span})
}

// unexpected rejects the current token; expected says what would have fitted.
func (p *parser) unexpected(expected ...string) {
	t := p.tok()
	msg := "unexpected " + p.describe(t) + " in " + p.ctx
	if len(expected) > 0 {
		msg += ", expected " + orList(expected)
	}
	p.wanted(expected...)
	p.gaveUp = &Error{Code: CodeSyntax, Msg: msg, Span: t.Span}
	if t.Kind == TokReserved && wantsName(expected, t.Word, p.standsAlone()) {
		p.gaveUp.Hint = fmt.Sprintf("%s is a reserved word; write `%s` to use it as a name", t.Word, t.Word)
	}
	p.fail(p.gaveUp)
}

// wantsName reports whether a name would have fitted where a reserved word
// stands, alone or not.
func wantsName(expected []string, word string, alone bool) bool {
	clause := clauseWords[word] && !alone
	return slices.ContainsFunc(expected, func(e string) bool {
		return strings.Contains(e, "name") && e != "a type name" || e == "an expression" && !clause
	})
}

// standsAlone reports whether the current token is an item of a list by itself: by in
// SELECT a, by FROM x is hardly a clause.
func (p *parser) standsAlone() bool {
	if p.pos == 0 {
		return false
	}
	switch p.toks[p.pos-1].Word {
	case "SELECT", "DISTINCT", ",", "(":
	default:
		return false
	}
	switch p.ahead(1).Word {
	case ",", ")", "FROM":
		return true
	}
	return false
}

// clauseWords start or join clauses: where one of them stands, something was
// left out in front of it, and it was hardly meant as a name.
var clauseWords = map[string]bool{
	"SELECT": true, "FROM": true, "WHERE": true, "GROUP": true, "BY": true, "HAVING": true, "WINDOW": true, "WITHIN": true, "LIMIT": true,
	"AS": true, "AND": true, "OR": true, "NOT": true, "IN": true, "IS": true, "BETWEEN": true, "LIKE": true, "WHEN": true, "THEN": true,
	"ELSE": true, "END": true, "JOIN": true, "ON": true, "WITH": true, "VALUES": true,
}

func orList(words []string) string {
	if len(words) == 1 {
		return words[0]
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

// maxTokenShown bounds the part of a token that a message repeats.
const maxTokenShown = 40

func (p *parser) describe(t Token) string {
	switch {
	case t.Kind == TokEOF:
		return "end of text"
	case t.Kind == TokOp && t.Word == ";":
		return "end of statement"
	}
	s := p.textOf(t)
	if r := []rune(s); len(r) > maxTokenShown {
		s = string(r[:maxTokenShown]) + "..."
	}
	return strings.ReplaceAll(s, "\n", " ")
}

func (p *parser) textOf(t Token) string { return p.text[t.Span.Start:t.Span.End] }

func (p *parser) tok() Token { return p.toks[p.pos] }

// ahead returns the token n places on, at most the one that ends the statement.
func (p *parser) ahead(n int) Token { return p.toks[min(p.pos+n, p.end)] }

// is reports whether the current token is the word or operator w.
func (p *parser) is(w string) bool {
	if p.tries != nil {
		p.wanted(w)
	}
	return p.toks[p.pos].Word == w && p.toks[p.pos].Kind != TokInvalid
}

// isAhead reports whether the tokens from the current one on are these words.
func (p *parser) isAhead(ws ...string) bool {
	for i, w := range ws {
		if p.tries != nil && p.pos+i < p.end {
			p.tries.add(p.pos+i, p.ctx, w)
			if i > 0 {
				p.tries.far = max(p.tries.far, p.pos+i)
			}
		}
		if p.ahead(i).Word != w {
			return false
		}
	}
	return true
}

func (p *parser) advance() { p.pos = min(p.pos+1, p.end) }

// accept skips the words when all of them come.
func (p *parser) accept(ws ...string) bool {
	if !p.isAhead(ws...) {
		return false
	}
	p.pos = min(p.pos+len(ws), p.end)
	return true
}

func (p *parser) expect(ws ...string) {
	for _, w := range ws {
		if !p.accept(w) {
			p.unexpected(w)
		}
	}
}

// span returns the text range from token first to token last.
func (p *parser) span(first, last int) Span {
	return Span{p.toks[first].Span.Start, p.toks[last].Span.End}
}

// since returns the text range from token first to the one before the current.
func (p *parser) since(first int) Span { return p.span(first, max(first, p.pos-1)) }

// enter counts one level of nesting; leave ends it.
func (p *parser) enter() {
	p.depth++
	if p.depth > MaxNesting {
		p.fail(&Error{Code: CodeLimit, Msg: fmt.Sprintf("nesting is deeper than the limit of %d", MaxNesting), Span: p.tok().Span})
	}
}

func (p *parser) leave() { p.depth-- }

// operator counts one node of the tree.
func (p *parser) operator() {
	p.ops++
	if p.ops > MaxOperators {
		p.fail(&Error{Code: CodeLimit, Msg: fmt.Sprintf("more than %d operators in one statement", MaxOperators), Span: p.tok().Span,
			Hint: "use IN for long lists of alternatives"})
	}
}

// isName reports whether a token can be a name.
func isName(t Token) bool { return t.Kind == TokName || t.Kind == TokQuoted }

// ident returns the name that the token at index i stands for.
func (p *parser) ident(i int) Ident {
	t := p.toks[i]
	s := p.textOf(t)
	if t.Kind != TokQuoted {
		return Ident{Name: strings.ToUpper(s), Span: t.Span}
	}
	name := unquote(s)
	if name == "" {
		p.failf(CodeSyntax, t.Span, "a name may not be empty")
	}
	return Ident{Name: name, Quoted: true, Span: t.Span}
}

// name reads a name; what says of what, with its article.
func (p *parser) name(what string) Ident {
	if !isName(p.tok()) {
		p.unexpected(what)
	}
	p.advance()
	return p.ident(p.pos - 1)
}

// sourceName reads the name or alias of a stream or table, whose characters are
// limited since topics and stores are named after it.
func (p *parser) sourceName(what string) Ident {
	id := p.name(what)
	p.checkSourceName(id)
	return id
}

func (p *parser) checkSourceName(id Ident) {
	for i := 0; i < len(id.Name); i++ {
		if c := id.Name[i]; !isLetter(c) && !isDigit(c) && c != '_' && c != '-' {
			p.fail(&Error{Code: CodeSyntax, Msg: fmt.Sprintf("name %s holds a character that names of streams and tables may not have", id.Name),
				Span: id.Span, Hint: "use letters, digits, _ and - only"})
		}
	}
}

// stringLit reads a string; what says of what, with its article.
func (p *parser) stringLit(what string) string {
	if p.tok().Kind != TokString {
		p.unexpected(what)
	}
	p.advance()
	return unquote(p.textOf(p.toks[p.pos-1]))
}

// list reads f {',' f}.
func (p *parser) list(f func()) {
	for {
		f()
		if !p.accept(",") {
			return
		}
	}
}
