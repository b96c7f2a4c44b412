package executor

import (
	"math"
	"slices"
	"sync"

	"github.com/millrace/millrace/planner/plan"
)

// peers are the tasks of a sub-plan that feeds a repartition topic. They stay
// together in event time while they catch up, so that the topic is not scrambled
// and what stands behind it does not take rows for late (DESIGN D4).
//
// Each task has a front: the event time of its first row that is not committed
// yet, since what is only staged will stand behind what others commit before. No
// task takes a row beyond the lowest front of the others + skew; one that is held
// back commits, which moves its own front to its head, and waits. So the task
// with the lowest head can always go on, and it runs up to the others' fronts +
// skew in one step.
//
//	front      minTime         nothing is known yet: holds everybody back
//	           a row's time    of the first row not committed, or of the head
//	           noFront         every input was at its end, all is committed
//
// As in KIP-695 an input whose fetch is outstanding holds others back, an input
// that was seen at its end does not.
type peers struct {
	mu     sync.Mutex // guards front and awaits of the tasks; before pool.mu
	skewMs int64
	tasks  []*task
}

// front is a task's place among its peers, guarded by peers.mu but for staged,
// which is its owner's.
type front struct {
	at int64
	// awaits is the head that the task cannot pass yet, noFront for none.
	awaits int64
	// staged says that rows were taken since the last commit: at stands still.
	staged bool
}

// noFront is the front of a task that holds nobody back.
const noFront = math.MaxInt64

// joinPeers joins the tasks of a sub-plan when they are to be kept together.
func joinPeers(q *plan.Query, sub *plan.SubPlan, tasks []*task, skewMs int64) {
	if len(tasks) < 2 {
		return
	}
	feeds, slack := false, int64(math.MaxInt64)
	for i := range sub.Nodes {
		if o, ok := sub.Nodes[i].Op.(*plan.Repartition); ok {
			feeds = true
			slack = min(slack, graceBehind(q, o.Topic)/graceShare)
		}
	}
	if !feeds {
		return
	}
	p := &peers{skewMs: max(skewMs, slack), tasks: tasks}
	for _, t := range tasks {
		t.peers, t.front = p, front{at: minTime, awaits: noFront}
	}
}

// graceShare is the part of the grace behind a repartition topic, as
// 1/graceShare, that skew may use up where it is more than the configured skew: a
// tight bound costs a commit per step of it, and windows with a day's grace gain
// nothing from it.
const graceShare = 16

// graceBehind returns the least grace of the windows behind a repartition topic,
// 0 when anything there depends on order in another way.
func graceBehind(q *plan.Query, topic string) int64 {
	grace := int64(math.MaxInt64)
	for s := range q.SubPlans {
		nodes := q.SubPlans[s].Nodes
		reads := slices.ContainsFunc(nodes, func(n plan.Node) bool {
			o, ok := n.Op.(*plan.RepartitionSource)
			return ok && o.Topic == topic
		})
		for i := 0; reads && i < len(nodes); i++ {
			switch o := nodes[i].Op.(type) {
			case *plan.Aggregate:
				if o.Window == nil || o.EmitFinal {
					return 0
				}
				grace = min(grace, o.Window.GraceMs)
			case *plan.RepartitionSource, *plan.Filter, *plan.Project, *plan.Sink:
			default:
				return 0
			}
		}
	}
	if grace == math.MaxInt64 {
		return 0
	}
	return grace
}

// limit returns the largest event time that t may take rows of, now that its
// next row is at head. ok is false when that row has to wait: t is woken when it
// may be taken.
func (p *peers) limit(t *task, head int64) (limit int64, ok bool) {
	if p == nil {
		return math.MaxInt64, true
	}
	p.mu.Lock()
	wakes := p.advance(t, head)
	limit = p.bound(t)
	ok = head <= limit
	t.front.awaits = noFront
	if !ok {
		t.front.awaits = head
		for _, o := range p.tasks { // whoever only lacks a commit makes it now
			if o != t && o.front.at < head-p.skewMs {
				wakes = append(wakes, o)
			}
		}
	}
	p.mu.Unlock()
	wakeAll(wakes)
	return limit, ok
}

// drained notes that t has no row now: known says that its inputs are at their
// ends. It reports whether a peer waits for t to commit.
func (p *peers) drained(t *task, known bool) bool {
	if p == nil {
		return false
	}
	p.mu.Lock()
	to := int64(noFront)
	if !known {
		to = min(t.front.at, t.sched.head)
	}
	wakes := p.advance(t, to)
	t.front.awaits = noFront
	awaited := false
	for _, o := range p.tasks {
		awaited = awaited || o != t && o.front.awaits != noFront && o.front.awaits-p.skewMs > t.front.at
	}
	p.mu.Unlock()
	wakeAll(wakes)
	return awaited && t.front.staged
}

// advance moves t's front unless staged rows hold it, and returns the tasks that
// may go on; the lock is held.
func (p *peers) advance(t *task, to int64) (wakes []*task) {
	if t.front.staged || t.front.at == to {
		return nil
	}
	t.front.at = to
	for _, o := range p.tasks {
		if o != t && o.front.awaits != noFront && o.front.awaits <= p.bound(o) {
			o.front.awaits = noFront
			wakes = append(wakes, o)
		}
	}
	return wakes
}

// bound is the lowest front of t's peers + skew; the lock is held.
func (p *peers) bound(t *task) int64 {
	low := int64(noFront)
	for _, o := range p.tasks {
		if o != t {
			low = min(low, o.front.at)
		}
	}
	return min(low, noFront-p.skewMs) + p.skewMs
}

func wakeAll(tasks []*task) {
	for _, t := range tasks {
		t.wake()
	}
}
