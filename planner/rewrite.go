package planner

import (
	"slices"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// equalExpr reports whether two resolved expressions are the same.
func equalExpr(a, b *plan.Expr) bool {
	if a.Op != b.Op || a.Column != b.Column || a.Name != b.Name || a.Depth != b.Depth || len(a.Args) != len(b.Args) || !a.Type.Equal(b.Type) {
		return false
	}
	if (a.Value == nil) != (b.Value == nil) || a.Value != nil && !types.Equal(*a.Value, *b.Value) {
		return false
	}
	return slices.EqualFunc(a.Args, b.Args, equalExpr)
}

// rewrite returns e with the subtrees that f replaces, outermost first. f
// returns nil to leave a node and go on below it.
func rewrite(e *plan.Expr, f func(*plan.Expr) *plan.Expr) *plan.Expr {
	if r := f(e); r != nil {
		return r
	}
	if len(e.Args) == 0 {
		return e
	}
	out := *e
	out.Args = make([]*plan.Expr, len(e.Args))
	for i, a := range e.Args {
		out.Args[i] = rewrite(a, f)
	}
	return &out
}

// shift returns e with every column of the numbering moved by f.
func shift(e *plan.Expr, f func(int) int) *plan.Expr {
	return rewrite(e, func(x *plan.Expr) *plan.Expr {
		if x.Op != plan.OpColumn || x.Column < 0 {
			return nil
		}
		return column(f(x.Column), x.Type)
	})
}

// substitute returns e, which is over a projection's output, as an expression
// over the projection's input: columns gives the expression of every output
// column.
func substitute(e *plan.Expr, columns []*plan.Expr) *plan.Expr {
	return rewrite(e, func(x *plan.Expr) *plan.Expr {
		if x.Op != plan.OpColumn || x.Column < 0 {
			return nil
		}
		return columns[x.Column]
	})
}

// isColumn reports whether e is exactly the column i.
func isColumn(e *plan.Expr, i int) bool { return e.Op == plan.OpColumn && e.Column == i }
