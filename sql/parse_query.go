package sql

import (
	"math"
	"strconv"
	"time"
)

// queryParts remembers, while a query is recognised, what its tree does not say.
type queryParts struct {
	query *Query
	// exprs says which items hold an expression, in the order of the items.
	exprs []bool
	// partFrom and partTo delimit the pieces of PARTITION BY, which go to TiDB as
	// a text of their own.
	partFrom, partTo int
}

// query reads a SELECT and converts it.
func (p *parser) query() *Query {
	first := p.pos
	if p.is("WITH") {
		p.unsupported("WITH (a common table expression)", p.tok().Span)
	}
	p.ops = 0
	p.em.reset()
	q := &queryParts{query: &Query{Limit: -1}, partFrom: -1}
	p.selectList(q)
	p.from(q.query)
	p.clauses(q)
	p.afterQuery()
	q.query.Span = p.since(first)
	p.buildQuery(q)
	return q.query
}

func (p *parser) selectList(q *queryParts) {
	p.ctx = "select list"
	p.expect("SELECT")
	p.em.text("SELECT")
	if p.is("DISTINCT") {
		p.unsupported("SELECT DISTINCT", p.tok().Span)
	}
	p.accept("ALL")
	p.list(func() {
		if len(q.exprs) > 0 {
			p.em.text(",")
		}
		p.selectItem(q)
	})
}

func (p *parser) selectItem(q *queryParts) {
	first := p.pos
	var item SelectItem
	isExpr := false
	switch {
	case p.accept("*"):
		item.Star = true
		p.em.text("*")
	case isName(p.tok()) && p.ahead(1).Word == "." && p.ahead(2).Word == "*":
		item.Star = true
		item.Source = p.sourceName("a source name")
		p.pos += 2
		p.em.name(first)
		p.em.text(".*")
	default:
		isExpr = true
		p.itemStart, p.allowStar = first, true
		p.expr()
		p.allowStar = false
		item.Star = p.toks[p.pos-1].Word == "*" && p.toks[p.pos-2].Word == "->"
		if item.Star && !p.is(",") && !p.is("FROM") {
			p.unexpected(",", "FROM")
		}
		item.Alias = p.itemAlias()
	}
	item.Span = p.since(first)
	q.exprs = append(q.exprs, isExpr)
	q.query.Items = append(q.query.Items, item)
}

func (p *parser) itemAlias() Ident {
	if p.accept("AS") {
		return p.name("a column name")
	}
	if isName(p.tok()) && !p.atClause() {
		return p.name("a column name")
	}
	return Ident{}
}

// atClause reports whether the current token, though it could be a name, starts
// a clause.
func (p *parser) atClause() bool {
	switch next := p.ahead(1).Word; p.tok().Word {
	case "EMIT":
		// Behind an alias stands no other name: EMIT CHANGE is misspelt.
		return next == "CHANGES" || next == "FINAL" || p.ahead(1).Kind == TokName && next == ""
	case "PARTITION", "ORDER":
		return next == "BY"
	case "UNION", "INTERSECT", "EXCEPT":
		return true
	}
	return false
}

// atEmit reports whether the EMIT clause stands here, though EMIT could be a name
// and CHANGES its alias: nothing but LIMIT and the end may follow the clause.
func (p *parser) atEmit() bool {
	if t, next := p.tok(), p.ahead(1); t.Word != "EMIT" || next.Word != "CHANGES" && next.Word != "FINAL" {
		return false
	}
	behind := p.ahead(2)
	return behind.Kind == TokEOF || behind.Word == ";" || behind.Word == "LIMIT"
}

func (p *parser) from(q *Query) {
	if !p.is("FROM") {
		p.unexpected(",", "FROM")
	}
	p.advance()
	p.ctx = "FROM clause"
	p.em.text("FROM")
	q.From.Source = p.sourceRef()
	if p.is(",") {
		p.fail(&Error{Code: CodeUnsupported, Msg: "a join without JOIN is not supported", Span: p.tok().Span,
			Hint: "write FROM a JOIN b ON a.x = b.y"})
	}
	for {
		first := p.pos
		kind, ok := p.joinKind()
		if !ok {
			return
		}
		p.ctx = "JOIN clause"
		// The kind stays with us: TiDB would take FULL for an alias.
		p.em.text("LEFT JOIN")
		j := Join{Kind: kind, Source: p.sourceRef()}
		if p.is("WITHIN") {
			j.Within = p.within()
		}
		if !p.is("ON") {
			if j.Within == nil {
				p.unexpected("WITHIN", "ON")
			}
			p.unexpected("ON")
		}
		p.advance()
		p.em.text("ON")
		p.expr()
		j.Span = p.since(first)
		q.From.Joins = append(q.From.Joins, j)
		p.operator()
	}
}

