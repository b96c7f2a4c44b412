package format

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// How NULL is kept in derived schemas, plan.Format.NullableRepresentation. By
// default it is not: a NULL scalar reads back as 0, "" or false.
const (
	protoOptional = "OPTIONAL"
	protoWrapper  = "WRAPPER"
)

// protoScalar is how a SQL type stands in a derived schema.
type protoScalar struct {
	name    string // of the type
	wrapper string // of the message that holds a nullable one, "" when it is a message itself
	file    string // that defines the type
}

var protoScalars = map[types.Kind]protoScalar{
	types.KindBoolean:   {"bool", "google.protobuf.BoolValue", ""},
	types.KindInteger:   {"int32", "google.protobuf.Int32Value", ""},
	types.KindBigint:    {"int64", "google.protobuf.Int64Value", ""},
	types.KindDouble:    {"double", "google.protobuf.DoubleValue", ""},
	types.KindString:    {"string", "google.protobuf.StringValue", ""},
	types.KindBytes:     {"bytes", "google.protobuf.BytesValue", ""},
	types.KindDecimal:   {"confluent.type.Decimal", "", "confluent/type/decimal.proto"},
	types.KindTime:      {"google.type.TimeOfDay", "", "google/type/timeofday.proto"},
	types.KindDate:      {"google.type.Date", "", "google/type/date.proto"},
	types.KindTimestamp: {"google.protobuf.Timestamp", "", "google/protobuf/timestamp.proto"},
}

// protoDeriver writes the proto3 text of columns as Connect's converter does:
// nested messages stand in the message that uses them first and are numbered in
// the order in which they are met.
type protoDeriver struct {
	nulls   string
	imports map[string]bool
	unnamed int // messages named so far
}

// deriveProto returns the schema of columns. Errors name the column.
func deriveProto(f plan.Format, cols []types.Column) (string, error) {
	nulls := strings.ToUpper(f.NullableRepresentation)
	if nulls != "" && nulls != protoOptional && nulls != protoWrapper {
		return "", fmt.Errorf("nullable representation %s is not one of %s, %s", f.NullableRepresentation, protoOptional, protoWrapper)
	}
	d := &protoDeriver{nulls: nulls, imports: map[string]bool{}}
	pack, name, err := d.root(f.SchemaName)
	if err != nil {
		return "", err
	}
	fields := make([]types.Field, len(cols))
	for i, c := range cols {
		fields[i] = types.Field(c)
	}
	body, err := d.message(name, fields, false)
	if err != nil {
		return "", err
	}
	text := "syntax = \"proto3\";\n"
	if pack != "" {
		text += "package " + pack + ";\n"
	}
	if len(d.imports) > 0 {
		text += "\n"
	}
	for _, path := range slices.Sorted(maps.Keys(d.imports)) {
		text += "import \"" + path + "\";\n"
	}
	return text + "\n" + body, nil
}

// root splits the full name of the outermost message.
func (d *protoDeriver) root(full string) (pack, name string, err error) {
	if full == "" {
		return "", d.newName(), nil
	}
	for _, part := range strings.Split(full, ".") {
		if !protoIdentifier(part) {
			return "", "", fmt.Errorf("schema name %s is not a valid protobuf name", full)
		}
	}
	if i := strings.LastIndexByte(full, '.'); i >= 0 {
		return full[:i], full[i+1:], nil
	}
	return "", full, nil
}

func (d *protoDeriver) newName() string {
	d.unnamed++
	return "ConnectDefault" + strconv.Itoa(d.unnamed)
}

// message returns the text of a message, entry says of a MAP's.
func (d *protoDeriver) message(name string, fields []types.Field, entry bool) (string, error) {
	var b, nested strings.Builder
	b.WriteString("message " + name + " {\n")
	for i, f := range fields {
		if !protoIdentifier(f.Name) {
			return "", fmt.Errorf("column or field %s cannot be in a PROTOBUF schema: the name is not a letter or underscore followed by letters, digits and underscores", types.QuoteName(f.Name))
		}
		line, inner, err := d.field(f, i+1)
		if err != nil {
			if entry {
				return "", err
			}
			return "", within(f.Name, err)
		}
		b.WriteString(indentProto(line))
		nested.WriteString(inner)
	}
	if nested.Len() > 0 {
		b.WriteString("\n" + indentProto(nested.String()))
	}
	b.WriteString("}\n")
	return b.String(), nil
}

// field returns the line of a field and the messages that it brings.
func (d *protoDeriver) field(f types.Field, number int) (line, nested string, err error) {
	t, label := f.Type, ""
	switch {
	case t.Kind == types.KindArray:
		t, label = *t.Elem, "repeated "
		if t.Kind == types.KindArray || t.Kind == types.KindMap {
			return "", "", fmt.Errorf("PROTOBUF format cannot hold %s: a repeated field has no %s in it, wrap it in a STRUCT", f.Type, t.Kind)
		}
	case t.Kind == types.KindMap:
		label = "repeated "
	case d.nulls == protoOptional:
		label = "optional "
	}
	var name, options string
	switch t.Kind {
	case types.KindStruct:
		name = d.newName()
		if name == f.Name {
			name += "Message" // a field and a message in one scope differ
		}
		nested, err = d.message(name, t.Fields, false)
	case types.KindMap:
		if t.Key.Kind != types.KindString {
			return "", "", fmt.Errorf("PROTOBUF format only supports MAP types with STRING keys, not %s", t)
		}
		name = d.newName() + "Entry"
		nested, err = d.message(name, []types.Field{{Name: "key", Type: *t.Key}, {Name: "value", Type: *t.Elem}}, true)
	default:
		if name, err = d.scalar(t); t.Kind == types.KindDecimal {
			options = decimalOptions(t)
		}
	}
	return label + name + " " + f.Name + " = " + strconv.Itoa(number) + options + ";\n", nested, err
}

// scalar returns the type of a field that is no STRUCT, MAP or ARRAY.
func (d *protoDeriver) scalar(t types.Type) (string, error) {
	s, ok := protoScalars[t.Kind]
	if !ok {
		return "", fmt.Errorf("PROTOBUF format cannot hold type %s", t)
	}
	if d.nulls == protoWrapper && s.wrapper != "" {
		d.imports["google/protobuf/wrappers.proto"] = true
		return s.wrapper, nil
	}
	if s.file != "" {
		d.imports[s.file] = true
	}
	return s.name, nil
}

func decimalOptions(t types.Type) string {
	param := func(key string, n int32) string {
		return "    {\n      value: \"" + strconv.Itoa(int(n)) + "\",\n      key: \"" + key + "\"\n    }"
	}
	return " [(confluent.field_meta) = {\n  params: [\n" + param("precision", t.Precision) + ",\n" + param("scale", t.Scale) + "\n  ]\n}]"
}

// indentProto moves every line two columns in, empty ones too, as the texts of
// Confluent's tools have it: schemas are compared as text.
func indentProto(text string) string {
	return "  " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n  ") + "\n"
}

func protoIdentifier(s string) bool {
	for i, c := range []byte(s) {
		letter := c|0x20 >= 'a' && c|0x20 <= 'z' || c == '_'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != ""
}
