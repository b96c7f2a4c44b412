package sql

// The functions here recognise expressions and emit them for TiDB. They enforce
// what MySQL's grammar would let through: one predicate per operand, names and
// calls of KSQL's form only, no row values.

// expr reads a boolean expression: predicates joined by NOT, AND and OR.
func (p *parser) expr() {
	p.enter()
	defer p.leave()
	for {
		for p.accept("NOT") {
			p.operator()
			p.em.text("NOT")
		}
		p.predicated()
		switch {
		case p.accept("AND"):
			p.em.text("AND")
		case p.accept("OR"):
			p.em.text("OR")
		default:
			return
		}
		p.operator()
	}
}

var comparisonText = map[string]string{"=": "=", "<>": "<>", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}

// predicated reads a value expression and at most one predicate on it.
func (p *parser) predicated() {
	p.value()
	if !p.predicate() {
		return
	}
	p.operator()
	if t := p.tok(); comparisonText[t.Word] != "" || t.Word == "IS" || t.Word == "BETWEEN" || t.Word == "IN" || t.Word == "LIKE" ||
		t.Word == "NOT" {
		p.fail(&Error{Code: CodeSyntax, Msg: "unexpected " + p.describe(t) + " in " + p.ctx + ", comparisons do not chain", Span: t.Span,
			Hint: "join two comparisons with AND, or put the first one in parentheses"})
	}
}

func (p *parser) predicate() bool {
	if op := comparisonText[p.tok().Word]; op != "" && p.tok().Kind == TokOp {
		p.advance()
		p.em.text(op)
		p.value()
		return true
	}
	switch {
	case p.is("IS"):
		p.isPredicate()
	case p.is("BETWEEN"), p.isAhead("NOT", "BETWEEN"):
		p.not()
		p.advance()
		p.em.text("BETWEEN")
		p.value()
		p.expect("AND")
		p.em.text("AND")
		p.value()
	case p.is("IN"), p.isAhead("NOT", "IN"):
		p.not()
		p.advance()
		p.expect("(")
		p.noSubquery()
		p.em.text("IN (")
		p.exprList()
		p.expect(")")
		p.em.text(")")
	case p.is("LIKE"), p.isAhead("NOT", "LIKE"):
		p.not()
		p.advance()
		p.likePattern()
	default:
		return false
	}
	return true
}

func (p *parser) not() {
	if p.accept("NOT") {
		p.em.text("NOT")
	}
}

func (p *parser) isPredicate() {
	p.expect("IS")
	negated := p.accept("NOT")
	switch {
	case p.accept("NULL"):
		if negated {
			p.em.text("IS NOT NULL")
		} else {
			p.em.text("IS NULL")
		}
	case p.accept("DISTINCT"):
		p.expect("FROM")
		p.em.text("<=>")
		gap := p.em.gap()
		p.value()
		call := callDistinct
		if negated {
			call = callNotDistinct
		}
		p.em.wrapIn(gap, call)
		p.em.text(")")
	case negated:
		p.unexpected("NULL", "DISTINCT FROM")
	default:
		p.unexpected("NULL", "NOT NULL", "DISTINCT FROM")
	}
}

// likePattern reads what follows LIKE. TiDB takes only a primary there, hence
// the parentheses, which convert removes.
func (p *parser) likePattern() {
	p.em.text("LIKE (")
	gap := p.em.gap()
	p.value()
	if p.is("ESCAPE") {
		p.advance()
		if p.tok().Kind != TokString {
			p.unexpected("a string of one character")
		}
		if s := []rune(unquote(p.textOf(p.tok()))); len(s) != 1 {
			p.failf(CodeLiteral, p.tok().Span, "ESCAPE takes exactly one character")
		}
		p.em.wrapIn(gap, callEscape)
		p.em.text(",")
		p.em.mark(p.pos)
		p.advance()
		p.em.text(")")
	}
	p.em.text(")")
}

// value reads a value expression: signs, arithmetic and concatenation.
func (p *parser) value() {
	for {
		for p.is("-") || p.is("+") {
			p.operator()
			p.em.text(p.tok().Word)
			p.advance()
		}
		p.primary()
		switch t := p.tok(); {
		case t.Kind != TokOp:
			if p.isAhead("AT") && p.ahead(1).Word == "TIME" {
				p.fail(&Error{Code: CodeUnsupported, Msg: "AT TIME ZONE is not supported", Span: p.span(p.pos, min(p.pos+1, p.end)),
					Hint: "use CONVERT_TZ"})
			}
			return
		case t.Word == "||":
			// In TiDB's grammar | stands where || stands in KSQL's: below + and -.
			p.em.text("|")
		case t.Word == "+" || t.Word == "-" || t.Word == "*" || t.Word == "/" || t.Word == "%":
			p.em.text(t.Word)
		default:
			return
		}
		p.advance()
		p.operator()
	}
}

