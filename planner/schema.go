package planner

import (
	"errors"
	"slices"
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// Schemas is what planning asks of the schema registry.
type Schemas interface {
	// Infer returns the columns that a registered schema gives one side of a
	// topic: the schema with the format's schema id, else the latest of the
	// topic's subject. Where the format is unwrapped the schema as a whole is one
	// column, ROWKEY or ROWVAL. The error wraps ErrNoSchema when there is none.
	Infer(topic string, key bool, f plan.Format) (Inferred, error)
	// Check says why columns cannot be written to one side of a topic in a
	// format, nil when they can: names or types that a schema cannot hold, or,
	// for a sink, a schema that is not compatible with the subject's.
	Check(topic string, key bool, f plan.Format, cols []types.Column, sink bool) error
}

// Inferred is what a schema says about a side's columns.
type Inferred struct {
	Columns []types.Column
	// Dropped are the fields without a SQL type, each with the reason.
	Dropped []string
}

// ErrNoSchema says that a topic has no registered schema.
var ErrNoSchema = errors.New("schema is not registered")

// recordSide is a record's key or value, as WITH properties and messages name it.
type recordSide struct {
	key    bool
	prefix string // of WITH properties
	word   string
}

var (
	keySide   = recordSide{true, "KEY", "key"}
	valueSide = recordSide{false, "VALUE", "value"}
)

// schemas reads the properties of formats with schemas into both formats of a
// source.
func (w with) schemas(src *catalog.Source) {
	w.schemaProperties(keySide, &src.Key)
	if src.Key.Name == "AVRO" && src.Key.SchemaName == "" {
		src.Key.SchemaName = keyRecordName(src.Name)
	}
	w.schemaProperties(valueSide, &src.Value)
}

// schemaProperties reads the properties of formats with schemas into f.
func (w with) schemaProperties(s recordSide, f *plan.Format) {
	info := formatInfo(f.Name)
	w.schemaName(s.prefix+"_SCHEMA_FULL_NAME", info, f)
	if !s.key && w.has("VALUE_AVRO_SCHEMA_FULL_NAME") {
		if w.has("VALUE_SCHEMA_FULL_NAME") {
			fail(sql.CodeInvalidProperty, w.span("VALUE_AVRO_SCHEMA_FULL_NAME"), "Cannot supply both 'VALUE_AVRO_SCHEMA_FULL_NAME' and 'VALUE_SCHEMA_FULL_NAME': they are the same property")
		}
		if info.Name != "AVRO" {
			failHint(sql.CodeInvalidProperty, w.span("VALUE_AVRO_SCHEMA_FULL_NAME"), "write VALUE_SCHEMA_FULL_NAME", "VALUE_AVRO_SCHEMA_FULL_NAME is for AVRO values, not for %s", info.Name)
		}
		w.schemaName("VALUE_AVRO_SCHEMA_FULL_NAME", info, f)
	}
	if name := s.prefix + "_PROTOBUF_NULLABLE_REPRESENTATION"; w.has(name) {
		if !info.Nullable {
			fail(sql.CodeInvalidProperty, w.span(name), "%s does not support the following configs: [nullableRepresentation]", info.Name)
		}
		f.NullableRepresentation = upper(w.str(name, ""))
		if !slices.Contains(nullableWords, f.NullableRepresentation) {
			fail(sql.CodeInvalidProperty, w.valueSpan(name), "Invalid value %s for configuration %s: expected %s", w.str(name, ""), name, strings.Join(nullableWords, " or "))
		}
	}
	if name := s.prefix + "_SCHEMA_ID"; w.has(name) {
		f.SchemaID = int32(w.integer(name, 0, 1, 1<<31-1))
		w.checkSchemaID(s, info)
	}
}

// checkSchemaID refuses the id of a schema for a format that registers none.
func (w with) checkSchemaID(s recordSide, info *FormatInfo) {
	if name := s.prefix + "_SCHEMA_ID"; !info.Infers {
		fail(sql.CodeInvalidProperty, w.span(name), "%s_FORMAT should support schema inference when %s is provided. Current format is %s.", s.prefix, name, info.Name)
	}
}

func (w with) schemaName(property string, info *FormatInfo, f *plan.Format) {
	if !w.has(property) {
		return
	}
	if !info.Named {
		fail(sql.CodeInvalidProperty, w.span(property), "%s does not support the following configs: [fullSchemaName]", info.Name)
	}
	f.SchemaName = strings.TrimSpace(w.str(property, ""))
	if f.SchemaName == "" {
		fail(sql.CodeInvalidProperty, w.span(property), "fullSchemaName cannot be empty. Format configuration: {fullSchemaName=%s}", f.SchemaName)
	}
}

// avroNamespace is where the records of AVRO keys and values are named.
const avroNamespace = "io.confluent.ksql.avro_schemas."

// keyRecordName is the name of an AVRO key's record: PAGE_VIEWS gives
// PageViewsKey.
func keyRecordName(source string) string {
	var b strings.Builder
	start := true
	for _, r := range strings.ToLower(source) {
		switch {
		case r == '_':
			start = true
		case start:
			b.WriteString(strings.ToUpper(string(r)))
			start = false
		default:
			b.WriteRune(r)
		}
	}
	return avroNamespace + b.String() + "Key"
}

// inferColumns fills the sides that declare no columns from their registered
// schemas, where the format has them. It returns notes about fields that were
// left out.
func (p *planner) inferColumns(src *catalog.Source, w with, s *sql.CreateSource, key, value *FormatInfo) (notes []string) {
	inferKey := infers(w, keySide, key, len(src.Schema.Key) > 0)
	inferValue := infers(w, valueSide, value, len(src.BodyColumns()) > 0)
	if inferKey {
		f := plan.Format{Name: key.Name, Unwrapped: key.Unwrap}
		w.schemaProperties(keySide, &f)
		in := p.infer(src, keySide, f, w.schemaSpan("KEY", s.Name.Span))
		src.Schema.Key, notes = in.Columns, append(notes, in.Dropped...)
	}
	if inferValue {
		f := plan.Format{Name: value.Name}
		if wrap := w.wrap(); wrap != nil && !*wrap {
			f.Unwrapped = value.Unwrap
		}
		w.schemaProperties(valueSide, &f)
		in := p.infer(src, valueSide, f, w.schemaSpan("VALUE", s.Name.Span))
		headers := src.Schema.Value // what was declared stands in headers
		src.Schema.Value, notes = append(in.Columns, headers...), append(notes, in.Dropped...)
	}
	if n := len(src.Schema.Key) + len(src.Schema.Value); src.Headers != nil && len(src.Headers) < n {
		src.Headers = append(make([]string, n-len(src.Headers)), src.Headers...) // header columns come last
	}
	seen := map[string]bool{}
	for i := range src.Schema.Len() {
		name := src.Schema.Column(i).Name
		if seen[name] {
			fail(sql.CodeDuplicate, s.Name.Span, "Duplicate column names: %s is in the registered schemas of key and value or in the statement as well", name)
		}
		if seen[name] = true; reserved(name) {
			fail(sql.CodeReserved, s.Name.Span, "'%s' is a reserved column name, but the registered schema has such a field", name)
		}
	}
	return notes
}

// infers decides whether a side's columns come from the registry.
func infers(w with, s recordSide, info *FormatInfo, declared bool) bool {
	if name := s.prefix + "_SCHEMA_ID"; w.has(name) {
		w.checkSchemaID(s, info)
		if declared {
			failHint(sql.CodeInvalidProperty, w.span(name), "leave the columns out: the schema declares them", "Table elements and %s cannot both exist for create statement.", name)
		}
		return true
	}
	return info.Infers && !declared
}

func (p *planner) infer(src *catalog.Source, s recordSide, f plan.Format, span sql.Span) Inferred {
	if p.Schemas == nil {
		failHint(sql.CodeUnsupported, span, "declare the columns", "the %s columns are not declared, and there is no schema registry to infer them from", s.word)
	}
	in, err := p.Schemas.Infer(src.Topic, s.key, f)
	switch {
	case errors.Is(err, ErrNoSchema) && f.SchemaID != 0:
		fail(sql.CodeSchema, span, "Schema with id %d for message %ss on topic '%s' does not exist in the Schema Registry", f.SchemaID, s.word, src.Topic)
	case errors.Is(err, ErrNoSchema):
		hint := "declare the columns, or register a schema for subject " + src.Topic + "-" + s.word
		if s.key {
			hint = "declare the key columns, or write KEY_FORMAT='NONE' and VALUE_FORMAT apart when the records have no key"
		}
		failHint(sql.CodeSchema, span, hint, "Schema for message %ss on topic '%s' does not exist in the Schema Registry.", s.word, src.Topic)
	case err != nil:
		fail(sql.CodeSchema, span, "the registered %s schema of topic '%s' cannot be used: %v", s.word, src.Topic, err)
	case len(in.Columns) == 0:
		fail(sql.CodeSchema, span, "The %s schema of topic '%s' has no field with a SQL type: %s", s.word, src.Topic, strings.Join(in.Dropped, "; "))
	}
	return in
}

// checkSchema holds the columns of one side against what the format's schemas can
// hold and, for a sink, against what is registered.
func (p *planner) checkSchema(src *catalog.Source, s recordSide, sink bool, span sql.Span) {
	f, cols := src.Value, src.BodyColumns()
	if s.key {
		f, cols = src.Key, src.Schema.Key
	}
	info := formatInfo(f.Name)
	if !info.Schemas || len(cols) == 0 {
		return
	}
	if p.Schemas == nil {
		if info.Infers {
			fail(sql.CodeUnsupported, span, "format %s needs a schema registry", f.Name)
		}
		return
	}
	if sink && f.SchemaID != 0 {
		p.checkPhysical(src, s, f, cols, span)
	}
	if err := p.Schemas.Check(src.Topic, s.key, f, cols, sink); err != nil {
		fail(sql.CodeSchema, span, "%v", err)
	}
}

// checkPhysical holds a query's result to the schema that is to be written: its
// columns must be the schema's first ones, of the same types and in the same order.
// Further ones get their default.
func (p *planner) checkPhysical(src *catalog.Source, s recordSide, f plan.Format, cols []types.Column, span sql.Span) {
	in := p.infer(src, s, f, span)
	var bad []types.Column
	for i, c := range cols {
		if i >= len(in.Columns) || in.Columns[i].Name != c.Name || !in.Columns[i].Type.Equal(c.Type) {
			bad = append(bad, c)
		}
	}
	if len(bad) > 0 {
		fail(sql.CodeSchema, span, "The following %s columns are changed, missing or reordered: %s. Schema from schema registry is %s", s.word, columnList(bad), columnList(in.Columns))
	}
}
