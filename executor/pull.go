package executor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// PullOptions say how a pull query reads.
type PullOptions struct {
	// WaitInputs waits until the table has consumed what its query's inputs held
	// when the call was made (millrace.pull.wait=inputs).
	WaitInputs bool
	// Problems takes what goes wrong with rows; see NewProblems. Without it they
	// are in the processing log only.
	Problems *Problems
}

// Pull answers a pull query from committed state, or from a stream's topic up to
// its present end, calling yield for each row until the limit: of a table's rows,
// those first in order of key and window. An error of yield ends the pull and is
// returned.
func (e *Executor) Pull(ctx context.Context, p *plan.Pull, opts PullOptions, yield func(Row) error) error {
	if p.Limit == 0 {
		return nil
	}
	if opts.Problems == nil {
		opts.Problems = newProblems(e.cfg, "pull")
	}
	defer opts.Problems.flush()
	if p.Stream != nil {
		return e.pullStream(ctx, p, opts.Problems, yield)
	}
	q, err := e.query(p.QueryID)
	if err != nil {
		return err
	}
	if opts.WaitInputs {
		if err := e.waitInputs(ctx, q); err != nil {
			return err
		}
	}
	r, err := newPuller(e, p, opts.Problems, yield)
	if err != nil {
		return err
	}
	views, err := q.views(p.Store)
	if err != nil {
		return err
	}
	for _, v := range views {
		if !v.Schema().Equal(p.Input) {
			return fmt.Errorf("store %s holds rows of another shape than the query reads", p.Store)
		}
		if err = r.read(ctx, v); err != nil {
			break
		}
	}
	if err == nil {
		err = r.flush()
	}
	if err == nil {
		err = r.top.finish(yield)
	}
	return err
}

// views returns a reader of a store in every task that has it.
func (q *query) views(store string) ([]*op.View, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.toRestore > 0 {
		return nil, fmt.Errorf("query %s is still restoring its state", q.plan.ID)
	}
	var views []*op.View
	for _, t := range q.tasks {
		if open, ok := t.program.views[store]; ok {
			v, err := open()
			if err != nil {
				return nil, err
			}
			views = append(views, v)
		}
	}
	if len(views) == 0 {
		return nil, fmt.Errorf("query %s has no store %s", q.plan.ID, store)
	}
	return views, nil
}

