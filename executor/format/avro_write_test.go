package format

import (
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TestAvroPhysical writes by a schema that the statement names.
func TestAvroPhysical(t *testing.T) {
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	null, i := types.NullValue, types.NewInteger
	st := types.Struct(types.Field{Name: "n", Type: types.Integer}, types.Field{Name: "s", Type: types.String})
	for _, c := range []struct {
		name, schema string
		unwrapped    bool
		cols         []types.Column
		in           []types.Value
		want         string // the bytes; "!" begins a part of the error, "-" is a null payload
	}{
		{"order of the schema", rec(`{"name":"B","type":"int"},{"name":"A","type":"string"}`), false, cols(types.String, types.Integer), []types.Value{types.NewString("x"), i(1)}, "\x02\x02x"},
		{"names in any case", rec(`{"name":"a","type":"int"}`), false, cols(types.Integer), []types.Value{i(1)}, "\x02"},
		{"extra fields", rec(`{"name":"p","type":"string","default":"foo"},{"name":"A","type":"int"},{"name":"q","type":["null","int"]},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2},"default":"\u0001\u0080"},{"name":"e","type":{"type":"array","items":"int"},"default":[1,2]}`), false, cols(types.Integer), []types.Value{i(1)}, "\x06foo\x02\x00\x04\x01\x80\x04\x02\x04\x00"},
		{"extra field without default", rec(`{"name":"A","type":"int"},{"name":"q","type":"int"}`), false, cols(types.Integer), []types.Value{i(1)}, "!field q of record R has neither a column nor a default"},
		{"column without field", rec(`{"name":"A","type":"int"}`), false, cols(types.Integer, types.Integer), []types.Value{i(1), i(2)}, "!record R has no field for B"},
		{"wrong type", rec(`{"name":"A","type":"int"}`), false, cols(types.String), []types.Value{null}, "!schema 1: $.A: cannot write STRING as int"},
		{"narrower type", rec(`{"name":"A","type":"int"}`), false, cols(types.Bigint), []types.Value{null}, "!cannot write BIGINT as int"},
		{"wider types", rec(`{"name":"A","type":"long"},{"name":"B","type":"double"},{"name":"C","type":"float"}`), false, cols(types.Integer, types.Integer, types.Double), []types.Value{i(1), i(1), types.NewDouble(1)}, "\x02\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x80\x3f"},
		{"NULL, null allowed", rec(`{"name":"A","type":["int","null"]}`), false, cols(types.Integer), []types.Value{null}, "\x02"},
		{"NULL, default", rec(`{"name":"A","type":"int","default":7}`), false, cols(types.Integer), []types.Value{null}, "\x0e"},
		{"NULL, null before default", rec(`{"name":"A","type":["int","null"],"default":7}`), false, cols(types.Integer), []types.Value{null}, "\x02"},
		{"NULL, neither", rec(`{"name":"A","type":"int"}`), false, cols(types.Integer), []types.Value{null}, "!$.A: NULL has no place here"},
		{"NULL inside", rec(`{"name":"A","type":{"type":"record","name":"S","fields":[{"name":"n","type":"int","default":3},{"name":"s","type":"string"}]}}`), false, cols(st), []types.Value{types.NewStruct([]types.Value{null, types.NewString("x")})}, "\x06\x02x"},
		{"NULL inside, neither", rec(`{"name":"A","type":{"type":"record","name":"S","fields":[{"name":"n","type":"int","default":3},{"name":"s","type":"string"}]}}`), false, cols(st), []types.Value{types.NewStruct([]types.Value{null, null})}, "!$.A.s: NULL has no place here"},
		{"NULL element", rec(`{"name":"A","type":{"type":"array","items":"int"}}`), false, cols(types.Array(types.Integer)), []types.Value{types.NewArray([]types.Value{i(1), null})}, "!$.A[1]: NULL has no place here"},
		{"NULL key", rec(`{"name":"A","type":{"type":"map","values":"int"}}`), false, cols(types.Map(types.String, types.Integer)), []types.Value{types.NewMap(&types.MapValue{Keys: []types.Value{null}, Values: []types.Value{i(1)}})}, "!$.A[key]: NULL has no place here"},
		{"map", rec(`{"name":"A","type":{"type":"map","values":"long"}}`), false, cols(types.Map(types.String, types.Bigint)), []types.Value{types.NewMap(&types.MapValue{Keys: []types.Value{types.NewString("k")}, Values: []types.Value{types.NewBigint(1)}})}, "\x02\x02k\x02\x00"},
		{"enum", rec(`{"name":"A","type":{"type":"enum","name":"E","symbols":["U","V"]}}`), false, cols(types.String), []types.Value{types.NewString("V")}, "\x02"},
		{"no symbol", rec(`{"name":"A","type":{"type":"enum","name":"E","symbols":["U","V"]}}`), false, cols(types.String), []types.Value{types.NewString("W")}, `!"W" is no symbol of enum E`},
		{"fixed", rec(`{"name":"A","type":{"type":"fixed","name":"F","size":2}}`), false, cols(types.Bytes), []types.Value{types.NewBytes([]byte{1, 2})}, "\x01\x02"},
		{"fixed of another size", rec(`{"name":"A","type":{"type":"fixed","name":"F","size":2}}`), false, cols(types.Bytes), []types.Value{types.NewBytes([]byte{1})}, "!1 bytes for fixed F, which has 2"},
		{"fixed decimal", rec(`{"name":"A","type":{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":6,"scale":2}}`), false, cols(types.Decimal(4, 2)), []types.Value{types.NewDecimal(apd.New(-2, -2))}, "\xff\xff\xfe"},
		{"decimal of another scale", rec(`{"name":"A","type":{"type":"bytes","logicalType":"decimal","precision":6,"scale":3}}`), false, cols(types.Decimal(4, 2)), []types.Value{types.NewDecimal(apd.New(20, -2))}, "\x04\x00\xc8"},
		{"decimal of too many digits", rec(`{"name":"A","type":{"type":"bytes","logicalType":"decimal","precision":2,"scale":1}}`), false, cols(types.Decimal(4, 1)), []types.Value{types.NewDecimal(apd.New(1234, -1))}, "!too many digits"},
		{"micros", rec(`{"name":"A","type":{"type":"long","logicalType":"timestamp-micros"}}`), false, cols(types.Timestamp), []types.Value{types.NewTimestamp(1)}, "\xd0\x0f"},
		{"micros out of range", rec(`{"name":"A","type":{"type":"long","logicalType":"timestamp-micros"}}`), false, cols(types.Timestamp), []types.Value{types.NewTimestamp(1 << 60)}, "!out of range of timestamp-micros"},
		{"member of a union", rec(`{"name":"A","type":["int","null","string"]}`), false, cols(types.Struct(types.Field{Name: "INT", Type: types.Integer}, types.Field{Name: "STRING", Type: types.String})), []types.Value{types.NewStruct([]types.Value{null, types.NewString("u")})}, "\x04\x02u"},
		{"no member of a union", rec(`{"name":"A","type":["int","null","string"]}`), false, cols(types.Struct(types.Field{Name: "INT", Type: types.Integer}, types.Field{Name: "STRING", Type: types.String})), []types.Value{types.NewStruct([]types.Value{null, null})}, "\x02"},
		{"two members of a union", rec(`{"name":"A","type":["int","string"]}`), false, cols(types.Struct(types.Field{Name: "INT", Type: types.Integer}, types.Field{Name: "STRING", Type: types.String})), []types.Value{types.NewStruct([]types.Value{i(1), types.NewString("u")})}, "!more than one field is not NULL"},
		{"first branch that fits", rec(`{"name":"A","type":["null","int","string"]}`), false, cols(types.String), []types.Value{types.NewString("u")}, "\x04\x02u"},
		{"nullable root", `["null",` + rec(`{"name":"A","type":"int"}`) + `]`, false, cols(types.Integer), []types.Value{i(1)}, "\x02\x02"},
		{"unwrapped", `["null","int"]`, true, cols(types.Integer), []types.Value{i(1)}, "\x02\x02"},
		{"unwrapped NULL", `["null","int"]`, true, cols(types.Integer), []types.Value{null}, "-"},
		{"not UTF-8", rec(`{"name":"A","type":"string"}`), false, cols(types.String), []types.Value{types.NewString("\xff")}, "!$.A: string is not valid UTF-8"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := avroRegistry(t)
			id := register(t, r, "s", avroText(c.schema))
			row := avroRow(t, r, plan.Format{SchemaID: id, Unwrapped: c.unwrapped}, c.cols)
			got, err := row.Encode(c.in)
			switch {
			case strings.HasPrefix(c.want, "!"):
				if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
					t.Fatalf("error is %v, want %q", err, c.want[1:])
				}
			case err != nil:
				t.Fatal(err)
			case c.want == "-":
				if got != nil {
					t.Fatalf("got %x, want a null payload", got)
				}
			case string(got) != string(envelope(id, c.want)):
				t.Fatalf("got %x, want %x", got[envelopeLen:], c.want)
			}
		})
	}
}

