package executor

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func TestStreamFilterProject(t *testing.T) {
	src := sourceNode("s", false, false)
	where := filterNode(src, 0, call(plan.OpGt, types.Boolean, column(abSchema, 1), bigint(1)))
	project := plan.Node{ID: "Project", Inputs: []int{1}, Schema: keyed(types.String, bigints("X")...), Op: &plan.Project{
		Key: []int{0}, Value: []*plan.Expr{call(plan.OpDiv, types.Bigint, bigint(10), column(abSchema, 2))},
	}}
	got, d := drive(t, testQuery(src, where, project), nil,
		rec(t, 1, `s k {"A":2,"B":5}`),
		rec(t, 2, `s k {"A":1,"B":5}`),
		rec(t, 3, `s - {"A":3,"B":2}`),
		rec(t, 4, `s k {"A":2,"B":0}`),
		rec(t, 5, `s k {"A":null,"B":1}`),
		rec(t, 6, `s k -`),
		rec(t, 7, `s k {"A":`),
		rec(t, -5, `s k {"A":2,"B":5}`),
		rec(t, 8, `s k {"a":9}`),
	)
	expect(t, got, `
		1 k {"X":2}
		3 - {"X":5}
		4 k {"X":null}
		8 k {"X":null}`)
	var kinds []string
	for _, e := range d.Errors() {
		kinds = append(kinds, e.Kind)
	}
	if s := strings.Join(kinds, " "); s != "expression deserialization timestamp" {
		t.Fatalf("log has %s", s)
	}
}

func TestStreamNullValuePassesProjection(t *testing.T) {
	src := sourceNode("s", false, false)
	project := plan.Node{ID: "Project", Inputs: []int{0}, Schema: keyed(types.String, bigints("X")...), Op: &plan.Project{
		Key: []int{0}, Value: []*plan.Expr{column(abSchema, 1)},
	}}
	got, _ := drive(t, testQuery(src, project), nil, rec(t, 1, `s k -`), rec(t, 2, `s k {"A":1}`))
	expect(t, got, "1 k -\n2 k {\"X\":1}")
}

func TestTableFilter(t *testing.T) {
	for _, store := range []bool{true, false} {
		src := sourceNode("t", true, store)
		where := filterNode(src, 0, call(plan.OpGt, types.Boolean, column(abSchema, 1), bigint(1)))
		got, _ := drive(t, testQuery(src, where), nil,
			rec(t, 1, `t a {"A":1}`), // never matched
			rec(t, 2, `t a {"A":2}`),
			rec(t, 3, `t a {"A":3}`),
			rec(t, 4, `t a {"A":0}`), // stops matching
			rec(t, 5, `t - {"A":9}`), // dropped
			rec(t, 6, `t a -`),       // deleted while not matching
			rec(t, 7, `t b {"A":5}`),
			rec(t, 8, `t b -`),
		)
		want := "2 a {\"A\":2,\"B\":null}\n3 a {\"A\":3,\"B\":null}\n4 a -\n7 b {\"A\":5,\"B\":null}\n8 b -"
		if !store { // without before rows a tombstone goes out to be sure
			want = "1 a -\n" + strings.Replace(want, "\n7 b", "\n6 a -\n7 b", 1)
		}
		expect(t, got, want)
	}
}

