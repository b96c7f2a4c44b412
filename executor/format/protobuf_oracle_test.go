package format

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// oracleText has every kind of field, numbers beyond the lookup array, a oneof,
// and a second message at another index path.
const oracleText = `syntax = "proto3";
package o;
message First { int32 x = 1; }
message All {
  bool b = 1; int32 i32 = 2; sint32 s32 = 3; sfixed32 sf32 = 4; uint32 u32 = 5; fixed32 f32 = 6;
  int64 i64 = 7; sint64 s64 = 8; sfixed64 sf64 = 9; uint64 u64 = 10; fixed64 f64 = 11;
  float fl = 12; double d = 13; string s = 14; bytes y = 15; E e = 16;
  optional int32 oi = 17; optional string os = 18; optional bool ob = 19;
  repeated sint64 packed = 20; repeated int32 loose = 21 [packed = false]; repeated string ss = 22; repeated double ds = 23; repeated bool bs = 24; repeated E es = 25;
  oneof one { int32 one_i = 30; string one_s = 31; Sub one_m = 32; }
  Sub sub = 40; repeated Sub subs = 41;
  map<string, int64> m = 50; map<int32, Sub> mm = 51; map<bool, bytes> mb = 52; map<string, E> me = 53;
  string far = 5000; fixed32 farther = 536870911;
  enum E { ZERO = 0; ONE = 1; MINUS = -1; }
  message Sub {
    string name = 1; repeated uint32 ns = 2; Sub2 sub2 = 3; optional double od = 4; map<string, string> tags = 5;
    oneof either { bool l = 6; Sub2 r = 7; }
  }
  message Sub2 { sint32 v = 1; bytes w = 2; }
}`

// oracleCodec returns a codec of oracleText's second message with its columns,
// and the descriptor that the reference implementation reads by.
func oracleCodec(t testing.TB, text, name string) (*Row, []types.Column, protoreflect.MessageDescriptor) {
	t.Helper()
	side := protoSide(t, text)
	f := plan.Format{Name: "PROTOBUF", SchemaID: 1, SchemaName: name}
	s := registry.Schema{Type: registry.Protobuf, Text: text}
	in, err := InferColumns(f, side, s)
	if err != nil || len(in.Dropped) > 0 {
		t.Fatal(err, in.Dropped)
	}
	row, err := NewRow(f, in.Columns, side)
	if err != nil {
		t.Fatal(err)
	}
	file, err := compileProto(s, side.Schemas)
	if err != nil {
		t.Fatal(err)
	}
	m, _, err := findMessage(file, name)
	if err != nil {
		t.Fatal(err)
	}
	return row, in.Columns, m
}

// genMessage draws a message with some of its fields set.
func genMessage(t *rapid.T, m protoreflect.Message, depth int) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		fd := fields.Get(i)
		if rapid.IntRange(0, 2+depth).Draw(t, "set") > 2 || fd.Kind() == protoreflect.MessageKind && depth > 3 {
			continue
		}
		switch {
		case fd.IsMap():
			for range rapid.IntRange(0, 20).Draw(t, "entries") {
				m.Mutable(fd).Map().Set(genField(t, fd.MapKey(), nil, depth).MapKey(), genField(t, fd.MapValue(), m.Mutable(fd).Map().NewValue, depth))
			}
		case fd.IsList():
			for range rapid.IntRange(0, 3).Draw(t, "elems") {
				m.Mutable(fd).List().Append(genField(t, fd, m.Mutable(fd).List().NewElement, depth))
			}
		default:
			m.Set(fd, genField(t, fd, func() protoreflect.Value { return m.NewField(fd) }, depth))
		}
	}
}

func genField(t *rapid.T, fd protoreflect.FieldDescriptor, fresh func() protoreflect.Value, depth int) protoreflect.Value {
	switch fd.Kind() {
	case protoreflect.BoolKind:
		return protoreflect.ValueOfBool(rapid.Bool().Draw(t, "b"))
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return protoreflect.ValueOfInt32(rapid.Int32().Draw(t, "i"))
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		return protoreflect.ValueOfUint32(rapid.Uint32().Draw(t, "u"))
	case protoreflect.Int64Kind, protoreflect.Sint64Kind, protoreflect.Sfixed64Kind:
		return protoreflect.ValueOfInt64(rapid.Int64().Draw(t, "l"))
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		return protoreflect.ValueOfUint64(rapid.Uint64().Draw(t, "ul"))
	case protoreflect.FloatKind:
		return protoreflect.ValueOfFloat32(rapid.Float32().Draw(t, "f"))
	case protoreflect.DoubleKind:
		return protoreflect.ValueOfFloat64(rapid.Float64().Draw(t, "d"))
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(rapid.String().Draw(t, "s"))
	case protoreflect.BytesKind:
		return protoreflect.ValueOfBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "y"))
	case protoreflect.EnumKind:
		return protoreflect.ValueOfEnum(protoreflect.EnumNumber(rapid.Int32Range(-1, 1).Draw(t, "e")))
	}
	v := fresh()
	genMessage(t, v.Message(), depth+1)
	return v
}