// primary reads an operand with its subscripts and field accesses.
func (p *parser) primary() {
	p.operator()
	first := p.pos
	gap := p.em.gap()
	p.operand(gap)
	for {
		switch {
		case p.accept("["):
			p.operator()
			p.em.wrapIn(gap, callIndex)
			p.em.text(",")
			p.enter()
			p.value()
			p.leave()
			p.expect("]")
			p.em.text(")")
		case p.accept("->"):
			p.operator()
			p.em.wrapIn(gap, callField)
			p.em.text(",")
			p.em.mark(p.pos)
			p.em.text(")")
			if p.is("*") && p.allowStar && first == p.itemStart {
				p.advance()
				return
			}
			p.name("a field name")
		default:
			return
		}
	}
}

func (p *parser) operand(gap int) {
	switch t := p.tok(); t.Kind {
	case TokString, TokInteger, TokDecimal, TokDouble:
		p.em.mark(p.pos)
		p.advance()
	case TokName, TokQuoted:
		if p.atEmit() {
			p.unexpected("an expression")
		}
		p.wanted("CASE", "CAST", "TRUE", "FALSE", "NULL", "ARRAY", "MAP", "STRUCT")
		p.nameOrCall(gap)
	case TokReserved:
		p.reservedOperand(t)
	case TokOp:
		if t.Word != "(" {
			p.unexpected("an expression")
		}
		p.advance()
		p.noSubquery()
		p.em.text("(")
		p.expr()
		if p.is(",") {
			p.fail(&Error{Code: CodeSyntax, Msg: "unexpected ',' in parentheses: a list in parentheses is not an expression", Span: p.tok().Span,
				Hint: "STRUCT(name := value, ...) and ARRAY[...] make nested values"})
		}
		p.expect(")")
		p.em.text(")")
	default:
		p.unexpected("an expression")
	}
}

func (p *parser) reservedOperand(t Token) {
	switch t.Word {
	case "TRUE", "FALSE", "NULL":
		p.em.mark(p.pos)
		p.advance()
	case "DECIMAL":
		p.em.mark(p.pos)
		p.advance()
		if p.tok().Kind != TokString {
			p.unexpected("a number in quotes")
		}
		p.advance()
	case "CASE":
		p.caseExpr()
	case "CAST":
		p.cast()
	case "EXISTS":
		p.unsupported("EXISTS with a sub-query", t.Span)
	default:
		p.unexpected("an expression")
	}
}

// noSubquery rejects a query in parentheses.
func (p *parser) noSubquery() {
	if p.is("SELECT") || p.is("WITH") {
		p.unsupported("a sub-query", p.tok().Span)
	}
}

func (p *parser) caseExpr() {
	p.expect("CASE")
	p.em.text("CASE")
	p.enter()
	defer p.leave()
	if !p.is("WHEN") {
		p.value()
	}
	if !p.is("WHEN") {
		p.unexpected("WHEN")
	}
	for p.accept("WHEN") {
		p.operator()
		p.em.text("WHEN")
		p.expr()
		p.expect("THEN")
		p.em.text("THEN")
		p.expr()
	}
	if p.accept("ELSE") {
		p.em.text("ELSE")
		p.expr()
	}
	if !p.is("END") {
		p.unexpected("WHEN", "ELSE", "END")
	}
	p.advance()
	p.em.text("END")
}

func (p *parser) cast() {
	p.expect("CAST", "(")
	p.em.text("`" + callCast + "`(")
	p.expr()
	as := p.pos
	p.expect("AS")
	name := p.typeName()
	if p.types == nil {
		p.types = map[int]castType{}
	}
	p.types[as] = castType{name, p.pos - 1}
	p.expect(")")
	p.em.text(",")
	p.em.mark(as)
	p.em.text(")")
}

