package format

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// protoSide registers texts as versions of one subject, with ids from 1.
func protoSide(t testing.TB, texts ...string) Side {
	t.Helper()
	r := registry.New(Checker{})
	side := Side{Topic: "t", Schemas: r}
	for _, text := range texts {
		registerProto(t, r, side.Subject(), registry.Schema{Type: registry.Protobuf, Text: text})
	}
	return side
}

// registerProto registers whatever the compatibility.
func registerProto(t testing.TB, r *registry.Registry, subject string, s registry.Schema) int32 {
	t.Helper()
	if err := r.Apply(registry.Event{Level: &registry.SetAt{Level: registry.None}}); err != nil {
		t.Fatal(err)
	}
	return register(t, r, subject, s)
}

// protoRow returns the codec of a topic whose derived schema is registered.
func protoRow(t testing.TB, f plan.Format, cs []types.Column) *Row {
	t.Helper()
	s, err := DeriveSchema(f, cs)
	if err != nil {
		t.Fatal(err)
	}
	r, err := NewRow(f, cs, protoSide(t, s.Text))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func column(name string, t types.Type) types.Column { return types.Column{Name: name, Type: t} }

func field(name string, t types.Type) types.Field { return types.Field{Name: name, Type: t} }

func TestProtobufDerive(t *testing.T) {
	dec := func(precision, scale int32) string {
		return fmt.Sprintf(" [(confluent.field_meta) = {\n    params: [\n      {\n        value: \"%d\",\n        key: \"precision\"\n      },\n      {\n        value: \"%d\",\n        key: \"scale\"\n      }\n    ]\n  }]", precision, scale)
	}
	for _, c := range []struct {
		name string
		f    plan.Format
		cols []types.Column
		want string
	}{
		{"scalars", plan.Format{}, []types.Column{column("I", types.Integer), column("L", types.Bigint), column("D", types.Double), column("B", types.Boolean), column("S", types.String), column("Y", types.Bytes)},
			"syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  int32 I = 1;\n  int64 L = 2;\n  double D = 3;\n  bool B = 4;\n  string S = 5;\n  bytes Y = 6;\n}\n"},
		{"messages for types", plan.Format{}, []types.Column{column("D", types.Decimal(4, 2)), column("DT", types.Date), column("T", types.Time), column("TS", types.Timestamp)},
			"syntax = \"proto3\";\n\nimport \"confluent/type/decimal.proto\";\nimport \"google/protobuf/timestamp.proto\";\nimport \"google/type/date.proto\";\nimport \"google/type/timeofday.proto\";\n\nmessage ConnectDefault1 {\n  confluent.type.Decimal D = 1" + dec(4, 2) + ";\n  google.type.Date DT = 2;\n  google.type.TimeOfDay T = 3;\n  google.protobuf.Timestamp TS = 4;\n}\n"},
		{"nested", plan.Format{}, []types.Column{column("A", types.Array(types.String)), column("M", types.Map(types.String, types.Map(types.String, types.Integer))), column("S", types.Struct(field("F", types.Array(types.Struct(field("G", types.Double))))))},
			"syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  repeated string A = 1;\n  repeated ConnectDefault2Entry M = 2;\n  ConnectDefault4 S = 3;\n\n  message ConnectDefault2Entry {\n    string key = 1;\n    repeated ConnectDefault3Entry value = 2;\n  \n    message ConnectDefault3Entry {\n      string key = 1;\n      int32 value = 2;\n    }\n  }\n  message ConnectDefault4 {\n    repeated ConnectDefault5 F = 1;\n  \n    message ConnectDefault5 {\n      double G = 1;\n    }\n  }\n}\n"},
		{"full name", plan.Format{SchemaName: "io.examples.Customer"}, []types.Column{column("ID", types.Bigint), column("S", types.Struct(field("C", types.String)))},
			"syntax = \"proto3\";\npackage io.examples;\n\nmessage Customer {\n  int64 ID = 1;\n  ConnectDefault1 S = 2;\n\n  message ConnectDefault1 {\n    string C = 1;\n  }\n}\n"},
		{"optional", plan.Format{NullableRepresentation: "OPTIONAL"}, []types.Column{column("I", types.Integer), column("A", types.Array(types.Boolean))},
			"syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  optional int32 I = 1;\n  repeated bool A = 2;\n}\n"},
		{"wrapper", plan.Format{NullableRepresentation: "WRAPPER"}, []types.Column{column("I", types.Integer), column("B", types.Boolean), column("T", types.Timestamp)},
			"syntax = \"proto3\";\n\nimport \"google/protobuf/timestamp.proto\";\nimport \"google/protobuf/wrappers.proto\";\n\nmessage ConnectDefault1 {\n  google.protobuf.Int32Value I = 1;\n  google.protobuf.BoolValue B = 2;\n  google.protobuf.Timestamp T = 3;\n}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"PROTOBUF", "PROTOBUF_NOSR"} {
				c.f.Name = name
				s, err := DeriveSchema(c.f, c.cols)
				if err != nil {
					t.Fatal(err)
				}
				if s.Text != c.want {
					t.Fatalf("got:\n%s\nwant:\n%s", s.Text, c.want)
				}
				if err := checkProto(s, nil); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestProtobufDeriveErrors(t *testing.T) {
	for _, c := range []struct {
		f    plan.Format
		cols []types.Column
		want string
	}{
		{plan.Format{}, []types.Column{column("M", types.Map(types.Integer, types.Double))}, "PROTOBUF format only supports MAP types with STRING keys"},
		{plan.Format{}, []types.Column{column("A", types.Array(types.Array(types.Integer)))}, "A: PROTOBUF format cannot hold ARRAY<ARRAY<INTEGER>>"},
		{plan.Format{}, []types.Column{column("a-b", types.Integer)}, "column or field `a-b` cannot be in a PROTOBUF schema"},
		{plan.Format{}, []types.Column{column("S", types.Struct(field("1x", types.Integer)))}, "`1x`"},
		{plan.Format{SchemaName: "a..b"}, cols(types.Integer), "schema name a..b is not a valid protobuf name"},
		{plan.Format{NullableRepresentation: "MAYBE"}, cols(types.Integer), "nullable representation MAYBE is not one of"},
		{plan.Format{Unwrapped: true}, cols(types.Integer), "cannot hold a single column without a record"},
		{plan.Format{Name: "PROTOBUF_NOSR", SchemaID: 3}, cols(types.Integer), "takes no schema id"},
	} {
		if c.f.Name == "" {
			c.f.Name = "PROTOBUF"
		}
		if _, err := New(c.f, c.cols, protoSide(t)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %v, want %q", err, c.want)
		}
	}
}

// allProtoTypes has every SQL type at the top, in a STRUCT, in an ARRAY and in a
// MAP.
func allProtoTypes() []types.Column {
	scalars := []types.Type{types.Boolean, types.Integer, types.Bigint, types.Double, types.Decimal(9, 2), types.Decimal(60, 3), types.String, types.Bytes, types.Time, types.Date, types.Timestamp}
	var out []types.Column
	var inner []types.Field
	for i, s := range scalars {
		out = append(out, column(fmt.Sprintf("C%d", i), s), column(fmt.Sprintf("A%d", i), types.Array(s)), column(fmt.Sprintf("M%d", i), types.Map(types.String, s)))
		inner = append(inner, field(fmt.Sprintf("F%d", i), s), field(fmt.Sprintf("F_%d", i), types.Array(s)))
	}
	deep := types.Struct(append(inner, field("M", types.Map(types.String, types.Struct(field("X", types.Map(types.String, types.Array(types.Bigint)))))))...)
	return append(out, column("S", deep), column("AS", types.Array(types.Struct(field("Y", deep)))))
}

// genProto draws a value that protobuf can hold: no NULL in an array, and in the
// default representation no NULL scalar and no absent list.
func genProto(t *rapid.T, ty types.Type, nulls string, inList bool) types.Value {
	scalar := ty.Kind < types.KindDecimal || ty.Kind == types.KindString || ty.Kind == types.KindBytes
	list := ty.Kind == types.KindArray || ty.Kind == types.KindMap
	if !inList && !list && (nulls != "" || !scalar) && rapid.IntRange(0, 4).Draw(t, "null") == 0 {
		return types.NullValue
	}
	switch ty.Kind {
	case types.KindTime:
		return types.NewTime(int32(rapid.IntRange(0, 86_399_999).Draw(t, "time")))
	case types.KindDate:
		return types.NewDate(rapid.Int32Range(-1_000_000, 1_000_000).Draw(t, "date"))
	case types.KindTimestamp:
		return types.NewTimestamp(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "ts"))
	case types.KindDecimal:
		return types.NewDecimal(apd.New(rapid.Int64Range(-999_999_999, 999_999_999).Draw(t, "dec"), -ty.Scale))
	case types.KindArray:
		elems := make([]types.Value, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range elems {
			elems[i] = genProto(t, *ty.Elem, nulls, true)
		}
		return types.NewArray(elems)
	case types.KindStruct:
		fields := make([]types.Value, len(ty.Fields))
		for i, f := range ty.Fields {
			fields[i] = genProto(t, f.Type, nulls, false)
		}
		return types.NewStruct(fields)
	case types.KindMap:
		m := new(types.MapValue)
		for _, k := range rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID).Draw(t, "keys") {
			m.Keys, m.Values = append(m.Keys, types.NewString(k)), append(m.Values, genProto(t, *ty.Elem, nulls, false))
		}
		return types.NewMap(m)
	}
	for {
		if v := genValue(t, ty); !v.IsNull() {
			return v
		}
	}
}

func TestProtobufRoundTrip(t *testing.T) {
	all := allProtoTypes()
	for _, name := range []string{"PROTOBUF", "PROTOBUF_NOSR"} {
		for _, nulls := range []string{"", protoOptional, protoWrapper} {
			r := protoRow(t, plan.Format{Name: name, NullableRepresentation: nulls}, all)
			t.Run(name+nulls, rapid.MakeCheck(func(rt *rapid.T) {
				row := make([]types.Value, len(all))
				for i, c := range all {
					row[i] = genProto(rt, c.Type, nulls, false)
				}
				payload, err := r.Encode(row)
				if err != nil {
					rt.Fatal(err)
				}
				back, err := r.Decode(payload)
				if err != nil {
					rt.Fatalf("%x: %v", payload, err)
				}
				if got, want := text(t, all, back), text(t, all, row); got != want {
					rt.Fatalf("got %s, want %s", got, want)
				}
				again, err := r.Encode(back)
				if err != nil || !bytes.Equal(again, payload) {
					rt.Fatalf("encodes again as %x, %v, was %x", again, err, payload)
				}
			}))
		}
	}
}

// TestProtobufNulls pins what NULL comes back as.
func TestProtobufNulls(t *testing.T) {
	cs := []types.Column{column("I", types.Integer), column("S", types.String), column("B", types.Boolean), column("T", types.Timestamp), column("A", types.Array(types.Integer)),
		column("M", types.Map(types.String, types.Double)), column("ST", types.Struct(field("X", types.Bigint)))}
	row := make([]types.Value, len(cs))
	inner := append(append([]types.Value(nil), row[:6]...), types.NewStruct([]types.Value{types.NullValue}))
	for nulls, want := range map[string]string{
		"":            `0 "" false null [] {} null|0 "" false null [] {} {"X":0}`,
		protoOptional: `null null null null [] {} null|null null null null [] {} {"X":null}`,
		protoWrapper:  `null null null null [] {} null|null null null null [] {} {"X":null}`,
	} {
		r := protoRow(t, plan.Format{Name: "PROTOBUF", NullableRepresentation: nulls}, cs)
		var got []string
		for _, in := range [][]types.Value{row, inner} {
			payload, err := r.Encode(in)
			if err != nil {
				t.Fatal(err)
			}
			back, err := r.Decode(payload)
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, text(t, cs, back))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: got %s, want %s", nulls, strings.Join(got, "|"), want)
		}
	}
}

func TestProtobufWireBytes(t *testing.T) {
	cs := []types.Column{column("I", types.Integer), column("S", types.String)}
	row := []types.Value{types.NewInteger(-1), types.NewString("x")}
	for name, want := range map[string]string{
		"PROTOBUF":      "\x00\x00\x00\x00\x01\x00\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x01x",
		"PROTOBUF_NOSR": "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x12\x01x",
	} {
		got, err := protoRow(t, plan.Format{Name: name}, cs).Encode(row)
		if err != nil || string(got) != want {
			t.Errorf("%s: got %q, %v, want %q", name, got, err, want)
		}
	}
}

// bidProto is the JSON benchmark's bid as protobuf.
func bidProto(t testing.TB, name string) ([]types.Column, Codec, []byte) {
	cs, payload := bidPayload()
	row, err := NewRow(plan.Format{Name: "JSON"}, cs, Side{})
	if err != nil {
		t.Fatal(err)
	}
	values, err := row.Decode(payload)
	if err != nil {
		t.Fatal(err)
	}
	r := protoRow(t, plan.Format{Name: name}, cs)
	if payload, err = r.Encode(values); err != nil {
		t.Fatal(err)
	}
	return cs, r.codec, payload
}

func vectorsOf(cs []types.Column, payload []byte) []*batch.Vector {
	vecs := make([]*batch.Vector, len(cs))
	for i, c := range cs {
		vecs[i] = batch.NewVector(c.Type, 1)
		vecs[i].Data = payload
	}
	return vecs
}

func TestProtobufAllocatesNothing(t *testing.T) {
	for _, name := range []string{"PROTOBUF", "PROTOBUF_NOSR"} {
		cs, codec, payload := bidProto(t, name)
		vecs := vectorsOf(cs, payload)
		out := make([]byte, 0, 1024)
		if n := testing.AllocsPerRun(100, func() {
			if err := codec.Decode(vecs, 0, payload); err != nil {
				t.Fatal(err)
			}
			if _, _, err := codec.Append(out, vecs, 0); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Fatalf("%s: %v allocations per record", name, n)
		}
	}
}

func BenchmarkDecodeProtobuf(b *testing.B) {
	cs, codec, payload := bidProto(b, "PROTOBUF")
	vecs := vectorsOf(cs, payload)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := codec.Decode(vecs, 0, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendProtobuf(b *testing.B) {
	cs, codec, payload := bidProto(b, "PROTOBUF")
	vecs := vectorsOf(cs, payload)
	if err := codec.Decode(vecs, 0, payload); err != nil {
		b.Fatal(err)
	}
	var out []byte
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if out, _, err = codec.Append(out[:0], vecs, 0); err != nil {
			b.Fatal(err)
		}
	}
}
