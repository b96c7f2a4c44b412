package format

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// inferred shows columns as DESCRIBE would, what was dropped behind a bar.
func inferred(in Inferred) string {
	var parts []string
	for _, c := range in.Columns {
		parts = append(parts, c.Name+" "+strings.ReplaceAll(c.Type.String(), "`", ""))
	}
	out := strings.Join(parts, ", ")
	for _, d := range in.Dropped {
		out += " | " + d
	}
	return out
}

func TestProtobufInfer(t *testing.T) {
	for _, c := range []struct {
		name, text string
		f          plan.Format
		want       string // "!" begins a part of the error
	}{
		{"scalars", `syntax = "proto3"; message M { bool a = 1; int32 b = 2; sint32 c = 3; sfixed32 d = 4; uint32 e = 5; fixed32 f = 6; int64 g = 7; uint64 h = 8; float i = 9; double j = 10; string k = 11; bytes l = 12; }`, plan.Format{},
			"A BOOLEAN, B INTEGER, C INTEGER, D INTEGER, E BIGINT, F BIGINT, G BIGINT, H BIGINT, I DOUBLE, J DOUBLE, K STRING, L BYTES"},
		{"wrappers", `syntax = "proto3"; import 'google/protobuf/wrappers.proto'; message M { google.protobuf.BoolValue a = 1; google.protobuf.UInt32Value b = 2; google.protobuf.FloatValue c = 3; repeated google.protobuf.StringValue d = 4; }`, plan.Format{},
			"A BOOLEAN, B BIGINT, C DOUBLE, D ARRAY<STRING>"},
		{"names as they stand with an id", `syntax = "proto3"; message M { int32 aB = 1; message S { int32 f1 = 1; } S s = 2; }`, plan.Format{SchemaID: 1}, "aB INTEGER, s STRUCT<f1 INTEGER>"},
		{"first message", `syntax = "proto3"; message A { int32 x = 1; } message B { string y = 1; }`, plan.Format{}, "X INTEGER"},
		{"message by name", `syntax = "proto3"; message A { int32 x = 1; } message B { string y = 1; }`, plan.Format{SchemaName: "B"}, "Y STRING"},
		{"nested message by full name", `syntax = "proto3"; package p.q; message A { message B { bytes y = 1; } B b = 1; }`, plan.Format{SchemaName: "p.q.A.B"}, "Y BYTES"},
		{"no such message", `syntax = "proto3"; message A { int32 x = 1; }`, plan.Format{SchemaName: "C"}, "!the schema defines no message C"},
		{"logical types", `syntax = "proto3"; import "confluent/type/decimal.proto"; import "google/type/date.proto"; import "google/type/timeofday.proto"; import "google/protobuf/timestamp.proto";
			message M { confluent.type.Decimal a = 1 [(confluent.field_meta) = { params: [ { value: "4", key: "precision" }, { key: "scale", value: "2" } ] }]; confluent.type.Decimal b = 2; google.type.Date c = 3; google.type.TimeOfDay d = 4; google.protobuf.Timestamp e = 5; }`, plan.Format{},
			"A DECIMAL(4, 2), B DECIMAL(64, 0), C DATE, D TIME, E TIMESTAMP"},
		{"maps", `syntax = "proto3"; message M { map<int32, bool> a = 1; map<string, V> b = 2; message V { repeated int64 x = 1; } repeated E2Entry c = 3; message E2Entry { string key = 1; double value = 2; } }`, plan.Format{},
			"A MAP<STRING, BOOLEAN>, B MAP<STRING, STRUCT<X ARRAY<BIGINT>>>, C MAP<STRING, DOUBLE>"},
		{"enums and oneofs", `syntax = "proto3"; message M { enum E { Z = 0; } E e = 1; oneof o { int32 x = 2; string y = 3; } int32 z = 4; }`, plan.Format{}, "E STRING, X INTEGER, Y STRING, Z INTEGER"},
		{"proto2", `syntax = "proto2"; message M { required int32 a = 1; optional string b = 2 [default = "x"]; repeated bool c = 3 [packed = true]; optional group G = 4 { optional int32 q = 1; } extensions 100 to 200; }`, plan.Format{},
			"A INTEGER, B STRING, C ARRAY<BOOLEAN> | g: groups have no SQL type"},
		{"names that meet", `syntax = "proto3"; message M { int32 ab = 1; string aB = 2; bool A_b = 3; }`, plan.Format{}, "AB STRING, A_B BOOLEAN | ab: another field has the same name in upper case"},
		{"decimal out of range", `syntax = "proto3"; import "confluent/type/decimal.proto"; message M { int32 x = 1; confluent.type.Decimal d = 2 [(confluent.field_meta) = { params: [ { value: "200", key: "precision" } ] }]; }`, plan.Format{},
			"X INTEGER | d: DECIMAL precision must be <= 76: DECIMAL(200,0)"},
		{"empty message inside", `syntax = "proto3"; import "google/protobuf/empty.proto"; message M { int32 x = 1; google.protobuf.Empty e = 2; }`, plan.Format{}, "X INTEGER | e: it has no field with a SQL type"},
		{"nothing left", `syntax = "proto3"; message M { }`, plan.Format{}, "!message M: it has no field with a SQL type"},
		{"recursion", `syntax = "proto3"; message M { int32 x = 1; repeated M children = 2; }`, plan.Format{}, "!message M is recursive"},
		{"options of others", `syntax = "proto3"; option java_package = "x"; option (z) = 1; message M { option (a.b) = "c"; int32 x = 1 [(buf.validate.field).int32.gt = 0, deprecated = true]; }`, plan.Format{}, "X INTEGER"},
		{"fields without end", endlessProto(), plan.Format{}, "!there are more than 10000 fields"},
		{"no message", `syntax = "proto3"; enum E { Z = 0; }`, plan.Format{}, "!the schema defines no message"},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.f.Name = "PROTOBUF"
			in, err := InferColumns(c.f, protoSide(t), registry.Schema{Type: registry.Protobuf, Text: c.text})
			if why, ok := strings.CutPrefix(c.want, "!"); ok {
				if err == nil || !strings.Contains(err.Error(), why) {
					t.Fatalf("error is %v, want %q", err, why)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := inferred(in); got != c.want {
				t.Fatalf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// endlessProto has messages that hold the next one twice.
func endlessProto() string {
	text := "syntax = \"proto3\";\n"
	for i := range 50 {
		text += fmt.Sprintf("message M%d { M%d a = 1; M%d b = 2; }\n", i, i+1, i+1)
	}
	return text + "message M50 { int32 x = 1; }"
}

// TestProtobufDerivedReadsBack checks that what was derived is inferred again.
func TestProtobufDerivedReadsBack(t *testing.T) {
	all := allProtoTypes()
	for _, nulls := range []string{"", protoOptional, protoWrapper} {
		f := plan.Format{Name: "PROTOBUF", NullableRepresentation: nulls}
		s, err := DeriveSchema(f, all)
		if err != nil {
			t.Fatal(err)
		}
		in, err := InferColumns(f, protoSide(t), s)
		if err != nil || len(in.Dropped) > 0 {
			t.Fatal(err, in.Dropped)
		}
		if got, want := inferred(in), inferred(Inferred{Columns: all}); got != want {
			t.Fatalf("got  %s\nwant %s", got, want)
		}
	}
}

func TestProtobufReferences(t *testing.T) {
	side := protoSide(t)
	r := side.Schemas.(*registry.Registry)
	registerProto(t, r, "base", registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; package b; message Base { int64 at = 1; }`})
	mid := registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; import "base.proto"; message Mid { b.Base base = 1; }`, References: []registry.Reference{{Name: "base.proto", Subject: "base", Version: 1}}}
	registerProto(t, r, "mid", mid)
	top := registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; import "mid.proto"; message Top { Mid mid = 1; }`, References: []registry.Reference{{Name: "mid.proto", Subject: "mid", Version: 1}}}
	id := registerProto(t, r, side.Subject(), top)
	in, err := InferColumns(plan.Format{Name: "PROTOBUF"}, side, top)
	if err != nil || inferred(in) != "MID STRUCT<BASE STRUCT<AT BIGINT>>" {
		t.Fatalf("got %s, %v", inferred(in), err)
	}
	row, err := NewRow(plan.Format{Name: "PROTOBUF", SchemaID: id}, in.Columns, side)
	if err != nil {
		t.Fatal(err)
	}
	base := types.NewStruct([]types.Value{types.NewBigint(7)})
	payload, err := row.Encode([]types.Value{types.NewStruct([]types.Value{base})})
	if err != nil {
		t.Fatal(err)
	}
	back, err := row.Decode(payload)
	if err != nil || text(t, in.Columns, back) != `{"BASE":{"AT":7}}` {
		t.Fatalf("got %v, %v", back, err)
	}
	top.References = nil
	if _, err := InferColumns(plan.Format{Name: "PROTOBUF"}, side, top); err == nil || !strings.Contains(err.Error(), "mid.proto is neither a reference") {
		t.Fatalf("error is %v", err)
	}
}

func TestProtobufCheck(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`syntax = "proto3"; message M { int32 a = 1; string b = 1; }`, "line 1: "},
		{"syntax = \"proto3\";\nmessage M {\n  Missing a = 1;\n}", "line 3: "},
		{`syntax = "proto3"; import "(schema)"; message M { int32 a = 1; }`, "imports itself"},
		{`not protobuf at all`, "line 1: "},
		{strings.Repeat("message A {", 1e4), "nests deeper than"},
	} {
		err := Checker{}.Check(registry.Schema{Type: registry.Protobuf, Text: c.text}, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%.40s: error is %v, want %q", c.text, err, c.want)
		}
	}
}

func TestProtobufIncompatible(t *testing.T) {
	const old = `syntax = "proto3"; message M { int32 a = 1; string b = 2; N n = 3; repeated int64 l = 4; oneof o { int32 x = 5; int32 y = 6; } map<string, int32> m = 7; } message N { int32 p = 1; } `
	for _, c := range []struct{ name, writer, reader, want string }{
		{"the same", old, old, ""},
		{"fields added and renamed", old, strings.ReplaceAll(old, "string b = 2;", "string renamed = 2; int64 more = 9;"), ""},
		{"field removed", old, strings.ReplaceAll(old, "string b = 2;", ""), ""},
		{"number of the same group", old, strings.ReplaceAll(old, "int32 a = 1", "uint64 a = 1"), ""},
		{"string and bytes", old, strings.ReplaceAll(old, "string b", "bytes b"), ""},
		{"zig-zag", old, strings.ReplaceAll(old, "int32 a = 1", "sint32 a = 1"), "field M.a of number 1 was int32 and is sint32"},
		{"kind", old, strings.ReplaceAll(old, "int32 a = 1", "N a = 1"), "field M.a of number 1 was int32 and is message N"},
		{"message removed", old, strings.ReplaceAll(strings.ReplaceAll(old, "message N { int32 p = 1; }", ""), "N n = 3;", ""), "message N was removed"},
		{"named type", old, strings.ReplaceAll(old, "N n = 3;", "M n = 3;"), "field M.n of number 3 was message N and is message M"},
		{"inside a message", old, strings.ReplaceAll(old, "int32 p", "double p"), "field N.p of number 1 was int32 and is double"},
		{"packed to single", old, strings.ReplaceAll(old, "repeated int64 l", "int64 l"), "field M.l of number 4 was repeated int64 and is int64"},
		{"out of its oneof", old, strings.ReplaceAll(old, "int32 y = 6;", ""), "field M.y of number 6 was removed from its oneof"},
		{"two into a oneof", old, strings.ReplaceAll(strings.ReplaceAll(old, "int32 a = 1; string b = 2;", ""), "oneof o {", "oneof p { int32 a = 1; string b = 2; } oneof o {"), "2 fields were moved into oneof M.p"},
		{"one into a oneof with others", old, strings.ReplaceAll(strings.ReplaceAll(old, "int32 a = 1;", ""), "oneof o {", "oneof o { int32 a = 1;"), "a field was moved into oneof M.o, which has others already"},
		{"map value", old, strings.ReplaceAll(old, "map<string, int32>", "map<string, float>"), "field M.MEntry.value of number 2 was int32 and is float"},
		{"map no more", old, strings.ReplaceAll(old, "map<string, int32> m", "repeated N m"), "field M.m of number 7 was map and is repeated message N"},
		{"package", old, strings.ReplaceAll(old, "message M", "package p; message M"), `the package was "" and is "p"`},
		{"required removed", `syntax = "proto2"; message M { required int32 a = 1; optional int32 b = 2; }`, `syntax = "proto2"; message M { optional int32 b = 2; }`, "required field M.a of number 1 was removed"},
		{"required added", `syntax = "proto2"; message M { optional int32 b = 2; }`, `syntax = "proto2"; message M { required int32 a = 1; optional int32 b = 2; }`, "required field M.a of number 1 was added"},
		{"recursive", `syntax = "proto3"; message M { M m = 1; int32 a = 2; }`, `syntax = "proto3"; message M { M m = 1; string a = 2; }`, "field M.a of number 2 was int32 and is string"},
	} {
		t.Run(c.name, func(t *testing.T) {
			schema := func(text string) registry.Schema { return registry.Schema{Type: registry.Protobuf, Text: text} }
			why, err := Checker{}.Incompatible(schema(c.reader), schema(c.writer), nil)
			if got := strings.Join(why, "; "); err != nil || got != c.want {
				t.Fatalf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
}
