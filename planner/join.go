package planner

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// defaultJoinGrace is how long a stream-stream join without GRACE keeps rows
// beyond its time bound.
const defaultJoinGrace = 24 * time.Hour

// side is one input of a join.
type side struct {
	rel   *relation
	scope *scope
	// raw says that rel is a source whose columns do not carry their alias yet.
	raw          bool
	alias        string
	keyEquiv     [][]int
	syntheticKey bool
	// equal are expressions over rel that equal its key, beside the columns of
	// keyEquiv: ON a.id = ABS(b.id) keys by both.
	equal []*plan.Expr
	// keyTopic and keyFormat are the topic whose keys decide the partition of the
	// side's rows, and their format; empty when only repartition topics do.
	keyTopic  string
	keyFormat plan.Format
}

// joins plans the joins of FROM, left-deep in written order.
func (b *builder) joins(src *catalog.Source, alias string) {
	left := b.rawSide(src, alias)
	for _, j := range b.q.From.Joins {
		rightSrc, rightAlias := b.open(j.Source)
		for _, s := range left.scope.sources() {
			if s == rightAlias {
				failHint(sql.CodeDuplicate, j.Source.Span, "give it an alias of its own", "Each source must have a unique alias: %s is used twice", rightAlias)
			}
		}
		left = b.join(left, b.rawSide(rightSrc, rightAlias), j)
	}
	b.rel, b.scope, b.keyEquiv, b.syntheticKey = left.rel, left.scope, left.keyEquiv, left.syntheticKey
}

func (b *builder) rawSide(src *catalog.Source, alias string) *side {
	rel := b.sourceRelation(src)
	return &side{rel: rel, scope: sourceScope(alias, src.Schema, src.Windowed != nil), raw: true, alias: alias, keyTopic: src.Topic, keyFormat: src.Key}
}

// join plans one join.
func (b *builder) join(left, right *side, j sql.Join) *side {
	le, re := b.joinCondition(left, right, j)
	b.checkJoinKind(left, right, j)
	lx := (&resolver{planner: b.planner, scope: left.scope, clause: "JOIN ON clause"}).resolve(le)
	rx := (&resolver{planner: b.planner, scope: right.scope, clause: "JOIN ON clause"}).resolve(re)
	if !lx.Type.Equal(rx.Type) {
		failHint(sql.CodeJoin, j.On.Pos(), "CAST one of them", "Invalid join condition: types don't match: %s{%s} = %s{%s}", sql.PrintExpr(le), lx.Type, sql.PrintExpr(re), rx.Type)
	}
	b.checkWindows(left, right, j)
	if right.rel.table && !isColumn(rx, 0) {
		failHint(sql.CodeJoin, re.Pos(), "join on its PRIMARY KEY", "Invalid join condition: a table must be joined on its PRIMARY KEY: %s is not the key of %s", sql.PrintExpr(re), right.alias)
	}
	if right.rel.table && len(right.rel.schema.Key) > 1 {
		fail(sql.CodeJoin, re.Pos(), "Invalid join condition: joins on tables with several key columns are not supported: %s", right.alias)
	}
	if left.rel.table && !left.keyed(lx) {
		return b.foreignKeyJoin(left, right, j, lx)
	}
	m := b.meeting(left, right, lx, rx, j)
	l := b.keySide(left, lx, m, m.left)
	r := b.keySide(right, rx, m, m.right)
	out := b.joinRelation(l, r, j)
	out.keyTopic, out.keyFormat = m.topic, m.format
	if j.Kind != sql.FullJoin {
		out.equal = equalExprs(left, right, l, r, lx, rx)
	}
	out.keyEquiv, out.syntheticKey = joinKeys(l, r, j.Kind, lx, rx, left, left.keyed(lx))
	if out.syntheticKey {
		b.nameSyntheticKey(out)
	}
	return out
}

