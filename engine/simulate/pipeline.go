package simulate

import (
	"fmt"
	"slices"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/plan"
)

// MaxRecords bounds the records of a test, inputs and results together: a query
// that feeds itself would never end.
const MaxRecords = 1_000_000

// pipeline runs all queries of a catalog over one log of records.
type pipeline struct {
	sandbox *engine.Sandbox
	nowMs   int64
	log     []executor.DriverRecord
	queries []*running
	entries []executor.LogEntry
}

// running is a query at work.
type running struct {
	plan   *plan.Query
	driver *executor.Driver
	paused bool
	// next is how much of the log the query has seen. Below start it sees the
	// topics of tables only, unless earliest.
	next, start int
	earliest    bool
	log         *executor.MemLog
	topics      map[string]bool // sources; true for those read as tables
}

// queryError is the failure of a query, which is not that of a statement.
type queryError struct {
	id  string
	err error
}

func (e *queryError) Error() string { return fmt.Sprintf("query %s failed: %s", e.id, e.err) }
func (e *queryError) Unwrap() error { return e.err }

// sync starts and ends queries so that they are those of the catalog. A query whose
// plan was replaced goes on with its state. earliest is where new ones begin.
func (p *pipeline) sync(earliest bool) error {
	var queries []*running
	for _, q := range p.sandbox.Catalog().Queries() {
		r := &running{plan: q.Plan, start: len(p.log), earliest: earliest, log: new(executor.MemLog)}
		i := slices.IndexFunc(p.queries, func(r *running) bool { return r.plan.ID == q.ID })
		if i >= 0 {
			r = p.queries[i]
		}
		r.paused = q.Paused
		if i < 0 || r.plan != q.Plan {
			r.plan = q.Plan
			if err := r.build(p); err != nil {
				return err
			}
		}
		queries = append(queries, r)
	}
	p.queries = queries
	return p.drain()
}

// build makes the driver of a query, over the log of the one before if there was
// one.
func (r *running) build(p *pipeline) (err error) {
	r.topics = map[string]bool{}
	for _, sub := range r.plan.SubPlans {
		for _, n := range sub.Nodes {
			if src, ok := n.Op.(*plan.Source); ok {
				r.topics[src.Topic] = r.topics[src.Topic] || n.Table
			}
		}
	}
	r.driver, err = executor.NewDriver(r.plan, executor.DriverConfig{NowMs: p.nowMs, Schemas: p.sandbox.Schemas(), Log: r.log})
	if err != nil {
		return &queryError{r.plan.ID, err}
	}
	return nil
}

// push appends a record and runs everything that it causes.
func (p *pipeline) push(rec executor.DriverRecord) error {
	p.log = append(p.log, rec)
	return p.drain()
}

// drain runs the queries, in order of creation, until none has anything to do.
func (p *pipeline) drain() error {
	for busy := true; busy; {
		busy = false
		for _, q := range p.queries {
			for !q.paused && q.next < len(p.log) {
				rec := p.log[q.next]
				q.next++
				if table, ok := q.topics[rec.Topic]; !ok || q.next <= q.start && !q.earliest && !table {
					continue
				}
				busy = true
				if err := p.step(q, rec); err != nil {
					return &queryError{q.plan.ID, err}
				}
			}
		}
	}
	return nil
}

// step gives one record to one query and takes what it writes.
func (p *pipeline) step(q *running, rec executor.DriverRecord) error {
	err := q.driver.Push(rec)
	p.entries = append(p.entries, q.driver.Errors()...)
	if err != nil {
		return err
	}
	outs, err := q.driver.Take()
	if err != nil {
		return err
	}
	if len(p.log)+len(outs) > MaxRecords {
		return fmt.Errorf("more than %d records in one test", MaxRecords)
	}
	p.log = append(p.log, outs...)
	return nil
}

// records returns what a topic holds.
func (p *pipeline) records(topic string) (recs []executor.DriverRecord) {
	for _, r := range p.log {
		if r.Topic == topic {
			recs = append(recs, r)
		}
	}
	return recs
}
