package planner

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/script"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
)

// fixture is a catalog and topics that statements are planned against and
// applied to.
type fixture struct {
	catalog *catalog.Catalog
	topics  map[string]int32
	nextID  int64
}

func (f *fixture) plan(text string) (Planned, string) {
	stmts, errs := sql.Parse(text)
	if len(errs) > 0 {
		return nil, sql.Format(text, errs[0])
	}
	var planned Planned
	for _, s := range stmts {
		env := Env{Catalog: f.catalog, Text: text, NextID: f.nextID, ServiceID: "test", Properties: map[string]string{},
			Topic: func(name string) (int32, bool) { n, ok := f.topics[name]; return n, ok }}
		p, err := Plan(env, s)
		if err != nil {
			return nil, sql.Format(text, err)
		}
		f.apply(p)
		planned = p
	}
	return planned, ""
}

func (f *fixture) apply(p Planned) {
	f.nextID++
	switch p := p.(type) {
	case *CreateSource:
		f.catalog = f.catalog.WithSource(p.Source)
		if p.Topic != nil {
			f.topics[p.Topic.Name] = p.Topic.Partitions
		}
	case *CreateQuery:
		if p.Source != nil {
			f.catalog = f.catalog.WithSource(p.Source)
		}
		f.catalog = f.catalog.WithQuery(&catalog.Query{ID: p.Query.ID, Plan: p.Query})
		for _, t := range p.Topics {
			f.topics[t.Name] = t.Partitions
		}
	case *AddType:
		f.catalog = f.catalog.WithType(p.Name, p.Type)
	}
}

// describe renders what a statement asks for.
func describe(p Planned) string {
	switch p := p.(type) {
	case *CreateSource:
		return "source " + p.Source.Schema.String("KEY") + "\n"
	case *CreateQuery:
		out := Explain(p.Query)
		for _, t := range p.Topics {
			out += "topic " + t.Name + "\n"
		}
		return out
	case *PushQuery:
		return Explain(p.Query)
	case *PullQuery:
		return ExplainPull(p.Pull)
	case *Nothing:
		return p.Msg + "\n"
	}
	return "ok\n"
}

func TestScripts(t *testing.T) {
	script.Run(t, "testdata", func(*testing.T) func(*testing.T, script.Command) string {
		f := &fixture{topics: map[string]int32{}}
		return func(t *testing.T, c script.Command) string {
			switch c.Name {
			case "exec":
				if _, err := f.plan(c.Input); err != "" {
					return err
				}
				return "ok"
			case "plan":
				p, err := f.plan(c.Input)
				if err != "" {
					return err
				}
				checkRoundTrip(t, p)
				return describe(p)
			case "error":
				_, err := f.plan(c.Input)
				if err == "" {
					t.Fatalf("%s: accepted", c.Input)
				}
				return err
			}
			t.Fatalf("unknown command %s", c.Name)
			return ""
		}
	})
}

// checkRoundTrip stores a plan as the command log does and reads it back.
func checkRoundTrip(t *testing.T, p Planned) {
	t.Helper()
	var q *plan.Query
	switch p := p.(type) {
	case *CreateQuery:
		q = p.Query
	case *PushQuery:
		q = p.Query
	default:
		return
	}
	text, err := json.Marshal(q)
	if err != nil {
		t.Fatal(err)
	}
	var back plan.Query
	if err := json.Unmarshal(text, &back); err != nil {
		t.Fatal(err)
	}
	again, err := json.Marshal(&back)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(text, again) {
		t.Errorf("plan changes when it is stored:\n%s\n%s", text, again)
	}
	if strings.TrimSpace(Explain(q)) != strings.TrimSpace(Explain(&back)) {
		t.Errorf("plan reads back differently:\n%s\n%s", Explain(q), Explain(&back))
	}
}
