package sql

import (
	"fmt"
	"sort"
	"strconv"

	"github.com/pingcap/tidb/pkg/parser/ast"
	"github.com/pingcap/tidb/pkg/parser/opcode"
)

// converter makes our tree from TiDB's. Positions are token indexes: leaves name
// their tokens, and every other node's first and last token follow from its
// operands, since the recogniser has checked the tokens around them.
type converter struct {
	p     *parser
	marks []mark
}

// node is an expression with its first and last token.
type node struct {
	expr        Expr
	first, last int
}

// buildQuery fills in the expressions of a recognised query.
func (p *parser) buildQuery(q *queryParts) {
	query := q.query
	pieces := p.em.pieces
	if q.partFrom >= 0 {
		list := append([]piece{{kind: pieceText, text: "SELECT"}}, pieces[q.partFrom:q.partTo]...)
		p.build(list, func(c *converter, s *ast.SelectStmt) {
			for i, f := range s.Fields.Fields {
				query.PartitionBy[i] = c.expr(f.Expr)
			}
		})
		pieces = append(pieces[:q.partFrom:q.partFrom], pieces[q.partTo:]...)
	}
	p.build(pieces, func(c *converter, s *ast.SelectStmt) {
		for i, f := range s.Fields.Fields {
			if q.exprs[i] {
				query.Items[i].Expr = c.item(f.Expr, query.Items[i].Star)
			}
		}
		from := s.From.TableRefs
		for i := len(query.From.Joins) - 1; i >= 0; i-- {
			query.From.Joins[i].On = c.expr(from.On.Expr)
			if i > 0 {
				from = from.Left.(*ast.Join)
			}
		}
		if query.Where != nil {
			query.Where = c.expr(s.Where)
		}
		for i := range query.GroupBy {
			query.GroupBy[i] = c.expr(s.GroupBy.Items[i].Expr)
		}
		if query.Having != nil {
			query.Having = c.expr(s.Having.Expr)
		}
	})
	stripParens(query.GroupBy)
	stripParens(query.PartitionBy)
}

// stripParens makes GROUP BY ((a)) the same as GROUP BY a: parentheses around
// the whole clause belong to the clause.
func stripParens(list []Expr) {
	if len(list) != 1 {
		return
	}
	for {
		paren, ok := list[0].(*Paren)
		if !ok {
			return
		}
		list[0] = paren.X
	}
}

// expressions reads expressions by calling f, which emits a list, and converts
// them.
func (p *parser) expressions(f func()) []Expr {
	p.ops = 0
	p.em.reset()
	p.em.text("SELECT")
	f()
	var list []Expr
	p.build(p.em.pieces, func(c *converter, s *ast.SelectStmt) {
		list = make([]Expr, len(s.Fields.Fields))
		for i, field := range s.Fields.Fields {
			list[i] = c.expr(field.Expr)
		}
	})
	return list
}

// build has TiDB parse the pieces and f convert the tree.
func (p *parser) build(pieces []piece, f func(*converter, *ast.SelectStmt)) {
	text, marks := p.em.render(nil, nil, pieces)
	err := withTree(string(text), func(s *ast.SelectStmt) { f(&converter{p, marks}, s) })
	if err != nil {
		// The recogniser lets nothing through that TiDB does not know.
		p.failf(CodeInternal, p.span(max(p.pos-1, 0), p.pos), "expression was emitted wrongly: %v", err)
	}
}

func (c *converter) expr(e ast.ExprNode) Expr { return c.node(e).expr }

// item converts a select item; of p->* it returns p.
func (c *converter) item(e ast.ExprNode, star bool) Expr {
	if star {
		return c.expr(e.(*ast.FuncCallExpr).Args[0])
	}
	return c.expr(e)
}

func (c *converter) at(first, last int) Node { return Node{c.p.span(first, last)} }

func (c *converter) node(e ast.ExprNode) node {
	switch e := e.(type) {
	case *marker:
		return c.literal(c.token(e), -1)
	case *ast.ColumnNameExpr:
		return c.column(e.Name)
	case *ast.FuncCallExpr:
		return c.call(e)
	case *ast.ParenthesesExpr:
		x := c.node(e.Expr)
		first, last := x.first-1, x.last+1
		return node{&Paren{c.at(first, last), x.expr}, first, last}
	case *ast.UnaryOperationExpr:
		return c.unary(e)
	case *ast.BinaryOperationExpr:
		return c.binary(e)
	case *ast.BetweenExpr:
		x, low, high := c.node(e.Expr), c.node(e.Left), c.node(e.Right)
		return node{&Between{c.at(x.first, high.last), e.Not, x.expr, low.expr, high.expr}, x.first, high.last}
	case *ast.PatternInExpr:
		x := c.node(e.Expr)
		list, last := c.nodes(e.List)
		last++ // )
		return node{&In{c.at(x.first, last), e.Not, x.expr, list}, x.first, last}
	case *ast.PatternLikeOrIlikeExpr:
		return c.like(e)
	case *ast.IsNullExpr:
		x := c.node(e.Expr)
		last := x.last + 2
		if e.Not {
			last++
		}
		return node{&IsNull{c.at(x.first, last), e.Not, x.expr}, x.first, last}
	case *ast.CaseExpr:
		return c.caseExpr(e)
	}
	panic(fmt.Sprintf("unexpected %T in an emitted expression", e))
}

