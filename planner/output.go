package planner

import (
	"fmt"
	"maps"
	"math"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// project ends a persistent query's tree with the projection: key columns keep
// their place in the key, everything else is value.
func (b *builder) project(items []item) {
	key := b.rel.schema.Key
	keyOf := make([]int, len(items)) // the key column that an item stands for, or -1
	for i := range keyOf {
		keyOf[i] = -1
	}
	for k := range key {
		i := b.keyItem(items, k)
		if i < 0 {
			b.missingKey(k)
		}
		keyOf[i] = k
	}
	schema := types.Schema{Key: make([]types.Column, len(key))}
	op := &plan.Project{}
	for k := range key {
		op.Key = append(op.Key, k)
	}
	for i, it := range items {
		if k := keyOf[i]; k >= 0 {
			schema.Key[k] = types.Column{Name: it.name, Type: key[k].Type}
			continue
		}
		for j, k := range keyOf {
			if k >= 0 && isColumn(it.expr, k) {
				failHint(sql.CodeKey, it.span, "AS_VALUE(column) copies a key column into the value",
					"The projection contains a key column (%s) more than once: %s and %s", types.QuoteName(key[k].Name), types.QuoteName(items[j].name), types.QuoteName(it.name))
			}
		}
	}
	for i, it := range items {
		if keyOf[i] >= 0 {
			continue
		}
		if it.expr.Type.Kind == types.KindNull {
			failHint(sql.CodeType, it.span, "CAST(NULL AS type) has a type", "the type of column %s is not known: it is NULL", types.QuoteName(it.name))
		}
		op.Value = append(op.Value, it.expr)
		schema.Value = append(schema.Value, types.Column{Name: it.name, Type: it.expr.Type})
	}
	if len(op.Value) == 0 {
		failHint(sql.CodeKey, b.q.Items[0].Span, "AS_VALUE(column) copies a key column into the value", "The projection contains no value columns")
	}
	rel := b.push("project", op)
	rel.schema = schema
	b.keyEquiv = nil
}

// keyItem returns the item that stands for key column k, or -1.
func (b *builder) keyItem(items []item, k int) int {
	candidates := []int{k}
	if k < len(b.keyEquiv) {
		candidates = append(candidates, b.keyEquiv[k]...)
	}
	for _, c := range candidates {
		for i, it := range items {
			if isColumn(it.expr, c) {
				return i
			}
		}
	}
	return -1
}

// missingKey fails with the column that the projection lacks.
func (b *builder) missingKey(k int) {
	name := types.QuoteName(b.rel.schema.Key[k].Name)
	if k < len(b.keyEquiv) && len(b.keyEquiv[k]) > 0 {
		var names []string
		for _, c := range b.keyEquiv[k] {
			for _, bind := range b.scope.columns {
				if isColumn(bind.expr, c) {
					names = append(names, bind.source+"."+types.QuoteName(bind.name))
				}
			}
		}
		name = strings.Join(names, " or ")
	}
	failHint(sql.CodeKey, b.q.Items[0].Span, "add it to the select list", "Key missing from projection (ie, SELECT). The query used to build the result must include the key column %s in its projection", name)
}

// createAs plans CREATE STREAM and CREATE TABLE ... AS SELECT.
func (p *planner) createAs(s *sql.CreateAs) Planned {
	name := s.Name.Name
	old := p.Catalog.Source(name)
	if old != nil && s.IfNotExists {
		return &Nothing{Msg: "Cannot add " + s.Kind.String() + " " + types.QuoteName(name) + ": A " + old.Kind.Word() + " with the same name already exists."}
	}
	if old != nil && !s.OrReplace {
		failHint(sql.CodeExists, s.Name.Span, "CREATE OR REPLACE changes it, DROP removes it", "Cannot add %s '%s': A %s with the same name already exists", s.Kind, name, old.Kind.Word())
	}
	if s.Query.Limit >= 0 {
		fail(sql.CodePersistent, s.Query.LimitSpan, "%s statements don't support LIMIT clause", "CREATE "+upper(s.Kind.String())+" AS SELECT")
	}
	prefix := map[sql.SourceKind]string{sql.Stream: "CSAS", sql.Table: "CTAS"}[s.Kind]
	id := fmt.Sprintf("%s_%s_%d", prefix, name, p.NextID)
	if old != nil && old.QueryID != "" {
		id = old.QueryID
	}
	b := p.newBuilder(s.Query, id, false)
	items := b.build()
	b.checkResultKind(s.Kind, s.Span)
	b.checkPersistent()
	b.project(items)
	src, topics := b.sink(name, s)
	src.Text = p.text(s.Span)
	q := b.finish(p.text(s.Span), src.Name)
	src.QueryID = id
	src.Store = b.materialise(q)
	out := &CreateQuery{Source: src, Query: q, Topics: append(topics, b.topics...)}
	if old != nil {
		out.Replaces = p.checkUpgrade(old, src, q, s.Name.Span)
	}
	return out
}

// checkPersistent refuses what a persistent query cannot read.
func (b *builder) checkPersistent() {
	for i, ref := range b.sourceRefs() {
		src := b.Catalog.Source(b.sources[i])
		if src.Kind == catalog.Table && src.Windowed != nil && !b.transient {
			fail(sql.CodeWindow, ref.Span, "KSQL does not support persistent queries on windowed tables: %s", src.Name)
		}
	}
}

func (b *builder) checkResultKind(kind sql.SourceKind, span sql.Span) {
	if kind == sql.Stream && b.rel.table {
		failHint(sql.CodeKind, span, "Please use CREATE TABLE AS SELECT statement instead", "Invalid result type. Your SELECT query produces a TABLE")
	}
	if kind == sql.Table && !b.rel.table {
		failHint(sql.CodeKind, span, "Please use CREATE STREAM AS SELECT statement instead", "Invalid result type. Your SELECT query produces a STREAM")
	}
}

// sink adds the Sink node and describes the stream or table that it writes.
func (b *builder) sink(name string, s *sql.CreateAs) (*catalog.Source, []TopicSpec) {
	w := b.readWith(s.With, onCreateAs)
	schema := b.rel.schema
	src := &catalog.Source{Name: name, Kind: kindOf(s.Kind), Schema: schema, Windowed: b.rel.windowed}
	keyName, valueName := w.formatNames()
	src.Key = b.sinkKeyFormat(keyName, w, s.Name.Span)
	if valueName == "" {
		valueName = b.leftmost.Value.Name
	}
	src.Value = b.valueFormat(valueName, schema.Value, w.wrap(), w.formatSpan("VALUE_FORMAT", s.Name.Span))
	src.Value.Delimiter = w.delimiter("VALUE_DELIMITER", formatInfo(src.Value.Name))
	if src.Value.Delimiter == "" && src.Value.Name == b.leftmost.Value.Name {
		src.Value.Delimiter = b.leftmost.Value.Delimiter
	}
	w.schemas(src)
	b.inheritNullable(&src.Key, b.leftmost.Key)
	b.inheritNullable(&src.Value, b.leftmost.Value)
	src.Timestamp = b.timestampColumn(w, schema)
	src.Topic = w.str("KAFKA_TOPIC", b.property("ksql.output.topic.name.prefix", "")+s.Name.Name)
	if src.Topic == "" {
		fail(sql.CodeInvalidProperty, w.valueSpan("KAFKA_TOPIC"), "Invalid topic name: it is empty")
	}
	refuseInternal(src.Topic, s.Name.Span)
	b.checkSchema(src, keySide, true, w.schemaSpan("KEY", s.Name.Span))
	b.checkSchema(src, valueSide, true, w.schemaSpan("VALUE", s.Name.Span))
	topics := b.sinkTopic(src, w)
	b.push("sink", &plan.Sink{Name: name, Topic: src.Topic, Key: src.Key, Value: src.Value, Timestamp: src.Timestamp})
	return src, topics
}

// inheritNullable gives a result the nullable representation of its source where
// the formats are the same and nothing is said.
func (b *builder) inheritNullable(f *plan.Format, from plan.Format) {
	if f.Name == from.Name && f.NullableRepresentation == "" && f.SchemaID == 0 {
		f.NullableRepresentation = from.NullableRepresentation
	}
}

// sinkKeyFormat returns the key format of a result: the one given, else the
// leftmost source's.
func (b *builder) sinkKeyFormat(name string, w with, span sql.Span) plan.Format {
	key := b.rel.schema.Key
	given := name != ""
	if given && len(key) == 0 && !strings.EqualFold(name, "NONE") && w.has("KEY_FORMAT") {
		failHint(sql.CodeFormat, w.span("KEY_FORMAT"), "leave KEY_FORMAT out, or write 'NONE'", "Key format specified for stream without key columns.")
	}
	if given && len(key) == 0 {
		name = "NONE"
	}
	if !given {
		name = b.leftmost.Key.Name
		if name == "NONE" && len(key) > 0 {
			name = b.property("ksql.persistence.default.format.key", "KAFKA")
		}
		if len(key) == 0 {
			name = "NONE"
		}
	}
	if !given && name == "KAFKA" && len(key) > 0 && (len(key) > 1 || !kafkaType(key[0].Type)) {
		failHint(sql.CodeFormat, span, "add KEY_FORMAT='JSON' to the WITH clause",
			"Key format %s does not support the schema of the result. Got: %s. Supply the key format explicitly with KEY_FORMAT", name, columnList(key))
	}
	f := b.keyFormat(name, key, w.formatSpan("KEY_FORMAT", span))
	f.Delimiter = w.delimiter("KEY_DELIMITER", formatInfo(f.Name))
	if f.Delimiter == "" && f.Name == b.leftmost.Key.Name {
		f.Delimiter = b.leftmost.Key.Delimiter
	}
	return f
}

func kafkaType(t types.Type) bool {
	for _, k := range formatKinds["KAFKA"] {
		if t.Kind == k {
			return true
		}
	}
	return false
}

// sinkTopic checks a sink's topic and says what is to be created.
func (b *builder) sinkTopic(src *catalog.Source, w with) []TopicSpec {
	leftPartitions, _ := b.Topic(b.leftmost.Topic)
	want := int32(w.integer("PARTITIONS", int64(leftPartitions), 1, MaxPartitions))
	replicas := w.integer("REPLICAS", -1, -1, math.MaxInt16)
	retention := w.integer("RETENTION_MS", 0, -1, math.MaxInt64)
	if w.has("RETENTION_MS") && src.Kind == catalog.Table && src.Windowed == nil {
		fail(sql.CodeInvalidProperty, w.span("RETENTION_MS"), "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.")
	}
	if have, ok := b.Topic(src.Topic); ok {
		if w.has("PARTITIONS") && have != want {
			fail(sql.CodeInvalidProperty, w.valueSpan("PARTITIONS"), "A Kafka topic with the name '%s' already exists, with different partition/replica configuration than required. topic has %d partitions, not %d", src.Topic, have, want)
		}
		return nil
	}
	spec := TopicSpec{Name: src.Topic, Partitions: want, Replicas: int16(replicas), Configs: map[string]string{"cleanup.policy": cleanupPolicy(src.Kind, src.Windowed)}}
	if w.has("RETENTION_MS") {
		spec.Configs["retention.ms"] = strconv.FormatInt(retention, 10)
	}
	return []TopicSpec{spec}
}

// materialise returns the store that answers pull queries on the result, or "".
// Only the last aggregation's store, or a store that the sink keeps, will do.
func (b *builder) materialise(q *plan.Query) string {
	if !q.ResultIsTable {
		return ""
	}
	if agg, _ := materialisation(q); agg != nil {
		return agg.Op.(*plan.Aggregate).Store.Name
	}
	last := &q.SubPlans[len(q.SubPlans)-1]
	sink := &last.Nodes[len(last.Nodes)-1]
	op := sink.Op.(*plan.Sink)
	store := b.store("sink", b.rel.partitions)
	op.Store = &store
	return store.Name
}

// checkUpgrade holds CREATE OR REPLACE ... AS to what a running query can become
// without losing state, and returns the query that is replaced.
func (p *planner) checkUpgrade(old, src *catalog.Source, q *plan.Query, span sql.Span) string {
	switch {
	case old.QueryID == "":
		fail(sql.CodeUpgrade, span, "Cannot replace %s: it is not the result of a query", old.Name)
	case old.Kind != src.Kind:
		fail(sql.CodeUpgrade, span, "Cannot replace %s %s by a %s", old.Kind.Word(), old.Name, src.Kind.Word())
	case old.Topic != src.Topic || old.Key != src.Key || old.Value != src.Value:
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: its topic or formats changed", old.Name)
	case !equalCols(old.Schema.Key, src.Schema.Key):
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: key columns must be identical: %s != %s", old.Name, columnList(old.Schema.Key), columnList(src.Schema.Key))
	case len(src.Schema.Value) < len(old.Schema.Value) || !equalCols(old.Schema.Value, src.Schema.Value[:len(old.Schema.Value)]):
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: columns may only be appended: %s -> %s", old.Name, columnList(old.Schema.Value), columnList(src.Schema.Value))
	}
	before := p.Catalog.Query(old.QueryID)
	if before == nil {
		return ""
	}
	if statefulShape(before.Plan) != statefulShape(q) {
		failHint(sql.CodeUpgrade, span, "DROP it and create it again, or create it under another name",
			"Cannot upgrade %s: only filters and projections may change while its state is kept", old.Name)
	}
	return old.QueryID
}

// statefulShape renders the operators that hold state or move records, which an
// upgrade must leave as they are.
func statefulShape(q *plan.Query) string {
	var b strings.Builder
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			switch op := n.Op.(type) {
			case *plan.Filter, *plan.Project:
			case *plan.Source:
				fmt.Fprintf(&b, "source %s %s %v\n", op.Name, op.Topic, op.Store)
			default:
				fmt.Fprintf(&b, "%s %s\n", n.ID, describeOperator(op))
			}
		}
	}
	return b.String()
}

