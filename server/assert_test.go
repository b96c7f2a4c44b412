package server

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
)

// What holds is an entity, what does not is status 417 with code 41700, and
// ALTER SYSTEM fails before anything of its request runs.
func TestAssertOverHTTP(t *testing.T) {
	s := start(t)
	got := s.ksql("CREATE STREAM s (k STRING KEY, a INT) WITH (kafka_topic='s', value_format='AVRO', partitions=2); " +
		"CREATE STREAM c AS SELECT * FROM s; ASSERT TOPIC s; ASSERT NOT EXISTS SCHEMA SUBJECT x ID 9; SHOW TOPICS EXTENDED; DESCRIBE s EXTENDED;")
	if len(got) != 6 {
		t.Fatalf("%d entities", len(got))
	}
	for i, want := range map[int]string{2: `"assert_topic" "s" true`, 3: `"assert_schema" "x" 9 false`, 4: `"kafka_topics_extended"`} {
		e := got[i]
		var text []string
		for _, field := range []string{"@type", "topicName", "subject", "id", "exists"} {
			if v, ok := e[field]; ok {
				b, err := json.Marshal(v)
				if err != nil {
					t.Fatal(err)
				}
				text = append(text, string(b))
			}
		}
		if have := strings.Join(text, " "); have != want {
			t.Errorf("%s, want %s", have, want)
		}
	}
	for _, topic := range got[4]["topics"].([]any) {
		o := topic.(map[string]any)
		if o["name"] == "s" && (o["consumerCount"] != 2.0 || o["consumerGroupCount"] != 1.0) {
			t.Errorf("topic s: %v", o)
		}
	}
	d := got[5]["sourceDescription"].(map[string]any)
	if constraints := d["sourceConstraints"].([]any); len(constraints) != 1 || constraints[0] != "C" || d["statistics"] == "" {
		t.Errorf("description: %v", d)
	}
	status, body := s.call("POST", "/ksql", "", `{"ksql":"ASSERT TOPIC nowhere TIMEOUT 1 MILLISECOND;"}`)
	if status != 417 || !strings.Contains(body, "41700") || !strings.Contains(body, "Topic nowhere does not exist") {
		t.Errorf("%d %s", status, body)
	}
	status, body = s.call("POST", "/ksql", "", `{"ksql":"CREATE STREAM z (a INT) WITH (kafka_topic='z', value_format='JSON', partitions=1); ALTER SYSTEM 'a'='b';"}`)
	if status != 400 || !strings.Contains(body, "ALTER SYSTEM is not supported") {
		t.Errorf("%d %s", status, body)
	}
	if got := s.ksql("ASSERT NOT EXISTS TOPIC z;"); len(got) != 1 {
		t.Errorf("the stream before ALTER SYSTEM was created: %v", got)
	}
}

// A client gets the results back that the engine gave.
func TestDecodeAssertion(t *testing.T) {
	for _, want := range []*engine.Assertion{{Topic: "t", Exists: true}, {Subject: "s"}, {ID: 7, Exists: true}} {
		text, err := json.Marshal(entity(want))
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeEntity(text)
		if a, ok := got.(*engine.Assertion); err != nil || !ok || *a != *want {
			t.Errorf("%s: %v, %v", text, got, err)
		}
	}
}
