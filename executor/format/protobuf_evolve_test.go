package format

import (
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TestProtobufEvolution reads records of several writers with one codec, in
// turns.
func TestProtobufEvolution(t *testing.T) {
	side := protoSide(t,
		`syntax = "proto3"; message A { int32 id = 1; string name = 2; }`,
		`syntax = "proto3"; message Z { bool q = 1; } message A { string NAME = 7; int64 id = 1; double added = 8; }`,
		`syntax = "proto2"; message A { optional int32 ID = 3; optional string name = 4 [default = "none"]; enum E { X = 5; } optional E e = 5; }`,
		`syntax = "proto3"; message Outer { message A { string name = 1; repeated int32 id = 2; } }`)
	cs := []types.Column{column("ID", types.Bigint), column("NAME", types.String), column("E", types.String)}
	row, err := NewRow(plan.Format{Name: "PROTOBUF"}, cs, side)
	if err != nil {
		t.Fatal(err)
	}
	records := []struct{ payload, want string }{
		{"\x00\x00\x00\x00\x01\x00\x08\x05\x12\x01a", `5 "a" null`},
		{"\x00\x00\x00\x00\x02\x02\x02\x08\x80\x80\x80\x80\x10\x3a\x01b", `4294967296 "b" null`},
		{"\x00\x00\x00\x00\x02\x00\x08\x01", `null null null`}, // another message of the same schema
		{"\x00\x00\x00\x00\x03\x00\x18\x07\x28\x05", `7 "none" "X"`},
		{"\x00\x00\x00\x00\x03\x02\x00\x28\x06", `null "none" null`}, // path [0] at length, and an unknown number of a closed enum
		{"\x00\x00\x00\x00\x04\x04\x00\x00\x0a\x01c", `!$.ID: cannot read protobuf repeated int32 as BIGINT`},
		{"\x00\x00\x00\x00\x04\x04\x00\x02", `!schema 4: the schema has no message with index path [0 1]`},
		{"\x00\x00\x00\x00\x09\x00", `!no schema has id 9`},
	}
	for round := range 3 {
		for _, c := range records {
			got, err := row.Decode([]byte(c.payload))
			if why, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("round %d %q: error is %v, want %q", round, c.payload, err, why)
				}
				continue
			}
			if err != nil || text(t, cs, got) != c.want {
				t.Fatalf("round %d %q: got %v, %v, want %s", round, c.payload, got, err, c.want)
			}
		}
	}
}

// TestProtobufUnreadColumn checks that a column that cannot be read troubles
// only those who want it.
func TestProtobufUnreadColumn(t *testing.T) {
	side := protoSide(t, `syntax = "proto3"; message A { int32 id = 1; string n = 2; }`)
	cs := []types.Column{column("ID", types.Bigint), column("N", types.Double)}
	codec, err := New(plan.Format{Name: "PROTOBUF"}, cs, side)
	if err != nil {
		t.Fatal(err)
	}
	payload := []byte("\x00\x00\x00\x00\x01\x00\x08\x05\x12\x01a")
	vecs := vectorsOf(cs, payload)
	if err := codec.Decode(vecs, 0, payload); err == nil || err.Error() != "$.N: cannot read protobuf string as DOUBLE" {
		t.Fatalf("error is %v", err)
	}
	vecs[1] = nil
	if err := codec.Decode(vecs, 0, payload); err != nil || vecs[0].I64[0] != 5 {
		t.Fatal(err)
	}
}

