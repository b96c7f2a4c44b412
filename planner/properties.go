package planner

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// place is where a WITH property is legal.
type place uint8

const (
	onCreate place = 1 << iota
	onCreateAs
	onInsert
)

// PropertyDoc describes a WITH property; the documentation is generated from it.
type PropertyDoc struct {
	Name  string
	Type  string // as the user writes it
	Doc   string
	where place
	// words are those that a string may be, nil for any string.
	words []string
	// excludes are the properties that may not stand beside this one.
	excludes []string
}

// Properties is the table of all WITH properties, sorted by name.
var Properties = []PropertyDoc{
	{"CLEANUP_POLICY", "string", "always inferred from the statement; setting it is refused", 0, nil, nil},
	{"FORMAT", "format", "format of key and value; excludes KEY_FORMAT and VALUE_FORMAT", onCreate | onCreateAs, nil, []string{"KEY_FORMAT", "VALUE_FORMAT"}},
	{"KAFKA_TOPIC", "string", "topic that holds the data", onCreate | onCreateAs, nil, nil},
	{"KEY_DELIMITER", "string", "DELIMITED keys: one character, or SPACE or TAB", onCreate | onCreateAs, delimiterWords, nil},
	{"KEY_FORMAT", "format", "format of the key", onCreate | onCreateAs, nil, nil},
	{"KEY_PROTOBUF_NULLABLE_REPRESENTATION", "string", "PROTOBUF keys: OPTIONAL or WRAPPER", onCreate | onCreateAs, nullableWords, nil},
	{"KEY_SCHEMA_FULL_NAME", "string", "name of the key's record in its registered schema", onCreate | onCreateAs, nil, nil},
	{"KEY_SCHEMA_ID", "integer", "id of the key's registered schema", onCreate | onCreateAs, nil, nil},
	{"PARTITIONS", "integer", "partitions of a topic that is to be created", onCreate | onCreateAs, nil, nil},
	{"QUERY_ID", "string", "id of the query", onInsert, nil, nil},
	{"REPLICAS", "integer", "replicas of a topic that is to be created", onCreate | onCreateAs, nil, nil},
	{"RETENTION_MS", "integer", "retention of a topic that is to be created, in ms", onCreate | onCreateAs, nil, nil},
	{"TIMESTAMP", "string", "column that holds event time", onCreate | onCreateAs, nil, nil},
	{"TIMESTAMP_FORMAT", "string", "java.time pattern of a STRING timestamp column", onCreate | onCreateAs, nil, nil},
	{"VALUE_AVRO_SCHEMA_FULL_NAME", "string", "older name of VALUE_SCHEMA_FULL_NAME", onCreate | onCreateAs, nil, nil},
	{"VALUE_DELIMITER", "string", "DELIMITED values: one character, or SPACE or TAB", onCreate | onCreateAs, delimiterWords, nil},
	{"VALUE_FORMAT", "format", "format of the value", onCreate | onCreateAs, nil, nil},
	{"VALUE_PROTOBUF_NULLABLE_REPRESENTATION", "string", "PROTOBUF values: OPTIONAL or WRAPPER", onCreate | onCreateAs, nullableWords, nil},
	{"VALUE_SCHEMA_FULL_NAME", "string", "name of the value's record in its registered schema", onCreate | onCreateAs, nil, nil},
	{"VALUE_SCHEMA_ID", "integer", "id of the value's registered schema", onCreate | onCreateAs, nil, nil},
	{"WINDOW_SIZE", "duration", "size of the window of a windowed key: '20 SECONDS'", onCreate, nil, nil},
	{"WINDOW_TYPE", "string", "declares a windowed key: TUMBLING, HOPPING or SESSION", onCreate, windowWords, nil},
	{"WRAP_SINGLE_VALUE", "boolean", "whether a single value column stands in a record", onCreate | onCreateAs, nil, nil},
}

// The words of properties that have a fixed set, or of which some stand for others.
var (
	windowWords    = []string{string(plan.Session), string(plan.Hopping), string(plan.Tumbling)}
	nullableWords  = []string{"OPTIONAL", "WRAPPER"}
	delimiterWords = []string{"SPACE", "TAB"}
)

// Choices returns what the property's value may be, as it is written: the names of
// formats and other words as strings, the values of a boolean; nil for a property
// whose value is free. A delimiter may be any other character too.
func (d PropertyDoc) Choices() []string {
	words := d.words
	switch d.Type {
	case "boolean":
		return []string{"false", "true"}
	case "format":
		for _, f := range Formats {
			if (f.Key || d.Name == "VALUE_FORMAT") && (f.Value || d.Name == "KEY_FORMAT") {
				words = append(words, f.Name)
			}
		}
	}
	var literals []string
	for _, w := range words {
		literals = append(literals, "'"+w+"'")
	}
	return literals
}

