package executor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Nexmark's q0 (copy), q1 (price * 0.908), q2 (auction % 123 = 0) and a count by
// auction, over bids of about 270 bytes of JSON, from fetched bytes to staged
// record batches. The log is left out.

var bidSchema = types.Schema{Value: []types.Column{
	{Name: "AUCTION", Type: types.Bigint}, {Name: "BIDDER", Type: types.Bigint}, {Name: "PRICE", Type: types.Bigint},
	{Name: "CHANNEL", Type: types.String}, {Name: "URL", Type: types.String}, {Name: "DATETIME", Type: types.Bigint}, {Name: "EXTRA", Type: types.String}}}

func bidSource() plan.Node {
	return plan.Node{ID: "Bids", Schema: bidSchema, Op: &plan.Source{Topic: "bid", Key: plan.Format{Name: "NONE"}, Value: jsonFormat}}
}

func bidBatches(n int) []byte {
	var w kafka.BatchBuilder
	for i := range n {
		v := fmt.Appendf(nil, `{"auction":%d,"bidder":%d,"price":%d,"channel":"Apple","url":"https://www.nexmark.com/item.htm?query=1","dateTime":%d,"extra":"%s"}`,
			1_000_000+i*7, 2000+i, 1000+i*13, 1_600_000_000_000+i, strings.Repeat("x", 110))
		w.Append(kafka.Timestamp(i), nil, v, nil)
	}
	w.Finish()
	return w.Bytes()
}

func benchQuery(nodes ...plan.Node) *plan.Query {
	last := nodes[len(nodes)-1]
	sink := sinkNode(len(nodes)-1, last)
	if len(last.Schema.Key) == 0 {
		sink.Op.(*plan.Sink).Key = plan.Format{Name: "NONE"}
	}
	return &plan.Query{Version: plan.Version, ID: "B", SubPlans: []plan.SubPlan{{ID: "Main", Nodes: append(nodes, sink)}}}
}

func benchQueries() map[string]*plan.Query {
	src := bidSource()
	copied := func(cols ...int) (es []*plan.Expr) {
		for _, k := range cols {
			es = append(es, column(bidSchema, k))
		}
		return es
	}
	project := func(in int, es []*plan.Expr) plan.Node {
		n := plan.Node{ID: "Project", Inputs: []int{in}, Op: &plan.Project{Value: es}}
		for i, e := range es {
			n.Schema.Value = append(n.Schema.Value, types.Column{Name: fmt.Sprintf("C%d", i), Type: e.Type})
		}
		return n
	}
	rate := types.NewDecimal(apd.New(908, -3))
	price := call(plan.OpMul, types.Decimal(24, 3), call(plan.OpCast, types.Decimal(19, 0), column(bidSchema, 2)),
		&plan.Expr{Op: plan.OpLiteral, Type: types.Decimal(4, 3), Value: &rate})
	where := plan.Node{ID: "Where", Inputs: []int{0}, Schema: bidSchema, Op: &plan.Filter{
		Predicate: call(plan.OpEq, types.Boolean, call(plan.OpMod, types.Bigint, column(bidSchema, 0), bigint(123)), bigint(0))}}
	byAuction := plan.Node{ID: "GroupBy", Inputs: []int{0}, Schema: keyed(types.Bigint), Op: &plan.Rekey{Key: copied(0), DropNull: true}}
	count := plan.Node{ID: "Aggregate", Inputs: []int{1}, Schema: keyed(types.Bigint, bigints("N")...), Table: true, Op: &plan.Aggregate{
		Calls: []plan.AggregateCall{{Function: "COUNT(T)", Type: types.Bigint}}, Store: plan.Store{Name: "count"}}}
	return map[string]*plan.Query{
		"q0":    benchQuery(src, project(0, copied(0, 1, 2, 5, 6))),
		"q1":    benchQuery(src, project(0, append([]*plan.Expr{column(bidSchema, 0), column(bidSchema, 1), price}, copied(5, 6)...))),
		"q2":    benchQuery(src, where, project(1, copied(0, 2))),
		"count": benchQuery(src, byAuction, count),
	}
}

