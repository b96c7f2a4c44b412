package planner

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// item is one output column of a query: a name and an expression over the
// relation that the projection reads.
type item struct {
	name string
	expr *plan.Expr
	span sql.Span
	text string
}

// build plans the query up to its projection's input and returns the select
// list over it.
func (b *builder) build() []item {
	b.from()
	if b.scalable && !b.rel.table && len(b.rel.schema.Key) > 0 {
		b.push("keyed", &plan.Filter{Predicate: keyNotNull(b.rel.schema.Key)})
	}
	if b.q.Where != nil {
		r := b.resolver("WHERE clause")
		pred := r.predicate(b.q.Where)
		b.refuseWindowBounds(b.q.Where, "WHERE clause")
		b.needBefore()
		b.push("filter", &plan.Filter{Predicate: pred})
	}
	b.checkClauses()
	b.refuseKafkaValues()
	if len(b.q.GroupBy) > 0 || hasAggregates(b.q) {
		return b.aggregate()
	}
	if b.q.Window != nil {
		failHint(sql.CodeWindow, b.q.Window.Span, "add GROUP BY and an aggregate function", "WINDOW clause requires a GROUP BY clause")
	}
	if b.q.Having != nil {
		fail(sql.CodeAggregate, b.q.Having.Pos(), "HAVING clause requires a GROUP BY clause")
	}
	items := b.selectList()
	if len(b.q.PartitionBy) > 0 {
		items = b.partitionBy(items)
	}
	return b.flatten(items)
}

// keyNotNull is true for rows that have a key: not all of its columns are NULL.
func keyNotNull(key []types.Column) *plan.Expr {
	var all *plan.Expr
	for i, c := range key {
		null := boolean(plan.OpIsNull, column(i, c.Type))
		if all == nil {
			all = null
		} else {
			all = boolean(plan.OpAnd, all, null)
		}
	}
	return negate(true, all)
}

// checkClauses refuses clauses that do not go together.
func (b *builder) checkClauses() {
	if len(b.q.GroupBy) > 0 && len(b.q.PartitionBy) > 0 {
		fail(sql.CodeAggregate, b.q.PartitionBy[0].Pos(), "Only one of PARTITION BY and GROUP BY may be used in a query")
	}
	if b.q.Emit == sql.EmitFinal && b.q.Window == nil {
		failHint(sql.CodeWindow, b.q.EmitSpan, "write EMIT CHANGES, or add a WINDOW clause", "EMIT FINAL is only supported for windowed aggregations")
	}
	if b.rel.table && b.q.Window != nil {
		fail(sql.CodeWindow, b.q.Window.Span, "WINDOW clause is only supported for streams: %s is a table", b.leftmost.Name)
	}
}

// refuseWindowBounds refuses WINDOWSTART and WINDOWEND of the query's own window
// in a clause that comes before the window.
func (b *builder) refuseWindowBounds(e sql.Expr, clause string) {
	if b.q.Window == nil {
		return
	}
	eachExpr(e, func(x sql.Expr) {
		if ref, ok := x.(*sql.ColumnRef); ok && (ref.Name.Name == "WINDOWSTART" || ref.Name.Name == "WINDOWEND") {
			fail(sql.CodeWindow, ref.Span, "Window bounds column %s can only be used in the SELECT clause of windowed aggregations and can not be passed to aggregate functions. It is not allowed in the %s", ref.Name.Name, clause)
		}
	})
}

// needBefore asks the table source below for before rows.
func (b *builder) needBefore() {
	if src, ok := b.rel.op.(*plan.Source); ok && b.rel.table && src.Store == nil {
		src.Store = &plan.Store{Name: b.rel.id}
	}
}

// hasAggregates reports whether a query's select list calls an aggregate function.
func hasAggregates(q *sql.Query) bool {
	found := false
	for _, it := range q.Items {
		if it.Expr != nil {
			eachExpr(it.Expr, func(e sql.Expr) {
				if c, ok := e.(*sql.Call); ok {
					f, ok := function.Lookup(upper(c.Name.Name))
					found = found || ok && f.Class == function.Aggregate
				}
			})
		}
	}
	return found
}

