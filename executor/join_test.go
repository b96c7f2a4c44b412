package executor

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

var vSchema = keyed(types.String, types.Column{Name: "V", Type: types.String})

var lrSchema = keyed(types.String, types.Column{Name: "L", Type: types.String}, types.Column{Name: "R", Type: types.String})

// vSource is a stream or table with one STRING value V in JSON.
func vSource(topic string, table bool) plan.Node {
	return plan.Node{ID: "Source-" + topic, Schema: vSchema, Table: table, Op: &plan.Source{
		Name: topic, Topic: topic, Key: kafkaFormat, Value: jsonFormat, Needed: []bool{true, true}}}
}

func joinQuery(leftTable, rightTable bool, o plan.Operator) *plan.Query {
	n := plan.Node{ID: "Join", Inputs: []int{0, 1}, Schema: lrSchema, Table: leftTable, Op: o}
	return testQuery(vSource("L", leftTable), vSource("R", rightTable), n)
}

func store(name string) plan.Store { return plan.Store{Name: name, Changelog: name + "-changelog"} }

func tableTable(kind plan.JoinKind) *plan.Query {
	return joinQuery(true, true, &plan.TableTableJoin{Join: kind, LeftStore: store("l"), RightStore: store("r")})
}

func streamTable(kind plan.JoinKind) *plan.Query {
	return joinQuery(false, true, &plan.StreamTableJoin{Join: kind, Store: store("r")})
}

func streamStream(kind plan.JoinKind, before, after, grace int64, eager bool) *plan.Query {
	return joinQuery(false, false, &plan.StreamStreamJoin{Join: kind, BeforeMs: before, AfterMs: after, GraceMs: grace, EagerOuter: eager, LeftStore: store("l"), RightStore: store("r")})
}

// steps feeds "L:A" (a record of topic L with value A and key k), "R:-" (a null
// value) at rising times, and gives one item per step: what came out as "A,b", "⊥"
// for a tombstone, "—" for nothing.
func steps(t *testing.T, q *plan.Query, script string) string {
	t.Helper()
	d, err := NewDriver(q, DriverConfig{})
	if err != nil {
		t.Fatal(err)
	}
	var items []string
	for i, s := range strings.Fields(script) {
		topic, value, _ := strings.Cut(s, ":")
		if value != "-" {
			value = fmt.Sprintf(`{"V":%q}`, value)
		}
		if err := d.Push(rec(t, int64(i), topic+" k "+value)); err != nil {
			t.Fatal(err)
		}
		out, err := d.Take()
		if err != nil {
			t.Fatal(err)
		}
		item := "—"
		for n, r := range out {
			if n == 0 {
				item = ""
			}
			if r.Value == nil {
				item += "⊥"
				continue
			}
			v := strings.NewReplacer(`{"L":`, "", `"R":`, "", `"`, "", "}", "").Replace(string(r.Value))
			item += v
		}
		items = append(items, item)
	}
	return strings.Join(items, " ")
}

func TestTableTableJoin(t *testing.T) {
	const script = "L:- R:- L:A R:a L:B R:b L:- R:- L:C R:c R:- L:- R:- R:d L:D"
	for kind, want := range map[plan.JoinKind]string{
		plan.Inner: "— — — A,a B,a B,b ⊥ — — C,c ⊥ — — — D,d",
		plan.Left:  "— — A,null A,a B,a B,b ⊥ — C,null C,c C,null ⊥ — — D,d",
		plan.Right: "— — — A,a B,a B,b null,b ⊥ — C,c ⊥ — — null,d D,d",
		plan.Full:  "— — A,null A,a B,a B,b null,b ⊥ C,null C,c C,null ⊥ — null,d D,d",
	} {
		if got := steps(t, tableTable(kind), script); got != want {
			t.Errorf("%s:\n got %s\nwant %s", kind, got, want)
		}
	}
}

func TestStreamTableJoin(t *testing.T) {
	const script = "L:A R:a L:B R:b L:- R:- L:C R:c R:- R:d L:D"
	for kind, want := range map[plan.JoinKind]string{
		plan.Inner: "— — B,a — — — — — — — D,d",
		plan.Left:  "A,null — B,a — — — C,null — — — D,d",
	} {
		if got := steps(t, streamTable(kind), script); got != want {
			t.Errorf("%s:\n got %s\nwant %s", kind, got, want)
		}
	}
}

