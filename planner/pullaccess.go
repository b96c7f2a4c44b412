package planner

import (
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// maxDisjuncts bounds the disjunctive normal form of a WHERE clause whose pull
// query may not scan its table.
const maxDisjuncts = 4096

// pullAccess checks that a pull query reads its table by key, where
// ksql.query.pull.table.scan.enabled is false: every disjunct of the WHERE clause
// must compare all key columns with =, or with IN, or a single STRING key with one
// bound of a range. The messages are KSQL's.
type pullAccess struct {
	*planner
	src   *catalog.Source
	where sql.Expr
	// ranges says that a range of keys may be read.
	ranges bool
}

// checkAccess refuses a WHERE clause that needs a scan when scans are disabled.
func (p *planner) checkAccess(src *catalog.Source, q *sql.Query, filter *plan.Expr) {
	if p.property("ksql.query.pull.table.scan.enabled", "true") != "false" {
		return
	}
	a := &pullAccess{planner: p, src: src, where: q.Where, ranges: p.property("ksql.query.pull.range.scan.enabled", "true") != "false"}
	if filter == nil {
		failHint(sql.CodePull, q.Span, scanHint, "Missing WHERE clause: the query must be limited to keys of %s", types.QuoteName(src.Name))
	}
	disjuncts := a.disjuncts(filter)
	for _, d := range disjuncts {
		ranged := a.checkDisjunct(d)
		single := len(disjuncts) == 1 && len(src.Schema.Key) == 1 && src.Windowed == nil
		if ranged && !(single && src.Schema.Key[0].Type.Kind == types.KindString) {
			a.refuse("Query requires table scan to be enabled")
		}
	}
}

const scanHint = "SET 'ksql.query.pull.table.scan.enabled'='true' lets the query scan the table"

func (a *pullAccess) refuse(format string, args ...any) {
	failHint(sql.CodePull, a.where.Pos(), scanHint, format, args...)
}

// disjuncts returns the disjunctive normal form of a predicate: a list of
// conjunctions.
func (a *pullAccess) disjuncts(e *plan.Expr) [][]*plan.Expr {
	switch e.Op {
	case plan.OpOr:
		return append(a.disjuncts(e.Args[0]), a.disjuncts(e.Args[1])...)
	case plan.OpAnd:
		var out [][]*plan.Expr
		left, right := a.disjuncts(e.Args[0]), a.disjuncts(e.Args[1])
		if len(left)*len(right) > maxDisjuncts {
			fail(sql.CodeLimit, a.where.Pos(), "the WHERE clause has more than %d alternatives", maxDisjuncts)
		}
		for _, l := range left {
			for _, r := range right {
				out = append(out, append(append([]*plan.Expr(nil), l...), r...))
			}
		}
		return out
	}
	return [][]*plan.Expr{{e}}
}

// checkDisjunct checks that a conjunction names every key column once and reports
// whether it reads a range.
func (a *pullAccess) checkDisjunct(conjuncts []*plan.Expr) (ranged bool) {
	seen := make([]bool, len(a.src.Schema.Key))
	n := 0
	for _, c := range conjuncts {
		key, isRange := a.keyOf(c)
		if key < 0 {
			continue
		}
		if seen[key] {
			a.refuse("A comparison condition on the key column cannot be combined with other comparisons such as an IN predicate")
		}
		seen[key] = true
		n++
		ranged = ranged || isRange
	}
	switch {
	case n == 0:
		a.refuse("WHERE clause missing key column for disjunct: (%s)", sql.PrintExpr(a.where))
	case n < len(seen):
		var given []string
		for i, k := range a.src.Schema.Key {
			if seen[i] {
				given = append(given, types.QuoteName(k.Name))
			}
		}
		a.refuse("Multi-column sources must specify every key in the WHERE clause. Specified: %s Expected: [%s]", given, a.keyNames())
	}
	return ranged
}

func (a *pullAccess) keyNames() string {
	var names []string
	for _, k := range a.src.Schema.Key {
		names = append(names, types.QuoteName(k.Name)+" "+k.Type.String()+" KEY")
	}
	return strings.Join(names, ", ")
}

// keyOf returns the key column that a condition restricts, -1 for none, and
// whether to a range.
func (a *pullAccess) keyOf(e *plan.Expr) (key int, isRange bool) {
	switch e.Op {
	case plan.OpEq, plan.OpNe, plan.OpLt, plan.OpLe, plan.OpGt, plan.OpGe, plan.OpIn:
	default:
		return -1, false
	}
	a.checkOperands(e.Args)
	col := e.Args[0]
	if col.Op != plan.OpColumn && e.Op != plan.OpIn {
		col = e.Args[1]
	}
	if col.Op != plan.OpColumn {
		a.refuse("A comparison must directly reference a key column")
	}
	if col.Column < 0 || col.Column >= len(a.src.Schema.Key) {
		return -1, false
	}
	switch e.Op {
	case plan.OpEq, plan.OpIn:
		return col.Column, false
	case plan.OpNe:
	default:
		if a.ranges {
			return col.Column, true
		}
	}
	a.refuse("Bound on key columns '[%s]' must currently be '='", a.keyNames())
	return -1, false
}

// checkOperands refuses a comparison of a key column, cast or not, with what
// depends on the row.
func (a *pullAccess) checkOperands(operands []*plan.Expr) {
	for i, o := range operands {
		for o.Op == plan.OpCast {
			o = o.Args[0]
		}
		if o.Op != plan.OpColumn || o.Column < 0 || o.Column >= len(a.src.Schema.Key) {
			continue
		}
		for j, other := range operands {
			if i != j && readsColumns(other) {
				a.refuse("A comparison must be between a key column and a resolvable expression")
			}
		}
	}
}

// readsColumns reports whether an expression depends on the row.
func readsColumns(e *plan.Expr) bool {
	found := false
	e.Walk(func(x *plan.Expr) bool {
		found = found || x.Op == plan.OpColumn
		return !found
	})
	return found
}

// constant returns the value of an expression that does not depend on the row;
// ok is false for others, and for NULL.
func (p *planner) constant(e *plan.Expr) (v types.Value, ok bool) {
	switch {
	case e.Op == plan.OpLiteral:
		return *e.Value, !e.Value.IsNull()
	case p.Evaluate == nil || readsColumns(e):
		return v, false
	}
	v, err := p.Evaluate(e)
	return v, err == nil && !v.IsNull()
}
