package expr

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// logic is AND or OR. The right side is evaluated only where the left one does
// not decide. A NULL operand fails the row unless the other one decides.
type logic struct {
	left, right node
	or          bool
}

func (n *logic) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	l := n.left.eval(c, b, sel)
	out := c.Scratch.Vector(types.Boolean, b.Rows)
	open := c.Scratch.Sel(len(sel))
	for _, i := range sel {
		if !l.IsNull(i) && l.Bits.Get(i) == n.or {
			out.Bits.Put(i, n.or)
		} else {
			open = append(open, i)
		}
	}
	if len(open) == 0 {
		return out
	}
	r := n.right.eval(c, b, open)
	for _, i := range open {
		switch {
		case r.IsNull(i) || l.IsNull(i) && r.Bits.Get(i) != n.or:
			c.fail(i, errNullCondition)
		default:
			out.Bits.Put(i, r.Bits.Get(i))
		}
	}
	return out
}

type not struct{ arg node }

func (n *not) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	v := n.arg.eval(c, b, sel)
	out := c.Scratch.Vector(types.Boolean, b.Rows)
	for _, i := range sel {
		if v.IsNull(i) {
			c.fail(i, errNullCondition)
			continue
		}
		out.Bits.Put(i, !v.Bits.Get(i))
	}
	return out
}

type isNull struct{ arg node }

func (n *isNull) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	v := n.arg.eval(c, b, sel)
	out := c.Scratch.Vector(types.Boolean, b.Rows)
	if v.Valid != nil {
		for _, i := range sel {
			out.Bits.Put(i, v.IsNull(i))
		}
	}
	return out
}

// caseOf is CASE: each result is evaluated only for the rows that choose it. A
// NULL condition is not met.
type caseOf struct {
	typ  types.Type
	args []node // cond, then, ..., else
}

func (n *caseOf) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	out := c.Scratch.Vector(n.typ, b.Rows)
	open := sel
	for k := 0; k+1 < len(n.args) && len(open) > 0; k += 2 {
		cond := n.args[k].eval(c, b, open)
		hit, miss := c.Scratch.Sel(len(open)), c.Scratch.Sel(len(open))
		for _, i := range open {
			if !cond.IsNull(i) && cond.Bits.Get(i) {
				hit = append(hit, i)
			} else {
				miss = append(miss, i)
			}
		}
		n.copy(c, b, out, n.args[k+1], hit)
		open = miss
	}
	n.copy(c, b, out, n.args[len(n.args)-1], open)
	return out
}

func (n *caseOf) copy(c *Context, b *batch.Batch, out *batch.Vector, arg node, sel []int32) {
	if len(sel) == 0 {
		return
	}
	before := len(c.failures)
	v := arg.eval(c, b, sel)
	bad := c.failures[before:]
	for _, i := range sel {
		if !failedRow(bad, i) {
			out.Copy(i, v, i)
		}
	}
}

// failedRow reports whether row i is among some failures, which are few.
func failedRow(fs []Failure, i int32) bool {
	for _, f := range fs {
		if f.Row == i && !f.Noted {
			return true
		}
	}
	return false
}
