package sql

import "strconv"

// typeName reads a type: a name, DECIMAL(p, s), VARCHAR(STRING), ARRAY<t>,
// MAP<k, v>, STRUCT<name t, ...>, or t ARRAY.
func (p *parser) typeName() TypeName {
	p.enter()
	defer p.leave()
	first := p.pos
	t := p.baseType()
	for p.is("ARRAY") {
		p.enter()
		defer p.leave()
		p.advance()
		array := p.ident(p.pos - 1)
		t = TypeName{Span: p.since(first), Name: array, Elems: []TypeName{t}}
	}
	return t
}

func (p *parser) baseType() TypeName {
	first := p.pos
	t := p.tok()
	if t.Word == "DECIMAL" {
		p.advance()
		return p.decimalType(first)
	}
	if !isName(t) {
		p.unexpected("a type name")
	}
	p.wanted("DECIMAL", "ARRAY", "MAP", "STRUCT")
	p.advance()
	tn := TypeName{Name: p.ident(first)}
	switch {
	case t.Word == "ARRAY" && p.is("<"):
		p.expect("<")
		tn.Elems = []TypeName{p.typeName()}
		p.expect(">")
	case t.Word == "MAP" && p.is("<"):
		p.expect("<")
		key := p.typeName()
		p.expect(",")
		tn.Elems = []TypeName{key, p.typeName()}
		p.expect(">")
	case t.Word == "STRUCT" && p.is("<"):
		p.structType(&tn)
	case t.Word == "STRUCT" && p.is("<>"):
		p.advance()
	case t.Word == "ARRAY" || t.Word == "MAP" || t.Word == "STRUCT":
		p.unexpected("<")
	case p.is("("):
		p.typeParameters(tn.Name)
	}
	tn.Span = p.since(first)
	return tn
}

// typeParameters reads (STRING), which schemas of old print after VARCHAR. A
// length would be a promise that is not kept.
func (p *parser) typeParameters(name Ident) {
	p.expect("(")
	if p.tok().Kind == TokInteger {
		p.unsupported("a length of "+name.Name, p.tok().Span)
	}
	if !p.accept("STRING") || name.Name != "VARCHAR" {
		if p.toks[p.pos-1].Word == "STRING" {
			p.pos--
		}
		p.unexpected("a type without parameters")
	}
	p.expect(")")
}

func (p *parser) structType(tn *TypeName) {
	p.expect("<")
	if p.accept(">") {
		return
	}
	p.list(func() {
		tn.Names = append(tn.Names, p.name("a field name"))
		tn.Elems = append(tn.Elems, p.typeName())
	})
	p.expect(">")
}

func (p *parser) decimalType(first int) TypeName {
	tn := TypeName{Name: Ident{Name: "DECIMAL", Span: p.toks[first].Span}}
	p.expect("(")
	precision := p.int32("a precision")
	p.expect(",")
	tn.Args = []int32{precision, p.int32("a scale")}
	p.expect(")")
	tn.Span = p.since(first)
	return tn
}

// int32 reads an integer token; what says of what, with its article.
func (p *parser) int32(what string) int32 {
	t := p.tok()
	if t.Kind != TokInteger {
		p.unexpected(what)
	}
	n, err := strconv.ParseInt(p.textOf(t), 10, 32)
	if err != nil {
		p.failf(CodeLiteral, t.Span, "number %s is out of range", p.describe(t))
	}
	p.advance()
	return int32(n)
}
