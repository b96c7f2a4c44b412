package function

import (
	"fmt"

	"github.com/millrace/millrace/sql/types"
)

// fold is an Aggregator made of functions.
type fold struct {
	state, result types.Type
	init          types.Value
	add           func(state types.Value, args []types.Value) (types.Value, error)
	merge         func(a, b types.Value) (types.Value, error)
	finish        func(state types.Value) (types.Value, error) // nil: the state is the result
}

func (f *fold) State() types.Type  { return f.state }
func (f *fold) Result() types.Type { return f.result }
func (f *fold) Init() types.Value  { return f.init }

func (f *fold) Add(state types.Value, args []types.Value) (types.Value, error) {
	return f.add(state, args)
}

func (f *fold) Merge(a, b types.Value) (types.Value, error) { return f.merge(a, b) }

func (f *fold) Finish(state types.Value) (types.Value, error) {
	if f.finish == nil {
		return state, nil
	}
	return f.finish(state)
}

// undoFold is a fold that can take a row back.
type undoFold struct {
	fold
	undo func(state types.Value, args []types.Value) (types.Value, error)
}

func (f *undoFold) Undo(state types.Value, args []types.Value) (types.Value, error) {
	return f.undo(state, args)
}

// agg describes an aggregate function.
func agg(name, description string, overloads ...*Overload) *Function {
	return build(&Function{Name: name, Class: Aggregate, Category: "AGGREGATE", Description: description, Overloads: overloads})
}

// aggOver describes an overload of an aggregate. Its result type is that of the
// aggregator.
func aggOver(params string, f func(args []types.Type, literals []*types.Value) (Aggregator, error)) *Overload {
	o := signature(params)
	o.NewAggregator = f
	o.Returns = func(args []types.Type, literals []*types.Value) (types.Type, error) {
		a, err := f(args, literals)
		if err != nil {
			return types.Null, err
		}
		return a.Result(), nil
	}
	return o
}

// aggOvers describes an overload per type with one parameter.
func aggOvers(f func(args []types.Type, literals []*types.Value) (Aggregator, error), paramTypes ...string) []*Overload {
	var list []*Overload
	for _, t := range paramTypes {
		list = append(list, aggOver("value "+t, f))
	}
	return list
}

func aggregateFunctions() []*Function {
	return []*Function{
		agg("ATTR", "The one value that all rows of the group have, NULL when there are several. NULL counts as a value.",
			aggOver("value T", newAttr)),
		agg("AVG", "Average of the values that are not NULL, 0 without any.",
			aggOvers(newAvg, "INTEGER", "BIGINT", "DOUBLE")...),
		agg("COLLECT_LIST", "All values in arrival order, NULL included; the first limit of them where one is given.",
			aggOver("value T", newCollectList), aggOver("value T, limit INTEGER#", newCollectList)),
		agg("COLLECT_SET", "The distinct values in arrival order, NULL included; the first limit of them where one is given.",
			aggOver("value T", newCollectSet), aggOver("value T, limit INTEGER#", newCollectSet)),
		agg("CORRELATION", "Pearson's correlation of two columns; pairs with a NULL are skipped.",
			aggOver("x INTEGER, y INTEGER", newCorrelation), aggOver("x BIGINT, y BIGINT", newCorrelation),
			aggOver("x DOUBLE, y DOUBLE", newCorrelation)),
		agg("COUNT", "Number of rows whose value is not NULL.", aggOver("value T", newCount)),
		agg("COUNT_DISTINCT", "Estimated number of distinct values (HyperLogLog with 16384 registers, about 0.8 % error). NULL is skipped.",
			aggOver("value T", newCountDistinct)),
		agg("EARLIEST_BY_OFFSET", "The first value, or the first n values, in arrival order. NULL is skipped unless ignoreNulls is false.",
			byOffset(true)...),
		agg("HISTOGRAM", fmt.Sprintf("Number of rows per value, of at most %d different values.", maxHistogram), aggOver("value STRING", newHistogram)),
		agg("LATEST_BY_OFFSET", "The last value, or the last n values, in arrival order. NULL is skipped unless ignoreNulls is false.",
			byOffset(false)...),
		agg("MAX", "Greatest value, NULL without any.", aggOvers(newExtreme(1), comparableTypes...)...),
		agg("MIN", "Smallest value, NULL without any.", aggOvers(newExtreme(-1), comparableTypes...)...),
		agg("STDDEV_SAMP", "Sample variance: what KSQL has always answered under this name. STDDEV_SAMPLE is the standard deviation.",
			aggOvers(newDeviation(true), "INTEGER", "BIGINT", "DOUBLE")...),
		agg("STDDEV_SAMPLE", "Sample standard deviation, 0 for fewer than two values.",
			aggOvers(newDeviation(false), "INTEGER", "BIGINT", "DOUBLE")...),
		agg("SUM", "Sum of the values that are not NULL.", aggOvers(newSum, "INTEGER", "BIGINT", "DOUBLE", "DECIMAL")...),
		agg("SUM_LIST", "Sum of the elements of all arrays.", aggOvers(newSumList, "ARRAY<INTEGER>", "ARRAY<BIGINT>", "ARRAY<DOUBLE>")...),
		agg("TOPK", "The k greatest values, greatest first; with further columns, STRUCTs of them.", topkOverloads()...),
		agg("TOPKDISTINCT", "The k greatest distinct values, greatest first.", topkDistinctOverloads()...),
	}
}

// comparableTypes are the types that MIN and MAX take.
var comparableTypes = []string{"INTEGER", "BIGINT", "DOUBLE", "DECIMAL", "STRING", "BYTES", "DATE", "TIME", "TIMESTAMP"}

// intLiteral returns the constant argument i.
func intLiteral(literals []*types.Value, i int, what string, least int64) (int, error) {
	if i >= len(literals) || literals[i] == nil || literals[i].IsNull() {
		return 0, fmt.Errorf("%s must be a constant", what)
	}
	n := literals[i].Int()
	if n < least {
		return 0, fmt.Errorf("%s must be at least %d, got %d", what, least, n)
	}
	return int(n), nil
}
