package simulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// File is a test file.
type File struct {
	Name  string
	Tests []*Test
}

// Test is one case: a world, the records that go into it and what must come out.
type Test struct {
	Name string
	file string
	line int
	// steps are what the file shares and what the test adds, in order.
	steps    []*setup
	startMs  int64
	outputs  []*expectation
	tables   []*expectation
	err      *expectedError
	log      []*expectedEntry
	logGiven bool
}

// setup is a part of a test's world.
type setup struct {
	statements []script
	properties []pair
	variables  []pair
	topics     []topic
	schemas    []schema
	inputs     []*record
	startMs    *int64
}

type script struct {
	text   string
	node   *yaml.Node
	origin sql.Origin
}

type pair struct {
	name, value string
	node        *yaml.Node
}

type topic struct {
	name       string
	partitions int32
}

type schema struct {
	subject string
	id      int32
	node    *yaml.Node
	registry.Schema
}

// record is an input or an expected output. Nodes are nil where not given.
type record struct {
	node             *yaml.Node
	to               string // topic or source of an input
	key, value       *yaml.Node
	rawKey, rawValue *string
	timestamp        *moment
	headers          []header
	hasHeaders       bool
	window           *window
}

type header struct {
	name  string
	value []byte // nil for null
}

type window struct{ start, end *moment }

// expectation is what a topic or table must hold.
type expectation struct {
	name      string
	node      *yaml.Node
	unordered bool
	partial   bool
	records   []*record    // of outputs
	rows      []*yaml.Node // of tables
}

// expectedError is a statement, or a query, that must fail. Empty fields match
// everything.
type expectedError struct{ code, text string }

// expectedEntry is a row of the processing log. Fields not given match
// everything.
type expectedEntry struct {
	node                         *yaml.Node
	query, operator, kind, topic string
	cause, record, offset        string
}

// Parse reads a test file. read returns the text of a file that it names, by a
// path relative to the test file. Errors are *FileError.
func Parse(name, text string, read func(path string) (string, error)) (f *File, err error) {
	d := &decoder{file: name, lines: strings.Split(text, "\n"), read: read}
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(*FileError)
			if !ok {
				panic(r)
			}
			f, err = nil, e
		}
	}()
	return d.readFile(d.tree(text)), nil
}

func (d *decoder) readFile(n *yaml.Node) *File {
	f := &File{Name: d.file}
	shared := new(setup)
	var tests *yaml.Node
	d.fields(n, "the file", append(d.setupFields(shared), field{"tests", func(n *yaml.Node) { tests = n }})...)
	if tests == nil {
		d.fail(n, "the file has no tests")
	}
	seen := map[string]bool{}
	d.items(tests, "tests", func(n *yaml.Node) {
		t := d.readTest(n, shared)
		if seen[t.Name] {
			d.fail(n, "two tests are called %q", t.Name)
		}
		seen[t.Name] = true
		f.Tests = append(f.Tests, t)
	})
	if len(f.Tests) == 0 {
		d.fail(tests, "the file has no tests")
	}
	return f
}

func (d *decoder) readTest(n *yaml.Node, shared *setup) *Test {
	own := new(setup)
	t := &Test{file: d.file, line: n.Line, steps: []*setup{shared, own}}
	checks := false
	d.fields(n, "a test", append([]field{
		{"name", func(n *yaml.Node) { t.Name = d.text(n, "name") }},
		{"outputs", func(n *yaml.Node) { checks = true; t.outputs = d.expectations(n, "outputs", "records") }},
		{"tables", func(n *yaml.Node) { checks = true; t.tables = d.expectations(n, "tables", "rows") }},
		{"error", func(n *yaml.Node) { checks = true; t.err = d.expectedError(n) }},
		{"processing_log", func(n *yaml.Node) { checks, t.logGiven = true, true; t.log = d.expectedLog(n) }},
	}, d.setupFields(own)...)...)
	switch {
	case t.Name == "":
		d.fail(n, "a test needs a name")
	case !checks:
		d.fail(n, "test %q checks nothing: give outputs, tables, error or processing_log", t.Name)
	}
	for _, s := range t.steps {
		if s.startMs != nil {
			t.startMs = *s.startMs
		}
	}
	return t
}

// setupFields are the fields that a file and a test have in common.
func (d *decoder) setupFields(s *setup) []field {
	pairs := func(list *[]pair, what string) func(*yaml.Node) {
		return func(n *yaml.Node) {
			d.members(n, what, func(key, value *yaml.Node) {
				*list = append(*list, pair{key.Value, d.text(value, what), key})
			})
		}
	}
	return []field{
		{"start", func(n *yaml.Node) { ms := d.moment(n, "start", false).at(0, 0); s.startMs = &ms }},
		{"properties", pairs(&s.properties, "properties")},
		{"variables", pairs(&s.variables, "variables")},
		{"topics", func(n *yaml.Node) {
			d.items(n, "topics", func(n *yaml.Node) { s.topics = append(s.topics, d.readTopic(n)) })
		}},
		{"schemas", func(n *yaml.Node) {
			d.items(n, "schemas", func(n *yaml.Node) { s.schemas = append(s.schemas, d.readSchema(n)) })
		}},
		{"statements", func(n *yaml.Node) { s.statements = d.scripts(n) }},
		{"inputs", func(n *yaml.Node) {
			d.items(n, "inputs", func(n *yaml.Node) { s.inputs = append(s.inputs, d.readRecord(n, true)) })
		}},
	}
}

