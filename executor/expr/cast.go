package expr

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// cast is a CAST that widens a number exactly.
type cast struct {
	from, to types.Type
	arg      node
}

func compileCast(e *plan.Expr, arg node, in *types.Schema) (node, error) {
	from, to := e.Args[0].Type, e.Type
	switch {
	case from.Equal(to):
		return arg, nil
	case from.Kind == types.KindInteger && to.Kind == types.KindBigint,
		(from.Kind == types.KindInteger || from.Kind == types.KindBigint) && to.Kind == types.KindDouble,
		(from.Kind == types.KindInteger || from.Kind == types.KindBigint) && batch.RepOf(to) == batch.RepDecimal,
		batch.RepOf(from) == batch.RepDecimal && to.Kind == types.KindDouble,
		batch.RepOf(from) == batch.RepDecimal && batch.RepOf(to) == batch.RepDecimal && from.Scale <= to.Scale:
		return &cast{from, to, arg}, nil
	}
	return compileFallback(e, in)
}

func (n *cast) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	v := n.arg.eval(c, b, sel)
	out := c.Scratch.Vector(n.to, b.Rows)
	out.AndValid(v)
	switch {
	case out.Rep == batch.RepInt64:
		for _, i := range sel {
			out.I64[i] = v.I64[i]
		}
	case out.Rep == batch.RepFloat64 && v.Rep == batch.RepInt64:
		for _, i := range sel {
			out.F64[i] = float64(v.I64[i])
		}
	case out.Rep == batch.RepFloat64:
		for _, i := range sel {
			if f, err := v.Dec[i].Apd(n.from.Scale).Float64(); err == nil {
				out.F64[i] = f
			} else if !out.IsNull(i) {
				c.fail(i, err)
			}
		}
	case v.Rep == batch.RepInt64 && n.to.Scale == 0 && n.to.Precision >= 19:
		for _, i := range sel {
			out.Dec[i] = batch.FromInt64(v.I64[i])
		}
	default:
		n.decimal(c, out, v, sel)
	}
	return out
}

func (n *cast) decimal(c *Context, out, v *batch.Vector, sel []int32) {
	shift := int(n.to.Scale)
	if v.Rep == batch.RepDecimal {
		shift -= int(n.from.Scale)
	}
	for _, i := range sel {
		if out.IsNull(i) {
			continue
		}
		var a batch.Int128
		if v.Rep == batch.RepDecimal {
			a = v.Dec[i]
		} else {
			a = batch.FromInt64(v.I64[i])
		}
		r, ok := a.Scale10(shift)
		if !ok || !r.FitsDigits(int(n.to.Precision)) {
			c.fail(i, errOverflow(n.to))
		}
		out.Dec[i] = r
	}
}