// nodes converts a list and returns the last token of its last element.
func (c *converter) nodes(list []ast.ExprNode) (exprs []Expr, last int) {
	exprs = make([]Expr, len(list))
	for i, e := range list {
		n := c.node(e)
		exprs[i], last = n.expr, n.last
	}
	return exprs, last
}

// token returns the token that a marker stands for.
func (c *converter) token(m *marker) int {
	i := sort.Search(len(c.marks), func(i int) bool { return c.marks[i].offset >= m.offset })
	return c.marks[i].token
}

func (c *converter) argToken(e ast.ExprNode) int { return c.token(e.(*marker)) }

func tokenIndex(name string) int {
	i, err := strconv.Atoi(name)
	if err != nil {
		panic(fmt.Sprintf("name %q in an emitted expression", name))
	}
	return i
}

func (c *converter) column(name *ast.ColumnName) node {
	last := tokenIndex(name.Name.O)
	first := last
	ref := &ColumnRef{Name: c.p.ident(last)}
	if name.Table.O != "" {
		first = tokenIndex(name.Table.O)
		ref.Source = c.p.ident(first)
	}
	ref.Node = c.at(first, last)
	return node{ref, first, last}
}

func (c *converter) unary(e *ast.UnaryOperationExpr) node {
	if m, ok := e.V.(*marker); ok && e.Op == opcode.Minus {
		// The sign belongs to the number: -9223372036854775808 is in range.
		if t := c.token(m); c.p.isNumber(t) {
			return c.literal(t, t-1)
		}
	}
	x := c.node(e.V)
	op := OpNot
	switch e.Op {
	case opcode.Minus:
		op = OpNeg
	case opcode.Plus:
		op = OpPlus
	}
	return node{&Unary{c.at(x.first-1, x.last), op, x.expr}, x.first - 1, x.last}
}

var binaryOps = map[opcode.Op]BinaryOp{
	opcode.Plus: OpAdd, opcode.Minus: OpSub, opcode.Mul: OpMul, opcode.Div: OpDiv, opcode.Mod: OpMod, opcode.Or: OpConcat,
	opcode.EQ: OpEq, opcode.NE: OpNe, opcode.LT: OpLt, opcode.LE: OpLe, opcode.GT: OpGt, opcode.GE: OpGe,
	opcode.LogicAnd: OpAnd, opcode.LogicOr: OpOr,
}

func (c *converter) binary(e *ast.BinaryOperationExpr) node {
	l := c.node(e.L)
	if e.Op == opcode.NullEQ {
		call := e.R.(*ast.FuncCallExpr)
		op := OpIsDistinct
		if call.FnName.O == callNotDistinct {
			op = OpIsNotDistinct
		}
		r := c.node(call.Args[0])
		return node{&Binary{c.at(l.first, r.last), op, l.expr, r.expr}, l.first, r.last}
	}
	r := c.node(e.R)
	op, ok := binaryOps[e.Op]
	if !ok {
		panic(fmt.Sprintf("operator %v in an emitted expression", e.Op))
	}
	return node{&Binary{c.at(l.first, r.last), op, l.expr, r.expr}, l.first, r.last}
}

func (c *converter) like(e *ast.PatternLikeOrIlikeExpr) node {
	x := c.node(e.Expr)
	pattern := e.Pattern.(*ast.ParenthesesExpr).Expr
	like := &Like{Not: e.Not, X: x.expr}
	last := 0
	if call, ok := pattern.(*ast.FuncCallExpr); ok && call.FnName.O == callEscape {
		pattern = call.Args[0]
		last = c.argToken(call.Args[1])
		like.Escape = []rune(unquote(c.p.textOf(c.p.toks[last])))[0]
	}
	n := c.node(pattern)
	like.Pattern = n.expr
	last = max(last, n.last)
	like.Node = c.at(x.first, last)
	return node{like, x.first, last}
}

func (c *converter) caseExpr(e *ast.CaseExpr) node {
	expr := &Case{}
	first, last := -1, 0
	if e.Value != nil {
		operand := c.node(e.Value)
		expr.Operand, first = operand.expr, operand.first-1
	}
	for _, w := range e.WhenClauses {
		cond, then := c.node(w.Expr), c.node(w.Result)
		if first < 0 {
			first = cond.first - 2
		}
		expr.Whens = append(expr.Whens, When{cond.expr, then.expr})
		last = then.last
	}
	if e.ElseClause != nil {
		n := c.node(e.ElseClause)
		expr.Else, last = n.expr, n.last
	}
	last++ // END
	expr.Node = c.at(first, last)
	return node{expr, first, last}
}
