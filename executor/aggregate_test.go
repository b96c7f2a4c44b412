package executor

import (
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// sumCount is SUM(A), COUNT(*) by key, with a window or without.
func sumCount(in plan.Node, at int, w *plan.Window) plan.Node {
	n := plan.Node{ID: "Aggregate", Inputs: []int{at}, Schema: keyed(types.String, bigints("S", "N")...), Table: true, Op: &plan.Aggregate{
		Calls: []plan.AggregateCall{
			{Function: "SUM(BIGINT)", Args: []*plan.Expr{column(in.Schema, 1)}, Type: types.Bigint},
			{Function: "COUNT()", Type: types.Bigint},
		},
		Window: w, Store: plan.Store{Name: "Aggregate", Changelog: "agg-changelog"}, TableInput: in.Table,
	}}
	if w != nil {
		n.Windowed = &plan.WindowInfo{Kind: w.Kind, SizeMs: w.SizeMs}
		if w.Kind == plan.Session {
			n.Windowed.SizeMs = 0
		}
	}
	return n
}

func tumbling(size, grace int64) *plan.Window {
	return &plan.Window{Kind: plan.Tumbling, SizeMs: size, GraceMs: grace, RetentionMs: size + grace}
}

func TestUnwindowedAggregate(t *testing.T) {
	src := sourceNode("s", false, false)
	got, _ := drive(t, testQuery(src, sumCount(src, 0, nil)), nil,
		rec(t, 5, `s a {"A":1}`), rec(t, 3, `s a {"A":2}`), rec(t, 4, `s b {"A":null}`), rec(t, 9, `s a -`), rec(t, 9, `s - {"A":7}`), rec(t, 8, `s a {"A":3}`))
	expect(t, got, `
		5 a {"S":1,"N":1}
		5 a {"S":3,"N":2}
		4 b {"S":0,"N":1}
		8 a {"S":6,"N":3}`)
}

func TestTumblingGrace(t *testing.T) {
	src := sourceNode("s", false, false)
	agg := sumCount(src, 0, tumbling(60, 10))
	got, d := drive(t, testQuery(src, agg), agg.Windowed,
		rec(t, 0, `s a {"A":1}`), rec(t, 65, `s a {"A":5}`), rec(t, 59, `s a {"A":2}`), rec(t, 80, `s a {"A":1}`), rec(t, 58, `s a {"A":9}`))
	expect(t, got, `
		0 a@[0,60) {"S":1,"N":1}
		65 a@[60,120) {"S":5,"N":1}
		59 a@[0,60) {"S":3,"N":2}
		80 a@[60,120) {"S":6,"N":2}`)
	if d.Late() != 1 {
		t.Fatalf("%d rows were late", d.Late())
	}
}

func TestHopping(t *testing.T) {
	src := sourceNode("s", false, false)
	agg := sumCount(src, 0, &plan.Window{Kind: plan.Hopping, SizeMs: 30, AdvanceMs: 10, GraceMs: 0, RetentionMs: 30})
	got, _ := drive(t, testQuery(src, agg), agg.Windowed, rec(t, 5, `s a {"A":1}`), rec(t, 25, `s a {"A":2}`))
	expect(t, got, `
		5 a@[0,30) {"S":1,"N":1}
		25 a@[0,30) {"S":3,"N":2}
		25 a@[10,40) {"S":2,"N":1}
		25 a@[20,50) {"S":2,"N":1}`)
}

func TestSessions(t *testing.T) {
	src := sourceNode("s", false, false)
	agg := sumCount(src, 0, &plan.Window{Kind: plan.Session, SizeMs: 10, GraceMs: 100, RetentionMs: 200})
	got, d := drive(t, testQuery(src, agg), agg.Windowed,
		rec(t, 0, `s a {"A":1}`), rec(t, 0, `s a {"A":1}`), rec(t, 5, `s a {"A":2}`), rec(t, 20, `s a {"A":4}`), rec(t, 12, `s a {"A":8}`),
		rec(t, 300, `s b {"A":1}`), rec(t, 100, `s a {"A":1}`))
	expect(t, got, `
		0 a@[0,0) {"S":1,"N":1}
		0 a@[0,0) {"S":2,"N":2}
		0 a@[0,0) -
		5 a@[0,5) {"S":4,"N":3}
		20 a@[20,20) {"S":4,"N":1}
		5 a@[0,5) -
		20 a@[20,20) -
		20 a@[0,20) {"S":16,"N":5}
		300 b@[300,300) {"S":1,"N":1}`)
	if d.Late() != 1 {
		t.Fatalf("%d rows were late", d.Late())
	}
}

func TestEmitFinal(t *testing.T) {
	src := sourceNode("s", false, false)
	input := []DriverRecord{rec(t, 0, `s b {"A":1}`), rec(t, 9, `s a {"A":2}`), rec(t, 15, `s a {"A":4}`), rec(t, 29, `s c {"A":8}`), rec(t, 1000, `s d {"A":16}`), rec(t, 1100, `s d {"A":1}`)}
	for _, expireFirst := range []bool{false, true} {
		agg := sumCount(src, 0, tumbling(10, 5))
		o := agg.Op.(*plan.Aggregate)
		o.EmitFinal, o.ExpireFirst = true, expireFirst
		got, _ := drive(t, testQuery(src, agg), agg.Windowed, input...)
		want := "9 a@[0,10) {\"S\":2,\"N\":1}\n0 b@[0,10) {\"S\":1,\"N\":1}\n15 a@[10,20) {\"S\":4,\"N\":1}\n29 c@[20,30) {\"S\":8,\"N\":1}\n1000 d@[1000,1010) {\"S\":16,\"N\":1}\n"
		if expireFirst {
			// The windows that the jumps to 1000 and 1100 passed over are lost.
			want = want[:strings.Index(want, "29 c")]
		}
		expect(t, got, want)
	}
	agg := sumCount(src, 0, &plan.Window{Kind: plan.Session, SizeMs: 10, GraceMs: 0, RetentionMs: 10})
	agg.Op.(*plan.Aggregate).EmitFinal = true
	got, _ := drive(t, testQuery(src, agg), agg.Windowed, rec(t, 0, `s b {"A":1}`), rec(t, 0, `s a {"A":2}`), rec(t, 8, `s a {"A":4}`), rec(t, 18, `s c {"A":1}`), rec(t, 19, `s c {"A":1}`), rec(t, 400, `s d {"A":1}`))
	expect(t, got, `
		0 b@[0,0) {"S":1,"N":1}
		8 a@[0,8) {"S":6,"N":2}
		19 c@[18,19) {"S":2,"N":2}`)
}

func TestTableAggregateTakesBack(t *testing.T) {
	src := sourceNode("t", true, true)
	by := keyed(types.Bigint, bigints("A")...)
	rekey := plan.Node{ID: "GroupBy", Inputs: []int{0}, Schema: by, Table: true, Op: &plan.Rekey{
		Key: []*plan.Expr{column(abSchema, 2)}, Value: []*plan.Expr{column(abSchema, 1)}, DropNull: true}}
	agg := sumCount(rekey, 1, nil)
	agg.Schema = keyed(types.Bigint, bigints("S", "N")...)
	q := testQuery(src, rekey, agg)
	q.SubPlans[0].Nodes[3].Op.(*plan.Sink).Key = plan.Format{Name: "JSON", Unwrapped: true}
	got, _ := drive(t, q, nil,
		rec(t, 1, `t x {"A":1,"B":7}`), rec(t, 2, `t y {"A":2,"B":7}`), rec(t, 3, `t x {"A":5,"B":7}`),
		rec(t, 4, `t x {"A":5,"B":8}`), rec(t, 5, `t y -`), rec(t, 6, `t x {"A":5}`), rec(t, 7, `t z -`))
	expect(t, got, `
		1 7 {"S":1,"N":1}
		2 7 {"S":3,"N":2}
		3 7 {"S":7,"N":2}
		4 7 {"S":2,"N":1}
		4 8 {"S":5,"N":1}
		5 7 {"S":0,"N":0}
		6 8 {"S":0,"N":0}`)
}

func TestHaving(t *testing.T) {
	src := sourceNode("s", false, false)
	agg := sumCount(src, 0, nil)
	having := filterNode(agg, 1, call(plan.OpLt, types.Boolean, column(agg.Schema, 1), bigint(5)))
	got, _ := drive(t, testQuery(src, agg, having), nil,
		rec(t, 1, `s a {"A":9}`), rec(t, 2, `s b {"A":1}`), rec(t, 3, `s b {"A":9}`), rec(t, 4, `s b {"A":1}`), rec(t, 5, `s b {"A":-9}`))
	expect(t, got, `
		2 b {"S":1,"N":1}
		3 b -
		5 b {"S":2,"N":4}`)
}

func TestAggregateErrors(t *testing.T) {
	src := sourceNode("s", false, false)
	for _, c := range []struct {
		change func(*plan.Aggregate)
		want   string
	}{
		{func(a *plan.Aggregate) { a.EmitFinal = true }, "EMIT FINAL needs a window"},
		{func(a *plan.Aggregate) { a.Window = tumbling(0, 0) }, "window size"},
		{func(a *plan.Aggregate) {
			a.Window = &plan.Window{Kind: plan.Tumbling, SizeMs: 10, GraceMs: 5, RetentionMs: 10}
		}, "retention"},
		{func(a *plan.Aggregate) { a.Calls[0].Function = "NO_SUCH(BIGINT)" }, "unknown function"},
		{func(a *plan.Aggregate) { a.Calls = a.Calls[:1] }, "columns"},
	} {
		agg := sumCount(src, 0, nil)
		c.change(agg.Op.(*plan.Aggregate))
		if _, err := NewDriver(testQuery(src, agg), DriverConfig{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}

// stateful are plans whose output must not depend on batches or restarts.
func statefulPlans() map[string]*plan.Query {
	s, tab := sourceNode("s", false, false), sourceNode("s", true, true)
	final := sumCount(s, 0, tumbling(20, 10))
	final.Op.(*plan.Aggregate).EmitFinal = true
	sessionFinal := sumCount(s, 0, &plan.Window{Kind: plan.Session, SizeMs: 5, GraceMs: 3, RetentionMs: 30})
	sessionFinal.Op.(*plan.Aggregate).EmitFinal = true
	lost := sumCount(s, 0, tumbling(20, 0))
	lost.Op.(*plan.Aggregate).EmitFinal, lost.Op.(*plan.Aggregate).ExpireFirst = true, true
	plain := sumCount(s, 0, nil)
	by := keyed(types.Bigint, bigints("A")...)
	rekey := plan.Node{ID: "GroupBy", Inputs: []int{0}, Schema: by, Table: true, Op: &plan.Rekey{
		Key: []*plan.Expr{column(abSchema, 2)}, Value: []*plan.Expr{column(abSchema, 1)}, DropNull: true}}
	retract := sumCount(rekey, 1, nil)
	retract.Schema = keyed(types.Bigint, bigints("S", "N")...)
	odd := func(n plan.Node) *plan.Expr {
		return call(plan.OpEq, types.Boolean, call(plan.OpMod, types.Bigint, column(n.Schema, 1), bigint(2)), bigint(1))
	}
	project := plan.Node{ID: "Project", Inputs: []int{1}, Schema: keyed(types.String, bigints("X")...), Op: &plan.Project{
		Key: []int{0}, Value: []*plan.Expr{call(plan.OpDiv, types.Bigint, bigint(100), column(abSchema, 2))}}}
	return map[string]*plan.Query{
		"filter project": testQuery(s, filterNode(s, 0, odd(s)), project),
		"table filter":   testQuery(tab, filterNode(tab, 0, odd(tab))),
		"sum":            testQuery(s, plain),
		"having":         testQuery(s, plain, filterNode(plain, 1, odd(plain))),
		"tumbling":       testQuery(s, sumCount(s, 0, tumbling(20, 10))),
		"hopping":        testQuery(s, sumCount(s, 0, &plan.Window{Kind: plan.Hopping, SizeMs: 30, AdvanceMs: 7, GraceMs: 5, RetentionMs: 50})),
		"session":        testQuery(s, sumCount(s, 0, &plan.Window{Kind: plan.Session, SizeMs: 5, GraceMs: 10, RetentionMs: 30})),
		"final":          testQuery(s, final),
		"final session":  testQuery(s, sessionFinal),
		"final expired":  testQuery(s, lost),
		"retract":        testQuery(tab, rekey, retract),
		"table join":     tableTable(plan.Full),
		"lookup join":    streamTable(plan.Left),
		"foreign join":   foreignKey(plan.Left),
		"inner join":     streamStream(plan.Inner, 10, 5, 20, false),
		"outer join":     streamStream(plan.Full, 10, 5, 3, false),
		"eager join":     streamStream(plan.Left, 3, 5, 20, true),
	}
}

func genRecords(t *rapid.T, topics ...string) []DriverRecord {
	var recs []DriverRecord
	time := int64(0)
	for i := range rapid.IntRange(1, 60).Draw(t, "records") {
		time = max(0, time+rapid.Int64Range(-12, 18).Draw(t, "step"))
		r := DriverRecord{Topic: rapid.SampledFrom(topics).Draw(t, "topic"), Timestamp: kafka.Timestamp(time), Key: []byte(rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "key"))}
		switch rapid.IntRange(0, 9).Draw(t, "kind") {
		case 0:
		case 1:
			r.Value = []byte("{")
		case 2:
			r.Key, r.Value = nil, []byte(`{"A":1}`)
		default:
			b := rapid.IntRange(0, 2).Draw(t, "b")
			r.Value = fmt.Appendf(nil, `{"A":%d,"B":%d,"V":"v%d","FK":"%c","W":%d}`, i, b, i, 'a'+b, i)
		}
		recs = append(recs, r)
	}
	return recs
}

// TestBatchBoundariesAreInvisible compares batches of 1, 7 and all rows, and a
// run that is restored from its changelogs after every third record.
func TestBatchBoundariesAreInvisible(t *testing.T) {
	for name, q := range statefulPlans() {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(rt *rapid.T) {
				recs := genRecords(rt, sourceTopics(q)...)
				all := func(rows int) string {
					d, err := NewDriver(q, DriverConfig{BatchRows: rows})
					if err != nil {
						rt.Fatal(err)
					}
					if err := d.Append(recs...); err != nil {
						rt.Fatal(err)
					}
					return drained(rt, d)
				}
				want := all(1)
				for _, rows := range []int{7, 4096} {
					if got := all(rows); got != want {
						rt.Fatalf("batches of %d rows give\n%s\nwant\n%s", rows, got, want)
					}
				}
				// One record at a time, undisturbed and with restarts.
				steady := live(rt, q, recs, false, nil, 0)
				if got := live(rt, q, recs, true, nil, 0); got != steady {
					rt.Fatalf("restarts give\n%s\nwant\n%s", got, steady)
				}
				disk, err := state.OpenBackend(vfs.NewMem(), "state")
				if err != nil {
					rt.Fatal(err)
				}
				if got := live(rt, q, recs, true, disk, 0); got != steady {
					rt.Fatalf("restarts from disk give\n%s\nwant\n%s", got, steady)
				}
				if err := disk.Close(); err != nil {
					rt.Fatal(err)
				}
				// With next to no memory for state, and restarts.
				if disk, err = state.OpenBackend(vfs.NewMem(), "state"); err != nil {
					rt.Fatal(err)
				}
				if got := live(rt, q, recs, rapid.Bool().Draw(rt, "restarts"), disk, 1); got != steady {
					rt.Fatalf("evicted state gives\n%s\nwant\n%s", got, steady)
				}
				if err := disk.Close(); err != nil {
					rt.Fatal(err)
				}
			})
		})
	}
}

