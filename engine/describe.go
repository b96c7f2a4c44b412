package engine

import (
	"context"
	"fmt"
	"strings"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
)

// describe answers DESCRIBE.
func (s *Session) describe(ctx context.Context, st statement, stmt *sql.Describe) (Result, error) {
	switch stmt.What {
	case sql.DescribeStreams:
		return s.describeAll(ctx, catalog.Stream, stmt.Extended)
	case sql.DescribeTables:
		return s.describeAll(ctx, catalog.Table, stmt.Extended)
	case sql.DescribeFunction:
		f, ok := function.Lookup(strings.ToUpper(stmt.Name.Name))
		if !ok {
			var names []string
			for _, f := range function.All() {
				names = append(names, f.Name)
			}
			return nil, st.fail(sql.CodeUnknownFunction, stmt.Name.Span, sql.DidYouMean(strings.ToUpper(stmt.Name.Name), names), "Can't find any functions with the name '%s'", stmt.Name.Name)
		}
		return &FunctionDescription{Function: functionInfo(f)}, nil
	}
	cat := s.engine.Catalog()
	src, err := describedSource(cat, st, stmt)
	if err != nil {
		return nil, err
	}
	d := s.describeSource(cat, src)
	if stmt.Extended {
		if err := s.extend(ctx, &d); err != nil {
			return nil, err
		}
	}
	return &SourceDescriptions{Sources: []SourceDescription{d}, Extended: stmt.Extended, One: true}, nil
}

// describedSource finds the source that DESCRIBE names.
func describedSource(cat *catalog.Catalog, st statement, stmt *sql.Describe) (*catalog.Source, error) {
	if src := cat.Source(stmt.Name.Name); src != nil {
		return src, nil
	}
	return nil, st.fail(sql.CodeUnknownSource, stmt.Name.Span, suggestSource(cat, stmt.Name.Name), "Could not find STREAM/TABLE '%s' in the Metastore", stmt.Name.Name)
}

func (s *Session) describeAll(ctx context.Context, kind catalog.Kind, extended bool) (Result, error) {
	cat := s.engine.Catalog()
	out := &SourceDescriptions{Extended: extended}
	for _, src := range cat.Sources() {
		if src.Kind == kind && !s.engine.systemSource(src) {
			d := s.describeSource(cat, src)
			if extended {
				if err := s.extend(ctx, &d); err != nil {
					return nil, err
				}
			}
			out.Sources = append(out.Sources, d)
		}
	}
	return out, nil
}

func (s *Session) describeSource(cat *catalog.Catalog, src *catalog.Source) SourceDescription {
	d := SourceDescription{Source: src}
	if t, ok := s.engine.cluster.Topic(src.Topic); ok {
		d.Partitions, d.Replicas = t.Partitions, t.Replicas
	}
	for _, id := range cat.ReadBy(src.Name) {
		d.ReadBy = append(d.ReadBy, s.engine.queryInfo(cat, cat.Query(id)))
	}
	for _, id := range cat.WrittenBy(src.Name) {
		d.WrittenBy = append(d.WrittenBy, s.engine.queryInfo(cat, cat.Query(id)))
	}
	return d
}

// extend adds what EXTENDED shows.
func (s *Session) extend(ctx context.Context, d *SourceDescription) error {
	d.Schemas = s.engine.registeredSchemas(d.Source)
	return s.addOffsets(ctx, d)
}

// addOffsets reads where the queries on a source stand.
func (s *Session) addOffsets(ctx context.Context, d *SourceDescription) error {
	e := s.engine
	var groups []string
	for _, q := range d.ReadBy {
		for _, r := range q.Plan.Readers() {
			if r.Topic == d.Source.Topic {
				groups = append(groups, r.Group(e.group(q.ID)))
			}
		}
	}
	for _, group := range groups {
		g := GroupOffsets{Group: group, Topic: d.Source.Topic}
		tps := make([]kafka.TopicPartition, d.Partitions)
		for i := range tps {
			tps[i] = kafka.TopicPartition{Topic: d.Source.Topic, Partition: int32(i)}
		}
		committed, err := e.cluster.Committed(ctx, g.Group, tps)
		if err != nil {
			return fmt.Errorf("offsets of %s: %w", g.Group, err)
		}
		for i, tp := range tps {
			first, stable, err := e.cluster.Bounds(ctx, tp)
			if err != nil {
				return fmt.Errorf("offsets of %s: %w", tp, err)
			}
			g.Partitions = append(g.Partitions, PartitionOffsets{Partition: tp.Partition, LogStart: int64(first), End: int64(stable), ConsumerOffset: int64(committed[i])})
		}
		d.Offsets = append(d.Offsets, g)
	}
	return nil
}

// explain answers EXPLAIN of a running query or of a statement.
func (s *Session) explain(st statement, stmt *sql.Explain) (Result, error) {
	v := s.engine.view()
	if stmt.Statement == nil {
		for _, p := range s.engine.pushes.snapshot() {
			if strings.EqualFold(p.query.ID, stmt.QueryID.Name) {
				return &Explanation{Query: pushInfo(p.query), Plan: planner.Explain(p.query)}, nil
			}
		}
		q, err := s.findQuery(v, st, stmt.QueryID)
		if err != nil {
			return nil, err
		}
		return &Explanation{Query: s.engine.queryInfo(v.catalog, q), Plan: planner.Explain(q.Plan)}, nil
	}
	notQuery := st.fail(sql.CodeUnsupported, stmt.Statement.Pos(), "EXPLAIN takes a SELECT, CREATE ... AS SELECT or INSERT INTO ... SELECT, or a query id", "The provided statement does not run a query")
	switch stmt.Statement.(type) {
	case *sql.Select, *sql.CreateAs, *sql.InsertSelect, *sql.CreateSource:
	default:
		return nil, notQuery
	}
	planned, perr := planner.Plan(s.env(v, st.text), stmt.Statement)
	if perr != nil {
		return nil, wrap(perr, st)
	}
	var q *plan.Query
	switch p := planned.(type) {
	case *planner.CreateQuery:
		q = p.Query
	case *planner.PushQuery:
		q = p.Query
	case *planner.PullQuery:
		return &Explanation{Query: QueryInfo{Text: st.text, Sources: nil}, Plan: planner.ExplainPull(p.Pull)}, nil
	default:
		return nil, notQuery
	}
	return &Explanation{Query: QueryInfo{ID: q.ID, Text: q.Text, Sources: q.Sources, SinkName: q.SinkName, Plan: q, Push: q.Transient}, Plan: planner.Explain(q)}, nil
}
