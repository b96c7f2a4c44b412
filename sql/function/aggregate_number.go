package function

import (
	"math"

	"github.com/millrace/millrace/sql/types"
)

func newCount([]types.Type, []*types.Value) (Aggregator, error) {
	step := func(n int64) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			return types.NewBigint(state.Int() + n), nil
		}
	}
	return &undoFold{fold{
		state: types.Bigint, result: types.Bigint, init: types.NewBigint(0), add: step(1),
		merge: func(a, b types.Value) (types.Value, error) { return types.NewBigint(a.Int() + b.Int()), nil },
	}, step(-1)}, nil
}

// zero returns 0 of a numeric type.
func zero(t types.Type) types.Value {
	v, err := types.Cast(types.NewInteger(0), types.Integer, t)
	if err != nil {
		panic("function: no zero of " + t.String())
	}
	return v
}

// newSum adds in the type of the values. INTEGER and BIGINT wrap, DECIMAL
// overflow is an error.
func newSum(args []types.Type, _ []*types.Value) (Aggregator, error) {
	t := args[0]
	if t.Kind == types.KindNull {
		t = types.Integer
	}
	step := func(op types.Op) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			return types.Arithmetic(op, state, args[0], t)
		}
	}
	return &undoFold{fold{
		state: t, result: t, init: zero(t), add: step(types.Add),
		merge: func(a, b types.Value) (types.Value, error) { return types.Arithmetic(types.Add, a, b, t) },
	}, step(types.Sub)}, nil
}

func newSumList(args []types.Type, _ []*types.Value) (Aggregator, error) {
	t := types.Integer
	if args[0].Elem != nil {
		t = *args[0].Elem
	}
	step := func(op types.Op) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			for _, e := range args[0].Elems() {
				if e.IsNull() {
					continue
				}
				var err error
				if state, err = types.Arithmetic(op, state, e, t); err != nil {
					return types.NullValue, err
				}
			}
			return state, nil
		}
	}
	return &undoFold{fold{
		state: t, result: t, init: zero(t), add: step(types.Add),
		merge: func(a, b types.Value) (types.Value, error) { return types.Arithmetic(types.Add, a, b, t) },
	}, step(types.Sub)}, nil
}

func newAvg(args []types.Type, _ []*types.Value) (Aggregator, error) {
	t := args[0]
	if t.Kind == types.KindNull {
		t = types.Double
	}
	move := func(state types.Value, op types.Op, sum types.Value, count int64) (types.Value, error) {
		s := state.Elems()
		total, err := types.Arithmetic(op, s[0], sum, t)
		if err != nil {
			return types.NullValue, err
		}
		return types.NewStruct([]types.Value{total, types.NewBigint(s[1].Int() + count)}), nil
	}
	step := func(op types.Op, count int64) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() {
				return state, nil
			}
			return move(state, op, args[0], count)
		}
	}
	return &undoFold{fold{
		state:  types.Struct(types.Field{Name: "SUM", Type: t}, types.Field{Name: "COUNT", Type: types.Bigint}),
		result: types.Double, init: types.NewStruct([]types.Value{zero(t), types.NewBigint(0)}), add: step(types.Add, 1),
		merge: func(a, b types.Value) (types.Value, error) {
			return move(a, types.Add, b.Elems()[0], b.Elems()[1].Int())
		},
		finish: func(state types.Value) (types.Value, error) {
			s := state.Elems()
			if s[1].Int() == 0 {
				return types.NewDouble(0), nil
			}
			return types.NewDouble(number(s[0]) / float64(s[1].Int())), nil
		},
	}, step(types.Sub, -1)}, nil
}

// number returns an INTEGER, BIGINT or DOUBLE as a float.
func number(v types.Value) float64 {
	if v.Kind() == types.KindDouble {
		return v.Float()
	}
	return float64(v.Int())
}

// newExtreme keeps the greatest value for sign 1, the smallest for -1.
func newExtreme(sign int) func([]types.Type, []*types.Value) (Aggregator, error) {
	better := func(a, b types.Value) (types.Value, error) {
		if a.IsNull() || !b.IsNull() && types.Compare(b, a)*sign > 0 {
			return b, nil
		}
		return a, nil
	}
	return func(args []types.Type, _ []*types.Value) (Aggregator, error) {
		return &fold{state: args[0], result: args[0], init: types.NullValue, merge: better,
			add: func(state types.Value, args []types.Value) (types.Value, error) { return better(state, args[0]) }}, nil
	}
}

func structOf(fields ...float64) types.Value {
	list := make([]types.Value, len(fields))
	for i, f := range fields {
		list[i] = types.NewDouble(f)
	}
	return types.NewStruct(list)
}