func TestProtobufDecode(t *testing.T) {
	const leaves = `import "google/type/date.proto"; import "google/type/timeofday.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/wrappers.proto"; import "confluent/type/decimal.proto"; `
	for _, c := range []struct {
		name, text string
		typ        types.Type // of column A
		hex, want  string
	}{
		{"last wins", `message M { int32 a = 1; }`, types.Integer, "08010802", "2"},
		{"unsigned into INTEGER", `message M { uint32 a = 1; }`, types.Integer, "08ffffffff07", "2147483647"},
		{"unsigned out of range", `message M { uint32 a = 1; }`, types.Integer, "08ffffffff0f", "!$.a: 4294967295 is out of range for INTEGER"},
		{"number as text", `message M { sint64 a = 1; }`, types.String, "0805", `"-3"`},
		{"boolean as text", `message M { bool a = 1; }`, types.String, "0801", `"true"`},
		{"double as text", `message M { double a = 1; }`, types.String, "09000000000000f83f", `"1.5"`},
		{"long is no INTEGER", `message M { int64 a = 1; }`, types.Integer, "", "!$.A: cannot read protobuf int64 as INTEGER"},
		{"message is no STRING", `message M { N a = 1; } message N { int32 x = 1; }`, types.String, "", "!cannot read protobuf message N as STRING"},
		{"nested mismatch", `message M { N a = 1; } message N { int32 x = 1; }`, types.Struct(field("X", types.Boolean)), "", "!$.A.X: cannot read protobuf int32 as BOOLEAN"},
		{"element mismatch", `message M { repeated int32 a = 1; }`, types.Array(types.Boolean), "", "!cannot read protobuf repeated int32 as BOOLEAN"},
		{"unknown enum number", `message M { E a = 1; } enum E { Z = 0; }`, types.String, "0807", `"UNKNOWN_ENUM_VALUE_E_7"`},
		{"enum by default", `message M { E a = 1; } enum E { Z = 0; }`, types.String, "", `"Z"`},
		{"packed where it is not declared", `message M { repeated int32 a = 1 [packed = false]; }`, types.Array(types.Integer), "0a03010203", "[1,2,3]"},
		{"loose where packed is declared", `message M { repeated int32 a = 1; }`, types.Array(types.Integer), "0801080208030a0104", "[1,2,3,4]"},
		{"list in pieces", `message M { repeated string a = 1; int32 b = 2; }`, types.Array(types.String), "0a016110010a0162", `["a","b"]`},
		{"message in pieces is merged", `message M { N a = 1; } message N { int32 x = 1; repeated int32 y = 2; }`, types.Struct(field("X", types.Integer), field("Y", types.Array(types.Integer))), "0a0408051001" + "0a021002", `{"X":5,"Y":[1,2]}`},
		{"last member of a oneof", `message M { oneof o { int32 a = 1; string b = 2; } }`, types.Integer, "0801120178", "null"},
		{"wrapper", leaves + `message M { google.protobuf.Int64Value a = 1; }`, types.Bigint, "0a020805", "5"},
		{"empty wrapper", leaves + `message M { google.protobuf.StringValue a = 1; }`, types.String, "0a00", `""`},
		{"wrapper as STRUCT", leaves + `message M { google.protobuf.Int64Value a = 1; }`, types.Struct(field("VALUE", types.Bigint)), "0a020805", `{"VALUE":5}`},
		{"decimal of another scale", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(6, 4), "0a050a0164" + "1801", "10.0000"},
		{"decimal with digits too many", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(6, 1), "0a050a016d" + "1802", "!more than 1 digits"},
		{"decimal too large", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(2, 0), "0a030a0164", "!too many digits"},
		{"negative decimal", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(6, 2), "0a060a02ff38" + "1802", "-2.00"},
		{"wide decimal", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(60, 0), "0a140a120100000000000000000000000000000000ff", "87112285931760246646623899502532662132991"},
		{"hostile decimal", leaves + `message M { confluent.type.Decimal a = 1; }`, types.Decimal(60, 0), "0a090a010118ffffffff07", "!out of range"},
		{"date", leaves + `message M { google.type.Date a = 1; }`, types.Date, "0a0708e80f1002181d", "19782"},
		{"no date", leaves + `message M { google.type.Date a = 1; }`, types.Date, "0a0708e70f1002181d", "!2023-2-29 is not a date"},
		{"time", leaves + `message M { google.type.TimeOfDay a = 1; }`, types.Time, "0a0a08011002180320c0843d", "3723001"},
		{"no time", leaves + `message M { google.type.TimeOfDay a = 1; }`, types.Time, "0a020818", "!is not a time of day"},
		{"timestamp", leaves + `message M { google.protobuf.Timestamp a = 1; }`, types.Timestamp, "0a0f08ffffffffffffffffff0110c0843d", "-999"},
		{"timestamp out of range", leaves + `message M { google.protobuf.Timestamp a = 1; }`, types.Timestamp, "0a0a08ffffffffffffffff7f", "!out of range"},
		{"map", `message M { map<string, int32> a = 1; }`, types.Map(types.String, types.Integer), "0a050a016b10050a050a016b10060a020807", `{"k":6,"":0}`},
		{"map of messages", `message M { map<string, N> a = 1; } message N { int32 x = 1; }`, types.Map(types.String, types.Struct(field("X", types.Integer))), "0a030a016b" + "0a070a016a12020801", `{"k":{"X":0},"j":{"X":1}}`},
		{"unknown fields", `message M { int32 a = 1; }`, types.Integer, "1001" + "190000000000000000" + "2201ff" + "2b0801330801342c" + "3d00000000" + "0807", "7"},
		{"group that ends as another", `message M { int32 a = 1; }`, types.Integer, "2b0801330c08342c0807", "!ends as group"},
		{"group skipped", `message M { int32 a = 1; }`, types.Integer, "2b0801330801342c0807", "7"},
		{"wrong wire type is unknown", `message M { int32 a = 1; }`, types.Integer, "0a0178", "0"},
		{"cut off", `message M { string a = 1; }`, types.String, "0a05616263", "!$.a: protobuf message is cut off"},
		{"huge length", `message M { string a = 1; }`, types.String, "0affffffff0f61", "!cut off"},
		{"varint too long", `message M { int64 a = 1; }`, types.Bigint, "08ffffffffffffffffffffff01", "!cut off"},
		{"field number 0", `message M { int64 a = 1; }`, types.Bigint, "0001", "!field number out of range"},
		{"invalid UTF-8", `message M { string a = 1; }`, types.String, "0a01ff", "!not valid UTF-8"},
		{"unwanted invalid UTF-8", `message M { int32 a = 1; N b = 2; } message N { string s = 1; }`, types.Integer, "12030a01ff", "!$.b.s: string is not valid UTF-8"},
		{"deep nesting", `message M { int32 a = 1; M m = 2; }`, types.Integer, nested(300), "!nest deeper"},
		{"deep groups", `message M { int32 a = 1; }`, types.Integer, strings.Repeat("13", 300), "!nest deeper"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cs := []types.Column{column("A", c.typ)}
			row, err := NewRow(plan.Format{Name: "PROTOBUF"}, cs, protoSide(t, `syntax = "proto3"; `+c.text))
			if err != nil {
				t.Fatal(err)
			}
			body, err := hex.DecodeString(c.hex)
			if err != nil {
				t.Fatal(err)
			}
			got, err := row.Decode(append([]byte("\x00\x00\x00\x00\x01\x00"), body...))
			if why, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("error is %v, want %q", err, why)
				}
				return
			}
			if err != nil || text(t, cs, got) != c.want {
				t.Fatalf("got %v, %v, want %s", got, err, c.want)
			}
		})
	}
}

