package expr

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// call is a function without lambdas: arguments by kernels, the body by row.
type call struct {
	f    *function.Overload
	env  function.Env
	typ  types.Type
	args []node
	row  []types.Value
	vecs []*batch.Vector
}

func compileCall(e *plan.Expr, in *types.Schema) (node, error) {
	for _, a := range e.Args {
		if a.Op == plan.OpLambda {
			return compileFallback(e, in)
		}
	}
	f, err := scalar(e)
	if err != nil {
		return nil, err
	}
	args, err := compileArgs(e.Args, in)
	if err != nil {
		return nil, err
	}
	n := &call{f: f, typ: e.Type, args: args, row: make([]types.Value, len(args)), vecs: make([]*batch.Vector, len(args))}
	n.env = function.Env{ArgTypes: argTypes(e), Result: e.Type}
	return n, nil
}

func scalar(e *plan.Expr) (*function.Overload, error) {
	f, ok := lookupOverload(e.Name)
	if !ok {
		return nil, fmt.Errorf("unknown function %s", e.Name)
	}
	if f.Body == nil {
		return nil, fmt.Errorf("function %s is not a scalar function", e.Name)
	}
	return f, nil
}

func argTypes(e *plan.Expr) []types.Type {
	ts := make([]types.Type, len(e.Args))
	for k, a := range e.Args {
		ts[k] = a.Type
	}
	return ts
}

func (n *call) eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector {
	for k, a := range n.args {
		n.vecs[k] = a.eval(c, b, sel)
	}
	out := c.Scratch.Vector(n.typ, b.Rows)
	n.env.NowMs, n.env.Random = c.NowMs, c.Random
	for _, i := range sel {
		for k, v := range n.vecs {
			n.row[k] = v.Value(i)
		}
		v, err := n.f.Call(&n.env, n.row)
		if err == nil && !out.Set(i, v) {
			err = fmt.Errorf("result of %s does not fit %s", n.f.ID, n.typ)
		}
		if err != nil {
			c.note(i, err)
			out.SetNull(i)
		}
	}
	clear(n.row)
	return out
}

// rowCall compiles a call with its lambdas row by row.
func rowCall(e *plan.Expr, in *types.Schema) (rowFunc, error) {
	f, err := scalar(e)
	if err != nil {
		return nil, err
	}
	args := make([]rowFunc, len(e.Args))
	bodies := make([]rowFunc, len(e.Args))
	for k, a := range e.Args {
		if a.Op != plan.OpLambda {
			if args[k], err = compileRow(a, in); err != nil {
				return nil, err
			}
			continue
		}
		if len(a.Args) != 1 {
			return nil, errors.New("a lambda has one body")
		}
		if bodies[k], err = compileRow(a.Args[0], in); err != nil {
			return nil, err
		}
	}
	ts := argTypes(e)
	return func(r *row) (types.Value, error) {
		env := function.Env{NowMs: r.c.NowMs, Random: r.c.Random, ArgTypes: ts, Result: e.Type}
		env.Lambda = func(k int, params []types.Value) (types.Value, error) {
			if k < 0 || k >= len(bodies) || bodies[k] == nil {
				return types.NullValue, fmt.Errorf("argument %d of %s is not a lambda", k, f.ID)
			}
			r.params = append(r.params, params)
			defer func() { r.params = r.params[:len(r.params)-1] }()
			return bodies[k](r)
		}
		vs := make([]types.Value, len(args))
		for k, a := range args {
			if a == nil {
				continue
			}
			v, err := a(r)
			if err != nil {
				return types.NullValue, err
			}
			vs[k] = v
		}
		v, err := f.Call(&env, vs)
		if err != nil {
			r.c.note(r.i, err)
			return types.NullValue, nil
		}
		return v, nil
	}, nil
}

// Rows is a compiled call of a table function.
type Rows struct {
	// Elem is the type of the result column.
	Elem types.Type
	f    *function.Overload
	env  function.Env
	args []rowFunc
}

// CompileRows compiles a call of a table function.
func CompileRows(e *plan.Expr, in *types.Schema) (*Rows, error) {
	if e.Op != plan.OpCall {
		return nil, fmt.Errorf("operation %q is not a table function", e.Op)
	}
	f, ok := lookupOverload(e.Name)
	if !ok {
		return nil, fmt.Errorf("unknown function %s", e.Name)
	}
	if f.Rows == nil {
		return nil, fmt.Errorf("function %s is not a table function", e.Name)
	}
	n := &Rows{Elem: e.Type, f: f, env: function.Env{ArgTypes: argTypes(e), Result: e.Type}}
	for _, a := range e.Args {
		arg, err := compileRow(a, in)
		if err != nil {
			return nil, err
		}
		n.args = append(n.args, arg)
	}
	return n, nil
}

// Eval returns the rows that the function makes of row i.
func (n *Rows) Eval(c *Context, b *batch.Batch, i int32) ([]types.Value, error) {
	vs, err := evalRow(&row{c: c, b: b, i: i}, n.args)
	if err != nil {
		return nil, err
	}
	n.env.NowMs, n.env.Random = c.NowMs, c.Random
	return n.f.Expand(&n.env, vs)
}

// Overload finds a function's body by the ID in a plan.
func Overload(id string) (*function.Overload, error) {
	f, ok := lookupOverload(id)
	if !ok {
		return nil, fmt.Errorf("unknown function %s", id)
	}
	return f, nil
}
