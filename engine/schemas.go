package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// schemaTopic is the partition that holds the changes of the schema registry,
// one registry.Event a record.
func (e *Engine) schemaTopic() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: SchemaTopic(e.cfg.ServiceID)}
}

// Schemas returns the embedded schema registry, for readers. It takes no part in
// anything when the engine uses an external one.
func (e *Engine) Schemas() *registry.Registry { return e.schemas }

// replaySchemas rebuilds the registry. A change that cannot be replayed is
// reported and skipped, as a command is.
func (e *Engine) replaySchemas(ctx context.Context) error {
	tp := e.schemaTopic()
	first, stable, err := e.cluster.Bounds(ctx, tp)
	if err != nil {
		return fmt.Errorf("read schema registry: %w", err)
	}
	return eachRecord(e.cluster, tp, first, stable, func(r *kafka.Record) error {
		var ev registry.Event
		err := json.Unmarshal(r.Value, &ev)
		if err == nil {
			err = e.schemas.Apply(ev)
		}
		if err != nil {
			e.cfg.Logger.Error("change of the schema registry skipped at replay", "offset", r.Offset, "err", err)
		}
		return nil
	})
}

// schemaView is the registry as a statement sees it: with the changes that it
// would make, which are not made yet.
type schemaView struct{ statementSchemas }

// Infer implements planner.Schemas.
func (v *schemaView) Infer(topic string, key bool, f plan.Format) (planner.Inferred, error) {
	side := format.Side{Topic: topic, Key: key, Schemas: v}
	var s registry.Schema
	var err error
	if f.SchemaID != 0 {
		s, err = v.ByID(f.SchemaID)
	} else {
		var latest registry.Version
		latest, err = v.Latest(side.Subject())
		s = latest.Schema
	}
	if errors.Is(err, registry.ErrSchema) || errors.Is(err, registry.ErrSubject) {
		return planner.Inferred{}, fmt.Errorf("%w: %w", planner.ErrNoSchema, err)
	}
	if err != nil {
		return planner.Inferred{}, err
	}
	in, err := format.InferColumns(f, side, s)
	return planner.Inferred{Columns: in.Columns, Dropped: in.Dropped}, err
}

// Check implements planner.Schemas.
func (v *schemaView) Check(topic string, key bool, f plan.Format, cols []types.Column, sink bool) error {
	if f.SchemaID != 0 {
		_, err := format.New(f, cols, format.Side{Topic: topic, Key: key, Schemas: v})
		return err
	}
	s, err := format.DeriveSchema(f, cols)
	if err != nil || !sink || !format.HasSchemas(f) {
		return err
	}
	if err := v.Compatible(registry.Subject(topic, key), s); err != nil {
		return fmt.Errorf("could not register the schema of %s: %w", topic, err)
	}
	return nil
}

// register adds the schemas that a source's records are written with. A declared
// source leaves a subject alone that exists: others own it. What a query writes,
// and a physical schema that the statement named, are always registered.
func (v *schemaView) register(src *catalog.Source, written bool) error {
	for _, side := range schemaSides(src) {
		subject := registry.Subject(src.Topic, side.key)
		if !written && side.f.SchemaID == 0 {
			if _, err := v.Latest(subject); err == nil {
				continue
			} else if !errors.Is(err, registry.ErrSubject) {
				return fmt.Errorf("could not look for the schema of %s: %w", src.Topic, err)
			}
		}
		s, err := schemaOf(v, side.f, side.cols)
		if err != nil {
			return err
		}
		if err := v.add(subject, s); err != nil {
			return fmt.Errorf("could not register the schema of %s: %w", src.Topic, err)
		}
	}
	return nil
}

// schemaSide is the key or the value of a source in a format of the registry.
type schemaSide struct {
	key  bool
	f    plan.Format
	cols []types.Column
}

// schemaSides lists the sides of a source that have schemas in the registry.
func schemaSides(src *catalog.Source) (sides []schemaSide) {
	for _, side := range []schemaSide{{true, src.Key, src.Schema.Key}, {false, src.Value, src.BodyColumns()}} {
		if format.HasSchemas(side.f) && len(side.cols) > 0 {
			sides = append(sides, side)
		}
	}
	return sides
}

// registeredSchemas tells what the registry has of a source.
func (e *Engine) registeredSchemas(src *catalog.Source) (list []RegisteredSchema) {
	r := e.registry()
	for _, side := range schemaSides(src) {
		out := RegisteredSchema{Side: "VALUE", Subject: registry.Subject(src.Topic, side.key)}
		if side.key {
			out.Side = "KEY"
		}
		latest, err := r.Latest(out.Subject)
		if err == nil {
			out.Version, out.ID, out.Type = latest.Version, latest.ID, string(latest.Type)
		} else if !errors.Is(err, registry.ErrSubject) {
			out.Error = err.Error()
		}
		if s, err := schemaOf(r, side.f, side.cols); err == nil && out.Error == "" {
			if id, err := r.ID(out.Subject, s); err == nil {
				out.WrittenID = id
			}
		}
		list = append(list, out)
	}
	return list
}

