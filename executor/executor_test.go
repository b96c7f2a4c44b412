package executor

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

var headerX = kafka.Header{Key: "X", Value: []byte("h")}

// partitions4 answers 4 partitions for every topic.
func partitions4(string) (int32, error) { return 4, nil }

// feed appends n records over 4 partitions of topic s.
func feed(t testing.TB, log *MemLog, from, n int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		var w kafka.BatchBuilder
		key := fmt.Appendf(nil, "k%d", i%17)
		w.Append(kafka.Timestamp(i), key, fmt.Appendf(nil, `{"A":%d,"B":%d}`, i, i%5), nil)
		w.Finish()
		if _, err := log.Append(kafka.TopicPartition{Topic: "s", Partition: kafka.Partition(key, 4)}, w.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
}

// waitConsumed waits until the query committed all that its inputs hold.
func waitConsumed(t testing.TB, e *Executor, id string) {
	t.Helper()
	q, err := e.query(id)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.waitInputs(context.Background(), q); err != nil {
		t.Fatal(err)
	}
}

func outputs(t testing.TB, log *MemLog, topic string) map[string]int {
	t.Helper()
	got := map[string]int{}
	for p := range int32(4) {
		recs, err := log.Records(kafka.TopicPartition{Topic: topic, Partition: p})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range recs {
			got[string(r.Key)+" "+string(r.Value)]++
		}
	}
	return got
}

// TestExactlyOnceUnderFaults runs a filter over 4 partitions while commits are
// aborted, lost and left in doubt; every record must come out exactly once.
func TestExactlyOnceUnderFaults(t *testing.T) {
	for _, waits := range []bool{false, true} {
		t.Run(fmt.Sprintf("log waits %v", waits), func(t *testing.T) { exactlyOnceUnderFaults(t, waits) })
	}
}

func exactlyOnceUnderFaults(t *testing.T, waits bool) {
	log := new(MemLog)
	var n atomic.Int64
	log.Fault = func(string, CommitRequest) Fault {
		return []Fault{NoFault, FaultAbort, FaultLost, FaultUnsure}[n.Add(1)%4]
	}
	e, err := New(Config{Log: log, Partitions: partitions4, Workers: 3, LogWaits: waits})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	src := sourceNode("s", false, false)
	q := testQuery(src, filterNode(src, 0, call(plan.OpNe, types.Boolean, column(abSchema, 2), bigint(0))))
	if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	const rounds, each = 20, 50
	for r := range rounds {
		feed(t, log, r*each, each)
		waitConsumed(t, e, "Q")
	}
	got := outputs(t, log, "out")
	want := 0
	for i := range rounds * each {
		if i%5 == 0 {
			continue
		}
		want++
		line := fmt.Sprintf(`k%d {"A":%d,"B":%d}`, i%17, i, i%5)
		if got[line] != 1 {
			t.Fatalf("%s came out %d times", line, got[line])
		}
	}
	if len(got) != want {
		t.Fatalf("%d records came out, want %d", len(got), want)
	}
	if n.Load() < 8 {
		t.Fatalf("only %d commits were tried", n.Load())
	}
}

func TestPauseResumeStop(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: partitions4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	src := sourceNode("s", false, false)
	if err := e.Start(testQuery(src), StartOptions{Group: "g", Paused: true}); err != nil {
		t.Fatal(err)
	}
	if err := e.Start(testQuery(src), StartOptions{Group: "g"}); err == nil {
		t.Fatal("a query starts twice")
	}
	feed(t, log, 0, 100)
	if s, err := e.Status("Q"); err != nil || s.State != Paused || s.RowsIn != 0 {
		t.Fatalf("status is %+v, %v", s, err)
	}
	if err := e.Resume("Q"); err != nil {
		t.Fatal(err)
	}
	waitConsumed(t, e, "Q")
	if err := e.Stop(context.Background(), "Q"); err != nil {
		t.Fatal(err)
	}
	if _, err := e.Status("Q"); err == nil {
		t.Fatal("a stopped query has a status")
	}
	feed(t, log, 100, 100)
	if err := e.Start(testQuery(src), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	waitConsumed(t, e, "Q")
	if got := outputs(t, log, "out"); len(got) != 200 {
		t.Fatalf("%d records came out", len(got))
	}
}

func TestFencedQueryFailsForGood(t *testing.T) {
	log := new(MemLog)
	log.Fault = func(string, CommitRequest) Fault { return FaultFence }
	failed := make(chan Status, 16)
	e, err := New(Config{Log: log, Partitions: partitions4, OnStatus: func(s Status) { failed <- s }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	feed(t, log, 0, 1)
	if err := e.Start(testQuery(sourceNode("s", false, false)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	for s := range failed {
		if s.State == Failed {
			if !s.Fatal {
				t.Fatalf("status is %+v", s)
			}
			return
		}
	}
}

func TestPushQuery(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: partitions4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	feed(t, log, 0, 100)
	q := &plan.Query{Version: plan.Version, ID: "P", Transient: true, SubPlans: []plan.SubPlan{{ID: "Main", Nodes: []plan.Node{sourceNode("s", false, false),
		{ID: "Result", Inputs: []int{0}, Schema: abSchema, Op: &plan.Result{Columns: []int{1}, Limit: -1}}}}}}
	p, err := e.Push(context.Background(), q, PushOptions{Earliest: true, Bounded: true})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for want := int64(0); ; {
		rows, err := p.Next(context.Background())
		if err != nil {
			if want != 100 {
				t.Fatalf("ended after %d rows: %v", want, err)
			}
			break
		}
		for _, r := range rows {
			if r.Values[0].Int() != want { // lowest time first over all partitions
				t.Fatalf("row %d is %d", want, r.Values[0].Int())
			}
			want++
		}
	}
}

func TestPullFromTable(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: partitions4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	feed(t, log, 0, 100)
	if err := e.Start(testQuery(sourceNode("s", true, true)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	pull := func(p plan.Pull) (rows []Row) {
		t.Helper()
		p.QueryID, p.Store, p.Input = "Q", "s-store", abSchema
		p.Columns = []*plan.Expr{column(abSchema, 0), column(abSchema, 1)}
		if err := e.Pull(context.Background(), &p, PullOptions{WaitInputs: true}, func(r Row) error { rows = append(rows, r); return nil }); err != nil {
			t.Fatal(err)
		}
		return rows
	}
	if rows := pull(plan.Pull{Limit: -1}); len(rows) != 17 {
		t.Fatalf("scan gives %d rows", len(rows))
	}
	if rows := pull(plan.Pull{Limit: 3}); len(rows) != 3 {
		t.Fatalf("limit gives %d rows", len(rows))
	}
	rows := pull(plan.Pull{Limit: -1, Keys: [][]types.Value{{types.NewString("k3")}, {types.NewString("none")}}})
	if len(rows) != 1 || rows[0].Values[1].Int() != 88 {
		t.Fatalf("lookup gives %v", rows)
	}
	filter := call(plan.OpGe, types.Boolean, column(abSchema, 1), bigint(98))
	if rows := pull(plan.Pull{Limit: -1, Filter: filter}); len(rows) != 2 {
		t.Fatalf("filter gives %d rows", len(rows))
	}
	stream := &plan.Pull{Stream: sourceNode("s", false, false).Op.(*plan.Source), Input: abSchema, Filter: filter, Limit: -1,
		Columns: []*plan.Expr{column(abSchema, 1)}, Names: bigints("A")}
	n := 0
	if err := e.Pull(context.Background(), stream, PullOptions{}, func(Row) error { n++; return nil }); err != nil || n != 2 {
		t.Fatalf("stream gives %d rows, %v", n, err)
	}
}
