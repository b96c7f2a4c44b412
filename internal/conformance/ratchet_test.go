package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
)

// TestFailing: the list holds exactly what fails, with a reason each.
func TestFailing(t *testing.T) {
	file := filepath.Join(t.TempDir(), "failing")
	verdicts := []verdict{{ID: "a", Verdict: passed}, {ID: "b", Verdict: failed}, {ID: "c", Verdict: undefined}}
	for _, c := range []struct{ list, want string }{
		{hashID("b") + "\twhy\n", ""},
		{"", "b (" + hashID("b") + ") fails and is not listed"},
		{hashID("b") + "\t\n", "has no reason"},
		{hashID("b") + "\twhy\n" + hashID("a") + "\twhy\n", "is listed and does not fail: passed"},
		{hashID("b") + "\twhy\n" + hashID("c") + "\twhy\n", "is listed and does not fail: order not defined"},
		{hashID("b") + " why\n", "is not a new hash, a tab and a reason"},
	} {
		if err := os.WriteFile(file, []byte(c.list), 0o600); err != nil {
			t.Fatal(err)
		}
		err := checkFailing(options{failing: file}, verdicts)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("list %q: %v, expected %q", c.list, err, c.want)
		}
	}
	// An update drops what passes, keeps reasons and asks for new ones.
	if err := os.WriteFile(file, []byte(hashID("a")+"\told\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := checkFailing(options{failing: file, update: true}, verdicts); err == nil {
		t.Error("an update with a new failure is no error")
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != hashID("b")+"\t\n" {
		t.Errorf("updated to %q, %v", got, err)
	}
}

// TestOrder: what the corpus expects only because it runs queries one by one.
func TestOrder(t *testing.T) {
	query := func(id, sink string, sources ...string) *catalog.Query {
		q := &plan.Query{ID: id, SubPlans: []plan.SubPlan{{Nodes: []plan.Node{{Op: &plan.Sink{Topic: sink}}}}}}
		for _, s := range sources {
			q.SubPlans[0].Nodes = append(q.SubPlans[0].Nodes, plan.Node{Op: &plan.Source{Topic: s}})
		}
		return &catalog.Query{ID: id, Plan: q}
	}
	o := order{fed: map[string]bool{"in": true, "in2": true, "both": true}, inserted: map[string]bool{"values": true}, writers: map[string][]*plan.Query{}}
	for _, q := range []*catalog.Query{query("1", "out", "in"), query("2", "next", "out"), query("3", "join", "in", "in2"), query("4", "mixed", "in", "out"),
		query("5", "two", "in"), query("6", "two", "in2"), query("7", "both", "in"), query("8", "last", "two"), query("9", "late", "in", "values"), query("10", "loop", "loop")} {
		sink := sinkTopic(q.Plan)
		o.writers[sink] = append(o.writers[sink], q.Plan)
	}
	for topic, want := range map[string]string{"in": "", "out": "", "next": "", "join": "", "mixed": "not fed record by record", "two": "2 queries write",
		"both": "fed and written", "last": "2 queries write", "late": "not fed record by record", "loop": "follows from itself"} {
		if got := o.undefined(topic); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, expected %q", topic, got, want)
		}
	}
	at := func(topic string, ms int64) record { return record{Topic: topic, Timestamp: &ms} }
	for _, c := range []struct {
		inputs []record
		want   bool
	}{
		{[]record{at("in", 1), at("in2", 2), at("in2", 2), at("in", 3)}, true},
		{[]record{at("in", 1), at("in2", 1)}, false}, {[]record{at("in", 5), at("in", 1), at("in2", 3)}, false},
		{[]record{at("in", 5), at("other", 1)}, true},
	} {
		if got := o.byTimestamp(c.inputs); got != c.want {
			t.Errorf("%v: %t", c.inputs, got)
		}
	}
}
