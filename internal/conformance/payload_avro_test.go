package main

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
)

func TestAvroPayload(t *testing.T) {
	rec := func(fields string) string {
		return `{"type":"record","name":"R","namespace":"n","fields":[` + fields + `]}`
	}
	entries := func(key, more string) string {
		return rec(`{"name":"M","type":["null",{"type":"array","items":{"type":"record","name":"M","fields":[{"name":"key","type":["null",` + key + `],"default":null},{"name":"value","type":["null","double"],"default":null}]` + more + `}}],"default":null}`)
	}
	num := func(s string) json.Number { return json.Number(s) }
	for _, c := range []struct {
		name, schema, in string
		want             any // a string that begins with "!" is a part of encode's error
	}{
		{"scalars in any case", rec(`{"name":"c1","type":"boolean"},{"name":"c2","type":"int"},{"name":"c3","type":"long"},{"name":"c4","type":"double"},{"name":"c5","type":"string"},{"name":"c6","type":"float"}`),
			`{"C1":true,"c2":1,"c3":400000000000,"c4":1.5,"c5":"x","c6":4.0,"zz":1}`,
			map[string]any{"c1": true, "c2": num("1"), "c3": num("400000000000"), "c4": 1.5, "c5": "x", "c6": 4.0}},
		{"from text", rec(`{"name":"a","type":"int"},{"name":"b","type":"boolean"},{"name":"c","type":"string"},{"name":"d","type":"double"}`), `{"a":"1","b":"true","c":1.50,"d":"2"}`,
			map[string]any{"a": num("1"), "b": true, "c": "1.50", "d": 2.0}},
		{"missing", rec(`{"name":"a","type":["null","int"]},{"name":"b","type":"int","default":7},{"name":"c","type":["null","int"],"default":null}`), `{"b":null}`,
			map[string]any{"a": nil, "b": num("7"), "c": nil}},
		{"missing without default", rec(`{"name":"a","type":"int"}`), `{}`, "!a: null for Avro int"},
		{"decimals", rec(`{"name":"a","type":{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}},{"name":"b","type":["null",{"type":"bytes","logicalType":"decimal","scale":1}]},{"name":"c","type":{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":4,"scale":2}}`), `{"a":65.2,"b":"-0.5","c":1}`,
			map[string]any{"a": num("65.20"), "b": num("-0.5"), "c": num("1.00")}},
		{"decimal that does not fit", `{"type":"bytes","logicalType":"decimal","precision":4,"scale":2}`, `1.234`, "!does not fit decimal(4, 2)"},
		{"bytes and times", rec(`{"name":"a","type":["null","bytes"]},{"name":"b","type":{"type":"fixed","name":"F","size":2}},{"name":"c","type":{"type":"int","logicalType":"date"}},{"name":"d","type":["null",{"type":"int","logicalType":"time-millis"}]},{"name":"e","type":{"type":"long","logicalType":"timestamp-millis"}}`), `{"a":"AQI=","b":"AwQ=","c":19000,"d":5,"e":-6}`,
			map[string]any{"a": []byte{1, 2}, "b": []byte{3, 4}, "c": num("19000"), "d": num("5"), "e": num("-6")}},
		{"union by what is natural", rec(`{"name":"a","type":["null","string","int"]},{"name":"b","type":["null",{"type":"record","name":"S","fields":[{"name":"x","type":"int"}]}]}`), `{"a":3,"b":{"X":1}}`,
			map[string]any{"a": num("3"), "b": map[string]any{"x": num("1")}}},
		{"named twice", rec(`{"name":"a","type":{"type":"enum","name":"E","symbols":["U","V"]}},{"name":"b","type":["null","E"]}`), `{"a":"V","b":"U"}`, map[string]any{"a": "V", "b": "U"}},
		{"entries", entries(`"string"`, `,"connect.internal.type":"MapEntry"`), `{"m":{"a":1.5,"b":null}}`, map[string]any{"M": map[string]any{"a": 1.5, "b": nil}}},
		{"entries without the tag", entries(`"string"`, ``), `{"m":{"a":1.5}}`, map[string]any{"M": []any{map[string]any{"key": "a", "value": 1.5}}}},
		{"entries of other keys", entries(`"int"`, `,"connect.internal.type":"MapEntry"`), `{"m":{"1":1.5}}`, map[string]any{"M": []any{map[string]any{"key": num("1"), "value": 1.5}}}},
		{"map", `{"type":"map","values":["null","int"]}`, `{"a":1,"b":null}`, map[string]any{"a": num("1"), "b": nil}},
		{"array", `{"type":"array","items":["null","string"]}`, `[1,"b",null]`, []any{"1", "b", nil}},
		{"bare", `"int"`, `10`, num("10")},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := registry.Schema{Type: registry.Avro, Text: c.schema}
			codec := payloadCodecs[registry.Avro]
			b, err := codec.encode(s, nil, json.RawMessage(c.in))
			if want, ok := c.want.(string); ok && strings.HasPrefix(want, "!") {
				if err == nil || !strings.Contains(err.Error(), want[1:]) {
					t.Fatalf("error is %v, want %q", err, want[1:])
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			got, err := codec.decode(s, nil, b)
			if err != nil || !reflect.DeepEqual(got, c.want) {
				t.Fatalf("got %#v, %v, want %#v", got, err, c.want)
			}
		})
	}
}
