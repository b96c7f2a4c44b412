package function_test

import (
	"fmt"
	"math"

	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// A small interpreter of expressions without columns, so that tests can be
// written as SQL. It types first, as the planner does, and evaluates then.

type scope map[string]types.Type

type values map[string]types.Value

func typeOf(e sql.Expr, s scope) (types.Type, error) {
	switch e := e.(type) {
	case *sql.Literal:
		return e.Type, nil
	case *sql.Paren:
		return typeOf(e.X, s)
	case *sql.ColumnRef:
		t, ok := s[e.Name.Name]
		if !ok {
			return t, fmt.Errorf("no parameter %s", e.Name.Name)
		}
		return t, nil
	case *sql.Cast:
		t, err := e.Type.Resolve(nil)
		if err != nil {
			return t, err
		}
		return t, nil
	case *sql.Unary:
		return typeOf(e.X, s)
	case *sql.Binary:
		l, err := typeOf(e.L, s)
		if err != nil {
			return l, err
		}
		r, err := typeOf(e.R, s)
		if err != nil || e.Op.Comparison() {
			return types.Boolean, err
		}
		return types.ArithmeticType(types.Op(e.Op.String()[0]), l, r)
	case *sql.ArrayLit:
		t, err := common(e.Elems, s)
		return types.Array(t), err
	case *sql.MapLit:
		k, err := common(e.Keys, s)
		if err != nil {
			return k, err
		}
		v, err := common(e.Values, s)
		return types.Map(k, v), err
	case *sql.StructLit:
		var fields []types.Field
		for i, v := range e.Values {
			t, err := typeOf(v, s)
			if err != nil {
				return t, err
			}
			fields = append(fields, types.Field{Name: e.Names[i].Name, Type: t})
		}
		return types.Struct(fields...), nil
	case *sql.Call:
		r, err := resolve(e, s)
		return r.Result, err
	}
	return types.Null, fmt.Errorf("%T is not known here", e)
}

func common(list []sql.Expr, s scope) (types.Type, error) {
	var typed []types.Typed
	for _, e := range list {
		t, err := typeOf(e, s)
		if err != nil {
			return t, err
		}
		typed = append(typed, types.Typed{Type: t, Literal: literal(e)})
	}
	t, _, err := types.CommonType(typed)
	return t, err
}

func literal(e sql.Expr) *types.Value {
	if l, ok := e.(*sql.Literal); ok {
		return &l.Value
	}
	return nil
}

func resolve(e *sql.Call, s scope) (function.Resolved, error) {
	f, ok := function.Lookup(e.Name.Name)
	if !ok {
		return function.Resolved{}, fmt.Errorf("no function %s", e.Name.Name)
	}
	args, err := arguments(e.Args, s)
	if err != nil {
		return function.Resolved{}, err
	}
	return f.Resolve(args)
}

func arguments(list []sql.Expr, s scope) ([]function.Argument, error) {
	var args []function.Argument
	for _, e := range list {
		switch x := e.(type) {
		case *sql.IntervalUnit:
			args = append(args, function.Argument{Unit: true})
		case *sql.Lambda:
			args = append(args, function.Argument{LambdaParams: len(x.Params), LambdaBody: func(params []types.Type) (types.Type, error) {
				return typeOf(x.Body, bindTypes(x, s, params))
			}})
		default:
			t, err := typeOf(e, s)
			if err != nil {
				return nil, err
			}
			args = append(args, function.Argument{Type: t, Literal: literal(e)})
		}
	}
	return args, nil
}

func bindTypes(l *sql.Lambda, outer scope, params []types.Type) scope {
	inner := scope{}
	for k, v := range outer {
		inner[k] = v
	}
	for i, p := range l.Params {
		inner[p.Name] = params[i]
	}
	return inner
}

// fixedRandom is the generator of the tests.
func fixedRandom() uint64 { return 0x0123456789abcdef }

const testNow = 86_400_000*10 + 5

func eval(e sql.Expr, s scope, v values) (types.Value, error) {
	switch e := e.(type) {
	case *sql.Literal:
		return e.Value, nil
	case *sql.IntervalUnit:
		return types.NewString(e.Name), nil
	case *sql.Lambda:
		return types.NullValue, nil
	case *sql.Paren:
		return eval(e.X, s, v)
	case *sql.ColumnRef:
		return v[e.Name.Name], nil
	case *sql.Unary:
		x, err := eval(e.X, s, v)
		if err != nil {
			return x, err
		}
		return types.Negate(x)
	case *sql.Cast:
		x, err := eval(e.X, s, v)
		if err != nil {
			return x, err
		}
		from, err := typeOf(e.X, s)
		if err != nil {
			return x, err
		}
		to, err := typeOf(e, s)
		if err != nil {
			return x, err
		}
		return types.Cast(x, from, to)
	case *sql.Binary:
		return evalBinary(e, s, v)
	case *sql.ArrayLit:
		t, err := typeOf(e, s)
		if err != nil {
			return types.NullValue, err
		}
		list, err := evalAll(e.Elems, *t.Elem, s, v)
		return types.NewArray(list), err
	case *sql.MapLit:
		t, err := typeOf(e, s)
		if err != nil {
			return types.NullValue, err
		}
		keys, err := evalAll(e.Keys, *t.Key, s, v)
		if err != nil {
			return types.NullValue, err
		}
		vals, err := evalAll(e.Values, *t.Elem, s, v)
		return types.NewMap(&types.MapValue{Keys: keys, Values: vals}), err
	case *sql.StructLit:
		var list []types.Value
		for _, x := range e.Values {
			val, err := eval(x, s, v)
			if err != nil {
				return val, err
			}
			list = append(list, val)
		}
		return types.NewStruct(list), nil
	case *sql.Call:
		return evalCall(e, s, v)
	}
	return types.NullValue, fmt.Errorf("%T is not known here", e)
}

func evalAll(list []sql.Expr, to types.Type, s scope, v values) ([]types.Value, error) {
	var out []types.Value
	for _, e := range list {
		from, err := typeOf(e, s)
		if err != nil {
			return nil, err
		}
		x, err := eval(e, s, v)
		if err != nil {
			return nil, err
		}
		if x, err = types.CoerceLiteral(x, from, to); err != nil {
			return nil, err
		}
		out = append(out, x)
	}
	return out, nil
}

func evalBinary(e *sql.Binary, s scope, v values) (types.Value, error) {
	l, err := eval(e.L, s, v)
	if err != nil {
		return l, err
	}
	r, err := eval(e.R, s, v)
	if err != nil {
		return r, err
	}
	t, err := typeOf(e, s)
	if err != nil {
		return l, err
	}
	if !e.Op.Comparison() {
		return types.Arithmetic(types.Op(e.Op.String()[0]), l, r, t)
	}
	if l.IsNull() || r.IsNull() {
		return types.NewBoolean(false), nil
	}
	c := types.Compare(l, r)
	return types.NewBoolean(map[sql.BinaryOp]bool{sql.OpEq: c == 0, sql.OpNe: c != 0, sql.OpLt: c < 0, sql.OpLe: c <= 0, sql.OpGt: c > 0, sql.OpGe: c >= 0}[e.Op]), nil
}

func evalCall(e *sql.Call, s scope, v values) (types.Value, error) {
	r, err := resolve(e, s)
	if err != nil {
		return types.NullValue, err
	}
	env := &function.Env{NowMs: testNow, Random: fixedRandom, Result: r.Result}
	args := make([]types.Value, len(e.Args))
	for i, a := range e.Args {
		if args[i], err = eval(a, s, v); err != nil {
			return types.NullValue, err
		}
		t := types.String
		switch a.(type) {
		case *sql.Lambda, *sql.IntervalUnit:
		default:
			if t, err = typeOf(a, s); err != nil {
				return types.NullValue, err
			}
		}
		if to := r.Casts[i]; to.Kind != types.KindNull {
			if args[i], err = types.Coerce(args[i], t, to); err != nil {
				return types.NullValue, err
			}
			t = to
		}
		env.ArgTypes = append(env.ArgTypes, t)
	}
	env.Lambda = func(i int, params []types.Value) (types.Value, error) {
		l := e.Args[i].(*sql.Lambda)
		inner := values{}
		for k, x := range v {
			inner[k] = x
		}
		for j, p := range l.Params {
			inner[p.Name] = params[j]
		}
		return eval(l.Body, bindTypes(l, s, r.LambdaParams[i]), inner)
	}
	if r.Overload.Rows != nil {
		rows, err := r.Overload.Expand(env, args)
		return types.NewArray(rows), err
	}
	return r.Overload.Call(env, args)
}

// near rounds a DOUBLE for printing: the last digits differ between machines.
func near(v types.Value) types.Value {
	if v.Kind() != types.KindDouble || math.IsInf(v.Float(), 0) || math.IsNaN(v.Float()) || v.Float() == 0 {
		return v
	}
	scale := math.Pow(10, 12-math.Floor(math.Log10(math.Abs(v.Float()))))
	if math.IsInf(scale, 0) || scale == 0 {
		return v
	}
	return types.NewDouble(math.Round(v.Float()*scale) / scale)
}