// joinCondition returns the expressions of an ON clause, the left side's first.
func (b *builder) joinCondition(left, right *side, j sql.Join) (l, r sql.Expr) {
	on, ok := unparen(j.On).(*sql.Binary)
	if !ok || on.Op != sql.OpEq {
		failHint(sql.CodeJoin, j.On.Pos(), "write ON a.column = b.column", "Invalid join condition: only a single equality is supported, got %s", sql.PrintExpr(j.On))
	}
	inLeft, inRight := sourcesOf(on.L, left, right), sourcesOf(on.R, left, right)
	switch {
	case inLeft == 1 && inRight == 2:
		return on.L, on.R
	case inLeft == 2 && inRight == 1:
		return on.R, on.L
	}
	failHint(sql.CodeJoin, j.On.Pos(), "each side of = must use the columns of one source", "Invalid join condition: each side of the equality must reference exactly one source, and one side %s: %s", right.alias, sql.PrintExpr(j.On))
	return nil, nil
}

// sourcesOf tells which sides an expression's columns come from: 1 left, 2 right,
// 3 both, 0 none.
func sourcesOf(e sql.Expr, left, right *side) int {
	sides := 0
	eachExpr(e, func(x sql.Expr) {
		ref, ok := x.(*sql.ColumnRef)
		if !ok {
			return
		}
		inLeft, inRight := left.scope.has(ref), right.scope.has(ref)
		switch {
		case inLeft && inRight:
			fail(sql.CodeAmbiguousColumn, ref.Span, "column '%s' is ambiguous: write %s.%s or name the other source", ref.Name.Name, right.alias, ref.Name.Name)
		case inLeft:
			sides |= 1
		case inRight:
			sides |= 2
		default:
			both := &scope{columns: append(append([]binding(nil), left.scope.columns...), right.scope.columns...)}
			both.find(ref) // fails with what is in scope
		}
	})
	return sides
}

// has reports whether a reference can be resolved here.
func (s *scope) has(ref *sql.ColumnRef) bool {
	for _, b := range s.columns {
		if b.name == ref.Name.Name && (ref.Source.Name == "" && !b.system || ref.Source.Name == b.source) {
			return true
		}
	}
	return false
}

// checkJoinKind refuses combinations that have no meaning (sql.md section 6.4).
func (b *builder) checkJoinKind(left, right *side, j sql.Join) {
	streams := !left.rel.table && !right.rel.table
	if streams && j.Within == nil {
		failHint(sql.CodeJoin, j.Span, "add WITHIN 1 HOUR before ON", "%s JOIN of two streams must have a WITHIN clause", upper(string(joinKind(j.Kind))))
	}
	if !streams && j.Within != nil {
		fail(sql.CodeJoin, j.Within.Span, "A window definition was provided for a join that is not between two streams. These joins are not windowed")
	}
	if left.rel.table && !right.rel.table {
		failHint(sql.CodeJoin, j.Span, "put the stream first", "Invalid join order: table-stream joins are not supported, only stream-table joins")
	}
	if !left.rel.table && right.rel.table && (j.Kind == sql.RightJoin || j.Kind == sql.FullJoin) {
		fail(sql.CodeJoin, j.Span, "Unsupported join between a stream and a table: %s. Use INNER or LEFT", upper(string(joinKind(j.Kind))))
	}
}

func (b *builder) checkWindows(left, right *side, j sql.Join) {
	l, r := left.rel.windowed, right.rel.windowed
	if (l == nil) != (r == nil) {
		fail(sql.CodeJoin, j.On.Pos(), "Can not join windowed source to non-windowed source")
	}
	if l != nil && (l.Kind == plan.Session) != (r.Kind == plan.Session) {
		fail(sql.CodeJoin, j.On.Pos(), "Incompatible windowed sources: %s and %s", l.Kind, r.Kind)
	}
	if l != nil && l.SizeMs != r.SizeMs {
		fail(sql.CodeJoin, j.On.Pos(), "Implicit repartitioning of windowed sources is not supported: windows of %d ms and %d ms have no common key", l.SizeMs, r.SizeMs)
	}
}

