package expr

import (
	"fmt"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// rowNested compiles constructors and accesses of nested values.
func rowNested(e *plan.Expr, args []rowFunc) (rowFunc, error) {
	switch e.Op {
	case plan.OpIndex:
		if e.Args[0].Type.Kind == types.KindMap {
			return strict2(args, mapLookup), nil
		}
		return strict2(args, arrayElement), nil
	case plan.OpField:
		k := e.Column
		if fields := e.Args[0].Type.Fields; k < 0 || k >= len(fields) {
			return nil, fmt.Errorf("field %d of %s", k, e.Args[0].Type)
		}
		return func(r *row) (types.Value, error) {
			v, err := args[0](r)
			if err != nil || v.IsNull() {
				return types.NullValue, err
			}
			return v.Elems()[k], nil
		}, nil
	case plan.OpArray, plan.OpStruct:
		if e.Op == plan.OpStruct && len(args) != len(e.Type.Fields) {
			return nil, fmt.Errorf("%d values for %s", len(args), e.Type)
		}
		build := types.NewArray
		if e.Op == plan.OpStruct {
			build = types.NewStruct
		}
		return func(r *row) (types.Value, error) {
			vs, err := evalRow(r, args)
			return build(vs), err
		}, nil
	case plan.OpMap:
		if len(args)%2 != 0 {
			return nil, fmt.Errorf("MAP needs an even number of arguments, got %d", len(args))
		}
		return func(r *row) (types.Value, error) {
			vs, err := evalRow(r, args)
			if err != nil {
				return types.NullValue, err
			}
			return buildMap(vs), nil
		}, nil
	}
	return nil, fmt.Errorf("unknown operation %q", e.Op)
}

func evalRow(r *row, args []rowFunc) ([]types.Value, error) {
	out := make([]types.Value, len(args))
	for k, a := range args {
		var err error
		if out[k], err = a(r); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// strict2 answers NULL when either argument is NULL.
func strict2(args []rowFunc, f func(a, b types.Value) types.Value) rowFunc {
	return func(r *row) (types.Value, error) {
		vs, err := evalRow(r, args)
		if err != nil || vs[0].IsNull() || vs[1].IsNull() {
			return types.NullValue, err
		}
		return f(vs[0], vs[1]), nil
	}
}

// arrayElement counts from 1, or from the end with -1; outside it is NULL.
func arrayElement(a, index types.Value) types.Value {
	elems, k := a.Elems(), index.Int()
	if k < 0 {
		k += int64(len(elems)) + 1
	}
	if k < 1 || k > int64(len(elems)) {
		return types.NullValue
	}
	return elems[k-1]
}

func mapLookup(m, key types.Value) types.Value {
	for k, x := range m.Map().Keys {
		if !x.IsNull() && types.Equal(x, key) {
			return m.Map().Values[k]
		}
	}
	return types.NullValue
}

// buildMap makes a map of keys and values in turn; a later equal key replaces
// the earlier one's value.
func buildMap(vs []types.Value) types.Value {
	m := new(types.MapValue)
next:
	for i := 0; i < len(vs); i += 2 {
		for k, x := range m.Keys {
			if x.IsNull() && vs[i].IsNull() || !x.IsNull() && !vs[i].IsNull() && types.Equal(x, vs[i]) {
				m.Values[k] = vs[i+1]
				continue next
			}
		}
		m.Keys, m.Values = append(m.Keys, vs[i]), append(m.Values, vs[i+1])
	}
	return types.NewMap(m)
}
