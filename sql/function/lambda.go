package function

import (
	"fmt"

	"github.com/millrace/millrace/sql/types"
)

func lambdaFunctions() []*Function {
	const category = "LAMBDA"
	return []*Function{
		fn("TRANSFORM", category, "The collection with every element, or every key and value, replaced by a lambda's result.",
			overEnv("array ARRAY<T>, f LAMBDA<T, R>", "ARRAY<R>", transformArray),
			overEnv("map MAP<K, V>, key LAMBDA<K, V, R>, value LAMBDA<K, V, S>", "MAP<R, S>", transformMap)),
		fn("FILTER", category, "The elements, or entries, for which a lambda is true.",
			overEnv("array ARRAY<T>, f LAMBDA<T, BOOLEAN>", "ARRAY<T>", filterArray),
			overEnv("map MAP<K, V>, f LAMBDA<K, V, BOOLEAN>", "MAP<K, V>", filterMap)),
		fn("REDUCE", category, "A collection folded into one value: the lambda gets the state and the next element, or key and value.",
			overEnv("array ARRAY<T>, state S, f LAMBDA<S, T, S>", "S", reduce).nullable(),
			overEnv("map MAP<K, V>, state S, f LAMBDA<S, K, V, S>", "S", reduce).nullable()),
	}
}

func transformArray(env *Env, a []types.Value) (types.Value, error) {
	out := make([]types.Value, len(a[0].Elems()))
	for i, v := range a[0].Elems() {
		var err error
		if out[i], err = env.Lambda(1, []types.Value{v}); err != nil {
			return types.NullValue, err
		}
	}
	return types.NewArray(out), nil
}

func transformMap(env *Env, a []types.Value) (types.Value, error) {
	m := newMap()
	for i, k := range a[0].Map().Keys {
		args := []types.Value{k, a[0].Map().Values[i]}
		key, err := env.Lambda(1, args)
		if err != nil {
			return types.NullValue, err
		}
		value, err := env.Lambda(2, args)
		if err != nil {
			return types.NullValue, err
		}
		m.put(key, value)
		switch {
		case len(m.m.Keys) != i+1:
			return types.NullValue, fmt.Errorf("TRANSFORM gives the key %s twice", key)
		case value.IsNull():
			return types.NullValue, fmt.Errorf("TRANSFORM gives NULL for the key %s", key)
		}
	}
	return m.value(), nil
}

func filterArray(env *Env, a []types.Value) (types.Value, error) {
	var out []types.Value
	for _, v := range a[0].Elems() {
		keep, err := env.Lambda(1, []types.Value{v})
		if err != nil {
			return types.NullValue, err
		}
		if keep.Bool() {
			out = append(out, v)
		}
	}
	return types.NewArray(out), nil
}

func filterMap(env *Env, a []types.Value) (types.Value, error) {
	m := newMap()
	for i, k := range a[0].Map().Keys {
		v := a[0].Map().Values[i]
		keep, err := env.Lambda(1, []types.Value{k, v})
		if err != nil {
			return types.NullValue, err
		}
		if keep.Bool() {
			m.put(k, v)
		}
	}
	return m.value(), nil
}

func reduce(env *Env, a []types.Value) (types.Value, error) {
	state := a[1]
	if state.IsNull() || a[0].IsNull() {
		return state, nil
	}
	step := func(args ...types.Value) error {
		next, err := env.Lambda(2, args)
		if err != nil {
			return err
		}
		// The body may be narrower than the state: INTEGER where BIGINT is due.
		state, err = types.Cast(next, types.Type{Kind: next.Kind()}, widerScalar(env.Result, next))
		return err
	}
	if a[0].Kind() == types.KindMap {
		for i, k := range a[0].Map().Keys {
			if err := step(state, k, a[0].Map().Values[i]); err != nil {
				return types.NullValue, err
			}
		}
		return state, nil
	}
	for _, v := range a[0].Elems() {
		if err := step(state, v); err != nil {
			return types.NullValue, err
		}
	}
	return state, nil
}

// widerScalar returns the type to convert v to: t where that is another number,
// else its own.
func widerScalar(t types.Type, v types.Value) types.Type {
	if t.Kind.Numeric() && v.Kind().Numeric() {
		return t
	}
	return types.Type{Kind: v.Kind()}
}