// nested is field 2 in itself, n times, in hexadecimal.
func nested(n int) string {
	var b []byte
	for range n {
		body, mark := openBody([]byte{2<<3 | wireBytes})
		b = closeBody(append(body, b...), mark)
	}
	return hex.EncodeToString(b)
}

func TestProtobufEnvelopeErrors(t *testing.T) {
	row, err := NewRow(plan.Format{Name: "PROTOBUF"}, cols(types.Integer), protoSide(t, `syntax = "proto3"; message M { int32 a = 1; }`))
	if err != nil {
		t.Fatal(err)
	}
	for payload, want := range map[string]string{
		"":                             "does not begin with a schema id",
		"\x01\x00\x00\x00\x01\x00":     "does not begin with a schema id",
		"\x00\x00\x00\x00\x01":         "cut off",
		"\x00\x00\x00\x00\x01\x01":     "message index path of length -1",
		"\x00\x00\x00\x00\x01\xfe\x7f": "message index path of length",
		"\x00\x00\x00\x00\x01\x02\x01": "message index -1 is out of range",
		"\x00\x00\x00\x00\x01\x04\x00": "cut off",
	} {
		if _, err := row.Decode([]byte(payload)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", payload, err, want)
		}
	}
	if _, err := New(plan.Format{Name: "PROTOBUF"}, cols(types.Integer), Side{}); err == nil || !strings.Contains(err.Error(), "needs a schema registry") {
		t.Errorf("error is %v", err)
	}
}

