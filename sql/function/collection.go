package function

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// maxSeries bounds the elements that GENERATE_SERIES makes.
const maxSeries = 1 << 20

// maxCubeColumns bounds the elements that CUBE_EXPLODE combines.
const maxCubeColumns = 20

// mapBuilder makes a MAP; a key put again replaces its value.
type mapBuilder struct {
	m     types.MapValue
	index map[string]int // by the text of the key, for STRING keys
}

func newMap() *mapBuilder { return &mapBuilder{index: map[string]int{}} }

func (b *mapBuilder) put(k, v types.Value) {
	i, ok := -1, false
	if k.Kind() == types.KindString {
		i, ok = b.index[k.Str()]
	} else if i = indexOf(b.m.Keys, k); i >= 0 {
		ok = true
	}
	if ok {
		b.m.Values[i] = v
		return
	}
	if k.Kind() == types.KindString {
		b.index[k.Str()] = len(b.m.Keys)
	}
	b.m.Keys, b.m.Values = append(b.m.Keys, k), append(b.m.Values, v)
}

func (b *mapBuilder) value() types.Value { return types.NewMap(&b.m) }

func array(f func(a []types.Value) []types.Value) body {
	return func(a []types.Value) (types.Value, error) { return types.NewArray(f(a)), nil }
}

func boolean(f func(a []types.Value) bool) body {
	return func(a []types.Value) (types.Value, error) { return types.NewBoolean(f(a)), nil }
}

func collectionFunctions() []*Function {
	const arrays, maps = "ARRAY", "MAP"
	return []*Function{
		fn("ARRAY_CONCAT", arrays, "Both arrays, one after the other.", over("a ARRAY<T>, b ARRAY<T>", "ARRAY<T>", arrayConcat).nullable()),
		fn("ARRAY_CONTAINS", arrays, "Whether an array has an element; NULL is found too.",
			over("array ARRAY<T>, value T", "BOOLEAN", boolean(func(a []types.Value) bool { return !a[0].IsNull() && contains(a[0].Elems(), a[1]) })).nullable()),
		fn("ARRAY_DISTINCT", arrays, "Each element once, in order of appearance.",
			over("array ARRAY<T>", "ARRAY<T>", array(func(a []types.Value) []types.Value { return distinct(a[0].Elems(), keepAll) }))),
		fn("ARRAY_EXCEPT", arrays, "The distinct elements of a that b does not have.",
			over("a ARRAY<T>, b ARRAY<T>", "ARRAY<T>", array(func(a []types.Value) []types.Value {
				return distinct(a[0].Elems(), func(v types.Value) bool { return !contains(a[1].Elems(), v) })
			}))),
		fn("ARRAY_INTERSECT", arrays, "The distinct elements that both have.",
			over("a ARRAY<T>, b ARRAY<T>", "ARRAY<T>", array(func(a []types.Value) []types.Value {
				return distinct(a[0].Elems(), func(v types.Value) bool { return contains(a[1].Elems(), v) })
			}))),
		fn("ARRAY_UNION", arrays, "The distinct elements of both.",
			over("a ARRAY<T>, b ARRAY<T>", "ARRAY<T>", array(func(a []types.Value) []types.Value {
				return distinct(slices.Concat(a[0].Elems(), a[1].Elems()), keepAll)
			}))),
		fn("ARRAY_JOIN", arrays, "The elements as text with a delimiter between them, a comma by default.",
			overEnv("array ARRAY<T>", "STRING", arrayJoin).nullable(), overEnv("array ARRAY<T>, delimiter STRING", "STRING", arrayJoin).nullable()),
		fn("ARRAY_LENGTH", arrays, "Number of elements.", over("array ARRAY<T>", "INTEGER", integer(func(a []types.Value) int64 { return int64(len(a[0].Elems())) }))),
		fn("ARRAY_MAX", arrays, "The greatest element, NULL left out.", overEnv("array ARRAY<T>", "T", arrayExtreme(1))),
		fn("ARRAY_MIN", arrays, "The smallest element, NULL left out.", overEnv("array ARRAY<T>", "T", arrayExtreme(-1))),
		fn("ARRAY_REMOVE", arrays, "Without the elements that equal a value.",
			over("array ARRAY<T>, value T", "ARRAY<T>", func(a []types.Value) (types.Value, error) {
				if a[0].IsNull() {
					return types.NullValue, nil
				}
				return types.NewArray(slices.DeleteFunc(slices.Clone(a[0].Elems()), func(v types.Value) bool { return types.Equal(v, a[1]) })), nil
			}).nullable()),
		fn("ARRAY_SORT", arrays, "Sorted ascending (ASC, default) or descending (DESC), NULL last.",
			overEnv("array ARRAY<T>", "ARRAY<T>", arraySort), overEnv("array ARRAY<T>, direction STRING", "ARRAY<T>", arraySort)),
		fn("AS_MAP", maps, "A MAP from an array of keys and one of values.", over("keys ARRAY<STRING>, values ARRAY<T>", "MAP<STRING, T>", asMap)),
		fn("ENTRIES", maps, "The entries of a MAP as STRUCTs of K and V, sorted by key when asked.", entriesOverloads()...),
		fn("GENERATE_SERIES", arrays, "Numbers from start to end, both included.", seriesOverloads()...),
		fn("MAP_KEYS", maps, "The keys of a MAP.", over("map MAP<STRING, T>", "ARRAY<STRING>", array(func(a []types.Value) []types.Value { return a[0].Map().Keys }))),
		fn("MAP_VALUES", maps, "The values of a MAP.", over("map MAP<STRING, T>", "ARRAY<T>", array(func(a []types.Value) []types.Value { return a[0].Map().Values }))),
		fn("MAP_UNION", maps, "The entries of both; those of the second win.", over("a MAP<STRING, T>, b MAP<STRING, T>", "MAP<STRING, T>", mapUnion).nullable()),
		fn("SLICE", arrays, "The elements from one position to another, both included, from 1; NULL leaves an end open.",
			over("array ARRAY<T>, from INTEGER, to INTEGER", "ARRAY<T>", arraySlice).nullable()),
		table("EXPLODE", "One row per element of an array.", "array ARRAY<T>", "T", func(_ *Env, a []types.Value) ([]types.Value, error) { return a[0].Elems(), nil }),
		table("CUBE_EXPLODE", "One row per combination of the elements, each present or NULL.", "columns ARRAY<T>", "ARRAY<T>", cubeExplode),
	}
}

