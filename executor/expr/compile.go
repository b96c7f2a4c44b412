package expr

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// compile picks the kernel of an operation; what has none runs row by row.
func compile(e *plan.Expr, in *types.Schema) (node, error) {
	switch e.Op {
	case plan.OpColumn:
		return compileColumn(e, in)
	case plan.OpLiteral:
		return &literal{e.Type, literalValue(e)}, nil
	case plan.OpLambda, plan.OpParam, plan.OpArray, plan.OpMap, plan.OpStruct, plan.OpIndex, plan.OpField, plan.OpIn, plan.OpIsDistinct:
		return compileFallback(e, in)
	case plan.OpCall:
		return compileCall(e, in)
	}
	args, err := compileArgs(e.Args, in)
	if err != nil {
		return nil, err
	}
	if n := arity[e.Op]; n != 0 && n != len(args) {
		return nil, fmt.Errorf("operation %q takes %d arguments, got %d", e.Op, n, len(args))
	}
	switch e.Op {
	case plan.OpAnd, plan.OpOr:
		return &logic{args[0], args[1], e.Op == plan.OpOr}, nil
	case plan.OpNot:
		return &not{args[0]}, nil
	case plan.OpIsNull:
		return &isNull{args[0]}, nil
	case plan.OpEq, plan.OpNe, plan.OpLt, plan.OpLe, plan.OpGt, plan.OpGe:
		return compileCompare(e, args, in)
	case plan.OpAdd, plan.OpSub, plan.OpMul, plan.OpDiv, plan.OpMod, plan.OpNeg:
		return compileArith(e, args, in)
	case plan.OpCast:
		return compileCast(e, args[0], in)
	case plan.OpCase:
		if len(args)%2 == 0 {
			return nil, fmt.Errorf("CASE needs an odd number of arguments, got %d", len(args))
		}
		return &caseOf{e.Type, args}, nil
	case plan.OpLike:
		return compileFallback(e, in)
	}
	return nil, fmt.Errorf("unknown operation %q", e.Op)
}

// arity is the number of arguments of the operations that have a fixed one.
var arity = map[plan.Op]int{
	plan.OpAnd: 2, plan.OpOr: 2, plan.OpNot: 1, plan.OpNeg: 1, plan.OpIsNull: 1, plan.OpCast: 1,
	plan.OpAdd: 2, plan.OpSub: 2, plan.OpMul: 2, plan.OpDiv: 2, plan.OpMod: 2, plan.OpLike: 2, plan.OpIndex: 2, plan.OpField: 1,
	plan.OpEq: 2, plan.OpNe: 2, plan.OpLt: 2, plan.OpLe: 2, plan.OpGt: 2, plan.OpGe: 2, plan.OpIsDistinct: 2,
}

func compileArgs(es []*plan.Expr, in *types.Schema) ([]node, error) {
	out := make([]node, len(es))
	for i, e := range es {
		var err error
		if out[i], err = compile(e, in); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func compileColumn(e *plan.Expr, in *types.Schema) (node, error) {
	if e.Column < 0 {
		if e.Column < plan.ColHeaders {
			return nil, fmt.Errorf("unknown pseudo column %d", e.Column)
		}
		if e.Column == plan.ColHeaders {
			return compileFallback(e, in)
		}
		return &pseudo{e.Column, e.Type}, nil
	}
	if e.Column >= in.Len() {
		return nil, fmt.Errorf("column %d of %d", e.Column, in.Len())
	}
	if t := in.Column(e.Column).Type; !t.Equal(e.Type) {
		return nil, fmt.Errorf("column %s has type %s, the expression says %s", in.Column(e.Column).Name, t, e.Type)
	}
	return column(e.Column), nil
}

// column is a column of the batch, shared.
type column int

func (n column) eval(_ *Context, b *batch.Batch, _ []int32) *batch.Vector { return b.Cols[n] }

// pseudo is a pseudo column of numbers.
type pseudo struct {
	column int
	typ    types.Type
}

func (n *pseudo) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	v := c.Scratch.Vector(n.typ, b.Rows)
	for _, i := range sel {
		x, ok := pseudoColumn(b, n.column, i)
		v.I64[i] = x
		if !ok {
			v.SetNull(i)
		}
	}
	return v
}

// pseudoColumn returns a pseudo column of row i, false when it is NULL there.
func pseudoColumn(b *batch.Batch, column int, i int32) (int64, bool) {
	switch column {
	case plan.ColRowTime:
		return b.Time[i], true
	case plan.ColRowPartition:
		return int64(b.Partition[i]), true
	case plan.ColRowOffset:
		return b.Offset[i], true
	}
	if b.WindowStart == nil {
		return 0, false
	}
	if column == plan.ColWindowStart {
		return b.WindowStart[i], true
	}
	return b.WindowEnd[i], true
}

// literal is a constant.
type literal struct {
	typ   types.Type
	value types.Value
}

func (n *literal) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	v := c.Scratch.Vector(n.typ, b.Rows)
	if n.value.IsNull() {
		v.SetAllNull()
		return v
	}
	if len(sel) == 0 {
		return v
	}
	if !v.Set(sel[0], n.value) {
		for _, i := range sel {
			c.fail(i, fmt.Errorf("literal does not fit %s", n.typ))
		}
		return v
	}
	spread(v, sel)
	return v
}

// spread copies the value at sel[0] to the other rows of sel.
func spread(v *batch.Vector, sel []int32) {
	from, rest := sel[0], sel[1:]
	switch v.Rep {
	case batch.RepInt64:
		fill(v.I64, rest, v.I64[from])
	case batch.RepFloat64:
		fill(v.F64, rest, v.F64[from])
	case batch.RepDecimal:
		fill(v.Dec, rest, v.Dec[from])
	case batch.RepBytes:
		fill(v.Str, rest, v.Str[from])
	case batch.RepBoxed:
		fill(v.Boxed, rest, v.Boxed[from])
	case batch.RepBool:
		for _, i := range rest {
			v.Bits.Put(i, v.Bits.Get(from))
		}
	}
}

func fill[T any](dst []T, sel []int32, x T) {
	for _, i := range sel {
		dst[i] = x
	}
}