// keyed reports whether the side's rows are already keyed by an expression.
func (s *side) keyed(e *plan.Expr) bool {
	if s.raw {
		return len(s.rel.schema.Key) == 1 && isColumn(e, 0)
	}
	if isColumn(e, 0) && s.syntheticKey || slices.ContainsFunc(s.equal, func(x *plan.Expr) bool { return equalExpr(x, e) }) {
		return true
	}
	for _, equiv := range s.keyEquiv {
		for _, c := range equiv {
			if isColumn(e, c) {
				return true
			}
		}
	}
	return false
}

// keying is what a side of a join needs for its rows to meet the other side's.
type keying uint8

const (
	stays  keying = iota // keyed by the condition, in the right partitions
	rehash               // keyed by the condition, in other partitions than the other side
	rekey                // keyed by something else
)

// meeting says how the rows of both sides come into the same partitions.
type meeting struct {
	partitions  int32
	left, right keying
	// topic and format are those that a repartitioned side must hash its keys as.
	topic  string
	format plan.Format
}

// meeting decides which sides are repartitioned: those whose rows are not keyed
// by the condition, and those whose keys may have other bytes than the other
// side's, since equal keys would be in different partitions. The bytes of formats
// with registered schemas begin with the schema's id, which every topic has its
// own of.
func (b *builder) meeting(left, right *side, lx, rx *plan.Expr, j sql.Join) meeting {
	var m meeting
	if !left.keyed(lx) {
		m.left = rekey
	}
	if !right.keyed(rx) {
		m.right = rekey
	}
	if !b.transient && m.left == stays && m.right == stays {
		m.left, m.right = b.apart(left, right)
	}
	switch {
	case m.left == stays && m.right == stays:
		if left.rel.partitions != right.rel.partitions && !b.transient {
			failHint(sql.CodeJoin, j.Span, "repartition one of them: CREATE STREAM ... WITH (PARTITIONS=n) AS SELECT ... PARTITION BY",
				"Can't join %s with %s since the number of partitions don't match. %s partitions = %d; %s partitions = %d. Please repartition either one so that the number of partitions match",
				types.QuoteName(left.scope.sources()[0]), types.QuoteName(right.alias), left.scope.sources()[0], left.rel.partitions, right.alias, right.rel.partitions)
		}
		m.partitions, m.topic, m.format = left.rel.partitions, left.keyTopic, left.keyFormat
		if m.topic == "" {
			m.topic, m.format = right.keyTopic, right.keyFormat
		}
	case m.left == stays && !left.hasSchemas():
		m.partitions, m.topic, m.format = left.rel.partitions, left.keyTopic, left.keyFormat
	case m.right == stays && !right.hasSchemas():
		m.partitions, m.topic, m.format = right.rel.partitions, right.keyTopic, right.keyFormat
	default:
		m.left, m.right = max(m.left, rehash), max(m.right, rehash)
		m.partitions = max(left.rel.partitions, right.rel.partitions)
	}
	return m
}

// hasSchemas reports whether the side's keys stand behind schema ids.
func (s *side) hasSchemas() bool {
	return s.keyTopic != "" && formatInfo(s.keyFormat.Name).Infers
}

// apart says which of two sides that are keyed by the condition must move, since
// equal keys are not in the same partitions.
func (b *builder) apart(left, right *side) (l, r keying) {
	switch {
	case left.rel.partitions == 1 && right.rel.partitions == 1:
		return stays, stays
	case left.hasSchemas() && right.hasSchemas():
		return rehash, rehash
	case left.hasSchemas():
		return rehash, stays
	case right.hasSchemas():
		return stays, rehash
	case left.keyTopic != "" && right.keyTopic != "" && left.keyFormat.Name != right.keyFormat.Name:
		if !left.rel.table && right.rel.table {
			return rehash, stays
		}
		return stays, rehash
	case left.keyTopic == "" && left.rel.table:
		return stays, rehash // what a foreign-key join gathered stays where it is
	case left.keyTopic == "":
		return rehash, stays // hashed in a form of our own by the join before
	}
	return stays, stays
}

