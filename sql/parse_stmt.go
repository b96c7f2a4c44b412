package sql

import "strings"

// statement reads one statement up to, not including, its semicolon.
func (p *parser) statement() Statement {
	p.enter()
	defer p.leave()
	first := p.pos
	p.ctx = "statement"
	var s Statement
	switch t := p.tok(); t.Word {
	case "SELECT", "WITH":
		q := p.query()
		s = &Select{Query: q}
	case "CREATE":
		s = p.create()
	case "INSERT":
		s = p.insert()
	case "DROP":
		s = p.drop()
	case "ALTER":
		s = p.alter()
	case "LIST", "SHOW":
		s = p.show()
	case "DESCRIBE":
		s = p.describeStmt()
	case "EXPLAIN":
		s = p.explain()
	case "PRINT":
		s = p.print()
	case "TERMINATE", "PAUSE", "RESUME":
		s = p.queryControl()
	case "SET", "UNSET", "DEFINE", "UNDEFINE", "RUN":
		s = p.session()
	case "ASSERT":
		s = p.assert()
	default:
		p.unknownStatement(t)
	}
	setSpan(s, p.since(first))
	return s
}

var statementWords = []string{"SELECT", "CREATE", "INSERT", "DROP", "ALTER", "LIST", "SHOW", "DESCRIBE", "EXPLAIN", "PRINT", "TERMINATE",
	"PAUSE", "RESUME", "SET", "UNSET", "DEFINE", "UNDEFINE", "RUN", "ASSERT"}

func (p *parser) unknownStatement(t Token) {
	switch t.Word {
	case "DELETE", "EXPORT", "LOAD", "RENAME", "ANALYZE", "RESET":
		p.unsupported(t.Word, t.Span)
	}
	p.fail(&Error{Code: CodeSyntax, Msg: "unexpected " + p.describe(t) + ", expected a statement", Span: t.Span,
		Hint: DidYouMean(p.textOf(t), statementWords)})
}

// setSpan sets the span of a statement through its embedded StmtNode.
func setSpan(s Statement, span Span) { s.(interface{ setSpan(Span) }).setSpan(span) }

func (n *StmtNode) setSpan(s Span) { n.Span = s }

func (p *parser) create() Statement {
	p.ctx = "CREATE statement"
	p.expect("CREATE")
	replace := p.accept("OR", "REPLACE")
	p.noConnector("CREATE", 0)
	if p.is("SOURCE") || p.is("SINK") {
		p.noConnector("CREATE", 1)
	}
	if p.is("TYPE") && !replace {
		return p.createType()
	}
	readOnly := p.accept("SOURCE")
	kind := p.sourceKind(replace, readOnly)
	ifAt := p.pos
	ifNotExists := p.accept("IF", "NOT", "EXISTS")
	if ifNotExists && replace {
		p.fail(&Error{Code: CodeSyntax, Msg: "OR REPLACE and IF NOT EXISTS exclude each other", Span: p.since(ifAt)})
	}
	name := p.sourceName("the name of the " + kind.String())
	var columns []ColumnDef
	hasColumns := p.is("(")
	if hasColumns {
		columns = p.columnDefs()
		p.ctx = "CREATE statement"
	}
	var with []Property
	if p.is("WITH") {
		with = p.properties()
	}
	if p.is("AS") {
		if hasColumns {
			p.fail(&Error{Code: CodeUnsupported, Msg: "a column list before AS is not supported", Span: p.tok().Span,
				Hint: "name the columns in the query: SELECT a AS b"})
		}
		if readOnly {
			p.failf(CodeSyntax, p.tok().Span, "a SOURCE %s cannot be made by a query", kind)
		}
		p.advance()
		p.ctx = "CREATE statement"
		if !p.is("SELECT") && !p.is("WITH") {
			p.unexpected("SELECT")
		}
		return &CreateAs{Kind: kind, OrReplace: replace, IfNotExists: ifNotExists, Name: name, With: with, Query: p.query()}
	}
	p.ctx = "CREATE statement"
	return &CreateSource{Kind: kind, OrReplace: replace, ReadOnly: readOnly, IfNotExists: ifNotExists, Name: name, Columns: columns, With: with}
}

// noConnector rejects statements on connectors; the word is n tokens ahead.
func (p *parser) noConnector(verb string, n int) {
	if w := p.ahead(n).Word; w == "CONNECTOR" || w == "CONNECTORS" {
		p.unsupported(verb+" "+w, p.span(p.pos, min(p.pos+n, p.end)))
	}
}