func TestRepartition(t *testing.T) {
	src := sourceNode("s", false, false)
	byA := types.Schema{Key: bigints("A"), Value: []types.Column{{Name: "K", Type: types.String}, {Name: "B", Type: types.Bigint}}}
	rekey := plan.Node{ID: "PartitionBy", Inputs: []int{0}, Schema: byA, Op: &plan.Rekey{
		Key: []*plan.Expr{column(abSchema, 1)}, Value: []*plan.Expr{column(abSchema, 0), column(abSchema, 2)},
	}}
	first := plan.SubPlan{ID: "First", Nodes: []plan.Node{src, rekey, {ID: "Re", Inputs: []int{1}, Schema: byA, Op: &plan.Repartition{Topic: "re"}}}}
	second := plan.Node{ID: "ReSource", Schema: byA, Op: &plan.RepartitionSource{Topic: "re"}}
	sink := sinkNode(0, second)
	sink.Op.(*plan.Sink).Key = plan.Format{Name: "JSON", Unwrapped: true}
	q := &plan.Query{Version: plan.Version, ID: "Q", SubPlans: []plan.SubPlan{first, {ID: "Second", Nodes: []plan.Node{second, sink}}}}
	withHeaders := rec(t, 2, `s y {"A":8,"B":2}`)
	withHeaders.Headers = append(withHeaders.Headers, headerX)
	d, err := NewDriver(q, DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []DriverRecord{rec(t, 1, `s x {"A":7,"B":1}`), withHeaders, rec(t, 3, `s z {"B":3}`)} {
		if err := d.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	out, err := d.Take()
	if err != nil {
		t.Fatal(err)
	}
	expect(t, show(t, out, nil), "1 7 {\"K\":\"x\",\"B\":1}\n2 8 {\"K\":\"y\",\"B\":2}\n3 - {\"K\":\"z\",\"B\":3}")
	if len(out[1].Headers) != 1 || string(out[1].Headers[0].Value) != "h" {
		t.Fatalf("headers are %v", out[1].Headers)
	}
}

func TestPushQueryLimit(t *testing.T) {
	src := sourceNode("s", false, false)
	q := &plan.Query{Version: plan.Version, ID: "Q", Transient: true, SubPlans: []plan.SubPlan{{ID: "Main", Nodes: []plan.Node{src,
		{ID: "Result", Inputs: []int{0}, Schema: abSchema, Op: &plan.Result{Columns: []int{0, 1, plan.ColRowTime}, Limit: 2}}}}}}
	d, err := NewDriver(q, DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range []DriverRecord{rec(t, 5, `s x {"A":7}`), rec(t, 6, `s x -`), rec(t, 7, `s y {"A":8}`), rec(t, 8, `s z {"A":9}`)} {
		if err := d.Push(r); err != nil {
			t.Fatal(err)
		}
	}
	rows := d.Rows()
	if len(rows) != 2 || rows[0].Values[0].Str() != "x" || rows[1].Values[1].Int() != 8 || rows[1].Values[2].Int() != 7 {
		t.Fatalf("rows are %v", rows)
	}
}

func TestBuildErrors(t *testing.T) {
	src := sourceNode("s", false, false)
	bad := func(change func(q *plan.Query)) *plan.Query {
		q := testQuery(src, filterNode(src, 0, call(plan.OpGt, types.Boolean, column(abSchema, 1), bigint(1))))
		change(q)
		return q
	}
	for _, c := range []struct {
		q    *plan.Query
		want string
	}{
		{bad(func(q *plan.Query) { q.Version = 99 }), "version"},
		{bad(func(q *plan.Query) { q.SubPlans[0].Nodes = q.SubPlans[0].Nodes[:2] }), "nobody reads it"},
		{bad(func(q *plan.Query) { q.SubPlans[0].Nodes[1].Inputs = []int{1} }), "not an earlier node"},
		{bad(func(q *plan.Query) { q.SubPlans[0].Nodes[2].Op.(*plan.Sink).Value.Name = "XML" }), "XML is not supported"},
		{bad(func(q *plan.Query) { q.SubPlans[0].Nodes[2].Op.(*plan.Sink).Value.Name = "AVRO" }), "AVRO needs a schema registry"},
		{bad(func(q *plan.Query) {
			q.SubPlans[0].Nodes[1].Op.(*plan.Filter).Predicate.Args[0].Column = 9
		}), "column 9"},
	} {
		if _, err := NewDriver(c.q, DriverConfig{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}
