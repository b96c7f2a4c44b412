package planner

import (
	"fmt"
	"strings"
	"testing"
)

// withProperty are statements in which a property, %s, may have each of its choices:
// by what its name begins with, or by a value that needs another statement.
var withProperty = map[string]string{
	"":               "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON', %s);",
	"FORMAT":         "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, %s);",
	"KEY_DELIMITER":  "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, FORMAT='DELIMITED', %s);",
	"KEY_FORMAT":     "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON', %s);",
	"'NONE'":         "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON', %s);",
	"VALUE_FORMAT":   "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, %s);",
	"WINDOW_TYPE":    "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON', %s, WINDOW_SIZE='1 SECONDS');",
	"'SESSION'":      "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='JSON', %s);",
	"KEY_PROTOBUF":   "CREATE STREAM s (k INT KEY, v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, FORMAT='PROTOBUF_NOSR', %s);",
	"VALUE_PROTOBUF": "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='PROTOBUF_NOSR', %s);",
	"VALUE_DEL":      "CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, VALUE_FORMAT='DELIMITED', %s);",
}

// statementOf returns the statement for a property: that of its value, or of the
// longest name that its own begins with.
func statementOf(name, value string) string {
	best := ""
	for prefix := range withProperty {
		if strings.HasPrefix(name, prefix) && len(prefix) > len(best) {
			best = prefix
		}
	}
	if s, ok := withProperty[value]; ok {
		return s
	}
	return withProperty[best]
}

// Every choice that the table gives is accepted, and what is none is not.
func TestChoicesAreAccepted(t *testing.T) {
	met := 0
	for _, d := range Properties {
		for _, value := range d.Choices() {
			met++
			f := &fixture{topics: map[string]int32{}}
			text := fmt.Sprintf(statementOf(d.Name, value), d.Name+"="+value)
			if _, err := f.plan(text); err != "" && !strings.Contains(err, "needs a schema registry") { // there is none here
				t.Errorf("%s\n%s", text, err)
			}
		}
		if len(d.Choices()) == 0 {
			continue
		}
		f := &fixture{topics: map[string]int32{}}
		text := fmt.Sprintf(statementOf(d.Name, ""), d.Name+"='NO_SUCH'")
		if _, err := f.plan(text); err == "" {
			t.Errorf("%s: accepted", text)
		}
	}
	if met < 30 {
		t.Errorf("%d choices", met)
	}
}

func TestExcludes(t *testing.T) {
	format, key, value := findProperty("FORMAT"), findProperty("KEY_FORMAT"), findProperty("VALUE_FORMAT")
	if !format.Excludes("KEY_FORMAT") || !value.Excludes("FORMAT") || key.Excludes("VALUE_FORMAT") || key.Excludes("NO_SUCH") {
		t.Error("FORMAT excludes KEY_FORMAT and VALUE_FORMAT, and nothing else excludes anything")
	}
	for _, other := range format.excludes {
		f := &fixture{topics: map[string]int32{}}
		if _, err := f.plan("CREATE STREAM s (v INT) WITH (KAFKA_TOPIC='t', PARTITIONS=1, FORMAT='JSON', " + other + "='JSON');"); !strings.Contains(err, other) {
			t.Errorf("FORMAT beside %s: %q", other, err)
		}
	}
}
