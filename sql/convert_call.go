package sql

import (
	"fmt"

	"github.com/pingcap/tidb/pkg/parser/ast"
)

// call converts a function call: a user's when its name is a token index, else
// one of ours.
func (c *converter) call(e *ast.FuncCallExpr) node {
	name := e.FnName.O
	if isDigit(name[0]) {
		return c.userCall(tokenIndex(name), e.Args)
	}
	switch name {
	case callIndex:
		x, index := c.node(e.Args[0]), c.node(e.Args[1])
		last := index.last + 1
		return node{&Index{c.at(x.first, last), x.expr, index.expr}, x.first, last}
	case callField:
		x, last := c.node(e.Args[0]), c.argToken(e.Args[1])
		return node{&FieldRef{c.at(x.first, last), x.expr, c.p.ident(last)}, x.first, last}
	case callArray:
		first := c.argToken(e.Args[0])
		elems, last := c.nodes(e.Args[1:])
		last = max(last, first+1) + 1
		return node{&ArrayLit{c.at(first, last), elems}, first, last}
	case callMap:
		return c.mapLit(e.Args)
	case callStruct:
		return c.structLit(e.Args)
	case callLambda:
		return c.lambda(c.argToken(e.Args[0]), c.node(e.Args[1]))
	case callCast:
		x := c.node(e.Args[0])
		t := c.p.types[c.argToken(e.Args[1])]
		first, last := x.first-2, t.last+1
		return node{&Cast{c.at(first, last), x.expr, t.name}, first, last}
	case callFilter:
		n, filter := c.node(e.Args[0]), c.node(e.Args[1])
		call := n.expr.(*Call)
		call.Filter = filter.expr
		last := filter.last + 1
		call.Node = c.at(n.first, last)
		return node{call, n.first, last}
	}
	panic(fmt.Sprintf("call of %q in an emitted expression", name))
}

// userCall converts name(args). A marker of the token * or DISTINCT in front is
// no argument.
func (c *converter) userCall(first int, args []ast.ExprNode) node {
	call := &Call{Name: c.p.ident(first)}
	last := first + 1 // (
	if len(args) > 0 {
		if m, ok := args[0].(*marker); ok {
			switch t := c.token(m); c.p.toks[t].Word {
			case "*":
				call.Star, last, args = true, t, args[1:]
			case "DISTINCT":
				call.Distinct, args = true, args[1:]
			}
		}
	}
	if len(args) > 0 {
		call.Args, last = c.nodes(args)
	}
	last++ // )
	call.Node = c.at(first, last)
	return node{call, first, last}
}

func (c *converter) mapLit(args []ast.ExprNode) node {
	first := c.argToken(args[0])
	m := &MapLit{}
	last := first + 1
	for i := 1; i < len(args); i += 2 {
		m.Keys = append(m.Keys, c.expr(args[i]))
		value := c.node(args[i+1])
		m.Values, last = append(m.Values, value.expr), value.last
	}
	last++
	m.Node = c.at(first, last)
	return node{m, first, last}
}

func (c *converter) structLit(args []ast.ExprNode) node {
	first := c.argToken(args[0])
	s := &StructLit{}
	last := first + 1
	for i := 1; i < len(args); i += 2 {
		s.Names = append(s.Names, c.p.ident(c.argToken(args[i])))
		value := c.node(args[i+1])
		s.Values, last = append(s.Values, value.expr), value.last
	}
	last++
	s.Node = c.at(first, last)
	return node{s, first, last}
}

// lambda reads the parameters from the tokens: x or (x, y).
func (c *converter) lambda(first int, body node) node {
	l := &Lambda{Node: c.at(first, body.last), Body: body.expr}
	for i := first; c.p.toks[i].Word != "=>"; i++ {
		if isName(c.p.toks[i]) {
			l.Params = append(l.Params, c.p.ident(i))
		}
	}
	return node{l, first, body.last}
}
