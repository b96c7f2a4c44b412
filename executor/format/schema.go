package format

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Schemas is what codecs ask of a schema registry: package registry's Registry,
// or a client of an external one.
type Schemas interface {
	registry.Resolver
	// ByID returns the schema with an id.
	ByID(id int32) (registry.Schema, error)
	// ID returns the id under which a subject has this very schema.
	ID(subject string, s registry.Schema) (int32, error)
}

// Side says which records a codec is for.
type Side struct {
	Topic string
	Key   bool
	// Schemas is nil where there is no registry: formats that need one then fail
	// to build.
	Schemas Schemas
}

// Subject is the subject of the side's schemas.
func (s Side) Subject() string { return registry.Subject(s.Topic, s.Key) }

// Inferred is what a registered schema says about a side's columns.
type Inferred struct {
	Columns []types.Column
	// Unwrapped says that the schema is not a record: the one column, ROWKEY or
	// ROWVAL, is the whole payload.
	Unwrapped bool
	// Dropped are the fields without a SQL type, each with the reason.
	Dropped []string
}

// dialect is what a format with schemas brings.
type dialect struct {
	schemaType registry.Type // empty when the format's schemas are not registered
	// derive returns the schema that the format makes from columns. It fails for
	// columns that the schema's language cannot hold, by name or type.
	derive func(f plan.Format, cols []types.Column) (string, error)
	// infer returns the columns of a schema. Names are in upper case, or as they
	// stand when f.SchemaID says that the schema is the physical one.
	infer func(f plan.Format, side Side, s registry.Schema) (Inferred, error)
	codec func(f plan.Format, cols []types.Column, side Side) (Codec, error)
	// check and incompatible are registry.Checker's.
	check        func(s registry.Schema, all registry.Resolver) error
	incompatible func(reader, writer registry.Schema, all registry.Resolver) ([]string, error)
}

// dialects are the formats with schemas, by name.
var dialects = map[string]*dialect{
	"JSON_SR":       jsonSchemaDialect,
	"PROTOBUF":      protobufDialect,
	"PROTOBUF_NOSR": protobufBareDialect,
	"AVRO":          avroDialect,
}

// HasSchemas reports whether a format's schemas are registered.
func HasSchemas(f plan.Format) bool {
	d := dialects[f.Name]
	return d != nil && d.schemaType != ""
}

// DeriveSchema returns the schema that a format with schemas makes from columns.
// The same columns and format always make the same text.
func DeriveSchema(f plan.Format, cols []types.Column) (registry.Schema, error) {
	d := dialects[f.Name]
	if d == nil {
		return registry.Schema{}, fmt.Errorf("format %s has no schemas", f.Name)
	}
	text, err := d.derive(f, cols)
	return registry.Schema{Type: d.schemaType, Text: text}, err
}

// InferColumns returns the columns that a registered schema gives one side of a
// topic.
func InferColumns(f plan.Format, side Side, s registry.Schema) (Inferred, error) {
	d := dialects[f.Name]
	if d == nil || d.schemaType == "" {
		return Inferred{}, fmt.Errorf("format %s has no registered schemas", f.Name)
	}
	if s.Type != d.schemaType {
		return Inferred{}, fmt.Errorf("the schema is %s, which format %s does not read", s.Type, f.Name)
	}
	return d.infer(f, side, s)
}

// topColumns turns the type of a schema as a whole into columns: its fields, or
// the one column ROWKEY or ROWVAL where the format is unwrapped.
func topColumns(f plan.Format, side Side, t types.Type, dropped []string) (Inferred, error) {
	if f.Unwrapped {
		name := "ROWVAL"
		if side.Key {
			name = "ROWKEY"
		}
		return Inferred{Columns: []types.Column{{Name: name, Type: t}}, Unwrapped: true, Dropped: dropped}, nil
	}
	if t.Kind != types.KindStruct {
		return Inferred{}, errors.New("it is no record; WRAP_SINGLE_VALUE=false reads it as one column")
	}
	in := Inferred{Dropped: dropped}
	for _, field := range t.Fields {
		in.Columns = append(in.Columns, types.Column(field))
	}
	return in, nil
}

// Checker is the registry.Checker of the formats.
type Checker struct{}

// Check parses a schema.
func (Checker) Check(s registry.Schema, all registry.Resolver) error {
	d, err := dialectOf(s.Type)
	if err != nil {
		return err
	}
	return d.check(s, all)
}

// Incompatible says why a reader cannot read what a writer wrote.
func (Checker) Incompatible(reader, writer registry.Schema, all registry.Resolver) ([]string, error) {
	d, err := dialectOf(reader.Type)
	if err != nil {
		return nil, err
	}
	return d.incompatible(reader, writer, all)
}

func dialectOf(t registry.Type) (*dialect, error) {
	for _, d := range dialects {
		if t != "" && d.schemaType == t {
			return d, nil
		}
	}
	return nil, fmt.Errorf("schema type %q is not supported", t)
}
