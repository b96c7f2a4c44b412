package executor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// mode is what the tasks of a query are told to do.
type mode int32

const (
	modeRun   mode = iota
	modePause      // commit, then rest
	modeStop       // commit, then close
	modeFail       // close at once
)

// query is a started query.
type query struct {
	plan   *plan.Query
	cfg    *Config
	group  string
	prefix string
	ctx    context.Context
	cancel context.CancelFunc
	wake   func(*task)
	push   *Push // of a transient query
	mode   atomic.Int32

	rowsIn, rowsOut, late, errs atomic.Int64
	sinks                       map[string]bool // topics that the query is there to write

	// ready and queued are guarded by pool.mu.
	ready  readyTasks
	queued bool

	mu        sync.Mutex // guards what follows; before pool.mu
	tasks     []*task
	open      int // tasks not closed
	toRestore int
	status    Status
	positions map[kafka.TopicPartition]map[string]kafka.Offset // by reader's group
	changed   chan struct{}                                    // closed when positions move; nil when nobody waits
	stopped   chan struct{}                                    // closed when all tasks are closed for good
	stopping  bool
	rand      *rand.Rand
}

func newQuery(p *plan.Query, cfg *Config, group, prefix string) *query {
	ctx, cancel := context.WithCancel(context.Background())
	q := &query{plan: p, cfg: cfg, group: group, prefix: prefix, ctx: ctx, cancel: cancel, stopped: make(chan struct{})}
	q.status = Status{ID: p.ID, State: Running}
	q.positions, q.sinks = map[kafka.TopicPartition]map[string]kafka.Offset{}, map[string]bool{}
	for s := range p.SubPlans {
		for i := range p.SubPlans[s].Nodes {
			if o, ok := p.SubPlans[s].Nodes[i].Op.(*plan.Sink); ok {
				q.sinks[o.Topic] = true
			}
		}
	}
	seed := uint64(cfg.Clock.Now().UnixNano())
	q.rand = rand.New(rand.NewPCG(seed, uint64(len(p.ID))))
	return q
}

// random is the query's source of randomness; rand.Rand is not safe for
// concurrent use.
func (q *query) random() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.rand.Uint64()
}

// build compiles the tasks: one per sub-plan and partition.
func (q *query) build() error {
	if q.plan.Version != plan.Version {
		return fmt.Errorf("plan version %d is not supported, expected %d", q.plan.Version, plan.Version)
	}
	var give func(op.ResultRow)
	if q.push != nil {
		give = q.push.give
	}
	var tasks []*task
	for s := range q.plan.SubPlans {
		sub := &q.plan.SubPlans[s]
		partitions, err := q.taskPartitions(sub)
		if err != nil {
			return err
		}
		first := len(tasks)
		for _, p := range partitions {
			prog, err := buildProgram(q.plan, sub, p, q.cfg, give)
			if err != nil {
				return err
			}
			if len(prog.inputs) == 0 {
				return fmt.Errorf("sub-plan %s has no source", sub.ID)
			}
			for _, in := range prog.inputs {
				in.stop = -1
				in.group = q.plan.ReaderGroup(q.group, sub.ID, in.node)
			}
			t := &task{
				q: q, sub: sub, partition: p, program: prog,
				name:    fmt.Sprintf("%s-%s-%d", q.prefix, sub.ID, max(p, 0)),
				limits:  limits{q.cfg.batchRows, q.cfg.FetchBytes},
				results: make(chan CommitResult, 1),
			}
			if err := q.mirror(prog); err != nil {
				return err
			}
			t.sched.queuedHead = minTime
			t.sched.head = minTime
			tasks = append(tasks, t)
		}
		joinPeers(q.plan, sub, tasks[first:len(tasks):len(tasks)], q.cfg.MaxTaskSkew.Milliseconds())
	}
	if q.plan.Transient && len(tasks) != 1 {
		return fmt.Errorf("a push query runs as one task, the plan has %d", len(tasks))
	}
	q.tasks, q.open, q.toRestore = tasks, len(tasks), len(tasks)
	return nil
}