// keySide keys a side by e, unless it is keyed so, and gives its columns their
// alias.
func (b *builder) keySide(s *side, e *plan.Expr, m meeting, how keying) *side {
	out := &side{rel: s.rel, scope: s.scope, alias: s.alias}
	if how == rekey && s.rel.windowed != nil {
		fail(sql.CodeWindow, b.q.Span, "Implicit repartitioning of windowed sources is not supported: %s has a windowed key", s.alias)
	}
	b.rel = s.rel
	meaning := "join-" + s.alias
	if !s.raw && how != rekey {
		if how == rehash {
			b.repartition(meaning, m.partitions, m.topic)
			out.rel = b.rel
		}
		return out
	}
	var value []*plan.Expr
	schema := types.Schema{Key: []types.Column{{Name: "ROWKEY", Type: e.Type}}}
	scope := &scope{joined: true}
	for _, c := range s.scope.columns {
		if c.system && !c.bounds && !b.mentions(c.name) {
			continue
		}
		if c.expr.Op == plan.OpColumn && c.source == "" {
			continue // the old synthetic key stands for nothing after a rekey
		}
		name := c.source + "_" + c.name
		scope.columns = append(scope.columns, binding{source: c.source, name: c.name, expr: column(1+len(value), c.expr.Type), system: c.system, bounds: c.bounds})
		value = append(value, c.expr)
		schema.Value = append(schema.Value, types.Column{Name: name, Type: c.expr.Type})
	}
	if how != rekey {
		b.push("project-"+s.alias, &plan.Project{Key: []int{0}, Value: value})
	} else {
		b.push(meaning, &plan.Rekey{Key: []*plan.Expr{e}, Value: value, DropNull: true})
	}
	b.rel.schema = schema
	if how != stays {
		b.repartition(meaning, m.partitions, m.topic)
	}
	out.rel, out.scope = b.rel, scope
	return out
}

// mentions reports whether the query uses a pseudo column anywhere.
func (b *builder) mentions(name string) bool {
	found := false
	see := func(e sql.Expr) {
		if e == nil {
			return
		}
		eachExpr(e, func(x sql.Expr) {
			ref, ok := x.(*sql.ColumnRef)
			found = found || ok && ref.Name.Name == name
		})
	}
	for _, it := range b.q.Items {
		see(it.Expr)
	}
	see(b.q.Where)
	see(b.q.Having)
	for _, e := range append(append([]sql.Expr(nil), b.q.GroupBy...), b.q.PartitionBy...) {
		see(e)
	}
	return found
}

// joinRelation adds the join operator over two keyed sides.
func (b *builder) joinRelation(l, r *side, j sql.Join) *side {
	meaning := "join-" + l.alias + "-" + r.alias
	rel := &relation{id: b.nodeID(meaning), inputs: []*relation{l.rel, r.rel}, windowed: l.rel.windowed, partitions: l.rel.partitions}
	rel.schema.Key = l.rel.schema.Key
	rel.schema.Value = append(append([]types.Column(nil), l.rel.schema.Value...), r.rel.schema.Value...)
	kind := joinKind(j.Kind)
	switch {
	case !l.rel.table && !r.rel.table:
		op := &plan.StreamStreamJoin{Join: kind, BeforeMs: j.Within.Before.Milliseconds(), AfterMs: j.Within.After.Milliseconds(),
			GraceMs: defaultJoinGrace.Milliseconds(), EagerOuter: true}
		if j.Within.Grace != nil {
			op.GraceMs, op.EagerOuter = ms(j.Within.Grace), false
		}
		op.LeftStore, op.RightStore = b.store(rel.id+"-left", rel.partitions), b.store(rel.id+"-right", rel.partitions)
		rel.op = op
	case !l.rel.table:
		rel.op = &plan.StreamTableJoin{Join: kind, Store: b.store(rel.id+"-table", rel.partitions)}
	default:
		rel.op = &plan.TableTableJoin{Join: kind, LeftStore: b.store(rel.id+"-left", rel.partitions), RightStore: b.store(rel.id+"-right", rel.partitions)}
		rel.table = true
	}
	return &side{rel: rel, scope: joinScope(l, r), alias: l.alias + "-" + r.alias}
}

