package executor

import (
	"math/rand/v2"

	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Evaluate returns the value of an expression without columns, as INSERT VALUES
// has them. nowMs is the wall time that it sees.
func Evaluate(e *plan.Expr, nowMs int64) (types.Value, error) {
	return expr.Evaluate(e, nowMs, rand.Uint64)
}
