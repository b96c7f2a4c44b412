package sql

func (p *parser) drop() Statement {
	p.ctx = "DROP statement"
	p.expect("DROP")
	p.noConnector("DROP", 0)
	if p.accept("TYPE") {
		s := &DropType{IfExists: p.accept("IF", "EXISTS")}
		s.Name = p.name("the name of a type")
		return s
	}
	s := &DropSource{}
	switch {
	case p.accept("STREAM"):
	case p.accept("TABLE"):
		s.Kind = Table
	default:
		p.unexpected("STREAM", "TABLE", "TYPE")
	}
	s.IfExists = p.accept("IF", "EXISTS")
	s.Name = p.sourceName("the name of a " + s.Kind.String())
	if p.accept("DELETE") {
		p.expect("TOPIC")
		s.DeleteTopic = true
	}
	return s
}

func (p *parser) alter() Statement {
	p.ctx = "ALTER statement"
	p.expect("ALTER")
	if p.accept("SYSTEM") {
		s := &AlterSystem{NameSpan: p.tok().Span, Name: p.stringLit("a property name in quotes")}
		p.expect("=")
		s.Value = p.stringLit("a value in quotes")
		return s
	}
	s := &AlterSource{}
	switch {
	case p.accept("STREAM"):
	case p.accept("TABLE"):
		s.Kind = Table
	default:
		p.unexpected("STREAM", "TABLE", "SYSTEM")
	}
	s.Name = p.sourceName("the name of a " + s.Kind.String())
	p.list(func() {
		p.expect("ADD")
		p.accept("COLUMN")
		first := p.pos
		c := ColumnDef{Name: p.name("a column name"), Type: p.typeName()}
		c.Span = p.since(first)
		s.Add = append(s.Add, c)
	})
	return s
}

var showKinds = map[string]ShowKind{
	"STREAMS": ShowStreams, "TABLES": ShowTables, "TOPICS": ShowTopics, "QUERIES": ShowQueries, "FUNCTIONS": ShowFunctions,
	"PROPERTIES": ShowProperties, "TYPES": ShowTypes, "VARIABLES": ShowVariables,
}

func (p *parser) show() Statement {
	p.ctx = p.tok().Word + " statement"
	p.advance()
	p.noConnector("SHOW", 0)
	if p.is("SOURCE") || p.is("SINK") {
		p.noConnector("SHOW", 1)
	}
	s := &Show{All: p.accept("ALL")}
	kind, ok := showKinds[p.tok().Word]
	if !ok || s.All && kind != ShowTopics {
		if s.All {
			p.unexpected("TOPICS")
		}
		p.unexpected("STREAMS", "TABLES", "TOPICS", "QUERIES", "FUNCTIONS", "PROPERTIES", "TYPES", "VARIABLES")
	}
	p.advance()
	s.What = kind
	if kind <= ShowQueries {
		s.Extended = p.accept("EXTENDED")
	}
	return s
}

func (p *parser) describeStmt() Statement {
	p.ctx = "DESCRIBE statement"
	p.expect("DESCRIBE")
	p.noConnector("DESCRIBE", 0)
	s := &Describe{}
	switch {
	case p.accept("STREAMS"):
		s.What = DescribeStreams
	case p.is("TABLES") && (p.pos+1 == p.end || p.ahead(1).Word == "EXTENDED"):
		p.advance()
		s.What = DescribeTables
	case p.is("FUNCTION") && p.pos+1 < p.end:
		p.advance()
		s.What = DescribeFunction
		s.Name = p.name("the name of a function")
		return s
	default:
		s.Name = p.sourceName("the name of a stream or table")
	}
	s.Extended = p.accept("EXTENDED")
	return s
}

func (p *parser) explain() Statement {
	p.ctx = "EXPLAIN statement"
	p.expect("EXPLAIN")
	s := &Explain{}
	if isName(p.tok()) && p.pos+1 == p.end {
		s.QueryID = p.name("a query id")
		return s
	}
	if p.is("EXPLAIN") {
		p.unexpected("a statement", "a query id")
	}
	s.Statement = p.statement()
	return s
}