// joinScope binds the columns of both sides over the join's output.
func joinScope(l, r *side) *scope {
	out := &scope{joined: true, columns: append([]binding(nil), l.scope.columns...)}
	offset := len(l.rel.schema.Value)
	for _, c := range r.scope.columns {
		if c.expr.Op == plan.OpColumn && c.source == "" {
			continue
		}
		c.expr = shift(c.expr, func(i int) int { return i + offset })
		out.columns = append(out.columns, c)
	}
	return out
}

func joinKind(k sql.JoinKind) plan.JoinKind {
	return [...]plan.JoinKind{sql.InnerJoin: plan.Inner, sql.LeftJoin: plan.Left, sql.RightJoin: plan.Right, sql.FullJoin: plan.Full}[k]
}

// joinKeys tells which columns of a join's output equal its key: those that the
// condition names, unless one of them may be NULL where the key is not.
func joinKeys(l, r *side, kind sql.JoinKind, lx, rx *plan.Expr, left *side, leftKept bool) (equiv [][]int, synthetic bool) {
	var cols []int
	if kind == sql.FullJoin {
		return nil, true
	}
	switch {
	case !left.raw && leftKept:
		if len(left.keyEquiv) > 0 {
			cols = append(cols, left.keyEquiv[0]...)
		}
	case lx.Op == plan.OpColumn && lx.Column >= 0:
		cols = append(cols, find(l, left, lx))
	}
	if rx.Op == plan.OpColumn && rx.Column >= 0 {
		cols = append(cols, len(l.rel.schema.Value)+1+rx.Column)
	}
	if len(cols) == 0 {
		return nil, true
	}
	return [][]int{cols}, false
}

// equalExprs returns the sides of a join's condition over its output.
func equalExprs(left, right, l, r *side, lx, rx *plan.Expr) []*plan.Expr {
	moved := func(e *plan.Expr, before, after *side, offset int) *plan.Expr {
		if before.rel == after.rel {
			return shift(e, func(i int) int { return i + offset })
		}
		return rewrite(e, func(x *plan.Expr) *plan.Expr {
			if x.Op != plan.OpColumn {
				return nil
			}
			return column(find(after, before, x)+offset, x.Type)
		})
	}
	out := []*plan.Expr{moved(lx, left, l, 0), moved(rx, right, r, len(l.rel.schema.Value))}
	if !left.raw && left.keyed(lx) {
		out = append(out, left.equal...)
	}
	return out
}

// find returns where a column of the side before keying stands after it.
func find(after, before *side, e *plan.Expr) int {
	for _, c := range before.scope.columns {
		if !equalExpr(c.expr, e) {
			continue
		}
		for _, d := range after.scope.columns {
			if d.source == c.source && d.name == c.name {
				return d.expr.Column
			}
		}
	}
	return -1
}

// nameSyntheticKey binds the key that no source has: ROWKEY, or ROWKEY_1... when
// a column has that name.
func (b *builder) nameSyntheticKey(out *side) {
	name := "ROWKEY"
	for i := 1; slices.ContainsFunc(out.scope.columns, func(c binding) bool { return c.source != "" && c.name == name }); i++ {
		name = fmt.Sprintf("ROWKEY_%d", i)
	}
	out.rel.schema.Key = []types.Column{{Name: name, Type: out.rel.schema.Key[0].Type}}
	key := binding{name: name, expr: column(0, out.rel.schema.Key[0].Type)}
	out.scope.columns = append([]binding{key}, out.scope.columns...)
}