// TestProtobufPhysical writes by schemas of others.
func TestProtobufPhysical(t *testing.T) {
	for _, c := range []struct {
		name, text string
		f          plan.Format
		cols       []types.Column
		row        []types.Value
		want       string // payload behind the id in hexadecimal, "!" an error
	}{
		{"numbers, names and order of the schema", `syntax = "proto3"; message M { string extra = 3; sint64 b = 9; int32 a = 4; }`, plan.Format{}, []types.Column{column("A", types.Integer), column("b", types.Bigint)},
			[]types.Value{types.NewInteger(1), types.NewBigint(-1)}, "00" + "2001" + "4801"},
		{"another message", `syntax = "proto3"; message A { int32 x = 1; } message B { message C { float y = 1; } }`, plan.Format{SchemaName: "B.C"}, []types.Column{column("Y", types.Double)},
			[]types.Value{types.NewDouble(1.5)}, "040200" + "0d0000c03f"},
		{"enum", `syntax = "proto3"; message M { E e = 1; } enum E { Z = 0; O = 3; }`, plan.Format{}, []types.Column{column("E", types.String)}, []types.Value{types.NewString("O")}, "000803"},
		{"no such enum value", `syntax = "proto3"; message M { E e = 1; } enum E { Z = 0; }`, plan.Format{}, []types.Column{column("E", types.String)}, []types.Value{types.NewString("Q")}, `!e: "Q" is not a value of enum E`},
		{"unsigned", `syntax = "proto3"; message M { uint32 e = 1; }`, plan.Format{}, []types.Column{column("E", types.Bigint)}, []types.Value{types.NewBigint(-1)}, `!e: -1 is out of range for protobuf uint32`},
		{"required and NULL", `syntax = "proto2"; message M { required int32 e = 1; }`, plan.Format{}, []types.Column{column("E", types.Integer)}, []types.Value{types.NullValue}, `!e: it is NULL, but the schema requires the field`},
		{"required and not written", `syntax = "proto2"; message M { required int32 e = 1; optional int32 a = 2; }`, plan.Format{}, []types.Column{column("A", types.Integer)}, []types.Value{types.NullValue}, "!requires field e"},
		{"no field", `syntax = "proto3"; message M { uint32 e = 1; }`, plan.Format{}, []types.Column{column("X", types.Bigint)}, []types.Value{types.NewBigint(1)}, "!message M has no field for `X`"},
		{"another type", `syntax = "proto3"; message M { string e = 1; }`, plan.Format{}, []types.Column{column("E", types.Bigint)}, []types.Value{types.NewBigint(1)}, "!E: cannot write BIGINT as protobuf string"},
		{"two of a oneof", `syntax = "proto3"; message M { oneof o { int32 a = 1; int32 b = 2; } }`, plan.Format{}, cols(types.Integer, types.Integer), []types.Value{types.NewInteger(1), types.NewInteger(0)}, "!another member of its oneof"},
		{"NULL element", `syntax = "proto3"; message M { repeated int32 a = 1; }`, plan.Format{}, cols(types.Array(types.Integer)), []types.Value{types.NewArray([]types.Value{types.NullValue})}, "!a[0]: it is NULL, which a repeated protobuf field cannot hold"},
		{"unpacked", `syntax = "proto2"; message M { repeated int32 a = 1; }`, plan.Format{}, cols(types.Array(types.Integer)), []types.Value{types.NewArray([]types.Value{types.NewInteger(1), types.NewInteger(2)})}, "0008010802"},
		{"negative zero", `syntax = "proto3"; message M { double a = 1; double b = 2; }`, plan.Format{}, cols(types.Double, types.Double), []types.Value{types.NewDouble(math.Copysign(0, -1)), types.NewDouble(0)}, "00090000000000000080"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Name, c.f.SchemaID = "PROTOBUF", 1
			row, err := NewRow(c.f, c.cols, protoSide(t, c.text))
			if err != nil {
				t.Fatal(err)
			}
			got, err := row.Encode(c.row)
			if why, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("error is %v, want %q", err, why)
				}
				return
			}
			if err != nil || hex.EncodeToString(got) != "0000000001"+c.want {
				t.Fatalf("got %x, %v, want 0000000001%s", got, err, c.want)
			}
		})
	}
}

// TestProtobufLongBodies crosses the lengths that need more than a byte.
func TestProtobufLongBodies(t *testing.T) {
	cs := []types.Column{column("S", types.Struct(field("T", types.String), field("U", types.Struct(field("V", types.String)))))}
	row := protoRow(t, plan.Format{Name: "PROTOBUF"}, cs)
	for _, n := range []int{0, 1, 122, 123, 124, 125, 126, 127, 128, 16380, 16384, 1 << 21} {
		long := types.NewString(strings.Repeat("x", n))
		in := []types.Value{types.NewStruct([]types.Value{long, types.NewStruct([]types.Value{long})})}
		payload, err := row.Encode(in)
		if err != nil {
			t.Fatal(err)
		}
		back, err := row.Decode(payload)
		if err != nil || text(t, cs, back) != text(t, cs, in) {
			t.Fatalf("%d: %v", n, err)
		}
	}
}

// TestProtobufManySchemas goes past what a codec remembers.
func TestProtobufManySchemas(t *testing.T) {
	side := protoSide(t)
	r := side.Schemas.(*registry.Registry)
	var ids []int32
	for i := range 2*maxProtoPrograms + 3 {
		ids = append(ids, registerProto(t, r, "s", registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; message M { int32 a = ` + string('1'+rune(i%9)) + `; message N` + strings.Repeat("x", i) + ` {} }`}))
	}
	row, err := NewRow(plan.Format{Name: "PROTOBUF"}, cols(types.Integer), side)
	if err != nil {
		t.Fatal(err)
	}
	for i, id := range ids {
		payload := append(appendEnvelope(nil, id), 0, byte(1+i%9)<<3, 42)
		got, err := row.Decode(payload)
		if err != nil || got[0].Int() != 42 {
			t.Fatalf("schema %d: %v, %v", id, got, err)
		}
	}
	if n := len(row.codec.(*protoCodec).programs); n > maxProtoPrograms {
		t.Fatalf("%d plans are kept", n)
	}
}
