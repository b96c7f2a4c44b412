package expr

import (
	"errors"
	"fmt"
	"math"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// MaxHeaders is the number of headers that a record may have when a plan reads
// them.
const MaxHeaders = 10_000

// row is where a row-wise expression stands.
type row struct {
	c *Context
	b *batch.Batch
	i int32
	// params are the arguments of the enclosing lambdas, innermost last.
	params [][]types.Value
}

// rowFunc evaluates an expression for one row.
type rowFunc func(r *row) (types.Value, error)

// fallback runs a row-wise expression as a kernel.
type fallback struct {
	typ types.Type
	f   rowFunc
}

func compileFallback(e *plan.Expr, in *types.Schema) (node, error) {
	f, err := compileRow(e, in)
	if err != nil {
		return nil, err
	}
	return &fallback{e.Type, f}, nil
}

func (n *fallback) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	out := c.Scratch.Vector(n.typ, b.Rows)
	r := row{c: c, b: b}
	for _, i := range sel {
		r.i = i
		v, err := n.f(&r)
		if err == nil && !out.Set(i, v) {
			err = fmt.Errorf("result does not fit %s", n.typ)
		}
		if err != nil {
			c.fail(i, err)
			out.SetNull(i)
		}
	}
	return out
}

// compileRow compiles any expression to its row-wise form.
func compileRow(e *plan.Expr, in *types.Schema) (rowFunc, error) {
	switch e.Op {
	case plan.OpColumn:
		return rowColumn(e, in)
	case plan.OpLiteral:
		v := literalValue(e)
		return func(*row) (types.Value, error) { return v, nil }, nil
	case plan.OpParam:
		return rowParam(e), nil
	case plan.OpCall:
		return rowCall(e, in)
	case plan.OpLambda:
		return nil, errors.New("a lambda stands outside a function call")
	}
	args := make([]rowFunc, len(e.Args))
	for k, a := range e.Args {
		var err error
		if args[k], err = compileRow(a, in); err != nil {
			return nil, err
		}
	}
	if n := arity[e.Op]; n != 0 && n != len(args) {
		return nil, fmt.Errorf("operation %q takes %d arguments, got %d", e.Op, n, len(args))
	}
	switch e.Op {
	case plan.OpAnd, plan.OpOr, plan.OpNot, plan.OpCase:
		return rowLogic(e, args)
	case plan.OpIsNull:
		return func(r *row) (types.Value, error) {
			v, err := args[0](r)
			return types.NewBoolean(v.IsNull()), err
		}, nil
	case plan.OpIsDistinct, plan.OpEq, plan.OpNe, plan.OpLt, plan.OpLe, plan.OpGt, plan.OpGe, plan.OpIn:
		return rowCompare(e, args), nil
	case plan.OpNeg, plan.OpAdd, plan.OpSub, plan.OpMul, plan.OpDiv, plan.OpMod:
		return rowArith(e, args), nil
	case plan.OpCast:
		from, to := e.Args[0].Type, e.Type
		return func(r *row) (types.Value, error) {
			v, err := args[0](r)
			if err != nil || v.IsNull() {
				return types.NullValue, err
			}
			return types.Cast(v, from, to)
		}, nil
	case plan.OpLike:
		return rowLike(e, args)
	}
	return rowNested(e, args)
}

func rowColumn(e *plan.Expr, in *types.Schema) (rowFunc, error) {
	k := e.Column
	switch {
	case k == plan.ColHeaders:
		return rowHeaders, nil
	case k < plan.ColHeaders || k >= in.Len():
		return nil, fmt.Errorf("column %d of %d", k, in.Len())
	case k >= 0:
		return func(r *row) (types.Value, error) { return r.b.Value(k, r.i), nil }, nil
	}
	return func(r *row) (types.Value, error) {
		x, ok := pseudoColumn(r.b, k, r.i)
		switch {
		case !ok:
			return types.NullValue, nil
		case k == plan.ColRowPartition:
			return types.NewInteger(int32(x)), nil
		}
		return types.NewBigint(x), nil
	}, nil
}

// rowHeaders is the HEADERS pseudo column.
func rowHeaders(r *row) (types.Value, error) {
	hs, err := kafka.ParseHeaders(r.b.RawHeaders(r.i), MaxHeaders)
	if err != nil {
		return types.NullValue, err
	}
	out := make([]types.Value, len(hs))
	for k, h := range hs {
		v := types.NullValue
		if h.Value != nil {
			v = types.NewBytes(h.Value)
		}
		out[k] = types.NewStruct([]types.Value{types.NewString(h.Key), v})
	}
	return types.NewArray(out), nil
}

func rowParam(e *plan.Expr) rowFunc {
	depth, k := e.Depth, e.Column
	return func(r *row) (types.Value, error) {
		at := len(r.params) - 1 - depth
		if at < 0 || k >= len(r.params[at]) {
			return types.NullValue, fmt.Errorf("lambda parameter %d at depth %d is not bound", k, depth)
		}
		return r.params[at][k], nil
	}
}

