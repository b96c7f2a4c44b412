package executor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// phase is what a task does at its next step.
//
//	opening -> restoring -> running -> committing -> running
//	committing -> reverting (aborted) -> running
//	committing -> resolving (unknown) -> running | reverting
//	any -> closed (stopped, failed)
type phase uint8

const (
	opening phase = iota
	restoring
	running
	committing
	resolving
	reverting
	closed
)

// limits are the sizes that a task works with.
type limits struct {
	batchRows  int
	fetchBytes int
}

// task runs one sub-plan on one partition. One worker owns it at a time; wake
// and the fields of sched are the only things others touch.
type task struct {
	q         *query
	name      string // transactional unit
	sub       *plan.SubPlan
	partition int32
	*program

	phase   phase
	stage   stage
	entries []op.Entry // of the present run
	strict  error      // a bad row that stops the query by its properties
	limits  limits
	restore *restoration

	txn     Txn
	results chan CommitResult // capacity 1: the answer to the commit in flight
	answers chan answer       // capacity 1: the answer to an inquiry, nil when none is out
	pending []OffsetCommit    // what it commits
	sent    []PartitionBatches
	began   time.Time // of the commit in flight

	dirtySince time.Time // first run since the last commit, zero for none
	lastCommit time.Time
	lastTook   time.Duration
	attempts   int // commits aborted in a row

	sched sched
	peers *peers // nil when the task runs at its own pace
	front front
}

// fatalError stops a query for good: doing the same again would fail again.
type fatalError struct{ err error }

func (e *fatalError) Error() string { return e.err.Error() }
func (e *fatalError) Unwrap() error { return e.err }

// verdict is what the pool does with a task after a step.
type verdict struct {
	again bool
	// after wakes the task later when again is not set; 0 waits for a wake.
	after time.Duration
}

var (
	runAgain = verdict{again: true}
	idle     = verdict{}
)

// step does a piece of work, about one batch, and says how to go on.
func (t *task) step(w *worker) (v verdict, err error) {
	defer func() {
		if r := recover(); r != nil {
			v, err = idle, &fatalError{fmt.Errorf("panic: %v", r)}
			t.q.logPanic(r)
		}
		w.scratch.Reset()
	}()
	if t.settle() {
		return idle, nil
	}
	switch t.phase {
	case opening:
		return t.openStep()
	case restoring:
		return t.restoreStep(w)
	case running:
		return t.runStep(w)
	case committing:
		return t.commitResult()
	case resolving:
		return t.resolve()
	case reverting:
		return t.revert()
	}
	return idle, nil
}

// committed asks the log for the offsets of some groups and topic-partitions, -1
// for none.
func (t *task) committed(ctx context.Context, of []OffsetCommit) ([]kafka.Offset, error) {
	byGroup := map[string][]int{}
	for i, o := range of {
		byGroup[o.Group] = append(byGroup[o.Group], i)
	}
	offsets := make([]kafka.Offset, len(of))
	for group, at := range byGroup {
		tps := make([]kafka.TopicPartition, len(at))
		for j, i := range at {
			tps[j] = of[i].TP
		}
		got, err := t.q.cfg.Log.Committed(ctx, group, tps)
		if err != nil {
			return nil, fmt.Errorf("read offsets of group %s: %w", group, err)
		}
		for j, i := range at {
			offsets[i] = got[j]
		}
	}
	return offsets, nil
}

// openStep finds where to start, and opens the transaction and the restore.
func (t *task) openStep() (verdict, error) {
	if t.q.plan.Transient {
		t.attach()
		if err := t.resetOperators(); err != nil {
			return idle, err
		}
		if err := t.seekAll(); err != nil {
			return idle, err
		}
		t.phase = running
		return runAgain, nil
	}
	a, ok := t.inquire(t.whereToStart)
	if !ok || a.err != nil {
		return idle, a.err
	}
	t.txn = a.txn
	return t.opened(a)
}

// whereToStart asks for the offsets of the inputs, and how much there is to
// restore.
func (t *task) whereToStart() (q inquiry) {
	for _, in := range t.inputs {
		q.offsets = append(q.offsets, OffsetCommit{Group: in.group, TP: in.tp})
		q.bounds = append(q.bounds, in.tp)
	}
	for _, s := range t.stores {
		if s.changelog.Topic != "" {
			q.bounds = append(q.bounds, s.changelog)
		}
	}
	return q
}

// attach gives the stores their share of the memory, and their mirrors.
func (t *task) attach() {
	for _, s := range t.stores {
		s.Attach(t.q.cfg.budget, s.mirror)
	}
}