// TestAvroEvolution reads versions of two writers mixed in one topic, and more
// schemas than a codec keeps.
func TestAvroEvolution(t *testing.T) {
	r := avroRegistry(t)
	one := register(t, r, "t-value", avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}`))
	two := register(t, r, "t-value", avroText(`{"type":"record","name":"R","fields":[{"name":"b","type":["null","string"],"default":null},{"name":"a","type":"long"}]}`))
	cs := cols(types.Bigint, types.String)
	row := avroRow(t, r, plan.Format{}, cs)
	check := func(id int32, body, want string) {
		t.Helper()
		got, err := row.Decode(envelope(id, body))
		if err != nil || text(t, cs, got) != want {
			t.Fatalf("got %v, %v, want %s", got, err, want)
		}
	}
	for range 3 {
		check(one, "\x02", `1 null`)
		check(two, "\x02\x02x\x04", `2 "x"`)
		check(two, "\x00\x04", `2 null`)
	}
	for k := range 2 * maxAvroPrograms {
		id := register(t, r, "many", avroText(`{"type":"record","name":"R","fields":[{"name":"z`+strings.Repeat("z", k)+`","type":"int"},{"name":"a","type":"int"}]}`))
		check(id, "\x02\x04", `2 null`)
	}
	if c := row.codec.(*avroCodec); len(c.programs) > maxAvroPrograms {
		t.Fatalf("%d programs are kept", len(c.programs))
	}
	check(one, "\x02", `1 null`)
}

// TestAvroNotRegistered: a codec is built before its schema is registered, and
// asks again until it is.
func TestAvroNotRegistered(t *testing.T) {
	r := avroRegistry(t)
	f, cs := plan.Format{Name: "AVRO"}, cols(types.Integer)
	row, err := NewRow(f, cs, Side{Topic: "late", Schemas: r})
	if err != nil {
		t.Fatal(err)
	}
	in := []types.Value{types.NewInteger(1)}
	if _, err := row.Encode(in); err == nil || !strings.Contains(err.Error(), "late-value") {
		t.Fatalf("error is %v", err)
	}
	s, err := DeriveSchema(f, cs)
	if err != nil {
		t.Fatal(err)
	}
	id := register(t, r, "late-value", s)
	if got, err := row.Encode(in); err != nil || string(got) != string(envelope(id, "\x02\x02")) {
		t.Fatalf("%x, %v", got, err)
	}
	if _, err := NewRow(plan.Format{Name: "AVRO"}, []types.Column{{Name: "1x", Type: types.Integer}}, Side{Schemas: r}); err == nil || !strings.Contains(err.Error(), "not compatible with Avro") {
		t.Fatalf("error is %v", err)
	}
}
