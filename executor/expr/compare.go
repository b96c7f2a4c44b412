package expr

import (
	"cmp"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// compare compares two vectors of one kind; it is false where either is NULL.
type compare struct {
	op          plan.Op
	left, right node
	// constant is the right side as a number when it is one.
	constant *int64
}

func compileCompare(e *plan.Expr, args []node, in *types.Schema) (node, error) {
	lt, rt := e.Args[0].Type, e.Args[1].Type
	lr, rr := batch.RepOf(lt), batch.RepOf(rt)
	if lr != rr || lr == batch.RepBoxed || lr == batch.RepBool || lr == batch.RepInt64 && lt.Kind != rt.Kind {
		return compileFallback(e, in)
	}
	n := &compare{op: e.Op, left: args[0], right: args[1]}
	if l, ok := args[1].(*literal); ok && lr == batch.RepInt64 && !l.value.IsNull() {
		x := l.value.Int()
		n.constant = &x
	}
	return n, nil
}

func (n *compare) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	out := c.Scratch.Vector(types.Boolean, b.Rows)
	l := n.left.eval(c, b, sel)
	if n.constant != nil {
		compareConst(n.op, out.Bits, l.I64, *n.constant, sel)
		clearNulls(out.Bits, l)
		return out
	}
	r := n.right.eval(c, b, sel)
	switch l.Rep {
	case batch.RepInt64:
		compareLoop(n.op, out.Bits, l.I64, r.I64, sel)
	case batch.RepFloat64:
		for _, i := range sel {
			out.Bits.Put(i, holds(n.op, compareFloats(l.F64[i], r.F64[i])))
		}
	case batch.RepDecimal:
		for _, i := range sel {
			if !l.IsNull(i) && !r.IsNull(i) {
				out.Bits.Put(i, holds(n.op, compareDecimals(l.Dec[i], l.Type.Scale, r.Dec[i], r.Type.Scale)))
			}
		}
	case batch.RepBytes:
		for _, i := range sel {
			if !l.IsNull(i) && !r.IsNull(i) {
				out.Bits.Put(i, holds(n.op, l.CompareText(i, r, i)))
			}
		}
	}
	clearNulls(out.Bits, l)
	clearNulls(out.Bits, r)
	return out
}

// clearNulls makes a comparison false where v is NULL.
func clearNulls(bits batch.Bitmap, v *batch.Vector) {
	if v.Valid == nil {
		return
	}
	for w := range min(len(bits), len(v.Valid)) {
		bits[w] &= v.Valid[w]
	}
}

// holds reports whether a three-way result satisfies a comparison.
func holds(op plan.Op, c int) bool {
	switch op {
	case plan.OpEq:
		return c == 0
	case plan.OpNe:
		return c != 0
	case plan.OpLt:
		return c < 0
	case plan.OpLe:
		return c <= 0
	case plan.OpGt:
		return c > 0
	}
	return c >= 0
}

// compareFloats orders NaN last and equal to itself, as types.Compare does.
func compareFloats(a, b float64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	case a == b:
		return 0
	}
	return int(nan(a)) - int(nan(b))
}

func nan(f float64) int8 {
	if f != f {
		return 1
	}
	return 0
}

func compareLoop(op plan.Op, out batch.Bitmap, l, r []int64, sel []int32) {
	switch op {
	case plan.OpEq:
		for _, i := range sel {
			out.Put(i, l[i] == r[i])
		}
	case plan.OpNe:
		for _, i := range sel {
			out.Put(i, l[i] != r[i])
		}
	case plan.OpLt:
		for _, i := range sel {
			out.Put(i, l[i] < r[i])
		}
	case plan.OpLe:
		for _, i := range sel {
			out.Put(i, l[i] <= r[i])
		}
	case plan.OpGt:
		for _, i := range sel {
			out.Put(i, l[i] > r[i])
		}
	case plan.OpGe:
		for _, i := range sel {
			out.Put(i, l[i] >= r[i])
		}
	}
}

func compareConst(op plan.Op, out batch.Bitmap, l []int64, x int64, sel []int32) {
	switch op {
	case plan.OpEq:
		for _, i := range sel {
			out.Put(i, l[i] == x)
		}
	case plan.OpNe:
		for _, i := range sel {
			out.Put(i, l[i] != x)
		}
	case plan.OpLt:
		for _, i := range sel {
			out.Put(i, l[i] < x)
		}
	case plan.OpLe:
		for _, i := range sel {
			out.Put(i, l[i] <= x)
		}
	case plan.OpGt:
		for _, i := range sel {
			out.Put(i, l[i] > x)
		}
	case plan.OpGe:
		for _, i := range sel {
			out.Put(i, l[i] >= x)
		}
	}
}

// compareDecimals compares unscaled values of two scales.
func compareDecimals(a batch.Int128, as int32, b batch.Int128, bs int32) int {
	if as == bs {
		return a.Cmp(b)
	}
	x, y, ok := a, b, true
	if as < bs {
		x, ok = a.Scale10(int(bs - as))
	} else {
		y, ok = b.Scale10(int(as - bs))
	}
	if ok {
		return x.Cmp(y)
	}
	return cmp.Compare(a.Apd(as).Cmp(b.Apd(bs)), 0)
}
