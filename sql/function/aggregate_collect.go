package function

import (
	"math"
	"slices"

	"github.com/millrace/millrace/sql/types"
)

// maxHistogram bounds the different values that HISTOGRAM counts.
const maxHistogram = 1000

// appendValue returns a list with v at its end. Lists are never changed in
// place: a state may still be read while its successor is made.
func appendValue(list []types.Value, v types.Value) []types.Value {
	return append(slices.Clip(list), v)
}

func contains(list []types.Value, v types.Value) bool { return indexOf(list, v) >= 0 }

// indexOf returns the first index of v, NULL being equal to NULL, or -1.
func indexOf(list []types.Value, v types.Value) int {
	return slices.IndexFunc(list, func(e types.Value) bool { return types.Equal(e, v) })
}

// collectLimit returns the limit of a COLLECT function; below 0 there is none.
func collectLimit(literals []*types.Value) (int, error) {
	if len(literals) < 2 {
		return math.MaxInt, nil
	}
	if v := literals[1]; v != nil && !v.IsNull() && v.Int() < 0 {
		return math.MaxInt, nil
	}
	return intLiteral(literals, 1, "the limit", 0)
}

func newCollectList(args []types.Type, literals []*types.Value) (Aggregator, error) {
	t := types.Array(args[0])
	limit, err := collectLimit(literals)
	if err != nil {
		return nil, err
	}
	return &undoFold{fold{
		state: t, result: t, init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			if len(state.Elems()) >= limit {
				return state, nil
			}
			return types.NewArray(appendValue(state.Elems(), args[0])), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			list := slices.Concat(a.Elems(), b.Elems())
			return types.NewArray(list[:min(len(list), limit)]), nil
		},
	}, func(state types.Value, args []types.Value) (types.Value, error) {
		list := state.Elems()
		for i := len(list) - 1; i >= 0; i-- {
			if types.Equal(list[i], args[0]) {
				return types.NewArray(slices.Concat(list[:i], list[i+1:])), nil
			}
		}
		return state, nil
	}}, nil
}

func newCollectSet(args []types.Type, literals []*types.Value) (Aggregator, error) {
	t := types.Array(args[0])
	limit, err := collectLimit(literals)
	if err != nil {
		return nil, err
	}
	add := func(state types.Value, v types.Value) types.Value {
		if len(state.Elems()) >= limit || contains(state.Elems(), v) {
			return state
		}
		return types.NewArray(appendValue(state.Elems(), v))
	}
	return &fold{
		state: t, result: t, init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) { return add(state, args[0]), nil },
		merge: func(a, b types.Value) (types.Value, error) {
			for _, v := range b.Elems() {
				a = add(a, v)
			}
			return a, nil
		},
	}, nil
}

// newAttr counts each distinct value; the group has an attribute when one is
// left.
func newAttr(args []types.Type, _ []*types.Value) (Aggregator, error) {
	entry := types.Struct(types.Field{Name: "VALUE", Type: args[0]}, types.Field{Name: "COUNT", Type: types.Integer})
	move := func(state, v types.Value, n int64) types.Value {
		list := state.Elems()
		i := slices.IndexFunc(list, func(e types.Value) bool { return types.Equal(e.Elems()[0], v) })
		if i >= 0 {
			n += list[i].Elems()[1].Int()
			list = slices.Concat(list[:i], list[i+1:])
		}
		if n <= 0 {
			return types.NewArray(list)
		}
		return types.NewArray(appendValue(list, types.NewStruct([]types.Value{v, types.NewInteger(int32(n))})))
	}
	return &undoFold{fold{
		state: types.Array(entry), result: args[0], init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) { return move(state, args[0], 1), nil },
		merge: func(a, b types.Value) (types.Value, error) {
			for _, e := range b.Elems() {
				a = move(a, e.Elems()[0], e.Elems()[1].Int())
			}
			return a, nil
		},
		finish: func(state types.Value) (types.Value, error) {
			if list := state.Elems(); len(list) == 1 {
				return list[0].Elems()[0], nil
			}
			return types.NullValue, nil
		},
	}, func(state types.Value, args []types.Value) (types.Value, error) { return move(state, args[0], -1), nil }}, nil
}

