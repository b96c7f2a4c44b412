package expr

import (
	"fmt"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// lookupOverload finds a function's body by the ID in a plan. Tests replace it.
var lookupOverload = function.ByID

// compareValues compares two values of one kind that are not NULL.
func compareValues(a, b types.Value) (int, error) {
	if a.Kind() != b.Kind() {
		return 0, fmt.Errorf("cannot compare %s with %s", a.Kind(), b.Kind())
	}
	if a.Kind() == types.KindMap {
		return 0, fmt.Errorf("%s values have no order", a.Kind())
	}
	return types.Compare(a, b), nil
}

// decimalOps are the operations on decimals in the words of sql/types.
var decimalOps = map[plan.Op]types.Op{
	plan.OpAdd: types.Add, plan.OpSub: types.Sub, plan.OpMul: types.Mul, plan.OpDiv: types.Div, plan.OpMod: types.Mod,
}

func arithDecimal(op plan.Op, l, x types.Value, t types.Type) (types.Value, error) {
	if op == plan.OpNeg {
		return types.Negate(l)
	}
	d, err := types.DecimalArithmetic(decimalOps[op], l.Decimal(), x.Decimal(), t)
	if err != nil {
		return types.NullValue, err
	}
	return types.NewDecimal(d), nil
}