func doubleFields(names ...string) types.Type {
	var fields []types.Field
	for _, n := range names {
		fields = append(fields, types.Field{Name: n, Type: types.Double})
	}
	return types.Struct(fields...)
}

// newDeviation updates the sum of squared deviations M2 by the method of Youngs
// and Cramer ("Some Results Relevant to Choice of Sum and Sum-of-Product
// Algorithms", 1971), which can be run backwards; states merge by Chan's formula.
func newDeviation(variance bool) func([]types.Type, []*types.Value) (Aggregator, error) {
	// shift is what x adds to M2 when it is one of n values that sum up to sum.
	shift := func(n, sum, x float64) float64 {
		if n < 2 {
			return 0
		}
		t := n*x - sum
		return t * t / (n * (n - 1))
	}
	parts := func(v types.Value) (sum, n, m2 float64) {
		s := v.Elems()
		return s[0].Float(), float64(s[1].Int()), s[2].Float()
	}
	pack := func(sum, n, m2 float64) (types.Value, error) {
		return types.NewStruct([]types.Value{types.NewDouble(sum), types.NewBigint(int64(n)), types.NewDouble(m2)}), nil
	}
	add := func(state types.Value, args []types.Value) (types.Value, error) {
		if args[0].IsNull() {
			return state, nil
		}
		sum, n, m2 := parts(state)
		x := number(args[0])
		return pack(sum+x, n+1, m2+shift(n+1, sum+x, x))
	}
	undo := func(state types.Value, args []types.Value) (types.Value, error) {
		if args[0].IsNull() {
			return state, nil
		}
		sum, n, m2 := parts(state)
		x := number(args[0])
		return pack(sum-x, n-1, m2-shift(n, sum, x))
	}
	merge := func(a, b types.Value) (types.Value, error) {
		sumA, nA, m2A := parts(a)
		sumB, nB, m2B := parts(b)
		m2 := m2A + m2B
		if nA > 0 && nB > 0 {
			t := nB*sumA - nA*sumB
			m2 += t * t / (nA * nB * (nA + nB))
		}
		return pack(sumA+sumB, nA+nB, m2)
	}
	finish := func(state types.Value) (types.Value, error) {
		_, n, m2 := parts(state)
		if n < 2 {
			return types.NewDouble(0), nil
		}
		if variance {
			return types.NewDouble(m2 / (n - 1)), nil
		}
		return types.NewDouble(math.Sqrt(m2 / (n - 1))), nil
	}
	return func([]types.Type, []*types.Value) (Aggregator, error) {
		return &undoFold{fold{
			state: types.Struct(types.Field{Name: "SUM", Type: types.Double}, types.Field{Name: "COUNT", Type: types.Bigint},
				types.Field{Name: "M2", Type: types.Double}),
			result: types.Double, init: types.NewStruct([]types.Value{types.NewDouble(0), types.NewBigint(0), types.NewDouble(0)}),
			add: add, merge: merge, finish: finish,
		}, undo}, nil
	}
}

func newCorrelation([]types.Type, []*types.Value) (Aggregator, error) {
	combine := func(a, b types.Value, sign float64) types.Value {
		x, y := a.Elems(), b.Elems()
		sums := make([]float64, len(x))
		for i := range x {
			sums[i] = x[i].Float() + sign*y[i].Float()
		}
		return structOf(sums...)
	}
	step := func(sign float64) func(types.Value, []types.Value) (types.Value, error) {
		return func(state types.Value, args []types.Value) (types.Value, error) {
			if args[0].IsNull() || args[1].IsNull() {
				return state, nil
			}
			x, y := number(args[0]), number(args[1])
			return combine(state, structOf(1, x, y, x*x, y*y, x*y), sign), nil
		}
	}
	return &undoFold{fold{
		state: doubleFields("COUNT", "SUM_X", "SUM_Y", "SUM_XX", "SUM_YY", "SUM_XY"), result: types.Double,
		init: structOf(0, 0, 0, 0, 0, 0), add: step(1),
		merge: func(a, b types.Value) (types.Value, error) { return combine(a, b, 1), nil },
		finish: func(state types.Value) (types.Value, error) {
			s := state.Elems()
			n, x, y := s[0].Float(), s[1].Float(), s[2].Float()
			if n < 2 {
				return types.NewDouble(math.NaN()), nil
			}
			varX, varY := n*s[3].Float()-x*x, n*s[4].Float()-y*y
			if varX <= 0 || varY <= 0 {
				return types.NewDouble(math.NaN()), nil
			}
			return types.NewDouble((n*s[5].Float() - x*y) / math.Sqrt(varX*varY)), nil
		},
	}, step(-1)}, nil
}