// foreignKeyJoin plans a join of a table's column with another table's key.
func (b *builder) foreignKeyJoin(left, right *side, j sql.Join, lx *plan.Expr) *side {
	if j.Kind != sql.InnerJoin && j.Kind != sql.LeftJoin {
		fail(sql.CodeJoin, j.Span, "Invalid join type: %s join not supported for foreign-key table-table join. Use INNER or LEFT", upper(string(joinKind(j.Kind))))
	}
	if right.rel.windowed != nil || left.rel.windowed != nil {
		fail(sql.CodeJoin, j.Span, "Foreign-key table-table joins are not supported on windowed tables")
	}
	l, r := left, b.keySide(right, column(0, right.rel.schema.Key[0].Type), meeting{}, stays)
	if left.raw {
		l = b.prefixTable(left)
		lx = rewrite(lx, func(e *plan.Expr) *plan.Expr {
			if e.Op != plan.OpColumn {
				return nil
			}
			return column(find(l, left, e), e.Type)
		})
	}
	l, r = b.gather(l), b.gather(r)
	rel := &relation{id: b.nodeID("join-" + l.alias + "-" + r.alias), inputs: []*relation{l.rel, r.rel}, table: true, partitions: 1}
	rel.schema.Key = l.rel.schema.Key
	rel.schema.Value = append(append([]types.Column(nil), l.rel.schema.Value...), r.rel.schema.Value...)
	rel.op = &plan.ForeignKeyJoin{Join: joinKind(j.Kind), ForeignKey: lx,
		LeftStore: b.store(rel.id+"-left", rel.partitions), RightStore: b.store(rel.id+"-right", rel.partitions)}
	out := &side{rel: rel, alias: l.alias + "-" + r.alias, keyEquiv: l.keyEquiv, syntheticKey: l.syntheticKey}
	out.scope = &scope{joined: true, columns: append([]binding(nil), l.scope.columns...)}
	nKeys := len(l.rel.schema.Key)
	for _, c := range r.scope.columns {
		c.expr = column(nKeys+len(l.rel.schema.Value)+c.expr.Column-1, c.expr.Type)
		out.scope.columns = append(out.scope.columns, c)
	}
	return out
}

// gather brings the rows of a table into one partition. A change of a right row
// concerns left rows of any partition, so a foreign-key join runs in one task.
func (b *builder) gather(s *side) *side {
	if s.rel.partitions == 1 || b.transient {
		return s
	}
	out := *s
	b.rel = s.rel
	b.exchange("gather-"+s.alias, "gather", 1, "")
	out.rel = b.rel
	return &out
}

// prefixTable gives a table's columns their alias and keeps its key.
func (b *builder) prefixTable(s *side) *side {
	b.rel = s.rel
	nKeys := len(s.rel.schema.Key)
	op := &plan.Project{}
	out := &side{alias: s.alias, scope: &scope{joined: true}, keyEquiv: make([][]int, nKeys)}
	schema := types.Schema{Key: s.rel.schema.Key}
	for i := range nKeys {
		op.Key = append(op.Key, i)
	}
	for _, c := range s.scope.columns {
		if c.system && !c.bounds && !b.mentions(c.name) {
			continue
		}
		at := nKeys + len(op.Value)
		if c.expr.Column >= 0 && c.expr.Column < nKeys {
			out.keyEquiv[c.expr.Column] = []int{at}
		}
		out.scope.columns = append(out.scope.columns, binding{source: c.source, name: c.name, expr: column(at, c.expr.Type), system: c.system, bounds: c.bounds})
		op.Value = append(op.Value, c.expr)
		schema.Value = append(schema.Value, types.Column{Name: c.source + "_" + c.name, Type: c.expr.Type})
	}
	rel := b.push("project-"+s.alias, op)
	rel.schema = schema
	out.rel = rel
	return out
}