func (p *parser) sourceKind(replace, readOnly bool) SourceKind {
	switch {
	case p.accept("STREAM"):
		return Stream
	case p.accept("TABLE"):
		return Table
	case p.is("MATERIALIZED"):
		p.fail(&Error{Code: CodeUnsupported, Msg: "CREATE MATERIALIZED VIEW is not supported", Span: p.tok().Span,
			Hint: "CREATE TABLE ... AS SELECT keeps a materialised result"})
	}
	expected := []string{"STREAM", "TABLE"}
	if !replace && !readOnly {
		expected = append(expected, "TYPE", "SOURCE", "OR REPLACE")
	}
	p.unexpected(expected...)
	return 0
}

func (p *parser) createType() Statement {
	p.expect("TYPE")
	s := &CreateType{IfNotExists: p.accept("IF", "NOT", "EXISTS")}
	s.Name = p.name("the name of the type")
	p.expect("AS")
	s.Type = p.typeName()
	return s
}

func (p *parser) columnDefs() []ColumnDef {
	p.ctx = "column list"
	p.expect("(")
	var defs []ColumnDef
	if !p.is(")") {
		p.list(func() { defs = append(defs, p.columnDef()) })
	}
	if !p.is(")") {
		p.unexpected(",", ")")
	}
	p.advance()
	return defs
}

func (p *parser) columnDef() ColumnDef {
	first := p.pos
	c := ColumnDef{Name: p.name("a column name"), Type: p.typeName()}
	switch {
	case p.accept("KEY"):
		c.Mark = MarkKey
	case p.accept("PRIMARY"):
		p.expect("KEY")
		c.Mark = MarkPrimaryKey
	case p.accept("HEADERS"):
		c.Mark = MarkHeaders
	case p.accept("HEADER"):
		c.Mark = MarkHeader
		p.expect("(")
		c.Header = p.stringLit("the header's key in quotes")
		p.expect(")")
	}
	c.Span = p.since(first)
	return c
}

// properties reads WITH (name = literal, ...).
func (p *parser) properties() []Property {
	p.ctx = "WITH clause"
	p.expect("WITH", "(")
	var props []Property
	if !p.is(")") {
		p.list(func() { props = append(props, p.property()) })
	}
	if !p.is(")") {
		p.unexpected(",", ")")
	}
	p.advance()
	return props
}

func (p *parser) property() Property {
	first := p.pos
	prop := Property{Name: p.propertyName()}
	p.expect("=")
	prop.Value = p.propertyValue()
	prop.Span = p.since(first)
	return prop
}

// propertyName reads a name or a string. Property names have no case.
func (p *parser) propertyName() Ident {
	t := p.tok()
	switch {
	case t.Kind == TokString:
		p.advance()
		return Ident{Name: strings.ToUpper(unquote(p.textOf(t))), Span: t.Span}
	case isName(t):
		p.advance()
		return Ident{Name: strings.ToUpper(p.ident(p.pos - 1).Name), Span: t.Span}
	}
	p.unexpected("a property name")
	return Ident{}
}

func (p *parser) propertyValue() *Literal {
	first := p.pos
	negative := p.accept("-")
	t := p.tok()
	switch {
	case p.isNumber(p.pos), !negative && (t.Kind == TokString || t.Word == "TRUE" || t.Word == "FALSE" || t.Word == "NULL"):
	default:
		p.unexpected("a string", "a number", "TRUE", "FALSE")
	}
	p.advance()
	span := p.since(first)
	value, typ := p.literalValue(t, negative, span)
	return &Literal{Node{span}, value, typ}
}

func (p *parser) insert() Statement {
	p.ctx = "INSERT statement"
	p.expect("INSERT", "INTO")
	target := p.sourceName("the name of a stream or table")
	if p.is("WITH") {
		with := p.properties()
		p.ctx = "INSERT statement"
		if !p.is("SELECT") {
			p.unexpected("SELECT")
		}
		return &InsertSelect{Target: target, With: with, Query: p.query()}
	}
	if p.is("SELECT") {
		return &InsertSelect{Target: target, Query: p.query()}
	}
	s := &InsertValues{Target: target}
	if p.accept("(") {
		p.ctx = "column list"
		p.list(func() { s.Columns = append(s.Columns, p.name("a column name")) })
		p.expect(")")
		p.ctx = "INSERT statement"
	}
	if !p.is("VALUES") {
		if s.Columns == nil {
			p.unexpected("(", "VALUES", "SELECT")
		}
		p.unexpected("VALUES")
	}
	p.advance()
	p.ctx = "VALUES list"
	p.expect("(")
	s.Values = p.expressions(p.exprList)
	p.expect(")")
	if p.is(",") {
		p.fail(&Error{Code: CodeUnsupported, Msg: "several rows in one INSERT are not supported", Span: p.tok().Span,
			Hint: "write one INSERT per row"})
	}
	return s
}
