package executor

import (
	"encoding/binary"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// groupByB sums A by B through a repartition topic that is co-partitioned with
// the topic of a table keyed by B.
func groupByB() *plan.Query {
	src := sourceNode("s", false, false)
	byB := keyed(types.Bigint, bigints("A")...)
	rekey := plan.Node{ID: "GroupBy", Inputs: []int{0}, Schema: byB, Op: &plan.Rekey{
		Key: []*plan.Expr{column(abSchema, 2)}, Value: []*plan.Expr{column(abSchema, 1)}, DropNull: true}}
	re := plan.Node{ID: "Repartition", Inputs: []int{1}, Schema: byB, Op: &plan.Repartition{Topic: "re", CoPartitionWith: []string{"table"}}}
	in := plan.Node{ID: "Regrouped", Schema: byB, Op: &plan.RepartitionSource{Topic: "re"}}
	agg := sumCount(in, 0, nil)
	agg.Schema = keyed(types.Bigint, bigints("S", "N")...)
	table := plan.Node{ID: "Table", Schema: byB, Table: true, Op: &plan.Source{Name: "T", Topic: "table", Key: kafkaFormat, Value: jsonFormat}}
	join := plan.Node{ID: "Join", Inputs: []int{2, 1}, Table: true, Op: &plan.TableTableJoin{Join: plan.Left, LeftStore: store("jl"), RightStore: store("jr")}}
	join.Schema = keyed(types.Bigint, bigints("S", "N", "A")...)
	sink := sinkNode(3, join)
	return &plan.Query{Version: plan.Version, ID: "Q", SubPlans: []plan.SubPlan{
		{ID: "First", Nodes: []plan.Node{src, rekey, re}}, {ID: "Second", Nodes: []plan.Node{in, table, agg, join, sink}}}}
}

// TestRepartitionUnderFaults sums through a repartition topic of 4 partitions
// while commits fail: the last row of every key is exact, and keys stand where
// the table's producers put them.
func TestRepartitionUnderFaults(t *testing.T) {
	q := groupByB()
	log := new(MemLog)
	var n atomic.Int64
	log.Fault = func(string, CommitRequest) Fault {
		return []Fault{NoFault, FaultUnsure, FaultAbort, FaultLost, NoFault}[n.Add(1)%5]
	}
	for k := range int64(5) {
		var w kafka.BatchBuilder
		key := binary.BigEndian.AppendUint64(nil, uint64(k))
		w.Append(0, key, fmt.Appendf(nil, `{"A":%d}`, k*100), nil)
		w.Finish()
		if _, err := log.Append(kafka.TopicPartition{Topic: "table", Partition: kafka.Partition(key, 4)}, w.Bytes()); err != nil {
			t.Fatal(err)
		}
	}
	e, err := New(Config{Log: log, Partitions: partitions4, Workers: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	// From time 5 on: the table's rows of time 0 come before every other.
	const records = 405
	for from := 5; from < records; from += 40 {
		feed(t, log, from, 40)
		waitConsumed(t, e, "Q")
	}
	for k := range int64(5) {
		key := binary.BigEndian.AppendUint64(nil, uint64(k))
		recs, err := log.Records(kafka.TopicPartition{Topic: "out", Partition: kafka.Partition(key, 4)})
		if err != nil {
			t.Fatal(err)
		}
		sum, count, last := int64(0), 0, ""
		for i := k + 5; i < records; i += 5 {
			sum += i
		}
		for _, r := range recs {
			if string(r.Key) == string(key) {
				last = string(r.Value)
				count++
			}
		}
		if want := fmt.Sprintf(`{"S":%d,"N":%d,"A":%d}`, sum, 80, k*100); last != want || count != 80 {
			t.Errorf("key %d: last of %d rows is %s, want %s", k, count, last, want)
		}
	}
}