func (p *parser) nameOrCall(gap int) {
	t, next := p.tok(), p.ahead(1)
	switch {
	case t.Word == "ARRAY" && next.Word == "[":
		p.arrayLit()
		return
	case t.Word == "MAP" && next.Word == "(":
		p.mapLit()
		return
	case t.Word == "STRUCT" && next.Word == "(":
		p.structLit()
		return
	case next.Word == "(":
		p.call(gap)
		return
	}
	p.name("a name")
	p.em.name(p.pos - 1)
	if !p.accept(".") {
		return
	}
	p.em.text(".")
	p.name("a column name")
	p.em.name(p.pos - 1)
	switch {
	case p.is("."):
		p.fail(&Error{Code: CodeSyntax, Msg: "unexpected . in " + p.ctx + ", a column has at most one qualifier", Span: p.tok().Span,
			Hint: "write -> to get at a field of a STRUCT"})
	case p.is("("):
		p.failf(CodeSyntax, p.tok().Span, "unexpected ( in %s, a function name has no qualifier", p.ctx)
	}
}

func (p *parser) arrayLit() {
	p.em.text("`" + callArray + "`(")
	p.em.mark(p.pos)
	p.expect("ARRAY", "[")
	if !p.is("]") {
		p.em.text(",")
		p.exprList()
	}
	p.expect("]")
	p.em.text(")")
}

func (p *parser) mapLit() {
	p.em.text("`" + callMap + "`(")
	p.em.mark(p.pos)
	p.expect("MAP", "(")
	if !p.is(")") {
		p.list(func() {
			p.em.text(",")
			p.expr()
			p.expect(":=")
			p.em.text(",")
			p.expr()
		})
	}
	p.expect(")")
	p.em.text(")")
}

func (p *parser) structLit() {
	p.em.text("`" + callStruct + "`(")
	p.em.mark(p.pos)
	p.expect("STRUCT", "(")
	if !p.is(")") {
		p.list(func() {
			p.em.text(",")
			p.name("a field name")
			p.em.mark(p.pos - 1)
			p.expect(":=")
			p.em.text(",")
			p.expr()
		})
	}
	p.expect(")")
	p.em.text(")")
}

func (p *parser) exprList() {
	first := true
	p.list(func() {
		if !first {
			p.em.text(",")
		}
		first = false
		p.expr()
	})
}

// call reads a function call with FILTER when it follows.
func (p *parser) call(gap int) {
	p.em.name(p.pos)
	p.advance()
	p.expect("(")
	p.em.text("(")
	switch {
	case p.is("*"):
		p.em.mark(p.pos)
		p.advance()
	case p.is(")"):
	default:
		if p.is("DISTINCT") {
			p.em.mark(p.pos)
			p.em.text(",")
			p.advance()
		}
		p.arguments()
	}
	p.expect(")")
	p.em.text(")")
	if p.isAhead("FILTER", "(") {
		p.advance()
		p.expect("(", "WHERE")
		p.em.wrapIn(gap, callFilter)
		p.em.text(",")
		p.expr()
		p.expect(")")
		p.em.text(")")
	}
	if p.isAhead("OVER", "(") {
		p.unsupported("OVER", p.tok().Span)
	}
}

// arguments reads expressions, then lambdas.
func (p *parser) arguments() {
	lambdas, n := false, 0
	p.list(func() {
		if n++; n > 1 {
			p.em.text(",")
		}
		switch {
		case p.atLambda():
			if n == 1 {
				p.failf(CodeSyntax, p.tok().Span, "a lambda cannot be the first argument")
			}
			lambdas = true
			p.lambda()
		case lambdas:
			p.failf(CodeSyntax, p.tok().Span, "an argument after a lambda must be a lambda")
		case unitName(p.tok()) != "" && (p.ahead(1).Word == "," || p.ahead(1).Word == ")"):
			p.em.mark(p.pos)
			p.advance()
		default:
			p.expr()
		}
	})
}

// unitName returns the plural of a reserved interval unit, else "".
func unitName(t Token) string {
	if t.Kind != TokReserved {
		return ""
	}
	switch t.Word {
	case "YEARS", "MONTHS", "DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS":
		return t.Word
	case "MILLISECOND":
		return "MILLISECONDS"
	}
	return ""
}

// atLambda looks for name => or (name, ...) =>.
func (p *parser) atLambda() bool {
	if isName(p.tok()) {
		return p.ahead(1).Word == "=>"
	}
	if !p.is("(") {
		return false
	}
	for n := 1; isName(p.ahead(n)); n += 2 {
		switch p.ahead(n + 1).Word {
		case ",":
		case ")":
			return p.ahead(n+2).Word == "=>"
		default:
			return false
		}
	}
	return false
}

func (p *parser) lambda() {
	p.em.text("`" + callLambda + "`(")
	p.em.mark(p.pos)
	p.em.text(",")
	if p.accept("(") {
		p.list(func() { p.name("a parameter name") })
		p.expect(")")
	} else {
		p.name("a parameter name")
	}
	p.expect("=>")
	p.expr()
	p.em.text(")")
}
