package executor

import (
	"fmt"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// allPartitions is the partition of a task that reads every partition of its
// inputs.
const allPartitions = -1

// program is a sub-plan compiled for one task.
type program struct {
	inputs []*input
	// stores are the state of all operators, with their changelogs.
	stores []*boundStore
	views  map[string]func() (*op.View, error)
	resets []func() error // rebuild what operators keep beside their stores
	result *op.Result
	// oneByOne says that two branches of the plan meet again, so that only runs
	// of one row keep the order of updates.
	oneByOne bool
}

// boundStore is a store with the topic-partition of its changelog.
type boundStore struct {
	*state.Store
	changelog kafka.TopicPartition // Topic is empty when there is none
	mirror    *state.Mirror        // of the changelog on disk, nil without
}

// builder compiles one sub-plan.
type builder struct {
	q          *plan.Query
	sub        *plan.SubPlan
	partition  int32
	partitions func(topic string) (int32, error)
	schemas    format.Schemas
	give       func(op.ResultRow)
	p          *program
	ports      [][]op.Port // per node and input
}

// buildProgram compiles a sub-plan for one partition, or for all of them.
func buildProgram(q *plan.Query, sub *plan.SubPlan, partition int32, cfg *Config, give func(op.ResultRow)) (*program, error) {
	b := &builder{q: q, sub: sub, partition: partition, partitions: cfg.Partitions, schemas: cfg.Schemas, give: give, p: &program{views: map[string]func() (*op.View, error){}}}
	b.ports = make([][]op.Port, len(sub.Nodes))
	for i := range sub.Nodes {
		for _, k := range sub.Nodes[i].Inputs {
			if k < 0 || k >= i {
				return nil, fmt.Errorf("plan node %s: input %d is not an earlier node", sub.Nodes[i].ID, k)
			}
		}
	}
	for i := len(sub.Nodes) - 1; i >= 0; i-- {
		if err := b.node(i); err != nil {
			return nil, err
		}
	}
	// Inputs were found from the last node to the first; plan input order is the
	// other way round.
	for i, j := 0, len(b.p.inputs)-1; i < j; i, j = i+1, j-1 {
		b.p.inputs[i], b.p.inputs[j] = b.p.inputs[j], b.p.inputs[i]
	}
	return b.p, nil
}

// output returns the port that takes node i's rows.
func (b *builder) output(i int) (op.Port, error) {
	var consumers op.Tee
	for j := i + 1; j < len(b.sub.Nodes); j++ {
		for k, in := range b.sub.Nodes[j].Inputs {
			if in == i {
				consumers = append(consumers, b.ports[j][k])
			}
		}
	}
	switch len(consumers) {
	case 0:
		if src, ok := b.sub.Nodes[i].Op.(*plan.Source); ok && src.Store != nil {
			return op.Tee(nil), nil // a table that is only kept for pull queries
		}
		return nil, fmt.Errorf("plan node %s: nobody reads it", b.sub.Nodes[i].ID)
	case 1:
		return consumers[0], nil
	}
	b.p.oneByOne = true
	return consumers, nil
}

func (b *builder) node(i int) (err error) {
	n := &b.sub.Nodes[i]
	set := func(p op.Port, err error) error {
		b.ports[i] = []op.Port{p}
		return err
	}
	switch o := n.Op.(type) {
	case *plan.Sink:
		return b.sink(i, n, o)
	case *plan.Repartition:
		return b.repartition(i, n, o)
	case *plan.Result:
		if b.give == nil {
			return fmt.Errorf("plan node %s: a persistent query has no result", n.ID)
		}
		b.p.result, err = op.NewResult(n.ID, o, b.input(n, 0), b.give)
		return set(b.p.result, err)
	}
	next, err := b.output(i)
	if err != nil {
		return err
	}
	switch o := n.Op.(type) {
	case *plan.Source:
		return b.source(n, o, next)
	case *plan.RepartitionSource:
		return b.repartitionSource(n, o, next)
	case *plan.Filter:
		return set(op.NewFilter(n.ID, o, b.input(n, 0), n.Table, next))
	case *plan.Project:
		return set(op.NewProject(n.ID, o, b.input(n, 0), &n.Schema, next))
	case *plan.Rekey:
		return set(op.NewRekey(n.ID, o, b.input(n, 0), &n.Schema, n.Table, next))
	case *plan.Flatten:
		return set(op.NewFlatten(n.ID, o, b.input(n, 0), &n.Schema, n.Windowed != nil, next))
	}
	return b.stateful(i, n, next)
}

// input returns the schema of node n's k-th input.
func (b *builder) input(n *plan.Node, k int) *plan.Schema { return &b.sub.Nodes[n.Inputs[k]].Schema }

// store makes the state of one operator.
func (b *builder) store(s *plan.Store) *state.Store {
	bound := &boundStore{Store: state.NewStore(s.Name, s.Changelog != "")}
	if s.Changelog != "" && !b.q.Transient {
		bound.changelog = kafka.TopicPartition{Topic: s.Changelog, Partition: max(b.partition, 0)}
	}
	b.p.stores = append(b.p.stores, bound)
	return bound.Store
}

func (b *builder) source(n *plan.Node, o *plan.Source, next op.Port) error {
	count, err := b.partitions(o.Topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	var table *op.TableSource
	restores := false
	if n.Table {
		var store *state.Store
		if o.Store != nil {
			store = b.store(o.Store)
			restores = o.Store.Changelog == "" && !b.q.Transient
			b.p.views[o.Store.Name] = func() (*op.View, error) { return op.NewView(&n.Schema, n.Windowed != nil, store) }
		}
		if table, err = op.NewTableSource(n.ID, &n.Schema, n.Windowed != nil, store, next); err != nil {
			return err
		}
		next = table
	}
	from, to := b.partition, b.partition+1
	if b.partition == allPartitions {
		from, to = 0, count
	}
	// Appended from the last partition to the first: see buildProgram.
	for p := min(to, count) - 1; p >= from; p-- {
		d, err := op.NewDecoder(n.ID, o, &n.Schema, n.Windowed, b.schemas)
		if err != nil {
			return err
		}
		in := &input{tp: kafka.TopicPartition{Topic: o.Topic, Partition: p}, node: n.ID, decoder: d, port: next}
		if restores {
			in.table = table
		}
		b.p.inputs = append(b.p.inputs, in)
	}
	return nil
}

func (b *builder) repartitionSource(n *plan.Node, o *plan.RepartitionSource, next op.Port) error {
	if o.Store != nil {
		return fmt.Errorf("plan node %s: a store of a repartitioned table is not supported", n.ID)
	}
	count, err := b.partitions(o.Topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	from, to := b.partition, b.partition+1
	if b.partition == allPartitions {
		from, to = 0, count
	}
	for p := min(to, count) - 1; p >= from; p-- {
		d, err := op.NewRepartitionDecoder(n.ID, o.Topic, &n.Schema, n.Windowed != nil)
		if err != nil {
			return err
		}
		b.p.inputs = append(b.p.inputs, &input{tp: kafka.TopicPartition{Topic: o.Topic, Partition: p}, node: n.ID, internal: d, port: next})
	}
	return nil
}

func (b *builder) sink(i int, n *plan.Node, o *plan.Sink) error {
	count, err := b.partitions(o.Topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	schema := b.input(n, 0)
	windowed := b.sub.Nodes[n.Inputs[0]].Windowed
	var port op.Port
	if port, err = op.NewSink(n.ID, o, schema, windowed, count, b.schemas); err != nil {
		return err
	}
	if o.Store != nil {
		store := b.store(o.Store)
		b.p.views[o.Store.Name] = func() (*op.View, error) { return op.NewView(schema, windowed != nil, store) }
		if port, err = op.NewMaterialize(n.ID, schema, store, port); err != nil {
			return err
		}
	}
	b.ports[i] = []op.Port{port}
	return nil
}

func (b *builder) repartition(i int, n *plan.Node, o *plan.Repartition) error {
	count, err := b.partitions(o.Topic)
	if err != nil {
		return fmt.Errorf("topic %s: %w", o.Topic, err)
	}
	schema := b.input(n, 0)
	hash, err := b.keyHash(o, schema)
	if err != nil {
		return fmt.Errorf("plan node %s: %w", n.ID, err)
	}
	port, err := op.NewRepartition(n.ID, o.Topic, schema, count, hash)
	b.ports[i] = []op.Port{port}
	return err
}

// keyHash returns the key format of a topic that the repartition topic is
// co-partitioned with: keys must meet the ones that others wrote there. It is
// nil when there are only repartition topics.
func (b *builder) keyHash(o *plan.Repartition, schema *plan.Schema) (format.Codec, error) {
	for _, topic := range o.CoPartitionWith {
		for s := range b.q.SubPlans {
			for k := range b.q.SubPlans[s].Nodes {
				if src, ok := b.q.SubPlans[s].Nodes[k].Op.(*plan.Source); ok && src.Topic == topic && len(schema.Key) > 0 {
					return format.New(src.Key, schema.Key, format.Side{Topic: topic, Key: true, Schemas: b.schemas})
				}
			}
		}
	}
	return nil, nil
}

// stateful builds the operators that keep state.
func (b *builder) stateful(i int, n *plan.Node, next op.Port) error {
	switch o := n.Op.(type) {
	case *plan.Aggregate:
		store := b.store(&o.Store)
		a, err := op.NewAggregate(n.ID, o, b.input(n, 0), &n.Schema, store, b.needsBefore(i), next)
		if err != nil {
			return err
		}
		b.ports[i] = []op.Port{a}
		b.p.views[o.Store.Name] = a.View
		b.p.resets = append(b.p.resets, a.Reset)
		return nil
	case *plan.StreamStreamJoin, *plan.StreamTableJoin, *plan.TableTableJoin, *plan.ForeignKeyJoin:
		return b.join(i, n, next)
	}
	return fmt.Errorf("plan node %s: operator %q is not supported", n.ID, n.Op.Kind())
}

// needsBefore reports whether somebody below node i wants a change's before row.
// Sinks and results do not; joins keep rows of their own.
func (b *builder) needsBefore(i int) bool {
	for j := i + 1; j < len(b.sub.Nodes); j++ {
		for _, in := range b.sub.Nodes[j].Inputs {
			if in != i {
				continue
			}
			switch b.sub.Nodes[j].Op.(type) {
			case *plan.Project:
				if b.needsBefore(j) {
					return true
				}
			case *plan.Sink, *plan.Result, *plan.TableTableJoin, *plan.StreamTableJoin, *plan.ForeignKeyJoin:
			default:
				return true
			}
		}
	}
	return false
}

// sameWindows reports whether windows of two kinds can be equal: sessions with
// sessions, time windows of one size.
func sameWindows(a, b *plan.WindowInfo) bool {
	return (a.Kind == plan.Session) == (b.Kind == plan.Session) && a.SizeMs == b.SizeMs
}

// join builds the operators with two inputs.
func (b *builder) join(i int, n *plan.Node, next op.Port) error {
	if len(n.Inputs) != 2 {
		return fmt.Errorf("plan node %s: a join has two inputs, not %d", n.ID, len(n.Inputs))
	}
	left, right := b.input(n, 0), b.input(n, 1)
	ports := func(l, r op.Port) { b.ports[i] = []op.Port{l, r} }
	windowed := n.Windowed != nil
	_, foreign := n.Op.(*plan.ForeignKeyJoin)
	for _, k := range n.Inputs {
		if b.sub.Nodes[k].Windowed != nil && foreign {
			return fmt.Errorf("plan node %s: a %s over windowed keys is not supported", n.ID, n.Op.Kind())
		}
		if windowed != (b.sub.Nodes[k].Windowed != nil) {
			return fmt.Errorf("plan node %s: windowed and plain keys do not join", n.ID)
		}
	}
	if windowed && !sameWindows(b.sub.Nodes[n.Inputs[0]].Windowed, b.sub.Nodes[n.Inputs[1]].Windowed) {
		return fmt.Errorf("plan node %s: keys with different windows do not join", n.ID)
	}
	switch o := n.Op.(type) {
	case *plan.StreamStreamJoin:
		j, err := op.NewStreamStreamJoin(n.ID, o, left, right, &n.Schema, b.store(&o.LeftStore), b.store(&o.RightStore), windowed, next)
		if err != nil {
			return err
		}
		b.p.resets = append(b.p.resets, j.Reset)
		ports(j.Left(), j.Right())
	case *plan.StreamTableJoin:
		j, err := op.NewStreamTableJoin(n.ID, o, left, right, &n.Schema, b.store(&o.Store), windowed, next)
		if err != nil {
			return err
		}
		ports(j.Left(), j.Right())
	case *plan.TableTableJoin:
		j, err := op.NewTableTableJoin(n.ID, o, left, right, &n.Schema, b.store(&o.LeftStore), b.store(&o.RightStore), windowed, b.needsBefore(i), next)
		if err != nil {
			return err
		}
		ports(j.Left(), j.Right())
	case *plan.ForeignKeyJoin:
		j, err := op.NewForeignKeyJoin(n.ID, o, left, right, &n.Schema, b.store(&o.LeftStore), b.store(&o.RightStore), b.needsBefore(i), next)
		if err != nil {
			return err
		}
		ports(j.Left(), j.Right())
	}
	return nil
}
