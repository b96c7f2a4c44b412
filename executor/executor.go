package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/millrace/millrace/planner/plan"
)

// Executor runs queries on a pool of workers.
type Executor struct {
	cfg  *Config
	pool *pool

	mu      sync.Mutex // guards what follows; before query.mu
	queries map[string]*query
	pushes  map[*Push]struct{}
	closed  bool
}

// New returns an executor with its workers started.
func New(cfg Config) (*Executor, error) {
	c, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Executor{cfg: c, pool: newPool(c.Workers, c), queries: map[string]*query{}, pushes: map[*Push]struct{}{}}, nil
}

// Close stops every query and the workers, and waits. Uncommitted work is
// dropped: it is done again at the next start. It is idempotent.
func (e *Executor) Close() error {
	e.mu.Lock()
	if e.closed {
		e.mu.Unlock()
		return nil
	}
	e.closed = true
	var all []*query
	for _, q := range e.queries {
		all = append(all, q)
	}
	for p := range e.pushes {
		all = append(all, p.q)
	}
	e.mu.Unlock()
	for _, q := range all {
		q.mu.Lock()
		q.stopping = true
		if q.open == 0 {
			q.closeStopped()
		} else {
			q.setMode(modeFail)
		}
		if q.push != nil {
			q.push.finish(ErrClosed)
		}
		q.mu.Unlock()
	}
	for _, q := range all {
		<-q.stopped
	}
	e.pool.close()
	return nil
}

// Start builds a persistent query and runs it: state is restored first. The
// topics it uses exist. Errors: a plan that cannot be built, an ID that runs.
func (e *Executor) Start(p *plan.Query, opts StartOptions) error {
	if p.Transient {
		return fmt.Errorf("query %s is a push query", p.ID)
	}
	if opts.Group == "" {
		return errors.New("executor: StartOptions needs Group")
	}
	if opts.TxnPrefix == "" {
		opts.TxnPrefix = opts.Group
	}
	q := newQuery(p, e.cfg, opts.Group, opts.TxnPrefix)
	q.wake = e.pool.wake
	if err := q.build(); err != nil {
		q.cancel()
		return fmt.Errorf("query %s: %w", p.ID, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return ErrClosed
	}
	if e.queries[p.ID] != nil {
		return fmt.Errorf("query %s is started already", p.ID)
	}
	e.queries[p.ID] = q
	q.mu.Lock()
	defer q.mu.Unlock()
	first := modeRun
	if opts.Paused {
		q.status.State, first = Paused, modePause
	}
	q.setMode(first)
	q.notify()
	return nil
}

// query finds a started query.
func (e *Executor) query(id string) (*query, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if q := e.queries[id]; q != nil {
		return q, nil
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownQuery, id)
}

// Stop ends a query after a last commit and waits for it. When ctx ends first
// the query goes on stopping in the background; its ID is free only after that.
func (e *Executor) Stop(ctx context.Context, id string) error {
	q, err := e.query(id)
	if err != nil {
		return err
	}
	q.stop()
	select {
	case <-q.stopped:
	case <-ctx.Done():
		return fmt.Errorf("stop query %s: %w", id, ctx.Err())
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.queries[id] == q {
		delete(e.queries, id)
	}
	return nil
}

// Pause commits and stops scheduling a query; offsets and state are kept.
func (e *Executor) Pause(id string) error {
	q, err := e.query(id)
	if err == nil {
		q.pause()
	}
	return err
}

// Resume goes on with a paused query, and restarts a failed one at once.
func (e *Executor) Resume(id string) error {
	q, err := e.query(id)
	if err != nil {
		return err
	}
	return q.resume()
}

// Status returns a snapshot of a query.
func (e *Executor) Status(id string) (Status, error) {
	q, err := e.query(id)
	if err != nil {
		return Status{}, err
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.snapshot(), nil
}

// List returns the IDs of the started queries, in no order.
func (e *Executor) List() []string {
	e.mu.Lock()
	defer e.mu.Unlock()
	ids := make([]string, 0, len(e.queries))
	for id := range e.queries {
		ids = append(ids, id)
	}
	return ids
}

// Forget drops what the state store on disk holds of a query that was stopped
// for good. Its changelogs are the caller's to delete.
func (e *Executor) Forget(p *plan.Query, group string) error {
	if e.cfg.State == nil {
		return nil
	}
	q := newQuery(p, e.cfg, group, group)
	defer q.cancel()
	if err := q.build(); err != nil {
		return fmt.Errorf("query %s: %w", p.ID, err)
	}
	for _, t := range q.tasks {
		for _, s := range t.stores {
			if s.mirror == nil {
				continue
			}
			if err := s.mirror.Clear(); err != nil {
				return err
			}
		}
	}
	return nil
}
