package executor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Helpers that make plans by hand. Streams and tables have a STRING key K and
// BIGINT values A and B, in KAFKA and JSON.

var jsonFormat, kafkaFormat = plan.Format{Name: "JSON"}, plan.Format{Name: "KAFKA", Unwrapped: true}

func keyed(key types.Type, values ...types.Column) types.Schema {
	return types.Schema{Key: []types.Column{{Name: "K", Type: key}}, Value: values}
}

func bigints(names ...string) (cs []types.Column) {
	for _, n := range names {
		cs = append(cs, types.Column{Name: n, Type: types.Bigint})
	}
	return cs
}

var abSchema = keyed(types.String, bigints("A", "B")...)

func column(s types.Schema, k int) *plan.Expr {
	return &plan.Expr{Op: plan.OpColumn, Column: k, Type: s.Column(k).Type}
}

func bigint(n int64) *plan.Expr {
	v := types.NewBigint(n)
	return &plan.Expr{Op: plan.OpLiteral, Type: types.Bigint, Value: &v}
}

func call(o plan.Op, t types.Type, args ...*plan.Expr) *plan.Expr {
	return &plan.Expr{Op: o, Type: t, Args: args}
}

func sourceNode(topic string, table, store bool) plan.Node {
	src := &plan.Source{Name: topic, Topic: topic, Key: kafkaFormat, Value: jsonFormat, Needed: []bool{true, true, true}}
	if store {
		src.Store = &plan.Store{Name: topic + "-store"}
	}
	return plan.Node{ID: "Source-" + topic, Schema: abSchema, Table: table, Op: src}
}

func sinkNode(in int, n plan.Node) plan.Node {
	return plan.Node{ID: "Sink", Inputs: []int{in}, Schema: n.Schema, Table: n.Table, Windowed: n.Windowed,
		Op: &plan.Sink{Name: "OUT", Topic: "out", Key: kafkaFormat, Value: jsonFormat}}
}

// query makes a query of one sub-plan whose last node gets a sink.
func testQuery(nodes ...plan.Node) *plan.Query {
	last := len(nodes) - 1
	nodes = append(nodes, sinkNode(last, nodes[last]))
	return &plan.Query{Version: plan.Version, ID: "Q", SubPlans: []plan.SubPlan{{ID: "Main", Nodes: nodes}}}
}

func filterNode(in plan.Node, at int, predicate *plan.Expr) plan.Node {
	return plan.Node{ID: "Where", Inputs: []int{at}, Schema: in.Schema, Table: in.Table, Windowed: in.Windowed, Op: &plan.Filter{Predicate: predicate}}
}

// rec makes an input record; text is "topic key value", "-" for null.
func rec(t testing.TB, ts int64, text string) DriverRecord {
	t.Helper()
	parts := strings.SplitN(text, " ", 3)
	if len(parts) != 3 {
		t.Fatalf("bad record %q", text)
	}
	r := DriverRecord{Topic: parts[0], Timestamp: kafka.Timestamp(ts)}
	if parts[1] != "-" {
		r.Key = []byte(parts[1])
	}
	if parts[2] != "-" {
		r.Value = []byte(parts[2])
	}
	return r
}

// show prints output records, one a line: "ts key value" with a window behind
// the key.
func show(t testing.TB, recs []DriverRecord, w *plan.WindowInfo) string {
	t.Helper()
	var b strings.Builder
	for _, r := range recs {
		key, value := "-", "-"
		if r.Key != nil {
			base, start, end, err := format.SplitWindow(r.Key, w)
			if err != nil {
				t.Fatal(err)
			}
			key = string(base)
			if w != nil {
				key += fmt.Sprintf("@[%d,%d)", start, end)
			}
		}
		if r.Value != nil {
			value = string(r.Value)
		}
		fmt.Fprintf(&b, "%d %s %s\n", r.Timestamp, key, value)
	}
	return b.String()
}

// drive feeds records one at a time and returns what the sinks got.
func drive(t testing.TB, q *plan.Query, w *plan.WindowInfo, recs ...DriverRecord) (string, *Driver) {
	t.Helper()
	d, err := NewDriver(q, DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range recs {
		if err := d.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	out, err := d.Take()
	if err != nil {
		t.Fatal(err)
	}
	return show(t, out, w), d
}

// expect compares multi-line texts.
func expect(t testing.TB, got, want string) {
	t.Helper()
	trim := func(s string) string {
		lines := strings.Split(strings.TrimSpace(s), "\n")
		for i := range lines {
			lines[i] = strings.TrimSpace(lines[i])
		}
		return strings.Join(lines, "\n")
	}
	if trim(got) != trim(want) {
		t.Fatalf("got:\n%s\nwant:\n%s", trim(got), trim(want))
	}
}