func (p *parser) joinKind() (JoinKind, bool) {
	kind := InnerJoin
	switch {
	case p.accept("JOIN"):
		return InnerJoin, true
	case p.accept("INNER"):
		p.expect("JOIN")
		return InnerJoin, true
	case p.accept("LEFT"):
		kind = LeftJoin
	case p.accept("RIGHT"):
		kind = RightJoin
	case p.accept("FULL"):
		kind = FullJoin
	default:
		return kind, false
	}
	p.accept("OUTER")
	p.expect("JOIN")
	return kind, true
}

func (p *parser) sourceRef() SourceRef {
	first := p.pos
	if p.atEmit() {
		p.unexpected("the name of a stream or table")
	}
	if p.accept("(") {
		p.noSubquery()
		p.pos--
	}
	ref := SourceRef{Name: p.sourceName("the name of a stream or table")}
	p.em.name(first)
	if p.is("(") {
		p.failf(CodeSyntax, p.tok().Span, "unexpected ( in %s, a function cannot be a source", p.ctx)
	}
	if p.accept("AS") || isName(p.tok()) && !p.atClause() {
		ref.Alias = p.sourceName("an alias")
		p.em.text("AS")
		p.em.name(p.pos - 1)
	}
	ref.Span = p.since(first)
	return ref
}

// clauses reads what may follow the FROM clause, in its one order.
func (p *parser) clauses(q *queryParts) {
	query := q.query
	if p.is("WINDOW") {
		query.Window = p.window()
	}
	if p.accept("WHERE") {
		p.ctx = "WHERE clause"
		p.em.text("WHERE")
		p.expr()
		query.Where = &Literal{} // present; buildQuery sets it
	}
	if p.accept("GROUP") {
		p.ctx = "GROUP BY clause"
		p.expect("BY")
		p.em.text("GROUP BY")
		query.GroupBy = make([]Expr, p.valueList())
	}
	if p.isAhead("PARTITION", "BY") {
		p.pos += 2
		p.ctx = "PARTITION BY clause"
		q.partFrom = len(p.em.pieces)
		query.PartitionBy = make([]Expr, p.valueList())
		q.partTo = len(p.em.pieces)
	}
	if p.accept("HAVING") {
		p.ctx = "HAVING clause"
		p.em.text("HAVING")
		p.expr()
		query.Having = &Literal{}
	}
	p.ctx = "query"
	p.emitAndLimit(query)
}

func (p *parser) emitAndLimit(q *Query) {
	if p.is("EMIT") {
		first := p.pos
		p.ctx = "EMIT clause"
		p.advance()
		switch {
		case p.accept("CHANGES"):
			q.Emit = EmitChanges
		case p.accept("FINAL"):
			q.Emit = EmitFinal
		default:
			p.unexpected("CHANGES", "FINAL")
		}
		q.EmitSpan = p.since(first)
	}
	if p.is("LIMIT") {
		first := p.pos
		p.ctx = "LIMIT clause"
		p.advance()
		q.Limit = p.nonNegative("a non-negative integer")
		q.LimitSpan = p.since(first)
	}
	p.ctx = "query"
}

// nonNegative reads an integer; what says of what, with its article.
func (p *parser) nonNegative(what string) int {
	t := p.tok()
	if t.Kind != TokInteger {
		p.unexpected(what)
	}
	n, err := strconv.Atoi(p.textOf(t))
	if err != nil {
		p.failf(CodeLiteral, t.Span, "number %s is out of range", p.describe(t))
	}
	p.advance()
	return n
}

// afterQuery names what may not follow a query.
func (p *parser) afterQuery() {
	t := p.tok()
	switch t.Word {
	case "UNION", "INTERSECT", "EXCEPT":
		p.unsupported(t.Word, t.Span)
	case "ORDER":
		p.unsupported("ORDER BY", t.Span)
	case "WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "EMIT", "LIMIT":
		p.fail(&Error{Code: CodeSyntax, Msg: "unexpected " + p.describe(t) + " here, it is repeated or out of order", Span: t.Span,
			Hint: "the order is FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, EMIT, LIMIT"})
	}
	if p.pos < p.end {
		p.unexpected("a clause", "the end of the query")
	}
}