// opened starts the restore.
func (t *task) opened(a answer) (v verdict, err error) {
	t.attach()
	for i, in := range t.inputs {
		at, first := a.offsets[i], a.bounds[in.tp].first
		switch {
		case at < 0:
			at = first
		case at < first:
			return idle, &fatalError{fmt.Errorf("offset %d of %s is out of range: the log starts at %d", at, in.tp, first)}
		}
		in.committed, in.next = at, at
		in.stop = -1
		t.q.committed([]OffsetCommit{{in.group, in.tp, at}})
	}
	for _, s := range t.stores {
		s.Lock()
		s.Clear()
		s.Unlock()
	}
	t.restore, err = t.newRestoration(a.bounds)
	if err != nil {
		return idle, err
	}
	t.phase = restoring
	return runAgain, nil
}

// restoreStep reads a piece of a changelog; behind the last it opens the inputs.
func (t *task) restoreStep(w *worker) (verdict, error) {
	if t.q.halting() {
		return idle, nil
	}
	done, blocked, err := t.restore.step(t, w)
	t.q.cfg.budget.Reclaim()
	switch {
	case err != nil:
		return idle, fmt.Errorf("restore: %w", err)
	case blocked:
		return idle, nil
	case !done:
		return runAgain, nil
	}
	t.restore = nil
	for _, s := range t.stores {
		s.Lock()
		s.Commit()
		s.Unlock()
	}
	if err := t.resetOperators(); err != nil {
		return idle, err
	}
	if err := t.seekAll(); err != nil {
		return idle, err
	}
	t.phase = running
	t.q.restored()
	return runAgain, nil
}

func (t *task) resetOperators() error {
	for _, s := range t.stores {
		s.Lock()
		defer s.Unlock()
	}
	for _, reset := range t.resets {
		if err := reset(); err != nil {
			return &fatalError{err}
		}
	}
	return t.storeErr()
}

// storeErr returns an error of the disk behind a store: what was computed since
// then is worthless. The query restarts.
func (t *task) storeErr() error {
	for _, s := range t.stores {
		if err := s.Err(); err != nil {
			return fmt.Errorf("store %s: %w", s.Name, err)
		}
	}
	return nil
}

// seekAll opens the readers where the inputs go on.
func (t *task) seekAll() error {
	for _, in := range t.inputs {
		if err := in.seek(t.q.cfg.Log, in.next, t.wake); err != nil {
			return err
		}
	}
	return nil
}

// runStep processes the next run of rows, or commits, or waits.
func (t *task) runStep(w *worker) (verdict, error) {
	if t.q.halting() {
		if t.uncommitted() {
			return t.commit()
		}
		return idle, nil
	}
	if t.q.push != nil && t.q.push.full() {
		return idle, nil
	}
	c := t.context(w)
	in, run, why, err := t.choose(&c.Context, w, c.Report)
	if err == nil {
		err = t.strict
	}
	if err != nil {
		return idle, err
	}
	if in == nil {
		return t.drained(why)
	}
	t.front.staged = true
	for _, s := range t.stores {
		s.Lock()
	}
	if err = t.process(c, in, run); err == nil {
		err = t.strict
	}
	if t.q.plan.Transient && err == nil {
		for _, s := range t.stores {
			s.Commit()
		}
	}
	broken := t.storeErr()
	for _, s := range t.stores {
		s.Unlock()
	}
	if broken != nil {
		return idle, broken
	}
	if err != nil {
		return idle, &fatalError{err}
	}
	if t.q.plan.Transient {
		t.q.cfg.budget.Reclaim()
	}
	if t.result != nil && t.result.Done() {
		t.q.push.finish(nil)
		return idle, nil
	}
	now := t.q.cfg.Clock.Now()
	if t.dirtySince.IsZero() {
		t.dirtySince = now
	}
	if !t.q.plan.Transient && (t.stage.bytes() >= t.q.cfg.CommitBytes || now.Sub(t.dirtySince) >= t.q.cfg.CommitInterval) {
		return t.commit()
	}
	return runAgain, nil
}

// context readies what a run lends its operators. Wall time is captured here,
// for all records of the run.
func (t *task) context(w *worker) *op.Context {
	q := t.q
	return &op.Context{
		Context: expr.Context{Scratch: &w.scratch, NowMs: q.cfg.Clock.Now().UnixMilli(), Random: q.random},
		Out:     &t.stage,
		Late:    &t.sched.late,
		Report: func(e op.Entry) {
			q.report(&t.stage, e)
			if t.strict == nil && q.strict(e.Kind) {
				t.strict = &fatalError{fmt.Errorf("%s-%d offset %d: %s: %w", e.Topic, e.Partition, e.Offset, e.Kind, e.Cause)}
			}
		},
	}
}

