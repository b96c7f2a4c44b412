package planner

import (
	"math"
	"strconv"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// pull plans a SELECT without EMIT.
func (p *planner) pull(s *sql.Select) Planned {
	q := s.Query
	p.checkPull(q)
	src := p.source(q.From.Source.Name)
	alias := q.From.Source.Alias.Name
	if alias == "" {
		alias = src.Name
	}
	b := p.newBuilder(q, "", true)
	b.scope = sourceScope(alias, src.Schema, src.Windowed != nil)
	out := &plan.Pull{Input: src.Schema, Windowed: src.Windowed, Limit: int64(q.Limit), Bounds: allWindows()}
	if q.Where != nil {
		r := b.resolver("WHERE clause")
		out.Filter = r.predicate(q.Where)
		p.refusePullColumns("WHERE", q.Where)
	}
	for _, it := range b.pullItems() {
		out.Columns = append(out.Columns, it.expr)
		out.Names = append(out.Names, types.Column{Name: it.name, Type: it.expr.Type})
		out.KeyColumns = append(out.KeyColumns, src.Kind == catalog.Table && isKeyColumn(it.expr, src))
	}
	if src.Kind == catalog.Stream {
		if p.property("ksql.query.pull.stream.enabled", "true") == "false" {
			failHint(sql.CodePull, q.From.Source.Span, "add EMIT CHANGES for a push query, or SET 'ksql.query.pull.stream.enabled'='true'", "Pull queries on streams are disabled")
		}
		out.Stream = &plan.Source{Name: src.Name, Topic: src.Topic, Key: src.Key, Value: src.Value, Timestamp: src.Timestamp,
			Headers: src.Headers, Needed: allNeeded(src.Schema.Len())}
		return &PullQuery{Pull: out}
	}
	p.pullTable(src, out, q)
	return &PullQuery{Pull: out}
}

// isKeyColumn reports whether an expression is a column of a table's key, to which
// the bounds of its window belong.
func isKeyColumn(e *plan.Expr, src *catalog.Source) bool {
	return e.Op == plan.OpColumn &&
		(e.Column >= 0 && e.Column < len(src.Schema.Key) || e.Column == plan.ColWindowStart || e.Column == plan.ColWindowEnd)
}

func allNeeded(n int) []bool {
	needed := make([]bool, n)
	for i := range needed {
		needed[i] = true
	}
	return needed
}

func allWindows() plan.WindowBounds {
	return plan.WindowBounds{StartMin: math.MinInt64, StartMax: math.MaxInt64, EndMin: math.MinInt64, EndMax: math.MaxInt64}
}

// checkPull refuses the clauses that a pull query cannot have.
func (p *planner) checkPull(q *sql.Query) {
	refuse := func(given bool, span sql.Span, clause string) {
		if given {
			failHint(sql.CodePull, span, "add EMIT CHANGES for a push query", "Pull queries don't support %s clauses", clause)
		}
	}
	if len(q.From.Joins) > 0 {
		refuse(true, q.From.Joins[0].Span, "JOIN")
	}
	if q.Window != nil {
		refuse(true, q.Window.Span, "WINDOW")
	}
	if len(q.GroupBy) > 0 {
		refuse(true, q.GroupBy[0].Pos(), "GROUP BY")
	}
	if len(q.PartitionBy) > 0 {
		refuse(true, q.PartitionBy[0].Pos(), "PARTITION BY")
	}
	if q.Having != nil {
		refuse(true, q.Having.Pos(), "HAVING")
	}
	if q.Limit >= 0 && p.property("ksql.query.pull.limit.clause.enabled", "true") == "false" {
		failHint(sql.CodePull, q.LimitSpan, "add EMIT CHANGES for a push query", "LIMIT clause in pull queries is currently disabled. You can enable them by setting ksql.query.pull.limit.clause.enabled=true")
	}
	for _, it := range q.Items {
		if it.Expr != nil {
			p.refusePullColumns("SELECT", it.Expr)
		}
	}
}

func (p *planner) refusePullColumns(clause string, e sql.Expr) {
	eachExpr(e, func(x sql.Expr) {
		if ref, ok := x.(*sql.ColumnRef); ok && (ref.Name.Name == "ROWPARTITION" || ref.Name.Name == "ROWOFFSET") {
			failHint(sql.CodePull, ref.Span, "add EMIT CHANGES for a push query", "Pull queries don't support the following columns in %s clauses: %s", clause, types.QuoteName(ref.Name.Name))
		}
	})
}

// pullItems resolves the select list.
func (b *builder) pullItems() []item {
	r := b.resolver("SELECT clause of a pull query")
	var items []item
	for _, it := range b.q.Items {
		items = append(items, b.selectItem(r, it)...)
	}
	b.nameItems(items)
	return items
}

// pullTable finds the state that holds a table and moves the query's expressions
// onto its rows.
func (p *planner) pullTable(src *catalog.Source, out *plan.Pull, q *sql.Query) {
	query := p.Catalog.Query(src.QueryID)
	if src.Store == "" || query == nil {
		failHint(sql.CodePull, q.From.Source.Span, "CREATE TABLE name AS SELECT * FROM "+src.Name+" materialises it, or add EMIT CHANGES",
			"The %s isn't queryable: it is not a materialized table", types.QuoteName(src.Name))
	}
	p.checkAccess(src, q, out.Filter)
	out.QueryID, out.Store = src.QueryID, src.Store
	if out.Filter != nil {
		out.Keys = p.lookupKeys(out.Filter, len(src.Schema.Key))
		p.narrowBounds(out.Filter, &out.Bounds)
	}
	agg, columns := materialisation(query.Plan)
	if agg == nil {
		return
	}
	if agg.Op.(*plan.Aggregate).EmitFinal {
		failHint(sql.CodePull, q.From.Source.Span, "write EMIT CHANGES in the table's query, or read it with a push query",
			"The %s isn't queryable: its query is EMIT FINAL, whose state holds results that are not final", types.QuoteName(src.Name))
	}
	out.Input = agg.Schema
	for n, key := range out.Keys {
		stored := make([]types.Value, len(key))
		for i, v := range key {
			stored[columns.values[i].Column] = v
		}
		out.Keys[n] = stored
	}
	if out.Filter != nil {
		out.Filter = substitute(out.Filter, columns.values)
	}
	if columns.having != nil {
		if out.Filter == nil {
			out.Filter = columns.having
		} else {
			out.Filter = boolean(plan.OpAnd, columns.having, out.Filter)
		}
	}
	for i, e := range out.Columns {
		out.Columns[i] = substitute(e, columns.values)
	}
}

// aggregateView says how the rows of a table are made from those of its last
// aggregation.
type aggregateView struct {
	values []*plan.Expr // per column of the table, over the aggregation's output
	having *plan.Expr   // nil when all rows are in the table
}

// materialisation returns the aggregation that a query's sink shows through
// nothing but HAVING and a projection, or nil.
func materialisation(q *plan.Query) (*plan.Node, aggregateView) {
	nodes := q.SubPlans[len(q.SubPlans)-1].Nodes
	at := len(nodes) - 1
	step := func() *plan.Node {
		if len(nodes[at].Inputs) != 1 {
			return &nodes[at]
		}
		at = nodes[at].Inputs[0]
		return &nodes[at]
	}
	project, ok := step().Op.(*plan.Project)
	if !ok {
		return nil, aggregateView{}
	}
	var view aggregateView
	n := step()
	if f, ok := n.Op.(*plan.Filter); ok {
		view.having = f.Predicate
		n = step()
	}
	if _, ok := n.Op.(*plan.Aggregate); !ok {
		return nil, aggregateView{}
	}
	for _, k := range project.Key {
		view.values = append(view.values, column(k, n.Schema.Column(k).Type))
	}
	view.values = append(view.values, project.Value...)
	return n, view
}

// lookupKeys returns the keys that a predicate restricts a row to, nil when it
// does not: equalities, IN lists and ORs of them over all key columns.
func (p *planner) lookupKeys(pred *plan.Expr, nKeys int) [][]types.Value {
	switch pred.Op {
	case plan.OpOr:
		l, r := p.lookupKeys(pred.Args[0], nKeys), p.lookupKeys(pred.Args[1], nKeys)
		if l == nil || r == nil {
			return nil
		}
		return append(l, r...)
	case plan.OpAnd, plan.OpEq, plan.OpIn:
		return p.conjunctKeys(pred, nKeys)
	}
	return nil
}

// conjunctKeys collects the values of each key column from a conjunction.
func (p *planner) conjunctKeys(pred *plan.Expr, nKeys int) [][]types.Value {
	values := make([][]types.Value, nKeys)
	var nested [][]types.Value
	var visit func(e *plan.Expr)
	visit = func(e *plan.Expr) {
		switch e.Op {
		case plan.OpAnd:
			visit(e.Args[0])
			visit(e.Args[1])
		case plan.OpOr:
			if nested == nil {
				nested = p.lookupKeys(e, nKeys)
			}
		case plan.OpEq, plan.OpIn:
			col, list := e.Args[0], e.Args[1:]
			if e.Op == plan.OpEq && col.Op != plan.OpColumn {
				col, list = e.Args[1], e.Args[:1]
			}
			if col.Op != plan.OpColumn || col.Column < 0 || col.Column >= nKeys || values[col.Column] != nil {
				return
			}
			for _, e := range list {
				v, ok := p.constant(e)
				if !ok {
					values[col.Column] = nil
					return
				}
				values[col.Column] = append(values[col.Column], v)
			}
		}
	}
	visit(pred)
	keys := [][]types.Value{{}}
	for _, list := range values {
		if list == nil {
			return nested
		}
		var next [][]types.Value
		for _, k := range keys {
			for _, v := range list {
				next = append(next, append(append([]types.Value(nil), k...), v))
			}
		}
		keys = next
	}
	return keys
}

// narrowBounds takes window limits from the conjuncts of a predicate.
func (p *planner) narrowBounds(pred *plan.Expr, bounds *plan.WindowBounds) {
	if pred.Op == plan.OpAnd {
		p.narrowBounds(pred.Args[0], bounds)
		p.narrowBounds(pred.Args[1], bounds)
		return
	}
	if len(pred.Args) != 2 {
		return
	}
	col, lit, op := pred.Args[0], pred.Args[1], pred.Op
	if col.Op != plan.OpColumn {
		col, lit, op = lit, col, mirrored[op]
	}
	if col.Op != plan.OpColumn || lit.Type.Kind != types.KindBigint {
		return
	}
	value, ok := p.constant(lit)
	if !ok {
		return
	}
	v := value.Int()
	switch col.Column {
	case plan.ColWindowStart:
		narrow(&bounds.StartMin, &bounds.StartMax, op, v)
	case plan.ColWindowEnd:
		narrow(&bounds.EndMin, &bounds.EndMax, op, v)
	}
}

var mirrored = map[plan.Op]plan.Op{plan.OpEq: plan.OpEq, plan.OpLt: plan.OpGt, plan.OpLe: plan.OpGe, plan.OpGt: plan.OpLt, plan.OpGe: plan.OpLe}

func narrow(low, high *int64, op plan.Op, v int64) {
	switch op {
	case plan.OpEq:
		*low, *high = max(*low, v), min(*high, v)
	case plan.OpGe:
		*low = max(*low, v)
	case plan.OpGt:
		*low = max(*low, satAdd(v, 1))
	case plan.OpLe:
		*high = min(*high, v)
	case plan.OpLt:
		*high = min(*high, v-1)
	}
}

// materialiseSource adds the internal query that keeps a SOURCE TABLE for pull
// queries.
func (p *planner) materialiseSource(out *CreateSource) {
	src := out.Source
	id := "CST_" + src.Name + "_" + strconv.FormatInt(p.NextID, 10)
	partitions := int32(1)
	if n, ok := p.Topic(src.Topic); ok {
		partitions = n
	} else if out.Topic != nil {
		partitions = out.Topic.Partitions
	}
	b := p.newBuilder(&sql.Query{Limit: -1}, id, false)
	op := &plan.Source{Name: src.Name, Topic: src.Topic, Key: src.Key, Value: src.Value, Timestamp: src.Timestamp,
		Headers: src.Headers, Needed: allNeeded(src.Schema.Len()), Store: &plan.Store{Name: "source-" + src.Name}}
	b.rel = &relation{id: b.nodeID("source-" + src.Name), op: op, schema: src.Schema, table: true, windowed: src.Windowed, partitions: partitions}
	out.Query = &plan.Query{Version: plan.Version, ID: id, Text: src.Text, ResultIsTable: true, Windowed: src.Windowed,
		Result: src.Schema, Sources: []string{src.Name}, SubPlans: split(b.rel)}
	src.QueryID, src.Store = id, op.Store.Name
}
