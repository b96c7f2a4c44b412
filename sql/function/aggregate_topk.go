package function

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/sql/types"
)

func topkOverloads() []*Overload {
	var list []*Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE", "STRING"} {
		list = append(list, aggOver("value "+t+", k INTEGER#", newTopK), aggOver("value "+t+", column A, more B..., k INTEGER#", newTopKRows))
	}
	return list
}

func topkDistinctOverloads() []*Overload {
	var list []*Overload
	for _, t := range comparableTypes {
		list = append(list, aggOver("value "+t+", k INTEGER#", newTopKDistinct))
	}
	return list
}

// insertSorted puts v behind all that are not smaller by key, and cuts the list
// to k.
func insertSorted(list []types.Value, v types.Value, k int, key func(types.Value) types.Value) []types.Value {
	i := slices.IndexFunc(list, func(e types.Value) bool { return types.Compare(key(e), key(v)) < 0 })
	if i < 0 {
		i = len(list)
	}
	if i >= k {
		return list
	}
	list = slices.Concat(list[:i], []types.Value{v}, list[i:])
	return list[:min(len(list), k)]
}

func itself(v types.Value) types.Value { return v }

func firstField(v types.Value) types.Value { return v.Elems()[0] }

func newTopK(args []types.Type, literals []*types.Value) (Aggregator, error) {
	return topK(args[0], literals, false)
}

func newTopKDistinct(args []types.Type, literals []*types.Value) (Aggregator, error) {
	return topK(args[0], literals, true)
}

func topK(elem types.Type, literals []*types.Value, distinct bool) (Aggregator, error) {
	k, err := intLiteral(literals, 1, "k", 1)
	if err != nil {
		return nil, err
	}
	add := func(list []types.Value, v types.Value) []types.Value {
		if v.IsNull() || distinct && contains(list, v) {
			return list
		}
		return insertSorted(list, v, k, itself)
	}
	t := types.Array(elem)
	return &fold{
		state: t, result: t, init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			return types.NewArray(add(state.Elems(), args[0])), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			list := a.Elems()
			for _, v := range b.Elems() {
				list = add(list, v)
			}
			return types.NewArray(list), nil
		},
	}, nil
}

// newTopKRows keeps STRUCTs of the sort column and the other columns.
func newTopKRows(args []types.Type, literals []*types.Value) (Aggregator, error) {
	last := len(args) - 1
	k, err := intLiteral(literals, last, "k", 1)
	if err != nil {
		return nil, err
	}
	fields := []types.Field{{Name: "sort_col", Type: args[0]}}
	for i, t := range args[1:last] {
		fields = append(fields, types.Field{Name: fmt.Sprintf("col%d", i), Type: t})
	}
	t := types.Array(types.Struct(fields...))
	return &fold{
		state: t, result: t, init: types.NewArray(nil),
		add: func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			row := types.NewStruct(slices.Clone(args[:last]))
			return types.NewArray(insertSorted(state.Elems(), row, k, firstField)), nil
		},
		merge: func(a, b types.Value) (types.Value, error) {
			list := a.Elems()
			for _, v := range b.Elems() {
				list = insertSorted(list, v, k, firstField)
			}
			return types.NewArray(list), nil
		},
	}, nil
}