// valueList reads the expressions of GROUP BY or PARTITION BY and returns their
// number. They are value expressions: a AND b is not one. A list in parentheses
// must be the whole clause.
func (p *parser) valueList() int {
	n := 0
	item := func(f func()) func() {
		return func() {
			if n++; n > 1 {
				p.em.text(",")
			}
			f()
		}
	}
	list, comma := p.parenthesisedList()
	if !list {
		p.list(item(p.value))
		return n
	}
	p.expect("(")
	if p.is(")") {
		p.unexpected("an expression")
	}
	p.noSubquery()
	if comma {
		p.list(item(p.value))
	} else {
		p.list(item(p.expr))
	}
	p.expect(")")
	if p.is(",") {
		p.unexpected("the end of the clause after the list in parentheses")
	}
	return n
}

// parenthesisedList looks whether a list in parentheses comes and whether it
// has a comma at its top level. (a) + 1 is no list, nor is (a), b.
func (p *parser) parenthesisedList() (list, comma bool) {
	if !p.is("(") {
		return false, false
	}
	depth := 0
	for n := 0; p.pos+n < p.end; n++ {
		t := p.ahead(n)
		if t.Kind != TokOp {
			continue
		}
		switch t.Word {
		case "(", "[":
			depth++
		case ",":
			comma = comma || depth == 1
		case ")", "]":
			depth--
		}
		if depth == 0 {
			after := p.ahead(n + 1)
			return comma || after.Kind != TokOp || after.Word == ";", comma
		}
	}
	return false, false
}

// window reads a WINDOW clause. Its optional name has no use in the language
// and is not kept.
func (p *parser) window() *Window {
	first := p.pos
	p.ctx = "window clause"
	p.expect("WINDOW")
	if isName(p.tok()) && p.ahead(1).Word != "(" {
		p.name("a window name")
	}
	w := &Window{}
	switch {
	case p.accept("TUMBLING"):
		w.Kind = Tumbling
		p.expect("(", "SIZE")
		w.Size = p.duration().Value
		w.Advance = w.Size
	case p.accept("HOPPING"):
		w.Kind = Hopping
		p.expect("(", "SIZE")
		w.Size = p.duration().Value
		p.expect(",", "ADVANCE", "BY")
		w.Advance = p.duration().Value
	case p.accept("SESSION"):
		w.Kind = Session
		p.expect("(")
		w.Size = p.duration().Value
	default:
		p.unexpected("TUMBLING", "HOPPING", "SESSION")
	}
	if p.accept(",", "RETENTION") {
		d := p.duration()
		w.Retention = &d
	}
	if p.accept(",", "GRACE") {
		p.expect("PERIOD")
		d := p.duration()
		w.Grace = &d
	}
	if !p.is(")") {
		if w.Retention == nil && w.Grace == nil {
			p.unexpected(")", ", RETENTION", ", GRACE PERIOD")
		}
		p.unexpected(")")
	}
	p.advance()
	w.Span = p.since(first)
	return w
}

func (p *parser) within() *Within {
	first := p.pos
	p.ctx = "WITHIN clause"
	p.expect("WITHIN")
	w := &Within{}
	if p.accept("(") {
		w.Before = p.duration().Value
		p.expect(",")
		w.After = p.duration().Value
		p.expect(")")
	} else {
		w.Before = p.duration().Value
		w.After = w.Before
	}
	if p.accept("GRACE") {
		p.expect("PERIOD")
		d := p.duration()
		w.Grace = &d
	}
	w.Span = p.since(first)
	p.ctx = "JOIN clause"
	return w
}

var unitLength = map[string]time.Duration{
	"DAY": 24 * time.Hour, "DAYS": 24 * time.Hour, "HOUR": time.Hour, "HOURS": time.Hour, "MINUTE": time.Minute, "MINUTES": time.Minute,
	"SECOND": time.Second, "SECONDS": time.Second, "MILLISECOND": time.Millisecond, "MILLISECONDS": time.Millisecond,
}

// duration reads a number and a unit.
func (p *parser) duration() Duration {
	first := p.pos
	t := p.tok()
	if t.Kind != TokInteger {
		p.unexpected("a number")
	}
	p.advance()
	unit, ok := unitLength[p.tok().Word]
	if !ok {
		p.wanted("DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS", "DAY", "HOUR", "MINUTE", "SECOND", "MILLISECOND")
		p.unexpected("DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS")
	}
	p.advance()
	n, err := strconv.ParseInt(p.textOf(t), 10, 64)
	if err != nil || n > math.MaxInt64/int64(unit) {
		p.failf(CodeLiteral, p.since(first), "a time of %s %s is out of range", p.textOf(t), p.textOf(p.toks[p.pos-1]))
	}
	return Duration{Span: p.since(first), Value: time.Duration(n) * unit}
}
