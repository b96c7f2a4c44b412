package executor

import (
	"container/heap"
	"runtime"
	"sync"
	"time"
)

// schedState is where a task stands in the pool.
//
//	parked --wake--> queued --worker--> working --step--> parked | queued
//	working --wake--> rewoken --step--> queued
type schedState uint8

const (
	parked schedState = iota
	queued
	working
	rewoken
)

// sched is a task's place in the pool.
type sched struct {
	// The fields up to armed are guarded by pool.mu.
	state      schedState
	index      int   // in the query's heap
	queuedHead int64 // event time of the next row, as last known
	armed      bool  // a timer will wake the task

	// head and late belong to the task's owner.
	head int64
	late int64

	// woken is used instead of the pool by a driver, which has one goroutine.
	woken bool
}

// pool runs tasks on workers. Queries with ready tasks take turns; within a
// query the task with the lowest event time goes first (how far one may run
// ahead: peers.go). An idle task costs nothing here.
type pool struct {
	mu     sync.Mutex // leaf: nothing is locked under it
	cond   *sync.Cond
	turns  []*query // queries with ready tasks, each once
	closed bool
	wg     sync.WaitGroup
	after  func(time.Duration, func()) *time.Timer
}

func newPool(workers int, cfg *Config) *pool {
	p := &pool{after: cfg.Clock.AfterFunc}
	p.cond = sync.NewCond(&p.mu)
	p.wg.Add(workers)
	for range workers {
		go p.work() // ended by close, which waits
	}
	return p
}

// readyTasks is a heap of a query's ready tasks, lowest event time first.
type readyTasks []*task

func (h readyTasks) Len() int           { return len(h) }
func (h readyTasks) Less(i, j int) bool { return h[i].sched.queuedHead < h[j].sched.queuedHead }
func (h readyTasks) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].sched.index, h[j].sched.index = i, j
}
func (h *readyTasks) Push(x any) { *h = append(*h, x.(*task)) }
func (h *readyTasks) Pop() any {
	old := *h
	t := old[len(old)-1]
	*h = old[:len(old)-1]
	return t
}

// wake makes a task ready. It may be called from any goroutine and never blocks
// for long.
func (p *pool) wake(t *task) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch t.sched.state {
	case parked:
		p.enqueue(t)
	case working:
		t.sched.state = rewoken
	}
}

// enqueue makes t ready and gives its query a turn; the lock is held.
func (p *pool) enqueue(t *task) {
	t.sched.state = queued
	q := t.q
	heap.Push(&q.ready, t)
	if !q.queued {
		q.queued = true
		p.turns = append(p.turns, q)
	}
	p.cond.Signal()
}

// next takes the task to run, waiting for one; nil when the pool is closed.
func (p *pool) next() *task {
	p.mu.Lock()
	defer p.mu.Unlock()
	for {
		if p.closed {
			return nil
		}
		if len(p.turns) > 0 {
			q := p.turns[0]
			p.turns = p.turns[1:]
			t := heap.Pop(&q.ready).(*task)
			t.sched.state = working
			if q.queued = len(q.ready) > 0; q.queued {
				p.turns = append(p.turns, q)
			}
			return t
		}
		p.cond.Wait()
	}
}

// done puts a task back after a step.
func (p *pool) done(t *task, v verdict) {
	p.mu.Lock()
	t.sched.queuedHead = t.sched.head
	again := v.again || t.sched.state == rewoken
	t.sched.state = parked
	if again {
		p.enqueue(t)
	}
	arm := !again && v.after > 0 && !t.sched.armed
	t.sched.armed = t.sched.armed || arm
	p.mu.Unlock()
	if arm {
		p.after(v.after, func() {
			p.mu.Lock()
			t.sched.armed = false
			p.mu.Unlock()
			p.wake(t)
		})
	}
}

// work is a worker.
func (p *pool) work() {
	defer p.wg.Done()
	w := new(worker)
	for {
		t := p.next()
		if t == nil {
			return
		}
		v, err := t.step(w)
		if err != nil {
			t.q.fail(err)
		}
		p.done(t, v)
		runtime.Gosched() // the log's goroutines get their turn after every batch
	}
}

// close ends the workers after the steps that they are in.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	p.cond.Broadcast()
	p.mu.Unlock()
	p.wg.Wait()
}
