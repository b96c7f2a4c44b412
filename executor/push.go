package executor

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// PushOptions say how a push query runs.
type PushOptions struct {
	// Earliest starts at the first readable offsets instead of the present end.
	Earliest bool
	// Bounded ends the query at the end that its inputs had when it started.
	Bounded bool

	problems *Problems // of the pull query that it is a part of
}

// Push is a running push query. Rows wait in a buffer of Config.PushBuffer; while
// it is full the query rests, and after Config.PushMaxLag it ends.
type Push struct {
	e *Executor
	q *query

	problems *Problems

	mu    sync.Mutex // leaf
	fresh bool       // there are problems that Next has not announced
	rows  []Row
	err   error // what ends the query, io.EOF when it is complete; nil while it runs
	slow  *time.Timer
	ready chan struct{} // capacity 1: rows or err are there
}

// Push starts a transient query. The caller closes it.
func (e *Executor) Push(ctx context.Context, p *plan.Query, opts PushOptions) (*Push, error) {
	if !p.Transient {
		return nil, fmt.Errorf("query %s is a persistent query", p.ID)
	}
	q := newQuery(p, e.cfg, "", "")
	q.wake = e.pool.wake
	push := &Push{e: e, q: q, problems: opts.problems, ready: make(chan struct{}, 1)}
	if push.problems == nil {
		push.problems = newProblems(e.cfg, p.ID)
	}
	q.push = push
	err := q.build()
	if err == nil {
		err = push.place(ctx, opts)
	}
	if err != nil {
		q.cancel()
		return nil, fmt.Errorf("query %s: %w", p.ID, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		q.cancel()
		return nil, ErrClosed
	}
	e.pushes[push] = struct{}{}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.setMode(modeRun)
	return push, nil
}

// place finds the offsets to start and to stop at.
func (p *Push) place(ctx context.Context, opts PushOptions) error {
	for _, t := range p.q.tasks {
		for _, in := range t.inputs {
			first, stable, err := p.q.cfg.Log.Bounds(ctx, in.tp)
			if err != nil {
				return fmt.Errorf("read bounds of %s: %w", in.tp, err)
			}
			in.next, in.stop = stable, kafka.Offset(-1)
			if opts.Earliest {
				in.next = first
			}
			if opts.Bounded {
				in.stop = stable
			}
		}
	}
	return nil
}

// give takes a row from the task.
func (p *Push) give(r op.ResultRow) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	p.rows = append(p.rows, Row(r))
	if len(p.rows) >= p.q.cfg.PushBuffer && p.slow == nil {
		p.slow = p.q.cfg.Clock.AfterFunc(p.q.cfg.PushMaxLag, func() { p.finish(ErrSlowReader) })
	}
	p.signal()
}

// bad takes a bad record from the task.
func (p *Push) bad(e op.Entry) {
	if !p.problems.add(e) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fresh = true
	p.signal()
}

// Problems returns what went wrong with records so far.
func (p *Push) Problems() []Problem { return p.problems.List() }

func (p *Push) signal() {
	select {
	case p.ready <- struct{}{}:
	default:
	}
}

// full reports whether the task should rest until rows are taken.
func (p *Push) full() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil || len(p.rows) >= p.q.cfg.PushBuffer
}

// finish ends the result; nil means that it is complete. The first reason
// counts.
func (p *Push) finish(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err != nil {
		return
	}
	if err == nil {
		err = io.EOF
	}
	p.err = err
	p.stopTimer()
	p.signal()
}

func (p *Push) stopTimer() {
	if p.slow != nil {
		p.slow.Stop()
		p.slow = nil
	}
}

// Next returns the rows that are ready, in order; it waits for them. There are
// none when it returns because of a problem that Problems did not have before. It
// ends with io.EOF after the LIMIT or at the bound, with ErrSlowReader,
// with the query's failure, or with ctx's error. It is for one goroutine.
func (p *Push) Next(ctx context.Context) ([]Row, error) {
	for {
		p.mu.Lock()
		rows, err, fresh := p.rows, p.err, p.fresh
		p.fresh = false
		if (len(rows) > 0 || fresh) && err != ErrSlowReader {
			p.rows = nil
			p.stopTimer()
			p.mu.Unlock()
			p.problems.flush()
			if len(rows) >= p.q.cfg.PushBuffer {
				p.q.mu.Lock()
				for _, t := range p.q.tasks {
					t.wake()
				}
				p.q.mu.Unlock()
			}
			return rows, nil
		}
		p.mu.Unlock()
		if err != nil {
			p.problems.flush()
			return nil, err
		}
		select {
		case <-p.ready:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close ends the query and waits for its task. It is idempotent.
func (p *Push) Close() {
	p.finish(ErrClosed)
	p.q.stop()
	<-p.q.stopped
	p.problems.flush()
	p.e.mu.Lock()
	defer p.e.mu.Unlock()
	delete(p.e.pushes, p)
}
