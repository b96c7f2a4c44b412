package format

import (
	"encoding/json"
	"fmt"
	"math/big"
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
