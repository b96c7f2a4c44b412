package simulate

import (
	"errors"
	"strings"
	"testing"
)

// nothing refuses to read files.
func nothing(string) (string, error) { return "", errors.New("no files here") }

func parse(t *testing.T, text string) *File {
	t.Helper()
	f, err := Parse("x.test.yaml", text, nothing)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestParseErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"tests: []", "x.test.yaml:1: the file has no tests"},
		{"start: 0", "x.test.yaml:1: the file has no tests"},
		{"tests:\n- outputs: {}", "x.test.yaml:2: a test needs a name"},
		{"tests:\n- name: a", `x.test.yaml:2: test "a" checks nothing`},
		{"tests:\n- name: a\n  outputs: {}\n  outputs: {}", `x.test.yaml:4: field "outputs" of a test is given twice`},
		{"tests:\n- name: a\n  outputs: []", "x.test.yaml:3: outputs must be an object, got a list"},
		{"tests:\n- name: a\n  outputs:\n    T: {partial: maybe, records: []}", "x.test.yaml:4: partial must be true or false"},
		{"tests:\n- name: a\n  outputs:\n    T: {partial: true}", "x.test.yaml:4: outputs of T has no records"},
		{"tests:\n- name: a\n  error: {}", "x.test.yaml:3: error needs a code or a text"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{value: 1}]", "x.test.yaml:4: an input needs a topic or a source"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{topic: t, source: s, value: 1}]", "one topic or source"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{topic: t}]", "an input needs a value"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{topic: t, value: 1, raw_value: x}]", "value or raw_value, not both"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{topic: t, value: 1, headers: [{value: x}]}]", "a header needs a key"},
		{"tests:\n- name: a\n  error: x\n  inputs: [{topic: t, value: 1, window: {end: 1}}]", "a window needs a start"},
		{"tests:\n- name: a\n  error: x\n  topics: [{name: t, partitions: 0}]", "partitions must be a whole number of at least 1"},
		{"tests:\n- name: a\n  error: x\n  schemas: [{subject: t}]", "a schema needs subject, type"},
		{"tests:\n- name: a\n  outputs: {T: [{timestamp: +1s}]}", "timestamp must be"},
		{"tests:\n- name: a\n  statements: {file: y.sql}\n  error: x", "x.test.yaml:3: no files here"},
		{"tests: []\n---\ntests: []", "one YAML document"},
		{"<<: {a: b}\ntests: []", "merge keys"},
		{"tests: &t\n- name: a\n  error: x\n  inputs: &i [*i]", "an input must be an object, got a list"},
	} {
		_, err := Parse("x.test.yaml", c.text, nothing)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s\ngot %v, expected %s", c.text, err, c.want)
		}
	}
}

func TestAliasesAreBounded(t *testing.T) {
	uses := strings.TrimSuffix(strings.Repeat("*r, ", MaxAliases+1), ", ")
	_, err := Parse("x.test.yaml", "inputs: [&r {topic: t, value: 1}]\ntests: [{name: a, error: x, inputs: ["+uses+"]}]", nothing)
	if err == nil || !strings.Contains(err.Error(), "aliases") {
		t.Errorf("got %v", err)
	}
}

func TestJSONNestingIsBounded(t *testing.T) {
	_, err := Parse("x.test.json", strings.Repeat("[", 1_000_000), nothing)
	if err == nil || !strings.Contains(err.Error(), "nested more than 500 deep") {
		t.Errorf("got %v", err)
	}
}

func TestAQueryThatFeedsItselfEnds(t *testing.T) {
	f := parse(t, `
statements: |
  CREATE STREAM a (k INT KEY, n BIGINT) WITH (KAFKA_TOPIC='a', VALUE_FORMAT='JSON', PARTITIONS=1);
  CREATE STREAM b (k INT KEY, n BIGINT) WITH (KAFKA_TOPIC='b', VALUE_FORMAT='JSON', PARTITIONS=1);
  INSERT INTO b SELECT k, n + 1 AS n FROM a WHERE n < 1000;
  INSERT INTO a SELECT k, n + 1 AS n FROM b;
tests:
  - name: until the filter ends it
    inputs: [{source: a, key: 1, value: {n: 0}}]
    outputs: {b: {partial: true, unordered: true, records: []}}
`)
	res := f.Tests[0].Run()
	if res.Outcome != Failed || len(res.Failures) != 1 || !strings.Contains(res.Failures[0], "records of b: 500, expected 0") {
		t.Errorf("got %s %v", res.Outcome, res.Failures)
	}
}

// TestErrorsNameTheLine checks that a statement's error has its place in the test
// file, or in the file that it names.
func TestErrorsNameTheLine(t *testing.T) {
	const test = "\ntests:\n- name: a\n  inputs: [{topic: s, value: {}}]\n  outputs: {s: []}\n"
	read := func(string) (string, error) { return "CREATE TYPE t AS INT;\n\nCREATE STREM s;", nil }
	for _, c := range []struct{ text, want string }{
		{"statements: |\n  CREATE TYPE t AS INT;\n  CREATE STREM s;" + test, " --> x.test.yaml:3:10\n"},
		{"statements: |\n\n    CREATE STREM s;" + test, " --> x.test.yaml:3:12\n"},
		{"statements: CREATE STREM s;" + test, " --> x.test.yaml:1:20\n"},
		{"statements:\n- CREATE TYPE t AS INT;\n- 'CREATE STREM s;'" + test, " --> x.test.yaml:3:11\n"},
		{"statements: {file: a.sql}" + test, " --> a.sql:3:8\n"},
		{"statements: \"CREATE TYPE t AS INT;\\nCREATE STREM s;\"" + test, " --> x.test.yaml (statements of line 1):2:8\n"},
		{"variables: {v: INT}\nstatements: |\n  CREATE TYPE t AS ${v};\n  CREATE STREM ${v};" + test, " --> x.test.yaml:4:10\n"},
	} {
		f, err := Parse("x.test.yaml", c.text, read)
		if err != nil {
			t.Fatal(err)
		}
		if res := f.Tests[0].Run(); len(res.Failures) == 0 || !strings.Contains(res.Failures[0], c.want) {
			t.Errorf("%s\ngot %v\nexpected %s", c.text, res.Failures, c.want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"tests: [{name: a, outputs: {T: [{key: 1, value: {a: [1, {b: null}]}, timestamp: 1s}]}}]",
		"statements: SELECT\nstart: 2024-01-01\ntests:\n- name: a\n  error: {code: syntax}\n  inputs: [{topic: t, value: null}]",
		"a: &a [*a]", "? {a: b}\n: c", "{\"tests\": [", "tests: !!binary x", "",
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, text string, json bool) {
		name := "x.test.yaml"
		if json {
			name = "x.test.json"
		}
		file, err := Parse(name, text, nothing)
		var fe *FileError
		if err != nil && !errors.As(err, &fe) {
			t.Fatalf("%T: %v", err, err)
		}
		if err == nil && len(file.Tests) == 0 {
			t.Fatal("a file without tests")
		}
	})
}