// schemaOf is the schema that one side of a source is written with.
func schemaOf(r format.Schemas, f plan.Format, cols []types.Column) (registry.Schema, error) {
	if f.SchemaID != 0 {
		return r.ByID(f.SchemaID)
	}
	return format.DeriveSchema(f, cols)
}

// schemaBatch is the record batch of changes of the registry.
func (e *Engine) schemaBatch(events []registry.Event) (executor.PartitionBatches, error) {
	var w kafka.BatchBuilder
	now := kafka.Timestamp(e.cfg.Clock.Now().UnixMilli())
	for _, ev := range events {
		value, err := json.Marshal(ev)
		if err != nil {
			return executor.PartitionBatches{}, fmt.Errorf("encode change of the schema registry: %w", err)
		}
		w.Append(now, nil, value, nil)
	}
	w.Finish()
	return executor.PartitionBatches{TP: e.schemaTopic(), Batches: w.Bytes(), Records: len(events)}, nil
}

// applySchemas makes recorded changes of the registry.
func (e *Engine) applySchemas(events []registry.Event) error {
	for _, ev := range events {
		if err := e.schemas.Apply(ev); err != nil {
			return err
		}
	}
	return nil
}

// RegisterSchema registers a schema under a subject, durably, and returns the
// version that it is. An id of 0 takes the next one. Errors: registry.ErrInvalid,
// registry.ErrIncompatible.
func (e *Engine) RegisterSchema(ctx context.Context, subject string, s registry.Schema, id int32) (registry.Version, error) {
	var version registry.Version
	err := e.changeSchemas(ctx, func(v *embeddedSchemas) (err error) {
		var ev *registry.Event
		if id == 0 {
			version, ev, err = v.Propose(subject, s)
		} else {
			version, ev, err = v.ProposeID(subject, s, id)
		}
		if err != nil || ev == nil {
			return err
		}
		return v.change(*ev)
	})
	return version, err
}

// SetCompatibility sets the compatibility level of a subject, or the default when
// subject is empty.
func (e *Engine) SetCompatibility(ctx context.Context, subject string, level registry.Level) error {
	return e.changeSchemas(ctx, func(v *embeddedSchemas) error {
		ev, err := v.ProposeLevel(subject, level)
		if err != nil {
			return err
		}
		return v.change(*ev)
	})
}

// changeSchemas makes changes of the embedded registry, durably and all together.
func (e *Engine) changeSchemas(ctx context.Context, change func(*embeddedSchemas) error) error {
	if e.client != nil {
		return errExternalSchemas
	}
	e.ddl.Lock()
	defer e.ddl.Unlock()
	v := &embeddedSchemas{Registry: e.schemas}
	if err := change(v); err != nil || len(v.events) == 0 {
		return err
	}
	return e.recordSchemas(ctx, v.events)
}

// recordSchemas writes changes of the registry and makes them. Called with ddl
// held.
func (e *Engine) recordSchemas(ctx context.Context, events []registry.Event) error {
	batch, err := e.schemaBatch(events)
	if err != nil {
		return err
	}
	if err := e.cluster.Apply(ctx, change{appends: []executor.PartitionBatches{batch}}); err != nil {
		return err
	}
	return e.applySchemas(events)
}

// registerFor registers what an INSERT VALUES writes with, when nobody has yet:
// the subject existed with another schema when the source was declared.
func (e *Engine) registerFor(ctx context.Context, src *catalog.Source) error {
	if !format.HasSchemas(src.Key) && !format.HasSchemas(src.Value) {
		return nil
	}
	if e.client != nil {
		v := &externalSchemas{client: e.client}
		if err := (&schemaView{v}).registerInserted(src); err != nil {
			return err
		}
		return e.registerExternal(v.added)
	}
	return e.changeSchemas(ctx, func(v *embeddedSchemas) error { return (&schemaView{v}).registerInserted(src) })
}

// registerInserted registers the schemas that INSERT VALUES writes with.
func (v *schemaView) registerInserted(src *catalog.Source) error {
	if err := v.keepKey(src); err != nil {
		return err
	}
	return v.register(src, true)
}

// keepKey refuses to write keys by another schema than the subject's: equal keys
// would get other bytes and so another partition.
func (v *schemaView) keepKey(src *catalog.Source) error {
	if !format.HasSchemas(src.Key) || len(src.Schema.Key) == 0 || src.Key.SchemaID != 0 {
		return nil
	}
	latest, err := v.Latest(registry.Subject(src.Topic, true))
	if errors.Is(err, registry.ErrSubject) {
		return nil // no schema yet
	}
	if err != nil {
		return err
	}
	in, err := format.InferColumns(src.Key, format.Side{Topic: src.Topic, Key: true, Schemas: v}, latest.Schema)
	if err != nil {
		return err
	}
	declared := src.Schema.Key
	if src.Key.Unwrapped && len(declared) == 1 {
		declared = []types.Column{{Name: "ROWKEY", Type: declared[0].Type}}
	}
	have, want := types.Schema{Key: in.Columns}, types.Schema{Key: declared}
	if !have.Equal(want) {
		return fmt.Errorf("the key schema that would be written differs from the one registered, which would change the keys' partitions: registered %s, own %s", have.String("KEY"), want.String("KEY"))
	}
	return nil
}
