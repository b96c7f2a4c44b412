package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TestProcessingLogIsExactlyOnce reads bad records while commits are aborted,
// lost and left in doubt: each has one entry.
func TestProcessingLogIsExactlyOnce(t *testing.T) {
	log := new(MemLog)
	var n atomic.Int64
	log.Fault = func(string, CommitRequest) Fault {
		return []Fault{FaultUnsure, FaultAbort, NoFault, FaultLost}[n.Add(1)%4]
	}
	tp := kafka.TopicPartition{Topic: "proclog"}
	e, err := New(Config{Log: log, Partitions: partitions4, ProcessingLog: tp})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(testQuery(sourceNode("s", false, false)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	const bad = 20
	for range bad {
		var w kafka.BatchBuilder
		w.Append(1, []byte("k"), []byte("{oops"), nil)
		w.Finish()
		if _, err := log.Append(kafka.TopicPartition{Topic: "s"}, w.Bytes()); err != nil {
			t.Fatal(err)
		}
		waitConsumed(t, e, "Q")
	}
	recs, err := log.Records(tp)
	if err != nil {
		t.Fatal(err)
	}
	if len(recs) != bad {
		t.Fatalf("%d entries for %d bad records", len(recs), bad)
	}
	for i, r := range recs {
		var entry struct {
			QUERY, KIND, TOPIC, CAUSE string
			OFFSET                    int
			RECORD                    []byte
		}
		if err := json.Unmarshal(r.Value, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.QUERY != "Q" || entry.KIND != "deserialization" || entry.TOPIC != "s" || entry.OFFSET != i || string(entry.RECORD) != "{oops" || entry.CAUSE == "" {
			t.Fatalf("entry %d is %s", i, r.Value)
		}
	}
}

// brokenLog fails to open readers until it is repaired.
type brokenLog struct {
	*MemLog
	left atomic.Int64
}

func (l *brokenLog) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (Reader, error) {
	if l.left.Add(-1) >= 0 {
		return nil, errors.New("the log is away")
	}
	return l.MemLog.OpenReader(tp, from, wake)
}

func TestFailedQueryRestarts(t *testing.T) {
	log := &brokenLog{MemLog: new(MemLog)}
	log.left.Store(3)
	var failures atomic.Int64
	e, err := New(Config{Log: log, Partitions: partitions4, RestartBackoff: time.Millisecond, RestartMax: time.Millisecond, OnStatus: func(s Status) {
		if s.State == Failed {
			failures.Add(1)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	feed(t, log.MemLog, 0, 50)
	if err := e.Start(testQuery(sourceNode("s", false, false)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	// Waiting ends with an error while the query is failed: try until it runs.
	q, err := e.query("Q")
	if err != nil {
		t.Fatal(err)
	}
	for e.waitInputs(context.Background(), q) != nil {
	}
	if got := outputs(t, log.MemLog, "out"); len(got) != 50 {
		t.Fatalf("%d records came out", len(got))
	}
	if failures.Load() == 0 {
		t.Fatal("the query never failed")
	}
}

// decimalSum overflows at 10.
func decimalSum() *plan.Query {
	dec := types.Decimal(1, 0)
	in := keyed(types.String, types.Column{Name: "D", Type: dec})
	src := plan.Node{ID: "Source", Schema: in, Op: &plan.Source{Topic: "s", Key: kafkaFormat, Value: jsonFormat}}
	return testQuery(src, plan.Node{ID: "Aggregate", Inputs: []int{0}, Schema: in, Table: true, Op: &plan.Aggregate{
		Calls: []plan.AggregateCall{{Function: "SUM(DECIMAL)", Args: []*plan.Expr{column(in, 1)}, Type: dec}}, Store: plan.Store{Name: "a", Changelog: "a-changelog"}}})
}

func TestAggregateOverflowStopsTheQuery(t *testing.T) {
	d, err := NewDriver(decimalSum(), DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Push(rec(t, 1, `s a {"D":9}`)); err != nil {
		t.Fatal(err)
	}
	err = d.Push(rec(t, 2, `s a {"D":1}`))
	if err == nil || !strings.Contains(err.Error(), "Aggregate") || !isFatal(err) {
		t.Fatalf("error is %v", err)
	}
	out, err := d.Take()
	if err != nil || len(out) != 1 {
		t.Fatalf("%d records came out, %v", len(out), err)
	}
	if d.Push(rec(t, 3, `s a {"D":0}`)) == nil {
		t.Fatal("a failed driver goes on")
	}
}

func TestOffsetOutOfRangeIsAnErrorState(t *testing.T) {
	log := &trimmedLog{MemLog: new(MemLog)}
	statuses := make(chan Status, 64)
	e, err := New(Config{Log: log, Partitions: partitions4, OnStatus: func(s Status) { statuses <- s }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(testQuery(sourceNode("s", false, false)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	for s := range statuses {
		if s.State == Failed {
			if !s.Fatal || !strings.Contains(s.Reason, "out of range") {
				t.Fatalf("status is %+v", s)
			}
			return
		}
	}
}

// trimmedLog starts at offset 10, and the group stands at 5.
type trimmedLog struct{ *MemLog }

func (l *trimmedLog) Bounds(context.Context, kafka.TopicPartition) (first, stable kafka.Offset, err error) {
	return 10, 20, nil
}

func (l *trimmedLog) Committed(_ context.Context, _ string, tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	out := make([]kafka.Offset, len(tps))
	for i := range out {
		out[i] = 5
	}
	return out, nil
}

func TestPanicFailsTheQuery(t *testing.T) {
	d, err := NewDriver(testQuery(sourceNode("s", false, false)), DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	d.q.tasks[0].inputs[0].port = nil
	if err := d.Push(rec(t, 1, `s a {"A":1}`)); err == nil || !strings.Contains(err.Error(), "panic") || !isFatal(err) {
		t.Fatalf("error is %v", err)
	}
}

func TestSlowReaderIsEnded(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: partitions4, PushBuffer: 4, PushMaxLag: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	feed(t, log, 0, 100)
	q := &plan.Query{Version: plan.Version, ID: "P", Transient: true, SubPlans: []plan.SubPlan{{ID: "Main", Nodes: []plan.Node{sourceNode("s", false, false),
		{ID: "Result", Inputs: []int{0}, Schema: abSchema, Op: &plan.Result{Columns: []int{1}, Limit: -1}}}}}}
	p, err := e.Push(context.Background(), q, PushOptions{Earliest: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for !p.ended() { // nobody reads
		<-p.ready
	}
	if _, err := p.Next(context.Background()); !errors.Is(err, ErrSlowReader) {
		t.Fatalf("error is %v", err)
	}
}

func (p *Push) ended() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err != nil
}

// TestStatefulRestartUnderFaults counts by key over 4 partitions while commits
// fail and the executor is replaced twice; the table must be exact.
func TestStatefulRestartUnderFaults(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprintf("log waits %v", waits), func(t *testing.T) { statefulRestartUnderFaults(t, waits) })
	}
}

func statefulRestartUnderFaults(t *testing.T, waits bool) {
	log := new(MemLog)
	var n atomic.Int64
	log.Fault = func(string, CommitRequest) Fault {
		return []Fault{NoFault, FaultAbort, FaultLost, FaultUnsure}[n.Add(1)%4]
	}
	src := sourceNode("s", false, false)
	for round := range 3 {
		e, err := New(Config{Log: log, Partitions: partitions4, Workers: 2, LogWaits: waits})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(testQuery(src, sumCount(src, 0, nil)), StartOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		feed(t, log, round*170, 170)
		waitConsumed(t, e, "Q")
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := outputs(t, log, "out")
	total := 0
	for line, times := range got {
		if times != 1 {
			t.Fatalf("%s came out %d times", line, times)
		}
		total++
	}
	if total != 510 {
		t.Fatalf("%d updates came out, want one per record", total)
	}
	for k := range 17 {
		var sum int
		for i := k; i < 510; i += 17 {
			sum += i
		}
		if line := fmt.Sprintf(`k%d {"S":%d,"N":30}`, k, sum); got[line] != 1 {
			t.Fatalf("final row %s is missing", line)
		}
	}
}

func TestStrictProperties(t *testing.T) {
	for property, bad := range map[string]DriverRecord{
		"ksql.fail.on.deserialization.error": rec(t, 1, `s a {`),
		"ksql.timestamp.throw.on.invalid":    rec(t, -1, `s a {"A":1}`),
	} {
		for _, on := range []bool{false, true} {
			q := testQuery(sourceNode("s", false, false))
			q.Properties = map[string]string{property: fmt.Sprint(on)}
			d, err := NewDriver(q, DriverConfig{})
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Push(bad); (err != nil) != on || on && !isFatal(err) {
				t.Errorf("%s=%v: error is %v", property, on, err)
			}
		}
	}
}

// TestSchedule checks whose turn it is, without workers: queries take turns and
// the lowest event time goes first.
func TestSchedule(t *testing.T) {
	cfg, err := Config{Log: new(MemLog), Partitions: partitions4}.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	p := newPool(0, cfg)
	a, b := &query{cfg: cfg}, &query{cfg: cfg}
	ready := func(q *query, head int64) *task {
		tk := &task{q: q}
		tk.sched.queuedHead, tk.sched.head = head, head
		p.wake(tk)
		p.wake(tk) // twice is once
		return tk
	}
	a100, a5, b7 := ready(a, 100), ready(a, 5), ready(b, 7)
	if got := p.next(); got != a5 {
		t.Fatal("the lowest event time of the first query does not go first")
	}
	if got := p.next(); got != b7 {
		t.Fatal("the second query does not get its turn")
	}
	p.wake(a5) // while it works
	if len(p.turns) != 1 || p.turns[0] != a {
		t.Fatal("the first query lost its turn")
	}
	b9 := ready(b, 9)
	if got := p.next(); got != a100 {
		t.Fatal("the queries do not take turns")
	}
	if got := p.next(); got != b9 {
		t.Fatal("the second query lost its turn")
	}
	a5.sched.head = 95
	p.done(a5, idle)
	if a5.sched.state != queued {
		t.Fatal("a task that was woken while it worked is not queued")
	}
	if got := p.next(); got != a5 {
		t.Fatal("a task that was woken while it worked does not run")
	}
}