// selectList resolves the select list over the current scope.
func (b *builder) selectList() []item {
	r := b.resolver("SELECT clause")
	r.tables = true
	var items []item
	for _, it := range b.q.Items {
		items = append(items, b.selectItem(r, it)...)
	}
	b.nameItems(items)
	return items
}

// refuseKafkaValues holds sources with value format KAFKA to what KSQL defines for
// them: no GROUP BY and no JOIN.
func (b *builder) refuseKafkaValues() {
	what := ""
	switch {
	case len(b.q.From.Joins) > 0:
		what = "JOIN"
	case len(b.q.GroupBy) > 0:
		what = "GROUP BY"
	default:
		return
	}
	var names []string
	for _, name := range b.sources {
		if b.Catalog.Source(name).Value.Name == "KAFKA" {
			names = append(names, name)
		}
	}
	if len(names) > 0 && !b.transient {
		failHint(sql.CodeFormat, b.q.From.Source.Span, "write the source to another format first: CREATE STREAM ... WITH (VALUE_FORMAT='JSON') AS SELECT ...",
			"Source(s) %s are using the 'KAFKA' value format. This format does not yet support %s.", strings.Join(names, ", "), what)
	}
}

// selectItem resolves one item; a star gives several. Items without a name of
// their own have an empty one.
func (b *builder) selectItem(r *resolver, it sql.SelectItem) []item {
	switch {
	case it.Star && it.Expr != nil:
		x := r.resolve(it.Expr)
		if x.Type.Kind != types.KindStruct {
			fail(sql.CodeType, it.Span, "only a STRUCT has fields: %s is %s", sql.PrintExpr(it.Expr), x.Type)
		}
		var items []item
		for i, f := range x.Type.Fields {
			items = append(items, item{name: f.Name, expr: fieldOf(x, i), span: it.Span})
		}
		return items
	case it.Star:
		return b.star(r.scope, it)
	}
	out := item{name: it.Alias.Name, expr: r.resolve(it.Expr), span: it.Span, text: sql.PrintExpr(it.Expr)}
	if out.name != "" {
		return []item{out}
	}
	switch e := unparen(it.Expr).(type) {
	case *sql.ColumnRef:
		out.name = e.Name.Name
		if e.Source.Name != "" && r.scope.clashes(e.Name.Name) {
			out.name = e.Source.Name + "_" + e.Name.Name
		}
	case *sql.FieldRef:
		out.name = b.uniqueName(e.Field.Name)
	}
	return []item{out}
}

func unparen(e sql.Expr) sql.Expr {
	for {
		p, ok := e.(*sql.Paren)
		if !ok {
			return e
		}
		e = p.X
	}
}

// star expands * or source.*. The bounds of a windowed source are among them,
// unless the result has the same windowed key.
func (b *builder) star(s *scope, it sql.SelectItem) []item {
	var items []item
	for _, col := range s.columns {
		if col.system && !(col.bounds && b.q.Window == nil && (b.transient || s.joined)) || it.Source.Name != "" && col.source != it.Source.Name {
			continue
		}
		name := col.name
		if s.joined && col.source != "" {
			name = col.source + "_" + col.name
		}
		items = append(items, item{name: name, expr: col.expr, span: it.Span})
	}
	if len(items) == 0 {
		failHint(sql.CodeUnknownSource, it.Source.Span, sql.DidYouMean(it.Source.Name, s.sources()), "'%s' is not a valid stream/table name or alias", it.Source.Name)
	}
	return items
}

// uniqueName returns name, or name_1, name_2... when it is taken.
func (b *builder) uniqueName(name string) string {
	out := name
	for i := 1; b.names[out]; i++ {
		out = fmt.Sprintf("%s_%d", name, i)
	}
	b.names[out] = true
	return out
}