// oracleRow converts what the reference implementation read.
func oracleRow(m protoreflect.Message) []types.Value {
	out := make([]types.Value, m.Descriptor().Fields().Len())
	for i := range out {
		fd := m.Descriptor().Fields().Get(i)
		switch {
		case fd.IsMap():
			mv := new(types.MapValue)
			m.Get(fd).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
				mv.Keys = append(mv.Keys, types.NewString(k.String()))
				mv.Values = append(mv.Values, oracleValue(fd.MapValue(), v))
				return true
			})
			out[i] = types.NewMap(mv)
		case fd.IsList():
			elems := []types.Value{}
			for j := range m.Get(fd).List().Len() {
				elems = append(elems, oracleValue(fd, m.Get(fd).List().Get(j)))
			}
			out[i] = types.NewArray(elems)
		case !fd.HasPresence() || fd.HasDefault() || m.Has(fd):
			out[i] = oracleValue(fd, m.Get(fd))
		}
	}
	return out
}

func oracleValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) types.Value {
	switch x := v.Interface().(type) {
	case bool:
		return types.NewBoolean(x)
	case int32:
		return types.NewInteger(x)
	case int64:
		return types.NewBigint(x)
	case uint32:
		return types.NewBigint(int64(x))
	case uint64:
		return types.NewBigint(int64(x))
	case float32:
		return types.NewDouble(float64(x))
	case float64:
		return types.NewDouble(x)
	case string:
		return types.NewString(x)
	case []byte:
		return types.NewBytes(x)
	case protoreflect.EnumNumber:
		if e := fd.Enum().Values().ByNumber(x); e != nil {
			return types.NewString(string(e.Name()))
		}
		return types.NewString("UNKNOWN_ENUM_VALUE_" + string(fd.Enum().Name()) + "_" + strconv.Itoa(int(x)))
	}
	return types.NewStruct(oracleRow(v.Message()))
}

// sortedText shows a row with the entries of maps in order.
func sortedText(t *testing.T, cs []types.Column, vs []types.Value) string {
	var sorted func(v types.Value, ty types.Type) types.Value
	sorted = func(v types.Value, ty types.Type) types.Value {
		switch {
		case v.IsNull():
		case ty.Kind == types.KindArray:
			out := make([]types.Value, len(v.Elems()))
			for i, e := range v.Elems() {
				out[i] = sorted(e, *ty.Elem)
			}
			return types.NewArray(out)
		case ty.Kind == types.KindStruct:
			out := make([]types.Value, len(v.Elems()))
			for i, e := range v.Elems() {
				out[i] = sorted(e, ty.Fields[i].Type)
			}
			return types.NewStruct(out)
		case ty.Kind == types.KindMap:
			fields, values := []string{}, map[string]types.Value{}
			for i, k := range v.Map().Keys {
				at := len(fields)
				for at > 0 && fields[at-1] > k.Str() {
					at--
				}
				fields = append(fields[:at], append([]string{k.Str()}, fields[at:]...)...)
				values[k.Str()] = sorted(v.Map().Values[i], *ty.Elem)
			}
			m := new(types.MapValue)
			for _, k := range fields {
				m.Keys, m.Values = append(m.Keys, types.NewString(k)), append(m.Values, values[k])
			}
			return types.NewMap(m)
		}
		return v
	}
	out := make([]types.Value, len(vs))
	for i, v := range vs {
		out[i] = sorted(v, cs[i].Type)
	}
	return text(t, cs, out)
}

var oracleHead = "\x00\x00\x00\x00\x01\x02\x02" // schema 1, path [1]

func TestProtobufOracle(t *testing.T) {
	row, cs, m := oracleCodec(t, oracleText, "o.All")
	rapid.Check(t, func(rt *rapid.T) {
		msg := dynamicpb.NewMessage(m)
		genMessage(rt, msg, 0)
		payload, err := proto.Marshal(msg)
		if err != nil {
			rt.Fatal(err)
		}
		got, err := row.Decode(append([]byte(oracleHead), payload...))
		if err != nil {
			rt.Fatalf("%x: %v", payload, err)
		}
		want := sortedText(t, cs, oracleRow(msg))
		if have := sortedText(t, cs, got); have != want {
			rt.Fatalf("reading\ngot  %s\nwant %s", have, want)
		}
		mine, err := row.Encode(got)
		if err != nil {
			rt.Fatal(err)
		}
		if !strings.HasPrefix(string(mine), oracleHead) {
			rt.Fatalf("payload begins with %x", mine[:7])
		}
		back := dynamicpb.NewMessage(m)
		if err := proto.Unmarshal(mine[len(oracleHead):], back); err != nil {
			rt.Fatal(err)
		}
		if have := sortedText(t, cs, oracleRow(back)); have != want {
			rt.Fatalf("writing\ngot  %s\nwant %s", have, want)
		}
	})
}

