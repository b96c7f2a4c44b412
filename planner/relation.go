package planner

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// relation is an operator in the tree that a query is planned as, before it is
// split into sub-plans.
type relation struct {
	id         string
	op         plan.Operator
	inputs     []*relation
	schema     types.Schema
	table      bool
	windowed   *plan.WindowInfo
	partitions int32
}

// builder plans one SELECT.
type builder struct {
	*planner
	q *sql.Query
	// id is the query's id, which its stores and topics are named after.
	id        string
	transient bool
	// scalable says that rows of a stream without a key are left out.
	scalable bool

	rel   *relation
	scope *scope
	// keyEquiv lists, per key column of rel, the value columns that equal it and
	// may stand for it in the projection, best first. Only joins have any.
	keyEquiv [][]int
	// syntheticKey says that the key of rel is of no source (ROWKEY).
	syntheticKey bool

	sources  []string // names of the sources read, in plan input order
	topics   []TopicSpec
	ids      map[string]int
	leftmost *catalog.Source
	// names are column names that generated names must not clash with.
	names map[string]bool
}

func (p *planner) newBuilder(q *sql.Query, id string, transient bool) *builder {
	return &builder{planner: p, q: q, id: id, transient: transient, ids: map[string]int{}, names: map[string]bool{}}
}

// nodeID makes an id of meaning unique in the query.
func (b *builder) nodeID(meaning string) string {
	b.ids[meaning]++
	if n := b.ids[meaning]; n > 1 {
		return fmt.Sprintf("%s-%d", meaning, n)
	}
	return meaning
}

// push puts an operator on top of the current relation. The schema, partitions
// and kind are those of the relation below until the caller changes them.
func (b *builder) push(meaning string, op plan.Operator) *relation {
	rel := *b.rel
	rel.id, rel.op, rel.inputs = b.nodeID(meaning), op, []*relation{b.rel}
	b.rel = &rel
	return b.rel
}

// internalTopic names and registers a changelog or repartition topic.
func (b *builder) internalTopic(node, suffix string, partitions int32, configs map[string]string) string {
	name := fmt.Sprintf(InternalPrefix+"%s-query_%s-%s-%s", b.ServiceID, b.id, node, suffix)
	b.topics = append(b.topics, TopicSpec{Name: name, Partitions: partitions, Replicas: -1, Configs: configs, Internal: true})
	return name
}

// store makes a store with a changelog topic of its own, or none for a transient
// query.
func (b *builder) store(node string, partitions int32) plan.Store {
	s := plan.Store{Name: node}
	if !b.transient {
		s.Changelog = b.internalTopic(node, "changelog", partitions, map[string]string{"cleanup.policy": "compact"})
	}
	return s
}

// repartition sends the rows of the current relation to the partition of their
// key, hashed as in the topic with, or in a form of its own when that is empty. A
// transient query runs in one task and needs none.
func (b *builder) repartition(meaning string, partitions int32, with string) {
	b.exchange(meaning, "repartition", partitions, with)
}

// exchange is repartition with a word of its own for the topic's name.
func (b *builder) exchange(meaning, word string, partitions int32, with string) {
	if b.transient {
		return
	}
	rel := b.push("repartition-"+meaning, nil)
	op := &plan.Repartition{Topic: b.internalTopic(meaning, word, partitions, map[string]string{"cleanup.policy": "delete"})}
	if with != "" {
		op.CoPartitionWith = []string{with}
	}
	rel.op, rel.partitions = op, partitions
}

// from plans the FROM clause.
func (b *builder) from() {
	for _, ref := range b.sourceRefs() {
		src := b.source(ref.Name)
		for i := range src.Schema.Len() {
			b.names[src.Schema.Column(i).Name] = true
		}
	}
	src, alias := b.open(b.q.From.Source)
	b.leftmost = src
	if len(b.q.From.Joins) > 0 {
		b.joins(src, alias)
		return
	}
	b.rel = b.sourceRelation(src)
	b.scope = sourceScope(alias, src.Schema, src.Windowed != nil || b.q.Window != nil)
}

func (b *builder) sourceRefs() []sql.SourceRef {
	refs := []sql.SourceRef{b.q.From.Source}
	for _, j := range b.q.From.Joins {
		refs = append(refs, j.Source)
	}
	return refs
}

// open looks a source up and notes that the query reads it.
func (b *builder) open(ref sql.SourceRef) (*catalog.Source, string) {
	src := b.source(ref.Name)
	if slices.Contains(b.sources, src.Name) {
		fail(sql.CodeJoin, ref.Span, "Can not join '%s' to '%s': self joins are not yet supported", src.Name, src.Name)
	}
	b.sources = append(b.sources, src.Name)
	alias := ref.Alias.Name
	if alias == "" {
		alias = src.Name
	}
	return src, alias
}

// sourceRelation reads a stream or table.
func (b *builder) sourceRelation(src *catalog.Source) *relation {
	partitions, ok := b.Topic(src.Topic)
	if !ok {
		fail(sql.CodeUnknownTopic, b.q.From.Source.Span, "topic '%s' of %s does not exist", src.Topic, src.Name)
	}
	op := &plan.Source{
		Name: src.Name, Topic: src.Topic, Key: src.Key, Value: src.Value, Timestamp: src.Timestamp, Headers: src.Headers,
		Needed: make([]bool, src.Schema.Len()),
	}
	return &relation{
		id: b.nodeID("source-" + src.Name), op: op, schema: src.Schema, table: src.Kind == catalog.Table,
		windowed: src.Windowed, partitions: partitions,
	}
}

// resolver returns a resolver over the current scope.
func (b *builder) resolver(clause string) *resolver {
	return &resolver{planner: b.planner, scope: b.scope, clause: clause}
}
