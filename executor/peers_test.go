package executor

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

const hourMs = int64(time.Hour / time.Millisecond)

// countByB counts rows by B and window behind a repartition topic.
func countByB(w *plan.Window) *plan.Query {
	q := groupByB()
	first, second := q.SubPlans[0], q.SubPlans[1]
	first.Nodes[2].Op = &plan.Repartition{Topic: "re"}
	agg := sumCount(second.Nodes[0], 0, w)
	agg.Schema = keyed(types.Bigint, bigints("S", "N")...)
	q.SubPlans = []plan.SubPlan{first, {ID: "Second", Nodes: []plan.Node{second.Nodes[0], agg, sinkNode(1, agg)}}}
	return q
}

func partitions2(string) (int32, error) { return 2, nil }

// appendRows appends one batch with a row {"A":1,"B":b} at every time.
func appendRows(t testing.TB, log *MemLog, partition int32, times []int64) {
	t.Helper()
	var w kafka.BatchBuilder
	for i, ts := range times {
		w.Append(kafka.Timestamp(ts), []byte("k"), fmt.Appendf(nil, `{"A":1,"B":%d}`, i%5), nil)
	}
	w.Finish()
	if _, err := log.Append(kafka.TopicPartition{Topic: "s", Partition: partition}, w.Bytes()); err != nil {
		t.Fatal(err)
	}
}

// TestTasksStayTogether catches up on a week of sparse rows in two partitions:
// no window of a day may close before the rows of both are in it, also when
// commits fail.
func TestTasksStayTogether(t *testing.T) {
	week := 7 * 24 * hourMs
	for workers := 1; workers <= 2; workers++ {
		for seed := range uint64(25) {
			rng := rand.New(rand.NewPCG(seed, uint64(workers)))
			log := new(MemLog)
			var faults atomic.Int64
			if seed%5 == 4 {
				log.Fault = func(string, CommitRequest) Fault {

					return []Fault{NoFault, FaultAbort, NoFault, FaultUnsure, NoFault, FaultLost}[faults.Add(1)%6]
				}
			}
			total := 0
			for p := range int32(2) {
				times := make([]int64, 1+rng.IntN(300))
				for i := range times {
					times[i] = rng.Int64N(week)
				}
				slices.Sort(times)
				appendRows(t, log, p, times)
				total += len(times)
			}
			e, err := New(Config{Log: log, Partitions: partitions2, Workers: workers})
			if err != nil {
				t.Fatal(err)
			}
			day := &plan.Window{Kind: plan.Tumbling, SizeMs: 24 * hourMs, GraceMs: hourMs, RetentionMs: 25 * hourMs}
			if seed%2 == 1 { // as little as can be promised
				day.GraceMs = int64(DefaultMaxTaskSkew / time.Millisecond)
			}
			if err := e.Start(countByB(day), StartOptions{Group: "g"}); err != nil {
				t.Fatal(err)
			}
			waitConsumed(t, e, "Q")
			s, err := e.Status("Q")
			if err != nil {
				t.Fatal(err)
			}
			out := 0
			for p := range int32(2) {
				recs, err := log.Records(kafka.TopicPartition{Topic: "out", Partition: p})
				if err != nil {
					t.Fatal(err)
				}
				out += len(recs)
			}
			if err := e.Close(); err != nil {
				t.Fatal(err)
			}
			if s.Late != 0 || out != total {
				t.Fatalf("%d workers, seed %d: %d rows late, %d updates of %d", workers, seed, s.Late, out, total)
			}
		}
	}
}

// BenchmarkCatchUpThroughRepartition counts dense rows (100 per ms and
// partition) behind a repartition topic, with the bound on skew and without.
func BenchmarkCatchUpThroughRepartition(b *testing.B) {
	const rows, perMs = 500_000, 100
	for _, skew := range []time.Duration{DefaultMaxTaskSkew, 1000 * time.Hour} {
		b.Run(skew.String(), func(b *testing.B) {
			log := new(MemLog)
			for p := range int32(2) {
				for from := int64(0); from < rows; from += 1000 {
					times := make([]int64, 1000)
					for i := range times {
						times[i] = (from + int64(i)) / perMs
					}
					appendRows(b, log, p, times)
				}
			}
			n := 0
			for b.Loop() {
				e, err := New(Config{Log: log, Partitions: partitions2, Workers: 2, MaxTaskSkew: skew})
				if err != nil {
					b.Fatal(err)
				}
				q := countByB(tumbling(10_000, 1000))
				q.SubPlans[0].Nodes[2].Op = &plan.Repartition{Topic: fmt.Sprint("re", n)}
				q.SubPlans[1].Nodes[0].Op = &plan.RepartitionSource{Topic: fmt.Sprint("re", n)}
				q.SubPlans[1].Nodes[1].Op.(*plan.Aggregate).Store.Changelog = ""
				if err := e.Start(q, StartOptions{Group: fmt.Sprint(n)}); err != nil {
					b.Fatal(err)
				}
				waitConsumed(b, e, "Q")
				if err := e.Close(); err != nil {
					b.Fatal(err)
				}
				n++
			}
			b.ReportMetric(float64(b.N)*2*rows/b.Elapsed().Seconds()/1e6, "Mrows/s")
		})
	}
}

// TestGraceBehind finds how much skew the plan behind a repartition topic bears.
func TestGraceBehind(t *testing.T) {
	final := countByB(tumbling(10, 500))
	final.SubPlans[1].Nodes[1].Op.(*plan.Aggregate).EmitFinal = true
	for name, c := range map[string]struct {
		q    *plan.Query
		want int64
	}{
		"window": {countByB(tumbling(10, 500)), 500}, "final": {final, 0}, "no window": {countByB(nil), 0}, "join": {groupByB(), 0},
	} {
		if got := graceBehind(c.q, "re"); got != c.want {
			t.Errorf("%s: grace is %d, want %d", name, got, c.want)
		}
	}
	if got := graceBehind(countByB(tumbling(10, 500)), "other"); got != 0 {
		t.Errorf("grace behind a topic that nobody reads is %d", got)
	}
}
