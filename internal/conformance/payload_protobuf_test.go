package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func TestProtobufPayload(t *testing.T) {
	derived, err := format.DeriveSchema(plan.Format{Name: "PROTOBUF"}, []types.Column{
		{Name: "I", Type: types.Integer}, {Name: "S", Type: types.String}, {Name: "D", Type: types.Decimal(6, 4)}, {Name: "DT", Type: types.Date}, {Name: "T", Type: types.Time},
		{Name: "TS", Type: types.Timestamp}, {Name: "Y", Type: types.Bytes}, {Name: "A", Type: types.Array(types.Bigint)}, {Name: "M", Type: types.Map(types.String, types.Double)},
		{Name: "ST", Type: types.Struct(types.Field{Name: "X", Type: types.Boolean})}})
	if err != nil {
		t.Fatal(err)
	}
	two := `syntax = "proto3"; message K1 { uint32 k1 = 1; } message K2 { string k1 = 1; map<string, int32> m = 2; optional int32 o = 3; }`
	for _, c := range []struct{ schema, in, want string }{
		{derived.Text, `{"i":"5","s":7,"d":10.0,"dt":-10,"t":3723004,"ts":-1,"y":"AQI=","a":[1,"2"],"m":{"k":1.5},"st":{"x":"true"},"zz":1}`,
			`{"A":[1,2],"D":10.0000,"DT":-10,"I":5,"M":{"k":1.5},"S":"7","ST":{"X":true},"T":3723004,"TS":-1,"Y":"AQI="}`},
		{derived.Text, `{"i":null,"d":-0.5,"st":{}}`, `{"A":[],"D":-0.5000,"DT":null,"I":0,"M":{},"S":"","ST":{"X":false},"T":null,"TS":null,"Y":null}`},
		{derived.Text, `{"d":1.23456}`, `!more than 4 digits`},
		{derived.Text, `{"d":123.4}`, `!more than 6 digits`},
		{derived.Text, `{"i":"x"}`, `!invalid syntax`},
		{two, `{"k1":"A","m":{"x":1}}`, `{"k1":"A","m":{"x":1},"o":null}`},
		{two, `{"k1":9}`, `{"k1":9}`},
	} {
		s := registry.Schema{Type: registry.Protobuf, Text: c.schema}
		payload, err := encodeProtobuf(s, nil, json.RawMessage(c.in))
		if why, ok := strings.CutPrefix(c.want, "!"); ok {
			if err == nil || !strings.Contains(err.Error(), why) {
				t.Errorf("%s: error is %v, want %q", c.in, err, why)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.in, err)
			continue
		}
		got, err := decodeProtobuf(s, nil, payload)
		if err != nil || text(got) != c.want {
			t.Errorf("%s: got %s, %v, want %s", c.in, text(got), err, c.want)
		}
	}
}

// TestProtobufPayloadAgainstEngine has the engine read what is written here and
// the other way round, in every representation of NULL.
func TestProtobufPayloadAgainstEngine(t *testing.T) {
	cols := []types.Column{
		{Name: "I", Type: types.Integer}, {Name: "L", Type: types.Bigint}, {Name: "F", Type: types.Double}, {Name: "S", Type: types.String}, {Name: "D", Type: types.Decimal(21, 19)},
		{Name: "DT", Type: types.Date}, {Name: "T", Type: types.Time}, {Name: "TS", Type: types.Timestamp}, {Name: "A", Type: types.Array(types.Decimal(4, 1))},
		{Name: "M", Type: types.Map(types.String, types.Struct(types.Field{Name: "X", Type: types.Boolean}))}}
	const full = `{"I":-1,"L":998877665544332211,"F":1.5,"S":"é","D":10.1234512345123451234,"DT":-10,"T":86399999,"TS":-1,"A":[1.0,-2.5],"M":{"k":{"X":true},"l":{"X":false}}}`
	for nulls, empty := range map[string]string{
		"":         `{"I":0,"L":0,"F":0.0,"S":"","D":null,"DT":null,"T":null,"TS":null,"A":[],"M":{}}`,
		"OPTIONAL": `{"I":null,"L":null,"F":null,"S":null,"D":null,"DT":null,"T":null,"TS":null,"A":[],"M":{}}`,
		"WRAPPER":  `{"I":null,"L":null,"F":null,"S":null,"D":null,"DT":null,"T":null,"TS":null,"A":[],"M":{}}`,
	} {
		f := plan.Format{Name: "PROTOBUF_NOSR", NullableRepresentation: nulls}
		s, err := format.DeriveSchema(f, cols)
		if err != nil {
			t.Fatal(err)
		}
		row, err := format.NewRow(f, cols, format.Side{})
		if err != nil {
			t.Fatal(err)
		}
		asJSON, err := format.NewRow(plan.Format{Name: "JSON"}, cols, format.Side{})
		if err != nil {
			t.Fatal(err)
		}
		for in, want := range map[string]string{full: full, `{}`: empty} {
			payload, err := encodeProtobuf(s, nil, json.RawMessage(in))
			if err != nil {
				t.Fatal(err)
			}
			values, err := row.Decode(payload[1:])
			if err != nil {
				t.Fatal(err)
			}
			got, err := asJSON.Encode(values)
			if err != nil || string(got) != want {
				t.Fatalf("%q: got %s, %v, want %s", nulls, got, err, want)
			}
			back, err := row.Encode(values)
			if err != nil {
				t.Fatal(err)
			}
			shown, err := decodeProtobuf(s, nil, append([]byte{0}, back...))
			if err != nil {
				t.Fatal(err)
			}
			expected, err := parseJSON([]byte(want))
			if err != nil {
				t.Fatal(err)
			}
			if !sameText(shown, expected) {
				t.Fatalf("%q: got %s, want %s", nulls, text(shown), want)
			}
		}
	}
}

// sameText compares as JSON, 0.0 like 0.
func sameText(a, b any) bool {
	return text(a) == strings.ReplaceAll(text(b), `"F":0.0`, `"F":0`)
}

func TestProtobufPayloadReference(t *testing.T) {
	r := registry.New(format.Checker{})
	_, change, err := r.Propose("event", registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; message Event { int64 at = 1; }`})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Apply(*change); err != nil {
		t.Fatal(err)
	}
	s := registry.Schema{Type: registry.Protobuf, Text: `syntax = "proto3"; import "event.proto"; message L { Event event = 1; }`,
		References: []registry.Reference{{Name: "event.proto", Subject: "event", Version: 1}}}
	payload, err := encodeProtobuf(s, r, json.RawMessage(`{"EVENT":{"at":1}}`))
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeProtobuf(s, r, payload)
	if want := map[string]any{"event": map[string]any{"at": json.Number("1")}}; err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, %v, want %v", got, err, want)
	}
}
