package format

import (
	"encoding/json"
	"fmt"
	"math/big"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/twmb/avro"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// generic returns a value as the library wants it and gives it back.
func generic(v types.Value, t types.Type) any {
	if v.IsNull() {
		return nil
	}
	switch t.Kind {
	case types.KindBoolean:
		return v.Bool()
	case types.KindInteger:
		return int32(v.Int())
	case types.KindBigint:
		return v.Int()
	case types.KindDouble:
		return v.Float()
	case types.KindString:
		return v.Str()
	case types.KindBytes:
		return []byte(v.Str())
	case types.KindDecimal:
		x := v.Decimal().Coeff.MathBigInt()
		if v.Decimal().Negative {
			x = new(big.Int).Neg(x)
		}
		return new(big.Rat).SetFrac(x, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(-v.Decimal().Exponent)), nil))
	case types.KindTime:
		return time.Duration(v.Int()) * time.Millisecond
	case types.KindDate:
		return time.Unix(v.Int()*86_400, 0).UTC()
	case types.KindTimestamp:
		return time.UnixMilli(v.Int()).UTC()
	case types.KindArray:
		out := []any{}
		for _, e := range v.Elems() {
			out = append(out, generic(e, *t.Elem))
		}
		return out
	case types.KindMap:
		out := []any{}
		for k, key := range v.Map().Keys {
			out = append(out, map[string]any{"key": generic(key, *t.Key), "value": generic(v.Map().Values[k], *t.Elem)})
		}
		return out
	}
	out := map[string]any{}
	for k, f := range t.Fields {
		out[f.Name] = generic(v.Elems()[k], f.Type)
	}
	return out
}

