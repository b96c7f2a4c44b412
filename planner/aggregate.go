package planner

import (
	"fmt"
	"math"
	"time"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// defaultGraceMs is what size and grace of a window come to when GRACE PERIOD is
// not given: 24 hours.
const defaultGraceMs = 24 * 60 * 60 * 1000

// aggregate plans GROUP BY, WINDOW, HAVING and the aggregate functions.
func (b *builder) aggregate() []item {
	keys := b.groupKeys()
	a := &aggregation{builder: b, keys: keys}
	items := a.items()
	var having *plan.Expr
	if b.q.Having != nil {
		r := b.resolver("HAVING clause")
		r.aggregates = true
		having = r.predicate(b.q.Having)
	}
	if len(a.calls(items, having)) == 0 {
		failHint(sql.CodeAggregate, b.q.GroupBy[0].Pos(), "add an aggregate such as COUNT(*)", "GROUP BY requires aggregate functions in either the SELECT or HAVING clause")
	}
	if b.rel.table {
		b.needBefore()
		a.checkUndo()
	}
	groupKey := b.groupSchema(keys)
	if b.keyedBy(keys) {
		b.rel.schema.Key = groupKey
	} else {
		a.rekey(groupKey)
	}
	a.operator()
	for i := range items {
		items[i].expr = a.onto(items[i].expr, items[i])
	}
	if having != nil {
		b.push("having", &plan.Filter{Predicate: a.onto(having, item{span: b.q.Having.Pos(), text: sql.PrintExpr(b.q.Having)})})
	}
	b.keyEquiv, b.syntheticKey = nil, false
	return items
}

// groupKeys resolves the grouping expressions. A transient query without GROUP
// BY aggregates into one group.
func (b *builder) groupKeys() []*plan.Expr {
	if len(b.q.GroupBy) == 0 {
		if !b.transient {
			failHint(sql.CodeAggregate, b.q.Items[0].Span, "add a GROUP BY clause", "Use of aggregate function requires a GROUP BY clause")
		}
		zero := types.NewInteger(0)
		return []*plan.Expr{{Op: plan.OpLiteral, Type: types.Integer, Value: &zero}}
	}
	r := b.resolver("GROUP BY clause")
	var keys []*plan.Expr
	for _, e := range b.q.GroupBy {
		b.refuseWindowBounds(e, "GROUP BY clause")
		x := r.resolve(e)
		for _, k := range keys {
			if equalExpr(k, x) {
				fail(sql.CodeDuplicate, e.Pos(), "Duplicate expression in GROUP BY: %s", sql.PrintExpr(e))
			}
		}
		if x.Type.Contains(types.KindMap) {
			fail(sql.CodeKey, e.Pos(), "Map keys, including types that contain maps, are not supported: %s is %s", sql.PrintExpr(e), x.Type)
		}
		if x.Type.Kind == types.KindNull {
			fail(sql.CodeKey, e.Pos(), "GROUP BY NULL puts every row in no group")
		}
		keys = append(keys, x)
	}
	return keys
}

// groupSchema names the key columns of the result.
func (b *builder) groupSchema(keys []*plan.Expr) []types.Column {
	cols := make([]types.Column, len(keys))
	for i, k := range keys {
		cols[i] = types.Column{Name: fmt.Sprintf("KSQL_COL_%d", i), Type: k.Type}
		switch {
		case k.Op == plan.OpColumn && k.Column >= 0:
			cols[i].Name = b.rel.schema.Column(k.Column).Name
		case k.Op == plan.OpField:
			cols[i].Name = k.Name
		}
	}
	return cols
}

// aggregation is the state of planning one aggregation: which calls there are
// and where their arguments stand.
type aggregation struct {
	*builder
	keys []*plan.Expr
	// distinct are the distinct aggregate calls in order of appearance, over the
	// columns that the select list was resolved against; list is the same calls
	// over the columns that the operator reads.
	distinct, list []*plan.Expr
}

// items resolves the select list with aggregates allowed.
func (a *aggregation) items() []item {
	r := a.resolver("SELECT clause")
	r.aggregates, r.tables = true, true
	var items []item
	for _, it := range a.q.Items {
		items = append(items, a.selectItem(r, it)...)
	}
	a.nameItems(items)
	for _, it := range items {
		it.expr.Walk(func(e *plan.Expr) bool {
			if isTableFunction(e) {
				fail(sql.CodeTableFunction, it.span, "Table functions cannot be used with aggregations")
			}
			return true
		})
	}
	return items
}

// calls collects the distinct aggregate calls of the select list and HAVING.
func (a *aggregation) calls(items []item, having *plan.Expr) []*plan.Expr {
	collect := func(e *plan.Expr) bool {
		if isAggregate(e) {
			a.index(e)
			return false
		}
		return true
	}
	for _, it := range items {
		it.expr.Walk(collect)
	}
	having.Walk(collect)
	a.list = a.distinct
	return a.list
}

// index returns the position of a call among the distinct ones, adding it.
func (a *aggregation) index(call *plan.Expr) int {
	for i, c := range a.distinct {
		if equalExpr(c, call) {
			return i
		}
	}
	for _, arg := range call.Args {
		arg.Walk(func(e *plan.Expr) bool {
			if a.q.Window != nil && e.Op == plan.OpColumn && (e.Column == plan.ColWindowStart || e.Column == plan.ColWindowEnd) {
				fail(sql.CodeWindow, a.q.Span, "Window bounds columns can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate functions")
			}
			return true
		})
	}
	a.distinct = append(a.distinct, call)
	return len(a.distinct) - 1
}

// checkUndo refuses aggregates that cannot take a row of a table back.
func (a *aggregation) checkUndo() {
	for _, c := range a.list {
		o, _ := function.ByID(c.Name)
		args, literals := make([]types.Type, len(c.Args)), make([]*types.Value, len(c.Args))
		for i, arg := range c.Args {
			args[i] = arg.Type
			if arg.Op == plan.OpLiteral {
				literals[i] = arg.Value
			}
		}
		if !o.TableSafe(args, literals) {
			failHint(sql.CodeAggregate, a.q.Span, "aggregate a stream instead", "The aggregation function(s) (%s) cannot be applied to a table source, only to a stream source", o.Function.Name)
		}
	}
}

// rekey makes the grouping expressions the key; the value holds the arguments of
// the calls, so that a repartition record carries no more.
func (a *aggregation) rekey(groupKey []types.Column) {
	if a.rel.windowed != nil {
		fail(sql.CodeWindow, a.q.Span, "Implicit repartitioning of windowed sources is not supported: %s has a windowed key", a.leftmost.Name)
	}
	op := &plan.Rekey{Key: a.keys, DropNull: true}
	schema := types.Schema{Key: groupKey}
	place := func(arg *plan.Expr) *plan.Expr {
		if arg.Op == plan.OpLiteral || isColumn(arg, plan.ColRowTime) || arg.Op == plan.OpLambda {
			return arg
		}
		for i, v := range op.Value {
			if equalExpr(v, arg) {
				return column(len(a.keys)+i, arg.Type)
			}
		}
		op.Value = append(op.Value, arg)
		schema.Value = append(schema.Value, types.Column{Name: fmt.Sprintf("KSQL_AGG_ARG_%d", len(op.Value)-1), Type: arg.Type})
		return column(len(a.keys)+len(op.Value)-1, arg.Type)
	}
	a.list = make([]*plan.Expr, len(a.distinct))
	for i, c := range a.distinct {
		moved := *c
		moved.Args = make([]*plan.Expr, len(c.Args))
		for j, arg := range c.Args {
			moved.Args[j] = place(arg)
		}
		a.list[i] = &moved
	}
	rel := a.push("group-by", op)
	rel.schema = schema
	a.repartition("group-by", rel.partitions, "")
}

// operator adds the Aggregate node.
func (a *aggregation) operator() {
	op := &plan.Aggregate{TableInput: a.rel.table}
	schema := types.Schema{Key: a.rel.schema.Key}
	for i, c := range a.list {
		op.Calls = append(op.Calls, plan.AggregateCall{Function: c.Name, Args: c.Args, Type: c.Type})
		schema.Value = append(schema.Value, types.Column{Name: fmt.Sprintf("KSQL_AGG_VARIABLE_%d", i), Type: c.Type})
	}
	if a.q.Window != nil {
		op.Window = a.window()
		op.EmitFinal = a.q.Emit == sql.EmitFinal
		op.ExpireFirst = a.property("millrace.emit.final.expire.first", "false") == "true"
	}
	rel := a.push("aggregate", op)
	op.Store = a.store(rel.id, rel.partitions)
	rel.schema, rel.table = schema, true
	if w := op.Window; w != nil {
		rel.windowed = &plan.WindowInfo{Kind: w.Kind}
		if w.Kind != plan.Session {
			rel.windowed.SizeMs = w.SizeMs
		}
	}
}

// window reads the WINDOW clause.
func (a *aggregation) window() *plan.Window {
	w := a.q.Window
	out := &plan.Window{SizeMs: w.Size.Milliseconds(), AdvanceMs: w.Advance.Milliseconds()}
	out.Kind = [...]plan.WindowKind{sql.Tumbling: plan.Tumbling, sql.Hopping: plan.Hopping, sql.Session: plan.Session}[w.Kind]
	if out.SizeMs <= 0 {
		fail(sql.CodeWindow, w.Span, "Window size must be positive, but was %s", w.Size)
	}
	if w.Kind == sql.Hopping && (out.AdvanceMs <= 0 || out.AdvanceMs > out.SizeMs) {
		fail(sql.CodeWindow, w.Span, "Window advance should be more than zero and less than or equal to the window size: %s of %s", w.Advance, w.Size)
	}
	if a.q.Emit != sql.EmitFinal {
		out.GraceMs = max(defaultGraceMs-out.SizeMs, 0) // EMIT FINAL waits for no late rows unless told to
	}
	if w.Grace != nil {
		out.GraceMs = ms(w.Grace)
	}
	out.RetentionMs = satAdd(out.SizeMs, out.GraceMs)
	if w.Retention != nil {
		if out.RetentionMs > ms(w.Retention) {
			failHint(sql.CodeWindow, w.Retention.Span, "give a smaller GRACE PERIOD or a longer RETENTION",
				"The retention period of the window store must be no smaller than its window size plus the grace period: %d ms < %d ms + %d ms", ms(w.Retention), out.SizeMs, out.GraceMs)
		}
		out.RetentionMs = ms(w.Retention)
	}
	return out
}

func ms(d *sql.Duration) int64 { return int64(d.Value / time.Millisecond) }

func satAdd(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

// onto rewrites an expression over the aggregation's input as one over its
// output: grouping expressions become key columns, calls value columns.
func (a *aggregation) onto(e *plan.Expr, it item) *plan.Expr {
	return rewrite(e, func(x *plan.Expr) *plan.Expr {
		for i, k := range a.keys {
			if equalExpr(x, k) {
				return column(i, x.Type)
			}
		}
		if isAggregate(x) {
			return column(len(a.keys)+a.index(x), x.Type)
		}
		if x.Op != plan.OpColumn {
			return nil
		}
		if a.q.Window != nil && (x.Column == plan.ColWindowStart || x.Column == plan.ColWindowEnd) {
			return x
		}
		text := it.text
		if text == "" {
			text = it.name
		}
		failHint(sql.CodeAggregate, it.span, "add it to GROUP BY, or aggregate it: LATEST_BY_OFFSET("+text+")",
			"Non-aggregate SELECT expression(s) not part of GROUP BY: %s", text)
		return nil
	})
}
