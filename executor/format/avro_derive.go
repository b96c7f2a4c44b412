package format

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// avroSchemaName is the full name of records that no SchemaName names.
const avroSchemaName = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema"

// deriveAvro returns the schema that KSQL gives columns (Connect's AvroData): a
// record whose fields are all nullable, or the bare type of an unwrapped column.
func deriveAvro(f plan.Format, cols []types.Column) (string, error) {
	name := f.SchemaName
	if name == "" {
		name = avroSchemaName
	}
	for _, part := range strings.Split(name, ".") {
		if err := checkAvroName(part); err != nil {
			return "", err
		}
	}
	d := avroDeriver{used: map[string]bool{}}
	if i := strings.LastIndexByte(name, '.'); i >= 0 {
		d.space, name = name[:i], name[i+1:]
	}
	var err error
	if f.Unwrapped && len(cols) == 1 {
		err = d.typ(cols[0].Type, name)
	} else {
		fields := make([]types.Field, len(cols))
		for i, c := range cols {
			fields[i] = types.Field(c)
		}
		err = d.record(fields, name)
	}
	return d.out.String(), err
}

// avroDeriver writes a schema. The namespace stands at the first named type and
// holds inside it.
type avroDeriver struct {
	out    strings.Builder
	space  string
	spaced bool
	used   map[string]bool // names of records
}

// avroFieldName is the name of a column's field: Avro has no dots in names.
func avroFieldName(column string) string { return strings.ReplaceAll(column, ".", "_") }

// checkAvroName reports a name that the Avro specification ("Names") forbids.
func checkAvroName(name string) error {
	if name == "" {
		return errors.New("Schema is not compatible with Avro: Empty name")
	}
	for i, c := range name {
		if c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9' {
			continue
		}
		if i == 0 {
			return fmt.Errorf("Schema is not compatible with Avro: Illegal initial character: %s", name)
		}
		return fmt.Errorf("Schema is not compatible with Avro: Illegal character in: %s", name)
	}
	return nil
}

// open begins a record and the list of its fields.
func (d *avroDeriver) open(name string) error {
	if d.used[name] {
		return fmt.Errorf("Schema is not compatible with Avro: two nested types would both be named %s", name)
	}
	d.used[name] = true
	fmt.Fprintf(&d.out, `{"type":"record","name":%q`, name)
	if d.space != "" && !d.spaced {
		fmt.Fprintf(&d.out, `,"namespace":%q`, d.space)
		d.spaced = true
	}
	d.out.WriteString(`,"fields":[`)
	return nil
}

// field writes a nullable field. name is the one of records in it.
func (d *avroDeriver) field(field string, t types.Type, name string) error {
	if err := checkAvroName(field); err != nil {
		return err
	}
	fmt.Fprintf(&d.out, `{"name":%q,"type":`, field)
	if err := d.nullable(t, name); err != nil {
		return err
	}
	d.out.WriteString(`,"default":null}`)
	return nil
}

func (d *avroDeriver) nullable(t types.Type, name string) error {
	d.out.WriteString(`["null",`)
	err := d.typ(t, name)
	d.out.WriteString(`]`)
	return err
}

func (d *avroDeriver) record(fields []types.Field, name string) error {
	if err := d.open(name); err != nil {
		return err
	}
	seen := make(map[string]bool, len(fields))
	for i, f := range fields {
		field := avroFieldName(f.Name)
		if seen[field] {
			return fmt.Errorf("Schema is not compatible with Avro: two fields would both be named %s", field)
		}
		seen[field] = true
		if i > 0 {
			d.out.WriteByte(',')
		}
		if err := d.field(field, f.Type, name+"_"+field); err != nil {
			return err
		}
	}
	d.out.WriteString(`],"connect.name":` + d.fullName(name) + `}`)
	return nil
}

// fullName returns a name with the namespace, as JSON.
func (d *avroDeriver) fullName(name string) string {
	return strconv.Quote(qualify(name, d.space))
}

// typ writes a type that is not nullable. name is the one of a record that it
// is, and begins those of records inside it.
func (d *avroDeriver) typ(t types.Type, name string) error {
	switch t.Kind {
	case types.KindBoolean, types.KindInteger, types.KindBigint, types.KindDouble, types.KindString, types.KindBytes:
		d.out.WriteString(`"` + avroPrimitives[t.Kind] + `"`)
	case types.KindDecimal:
		fmt.Fprintf(&d.out, `{"type":"bytes","scale":%d,"precision":%d,"connect.version":1,"connect.parameters":{"scale":"%d","connect.decimal.precision":"%d"},"connect.name":"%sDecimal","logicalType":"decimal"}`,
			t.Scale, t.Precision, t.Scale, t.Precision, connectPrefix)
	case types.KindTime:
		d.logical("int", "Time", avroTimeMillis)
	case types.KindDate:
		d.logical("int", "Date", avroDate)
	case types.KindTimestamp:
		d.logical("long", "Timestamp", avroStampMillis)
	case types.KindArray:
		d.out.WriteString(`{"type":"array","items":`)
		if err := d.nullable(*t.Elem, name); err != nil {
			return err
		}
		d.out.WriteByte('}')
	case types.KindMap:
		return d.entries(t, name)
	case types.KindStruct:
		return d.record(t.Fields, name)
	default:
		return fmt.Errorf("Schema is not compatible with Avro: %s has no Avro type", t)
	}
	return nil
}

var avroPrimitives = map[types.Kind]string{
	types.KindBoolean: "boolean", types.KindInteger: "int", types.KindBigint: "long", types.KindDouble: "double",
	types.KindString: "string", types.KindBytes: "bytes",
}

func (d *avroDeriver) logical(typ, connect, logical string) {
	fmt.Fprintf(&d.out, `{"type":%q,"connect.version":1,"connect.name":"%s%s","logicalType":%q}`, typ, connectPrefix, connect, logical)
}

// entries writes a MAP: keys of SQL may be NULL, those of an Avro map may not.
func (d *avroDeriver) entries(t types.Type, name string) error {
	if t.Key.Kind != types.KindString {
		return fmt.Errorf("Avro only supports MAPs with STRING keys, not %s", t)
	}
	d.out.WriteString(`{"type":"array","items":`)
	if err := d.open(name); err != nil {
		return err
	}
	if err := d.field("key", *t.Key, name+"_MapKey"); err != nil {
		return err
	}
	d.out.WriteByte(',')
	if err := d.field("value", *t.Elem, name+"_MapValue"); err != nil {
		return err
	}
	d.out.WriteString(`],"connect.internal.type":"MapEntry"},"connect.name":` + d.fullName(name) + `}`)
	return nil
}