// insertSelect plans INSERT INTO ... SELECT.
func (p *planner) insertSelect(s *sql.InsertSelect) Planned {
	target := p.source(s.Target)
	w := p.readWith(s.With, onInsert)
	switch {
	case target.Kind != catalog.Stream:
		fail(sql.CodeInsert, s.Target.Span, "INSERT INTO can only be used to insert into a stream. %s is a table", target.Name)
	case target.ReadOnly:
		fail(sql.CodeReadOnly, s.Target.Span, "Cannot insert into read-only stream: %s", target.Name)
	case target.HasHeaders():
		fail(sql.CodeInsert, s.Target.Span, "Cannot insert into %s because it has header columns", target.Name)
	}
	refuseInternal(target.Topic, s.Target.Span)
	if s.Query.Limit >= 0 {
		fail(sql.CodePersistent, s.Query.LimitSpan, "INSERT INTO ... SELECT statements don't support LIMIT clause")
	}
	id := p.insertID(w)
	b := p.newBuilder(s.Query, id, false)
	items := b.build()
	if b.rel.table {
		fail(sql.CodeInsert, s.Query.Span, "INSERT INTO can only be used to insert into a stream, and this query produces a TABLE")
	}
	b.checkPersistent()
	b.project(items)
	b.fitTarget(target, s.Query.Span)
	b.push("sink", &plan.Sink{Name: target.Name, Topic: target.Topic, Key: target.Key, Value: target.Value, Timestamp: target.Timestamp})
	q := b.finish(p.text(s.Span), target.Name)
	return &CreateQuery{Query: q, Topics: b.topics}
}