func TestStreamStreamJoin(t *testing.T) {
	in := func(ts int64, topic, key, v string) DriverRecord {
		return rec(t, ts, fmt.Sprintf(`%s %s {"V":%q}`, topic, key, v))
	}
	for _, c := range []struct {
		name string
		q    *plan.Query
		in   []DriverRecord
		want string
	}{
		{"inner, both ways, time is the larger", streamStream(plan.Inner, 10, 10, 100, true), []DriverRecord{
			in(10, "L", "k", "A"), in(0, "R", "k", "a"), in(20, "R", "k", "b"), in(21, "R", "k", "c"), in(5, "R", "x", "d"),
		}, "10 k {\"L\":\"A\",\"R\":\"a\"}\n20 k {\"L\":\"A\",\"R\":\"b\"}"},
		{"before and after differ", streamStream(plan.Inner, 0, 10, 100, true), []DriverRecord{
			in(10, "L", "k", "A"), in(9, "R", "k", "a"), in(20, "R", "k", "b"),
		}, `20 k {"L":"A","R":"b"}`},
		{"matches in time order", streamStream(plan.Inner, 50, 50, 100, true), []DriverRecord{
			in(30, "R", "k", "c"), in(10, "R", "k", "a"), in(20, "R", "k", "b"), in(15, "L", "k", "A"),
		}, "15 k {\"L\":\"A\",\"R\":\"a\"}\n20 k {\"L\":\"A\",\"R\":\"b\"}\n30 k {\"L\":\"A\",\"R\":\"c\"}"},
		{"eager outer emits twice", streamStream(plan.Left, 10, 10, 100, true), []DriverRecord{
			in(0, "L", "k", "A"), in(5, "R", "k", "a"),
		}, "0 k {\"L\":\"A\",\"R\":null}\n5 k {\"L\":\"A\",\"R\":\"a\"}"},
		{"outer waits for its bound and grace", streamStream(plan.Left, 10, 10, 5, false), []DriverRecord{
			in(0, "L", "k", "A"), in(0, "L", "m", "M"), in(7, "R", "m", "m"), in(15, "R", "x", "x"), in(16, "R", "x", "x"),
		}, "7 m {\"L\":\"M\",\"R\":\"m\"}\n0 k {\"L\":\"A\",\"R\":null}"},
		{"full pads both sides", streamStream(plan.Full, 10, 10, 0, false), []DriverRecord{
			in(0, "L", "k", "A"), in(0, "R", "x", "a"), in(100, "L", "z", "Z"),
		}, "0 x {\"L\":null,\"R\":\"a\"}\n0 k {\"L\":\"A\",\"R\":null}"},
		{"a late outer row is padded on arrival", streamStream(plan.Left, 10, 10, 0, false), []DriverRecord{
			in(100, "R", "x", "x"), in(0, "L", "k", "A"),
		}, `0 k {"L":"A","R":null}`},
		{"a row too old for its own side is not seen", streamStream(plan.Inner, 10, 10, 0, false), []DriverRecord{
			in(0, "L", "k", "A"), in(100, "L", "k", "B"), in(0, "R", "k", "a"),
		}, ""},
		{"null key and null value never join", streamStream(plan.Full, 10, 10, 0, true), []DriverRecord{
			rec(t, 0, `L - {"V":"A"}`), rec(t, 0, "L k -"), in(0, "R", "k", "a"),
		}, `0 k {"L":null,"R":"a"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, _ := drive(t, c.q, nil, c.in...)
			expect(t, got, c.want)
		})
	}
}

// windowedJoin gives both inputs and the output of a join windowed keys.
func windowedJoin(q *plan.Query, w *plan.WindowInfo) *plan.Query {
	for i := range q.SubPlans[0].Nodes {
		q.SubPlans[0].Nodes[i].Windowed = w
	}
	return q
}

// TestWindowedKeysJoin joins rows whose key and window are the same.
func TestWindowedKeysJoin(t *testing.T) {
	for name, w := range map[string]*plan.WindowInfo{
		"time": {Kind: plan.Tumbling, SizeMs: 10}, "session": {Kind: plan.Session},
	} {
		in := func(ts int64, topic string, start int64, value string) DriverRecord {
			r := rec(t, ts, topic+" k -")
			r.Key = format.AppendWindow(r.Key, w, start, start+10)
			if value != "-" {
				r.Value = fmt.Appendf(nil, `{"V":%q}`, value)
			}
			return r
		}
		input := []DriverRecord{in(0, "L", 0, "A"), in(1, "R", 10, "a"), in(2, "R", 0, "b"), in(3, "L", 10, "B"), in(4, "L", 20, "C"), in(5, "L", 0, "-"), in(40, "R", 30, "d")}
		for kind, c := range map[string]struct {
			q    *plan.Query
			want string
		}{
			"table-table": {tableTable(plan.Full), `
				0 k@[0,10) {"L":"A","R":null}
				1 k@[10,20) {"L":null,"R":"a"}
				2 k@[0,10) {"L":"A","R":"b"}
				3 k@[10,20) {"L":"B","R":"a"}
				4 k@[20,30) {"L":"C","R":null}
				5 k@[0,10) {"L":null,"R":"b"}
				40 k@[30,40) {"L":null,"R":"d"}`},
			"stream-stream": {streamStream(plan.Left, 5, 5, 0, false), `
				2 k@[0,10) {"L":"A","R":"b"}
				3 k@[10,20) {"L":"B","R":"a"}
				4 k@[20,30) {"L":"C","R":null}`},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				got, _ := drive(t, windowedJoin(c.q, w), w, input...)
				expect(t, got, c.want)
			})
		}
	}
	q := windowedJoin(tableTable(plan.Inner), &plan.WindowInfo{Kind: plan.Session})
	q.SubPlans[0].Nodes[1].Windowed = nil
	if _, err := NewDriver(q, DriverConfig{}); err == nil || !strings.Contains(err.Error(), "do not join") {
		t.Errorf("windowed and plain keys join: %v", err)
	}
	for _, other := range []*plan.WindowInfo{{Kind: plan.Tumbling, SizeMs: 5}, {Kind: plan.Hopping, SizeMs: 6}} {
		q = windowedJoin(tableTable(plan.Inner), &plan.WindowInfo{Kind: plan.Tumbling, SizeMs: 6})
		q.SubPlans[0].Nodes[1].Windowed = other
		if _, err := NewDriver(q, DriverConfig{}); (err == nil) != (other.SizeMs == 6) {
			t.Errorf("tumbling windows of 6 with %v: %v", other, err)
		}
	}
	if _, err := NewDriver(windowedJoin(foreignKey(plan.Inner), &plan.WindowInfo{Kind: plan.Session}), DriverConfig{}); err == nil {
		t.Error("a foreign-key join over windowed keys is accepted")
	}
}

// foreignKey joins L(K, FK, V) with R(K, V) on FK = R.K.
func foreignKey(kind plan.JoinKind) *plan.Query {
	left := keyed(types.String, types.Column{Name: "FK", Type: types.String}, types.Column{Name: "V", Type: types.Bigint})
	right := keyed(types.String, types.Column{Name: "W", Type: types.Bigint})
	src := func(topic string, s types.Schema) plan.Node {
		return plan.Node{ID: "Source-" + topic, Schema: s, Table: true, Op: &plan.Source{Name: topic, Topic: topic, Key: kafkaFormat, Value: jsonFormat}}
	}
	out := keyed(types.String, append(append([]types.Column{}, left.Value...), right.Value...)...)
	return testQuery(src("L", left), src("R", right), plan.Node{ID: "Join", Inputs: []int{0, 1}, Schema: out, Table: true, Op: &plan.ForeignKeyJoin{
		Join: kind, ForeignKey: column(left, 1), LeftStore: store("l"), RightStore: store("r")}})
}

func TestForeignKeyJoin(t *testing.T) {
	for kind, want := range map[plan.JoinKind]string{
		plan.Inner: `
			1 A {"FK":"a","V":1,"W":10}
			2 A {"FK":"a","V":1,"W":11}
			3 A {"FK":"a","V":2,"W":11}
			4 B {"FK":"a","V":3,"W":11}
			5 A {"FK":"a","V":2,"W":12}
			5 B {"FK":"a","V":3,"W":12}
			7 C {"FK":"c","V":4,"W":13}
			8 C -
			9 A -
			9 B -
			10 B -
			12 A -`,
		plan.Left: `
			0 A {"FK":"a","V":1,"W":null}
			1 A {"FK":"a","V":1,"W":10}
			2 A {"FK":"a","V":1,"W":11}
			3 A {"FK":"a","V":2,"W":11}
			4 B {"FK":"a","V":3,"W":11}
			5 A {"FK":"a","V":2,"W":12}
			5 B {"FK":"a","V":3,"W":12}
			7 C {"FK":"c","V":4,"W":13}
			8 C -
			9 A {"FK":"a","V":2,"W":null}
			9 B {"FK":"a","V":3,"W":null}
			10 B -
			11 D {"FK":null,"V":5,"W":null}
			12 A {"FK":"none","V":6,"W":null}
			13 A {"FK":"none","V":7,"W":null}
			14 A {"FK":null,"V":8,"W":null}
			15 A -
			16 D -`,
	} {
		got, _ := drive(t, foreignKey(kind), nil,
			rec(t, 0, `L A {"FK":"a","V":1}`), rec(t, 1, `R a {"W":10}`), rec(t, 2, `R a {"W":11}`), rec(t, 3, `L A {"FK":"a","V":2}`),
			rec(t, 4, `L B {"FK":"a","V":3}`), rec(t, 5, `R a {"W":12}`), rec(t, 6, `R c {"W":13}`), rec(t, 7, `L C {"FK":"c","V":4}`),
			rec(t, 8, `L C -`), rec(t, 9, `R a -`), rec(t, 10, `L B -`), rec(t, 11, `L D {"V":5}`),
			rec(t, 12, `L A {"FK":"none","V":6}`), rec(t, 13, `L A {"FK":"none","V":7}`), rec(t, 14, `L A {"V":8}`), rec(t, 15, `L A -`), rec(t, 16, `L D -`))
		expect(t, got, want)
	}
}

func TestJoinErrors(t *testing.T) {
	for _, c := range []struct {
		q    *plan.Query
		want string
	}{
		{streamTable(plan.Full), "join kind"},
		{foreignKey(plan.Right), "join kind"},
		{streamStream(plan.Inner, -1, 0, 0, false), "negative"},
	} {
		if _, err := NewDriver(c.q, DriverConfig{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}
