package engine

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/sql"
)

// Property is a property that SET takes. The documentation is generated from the
// table.
type Property struct {
	Name    string
	Default string
	Doc     string
	check   func(string) error
	// NoEffect says why the property changes nothing here, "" when it does.
	NoEffect string
}

func oneOf(values ...string) func(string) error {
	return func(v string) error {
		if slices.Contains(values, strings.ToLower(v)) {
			return nil
		}
		return choiceError(values)
	}
}

// choiceError is an error about a value that is none of these.
type choiceError []string

func (e choiceError) Error() string { return "expected one of " + strings.Join(e, ", ") }

// valueHint says what a property's value, which err is about, was meant as.
func valueHint(err error, value string) string {
	if choices := choiceError(nil); errors.As(err, &choices) {
		if near := sql.Suggest(value, choices); near != "" {
			return "did you mean '" + near + "'?"
		}
	}
	return "SHOW PROPERTIES lists them"
}

func integer(v string) error {
	if _, err := strconv.ParseInt(v, 10, 64); err != nil {
		return fmt.Errorf("expected an integer between %d and %d", int64(math.MinInt64), int64(math.MaxInt64))
	}
	return nil
}

func milliseconds(v string) error {
	if n, err := strconv.ParseInt(v, 10, 32); err != nil || n < 0 {
		return fmt.Errorf("expected milliseconds between 0 and %d", math.MaxInt32)
	}
	return nil
}

func anyText(string) error { return nil }

var boolean = oneOf("true", "false")

// Properties is the table of session properties, sorted by name.
var Properties = []Property{
	{Name: "auto.offset.reset", Default: "latest", Doc: "where a new query starts to read: earliest or latest", check: oneOf("earliest", "latest")},
	{Name: "cache.max.bytes.buffering", Default: "0", Doc: "Kafka Streams' record cache", check: integer, NoEffect: "every update is emitted"},
	{Name: "commit.interval.ms", Default: "100", Doc: "Kafka Streams' commit interval", check: integer, NoEffect: "queries commit as soon as their input is drained, at the latest every 100 ms"},
	{Name: assertSchemaTimeout, Default: "1000", Doc: "how many ms ASSERT SCHEMA without a TIMEOUT waits", check: milliseconds},
	{Name: assertTopicTimeout, Default: "1000", Doc: "how many ms ASSERT TOPIC without a TIMEOUT waits", check: milliseconds},
	{Name: "ksql.cast.strings.preserve.nulls", Default: "true", Doc: "CAST(NULL AS STRING) is NULL", check: oneOf("true"), NoEffect: "it is always so"},
	{Name: "ksql.functions.collect_list.limit", Default: "-1", Doc: "how many values COLLECT_LIST keeps; -1 is no limit", check: integer},
	{Name: "ksql.functions.collect_set.limit", Default: "-1", Doc: "how many values COLLECT_SET keeps; -1 is no limit", check: integer},
	{Name: "ksql.output.topic.name.prefix", Default: "", Doc: "prefix of the topics of CREATE ... AS SELECT", check: anyText},
	{Name: "ksql.persistence.default.format.key", Default: "KAFKA", Doc: "key format when none is given", check: anyText},
	{Name: "ksql.persistence.default.format.value", Default: "", Doc: "value format when none is given", check: anyText},
	{Name: "ksql.persistence.wrap.single.values", Default: "", Doc: "whether a single value column stands in a record", check: boolean},
	{Name: "ksql.query.pull.limit.clause.enabled", Default: "true", Doc: "pull queries may have LIMIT", check: boolean},
	{Name: "ksql.query.pull.range.scan.enabled", Default: "true", Doc: "pull queries may read a range of keys where ksql.query.pull.table.scan.enabled is false", check: boolean},
	{Name: "ksql.query.pull.stream.enabled", Default: "true", Doc: "pull queries may read a stream", check: boolean},
	{Name: "ksql.query.pull.table.scan.enabled", Default: "true", Doc: "pull queries may scan a table", check: boolean},
	{Name: "ksql.query.push.v2.enabled", Default: "false", Doc: "push queries that only filter and project the result of one persistent query, from its present end, are scalable push queries", check: boolean},
	{Name: "millrace.emit.final.expire.first", Default: "false", Doc: "EMIT FINAL drops windows that stream time jumped over, as Kafka Streams does", check: boolean},
	{Name: "millrace.pull.wait", Default: "none", Doc: "'inputs': a pull query waits until its table has read what its inputs held", check: oneOf("none", "inputs")},
	{Name: "num.stream.threads", Default: "4", Doc: "Kafka Streams' threads per query", check: integer, NoEffect: "all queries share one pool of workers"},
	{Name: "processing.guarantee", Default: "exactly_once_v2", Doc: "results count once", check: oneOf("exactly_once_v2", "exactly_once", "at_least_once"), NoEffect: "queries always run exactly once"},
}

// streamsPrefix may stand before a property's name.
const streamsPrefix = "ksql.streams."

// checkProperty finds a property and checks a value for it.
func checkProperty(name, value string) (*Property, error) {
	p := findProperty(name)
	if p == nil {
		return nil, unknownPropertyError(fmt.Sprintf("Not recognizable as ksql, streams, consumer, or producer property: '%s'", name))
	}
	if err := p.check(value); err != nil {
		return nil, fmt.Errorf("invalid value '%s' for property '%s': %w", value, name, err)
	}
	return p, nil
}

// propertyHint says where what may have been meant by a property is set: one of a
// name that is near, one of a WITH clause, or one of those that are listed.
func propertyHint(name string) string {
	for i := range planner.Properties {
		if p := &planner.Properties[i]; strings.EqualFold(p.Name, name) {
			return p.Name + " stands in the WITH clause of CREATE STREAM and CREATE TABLE: WITH (" + p.Name + "=...)"
		}
	}
	if near := nearProperty(name); near != "" {
		return "did you mean '" + near + "'? SHOW PROPERTIES lists them"
	}
	return "SHOW PROPERTIES lists those that SET takes; a server's are flags of `millrace server`"
}

// nearProperty returns the property that a name may have been meant as, or "".
func nearProperty(name string) string {
	names := make([]string, len(Properties))
	for i := range Properties {
		names[i] = Properties[i].Name
	}
	return sql.Suggest(strings.TrimPrefix(name, streamsPrefix), names)
}

// unknownPropertyError is an error about a property that does not exist.
type unknownPropertyError string

func (e unknownPropertyError) Error() string { return string(e) }

func findProperty(name string) *Property {
	name = strings.TrimPrefix(name, streamsPrefix)
	for i := range Properties {
		if Properties[i].Name == name {
			return &Properties[i]
		}
	}
	return nil
}

// property returns a property's value in the session.
func (s *Session) property(name string) string {
	if v, ok := s.properties[name]; ok {
		return v
	}
	return findProperty(name).Default
}

// KnownProperty reports whether SET takes a property of this name.
func KnownProperty(name string) bool { return findProperty(name) != nil }