func (p *planner) insertID(w with) string {
	if !w.has("QUERY_ID") {
		return fmt.Sprintf("INSERTQUERY_%d", p.NextID)
	}
	id := upper(w.str("QUERY_ID", ""))
	for _, prefix := range []string{"INSERTQUERY_", "CTAS_", "CSAS_", "CST_"} {
		if strings.HasPrefix(id, prefix) {
			fail(sql.CodeReserved, w.valueSpan("QUERY_ID"), "Query IDs must not start with a reserved query ID prefix (%s)", prefix)
		}
	}
	for _, c := range id {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			fail(sql.CodeInvalidProperty, w.valueSpan("QUERY_ID"), "Query IDs may contain only alphanumeric characters and '_'. Got: '%s'", id)
		}
	}
	if p.Catalog.Query(id) != nil {
		fail(sql.CodeExists, w.valueSpan("QUERY_ID"), "Query ID '%s' already exists", id)
	}
	return id
}

// fitTarget casts the result to the target's columns, by position.
func (b *builder) fitTarget(target *catalog.Source, span sql.Span) {
	got, want := b.rel.schema, target.Schema
	mismatch := func() {
		fail(sql.CodeInsert, span, "Incompatible schema between results and sink. Result schema is %s, but the sink schema is %s", got.String("KEY"), want.String("KEY"))
	}
	if len(got.Key) != len(want.Key) || len(got.Value) != len(want.Value) {
		mismatch()
	}
	op := b.rel.op.(*plan.Project)
	for i, c := range want.Key {
		if got.Key[i].Name != c.Name || !got.Key[i].Type.Equal(c.Type) {
			mismatch()
		}
	}
	for i, c := range want.Value {
		if got.Value[i].Name != c.Name || !types.CanImplicitlyCast(got.Value[i].Type, c.Type) {
			mismatch()
		}
		op.Value[i] = castTo(op.Value[i], c.Type)
	}
	b.rel.schema = want
}

