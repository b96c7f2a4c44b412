package engine

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// insertValues runs INSERT INTO ... VALUES: one record, durable when it returns.
func (s *Session) insertValues(ctx context.Context, st statement, stmt *sql.InsertValues) (Result, error) {
	planned, perr := planner.Plan(s.env(s.engine.view(), st.text), stmt)
	if perr != nil {
		return nil, wrap(perr, st)
	}
	p := planned.(*planner.Insert)
	if err := s.engine.registerFor(ctx, p.Source); err != nil {
		hint := ""
		// "neither by name": only the names of the records differ, or those as well.
		if errors.Is(err, registry.ErrIncompatible) && strings.Contains(err.Error(), "neither by name") {
			hint = "another stream or table named the records of this topic: declare it with the same columns, and KEY_SCHEMA_FULL_NAME or VALUE_SCHEMA_FULL_NAME as registered"
		}
		return nil, st.fail(sql.CodeInsert, stmt.Target.Span, hint, "Failed to insert values into '%s'. %v", p.Source.Name, err)
	}
	rows, err := s.engine.inserts.take(p.Source, s.engine.registry())
	if err != nil {
		return nil, st.fail(sql.CodeInsert, stmt.Span, "", "Failed to insert values into '%s'. %v", p.Source.Name, err)
	}
	rec, err := rows.encode(p, s.engine.cfg.Clock.Now().UnixMilli())
	if err != nil {
		return nil, st.fail(sql.CodeInsert, stmt.Span, "", "Failed to insert values into '%s'. %v", p.Source.Name, err)
	}
	s.engine.inserts.give(rows)
	t, ok := s.engine.cluster.Topic(p.Source.Topic)
	if !ok {
		return nil, st.fail(sql.CodeUnknownTopic, stmt.Target.Span, "", "topic '%s' of %s does not exist", p.Source.Topic, p.Source.Name)
	}
	tp := kafka.TopicPartition{Topic: p.Source.Topic}
	if rec.Key == nil {
		tp.Partition = rand.Int32N(t.Partitions)
	} else {
		tp.Partition = kafka.Partition(rec.Key, t.Partitions)
	}
	var w kafka.BatchBuilder
	w.Append(rec.Timestamp, rec.Key, rec.Value, nil)
	w.Finish()
	if _, err := s.engine.cluster.Append(ctx, tp, w.Bytes(), 1); err != nil {
		return nil, fmt.Errorf("insert into %s: %w", p.Source.Name, err)
	}
	return &Done{}, nil
}

// EncodeInsert evaluates and serialises the record of an INSERT VALUES. nowMs is
// its timestamp unless ROWTIME was given; schemas is the registry to write with.
func EncodeInsert(p *planner.Insert, nowMs int64, schemas format.Schemas) (kafka.Record, error) {
	rows, err := newInsertRows(p.Source, schemas)
	if err != nil {
		return kafka.Record{Timestamp: kafka.Timestamp(nowMs)}, err
	}
	return rows.encode(p, nowMs)
}

// encode is EncodeInsert with codecs that were made before.
func (r *insertRows) encode(p *planner.Insert, nowMs int64) (kafka.Record, error) {
	rec := kafka.Record{Timestamp: kafka.Timestamp(nowMs)}
	if p.RowTime != nil {
		v, err := executor.Evaluate(p.RowTime, nowMs)
		if err != nil {
			return rec, err
		}
		if !v.IsNull() {
			rec.Timestamp = kafka.Timestamp(v.Int())
		}
		if rec.Timestamp < 0 {
			return rec, fmt.Errorf("ROWTIME must not be negative: %d", rec.Timestamp)
		}
	}
	var err error
	if rec.Key, err = encodeSide(r.key, p.Source.Schema.Key, p.Key, nowMs); err != nil {
		return rec, fmt.Errorf("could not serialize key: %w", err)
	}
	if rec.Key == nil && p.Source.Kind == catalog.Table {
		return rec, fmt.Errorf("value for the primary key of a table must not be NULL")
	}
	if rec.Value, err = encodeSide(r.value, p.Source.Schema.Value, p.Value, nowMs); err != nil {
		return rec, fmt.Errorf("could not serialize value: %w", err)
	}
	return rec, nil
}

// encodeSide serialises the columns of a key or value; a key whose columns are
// all NULL is a null key.
func encodeSide(row *format.Row, cols []types.Column, exprs []*plan.Expr, nowMs int64) ([]byte, error) {
	if len(cols) == 0 {
		return nil, nil
	}
	values := make([]types.Value, len(exprs))
	for i, e := range exprs {
		v, err := executor.Evaluate(e, nowMs)
		if err != nil {
			return nil, fmt.Errorf("column %s: %w", cols[i].Name, err)
		}
		values[i] = v
	}
	return row.Encode(values)
}