// mirror gives the stores of a program their place in the state store on disk.
func (q *query) mirror(p *program) (err error) {
	if q.cfg.State == nil {
		return nil
	}
	for _, s := range p.stores {
		if s.changelog.Topic == "" {
			continue
		}
		if s.mirror, err = q.cfg.State.Mirror(fmt.Sprintf("%s/%s", q.group, s.changelog)); err != nil {
			return err
		}
	}
	return nil
}

// minTime sorts tasks that have not seen a row first.
const minTime = -1 << 62

// wake is called by readers, commits and timers.
func (t *task) wake() { t.q.wake(t) }

// taskPartitions lists the tasks of a sub-plan by partition.
func (q *query) taskPartitions(sub *plan.SubPlan) ([]int32, error) {
	most := int32(0)
	for i := range sub.Nodes {
		topic := ""
		switch o := sub.Nodes[i].Op.(type) {
		case *plan.Source:
			topic = o.Topic
		case *plan.RepartitionSource:
			topic = o.Topic
		case *plan.ForeignKeyJoin:
			// Keys of the two sides meet in any partitions: one task sees them all.
			return []int32{allPartitions}, nil
		default:
			continue
		}
		n, err := q.cfg.Partitions(topic)
		if err != nil {
			return nil, fmt.Errorf("topic %s: %w", topic, err)
		}
		most = max(most, n)
	}
	if q.plan.Transient {
		return []int32{allPartitions}, nil
	}
	ps := make([]int32, most)
	for i := range ps {
		ps[i] = int32(i)
	}
	return ps, nil
}

// halting reports whether tasks should come to rest.
func (q *query) halting() bool { return mode(q.mode.Load()) != modeRun }

// setMode tells the tasks what to do; q.mu is held.
func (q *query) setMode(m mode) {
	q.mode.Store(int32(m))
	for _, t := range q.tasks {
		q.wake(t)
	}
}

// fail stops the query because of an error of one of its tasks.
func (q *query) fail(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if mode(q.mode.Load()) == modeFail {
		return // the first reason counts
	}
	if q.push != nil {
		q.push.finish(err)
		q.stopping = true
	}
	q.status.State, q.status.Reason, q.status.Fatal = Failed, err.Error(), isFatal(err)
	q.setMode(modeFail)
	q.notify()
	q.move()
	q.warn("query failed", err)
}

// taskClosed counts down; the last task ends or restarts the query.
func (q *query) taskClosed() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.open--
	if q.open > 0 {
		return
	}
	if q.stopping {
		q.cancel()
		close(q.stopped)
		return
	}
	if q.status.Fatal || mode(q.mode.Load()) != modeFail {
		return
	}
	backoff := q.cfg.RestartBackoff << min(q.status.Restarts, 20)
	if backoff <= 0 || backoff > q.cfg.RestartMax {
		backoff = q.cfg.RestartMax
	}
	q.cfg.Clock.AfterFunc(backoff, func() { q.restart(false) })
}

// restart builds a failed query anew. byHand restarts also what failed for good.
func (q *query) restart(byHand bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopping || q.open > 0 || q.status.State != Failed || q.status.Fatal && !byHand {
		return nil
	}
	if err := q.build(); err != nil {
		q.status.Reason, q.status.Fatal = err.Error(), true
		q.notify()
		return err
	}
	if q.status.Restarts++; byHand {
		q.status.Restarts = 0
	}
	q.status.State, q.status.Reason, q.status.Fatal = Running, "", false
	q.setMode(modeRun)
	q.notify()
	return nil
}

// pause and resume move between running and paused.
func (q *query) pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.status.State == Running {
		q.status.State = Paused
		q.setMode(modePause)
		q.notify()
	}
}

func (q *query) resume() error {
	q.mu.Lock()
	if q.status.State == Failed {
		q.mu.Unlock()
		return q.restart(true)
	}
	defer q.mu.Unlock()
	if q.status.State == Paused {
		q.status.State = Running
		q.setMode(modeRun)
		q.notify()
	}
	return nil
}