// selectQuery plans a SELECT statement: a push query when it has EMIT, else a
// pull query.
func (p *planner) selectQuery(s *sql.Select) Planned {
	if s.Query.Emit == sql.EmitNone {
		return p.pull(s)
	}
	prefix, scalable := "transient", p.isScalable(s.Query)
	if scalable {
		prefix = "SCALABLE_PUSH_QUERY"
	}
	b := p.newBuilder(s.Query, fmt.Sprintf("%s_%s_%d", prefix, s.Query.From.Source.Name.Name, p.NextID), true)
	b.scalable = scalable
	items := b.build()
	op := &plan.Project{}
	schema := types.Schema{Key: b.rel.schema.Key}
	for i := range schema.Key {
		op.Key = append(op.Key, i)
	}
	result := &plan.Result{Limit: int64(s.Query.Limit)}
	for i, it := range items {
		if it.expr.Type.Kind == types.KindNull {
			it.expr = castTo(it.expr, types.String)
		}
		op.Value = append(op.Value, it.expr)
		schema.Value = append(schema.Value, types.Column{Name: it.name, Type: it.expr.Type})
		result.Columns = append(result.Columns, len(schema.Key)+i)
		if c := it.expr.Column; it.expr.Op == plan.OpColumn && (c >= 0 && c < len(schema.Key) || c == plan.ColWindowStart || c == plan.ColWindowEnd) {
			if result.KeyOf == nil {
				result.KeyOf = map[int]int{}
			}
			result.KeyOf[i] = c
		}
	}
	rel := b.push("project", op)
	rel.schema = schema
	b.push("result", result)
	return &PushQuery{Query: b.finish(p.text(s.Span), "")}
}