// choose returns the input whose head row comes next and the number behind the
// last row of its run. It returns nil and why when nothing can be chosen now:
// inputs are at their ends, one is not known, or (ready) the row has to wait for
// the task's peers.
func (t *task) choose(c *expr.Context, w *worker, onBad func(op.Entry)) (*input, int, readiness, error) {
	var best *input
	waits := false
	second := int64(math.MaxInt64) // smallest head time of the others
	secondAt, bestAt := len(t.inputs), 0
	for i, in := range t.inputs {
		r, err := in.ask(c, w, &t.limits, onBad)
		if err != nil {
			return nil, 0, unknown, err
		}
		switch r {
		case unknown:
			waits = true
			continue
		case ended:
			continue
		}
		head := in.headTime()
		switch {
		case best == nil:
			best, bestAt = in, i
		case head < best.headTime():
			second, secondAt = best.headTime(), bestAt
			best, bestAt = in, i
		case head < second:
			second, secondAt = head, i
		}
	}
	if waits {
		return nil, 0, unknown, nil
	}
	for _, in := range t.inputs {
		in.atEnd = false // the next choice asks anew
	}
	switch {
	case best == nil:
		return nil, 0, ended, nil
	}
	t.sched.head = best.headTime()
	limit, ok := t.peers.limit(t, t.sched.head)
	if !ok {
		return nil, 0, ready, nil
	}
	if bestAt > secondAt {
		second-- // ties go by input order
	}
	rows, last := best.rows, min(second, limit)
	to := best.cursor + 1
	for to < rows.Rows && !t.oneByOne && rows.Time[to] <= last {
		to++
	}
	// A change's two rows belong to one record and one run.
	for to < rows.Rows && rows.Offset[to] == rows.Offset[to-1] {
		to++
	}
	return best, to, ready, nil
}

// process runs the operators on the rows up to to.
func (t *task) process(c *op.Context, in *input, to int) error {
	b := c.Scratch.Derive(in.rows)
	b.Sel = batch.Range(in.cursor, to)
	n := int64(to - in.cursor)
	report := c.Report
	t.entries = t.entries[:0]
	c.Report = func(e op.Entry) { t.entries = append(t.entries, e) }
	err := in.port.Process(c, b)
	in.advance(to)
	in.passBad(c.Report)
	// Entries come operator by operator; the log has them record by record.
	slices.SortStableFunc(t.entries, func(x, y op.Entry) int { return cmp.Compare(x.Offset, y.Offset) })
	for _, e := range t.entries {
		report(e)
	}
	if in.decoder != nil { // what the query hands to itself was counted before
		t.q.rowsIn.Add(n)
	}
	if late := t.sched.late; late != 0 {
		t.q.late.Add(late)
		t.sched.late = 0
	}
	return err
}

// drained decides when what was done is committed, now that nothing is left or
// what is left has to wait: then, and when a peer waits for the commit, at once.
func (t *task) drained(why readiness) (verdict, error) {
	if (why == ready || t.peers.drained(t, why == ended)) && t.uncommitted() {
		return t.commit()
	}
	if t.q.plan.Transient {
		if t.bounded() {
			t.q.push.finish(nil)
		}
		return idle, nil
	}
	if !t.uncommitted() {
		return idle, nil
	}
	return t.commitLater()
}

// commitLater commits when the last commit is long enough ago.
func (t *task) commitLater() (verdict, error) {
	cfg := t.q.cfg
	now := cfg.Clock.Now()
	if t.dirtySince.IsZero() {
		t.dirtySince = now // records that gave no row still move offsets
	}
	wait := max(cfg.CommitMinDelay, 2*t.lastTook) - now.Sub(t.lastCommit)
	wait = min(wait, cfg.CommitInterval-now.Sub(t.dirtySince))
	if wait <= 0 {
		return t.commit()
	}
	return verdict{after: wait}, nil
}

// bounded reports whether every input of a bounded read is at its stop.
func (t *task) bounded() bool {
	for _, in := range t.inputs {
		if in.stop < 0 || in.next < in.stop {
			return false
		}
	}
	return true
}

// uncommitted reports whether any offset moved since the last commit. Without
// input there is no transaction.
func (t *task) uncommitted() bool {
	for _, in := range t.inputs {
		if in.next > in.committed {
			return true
		}
	}
	return false
}

// close gives everything up. It is idempotent.
func (t *task) close() {
	if t.phase == closed {
		return
	}
	t.phase = closed
	for _, in := range t.inputs {
		in.close()
	}
	if t.restore != nil {
		t.restore.close()
		t.restore = nil
	}
	for _, s := range t.stores {
		s.Detach()
	}
	t.stage.drop()
	if t.txn != nil {
		t.txn.Close()
		t.txn = nil
	}
}

// isFatal reports whether doing the same again would fail again.
func isFatal(err error) bool {
	var f *fatalError
	return errors.As(err, &f) && !errors.Is(err, context.Canceled)
}