// nameItems gives KSQL_COL_n to items without a name and refuses duplicates.
func (b *builder) nameItems(items []item) {
	n := 0
	seen := map[string]bool{}
	for _, it := range items {
		seen[it.name] = true
	}
	for i := range items {
		if items[i].name != "" {
			continue
		}
		for {
			items[i].name = fmt.Sprintf("KSQL_COL_%d", n)
			n++
			if !seen[items[i].name] && !b.names[items[i].name] {
				break
			}
		}
	}
	used := map[string]bool{}
	for _, it := range items {
		if used[it.name] {
			failHint(sql.CodeDuplicate, it.span, "give one of them another name with AS", "The projection contains a column with a duplicate name: %s", types.QuoteName(it.name))
		}
		used[it.name] = true
		if reserved(it.name) && !b.transient {
			failHint(sql.CodeReserved, it.span, "give it another name with AS", "'%s' is a reserved column name. You cannot use it as an alias for a column", it.name)
		}
	}
}

// flatten applies the table functions of the select list.
func (b *builder) flatten(items []item) []item {
	var calls []*plan.Expr
	width := b.rel.schema.Len()
	for i := range items {
		items[i].expr = rewrite(items[i].expr, func(e *plan.Expr) *plan.Expr {
			if !isTableFunction(e) {
				return nil
			}
			calls = append(calls, e)
			return column(width+len(calls)-1, e.Type)
		})
	}
	if len(calls) == 0 {
		return items
	}
	if b.rel.table {
		fail(sql.CodeTableFunction, b.q.Span, "Table source is not supported with table functions")
	}
	rel := b.push("flatten", &plan.Flatten{Calls: calls})
	rel.schema.Value = append([]types.Column(nil), rel.schema.Value...)
	for i, c := range calls {
		rel.schema.Value = append(rel.schema.Value, types.Column{Name: fmt.Sprintf("KSQL_FLATTEN_%d", i), Type: c.Type})
	}
	return items
}

func isTableFunction(e *plan.Expr) bool { return callClass(e) == function.Table && e.Op == plan.OpCall }

func isAggregate(e *plan.Expr) bool { return e.Op == plan.OpCall && callClass(e) == function.Aggregate }

func callClass(e *plan.Expr) function.Class {
	if e.Op != plan.OpCall {
		return function.Scalar
	}
	o, ok := function.ByID(e.Name)
	if !ok {
		return function.Scalar
	}
	return o.Function.Class
}

// partitionBy rekeys a stream and rewrites the select list onto the new key.
func (b *builder) partitionBy(items []item) []item {
	if b.rel.table {
		fail(sql.CodeKey, b.q.PartitionBy[0].Pos(), "PARTITION BY is not supported on tables: %s is a table", b.leftmost.Name)
	}
	r := b.resolver("PARTITION BY clause")
	var keys []*plan.Expr
	for _, e := range b.q.PartitionBy {
		x := r.resolve(e)
		for _, k := range keys {
			if equalExpr(k, x) {
				fail(sql.CodeDuplicate, e.Pos(), "Duplicate expression in PARTITION BY: %s", sql.PrintExpr(e))
			}
		}
		if x.Type.Contains(types.KindMap) {
			fail(sql.CodeKey, e.Pos(), "Map keys, including types that contain maps, are not supported: %s is %s", sql.PrintExpr(e), x.Type)
		}
		keys = append(keys, x)
	}
	if len(keys) == 1 && keys[0].Type.Kind == types.KindNull {
		keys = nil
	} else {
		for i, k := range keys {
			if k.Type.Kind == types.KindNull {
				fail(sql.CodeKey, b.q.PartitionBy[i].Pos(), "Cannot PARTITION BY multiple columns including NULL")
			}
		}
	}
	if b.keyedBy(keys) {
		return items
	}
	if b.rel.windowed != nil {
		fail(sql.CodeWindow, b.q.PartitionBy[0].Pos(), "Implicit repartitioning of windowed sources is not supported: %s has a windowed key", b.leftmost.Name)
	}
	return b.rekey(items, keys)
}