// live feeds records one at a time, restarting after every third one. With a
// state store on disk every other restart happens without it, so that its mirrors
// fall behind their changelogs.
func live(t *rapid.T, q *plan.Query, recs []DriverRecord, restart bool, disk *state.Backend, memory int64) string {
	var out strings.Builder
	cfg := DriverConfig{Log: new(MemLog), State: disk, StateMemory: memory}
	d, err := NewDriver(q, cfg)
	for i, r := range recs {
		if err == nil && restart && i%3 == 2 {
			if cfg.State = disk; i%2 == 0 {
				cfg.State = nil
			}
			d, err = NewDriver(q, cfg)
		}
		if err == nil {
			err = d.Append(r)
		}
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString(drained(t, d))
	}
	return out.String()
}

func drained(t *rapid.T, d *Driver) string {
	if err := d.Drain(); err != nil {
		t.Fatal(err)
	}
	out, err := d.Take()
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, r := range out {
		fmt.Fprintf(&b, "%d %q %s\n", r.Timestamp, r.Key, r.Value)
	}
	for _, e := range d.Errors() {
		fmt.Fprintf(&b, "! %s %d %s\n", e.Kind, e.Offset, e.Cause)
	}
	return b.String()
}

func sourceTopics(q *plan.Query) (topics []string) {
	for _, s := range q.SubPlans {
		for _, n := range s.Nodes {
			if o, ok := n.Op.(*plan.Source); ok {
				topics = append(topics, o.Topic)
			}
		}
	}
	return topics
}

