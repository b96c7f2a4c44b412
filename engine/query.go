package engine

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// query runs a SELECT statement.
func (s *Session) query(ctx context.Context, st statement, stmt *sql.Select) (Result, error) {
	v := s.engine.view()
	v.nextID = s.engine.transient.Add(1)
	planned, perr := planner.Plan(s.env(v, st.text), stmt)
	if perr != nil {
		return nil, wrap(perr, st)
	}
	switch p := planned.(type) {
	case *planner.PushQuery:
		return s.push(ctx, p.Query)
	case *planner.PullQuery:
		return s.pull(ctx, v.catalog, fmt.Sprintf("query_%d", v.nextID), stmt.Query.From.Source.Name.Name, p.Pull)
	}
	return nil, st.fail(sql.CodeInternal, stmt.Span, "", "unexpected plan %T", planned)
}

// push starts a push query.
func (s *Session) push(ctx context.Context, q *plan.Query) (Result, error) {
	earliest := s.property("auto.offset.reset") == "earliest"
	p, err := s.engine.exec.Push(ctx, q, executor.PushOptions{Earliest: earliest})
	if err != nil {
		return nil, err
	}
	columns, limit := resultColumns(q)
	out := &Rows{QueryID: q.ID, Push: true, Columns: columns, Limit: limit}
	if !earliest {
		out.Hint = LatestHint
	}
	running := &pushRows{engine: s.engine, query: q, push: p}
	out.rows = running
	s.engine.pushes.add(running)
	return out, nil
}

// resultColumns returns the columns that a transient query shows, and its limit.
func resultColumns(q *plan.Query) (cols []types.Column, limit int64) {
	nodes := q.SubPlans[len(q.SubPlans)-1].Nodes
	result := nodes[len(nodes)-1].Op.(*plan.Result)
	cols = make([]types.Column, len(result.Columns))
	for i, c := range result.Columns {
		cols[i] = q.Result.Column(c)
	}
	return cols, result.Limit
}

// pushRows are the rows of a running push query.
type pushRows struct {
	engine *Engine
	query  *plan.Query
	push   *executor.Push
	once   sync.Once
}

func (p *pushRows) next(ctx context.Context) ([]executor.Row, error) { return p.push.Next(ctx) }

func (p *pushRows) problems() []executor.Problem { return p.push.Problems() }

func (p *pushRows) close() {
	p.once.Do(func() {
		p.engine.pushes.remove(p)
		p.push.Close()
	})
}

// pushRegistry holds the running push queries, for SHOW QUERIES, TERMINATE and
// shutdown.
type pushRegistry struct {
	mu   sync.Mutex // guards list
	list []*pushRows
}

func (r *pushRegistry) add(p *pushRows) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.list = append(r.list, p)
}

func (r *pushRegistry) remove(p *pushRows) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, q := range r.list {
		if q == p {
			r.list = append(r.list[:i:i], r.list[i+1:]...)
			return
		}
	}
}

func (r *pushRegistry) snapshot() []*pushRows {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*pushRows(nil), r.list...)
}

func (r *pushRegistry) closeAll() {
	for _, p := range r.snapshot() {
		p.close()
	}
}

// endsPush returns the push query that a statement ends: TERMINATE of its id, in
// any case.
func (e *Engine) endsPush(stmt sql.Statement) (id string, ok bool) {
	control, ok := stmt.(*sql.QueryControl)
	if !ok || control.All || control.Action != sql.Terminate {
		return "", false
	}
	for _, p := range e.pushes.snapshot() {
		if strings.EqualFold(p.query.ID, control.QueryID.Name) {
			return p.query.ID, true
		}
	}
	return "", false
}

// maxListedPushes bounds how many push queries a message lists.
const maxListedPushes = 5

// pushesGoOn says which push queries a statement about ALL queries leaves alone: they
// belong to other clients. It is "" when there are none.
func (e *Engine) pushesGoOn() string {
	var ids []string
	for _, p := range e.pushes.snapshot() {
		ids = append(ids, p.query.ID)
	}
	switch n := len(ids); {
	case n == 0:
		return ""
	case n == 1:
		return " ALL are the persistent queries: the push query " + ids[0] + " goes on, TERMINATE " + ids[0] + " ends it."
	case n > maxListedPushes:
		ids = append(ids[:maxListedPushes], "...")
	}
	return " ALL are the persistent queries: these push queries go on, TERMINATE with an id ends one: " + strings.Join(ids, ", ") + "."
}

// ClosePush ends the push query of an id and reports whether there was one.
func (e *Engine) ClosePush(id string) bool {
	for _, p := range e.pushes.snapshot() {
		if p.query.ID == id {
			p.close()
			return true
		}
	}
	return false
}

// pullBufferRows is how many rows of a pull query wait for a slow reader.
const pullBufferRows = 1024

// pull starts a pull query on a source; its rows come through a bounded channel.
func (s *Session) pull(ctx context.Context, cat *catalog.Catalog, id, source string, p *plan.Pull) (Result, error) {
	if s.property("millrace.pull.wait") == "inputs" {
		if err := s.engine.waitFor(ctx, cat, source); err != nil {
			return nil, err
		}
	}
	if p.QueryID != "" {
		if err := s.engine.waitReady(ctx, p.QueryID); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	problems := s.engine.exec.NewProblems(id)
	rows := &pullRows{seen: problems, rows: make(chan executor.Row, pullBufferRows), failed: make(chan error, 1), cancel: cancel}
	go func() { // ends with the query, or by close through ctx
		defer close(rows.rows)
		err := s.engine.exec.Pull(ctx, p, executor.PullOptions{Problems: problems}, func(r executor.Row) error {
			select {
			case rows.rows <- r:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if err != nil {
			rows.failed <- err
		}
	}()
	return &Rows{QueryID: id, Stream: p.Stream != nil, Columns: p.Names, Key: p.KeyColumns, Limit: p.Limit, rows: rows}, nil
}

// pullRows are the rows of a pull query.
type pullRows struct {
	rows   chan executor.Row
	failed chan error
	cancel context.CancelFunc
	seen   *executor.Problems
}

func (p *pullRows) problems() []executor.Problem { return p.seen.List() }

func (p *pullRows) next(ctx context.Context) ([]executor.Row, error) {
	select {
	case row, ok := <-p.rows:
		if !ok {
			select {
			case err := <-p.failed:
				return nil, err
			default:
				return nil, io.EOF
			}
		}
		list := []executor.Row{row}
		for {
			select {
			case row, ok := <-p.rows:
				if !ok {
					return list, nil
				}
				list = append(list, row)
			default:
				return list, nil
			}
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pullRows) close() {
	p.cancel()
	for range p.rows { // lets the reader end
	}
}