func newHistogram([]types.Type, []*types.Value) (Aggregator, error) {
	t := types.Map(types.String, types.Bigint)
	move := func(state, key types.Value, n int64) types.Value {
		m := state.Map()
		i := indexOf(m.Keys, key)
		if i < 0 {
			if n <= 0 || len(m.Keys) >= maxHistogram {
				return state
			}
			return types.NewMap(&types.MapValue{Keys: appendValue(m.Keys, key), Values: appendValue(m.Values, types.NewBigint(n))})
		}
		n += m.Values[i].Int()
		if n <= 0 {
			return types.NewMap(&types.MapValue{Keys: slices.Concat(m.Keys[:i], m.Keys[i+1:]), Values: slices.Concat(m.Values[:i], m.Values[i+1:])})
		}
		values := slices.Clone(m.Values)
		values[i] = types.NewBigint(n)
		return types.NewMap(&types.MapValue{Keys: m.Keys, Values: values})
	}
	step := func(n int64) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			return move(state, args[0], n), nil
		}
	}
	return &undoFold{fold{
		state: t, result: t, init: types.NewMap(&types.MapValue{}), add: step(1),
		merge: func(a, b types.Value) (types.Value, error) {
			for i, k := range b.Map().Keys {
				a = move(a, k, b.Map().Values[i].Int())
			}
			return a, nil
		},
	}, step(-1)}, nil
}

func byOffset(earliest bool) []*Overload {
	one := func(args []types.Type, literals []*types.Value) (Aggregator, error) {
		return newByOffset(earliest, args[0], ignoreNulls(literals, 1)), nil
	}
	many := func(args []types.Type, literals []*types.Value) (Aggregator, error) {
		n, err := intLiteral(literals, 1, "the number of values", 1)
		if err != nil {
			return nil, err
		}
		return newByOffsetN(earliest, args[0], n, ignoreNulls(literals, 2)), nil
	}
	return []*Overload{
		aggOver("value T", one), aggOver("value T, ignoreNulls BOOLEAN#", one),
		aggOver("value T, n INTEGER#", many), aggOver("value T, n INTEGER#, ignoreNulls BOOLEAN#", many),
	}
}

func ignoreNulls(literals []*types.Value, i int) bool {
	return i >= len(literals) || literals[i] == nil || literals[i].IsNull() || literals[i].Bool()
}

func offsetEntry(t types.Type) types.Type {
	return types.Struct(types.Field{Name: "SEQ", Type: types.Bigint}, types.Field{Name: "VAL", Type: t})
}

// newByOffset keeps one value. SEQ counts the values seen by this group, 0 while
// there is none. Of two sessions the earlier holds the earlier values.
func newByOffset(earliest bool, t types.Type, skipNull bool) Aggregator {
	seq := func(v types.Value) int64 { return v.Elems()[0].Int() }
	return &fold{
		state: offsetEntry(t), result: t, init: types.NewStruct([]types.Value{types.NewBigint(0), types.NullValue}),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			if skipNull && args[0].IsNull() || earliest && seq(state) > 0 {
				return state, nil
			}
			return types.NewStruct([]types.Value{types.NewBigint(seq(state) + 1), args[0]}), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			if earliest && seq(a) > 0 || seq(b) == 0 {
				return a, nil
			}
			return b, nil
		},
		finish: func(state types.Value) (types.Value, error) { return state.Elems()[1], nil },
	}
}

// newByOffsetN keeps the first or the last n values in order.
func newByOffsetN(earliest bool, t types.Type, n int, skipNull bool) Aggregator {
	cut := func(list []types.Value) types.Value {
		switch {
		case len(list) <= n:
		case earliest:
			list = list[:n]
		default:
			list = list[len(list)-n:]
		}
		return types.NewArray(list)
	}
	return &fold{
		state: types.Array(offsetEntry(t)), result: types.Array(t), init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			list := state.Elems()
			if skipNull && args[0].IsNull() || earliest && len(list) >= n {
				return state, nil
			}
			seq := int64(1)
			if len(list) > 0 {
				seq += list[len(list)-1].Elems()[0].Int()
			}
			return cut(appendValue(list, types.NewStruct([]types.Value{types.NewBigint(seq), args[0]}))), nil
		},
		merge: func(a, b types.Value) (types.Value, error) { return cut(slices.Concat(a.Elems(), b.Elems())), nil },
		finish: func(state types.Value) (types.Value, error) {
			out := make([]types.Value, len(state.Elems()))
			for i, e := range state.Elems() {
				out[i] = e.Elems()[1]
			}
			return types.NewArray(out), nil
		},
	}
}