// table describes a table function.
func table(name, description, params, ret string, rows func(*Env, []types.Value) ([]types.Value, error)) *Function {
	o := overEnv(params, ret, nil)
	o.Rows = rows
	return build(&Function{Name: name, Class: Table, Category: "TABLE", Description: description, Overloads: []*Overload{o}})
}

func keepAll(types.Value) bool { return true }

// distinct returns each element that keep accepts once.
func distinct(list []types.Value, keep func(types.Value) bool) []types.Value {
	var out []types.Value
	for _, v := range list {
		if keep(v) && !contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func arrayConcat(a []types.Value) (types.Value, error) {
	switch {
	case a[0].IsNull():
		return a[1], nil
	case a[1].IsNull():
		return a[0], nil
	}
	return types.NewArray(slices.Concat(a[0].Elems(), a[1].Elems())), nil
}

func arrayJoin(env *Env, a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.NullValue, nil
	}
	delimiter := ","
	if len(a) > 1 {
		delimiter = a[1].Str()
	}
	var b []byte
	for i, v := range a[0].Elems() {
		if k := v.Kind(); k > types.KindString {
			return types.NullValue, fmt.Errorf("ARRAY_JOIN does not take elements of %s", k)
		}
		if i > 0 {
			b = append(b, delimiter...)
		}
		b = types.AppendText(b, v, nil)
	}
	return types.NewString(string(b)), nil
}

// ordered rejects element types that have no order.
func ordered(t types.Type) error {
	if t.Elem != nil && (t.Elem.Kind >= types.KindArray) {
		return fmt.Errorf("%s has no order", t.Elem)
	}
	return nil
}

func arrayExtreme(sign int) func(*Env, []types.Value) (types.Value, error) {
	return func(env *Env, a []types.Value) (types.Value, error) {
		if err := ordered(argType(env, 0)); err != nil {
			return types.NullValue, err
		}
		best := types.NullValue
		for _, v := range a[0].Elems() {
			if !v.IsNull() && (best.IsNull() || types.Compare(v, best)*sign > 0) {
				best = v
			}
		}
		return best, nil
	}
}

// argType returns the static type of an argument, the zero Type when unknown.
func argType(env *Env, i int) types.Type {
	if env == nil || i >= len(env.ArgTypes) {
		return types.Null
	}
	return env.ArgTypes[i]
}

func arraySort(env *Env, a []types.Value) (types.Value, error) {
	if err := ordered(argType(env, 0)); err != nil {
		return types.NullValue, err
	}
	sign := 1
	if len(a) > 1 {
		switch strings.ToUpper(a[1].Str()) {
		case "ASC", "ASCENDING":
		case "DESC", "DESCENDING":
			sign = -1
		default:
			return types.NullValue, nil
		}
	}
	list := slices.Clone(a[0].Elems())
	slices.SortStableFunc(list, func(x, y types.Value) int {
		switch {
		case x.IsNull() && y.IsNull():
			return 0
		case x.IsNull():
			return 1
		case y.IsNull():
			return -1
		}
		return sign * types.Compare(x, y)
	})
	return types.NewArray(list), nil
}

func asMap(a []types.Value) (types.Value, error) {
	m := newMap()
	values := a[1].Elems()
	for i, k := range a[0].Elems() {
		v := types.NullValue
		if i < len(values) {
			v = values[i]
		}
		m.put(k, v)
	}
	return m.value(), nil
}

func entriesOverloads() []*Overload {
	var list []*Overload
	for _, t := range []string{"INTEGER", "BIGINT", "DOUBLE", "BOOLEAN", "STRING"} {
		list = append(list, over("map MAP<STRING, "+t+">, sorted BOOLEAN!", "ARRAY<STRUCT<K STRING, V "+t+">>", func(a []types.Value) (types.Value, error) {
			if a[0].IsNull() {
				return types.NullValue, nil
			}
			var out []types.Value
			for i, k := range a[0].Map().Keys {
				out = append(out, types.NewStruct([]types.Value{k, a[0].Map().Values[i]}))
			}
			if a[1].Bool() {
				slices.SortStableFunc(out, func(x, y types.Value) int { return types.Compare(firstField(x), firstField(y)) })
			}
			return types.NewArray(out), nil
		}).nullable())
	}
	return list
}

func seriesOverloads() []*Overload {
	var list []*Overload
	for _, t := range []struct {
		name string
		make func(int64) types.Value
	}{
		{"INTEGER", func(n int64) types.Value { return types.NewInteger(int32(n)) }}, {"BIGINT", types.NewBigint},
	} {
		b := func(a []types.Value) (types.Value, error) { return series(a, t.make) }
		list = append(list, over("start "+t.name+"!, end "+t.name+"!", "ARRAY<"+t.name+">", b),
			over("start "+t.name+"!, end "+t.name+"!, step INTEGER!", "ARRAY<"+t.name+">", b))
	}
	return list
}

func series(a []types.Value, make func(int64) types.Value) (types.Value, error) {
	start, end := a[0].Int(), a[1].Int()
	step := int64(1)
	if end <= start {
		step = -1
	}
	if len(a) > 2 {
		step = a[2].Int()
	}
	if step == 0 || step > 0 && start > end || step < 0 && start < end {
		return types.NullValue, fmt.Errorf("step %d does not lead from %d to %d", step, start, end)
	}
	// The distance of two int64 fits uint64.
	distance, stride := uint64(end)-uint64(start), uint64(step)
	if step < 0 {
		distance, stride = -distance, -stride
	}
	n := distance / stride
	if n >= maxSeries {
		return types.NullValue, fmt.Errorf("a series of more than %d elements", maxSeries)
	}
	var list []types.Value
	for i := range n + 1 {
		list = append(list, make(start+int64(i)*step))
	}
	return types.NewArray(list), nil
}

func mapUnion(a []types.Value) (types.Value, error) {
	switch {
	case a[0].IsNull():
		return a[1], nil
	case a[1].IsNull():
		return a[0], nil
	}
	m := newMap()
	for _, v := range a {
		for i, k := range v.Map().Keys {
			m.put(k, v.Map().Values[i])
		}
	}
	return m.value(), nil
}

func arraySlice(a []types.Value) (types.Value, error) {
	if a[0].IsNull() {
		return types.NullValue, nil
	}
	list := a[0].Elems()
	from, to := int64(1), int64(len(list))
	if !a[1].IsNull() {
		from = a[1].Int()
	}
	if !a[2].IsNull() {
		to = a[2].Int()
	}
	if from < 1 || to > int64(len(list)) || from > to {
		return types.NullValue, nil
	}
	return types.NewArray(list[from-1 : to]), nil
}

// cubeExplode counts through all masks of present columns, from none to all. A
// NULL column is never present, which would repeat a row.
func cubeExplode(_ *Env, a []types.Value) ([]types.Value, error) {
	columns := a[0].Elems()
	if len(columns) > maxCubeColumns {
		return nil, fmt.Errorf("CUBE_EXPLODE takes at most %d columns, got %d", maxCubeColumns, len(columns))
	}
	var rows []types.Value
	for mask := range 1 << len(columns) {
		row := make([]types.Value, len(columns))
		repeats := false
		for i, c := range columns {
			if mask>>(len(columns)-1-i)&1 == 1 {
				row[i] = c
				repeats = repeats || c.IsNull()
			}
		}
		if !repeats {
			rows = append(rows, types.NewArray(row))
		}
	}
	return rows, nil
}
