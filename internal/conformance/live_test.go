package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestLive runs one case in both ways of feeding; the expectations that do not
// hold must fail, each for its own reason.
func TestLive(t *testing.T) {
	ms := func(n int64) *int64 { return &n }
	in := func(topic string, at int64, key, value string) record {
		return record{Topic: topic, Timestamp: ms(at), Key: json.RawMessage(key), Value: json.RawMessage(value)}
	}
	outputs := func(names ...string) (list []record) {
		for i, n := range names {
			list = append(list, in("OUT", int64(2+2*i), `"k"`, `{"N":`+n+`}`))
		}
		return list
	}
	for _, c := range []struct {
		name    string
		outputs []record
		extra   string
		verdict string
		want    string
	}{
		{"as it is", outputs("1", "2"), "", passed, ""},
		{"another value", outputs("1", "3"), "", failed, "OUT record 1: value: N: 2, expected 3"},
		{"another order", outputs("2", "1"), "", failed, "OUT record 0"},
		{"one record less", outputs("1"), "", failed, "OUT: 2 records, expected 1"},
		{"no expectation", nil, "", unchecked, ""},
		{"a second writer", outputs("1", "2"), "INSERT INTO out SELECT k AS s_k, m AS n FROM s;", undefined, ""},
		{"a statement that fails", outputs("1", "2"), "CREATE STREAM x AS SELECT nowhere FROM s;", failed, "unknown-column"},
	} {
		tc := &testCase{ID: c.name, Kind: "qtt", Outputs: c.outputs, Statements: []string{
			"CREATE TABLE t (k STRING PRIMARY KEY, n INT) WITH (kafka_topic='t', value_format='JSON');",
			"CREATE STREAM s (k STRING KEY, m INT) WITH (kafka_topic='s', value_format='JSON');",
			"CREATE STREAM out AS SELECT s.k, n FROM s JOIN t ON s.k = t.k;",
		}, Inputs: []record{in("t", 1, `"k"`, `{"N":1}`), in("s", 2, `"k"`, `{"M":0}`), in("t", 3, `"k"`, `{"N":2}`), in("s", 4, `"k"`, `{"M":0}`)}}
		if c.extra != "" {
			tc.Statements = append(tc.Statements, c.extra)
		}
		for seed := range uint64(6) {
			if v := judgeLive(tc, seed); v.Verdict != c.verdict || !strings.Contains(v.Error, c.want) {
				t.Errorf("%s, seed %d: %s, %s", c.name, seed, v.Verdict, v.Error)
			}
		}
	}
}
