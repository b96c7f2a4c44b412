package executor

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// pullAll runs a pull query over an aggregation and shows its rows, sorted.
func pullAll(t *testing.T, e *Executor, agg plan.Node, p plan.Pull) string {
	t.Helper()
	p.QueryID, p.Store, p.Input, p.Windowed, p.Limit = "Q", "Aggregate", agg.Schema, agg.Windowed, -1
	p.Columns = []*plan.Expr{column(agg.Schema, 0), {Op: plan.OpColumn, Column: plan.ColWindowStart, Type: types.Bigint},
		{Op: plan.OpColumn, Column: plan.ColWindowEnd, Type: types.Bigint}, column(agg.Schema, 1)}
	var rows []string
	err := e.Pull(context.Background(), &p, PullOptions{WaitInputs: true}, func(r Row) error {
		v := r.Values
		rows = append(rows, fmt.Sprintf("%s@[%d,%d)=%d", v[0].Str(), v[1].Int(), v[2].Int(), v[3].Int()))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(rows)
	return strings.Join(rows, " ")
}

func TestPullFromWindows(t *testing.T) {
	everything := plan.WindowBounds{StartMin: math.MinInt64, StartMax: math.MaxInt64, EndMin: math.MinInt64, EndMax: math.MaxInt64}
	from10, until15 := everything, everything
	from10.StartMin, until15.EndMax = 10, 15
	key := [][]types.Value{{types.NewString("a")}}
	for _, c := range []struct {
		name   string
		w      *plan.Window
		p      plan.Pull
		expect string
	}{
		{"scan", tumbling(10, 100), plan.Pull{Bounds: everything}, "a@[0,10)=1 a@[10,20)=2 b@[20,30)=4"},
		{"key", tumbling(10, 100), plan.Pull{Bounds: everything, Keys: key}, "a@[0,10)=1 a@[10,20)=2"},
		{"start", tumbling(10, 100), plan.Pull{Bounds: from10, Keys: key}, "a@[10,20)=2"},
		{"end", tumbling(10, 100), plan.Pull{Bounds: until15}, "a@[0,10)=1"},
		{"session scan", &plan.Window{Kind: plan.Session, SizeMs: 4, GraceMs: 0, RetentionMs: 100}, plan.Pull{Bounds: everything}, "a@[1,1)=1 a@[11,11)=2 b@[21,21)=4"},
		{"session key", &plan.Window{Kind: plan.Session, SizeMs: 20, GraceMs: 0, RetentionMs: 100}, plan.Pull{Bounds: everything, Keys: key}, "a@[1,11)=3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			log := new(MemLog)
			e, err := New(Config{Log: log, Partitions: func(string) (int32, error) { return 1, nil }})
			if err != nil {
				t.Fatal(err)
			}
			defer e.Close()
			src := sourceNode("s", false, false)
			agg := sumCount(src, 0, c.w)
			for _, r := range []DriverRecord{rec(t, 1, `s a {"A":1}`), rec(t, 11, `s a {"A":2}`), rec(t, 21, `s b {"A":4}`)} {
				var w kafka.BatchBuilder
				w.Append(r.Timestamp, r.Key, r.Value, nil)
				w.Finish()
				if _, err := log.Append(kafka.TopicPartition{Topic: "s"}, w.Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			if err := e.Start(testQuery(src, agg), StartOptions{Group: "g"}); err != nil {
				t.Fatal(err)
			}
			if got := pullAll(t, e, agg, c.p); got != c.expect {
				t.Fatalf("got %s, want %s", got, c.expect)
			}
		})
	}
}

func TestPullErrors(t *testing.T) {
	e, err := New(Config{Log: new(MemLog), Partitions: partitions4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	none := func(Row) error { return nil }
	if err := e.Pull(context.Background(), &plan.Pull{QueryID: "X", Limit: -1}, PullOptions{}, none); err == nil {
		t.Fatal("a pull from an unknown query gives an answer")
	}
	if err := e.Start(testQuery(sourceNode("s", true, true)), StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	waitConsumed(t, e, "Q")
	if err := e.Pull(context.Background(), &plan.Pull{QueryID: "Q", Store: "no", Limit: -1}, PullOptions{}, none); err == nil || !strings.Contains(err.Error(), "no store") && !strings.Contains(err.Error(), "restoring") {
		t.Fatalf("error is %v", err)
	}
}

// TestMaterializedSink keeps a projection of a table for pull queries.
func TestMaterializedSink(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: partitions4})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	q := testQuery(sourceNode("s", true, false))
	q.SubPlans[0].Nodes[1].Op.(*plan.Sink).Store = &plan.Store{Name: "m", Changelog: "m-changelog"}
	feed(t, log, 0, 40)
	if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	n := 0
	p := &plan.Pull{QueryID: "Q", Store: "m", Input: abSchema, Limit: -1, Columns: []*plan.Expr{column(abSchema, 1)}}
	if err := e.Pull(context.Background(), p, PullOptions{WaitInputs: true}, func(Row) error { n++; return nil }); err != nil || n != 17 {
		t.Fatalf("%d rows, %v", n, err)
	}
}

// TestSourceTableAlone keeps a table for pull queries and writes nothing; a second
// executor has it again.
func TestSourceTableAlone(t *testing.T) {
	log := new(MemLog)
	q := testQuery(sourceNode("s", true, true))
	q.SubPlans[0].Nodes = q.SubPlans[0].Nodes[:1]
	for round := range 2 {
		e, err := New(Config{Log: log, Partitions: partitions4})
		if err != nil {
			t.Fatal(err)
		}
		feed(t, log, round*40, 40)
		if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		rows, newest := 0, int64(0)
		p := &plan.Pull{QueryID: "Q", Store: "s-store", Input: abSchema, Limit: -1, Columns: []*plan.Expr{column(abSchema, 1)}}
		err = e.Pull(context.Background(), p, PullOptions{WaitInputs: true}, func(r Row) error {
			rows, newest = rows+1, max(newest, r.Values[0].Int())
			return nil
		})
		if err != nil || rows != 17 || newest != int64(round*40+39) {
			t.Fatalf("round %d: %d rows up to %d, %v", round, rows, newest, err)
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
	}
	q.SubPlans[0].Nodes[0] = sourceNode("s", true, false)
	if _, err := NewDriver(q, DriverConfig{}); err == nil {
		t.Fatal("a source that nobody reads is accepted")
	}
}

// maxIdleQueryBytes bounds the memory of an idle query of one partition.
const maxIdleQueryBytes = 24 << 10

// TestIdleQueriesAreCheap starts a thousand queries over an empty topic.
func TestIdleQueriesAreCheap(t *testing.T) {
	log := new(MemLog)
	e, err := New(Config{Log: log, Partitions: func(string) (int32, error) { return 1, nil }})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	const n = 1000
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()
	src := sourceNode("s", false, false)
	for i := range n {
		q := testQuery(src, sumCount(src, 0, nil))
		q.ID = fmt.Sprint("Q", i)
		if err := e.Start(q, StartOptions{Group: q.ID}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		q, err := e.query(fmt.Sprint("Q", i))
		if err != nil {
			t.Fatal(err)
		}
		if err := q.waitFor(context.Background(), kafka.TopicPartition{Topic: "s"}, 0); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	per := int64(after.HeapAlloc-before.HeapAlloc) / n
	t.Logf("%d bytes per idle query", per)
	if per > maxIdleQueryBytes {
		t.Errorf("an idle query takes %d bytes", per)
	}
	if g := runtime.NumGoroutine(); g > goroutines+4 {
		t.Errorf("%d goroutines for %d idle queries", g-goroutines, n)
	}
}