// waitInputs waits until the query has its state and committed what its inputs
// hold now: sub-plan by sub-plan, since a repartition topic's end is known only
// when what comes before it is done.
func (e *Executor) waitInputs(ctx context.Context, q *query) error {
	if err := q.waitUntil(ctx, func() bool { return q.toRestore <= 0 }); err != nil {
		return err
	}
	q.mu.Lock()
	tasks := q.tasks
	q.mu.Unlock()
	for s := range q.plan.SubPlans {
		for _, t := range tasks {
			if t.sub != &q.plan.SubPlans[s] {
				continue
			}
			for _, in := range t.inputs {
				first, stable, err := e.cfg.Log.Bounds(ctx, in.tp)
				if err != nil {
					return fmt.Errorf("read bounds of %s: %w", in.tp, err)
				}
				if stable <= first {
					continue
				}
				if err := q.waitFor(ctx, in.tp, stable); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// puller collects rows read into batches, filters them and computes the result.
type puller struct {
	p       *plan.Pull
	yield   func(Row) error
	filter  *expr.Expr
	columns []*expr.Expr
	c       expr.Context
	b       *batch.Batch
	// problems takes the rows that an expression failed on.
	problems *Problems
	// top takes the rows of a query with LIMIT, nil without one.
	top *firstRows
	// places are where the rows of b stand in the order of top.
	places []string
}

func newPuller(e *Executor, p *plan.Pull, problems *Problems, yield func(Row) error) (*puller, error) {
	r := &puller{p: p, problems: problems, yield: yield, b: new(batch.Batch)}
	if p.Limit >= 0 {
		r.top = &firstRows{limit: p.Limit}
	}
	var err error
	if p.Filter != nil {
		if r.filter, err = expr.Compile(p.Filter, &p.Input); err != nil {
			return nil, err
		}
	}
	if r.columns, err = expr.CompileAll(p.Columns, &p.Input); err != nil {
		return nil, err
	}
	q := newQuery(&plan.Query{ID: "pull"}, e.cfg, "", "")
	q.cancel()
	r.c = expr.Context{Scratch: new(batch.Scratch), NowMs: e.cfg.Clock.Now().UnixMilli(), Random: q.random}
	r.b.Reset(&p.Input, p.Windowed != nil)
	return r, nil
}

// read takes the rows of one task's store.
func (r *puller) read(ctx context.Context, v *op.View) error {
	first, last := int64(-1<<63), int64(1<<63-1)
	if r.p.Windowed != nil {
		first, last = r.p.Bounds.StartMin, r.p.Bounds.StartMax
	}
	var failed error
	take := func(s op.Stored) bool {
		if r.p.Windowed != nil && (s.WindowEnd < r.p.Bounds.EndMin || s.WindowEnd > r.p.Bounds.EndMax) {
			return true
		}
		if failed = ctx.Err(); failed == nil {
			failed = r.add(v, s)
		}
		return failed == nil
	}
	var err error
	if r.p.Keys == nil {
		err = v.Scan(first, last, take)
	}
	seen := map[string]bool{} // alternatives of a WHERE clause may name a key twice
	for _, key := range r.p.Keys {
		if text := string(v.AppendKey(nil, key)); err == nil && failed == nil && !seen[text] {
			seen[text] = true
			err = v.Get(key, first, last, take)
		}
	}
	if failed != nil {
		return failed
	}
	return err
}

func (r *puller) add(v *op.View, s op.Stored) error {
	if r.top != nil {
		r.places = append(r.places, placeOf(v, s))
	}
	i := r.b.Append(s.Time, 0, 0, batch.Insert)
	for k, v := range append(s.Key, s.Value...) {
		if !r.b.Cols[k].Set(i, v) {
			return fmt.Errorf("stored value does not fit column %s", r.p.Input.Column(k).Name)
		}
	}
	if r.b.WindowStart != nil {
		r.b.WindowStart[i], r.b.WindowEnd[i] = s.WindowStart, s.WindowEnd
	}
	if r.b.Rows >= batch.MaxRows {
		return r.flush()
	}
	return nil
}

// flush filters, computes and yields the rows collected.
func (r *puller) flush() error {
	defer r.b.Reset(&r.p.Input, r.p.Windowed != nil)
	defer r.c.Scratch.Reset()
	defer func() { r.places = r.places[:0] }()
	sel := batch.Range(0, r.b.Rows)
	if r.filter != nil {
		// A row whose predicate fails is left out, as WHERE does everywhere.
		var failed []expr.Failure
		sel, failed = r.filter.Filter(&r.c, r.b, sel)
		r.problems.failures("filter", r.b.Time, failed, op.EffectOnFilter)
	}
	vecs := make([]*batch.Vector, len(r.columns))
	for k, e := range r.columns {
		var failed []expr.Failure
		vecs[k], failed = e.Eval(&r.c, r.b, sel)
		r.problems.failures("project", r.b.Time, failed, func(x expr.Failure) string { return op.EffectOnColumn(x, r.p.Names[k].Name) })
	}
	for _, i := range sel {
		row := Row{Op: batch.Insert, Time: r.b.Time[i], Values: make([]types.Value, len(vecs))}
		for k, v := range vecs {
			row.Values[k] = v.Value(i)
		}
		if r.top != nil {
			r.top.add(r.places[i], row)
		} else if err := r.yield(row); err != nil {
			return err
		}
	}
	return nil
}

// pullStream reads a stream's topic from its beginning to its present end.
func (e *Executor) pullStream(ctx context.Context, p *plan.Pull, problems *Problems, yield func(Row) error) error {
	source := plan.Node{ID: "Source", Schema: p.Input, Windowed: p.Windowed, Op: p.Stream}
	nodes := []plan.Node{source}
	add := func(n plan.Node) {
		n.Inputs, n.Windowed = []int{len(nodes) - 1}, p.Windowed
		nodes = append(nodes, n)
	}
	if p.Filter != nil {
		add(plan.Node{ID: "Where", Schema: p.Input, Op: &plan.Filter{Predicate: p.Filter}})
	}
	out := types.Schema{Key: p.Input.Key}
	project := &plan.Project{Value: p.Columns}
	for k := range p.Input.Key {
		project.Key = append(project.Key, k)
	}
	result := &plan.Result{Limit: p.Limit}
	for k, c := range p.Columns {
		name := fmt.Sprint(k)
		if k < len(p.Names) {
			name = p.Names[k].Name
		}
		out.Value = append(out.Value, types.Column{Name: name, Type: c.Type})
		result.Columns = append(result.Columns, len(p.Input.Key)+k)
	}
	add(plan.Node{ID: "Project", Schema: out, Op: project})
	add(plan.Node{ID: "Result", Schema: out, Op: result})
	push, err := e.Push(ctx, &plan.Query{
		Version: plan.Version, ID: problems.query, Transient: true, Result: out, SubPlans: []plan.SubPlan{{ID: "Pull", Nodes: nodes}},
	}, PushOptions{Earliest: true, Bounded: true, problems: problems})
	if err != nil {
		return err
	}
	defer push.Close()
	for {
		rows, err := push.Next(ctx)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		for _, row := range rows {
			if err := yield(row); err != nil {
				return err
			}
		}
	}
}