func rowLogic(e *plan.Expr, args []rowFunc) (rowFunc, error) {
	switch e.Op {
	case plan.OpNot:
		return func(r *row) (types.Value, error) {
			v, err := args[0](r)
			if err == nil && v.IsNull() {
				err = errNullCondition
			}
			return types.NewBoolean(!v.Bool()), err
		}, nil
	case plan.OpCase:
		if len(args)%2 == 0 {
			return nil, fmt.Errorf("CASE needs an odd number of arguments, got %d", len(args))
		}
		return func(r *row) (types.Value, error) {
			for k := 0; k+1 < len(args); k += 2 {
				if v, err := args[k](r); err != nil {
					return types.NullValue, err
				} else if !v.IsNull() && v.Bool() {
					return args[k+1](r)
				}
			}
			return args[len(args)-1](r)
		}, nil
	}
	or := e.Op == plan.OpOr
	return func(r *row) (types.Value, error) {
		l, err := args[0](r)
		if err != nil || !l.IsNull() && l.Bool() == or {
			return types.NewBoolean(or), err
		}
		x, err := args[1](r)
		if err == nil && (x.IsNull() || l.IsNull() && x.Bool() != or) {
			err = errNullCondition
		}
		return types.NewBoolean(x.Bool()), err
	}, nil
}

func rowCompare(e *plan.Expr, args []rowFunc) rowFunc {
	op := e.Op
	if op == plan.OpIn {
		return func(r *row) (types.Value, error) {
			l, err := args[0](r)
			if err != nil || l.IsNull() {
				return types.NewBoolean(false), err
			}
			for _, a := range args[1:] {
				x, err := a(r)
				if err != nil {
					return types.NullValue, err
				}
				if !x.IsNull() && types.Equal(l, x) {
					return types.NewBoolean(true), nil
				}
			}
			return types.NewBoolean(false), nil
		}
	}
	return func(r *row) (types.Value, error) {
		l, err := args[0](r)
		if err != nil {
			return types.NullValue, err
		}
		x, err := args[1](r)
		if err != nil {
			return types.NullValue, err
		}
		null := l.IsNull() || x.IsNull()
		switch {
		case op == plan.OpIsDistinct && null:
			return types.NewBoolean(l.IsNull() != x.IsNull()), nil
		case null:
			return types.NewBoolean(false), nil
		case op == plan.OpIsDistinct || op == plan.OpNe:
			return types.NewBoolean(!types.Equal(l, x)), nil
		case op == plan.OpEq:
			return types.NewBoolean(types.Equal(l, x)), nil
		}
		c, err := compareValues(l, x)
		return types.NewBoolean(holds(op, c)), err
	}
}

// errNullOperand says that a lambda computes with NULL. As in KSQL that is an
// error of the call which the lambda belongs to.
var errNullOperand = errors.New("NULL in arithmetic within a lambda")

func rowArith(e *plan.Expr, args []rowFunc) rowFunc {
	op, t := e.Op, e.Type
	return func(r *row) (types.Value, error) {
		l, err := args[0](r)
		if err != nil {
			return types.NullValue, err
		}
		x := l
		if op != plan.OpNeg {
			// Evaluated even when l is NULL: an error in it is an error of the row.
			if x, err = args[1](r); err != nil {
				return types.NullValue, err
			}
		}
		if l.IsNull() || x.IsNull() {
			if len(r.params) > 0 {
				return types.NullValue, errNullOperand
			}
			return types.NullValue, nil
		}
		return arithValues(op, l, x, t)
	}
}

// arithValues computes l op x, both not NULL and of the result's kind.
func arithValues(op plan.Op, l, x types.Value, t types.Type) (types.Value, error) {
	switch t.Kind {
	case types.KindInteger, types.KindBigint:
		n, err := arithInt(op, l.Int(), x.Int())
		if t.Kind == types.KindInteger {
			return types.NewInteger(int32(n)), err
		}
		return types.NewBigint(n), err
	case types.KindDouble:
		return types.NewDouble(arithFloat(op, l.Float(), x.Float())), nil
	case types.KindString:
		if op == plan.OpAdd {
			return types.NewString(l.Str() + x.Str()), nil
		}
	case types.KindDecimal:
		return arithDecimal(op, l, x, t)
	}
	return types.NullValue, fmt.Errorf("operation %q is not defined on %s", op, t)
}

func arithInt(op plan.Op, l, x int64) (int64, error) {
	switch op {
	case plan.OpNeg:
		return -l, nil
	case plan.OpAdd:
		return l + x, nil
	case plan.OpSub:
		return l - x, nil
	case plan.OpMul:
		return l * x, nil
	}
	if x == 0 {
		return 0, types.ErrDivisionByZero
	}
	if op == plan.OpDiv {
		return l / x, nil
	}
	return l % x, nil
}

func arithFloat(op plan.Op, l, x float64) float64 {
	switch op {
	case plan.OpNeg:
		return -l
	case plan.OpAdd:
		return l + x
	case plan.OpSub:
		return l - x
	case plan.OpMul:
		return l * x
	case plan.OpDiv:
		return l / x
	}
	return math.Mod(l, x)
}

// literalValue returns a constant; a plan that was stored has no value for NULL.
func literalValue(e *plan.Expr) types.Value {
	if e.Value == nil {
		return types.NullValue
	}
	return *e.Value
}

// Evaluate returns the value of an expression without columns. nowMs is the wall
// time that it sees.
func Evaluate(e *plan.Expr, nowMs int64, random func() uint64) (types.Value, error) {
	f, err := compileRow(e, &types.Schema{})
	if err != nil {
		return types.NullValue, err
	}
	c := &Context{NowMs: nowMs, Random: random}
	v, err := f(&row{c: c})
	if err == nil && len(c.failures) > 0 {
		err = c.failures[0].Err
	}
	return v, err
}
