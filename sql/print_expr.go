package sql

import (
	"strconv"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// How tightly an expression binds, as in the grammar.
const (
	bindOr = iota + 1
	bindAnd
	bindNot
	bindPredicate
	bindConcat
	bindAdd
	bindMul
	bindUnary
	bindPrimary
)

// PrintExpr returns the canonical SQL of an expression: upper-case keywords,
// names in back-quotes where they need them, parentheses where the tree has them
// or the grammar requires them. Parsing and printing the result gives it again.
func PrintExpr(e Expr) string {
	var p printer
	p.expr(e, 0)
	return p.b.String()
}

type printer struct{ b strings.Builder }

func (p *printer) s(parts ...string) {
	for _, s := range parts {
		p.b.WriteString(s)
	}
}

func (p *printer) ident(id Ident) { p.s(PrintIdent(id.Name)) }

// PrintIdent returns a name as it must be written to count as name.
func PrintIdent(name string) string {
	if plainName(name) && !Reserved(name) && name != "ARRAY" && name != "MAP" && name != "STRUCT" {
		return name
	}
	return types.QuoteName(name)
}

func plainName(name string) bool {
	if name == "" || isDigit(name[0]) || name[0] == '@' {
		return false
	}
	for i := 0; i < len(name); i++ {
		if c := name[i]; !isNameByte(c) || c >= 'a' && c <= 'z' {
			return false
		}
	}
	return true
}

// printString returns a string literal.
func printString(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }

// list prints items with commas.
func (p *printer) list(n int, f func(i int)) {
	for i := range n {
		if i > 0 {
			p.s(", ")
		}
		f(i)
	}
}

func (p *printer) exprs(list []Expr) { p.list(len(list), func(i int) { p.expr(list[i], 0) }) }

// expr prints e, in parentheses when it binds less tightly than least.
func (p *printer) expr(e Expr, least int) {
	if bind(e) < least {
		p.s("(")
		defer p.s(")")
	}
	switch e := e.(type) {
	case *Literal:
		p.s(printLiteral(e))
	case *ColumnRef:
		if e.Source.Name != "" {
			p.ident(e.Source)
			p.s(".")
		}
		p.ident(e.Name)
	case *Unary:
		p.unary(e)
	case *Binary:
		p.binary(e)
	case *Between:
		p.expr(e.X, bindConcat)
		p.s(not(e.Not), " BETWEEN ")
		p.expr(e.Low, bindConcat)
		p.s(" AND ")
		p.expr(e.High, bindConcat)
	case *In:
		p.expr(e.X, bindConcat)
		p.s(not(e.Not), " IN (")
		p.exprs(e.List)
		p.s(")")
	case *Like:
		p.expr(e.X, bindConcat)
		p.s(not(e.Not), " LIKE ")
		p.expr(e.Pattern, bindConcat)
		if e.Escape != 0 {
			p.s(" ESCAPE ", printString(string(e.Escape)))
		}
	case *IsNull:
		p.expr(e.X, bindConcat)
		p.s(" IS", not(e.Not), " NULL")
	case *Paren:
		p.s("(")
		p.expr(e.X, 0)
		p.s(")")
	default:
		p.primary(e)
	}
}

func not(negated bool) string {
	if negated {
		return " NOT"
	}
	return ""
}

func bind(e Expr) int {
	switch e := e.(type) {
	case *Literal:
		if strings.HasPrefix(printLiteral(e), "-") {
			return bindUnary
		}
	case *Unary:
		if e.Op == OpNot {
			return bindNot
		}
		return bindUnary
	case *Binary:
		return bindBinary(e.Op)
	case *Between, *In, *Like, *IsNull:
		return bindPredicate
	case *Lambda:
		return 0
	}
	return bindPrimary
}

func bindBinary(op BinaryOp) int {
	switch op {
	case OpOr:
		return bindOr
	case OpAnd:
		return bindAnd
	case OpConcat:
		return bindConcat
	case OpAdd, OpSub:
		return bindAdd
	case OpMul, OpDiv, OpMod:
		return bindMul
	}
	return bindPredicate
}

func (p *printer) unary(e *Unary) {
	if e.Op == OpNot {
		p.s("NOT ")
		p.expr(e.X, bindNot)
		return
	}
	sign := "-"
	if e.Op == OpPlus {
		sign = "+"
	}
	p.s(sign)
	if bind(e.X) == bindUnary {
		p.s(" ") // the operand has a sign, and -- would start a comment
	}
	p.expr(e.X, bindUnary)
}

func (p *printer) binary(e *Binary) {
	left := bindBinary(e.Op)
	right := left + 1
	if left == bindPredicate {
		left = right
	}
	p.expr(e.L, left)
	p.s(" ", e.Op.String(), " ")
	p.expr(e.R, right)
}

func (p *printer) primary(e Expr) {
	switch e := e.(type) {
	case *Case:
		p.caseExpr(e)
	case *Cast:
		p.s("CAST(")
		p.expr(e.X, 0)
		p.s(" AS ", PrintType(e.Type), ")")
	case *Call:
		p.call(e)
	case *IntervalUnit:
		p.s(e.Name)
	case *Lambda:
		p.lambda(e)
	case *Index:
		p.expr(e.X, bindPrimary)
		p.s("[")
		p.expr(e.Index, bindConcat)
		p.s("]")
	case *FieldRef:
		p.expr(e.X, bindPrimary)
		p.s("->")
		p.ident(e.Field)
	case *ArrayLit:
		p.s("ARRAY[")
		p.exprs(e.Elems)
		p.s("]")
	case *MapLit:
		p.s("MAP(")
		p.list(len(e.Keys), func(i int) {
			p.expr(e.Keys[i], 0)
			p.s(" := ")
			p.expr(e.Values[i], 0)
		})
		p.s(")")
	case *StructLit:
		p.s("STRUCT(")
		p.list(len(e.Names), func(i int) {
			p.ident(e.Names[i])
			p.s(" := ")
			p.expr(e.Values[i], 0)
		})
		p.s(")")
	}
}

func (p *printer) caseExpr(e *Case) {
	p.s("CASE")
	if e.Operand != nil {
		p.s(" ")
		p.expr(e.Operand, bindConcat)
	}
	for _, w := range e.Whens {
		p.s(" WHEN ")
		p.expr(w.Cond, 0)
		p.s(" THEN ")
		p.expr(w.Then, 0)
	}
	if e.Else != nil {
		p.s(" ELSE ")
		p.expr(e.Else, 0)
	}
	p.s(" END")
}

func (p *printer) call(e *Call) {
	p.ident(e.Name)
	p.s("(")
	if e.Star {
		p.s("*")
	}
	if e.Distinct {
		p.s("DISTINCT ")
	}
	p.exprs(e.Args)
	p.s(")")
	if e.Filter != nil {
		p.s(" FILTER (WHERE ")
		p.expr(e.Filter, 0)
		p.s(")")
	}
}

func (p *printer) lambda(e *Lambda) {
	if len(e.Params) == 1 {
		p.ident(e.Params[0])
	} else {
		p.s("(")
		p.list(len(e.Params), func(i int) { p.ident(e.Params[i]) })
		p.s(")")
	}
	p.s(" => ")
	p.expr(e.Body, 0)
}

func printLiteral(e *Literal) string {
	v := e.Value
	switch v.Kind() {
	case types.KindNull:
		return "NULL"
	case types.KindBoolean:
		if v.Bool() {
			return "TRUE"
		}
		return "FALSE"
	case types.KindInteger, types.KindBigint:
		return strconv.FormatInt(v.Int(), 10)
	case types.KindDouble:
		return strconv.FormatFloat(v.Float(), 'E', -1, 64)
	case types.KindDecimal:
		s := v.Decimal().Text('f')
		if !strings.Contains(s, ".") {
			s += "."
		}
		return s
	}
	return printString(v.Str())
}

// PrintType returns the SQL of a type as written, its keywords in upper case.
func PrintType(t TypeName) string {
	var p printer
	p.typeName(t)
	return p.b.String()
}

func (p *printer) typeName(t TypeName) {
	switch {
	case t.Args != nil:
		p.s("DECIMAL(", strconv.Itoa(int(t.Args[0])), ", ", strconv.Itoa(int(t.Args[1])), ")")
	case t.Name.Name == "STRUCT" && !t.Name.Quoted:
		p.s("STRUCT<")
		p.list(len(t.Elems), func(i int) {
			p.ident(t.Names[i])
			p.s(" ")
			p.typeName(t.Elems[i])
		})
		p.s(">")
	case len(t.Elems) > 0:
		p.s(t.Name.Name, "<")
		p.list(len(t.Elems), func(i int) { p.typeName(t.Elems[i]) })
		p.s(">")
	default:
		p.ident(t.Name)
	}
}
