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