// TestFunctionsInPlans runs a general aggregate (with its state in the
// changelog), a table function and a timestamp column, by their registered IDs.
func TestFunctionsInPlans(t *testing.T) {
	src := sourceNode("s", false, false)
	list := types.Array(types.Bigint)
	agg := sumCount(src, 0, nil)
	agg.Schema = keyed(types.String, types.Column{Name: "S", Type: list}, types.Column{Name: "N", Type: types.Bigint})
	o := agg.Op.(*plan.Aggregate)
	o.Calls[0] = plan.AggregateCall{Function: "COLLECT_LIST(T)", Args: []*plan.Expr{column(abSchema, 1)}, Type: list,
		Filter: call(plan.OpGt, types.Boolean, column(abSchema, 1), bigint(0))}
	o.Calls[1].Function, o.Calls[1].Args = "COUNT(T)", []*plan.Expr{{Op: plan.OpColumn, Column: plan.ColRowTime, Type: types.Bigint}}
	log := new(MemLog)
	for i, want := range []string{`1 a {"S":[1],"N":1}`, `2 a {"S":[1],"N":2}`, `3 a {"S":[1,3],"N":3}`} {
		d, err := NewDriver(testQuery(src, agg), DriverConfig{Log: log}) // restored every time
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Push(rec(t, int64(i+1), fmt.Sprintf(`s a {"A":%d}`, []int{1, -2, 3}[i]))); err != nil {
			t.Fatal(err)
		}
		out, err := d.Take()
		if err != nil {
			t.Fatal(err)
		}
		expect(t, show(t, out, nil), want)
	}

	arr := keyed(types.String, types.Column{Name: "AS", Type: list}, types.Column{Name: "TS", Type: types.String})
	src = plan.Node{ID: "Source", Schema: arr, Op: &plan.Source{Topic: "s", Key: kafkaFormat, Value: jsonFormat,
		Timestamp: &plan.TimestampColumn{Column: 2, Format: "yyyy-MM-dd"}}}
	explode := &plan.Expr{Op: plan.OpCall, Name: "EXPLODE(ARRAY<T>)", Type: types.Bigint, Args: []*plan.Expr{column(arr, 1)}}
	flat := plan.Node{ID: "Flatten", Inputs: []int{0}, Op: &plan.Flatten{Calls: []*plan.Expr{explode, explode}}}
	flat.Schema = keyed(types.String, append(append([]types.Column{}, arr.Value...), bigints("X", "Y")...)...)
	got, d := drive(t, testQuery(src, flat), nil,
		rec(t, 5, `s a {"AS":[7,null],"TS":"1970-01-02"}`), rec(t, 5, `s a {"AS":[],"TS":"1970-01-02"}`), rec(t, 5, `s a {"AS":[1],"TS":"nonsense"}`), rec(t, 5, `s a {"AS":[1]}`))
	expect(t, got, `
		86400000 a {"AS":[7,null],"TS":"1970-01-02","X":7,"Y":7}
		86400000 a {"AS":[7,null],"TS":"1970-01-02","X":null,"Y":null}`)
	if n := len(d.Errors()); n != 2 {
		t.Fatalf("%d errors are logged", n)
	}
}