// TestProtobufProjection checks that what is not wanted is not read, but checked
// all the same.
func TestProtobufProjection(t *testing.T) {
	row, cs, m := oracleCodec(t, oracleText, "o.All")
	rapid.Check(t, func(rt *rapid.T) {
		msg := dynamicpb.NewMessage(m)
		genMessage(rt, msg, 0)
		payload, err := proto.Marshal(msg)
		if err != nil {
			rt.Fatal(err)
		}
		payload = append([]byte(oracleHead), payload...)
		if n := rapid.IntRange(0, 3).Draw(rt, "damage"); n > 0 && len(payload) > len(oracleHead) {
			at := rapid.IntRange(len(oracleHead), len(payload)-1).Draw(rt, "at")
			payload[at] ^= 1 << n
		}
		all := vectorsOf(cs, payload)
		failed := row.codec.Decode(all, 0, payload)
		some := vectorsOf(cs, payload)
		for k := range some {
			if rapid.Bool().Draw(rt, "wanted") {
				some[k] = nil
			}
		}
		if err := row.codec.Decode(some, 0, payload); (err == nil) != (failed == nil) {
			rt.Fatalf("with all columns %v, with some %v", failed, err)
		}
		for k, v := range some {
			if v == nil || failed != nil {
				continue
			}
			if got, want := text(t, cs[k:k+1], []types.Value{v.Value(0)}), text(t, cs[k:k+1], []types.Value{all[k].Value(0)}); got != want {
				rt.Fatalf("%s: got %s, want %s", cs[k].Name, got, want)
			}
		}
	})
}

// FuzzProtobufDecode holds the decoder against the reference implementation: it
// accepts the same payloads, but for ones that nest too deep or have numbers out
// of range, and reads the same.
func FuzzProtobufDecode(f *testing.F) {
	row, cs, m := oracleCodec(f, oracleText, "o.All")
	for _, s := range []string{"", "\x08\x01", "\x72\x02hi\x72\x01!", "\xa2\x01\x02\x02\x04\xa0\x01\x06", "\xc2\x02\x03\x0a\x01a\xc2\x02\x02\x10\x05", "\xf0\x01\x05\xfa\x01\x01s", "\x92\x03\x04\x0a\x01k\x10", "\x9b\x06\x9c\x06", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		payload := append([]byte(oracleHead), b...)
		got, err := row.Decode(payload)
		if errors.Is(err, errProtoDeep) || errors.Is(err, errProtoTag) {
			return // the reference takes more numbers inside unknown groups
		}
		msg := dynamicpb.NewMessage(m)
		want, panicked := reference(b, msg)
		if panicked {
			return
		}
		if (err == nil) != (want == nil) {
			t.Fatalf("%x: %v, the reference says %v", b, err, want)
		}
		if err != nil {
			return
		}
		if have, want := sortedText(t, cs, got), sortedText(t, cs, oracleRow(msg)); have != want {
			t.Fatalf("%x\ngot  %s\nwant %s", b, have, want)
		}
	})
}

// reference reads with the reference implementation, which panics (as of
// v1.36.12) at a map's entry whose key comes again under another wire type.
func reference(b []byte, m proto.Message) (err error, panicked bool) {
	defer func() { panicked = recover() != nil }()
	return proto.Unmarshal(b, m), false
}

// FuzzProtobufLeaves reads hostile messages for SQL's own types: what is
// accepted reads back the same after it was written.
func FuzzProtobufLeaves(f *testing.F) {
	cs := []types.Column{column("D", types.Decimal(10, 2)), column("W", types.Decimal(60, 5)), column("DT", types.Date), column("T", types.Time), column("TS", types.Timestamp), column("A", types.Array(types.Timestamp)), column("M", types.Map(types.String, types.Decimal(5, 1)))}
	row := protoRow(f, plan.Format{Name: "PROTOBUF_NOSR", NullableRepresentation: protoWrapper}, cs)
	for _, s := range []string{"\x0a\x05\x0a\x01\x7f\x18\x02", "\x12\x04\x0a\x02\xff\x00", "\x1a\x07\x08\xe4\x0f\x10\x02\x18\x1d", "\x22\x04\x08\x17\x10\x3b", "\x2a\x02\x08\x01", "\x1a\x00"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := row.Decode(b)
		if err != nil {
			return
		}
		out, err := row.Encode(v)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		back, err := row.Decode(out)
		if err != nil || text(t, cs, back) != text(t, cs, v) {
			t.Fatalf("%x reads as %s, written as %x reads as %v, %v", b, text(t, cs, v), out, back, err)
		}
	})
}

func BenchmarkDecodeProtobufDynamic(b *testing.B) {
	cs, _, payload := bidProto(b, "PROTOBUF_NOSR")
	s, err := DeriveSchema(plan.Format{Name: "PROTOBUF"}, cs)
	if err != nil {
		b.Fatal(err)
	}
	file, err := compileProto(s, nil)
	if err != nil {
		b.Fatal(err)
	}
	m := dynamicpb.NewMessage(file.Messages().Get(0))
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := proto.Unmarshal(payload, m); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCompileProtobuf(b *testing.B) {
	s, err := DeriveSchema(plan.Format{Name: "PROTOBUF"}, allProtoTypes())
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := compileProto(s, nil); err != nil {
			b.Fatal(fmt.Errorf("compile: %w", err))
		}
	}
}