func (p *parser) print() Statement {
	p.ctx = "PRINT statement"
	p.expect("PRINT")
	s := &Print{Topic: p.topicName(), Limit: -1}
	s.FromBeginning = p.accept("FROM", "BEGINNING")
	if p.is("INTERVAL") || p.is("SAMPLE") {
		p.advance()
		at := p.tok().Span
		if s.Interval = p.nonNegative("a number"); s.Interval == 0 {
			p.failf(CodeLiteral, at, "interval must be 1 or more")
		}
	}
	if p.accept("LIMIT") {
		s.Limit = p.nonNegative("a number")
	}
	return s
}

// topicName reads a topic's name, whose case counts though it is not quoted.
func (p *parser) topicName() Ident {
	t := p.tok()
	if t.Kind == TokString {
		p.advance()
		return Ident{Name: unquote(p.textOf(t)), Quoted: true, Span: t.Span}
	}
	id := p.name("the name of a topic")
	if t.Kind == TokName {
		id.Name = p.textOf(t)
	}
	return id
}

func (p *parser) queryControl() Statement {
	s := &QueryControl{}
	p.ctx = p.tok().Word + " statement"
	switch p.tok().Word {
	case "PAUSE":
		s.Action = Pause
	case "RESUME":
		s.Action = Resume
	}
	p.advance()
	if p.accept("ALL") {
		s.All = true
		return s
	}
	if !isName(p.tok()) {
		p.unexpected("a query id", "ALL")
	}
	s.QueryID = p.name("a query id")
	return s
}

// session reads the statements that change the session only.
func (p *parser) session() Statement {
	verb := p.tok().Word
	p.ctx = verb + " statement"
	p.advance()
	switch verb {
	case "SET":
		s := &Set{NameSpan: p.tok().Span, Name: p.stringLit("a property name in quotes")}
		p.expect("=")
		s.ValueSpan = p.tok().Span
		s.Value = p.stringLit("a value in quotes")
		return s
	case "UNSET":
		return &Unset{NameSpan: p.tok().Span, Name: p.stringLit("a property name in quotes")}
	case "DEFINE":
		s := &Define{Name: p.variableName()}
		p.expect("=")
		s.Value = p.stringLit("a value in quotes")
		return s
	case "UNDEFINE":
		return &Undefine{Name: p.variableName()}
	}
	p.expect("SCRIPT")
	return &RunScript{File: p.stringLit("a file name in quotes")}
}

// variableName reads the name of a variable, whose case counts.
func (p *parser) variableName() Ident {
	t := p.tok()
	if t.Kind != TokName && t.Kind != TokReserved {
		p.unexpected("the name of a variable")
	}
	p.advance()
	return Ident{Name: p.textOf(t), Span: t.Span}
}

func (p *parser) assert() Statement {
	p.ctx = "ASSERT statement"
	p.expect("ASSERT")
	switch t := p.tok(); t.Word {
	case "VALUES", "STREAM", "TABLE", "NULL":
		p.fail(&Error{Code: CodeSyntax, Msg: "unexpected " + t.Word + " in ASSERT statement, expected TOPIC or SCHEMA", Span: t.Span,
			Hint: "what a query writes is checked by `millrace test`"})
	}
	not := p.accept("NOT", "EXISTS")
	switch {
	case p.accept("TOPIC"):
		s := &AssertTopic{NotExists: not, Topic: p.topicName()}
		if p.is("WITH") {
			s.With = p.properties()
			p.ctx = "ASSERT statement"
		}
		s.Timeout = p.timeout()
		return s
	case p.accept("SCHEMA"):
		return p.assertSchema(not)
	}
	if not {
		p.unexpected("TOPIC", "SCHEMA")
	}
	p.unexpected("TOPIC", "SCHEMA", "NOT EXISTS")
	return nil
}

func (p *parser) assertSchema(not bool) Statement {
	s := &AssertSchema{NotExists: not}
	if p.accept("SUBJECT") {
		s.Subject = p.topicName()
	}
	if p.accept("ID") {
		at := p.tok().Span
		if s.ID = p.int32("a schema id"); s.ID == 0 {
			p.failf(CodeLiteral, at, "a schema id is 1 or more")
		}
	}
	if s.Subject.Name == "" && s.ID == 0 {
		p.unexpected("SUBJECT", "ID")
	}
	s.Timeout = p.timeout()
	return s
}

func (p *parser) timeout() *Duration {
	if !p.accept("TIMEOUT") {
		return nil
	}
	d := p.duration()
	return &d
}
