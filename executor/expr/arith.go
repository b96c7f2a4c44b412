package expr

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// arith is arithmetic on two vectors of one kind; NULL where either is NULL.
type arith struct {
	op          plan.Op
	typ         types.Type
	left, right node
	// constant is the right side when it is a number other than 0 (RepInt64) or
	// a decimal.
	constant *batch.Int128
	// narrow says that a product may have more digits than the result's type.
	narrow bool
}

func compileArith(e *plan.Expr, args []node, in *types.Schema) (node, error) {
	rep := batch.RepOf(e.Type)
	for _, a := range e.Args {
		if batch.RepOf(a.Type) != rep || a.Type.Kind != e.Type.Kind {
			return compileFallback(e, in)
		}
	}
	if e.Op == plan.OpNeg {
		zero := types.NewBigint(0)
		if rep == batch.RepInt64 {
			return &arith{op: plan.OpSub, typ: e.Type, left: &literal{e.Type, zero}, right: args[0]}, nil
		}
		return compileFallback(e, in)
	}
	n := &arith{op: e.Op, typ: e.Type, left: args[0], right: args[1]}
	n.narrow = e.Args[0].Type.Precision+e.Args[1].Type.Precision > e.Type.Precision
	switch rep {
	case batch.RepInt64, batch.RepFloat64:
	case batch.RepDecimal:
		if e.Op == plan.OpDiv || e.Op == plan.OpMod {
			return compileFallback(e, in)
		}
		ls, rs := e.Args[0].Type.Scale, e.Args[1].Type.Scale
		if e.Op == plan.OpMul && ls+rs != e.Type.Scale || e.Op != plan.OpMul && max(ls, rs) > e.Type.Scale {
			return compileFallback(e, in)
		}
	default:
		return compileFallback(e, in)
	}
	if l, ok := args[1].(*literal); ok && !l.value.IsNull() {
		switch {
		case rep == batch.RepInt64 && l.value.Int() != 0:
			x := batch.FromInt64(l.value.Int())
			n.constant = &x
		case rep == batch.RepDecimal && e.Op == plan.OpMul:
			if x, ok := batch.FromApd(l.value.Decimal(), l.typ.Scale); ok {
				n.constant = &x
			}
		}
	}
	return n, nil
}

func (n *arith) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	l := n.left.eval(c, b, sel)
	out := c.Scratch.Vector(n.typ, b.Rows)
	if n.constant != nil {
		out.AndValid(l)
		if l.Rep == batch.RepInt64 {
			arithConst(n.op, out.I64, l.I64, int64(n.constant.Lo), sel)
			n.wrap(out, sel)
		} else {
			n.decimalConst(c, out, l, sel)
		}
		return out
	}
	r := n.right.eval(c, b, sel)
	out.AndValid(l, r)
	switch l.Rep {
	case batch.RepInt64:
		if n.op == plan.OpDiv || n.op == plan.OpMod {
			n.divide(c, out, l, r, sel)
		} else {
			arithLoop(n.op, out.I64, l.I64, r.I64, sel)
		}
		n.wrap(out, sel)
	case batch.RepFloat64:
		switch n.op {
		case plan.OpDiv:
			for _, i := range sel {
				out.F64[i] = l.F64[i] / r.F64[i]
			}
		case plan.OpMod:
			for _, i := range sel {
				out.F64[i] = math.Mod(l.F64[i], r.F64[i])
			}
		default:
			arithLoop(n.op, out.F64, l.F64, r.F64, sel)
		}
	case batch.RepDecimal:
		n.decimal(c, out, l, r, sel)
	}
	return out
}

// wrap cuts INTEGER results to 32 bits, as two's complement does.
func (n *arith) wrap(out *batch.Vector, sel []int32) {
	if n.typ.Kind != types.KindInteger {
		return
	}
	for _, i := range sel {
		out.I64[i] = int64(int32(out.I64[i]))
	}
}

func arithLoop[T int64 | float64](op plan.Op, out, l, r []T, sel []int32) {
	switch op {
	case plan.OpAdd:
		for _, i := range sel {
			out[i] = l[i] + r[i]
		}
	case plan.OpSub:
		for _, i := range sel {
			out[i] = l[i] - r[i]
		}
	case plan.OpMul:
		for _, i := range sel {
			out[i] = l[i] * r[i]
		}
	}
}

func arithConst(op plan.Op, out, l []int64, x int64, sel []int32) {
	switch op {
	case plan.OpAdd:
		for _, i := range sel {
			out[i] = l[i] + x
		}
	case plan.OpSub:
		for _, i := range sel {
			out[i] = l[i] - x
		}
	case plan.OpMul:
		for _, i := range sel {
			out[i] = l[i] * x
		}
	case plan.OpDiv:
		for _, i := range sel {
			out[i] = l[i] / x
		}
	case plan.OpMod:
		for _, i := range sel {
			out[i] = l[i] % x
		}
	}
}

func (n *arith) divide(c *Context, out, l, r *batch.Vector, sel []int32) {
	for _, i := range sel {
		if out.IsNull(i) {
			continue
		}
		switch {
		case r.I64[i] == 0:
			c.fail(i, types.ErrDivisionByZero)
			out.I64[i] = 0
		case n.op == plan.OpDiv:
			out.I64[i] = l.I64[i] / r.I64[i]
		default:
			out.I64[i] = l.I64[i] % r.I64[i]
		}
	}
}

// decimalConst multiplies by a constant; the result's scale is the sum.
func (n *arith) decimalConst(c *Context, out, l *batch.Vector, sel []int32) {
	x := *n.constant
	for _, i := range sel {
		r, ok := l.Dec[i].Mul(x)
		out.Dec[i] = r
		if (!ok || n.narrow && !r.FitsDigits(int(n.typ.Precision))) && !out.IsNull(i) {
			c.fail(i, errOverflow(n.typ))
		}
	}
}

func (n *arith) decimal(c *Context, out, l, r *batch.Vector, sel []int32) {
	ls, rs := int(n.typ.Scale-l.Type.Scale), int(n.typ.Scale-r.Type.Scale)
	for _, i := range sel {
		if out.IsNull(i) {
			continue
		}
		a, b, ok1, ok2, ok3 := l.Dec[i], r.Dec[i], true, true, true
		if n.op == plan.OpMul {
			out.Dec[i], ok3 = a.Mul(b)
		} else {
			a, ok1 = a.Scale10(ls)
			b, ok2 = b.Scale10(rs)
			if n.op == plan.OpAdd {
				out.Dec[i], ok3 = a.Add(b)
			} else {
				out.Dec[i], ok3 = a.Sub(b)
			}
		}
		if !ok1 || !ok2 || !ok3 || !out.Dec[i].FitsDigits(int(n.typ.Precision)) {
			c.fail(i, errOverflow(n.typ))
		}
	}
}

func errOverflow(t types.Type) error { return fmt.Errorf("numeric overflow of %s", t) }