// shown is a comparable text of generic values.
func shown(v any) string {
	switch v := v.(type) {
	case *big.Rat:
		return v.RatString()
	case []any:
		var parts []string
		for _, e := range v {
			parts = append(parts, shown(e))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case map[string]any:
		parts := map[string]string{}
		for k, e := range v {
			parts[k] = shown(e)
		}
		return fmt.Sprint(parts)
	}
	return fmt.Sprintf("%T %v", v, v)
}

// TestAvroOracle writes rows with the codec and reads them with the library, and
// the other way round.
func TestAvroOracle(t *testing.T) {
	r := avroRegistry(t)
	all := allTypes()
	row := avroRow(t, r, plan.Format{}, all)
	s, err := DeriveSchema(plan.Format{Name: "AVRO"}, all)
	if err != nil {
		t.Fatal(err)
	}
	id, err := r.ID("t-value", s)
	if err != nil {
		t.Fatal(err)
	}
	library := avro.MustParse(s.Text)
	rapid.Check(t, func(rt *rapid.T) {
		values, want := make([]types.Value, len(all)), map[string]any{}
		for i, c := range all {
			values[i] = genAny(rt, c.Type)
			want[c.Name] = generic(values[i], c.Type)
		}
		payload, err := row.Encode(values)
		if err != nil {
			rt.Fatal(err)
		}
		var got any
		rest, err := library.Decode(payload[envelopeLen:], &got)
		if err != nil || len(rest) != 0 || shown(got) != shown(want) {
			rt.Fatalf("library reads %s, %v\nwant %s", shown(got), err, shown(want))
		}
		// The library's form may hold time units only in the range of time.Time.
		body, err := library.Encode(got)
		if err != nil {
			rt.Skip(err)
		}
		back, err := row.Decode(envelope(id, string(body)))
		if err != nil || text(t, all, back) != text(t, all, values) {
			rt.Fatalf("got %s, %v\nwant %s", text(t, all, back), err, text(t, all, values))
		}
	})
}

// genAvro draws a schema. Names are few, so that pairs of schemas have something
// in common.
func genAvro(t *rapid.T, depth int, named map[string]bool) any {
	kinds := []string{"int", "long", "float", "double", "string", "bytes", "boolean", "enum", "fixed", "record", "array", "map", "union", "decimal"}
	if depth == 0 {
		kinds = kinds[:9]
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	name := func(of ...string) string {
		n := rapid.SampledFrom(of).Draw(t, "name")
		for named[n] {
			n += "x"
		}
		named[n] = true
		return n
	}
	switch kind {
	case "enum":
		return map[string]any{"type": "enum", "name": name("E", "E2"), "symbols": rapid.SampledFrom([][]string{{"A"}, {"A", "B"}, {"B", "C"}}).Draw(t, "symbols")}
	case "fixed":
		return map[string]any{"type": "fixed", "name": name("F", "F2"), "size": rapid.IntRange(1, 2).Draw(t, "size")}
	case "decimal":
		return map[string]any{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": rapid.IntRange(0, 1).Draw(t, "scale")}
	case "array":
		return map[string]any{"type": "array", "items": genAvro(t, depth-1, named)}
	case "map":
		return map[string]any{"type": "map", "values": genAvro(t, depth-1, named)}
	case "union":
		return append([]any{"null"}, genAvro(t, 0, named))
	case "record":
		rec := map[string]any{"type": "record", "name": name("R", "R2")}
		fields := []any{}
		for _, n := range rapid.SliceOfNDistinct(rapid.SampledFrom([]string{"a", "b", "c"}), 1, 3, rapid.ID).Draw(t, "fields") {
			f := map[string]any{"name": n, "type": genAvro(t, depth-1, named)}
			if f["type"] == "int" && rapid.Bool().Draw(t, "default") {
				f["default"] = 1
			}
			if rapid.IntRange(0, 3).Draw(t, "aliased") == 0 {
				f["aliases"] = []string{rapid.SampledFrom([]string{"d", "e"}).Draw(t, "alias")}
			}
			fields = append(fields, f)
		}
		rec["fields"] = fields
		return rec
	}
	return kind
}

// TestAvroResolutionOracle: whether a reader can read a writer is what the
// library says.
func TestAvroResolutionOracle(t *testing.T) {
	yes, no := 0, 0
	rapid.Check(t, func(rt *rapid.T) {
		var schemas [2]registry.Schema
		var library [2]*avro.Schema
		for k := range schemas {
			b, err := json.Marshal(genAvro(rt, 3, map[string]bool{}))
			if err != nil {
				rt.Fatal(err)
			}
			schemas[k] = avroText(string(b))
			if library[k], err = avro.Parse(string(b)); err != nil {
				rt.Skip(err)
			}
		}
		for _, pair := range [][2]int{{0, 1}, {1, 0}, {0, 0}} {
			r, w := pair[0], pair[1]
			got, err := (Checker{}).Incompatible(schemas[r], schemas[w], nil)
			if err != nil {
				rt.Fatal(err)
			}
			want := avro.CheckCompatibility(library[w], library[r])
			if (len(got) == 0) != (want == nil) {
				rt.Fatalf("reader %s\nwriter %s\ngot %q, the library says %v", schemas[r].Text, schemas[w].Text, got, want)
			}
			if want == nil {
				yes++
			} else {
				no++
			}
		}
	})
	if yes == 0 || no == 0 {
		t.Fatalf("%d pairs are compatible, %d are not", yes, no)
	}
}

func TestAvroResolution(t *testing.T) {
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	one := func(typ string) string { return rec(`{"name":"a","type":` + typ + `}`) }
	enum := func(rest string) string { return one(`{"type":"enum","name":"E",` + rest + `}`) }
	for _, c := range []struct{ name, reader, writer, want string }{
		{"same", one(`"int"`), one(`"int"`), ``},
		{"promotion", one(`"double"`), one(`"int"`), ``},
		{"no demotion", one(`"int"`), one(`"long"`), `$.a: the reader's int cannot read the writer's long`},
		{"string and bytes", rec(`{"name":"a","type":"bytes"},{"name":"b","type":"string"}`), rec(`{"name":"a","type":"string"},{"name":"b","type":"bytes"}`), ``},
		{"field added with a default", rec(`{"name":"a","type":"int"},{"name":"b","type":["null","int"],"default":null}`), one(`"int"`), ``},
		{"field added without", rec(`{"name":"a","type":"int"},{"name":"b","type":["null","int"]}`), one(`"int"`), `$.b: the writer has no such field and the reader no default for it`},
		{"field taken away", rec(``), one(`"int"`), ``},
		{"all problems", rec(`{"name":"a","type":"int"},{"name":"b","type":"int"}`), one(`"string"`), `$.a: the reader's int cannot read the writer's string; $.b: the writer has no such field and the reader no default for it`},
		{"alias of a field", rec(`{"name":"b","type":"int","aliases":["a"]}`), one(`"int"`), ``},
		{"name of the record", `{"type":"record","name":"Q","fields":[]}`, one(`"int"`), `$: the reader's record Q is not the writer's record R, neither by name nor by an alias`},
		{"alias of the record", `{"type":"record","name":"Q","aliases":["R"],"fields":[]}`, one(`"int"`), ``},
		{"namespace does not count", `{"type":"record","name":"x.R","fields":[]}`, one(`"int"`), ``},
		{"into a union", one(`["null","long"]`), one(`"int"`), ``},
		{"not into a union", one(`["null","int"]`), one(`"string"`), `$.a: no branch of the reader's union reads the writer's string`},
		{"nearest branch of a union", one(`["null",` + strings.Replace(rec(`{"name":"x","type":"int"}`), `"R"`, `"S"`, 1) + `]`), one(strings.Replace(rec(`{"name":"x","type":"string"}`), `"R"`, `"S"`, 1)), `$.a.x: the reader's int cannot read the writer's string`},
		{"out of a union", one(`"long"`), one(`["int","string"]`), `$.a: the reader's long cannot read the writer's string`},
		{"union and union", one(`["null","double"]`), one(`["float","null"]`), ``},
		{"symbols added", enum(`"symbols":["A","B"]`), enum(`"symbols":["A"]`), ``},
		{"symbols lost", enum(`"symbols":["A"]`), enum(`"symbols":["A","B"]`), `$.a: the reader's enum E does not know symbol B and has no default`},
		{"symbols lost, default", enum(`"symbols":["A"],"default":"A"`), enum(`"symbols":["A","B"]`), ``},
		{"size of a fixed", one(`{"type":"fixed","name":"F","size":2}`), one(`{"type":"fixed","name":"F","size":3}`), `$.a: the reader's fixed F has 2 bytes, the writer's has 3`},
		{"decimals", one(`{"type":"bytes","logicalType":"decimal","precision":5,"scale":2}`), one(`{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`), `$.a: the reader's decimal(5, 2) cannot read the writer's decimal(4, 2)`},
		{"items and values", one(`{"type":"array","items":{"type":"map","values":"int"}}`), one(`{"type":"array","items":{"type":"map","values":"long"}}`), `$.a[][]: the reader's int cannot read the writer's long`},
		{"recursive", rec(`{"name":"a","type":"int"},{"name":"n","type":["null","R"]}`), rec(`{"name":"a","type":"long"},{"name":"n","type":["null","R"]}`), `$.a: the reader's int cannot read the writer's long`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := (Checker{}).Incompatible(avroText(c.reader), avroText(c.writer), nil)
			if err != nil || strings.Join(got, "; ") != c.want {
				t.Fatalf("got %q, %v, want %q", got, err, c.want)
			}
		})
	}
	// Through the registry, by its default level.
	r := registry.New(Checker{})
	register(t, r, "s", avroText(one(`"int"`)))
	if _, _, err := r.Propose("s", avroText(one(`"string"`))); err == nil || !strings.Contains(err.Error(), "the reader's string cannot read the writer's int") {
		t.Fatalf("error is %v", err)
	}
	if _, _, err := r.Propose("s", avroText(one(`"foo"`))); err == nil || !strings.Contains(err.Error(), "foo") {
		t.Fatalf("error is %v", err)
	}
}

// TestAvroHostile: what a payload may make the codec allocate follows from its
// length and the limits, not from the numbers in it.
func TestAvroHostile(t *testing.T) {
	r := avroRegistry(t)
	elem := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "Y", Type: types.Integer}, types.Field{Name: "Z", Type: types.Integer})
	cs := cols(types.Array(elem), types.String, types.Map(types.String, types.Integer))
	row := avroRow(t, r, plan.Format{}, cs)
	empty := register(t, r, "s", avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[]}}}]}`))
	small := register(t, r, "s", avroText(`{"type":"record","name":"R","fields":[{"name":"a","type":{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"q","type":"boolean"}]}}}]}`))
	many := strings.Repeat("\x00", 4<<20)
	for name, payload := range map[string][]byte{
		"items without bytes":        envelope(empty, "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00"),
		"blocks without bytes":       envelope(empty, strings.Repeat("\xfe\xff\x03", 1<<20)+"\x00"),
		"many fields of few bytes":   envelope(small, "\x80\x80\x80\x04"+many+"\x00"),
		"count beyond the end":       envelope(small, "\xfe\xff\xff\xff\x0f"),
		"negative count, wrong size": envelope(small, "\x01\xfe\xff\xff\xff\x0f"),
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := row.Decode(payload)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		// A value takes 48 bytes, and lists of them grow by copying.
		if made := int(after.TotalAlloc - before.TotalAlloc); made > 200*(maxAvroValues+len(payload)) {
			t.Errorf("%s: %d bytes were allocated", name, made)
		}
	}
}

// FuzzAvroDecode feeds payloads of several schemas. What is accepted must encode
// again and read back the same.
func FuzzAvroDecode(f *testing.F) {
	r := avroRegistry(f)
	all := allTypes()
	row := avroRow(f, r, plan.Format{}, all)
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	for _, s := range []string{
		rec(`{"name":"a","type":"boolean"},{"name":"b","type":"int"},{"name":"c","type":"int"},{"name":"d","type":"float"},{"name":"e","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":1}},{"name":"g","type":"double"},{"name":"h","type":{"type":"fixed","name":"F","size":3}}`),
		rec(`{"name":"z","type":["null","R"]},{"name":"g","type":{"type":"enum","name":"E","symbols":["A","B"]}},{"name":"l","type":{"type":"array","items":["null",{"type":"array","items":"string"}]}}`),
		rec(`{"name":"m","type":{"type":"map","values":["bytes","null"]}},{"name":"n","type":["null","int",{"type":"record","name":"N","fields":[{"name":"x","type":["int","null"]},{"name":"w","type":"string"}]}]},{"name":"i","type":{"type":"long","logicalType":"time-micros"}},{"name":"k","type":{"type":"long","logicalType":"timestamp-micros"}}`),
		rec(`{"name":"o","type":{"type":"array","items":"boolean"}},{"name":"y","type":{"type":"array","items":{"type":"record","name":"Z","fields":[]}}},{"name":"f","type":{"type":"fixed","name":"D","size":9,"logicalType":"decimal","precision":20,"scale":3}}`),
		`["null",` + rec(`{"name":"a","type":"boolean"}`) + `,"int"]`,
	} {
		register(f, r, "others", avroText(s))
	}
	for id := range byte(7) {
		f.Add(append([]byte{0, 0, 0, 0, id}, 2, 1, 2, 3, 2, 4, 0, 0, 0, 0))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > envelopeLen {
			b[0], b[1], b[2], b[3], b[4] = 0, 0, 0, 0, b[4]%6+1
		}
		v, err := row.Decode(b)
		if err != nil {
			return
		}
		out, err := row.Encode(v)
		if err != nil {
			t.Fatalf("%x: what was read as %s does not encode: %v", b, text(t, all, v), err)
		}
		back, err := row.Decode(out)
		if err != nil || text(t, all, back) != text(t, all, v) {
			t.Fatalf("%x reads back as %v, %v", out, back, err)
		}
	})
}