// stop tells the tasks to commit and close; stopped is closed when they have.
func (q *query) stop() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.stopping {
		if q.open == 0 {
			q.closeStopped()
		}
		return
	}
	q.stopping = true
	if q.open == 0 {
		q.closeStopped()
		return
	}
	if mode(q.mode.Load()) != modeFail {
		q.setMode(modeStop)
	}
}

func (q *query) closeStopped() {
	select {
	case <-q.stopped:
	default:
		q.cancel()
		close(q.stopped)
	}
}

// notify tells the engine of the query's state; q.mu is held.
func (q *query) notify() {
	if q.cfg.OnStatus != nil {
		q.cfg.OnStatus(q.snapshot())
	}
}

// snapshot returns the status; q.mu is held.
func (q *query) snapshot() Status {
	s := q.status
	s.Restoring = q.toRestore > 0
	s.RowsIn, s.RowsOut, s.Late, s.Errors = q.rowsIn.Load(), q.rowsOut.Load(), q.late.Load(), q.errs.Load()
	for _, t := range q.tasks {
		for _, in := range t.inputs {
			if at, ok := q.positions[in.tp][in.group]; ok {
				s.Positions = append(s.Positions, OffsetCommit{in.group, in.tp, at})
			}
		}
	}
	return s
}

// restored counts a task that has its state.
func (q *query) restored() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.toRestore--
	q.move()
}

// committed notes positions and wakes those who wait for them.
func (q *query) committed(offsets []OffsetCommit) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, o := range offsets {
		if q.positions[o.TP] == nil {
			q.positions[o.TP] = map[string]kafka.Offset{}
		}
		q.positions[o.TP][o.Group] = o.Next
	}
	q.move()
}

// waitFor waits until the query has committed everything below next of tp.
func (q *query) waitFor(ctx context.Context, tp kafka.TopicPartition, next kafka.Offset) error {
	return q.waitUntil(ctx, func() bool {
		for _, at := range q.positions[tp] {
			if at < next {
				return false
			}
		}
		return len(q.positions[tp]) > 0
	})
}

// waitUntil waits for a condition over positions and restored state, which is
// asked with q.mu held. It ends with an error when the query fails or stops.
func (q *query) waitUntil(ctx context.Context, holds func() bool) error {
	for {
		q.mu.Lock()
		if holds() {
			q.mu.Unlock()
			return nil
		}
		if q.status.State == Failed {
			defer q.mu.Unlock()
			return fmt.Errorf("query %s failed: %s", q.plan.ID, q.status.Reason)
		}
		if q.changed == nil {
			q.changed = make(chan struct{})
		}
		changed := q.changed
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-q.stopped:
			return fmt.Errorf("query %s was stopped", q.plan.ID)
		}
	}
}

// move wakes those who wait for the query to get further; q.mu is held.
func (q *query) move() {
	if q.changed != nil {
		close(q.changed)
		q.changed = nil
	}
}

func (q *query) warn(msg string, err error) {
	if q.cfg.Logger != nil {
		q.cfg.Logger.Warn(msg, "query", q.plan.ID, "error", err)
	}
}

// logPanic notes a panic, which is a bug of ours.
func (q *query) logPanic(r any) {
	if q.cfg.Logger != nil {
		q.cfg.Logger.Error("panic in a task", "query", q.plan.ID, "panic", r)
	}
}

// settle is the first part of every step: what the mode demands before the
// phase's own work. done says that the step is over.
func (t *task) settle() (done bool) {
	switch mode(t.q.mode.Load()) {
	case modeFail:
	case modeStop:
		if t.phase == committing || t.phase == resolving || t.phase == reverting {
			return false
		}
		if t.phase == running && !t.q.plan.Transient && t.uncommitted() {
			return false
		}
	default:
		return t.phase == closed
	}
	if t.unanswered() {
		return true
	}
	if t.phase != closed {
		t.close()
		t.q.taskClosed()
	}
	return true
}