// loopReader gives the same batches at every poll.
type loopReader struct {
	batches []byte
	next    kafka.Offset
	n       int
}

func (r *loopReader) Poll(int) (Chunk, error) {
	b, _, err := kafka.NextBatch(r.batches)
	if err != nil {
		return Chunk{}, err
	}
	b.SetBaseOffset(r.next)
	r.next += kafka.Offset(r.n)
	return Chunk{Batches: r.batches, Next: r.next}, nil
}

func (r *loopReader) Close() {}

// benchTask is a task that reads batches of n bids for ever.
func benchTask(t testing.TB, q *plan.Query, n int) (*task, *worker) {
	t.Helper()
	d, err := NewDriver(q, DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	tk := d.q.tasks[0]
	tk.inputs[0].reader = &loopReader{batches: bidBatches(n), n: n}
	return tk, new(worker)
}

// turn runs one batch and forgets its output.
func turn(t testing.TB, tk *task, w *worker) {
	if _, err := tk.runStep(w); err != nil {
		t.Fatal(err)
	}
	w.scratch.Reset()
	for _, b := range tk.stage.builders {
		b.Reset()
	}
	for _, s := range tk.stores {
		s.Commit()
	}
}

func BenchmarkQueries(b *testing.B) {
	for _, name := range []string{"q0", "q1", "q2", "count"} {
		for _, n := range []int{1, 10, 1000} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				tk, w := benchTask(b, benchQueries()[name], n)
				b.ReportAllocs()
				for b.Loop() {
					turn(b, tk, w)
				}
				perRow := float64(b.Elapsed().Nanoseconds()) / float64(b.N) / float64(n)
				b.ReportMetric(perRow, "ns/row")
				b.ReportMetric(1e3/perRow, "Mrows/s")
			})
		}
	}
}

// cycleReader gives many batches in turn.
type cycleReader struct {
	batches [][]byte
	next    kafka.Offset
	n, at   int
}

func (r *cycleReader) Poll(int) (Chunk, error) {
	raw := r.batches[r.at%len(r.batches)]
	r.at++
	b, _, err := kafka.NextBatch(raw)
	if err != nil {
		return Chunk{}, err
	}
	b.SetBaseOffset(r.next)
	r.next += kafka.Offset(r.n)
	return Chunk{Batches: raw, Next: r.next}, nil
}

func (r *cycleReader) Close() {}

// BenchmarkCountManyKeys counts small rows by a key out of many, commits aside.
func BenchmarkCountManyKeys(b *testing.B) {
	for _, keys := range []int{1e4, 1e6} {
		b.Run(fmt.Sprint(keys), func(b *testing.B) {
			const n = 1000
			tk, w := benchTask(b, benchQueries()["count"], 1)
			r := &cycleReader{n: n}
			x := uint64(1)
			for range 2 * keys / n {
				var w kafka.BatchBuilder
				for i := range n {
					x = x*6364136223846793005 + 1442695040888963407
					w.Append(kafka.Timestamp(i), nil, fmt.Appendf(nil, `{"auction":%d}`, (x>>33)%uint64(keys)), nil)
				}
				w.Finish()
				r.batches = append(r.batches, append([]byte(nil), w.Bytes()...))
			}
			tk.inputs[0].reader = r
			for range r.batches {
				turn(b, tk, w)
			}
			b.ReportAllocs()
			for b.Loop() {
				turn(b, tk, w)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/row")
		})
	}
}

// maxAllocsPerBatch is what the pipeline may allocate for a batch of any size.
const maxAllocsPerBatch = 8

func TestPipelineAllocations(t *testing.T) {
	for name, q := range benchQueries() {
		tk, w := benchTask(t, q, 1000)
		turn(t, tk, w)
		if n := testing.AllocsPerRun(20, func() { turn(t, tk, w) }); n > maxAllocsPerBatch {
			t.Errorf("%s: %v allocations per batch of 1000", name, n)
		}
	}
}