// scripts reads statements: text, {file: name}, or a list of both.
func (d *decoder) scripts(n *yaml.Node) (list []script) {
	one := func(n *yaml.Node) {
		s := script{node: n}
		if n.Kind == yaml.MappingNode {
			d.fields(n, "statements", field{"file", func(n *yaml.Node) { s.text, s.origin.File = d.readNamed(n), n.Value }})
		} else {
			s.text = d.text(n, "statements")
			s.origin = d.origin(n)
		}
		list = append(list, s)
	}
	if n.Kind == yaml.SequenceNode {
		d.items(n, "statements", one)
	} else {
		one(n)
	}
	return list
}

// origin returns where the lines of a text stand in the file. Only a block of text
// and what stands in one line have their lines as they are in the file; of others
// the line where they begin is told.
func (d *decoder) origin(n *yaml.Node) sql.Origin {
	n = d.follow(n)
	text, before, first := strings.Split(strings.TrimRight(n.Value, "\n"), "\n"), n.Line-1, 0
	if n.Style&yaml.LiteralStyle != 0 {
		before = n.Line
	}
	for first < len(text)-1 && strings.TrimSpace(text[first]) == "" {
		first++
	}
	inPlace := n.Style&yaml.LiteralStyle != 0 || len(text) == 1
	if row := before + first; inPlace && row < len(d.lines) {
		if i := strings.Index(d.lines[row], text[first]); i >= 0 {
			return sql.Origin{File: d.file, Lines: before, Columns: utf8.RuneCountInString(d.lines[row][:i])}
		}
	}
	return sql.Origin{File: fmt.Sprintf("%s (statements of line %d)", d.file, n.Line)}
}

// readNamed returns the text of the file that a node names.
func (d *decoder) readNamed(n *yaml.Node) string {
	text, err := d.read(d.text(n, "file"))
	if err != nil {
		d.fail(n, "%s", err)
	}
	return text
}

func (d *decoder) readTopic(n *yaml.Node) topic {
	t := topic{partitions: 1}
	d.fields(n, "a topic",
		field{"name", func(n *yaml.Node) { t.name = d.text(n, "name") }},
		field{"partitions", func(n *yaml.Node) { t.partitions = int32(min(d.number(n, "partitions", 1), 1<<30)) }})
	if t.name == "" {
		d.fail(n, "a topic needs a name")
	}
	return t
}

func (d *decoder) readSchema(n *yaml.Node) schema {
	s := schema{node: n}
	d.fields(n, "a schema",
		field{"subject", func(n *yaml.Node) { s.subject = d.text(n, "subject") }},
		field{"type", func(n *yaml.Node) { s.Type = registry.Type(strings.ToUpper(d.text(n, "type"))) }},
		field{"id", func(n *yaml.Node) { s.id = int32(min(d.number(n, "id", 1), 1<<31-1)) }},
		field{"schema", func(n *yaml.Node) { s.Text = d.text(n, "schema") }},
		field{"file", func(n *yaml.Node) { s.Text = d.readNamed(n) }},
		field{"references", func(n *yaml.Node) {
			d.items(n, "references", func(n *yaml.Node) {
				r := registry.Reference{Version: 1}
				d.fields(n, "a reference",
					field{"name", func(n *yaml.Node) { r.Name = d.text(n, "name") }},
					field{"subject", func(n *yaml.Node) { r.Subject = d.text(n, "subject") }},
					field{"version", func(n *yaml.Node) { r.Version = int32(min(d.number(n, "version", 1), 1<<31-1)) }})
				s.References = append(s.References, r)
			})
		}})
	if s.subject == "" || s.Text == "" || s.Type == "" {
		d.fail(n, "a schema needs subject, type, and schema or file")
	}
	return s
}

// moment is a point in time as written: at Ms, or that far from the start of the
// test, or from the record before.
type moment struct {
	ms   int64
	from base
}

// base is what a moment counts from.
type base uint8

const (
	fromEpoch  base = iota // 1970-01-01T00:00:00Z
	fromStart              // the test's start
	fromBefore             // the input before
)

// at returns the moment in ms.
func (m *moment) at(startMs, beforeMs int64) int64 {
	switch m.from {
	case fromStart:
		return startMs + m.ms
	case fromBefore:
		return beforeMs + m.ms
	}
	return m.ms
}

// moment reads milliseconds, ISO text, or a distance such as 10s from the start of
// the test. With a + it is one from the record before, where that is allowed.
func (d *decoder) moment(n *yaml.Node, what string, mayFollow bool) *moment {
	s := d.text(n, what)
	if v, err := strconv.ParseInt(s, 10, 64); err == nil && !strings.HasPrefix(s, "+") {
		return &moment{v, fromEpoch}
	}
	if v, err := types.ParseTimestamp(strings.Replace(s, " ", "T", 1)); err == nil {
		return &moment{v, fromEpoch}
	}
	v, err := time.ParseDuration(strings.TrimPrefix(s, "+"))
	follows := strings.HasPrefix(s, "+")
	if err != nil || follows && !mayFollow {
		d.fail(n, "%s must be milliseconds, a date and time (2024-05-01T10:00:00Z) or a distance (10s, 1m30s), got %q", what, s)
	}
	if follows {
		return &moment{v.Milliseconds(), fromBefore}
	}
	return &moment{v.Milliseconds(), fromStart}
}
