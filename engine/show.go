package engine

import (
	"context"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// show answers SHOW and LIST.
func (s *Session) show(ctx context.Context, stmt *sql.Show) (Result, error) {
	switch stmt.What {
	case sql.ShowStreams:
		return s.showSources(ctx, catalog.Stream, stmt.Extended)
	case sql.ShowTables:
		return s.showSources(ctx, catalog.Table, stmt.Extended)
	case sql.ShowTopics:
		return s.showTopics(stmt), nil
	case sql.ShowQueries:
		return &QueryList{Queries: s.engine.Queries(), Extended: stmt.Extended}, nil
	case sql.ShowFunctions:
		return showFunctions(), nil
	case sql.ShowProperties:
		return s.showProperties(), nil
	case sql.ShowTypes:
		cat := s.engine.Catalog()
		out := &TypeList{}
		for _, name := range cat.TypeNames() {
			t, _ := cat.Type(name)
			out.Types = append(out.Types, types.Column{Name: name, Type: t})
		}
		return out, nil
	}
	out := &VariableList{}
	for name, value := range s.variables {
		out.Variables = append(out.Variables, Variable{name, value})
	}
	slices.SortFunc(out.Variables, func(a, b Variable) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func (s *Session) showSources(ctx context.Context, kind catalog.Kind, extended bool) (Result, error) {
	if extended {
		return s.describeAll(ctx, kind, true)
	}
	out := &SourceList{Kind: kind}
	for _, src := range s.engine.Catalog().Sources() {
		if src.Kind == kind && !s.engine.systemSource(src) {
			out.Sources = append(out.Sources, src)
		}
	}
	return out, nil
}

// hiddenTopic reports whether a topic is the system's own.
func hiddenTopic(name string) bool {
	return strings.HasPrefix(name, "_") && name != "_"
}

func (s *Session) showTopics(stmt *sql.Show) Result {
	out := &TopicList{Extended: stmt.Extended}
	queries := s.engine.Catalog().Queries()
	for _, t := range s.engine.cluster.Topics() {
		if stmt.All || !t.Internal && !hiddenTopic(t.Name) {
			info := TopicInfo{Topic: t}
			for _, q := range queries {
				if slices.Contains(q.Plan.SourceTopics(), t.Name) {
					info.Groups, info.Consumers = info.Groups+1, info.Consumers+t.Partitions
				}
			}
			out.Topics = append(out.Topics, info)
		}
	}
	return out
}

func (s *Session) showProperties() Result {
	out := &PropertyList{}
	for _, p := range Properties {
		v, overridden := s.properties[p.Name]
		if !overridden {
			v = p.Default
		}
		doc := p.Doc
		if p.NoEffect != "" {
			doc += "; no effect here: " + p.NoEffect
		}
		out.Properties = append(out.Properties, PropertyInfo{Name: p.Name, Value: v, Overridden: overridden, Doc: doc})
	}
	if c := s.engine.client; c != nil {
		out.Properties = append(out.Properties, PropertyInfo{Name: "ksql.schema.registry.url", Value: c.URL(), Doc: "the external schema registry, set when the server starts"})
		slices.SortFunc(out.Properties, func(a, b PropertyInfo) int { return strings.Compare(a.Name, b.Name) })
	}
	return out
}

func showFunctions() Result {
	out := &FunctionList{}
	for _, f := range function.All() {
		out.Functions = append(out.Functions, functionInfo(f))
	}
	return out
}

func functionInfo(f *function.Function) FunctionInfo {
	info := FunctionInfo{Name: f.Name, Class: f.Class.String(), Category: f.Category, Description: f.Description}
	for _, o := range f.Overloads {
		sig := FunctionSignature{ReturnType: o.ReturnText()}
		for i, p := range o.Params {
			sig.Arguments = append(sig.Arguments, FunctionArgument{Name: p.Name, Type: p.TypeText(), Description: p.Doc, Variadic: i == o.Variadic})
		}
		info.Signatures = append(info.Signatures, sig)
	}
	return info
}

// Queries returns the persistent queries in order of creation, then the running
// push queries.
func (e *Engine) Queries() []QueryInfo {
	var out []QueryInfo
	cat := e.Catalog()
	for _, q := range cat.Queries() {
		out = append(out, e.queryInfo(cat, q))
	}
	for _, p := range e.pushes.snapshot() {
		out = append(out, pushInfo(p.query))
	}
	return out
}

// Explain returns the query's plan as text, "" when it is not known.
func (q QueryInfo) Explain() string {
	if q.Plan == nil {
		return ""
	}
	return planner.Explain(q.Plan)
}

func pushInfo(q *plan.Query) QueryInfo {
	return QueryInfo{ID: q.ID, Text: q.Text, Push: true, Sources: q.Sources, Plan: q, Status: executor.Status{ID: q.ID, State: executor.Running}}
}

func (e *Engine) queryInfo(cat *catalog.Catalog, q *catalog.Query) QueryInfo {
	info := QueryInfo{ID: q.ID, Text: q.Plan.Text, SinkName: q.Plan.SinkName, Sources: q.Plan.Sources, Plan: q.Plan, Properties: q.Plan.Properties, Group: e.group(q.ID)}
	if sink := cat.Source(q.Plan.SinkName); sink != nil {
		info.SinkTopic = sink.Topic
	}
	status, err := e.exec.Status(q.ID)
	if err != nil {
		status = executor.Status{ID: q.ID, State: executor.Failed, Reason: err.Error(), Fatal: true}
	}
	info.Status = status
	return info
}
