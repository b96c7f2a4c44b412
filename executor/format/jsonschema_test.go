package format

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func jsonSchema(text string) registry.Schema { return registry.Schema{Type: registry.JSON, Text: text} }

func TestJSONSchemaDerive(t *testing.T) {
	st := types.Struct(types.Field{Name: "F", Type: types.Integer})
	const integer = `{"type":"integer","connect.type":"int32"}`
	for _, c := range []struct {
		name string
		f    plan.Format
		cols []types.Column
		want string
	}{
		{"scalars", plan.Format{}, cols(types.Boolean, types.Integer, types.String), `{"type":"object","properties":{` +
			`"A":{"connect.index":0,"oneOf":[{"type":"null"},{"type":"boolean","connect.type":"boolean"}]},` +
			`"B":{"connect.index":1,"oneOf":[{"type":"null"},` + integer + `]},` +
			`"C":{"connect.index":2,"oneOf":[{"type":"null"},{"type":"string","connect.type":"string"}]}}}`},
		{"unwrapped", plan.Format{Unwrapped: true}, cols(types.Integer), `{"oneOf":[{"type":"null"},` + integer + `]}`},
		{"decimal", plan.Format{Unwrapped: true}, cols(types.Decimal(4, 2)), `{"oneOf":[{"type":"null"},{"type":"number","title":"org.apache.kafka.connect.data.Decimal",` +
			`"connect.version":1,"connect.type":"bytes","connect.parameters":{"scale":"2","connect.decimal.precision":"4"}}]}`},
		{"nested", plan.Format{Unwrapped: true}, cols(types.Map(types.String, types.Array(st))), `{"oneOf":[{"type":"null"},{"type":"object","connect.type":"map","additionalProperties":` +
			`{"oneOf":[{"type":"null"},{"type":"array","items":{"oneOf":[{"type":"null"},{"type":"object","properties":{"F":{"connect.index":0,"oneOf":[{"type":"null"},` + integer + `]}}}]}}]}}]}`},
		{"name to escape", plan.Format{}, []types.Column{{Name: `a"b`, Type: types.Integer}}, `{"type":"object","properties":{"a\"b":{"connect.index":0,"oneOf":[{"type":"null"},` + integer + `]}}}`},
	} {
		c.f.Name = "JSON_SR"
		s, err := DeriveSchema(c.f, c.cols)
		if err != nil || s.Text != c.want || s.Type != registry.JSON {
			t.Errorf("%s: %s, %v\nwant %s", c.name, s.Text, err, c.want)
		}
		if err := (Checker{}).Check(s, nil); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

// TestJSONSchemaInferDerived reads back what derive wrote.
func TestJSONSchemaInferDerived(t *testing.T) {
	f := plan.Format{Name: "JSON_SR", SchemaID: 1} // names stay as they are
	s, err := DeriveSchema(f, allTypes())
	if err != nil {
		t.Fatal(err)
	}
	in, err := InferColumns(f, Side{}, s)
	got, want := types.Schema{Value: in.Columns}, types.Schema{Value: allTypes()}
	if err != nil || !got.Equal(want) || len(in.Dropped) > 0 {
		t.Errorf("got %s, dropped %v, %v\nwant %s", got.String(""), in.Dropped, err, want.String(""))
	}
}

func TestJSONSchemaInfer(t *testing.T) {
	object := func(props string) string { return `{"type":"object","properties":{` + props + `}}` }
	for _, c := range []struct {
		name, schema string
		f            plan.Format
		want         string // "!" begins a part of the error
		dropped      string
	}{
		{"plain", object(`"a":{"type":"integer"},"b":{"type":"number"},"c":{"type":"string"},"d":{"type":"boolean"}`), plan.Format{}, "`A` BIGINT, `B` DOUBLE, `C` STRING, `D` BOOLEAN", ""},
		{"verbatim", object(`"a":{"type":"integer"}`), plan.Format{SchemaID: 3}, "`a` BIGINT", ""},
		{"narrowed", object(`"a":{"type":"integer","connect.type":"int16"},"b":{"type":"number","connect.type":"float32"},"c":{"type":"string","connect.type":"bytes"}`), plan.Format{}, "`A` INTEGER, `B` DOUBLE, `C` BYTES", ""},
		{"order by index", object(`"a":{"connect.index":1,"type":"string"},"z":{"type":"string"},"b":{"connect.index":0,"type":"string"}`), plan.Format{}, "`B` STRING, `A` STRING, `Z` STRING", ""},
		{"type lists", object(`"a":{"type":["null","integer"]},"b":{"type":["string","integer"]}`), plan.Format{}, "`A` BIGINT", "b (a union of 2 types has no SQL type)"},
		{"enum", object(`"a":{"enum":["x","y"]}`), plan.Format{}, "`A` STRING", ""},
		{"maps", object(`"a":{"type":"object","additionalProperties":{"type":"integer"}},"b":{"type":"object"}`), plan.Format{}, "`A` MAP<STRING, BIGINT>", "b (an object without properties has no SQL type)"},
		{"arrays", object(`"a":{"type":"array","items":{"type":"string"}},"b":{"type":"array"}`), plan.Format{}, "`A` ARRAY<STRING>", "b (an array without items has no SQL type)"},
		{"references", `{"type":"object","properties":{"a":{"$ref":"#/definitions/p"},"b":{"$ref":"#/$defs/x~1y"}},"definitions":{"p":` + object(`"q":{"type":"string"}`) + `},"$defs":{"x/y":{"type":"boolean"}}}`, plan.Format{}, "`A` STRUCT<`Q` STRING>, `B` BOOLEAN", ""},
		{"recursive", `{"type":"object","properties":{"v":{"type":"string"},"next":{"$ref":"#"}}}`, plan.Format{}, "`V` STRING", `next (the schema is recursive at "#", which no SQL type is)`},
		{"allOf", `{"allOf":[` + object(`"a":{"type":"string"}`) + `,` + object(`"b":{"type":"boolean"}`) + `]}`, plan.Format{}, "`A` STRING, `B` BOOLEAN", ""},
		{"no record", `{"type":"string"}`, plan.Format{}, "!no record", ""},
		{"unwrapped", `{"type":"string"}`, plan.Format{Unwrapped: true}, "`ROWVAL` STRING", ""},
		{"decimal out of range", object(`"a":{"type":"number","title":"org.apache.kafka.connect.data.Decimal","connect.parameters":{"scale":"90"}},"b":{"type":"string"}`), plan.Format{}, "`B` STRING", "a (DECIMAL(64, 90) is out of range)"},
		{"nothing left", object(`"a":{"type":"null"}`), plan.Format{}, "!without a property of a SQL type", ""},
		{"everything", `true`, plan.Format{}, "!allows everything", ""},
		{"not JSON", `{`, plan.Format{}, "!", ""},
		{"deep", strings.Repeat(`{"type":"array","items":`, 300) + `{"type":"string"}` + strings.Repeat("}", 300), plan.Format{Unwrapped: true}, "!nests deeper", ""},
	} {
		c.f.Name = "JSON_SR"
		in, err := InferColumns(c.f, Side{}, jsonSchema(c.schema))
		if strings.HasPrefix(c.want, "!") {
			if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
				t.Errorf("%s: error %v, want %q", c.name, err, c.want[1:])
			}
			continue
		}
		got := types.Schema{Value: in.Columns}.String("")
		if dropped := strings.Join(in.Dropped, "; "); err != nil || got != c.want || dropped != c.dropped {
			t.Errorf("%s: %s, dropped %q, %v\nwant %s, dropped %q", c.name, got, dropped, err, c.want, c.dropped)
		}
	}
}

func TestJSONSchemaReferences(t *testing.T) {
	r := registry.New(Checker{})
	register(t, r, "common", jsonSchema(`{"type":"object","properties":{"q":{"type":"string"}}}`))
	s := jsonSchema(`{"type":"object","properties":{"a":{"$ref":"common.json"},"b":{"$ref":"common.json#/properties/q"}}}`)
	s.References = []registry.Reference{{Name: "common.json", Subject: "common", Version: 1}}
	register(t, r, "s", s)
	in, err := InferColumns(plan.Format{Name: "JSON_SR"}, Side{Schemas: r}, s)
	if got := (types.Schema{Value: in.Columns}).String(""); err != nil || got != "`A` STRUCT<`Q` STRING>, `B` STRING" {
		t.Errorf("%s, %v", got, err)
	}
	s.References = nil
	if _, _, err := r.Propose("t", s); err == nil {
		t.Error("a schema that refers to an unknown one was taken")
	}
}

func TestJSONSchemaCompatibility(t *testing.T) {
	object := func(props, more string) string { return `{"type":"object","properties":{` + props + `}` + more + `}` }
	const a, b = `"a":{"type":"integer"}`, `"b":{"type":"string"}`
	for _, c := range []struct{ name, reader, writer, want string }{
		{"same", object(a, ""), object(a, ""), ""},
		{"property added to an open object", object(a+","+b, ""), object(a, ""), ""},
		{"property removed from an open object", object(a, ""), object(a+","+b, ""), ""},
		{"property removed from a closed object", object(a, `,"additionalProperties":false`), object(a+","+b, `,"additionalProperties":false`), "$.b: the property is not allowed any more"},
		{"object closed", object(a, `,"additionalProperties":false`), object(a, ""), "not listed"},
		{"required added", object(a, `,"required":["a"]`), object(a, ""), "$.a: the property is required and was not"},
		{"required with default", object(`"a":{"type":"integer","default":1}`, `,"required":["a"]`), object(a, ""), ""},
		{"required before", object(a, `,"required":["a"]`), object(a, `,"required":["a"]`), ""},
		{"widened", `{"type":"number"}`, `{"type":"integer"}`, ""},
		{"narrowed", `{"type":"integer"}`, `{"type":"number"}`, "type number is not allowed any more"},
		{"changed", object(`"a":{"type":"string"}`, ""), object(a, ""), "$.a: type integer"},
		{"null allowed", `{"oneOf":[{"type":"null"},{"type":"string"}]}`, `{"type":"string"}`, ""},
		{"null refused", `{"type":"string"}`, `{"oneOf":[{"type":"null"},{"type":"string"}]}`, "alternative 1"},
		{"enum narrowed", `{"enum":["x"]}`, `{"enum":["x","y"]}`, "value y"},
		{"enum new", `{"enum":["x"]}`, `{"type":"string"}`, "only listed values"},
		{"items", `{"type":"array","items":{"type":"string"}}`, `{"type":"array","items":{"type":"boolean"}}`, "$[]: type boolean"},
		{"map values", `{"type":"object","additionalProperties":{"type":"string"}}`, `{"type":"object","additionalProperties":{"type":"boolean"}}`, "$.*: type boolean"},
	} {
		why, err := Checker{}.Incompatible(jsonSchema(c.reader), jsonSchema(c.writer), nil)
		if err != nil || (len(why) == 0) != (c.want == "") || !strings.Contains(strings.Join(why, "; "), c.want) {
			t.Errorf("%s: %q, %v, want %q", c.name, why, err, c.want)
		}
	}
}

func TestJSONSRPayloads(t *testing.T) {
	r := registry.New(Checker{})
	f, cs := plan.Format{Name: "JSON_SR"}, cols(types.Integer, types.String)
	derived, err := DeriveSchema(f, cs)
	if err != nil {
		t.Fatal(err)
	}
	side := Side{Topic: "t", Schemas: r}
	row, err := NewRow(f, cs, side)
	if err != nil {
		t.Fatal(err)
	}
	values := []types.Value{types.NewInteger(7), types.NullValue}
	if _, err := row.Encode(values); err == nil {
		t.Error("a payload was written whose schema is not registered")
	}
	id := register(t, r, side.Subject(), derived)
	payload, err := row.Encode(values)
	if want := string(envelope(id, `{"A":7,"B":null}`)); err != nil || string(payload) != want {
		t.Fatalf("%q, %v, want %q", payload, err, want)
	}
	back, err := row.Decode(payload)
	if err != nil || back[0].Int() != 7 || !back[1].IsNull() {
		t.Errorf("%v, %v", back, err)
	}
	avroID := register(t, r, "x", avroText(`"int"`))
	for name, c := range map[string]struct{ payload, want string }{
		"no envelope": {`{"A":7}`, "format JSON reads plain JSON"},
		"unknown id":  {string(envelope(99, `{}`)), "no schema has id 99"},
		"avro":        {string(envelope(avroID, `{}`)), "is AVRO"},
		"empty":       {"", "schema id"},
		"cut":         {string(envelope(id, `{"A":`)), ""},
	} {
		if _, err := row.Decode([]byte(c.payload)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// TestJSONSRPhysical writes by a schema that has more fields than the columns.
func TestJSONSRPhysical(t *testing.T) {
	r := registry.New(Checker{})
	id := register(t, r, "t-value", jsonSchema(`{"type":"object","properties":{"a":{"type":"integer"},"b":{"type":"string"}}}`))
	row, err := NewRow(plan.Format{Name: "JSON_SR", SchemaID: id}, []types.Column{{Name: "a", Type: types.Bigint}}, Side{Topic: "t", Schemas: r})
	if err != nil {
		t.Fatal(err)
	}
	payload, err := row.Encode([]types.Value{types.NewBigint(1)})
	if want := string(envelope(id, `{"a":1,"b":null}`)); err != nil || string(payload) != want {
		t.Errorf("%q, %v, want %q", payload, err, want)
	}
}