// keyedBy reports whether the relation's key is exactly the given expressions.
func (b *builder) keyedBy(keys []*plan.Expr) bool {
	if len(keys) != len(b.rel.schema.Key) || len(keys) == 0 {
		return false
	}
	for i, k := range keys {
		if !isColumn(k, i) && !b.equivalent(k, i) {
			return false
		}
	}
	return true
}

func (b *builder) equivalent(e *plan.Expr, key int) bool {
	if key >= len(b.keyEquiv) {
		return false
	}
	for _, c := range b.keyEquiv[key] {
		if isColumn(e, c) {
			return true
		}
	}
	return false
}

// rekey makes keys the key of the relation. The columns they are taken from
// leave the value; the old key columns go to its end. No repartition topic is
// needed: only the sink follows, and it partitions by the new key.
func (b *builder) rekey(items []item, keys []*plan.Expr) []item {
	old := b.rel.schema
	var value []*plan.Expr
	var schema types.Schema
	moved := map[int]int{} // old column -> new column
	for i, k := range keys {
		name := fmt.Sprintf("KSQL_COL_%d", i)
		if k.Op == plan.OpColumn && k.Column >= 0 {
			name = old.Column(k.Column).Name
			moved[k.Column] = i
		} else if k.Op == plan.OpField {
			name = k.Name
		} else if k.Op == plan.OpColumn {
			name = k.String() // a pseudo column
		}
		schema.Key = append(schema.Key, types.Column{Name: name, Type: k.Type})
	}
	add := func(c int) {
		if _, ok := moved[c]; ok {
			return
		}
		moved[c] = len(keys) + len(value)
		value = append(value, column(c, old.Column(c).Type))
		schema.Value = append(schema.Value, old.Column(c))
	}
	for i := range old.Value {
		add(len(old.Key) + i)
	}
	if len(b.keyEquiv) == 0 || b.syntheticKey {
		for i := range old.Key {
			add(i)
		}
	}
	op := &plan.Rekey{Key: keys}
	carry := func(e *plan.Expr) *plan.Expr { // pseudo columns of the row as it was read
		for i, v := range value {
			if equalExpr(v, e) {
				return column(len(keys)+i, e.Type)
			}
		}
		value = append(value, e)
		schema.Value = append(schema.Value, types.Column{Name: fmt.Sprintf("KSQL_SYSTEM_%d", -e.Column), Type: e.Type})
		return column(len(keys)+len(value)-1, e.Type)
	}
	star := b.starOrder(items, keys, schema.Key)
	for i := range star {
		star[i].expr = rewrite(star[i].expr, func(e *plan.Expr) *plan.Expr {
			for k, key := range keys {
				if equalExpr(e, key) {
					return column(k, e.Type)
				}
			}
			if e.Op != plan.OpColumn || e.Column == plan.ColRowTime {
				return nil
			}
			if e.Column < 0 {
				return carry(e)
			}
			return column(moved[e.Column], e.Type)
		})
	}
	op.Value = value
	rel := b.push("partition-by", op)
	rel.schema = schema
	b.keyEquiv, b.syntheticKey = nil, false
	return star
}

// starOrder puts the items of a lone * in the order of the rekeyed row: the new
// key with its generated columns, the value, and the old key at its end. Other
// select lists stay as written.
func (b *builder) starOrder(items []item, keys []*plan.Expr, key []types.Column) []item {
	if len(b.q.Items) != 1 || !b.q.Items[0].Star || b.q.Items[0].Expr != nil {
		return items
	}
	var out, oldKey []item
	for i, k := range keys {
		if k.Op != plan.OpColumn || k.Column < 0 {
			out = append(out, item{name: key[i].Name, expr: k, span: b.q.Items[0].Span})
		}
	}
	for _, it := range items {
		if it.expr.Op == plan.OpColumn && it.expr.Column >= 0 && it.expr.Column < len(b.rel.schema.Key) {
			oldKey = append(oldKey, it)
			continue
		}
		out = append(out, it)
	}
	return append(out, oldKey...)
}
