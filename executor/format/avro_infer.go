package format

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// maxInferredFields bounds the fields of all columns together: a named type that
// is used often counts each time.
const maxInferredFields = 10_000

// inferAvro returns the columns of a schema, typed as Connect's AvroData and KSQL
// do (serde.md section 3.1).
func inferAvro(f plan.Format, side Side, s registry.Schema) (Inferred, error) {
	root, err := parseAvro(s, side.Schemas)
	if err != nil {
		return Inferred{}, err
	}
	in := avroInference{verbatim: f.SchemaID != 0, open: map[*avroType]bool{}}
	if inner, _, _, ok := root.nullable(); ok {
		root = inner
	}
	t, err := in.typ(root)
	if err != nil {
		return Inferred{}, fmt.Errorf("the schema has no SQL type: %w", err)
	}
	return topColumns(f, side, t, in.dropped)
}

// avroInference turns types of one schema into SQL types.
type avroInference struct {
	verbatim bool // names stand as they are
	path     []string
	open     map[*avroType]bool // records being visited
	fields   int
	dropped  []string
}

// fatalInference is an error that no dropped field mends.
type fatalInference struct{ error }

// typ returns the SQL type of an Avro type. Any error but a fatalInference means
// that a field of this type is dropped.
func (in *avroInference) typ(t *avroType) (types.Type, error) {
	if inner, _, _, ok := t.nullable(); ok {
		t = inner
	}
	switch t.kind {
	case avroBoolean:
		return types.Boolean, nil
	case avroInt, avroLong:
		return avroInteger(t), nil
	case avroFloat, avroDouble:
		return types.Double, nil
	case avroString, avroEnum:
		return types.String, nil
	case avroBytes, avroFixed:
		if t.logical != avroDecimal {
			return types.Bytes, nil
		}
		if t.precision > types.MaxDecimalPrecision {
			return types.Null, fmt.Errorf("a decimal of %d digits is wider than the %d of DECIMAL", t.precision, types.MaxDecimalPrecision)
		}
		return types.Decimal(int32(t.precision), int32(t.scale)), nil
	case avroArray:
		if _, value, ok := t.items.entry(); ok && t.items.mapEntry {
			return in.mapOf(value)
		}
		elem, err := in.typ(t.items)
		return types.Array(elem), err
	case avroMap:
		return in.mapOf(t.items)
	case avroRecord:
		return in.record(t)
	case avroUnion:
		return in.union(t)
	}
	return types.Null, errors.New("null alone is no type")
}

func avroInteger(t *avroType) types.Type {
	switch {
	case t.logical == avroDate:
		return types.Date
	case t.logical == avroTimeMillis:
		return types.Time
	case t.logical == avroStampMillis:
		return types.Timestamp
	case t.kind == avroInt:
		return types.Integer
	}
	return types.Bigint
}

// mapOf returns the MAP with these values. Keys of any type are read as text.
func (in *avroInference) mapOf(value *avroType) (types.Type, error) {
	elem, err := in.typ(value)
	return types.Map(types.String, elem), err
}

func (in *avroInference) record(t *avroType) (types.Type, error) {
	if in.open[t] {
		return types.Null, fatalInference{fmt.Errorf("%s contains itself, and SQL has no recursive types", t.label())}
	}
	if len(in.path) > MaxNesting {
		return types.Null, fatalInference{fmt.Errorf("it nests deeper than %d", MaxNesting)}
	}
	in.open[t] = true
	defer delete(in.open, t)
	members := make([]avroMember, len(t.fields))
	for k, f := range t.fields {
		members[k] = avroMember{f.name, f.typ}
	}
	return in.members(members)
}

// avroMember is a field of a record, or a branch of a union as AvroData sees it:
// a field of its own, of which one is not NULL.
type avroMember struct {
	name string
	typ  *avroType
}

func (in *avroInference) union(t *avroType) (types.Type, error) {
	return in.members(t.members())
}

// members returns the branches of a union as fields.
func (t *avroType) members() []avroMember {
	var out []avroMember
	for _, b := range t.branches {
		if b.kind != avroNull {
			out = append(out, avroMember{b.branchName(), b})
		}
	}
	return out
}

func (in *avroInference) members(members []avroMember) (types.Type, error) {
	var fields []types.Field
	seen := make(map[string]bool, len(members))
	for _, m := range members {
		name := m.name
		if !in.verbatim {
			name = strings.ToUpper(name)
		}
		if in.fields++; in.fields > maxInferredFields {
			return types.Null, fatalInference{fmt.Errorf("it has more than %d fields", maxInferredFields)}
		}
		in.path = append(in.path, m.name)
		typ, err := in.typ(m.typ)
		if err == nil && seen[name] {
			err = fmt.Errorf("another field is named %s too", name)
		}
		if fatal := (fatalInference{}); errors.As(err, &fatal) {
			return types.Null, err
		}
		if err != nil {
			in.dropped = append(in.dropped, strings.Join(in.path, ".")+": "+err.Error())
		} else {
			seen[name] = true
			fields = append(fields, types.Field{Name: name, Type: typ})
		}
		in.path = in.path[:len(in.path)-1]
	}
	if len(fields) == 0 {
		return types.Null, errors.New("it has no field with a SQL type")
	}
	return types.Struct(fields...), nil
}