// Excludes reports whether the property may not stand beside another one.
func (d PropertyDoc) Excludes(other string) bool {
	o := findProperty(other)
	return slices.Contains(d.excludes, other) || o != nil && slices.Contains(o.excludes, d.Name)
}

// Places says in which statements the property is legal.
func (d PropertyDoc) Places() (create, createAs, insertSelect bool) {
	return d.where&onCreate != 0, d.where&onCreateAs != 0, d.where&onInsert != 0
}

// with is a checked WITH clause.
type with struct {
	props map[string]sql.Property
}

// readWith checks names, places and duplicates.
func (p *planner) readWith(props []sql.Property, where place) with {
	w := with{props: map[string]sql.Property{}}
	for _, prop := range props {
		name := strings.ToUpper(prop.Name.Name)
		doc := findProperty(name)
		if doc == nil {
			failHint(sql.CodeUnknownProperty, prop.Name.Span, sql.DidYouMean(name, propertyNames(where)), "Invalid config variable(s) in the WITH clause: %s", name)
		}
		if doc.where&where == 0 {
			fail(sql.CodeInvalidProperty, prop.Name.Span, "Invalid config variable(s) in the WITH clause: %s is not legal here (%s)", name, doc.Doc)
		}
		if _, ok := w.props[name]; ok {
			fail(sql.CodeInvalidProperty, prop.Name.Span, "property %s is given twice", name)
		}
		w.props[name] = prop
	}
	return w
}

func findProperty(name string) *PropertyDoc {
	for i := range Properties {
		if Properties[i].Name == name {
			return &Properties[i]
		}
	}
	return nil
}

func propertyNames(where place) []string {
	var names []string
	for _, d := range Properties {
		if d.where&where != 0 {
			names = append(names, d.Name)
		}
	}
	return names
}

// has reports whether a property is given.
func (w with) has(name string) bool { _, ok := w.props[name]; return ok }

// span returns where a property is written.
func (w with) span(name string) sql.Span { return w.props[name].Span }

// valueSpan returns where a property's value is written.
func (w with) valueSpan(name string) sql.Span {
	if prop := w.props[name]; prop.Value != nil {
		return prop.Value.Span
	}
	return sql.Span{}
}

// str returns a property's text, or def when it is not given.
func (w with) str(name, def string) string {
	prop, ok := w.props[name]
	if !ok {
		return def
	}
	v := prop.Value.Value
	switch v.Kind() {
	case types.KindString:
		return v.Str()
	case types.KindInteger, types.KindBigint:
		return strconv.FormatInt(v.Int(), 10)
	case types.KindBoolean:
		return strconv.FormatBool(v.Bool())
	case types.KindNull:
		fail(sql.CodeInvalidProperty, prop.Value.Span, "Invalid value NULL for configuration %s", name)
	}
	fail(sql.CodeInvalidProperty, prop.Value.Span, "Invalid value for configuration %s", name)
	return ""
}

// integer returns an integer property within [min, max], or def.
func (w with) integer(name string, def, min, max int64) int64 {
	if !w.has(name) {
		return def
	}
	text := strings.TrimSpace(w.str(name, ""))
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < min || n > max {
		kind := "a LONG"
		if max <= math.MaxInt32 {
			kind = "an INT"
		}
		fail(sql.CodeInvalidProperty, w.valueSpan(name), "Invalid value %s for configuration %s: not %s between %d and %d", text, name, kind, min, max)
	}
	return n
}

// boolean returns a boolean property, or def.
func (w with) boolean(name string, def bool) bool {
	if !w.has(name) {
		return def
	}
	switch text := strings.ToLower(strings.TrimSpace(w.str(name, ""))); text {
	case "true":
		return true
	case "false":
		return false
	default:
		fail(sql.CodeInvalidProperty, w.valueSpan(name), "Invalid value %s for configuration %s: expected true or false", text, name)
	}
	return false
}

// windowSize reads '20 SECONDS' as ms.
func windowSize(text string, span sql.Span) int64 {
	fields := strings.Fields(strings.ToUpper(text))
	if len(fields) == 2 {
		n, err := strconv.ParseInt(fields[0], 10, 64)
		unit, ok := unitMs[strings.TrimSuffix(fields[1], "S")]
		if err == nil && ok && n > 0 && n <= math.MaxInt64/unit {
			return n * unit
		}
	}
	failHint(sql.CodeInvalidProperty, span, "write a number and a unit, as in '10 SECONDS'", "Invalid duration: '%s'", text)
	return 0
}

var unitMs = map[string]int64{"DAY": 86400000, "HOUR": 3600000, "MINUTE": 60000, "SECOND": 1000, "MILLISECOND": 1}