// isScalable reports whether a push query is a scalable one: with
// ksql.query.push.v2.enabled, those that only filter and project what comes from
// now on out of one persistent query. KSQL names them SCALABLE_PUSH_QUERY and
// leaves out a stream's rows without a key. They run as all others do, which share
// the log's memory tail and have no consumer or topics of their own.
func (p *planner) isScalable(q *sql.Query) bool {
	stateless := !hasAggregates(q) && len(q.From.Joins) == 0 && q.Window == nil && len(q.GroupBy) == 0 && len(q.PartitionBy) == 0 && q.Having == nil
	if p.property("ksql.query.push.v2.enabled", "false") != "true" || p.property("auto.offset.reset", "latest") != "latest" ||
		!stateless || len(p.Catalog.WrittenBy(q.From.Source.Name.Name)) != 1 {
		return false
	}
	for _, e := range append([]sql.SelectItem{{Expr: q.Where}}, q.Items...) {
		if e.Expr != nil && mentionsOffsets(e.Expr) {
			return false
		}
	}
	return true
}

// mentionsOffsets reports whether an expression names where in its topic a row
// stood.
func mentionsOffsets(e sql.Expr) bool {
	found := false
	eachExpr(e, func(x sql.Expr) {
		ref, ok := x.(*sql.ColumnRef)
		found = found || ok && (ref.Name.Name == "ROWPARTITION" || ref.Name.Name == "ROWOFFSET")
	})
	return found
}

// finish splits the tree into sub-plans.
func (b *builder) finish(text, sink string) *plan.Query {
	q := &plan.Query{
		Version: plan.Version, ID: b.id, Text: text, Transient: b.transient, ResultIsTable: b.rel.table,
		Windowed: b.rel.windowed, Result: b.rel.schema, Sources: b.sources, SinkName: sink, Properties: maps.Clone(b.Properties),
	}
	pruneColumns(b.rel)
	q.SubPlans = split(b.rel)
	return q
}
