package function

import "github.com/millrace/millrace/sql/types"

func nullFunctions() []*Function {
	first := func(a []types.Value) (types.Value, error) {
		for _, v := range a {
			if !v.IsNull() {
				return v, nil
			}
		}
		return types.NullValue, nil
	}
	return []*Function{
		fn("COALESCE", "CONDITIONAL", "The first argument that is not NULL.", over("value T, more T...", "T", first).nullable()),
		fn("IFNULL", "CONDITIONAL", "value, or alternative when it is NULL.", over("value T, alternative T", "T", first).nullable()),
		fn("NULLIF", "CONDITIONAL", "NULL when both are equal, else value.",
			over("value T, other T", "T", func(a []types.Value) (types.Value, error) {
				if !a[0].IsNull() && !a[1].IsNull() && types.Equal(a[0], a[1]) {
					return types.NullValue, nil
				}
				return a[0], nil
			}).nullable()),
		fn("AS_VALUE", "OTHER", "The same value: marks a copy of a key column that goes into the value.",
			over("value T", "T", func(a []types.Value) (types.Value, error) { return a[0], nil }).nullable()),
	}
}
