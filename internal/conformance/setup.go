package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// world is where a case runs: a sandbox, or an engine behind a server.
type world interface {
	AddTopic(name string, partitions int32)
	Topic(name string) (partitions int32, ok bool)
	// AddSchema registers a schema with the id given, 0 for the next one.
	AddSchema(subject string, s registry.Schema, id int32) (int32, error)
	SetCompatibility(registry.Level) error
	Schemas() *registry.Registry
	// RegisterDeclared registers what a CREATE with columns would.
	RegisterDeclared(*sql.CreateSource) error
}

// setup prepares a world for a case.
type setup struct {
	c *testCase
	world
	partitions int32 // of topics that the case says nothing about
}

// run makes the topics and schemas that exist before the first statement:
// schemas with an id first, then topics, then the other schemas as latest, those
// of declared sources before those of the case.
func (r *setup) run() error {
	// The harness' registry takes every schema.
	if err := r.SetCompatibility(registry.None); err != nil {
		return err
	}
	for _, t := range r.c.Topics {
		if err := r.addSchemas(t, true); err != nil {
			return err
		}
		r.AddTopic(t.Name, max(t.Partitions, 1))
	}
	for _, text := range r.c.Statements {
		stmts, errs := sql.Parse(text)
		if len(errs) > 0 {
			continue
		}
		for _, s := range stmts {
			if c, ok := s.(*sql.CreateSource); ok {
				if err := r.declared(c); err != nil {
					return err
				}
			}
		}
	}
	for _, list := range [][]record{r.c.Inputs, r.c.Outputs} {
		for _, rec := range list {
			if rec.Topic != "" {
				r.addMissing(rec.Topic, r.partitions)
			}
		}
	}
	for _, t := range r.c.Topics {
		if err := r.addSchemas(t, false); err != nil {
			return err
		}
	}
	return nil
}

// declared makes the topic that a CREATE with columns names, and registers the
// schemas that its columns give.
func (r *setup) declared(c *sql.CreateSource) error {
	with := map[string]types.Value{}
	for _, p := range c.With {
		with[strings.ToUpper(p.Name.Name)] = p.Value.Value
	}
	str := func(names ...string) string {
		for _, n := range names {
			if v, ok := with[n]; ok && v.Kind() == types.KindString {
				return v.Str()
			}
		}
		return ""
	}
	topic := str("KAFKA_TOPIC")
	if topic == "" {
		return nil
	}
	n := r.partitions
	if v, ok := with["PARTITIONS"]; ok && v.Kind() != types.KindString {
		// The harness creates no topics for statements, so that none of them meets
		// one with other partitions.
		n = int32(v.Int())
		r.AddTopic(topic, n)
	}
	if len(c.Columns) == 0 {
		return nil
	}
	r.addMissing(topic, n)
	for _, t := range r.c.Topics {
		if t.Name == topic {
			if err := r.addSchemas(t, false); err != nil {
				return err
			}
		}
	}
	// The engine derives them from the columns: a copy of it declares the source.
	return r.RegisterDeclared(c)
}

// addMissing makes a topic unless it exists. Sinks are created by their own
// statements, with the partitions that these give.
func (r *setup) addMissing(topic string, n int32) {
	if _, ok := r.Topic(topic); !ok {
		r.AddTopic(topic, n)
	}
}

// addSchemas registers the schemas of a topic, those with an id or those without.
func (r *setup) addSchemas(t topicSpec, withID bool) error {
	for _, side := range []struct {
		key    bool
		format string
		schema json.RawMessage
		id     int32
		refs   []schemaReference
	}{
		{true, t.KeyFormat, t.KeySchema, t.KeySchemaID, t.KeySchemaReferences},
		{false, t.ValueFormat, t.ValueSchema, t.ValueSchemaID, t.ValueSchemaReferences},
	} {
		if len(side.schema) == 0 || string(side.schema) == "null" || (side.id != 0) != withID {
			continue
		}
		s, err := r.schema(side.format, side.schema, side.refs)
		if err != nil {
			return err
		}
		if _, err := r.AddSchema(registry.Subject(t.Name, side.key), s, side.id); err != nil {
			return err
		}
	}
	return nil
}

// firstReferenceID is where the ids of schemas begin that only others refer to.
const firstReferenceID = 1_000_000

// schema builds a schema to register, after what it refers to.
func (r *setup) schema(format string, text json.RawMessage, refs []schemaReference) (registry.Schema, error) {
	s := registry.Schema{Type: schemaTypes[strings.ToUpper(format)]}
	raw, err := rawText(text)
	if err != nil {
		return s, err
	}
	if s.Text = string(raw); s.Type != registry.Protobuf {
		s.Text = string(text)
	}
	if s.Type == "" {
		return s, fmt.Errorf("format %s has no schemas", format)
	}
	for _, ref := range refs {
		inner, err := r.schema(format, ref.Schema, nil)
		if err != nil {
			return s, err
		}
		// Statements count on the ids of the schemas that refer to it: 1, 2...
		id := firstReferenceID + int32(len(r.Schemas().Subjects()))
		if v, err := r.Schemas().Lookup(ref.Name, inner); err == nil {
			id = v.ID
		}
		if _, err := r.AddSchema(ref.Name, inner, id); err != nil {
			return s, err
		}
		s.References = append(s.References, registry.Reference{Name: ref.Name, Subject: ref.Name, Version: 1})
	}
	return s, nil
}

// schemaTypes are the types of schema by format, as the corpus names formats.
var schemaTypes = map[string]registry.Type{
	"AVRO": registry.Avro, "PROTOBUF": registry.Protobuf, "JSON": registry.JSON, "JSON_SR": registry.JSON,
}

// derived is the schema that a format without a registry lays payloads out by.
func derived(f plan.Format, cols []types.Column) (registry.Schema, error) {
	s, err := format.DeriveSchema(f, cols)
	s.Type = registry.Protobuf
	return s, err
}
