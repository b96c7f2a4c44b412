package planner

import (
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// createSource plans CREATE STREAM and CREATE TABLE over a topic.
func (p *planner) createSource(s *sql.CreateSource) Planned {
	name := s.Name.Name
	if old := p.Catalog.Source(name); old != nil {
		if s.IfNotExists {
			return &Nothing{Msg: "Cannot add " + s.Kind.String() + " " + types.QuoteName(name) + ": A " + old.Kind.Word() + " with the same name already exists."}
		}
		if !s.OrReplace {
			failHint(sql.CodeExists, s.Name.Span, "CREATE OR REPLACE changes it, DROP removes it",
				"Cannot add %s '%s': A %s with the same name already exists", s.Kind, name, old.Kind.Word())
		}
		if old.Kind != kindOf(s.Kind) {
			fail(sql.CodeKind, s.Name.Span, "Cannot replace %s '%s' by a %s", old.Kind.Word(), name, s.Kind)
		}
		if old.QueryID != "" {
			fail(sql.CodeUpgrade, s.Name.Span, "Cannot replace %s: it is written by query %s", name, old.QueryID)
		}
	}
	if s.ReadOnly && s.OrReplace {
		fail(sql.CodeUpgrade, s.Span, "Cannot add %s '%s': CREATE OR REPLACE is not supported on source %ss", s.Kind, name, s.Kind)
	}
	w := p.readWith(s.With, onCreate)
	src := &catalog.Source{Name: name, Kind: kindOf(s.Kind), ReadOnly: s.ReadOnly, Text: p.text(s.Span), Topic: w.topic(s)}
	p.declareColumns(src, s)
	notes := p.sourceFormats(src, w, s)
	checkColumns(src, s)
	src.Windowed = p.windowOf(w, len(src.Schema.Key) > 0)
	src.Timestamp = p.timestampColumn(w, src.Schema)
	if old := p.Catalog.Source(name); old != nil {
		checkReplaceable(old, src, s.Name.Span)
	}
	p.checkSchema(src, keySide, false, w.schemaSpan("KEY", s.Name.Span))
	p.checkSchema(src, valueSide, false, w.schemaSpan("VALUE", s.Name.Span))
	out := &CreateSource{Source: src, Topic: p.sourceTopic(src, w, s), Notes: notes, Warnings: append(p.unfit(src, keySide), p.unfit(src, valueSide)...)}
	if s.ReadOnly && s.Kind == sql.Table {
		p.materialiseSource(out)
	}
	return out
}

func kindOf(k sql.SourceKind) catalog.Kind {
	if k == sql.Table {
		return catalog.Table
	}
	return catalog.Stream
}

// declareColumns fills the schema from the declared columns: key columns first.
func (p *planner) declareColumns(src *catalog.Source, s *sql.CreateSource) {
	seen := map[string]bool{}
	var keyHeaders, valueHeaders []string
	for _, c := range s.Columns {
		if reserved(c.Name.Name) {
			fail(sql.CodeReserved, c.Name.Span, "'%s' is a reserved column name. You cannot use it as a name for a column", c.Name.Name)
		}
		if seen[c.Name.Name] {
			fail(sql.CodeDuplicate, c.Name.Span, "Duplicate column names: %s", c.Name.Name)
		}
		seen[c.Name.Name] = true
		col := types.Column{Name: c.Name.Name, Type: p.typeOf(c.Type)}
		switch c.Mark {
		case sql.MarkKey, sql.MarkPrimaryKey:
			checkKeyMark(c, s.Kind)
			src.Schema.Key = append(src.Schema.Key, col)
			keyHeaders = append(keyHeaders, "")
			continue
		}
		src.Schema.Value = append(src.Schema.Value, col)
		valueHeaders = append(valueHeaders, p.headerOf(c, col.Type, valueHeaders))
	}
	src.Headers = append(keyHeaders, valueHeaders...)
	if !src.HasHeaders() {
		src.Headers = nil
	}
}

// checkColumns holds the declared or inferred columns to the rules of keys.
func checkColumns(src *catalog.Source, s *sql.CreateSource) {
	if src.Schema.Len() == 0 {
		failHint(sql.CodeKey, s.Name.Span, "declare the columns: CREATE STREAM name (column type, ...)",
			"The statement does not define any columns.")
	}
	if s.Kind == sql.Table && len(src.Schema.Key) == 0 {
		failHint(sql.CodeKey, s.Name.Span, "mark the column that identifies a row: ID STRING PRIMARY KEY",
			"Tables require a PRIMARY KEY. Please define the PRIMARY KEY")
	}
}

func checkKeyMark(c sql.ColumnDef, kind sql.SourceKind) {
	if kind == sql.Stream && c.Mark == sql.MarkPrimaryKey {
		failHint(sql.CodeKey, c.Span, "write KEY: streams have no primary key",
			"Column %s is a 'PRIMARY KEY' column: please use 'KEY' for streams", types.QuoteName(c.Name.Name))
	}
	if kind == sql.Table && c.Mark == sql.MarkKey {
		failHint(sql.CodeKey, c.Span, "write PRIMARY KEY",
			"Column %s is a 'KEY' column: please use 'PRIMARY KEY' for tables", types.QuoteName(c.Name.Name))
	}
}

var headersType = types.Array(types.Struct(types.Field{Name: "KEY", Type: types.String}, types.Field{Name: "VALUE", Type: types.Bytes}))

// headerOf checks a HEADERS or HEADER('key') column and returns its mark in
// catalog.Source.Headers. earlier holds those of the columns before it.
func (p *planner) headerOf(c sql.ColumnDef, t types.Type, earlier []string) string {
	mark := ""
	switch c.Mark {
	case sql.MarkHeaders:
		if !t.Equal(headersType) {
			fail(sql.CodeType, c.Span, "Invalid type for HEADERS column: expected ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>>, got %s", t)
		}
		mark = "*"
	case sql.MarkHeader:
		if t.Kind != types.KindBytes {
			fail(sql.CodeType, c.Span, "Invalid type for HEADER('%s') column: expected BYTES, got %s", c.Header, t)
		}
		mark = "=" + c.Header
	default:
		return ""
	}
	for _, e := range earlier {
		if e == mark {
			fail(sql.CodeDuplicate, c.Span, "Schema already contains a %s column", headerText(mark))
		}
		if e == "*" || e != "" && mark == "*" {
			fail(sql.CodeDuplicate, c.Span, "Schema already contains a %s column", headerText(e))
		}
	}
	return mark
}

func headerText(mark string) string {
	if mark == "*" {
		return "HEADERS"
	}
	return "HEADER('" + mark[1:] + "')"
}

// sourceFormats sets key and value formats of a declared source, and infers the
// columns that are not declared.
func (p *planner) sourceFormats(src *catalog.Source, w with, s *sql.CreateSource) (notes []string) {
	key, value := w.formatNames()
	span := s.Name.Span
	if key == "" {
		if key = p.property("ksql.persistence.default.format.key", "KAFKA"); len(src.Schema.Key) == 0 {
			key = "NONE"
		}
	}
	if value == "" {
		if value = p.property("ksql.persistence.default.format.value", ""); value == "" {
			failHint(sql.CodeInvalidProperty, span, "add VALUE_FORMAT='JSON' to the WITH clause",
				"Statement is missing the 'VALUE_FORMAT' property from the WITH clause. Either provide one or set a default via the 'ksql.persistence.default.format.value' config")
		}
	}
	keySpan, valueSpan := w.formatSpan("KEY_FORMAT", span), w.formatSpan("VALUE_FORMAT", span)
	notes = p.inferColumns(src, w, s, formatName(key, keySpan), formatName(value, valueSpan))
	src.Key = p.keyFormat(key, src.Schema.Key, keySpan)
	src.Key.Delimiter = w.delimiter("KEY_DELIMITER", formatInfo(src.Key.Name))
	src.Value = p.valueFormat(value, src.BodyColumns(), w.wrap(), valueSpan)
	src.Value.Delimiter = w.delimiter("VALUE_DELIMITER", formatInfo(src.Value.Name))
	w.schemas(src)
	return notes
}

func (w with) formatSpan(name string, def sql.Span) sql.Span {
	if w.has("FORMAT") {
		return w.valueSpan("FORMAT")
	}
	if w.has(name) {
		return w.valueSpan(name)
	}
	return def
}

// wrap returns WRAP_SINGLE_VALUE, nil when it is not given.
func (w with) wrap() *bool {
	if !w.has("WRAP_SINGLE_VALUE") {
		return nil
	}
	b := w.boolean("WRAP_SINGLE_VALUE", false)
	return &b
}

// windowOf reads WINDOW_TYPE and WINDOW_SIZE.
func (p *planner) windowOf(w with, hasKey bool) *plan.WindowInfo {
	if !w.has("WINDOW_TYPE") {
		if w.has("WINDOW_SIZE") {
			fail(sql.CodeWindow, w.span("WINDOW_SIZE"), "'WINDOW_SIZE' should not be set for SESSION windows or without 'WINDOW_TYPE'")
		}
		return nil
	}
	kind := plan.WindowKind(upper(w.str("WINDOW_TYPE", "")))
	if !hasKey {
		failHint(sql.CodeWindow, w.span("WINDOW_TYPE"), "mark the key column with KEY", "Windowed sources require a key column.")
	}
	switch kind {
	case plan.Tumbling, plan.Hopping:
		if !w.has("WINDOW_SIZE") {
			fail(sql.CodeWindow, w.span("WINDOW_TYPE"), "%s windows require 'WINDOW_SIZE' to be provided in the WITH clause. For example: 'WINDOW_SIZE'='10 SECONDS'", kind)
		}
		return &plan.WindowInfo{Kind: kind, SizeMs: windowSize(w.str("WINDOW_SIZE", ""), w.valueSpan("WINDOW_SIZE"))}
	case plan.Session:
		if w.has("WINDOW_SIZE") {
			fail(sql.CodeWindow, w.span("WINDOW_SIZE"), "'WINDOW_SIZE' should not be set for SESSION windows")
		}
		return &plan.WindowInfo{Kind: kind}
	}
	fail(sql.CodeWindow, w.valueSpan("WINDOW_TYPE"), "Invalid value %s for configuration WINDOW_TYPE: String must be one of: %s", kind, strings.Join(windowWords, ", "))
	return nil
}

// timestampColumn reads TIMESTAMP and TIMESTAMP_FORMAT against a schema.
func (p *planner) timestampColumn(w with, schema types.Schema) *plan.TimestampColumn {
	if !w.has("TIMESTAMP") {
		if w.has("TIMESTAMP_FORMAT") {
			fail(sql.CodeInvalidProperty, w.span("TIMESTAMP_FORMAT"), "'TIMESTAMP_FORMAT' needs 'TIMESTAMP', the column that it is the format of")
		}
		return nil
	}
	span := w.valueSpan("TIMESTAMP")
	text := w.str("TIMESTAMP", "")
	i := schema.Find(text)
	if i < 0 {
		i = schema.Find(unquote(text))
	}
	if i < 0 {
		failHint(sql.CodeUnknownColumn, span, suggestColumn(upper(text), schema), "The TIMESTAMP column set in the WITH clause does not exist in the schema: '%s'", text)
	}
	t := schema.Column(i).Type
	ts := &plan.TimestampColumn{Column: i, Format: w.str("TIMESTAMP_FORMAT", "")}
	switch t.Kind {
	case types.KindString:
		if ts.Format == "" {
			fail(sql.CodeInvalidProperty, span, "A String timestamp field has been specified without also specifying the TIMESTAMP_FORMAT")
		}
		if err := function.CheckTimestampPattern(ts.Format); err != nil {
			fail(sql.CodeInvalidProperty, w.valueSpan("TIMESTAMP_FORMAT"), "Invalid timestamp format: %s: %v", ts.Format, err)
		}
	case types.KindBigint, types.KindTimestamp:
		if ts.Format != "" {
			fail(sql.CodeInvalidProperty, w.span("TIMESTAMP_FORMAT"), "'TIMESTAMP_FORMAT' set in the WITH clause can only be used when the timestamp column is of type STRING")
		}
	default:
		fail(sql.CodeType, span, "Timestamp column, %s, should be LONG(INT64), TIMESTAMP, or a String with a format specified: it is %s", types.QuoteName(schema.Column(i).Name), t)
	}
	return ts
}

// unquote folds an unquoted name to upper case and strips back-quotes.
func unquote(name string) string {
	if n := len(name); n >= 2 && (name[0] == '`' && name[n-1] == '`' || name[0] == '"' && name[n-1] == '"') {
		return name[1 : n-1]
	}
	return upper(name)
}

func suggestColumn(name string, schema types.Schema) string {
	var names []string
	for i := range schema.Len() {
		names = append(names, schema.Column(i).Name)
	}
	return sql.DidYouMean(name, names)
}

// topic returns KAFKA_TOPIC, which a CREATE must have.
func (w with) topic(s *sql.CreateSource) string {
	if !w.has("KAFKA_TOPIC") {
		failHint(sql.CodeInvalidProperty, s.Name.Span, "add KAFKA_TOPIC='name' to the WITH clause",
			"Missing required property \"KAFKA_TOPIC\" which has no default value")
	}
	topic := w.str("KAFKA_TOPIC", "")
	if topic == "" {
		fail(sql.CodeInvalidProperty, w.valueSpan("KAFKA_TOPIC"), "Invalid topic name: it is empty")
	}
	return topic
}

// nearTopic begins a hint with the topic that a name may have been meant as.
func (p *planner) nearTopic(name string) string {
	if p.Topics == nil {
		return ""
	}
	names := slices.DeleteFunc(p.Topics(), func(n string) bool { return strings.HasPrefix(n, InternalPrefix) })
	if s := sql.Suggest(name, names); s != "" {
		return "did you mean '" + s + "'? Or "
	}
	return ""
}

// sourceTopic checks the topic of a source and says what is to be created.
func (p *planner) sourceTopic(src *catalog.Source, w with, s *sql.CreateSource) *TopicSpec {
	partitions, exists := p.Topic(src.Topic)
	want := w.integer("PARTITIONS", 0, 1, MaxPartitions)
	replicas := w.integer("REPLICAS", -1, -1, math.MaxInt16)
	retention := w.integer("RETENTION_MS", 0, -1, math.MaxInt64)
	if s.Kind == sql.Table && w.has("RETENTION_MS") && src.Windowed == nil {
		fail(sql.CodeInvalidProperty, w.span("RETENTION_MS"), "Invalid config variable in the WITH clause: RETENTION_MS. Non-windowed tables do not support retention.")
	}
	if exists {
		if want != 0 && int32(want) != partitions {
			fail(sql.CodeInvalidProperty, w.valueSpan("PARTITIONS"), "A Kafka topic with the name '%s' already exists, with different partition/replica configuration than required. topic has %d partitions, not %d", src.Topic, partitions, want)
		}
		return nil
	}
	if want == 0 {
		failHint(sql.CodeUnknownTopic, w.span("KAFKA_TOPIC"), p.nearTopic(src.Topic)+"add PARTITIONS=1 to the WITH clause to create it",
			"Topic '%s' does not exist. If you want to create a new topic for the %s please re-run the statement providing the required 'PARTITIONS' configuration in the WITH clause", src.Topic, s.Kind)
	}
	refuseInternal(src.Topic, w.span("KAFKA_TOPIC"))
	spec := &TopicSpec{Name: src.Topic, Partitions: int32(want), Replicas: int16(replicas), Configs: map[string]string{}}
	spec.Configs["cleanup.policy"] = cleanupPolicy(src.Kind, src.Windowed)
	if w.has("RETENTION_MS") {
		spec.Configs["retention.ms"] = strconv.FormatInt(retention, 10)
	}
	return spec
}

// MaxPartitions bounds the partitions of a topic that a statement creates.
const MaxPartitions = 10000

func cleanupPolicy(kind catalog.Kind, windowed *plan.WindowInfo) string {
	switch {
	case kind == catalog.Stream:
		return "delete"
	case windowed != nil:
		return "compact,delete"
	default:
		return "compact"
	}
}

// checkReplaceable holds OR REPLACE of a plain source to appended columns.
func checkReplaceable(old, src *catalog.Source, span sql.Span) {
	switch {
	case old.ReadOnly:
		fail(sql.CodeReadOnly, span, "Cannot replace the read-only source %s", old.Name)
	case old.Topic != src.Topic:
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: the topic changed from %s to %s", old.Name, old.Topic, src.Topic)
	case old.Key != src.Key || old.Value.Name != src.Value.Name:
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: the formats changed", old.Name)
	case !equalCols(old.Schema.Key, src.Schema.Key):
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: key columns must be identical: (%s) != (%s)", old.Name, columnList(old.Schema.Key), columnList(src.Schema.Key))
	case len(src.Schema.Value) < len(old.Schema.Value) || !equalCols(old.Schema.Value, src.Schema.Value[:len(old.Schema.Value)]):
		fail(sql.CodeUpgrade, span, "Cannot upgrade %s: columns may only be appended", old.Name)
	}
}

func equalCols(a, b []types.Column) bool {
	return types.Schema{Key: a}.Equal(types.Schema{Key: b})
}

// alterSource plans ALTER ... ADD COLUMN.
func (p *planner) alterSource(s *sql.AlterSource) Planned {
	old := p.source(s.Name)
	switch {
	case old.Kind != kindOf(s.Kind):
		fail(sql.CodeKind, s.Name.Span, "Incompatible data source type is %s, but statement was ALTER %s", old.Kind, upper(s.Kind.String()))
	case old.ReadOnly: // first, as a source table has a query, too
		fail(sql.CodeReadOnly, s.Name.Span, "Cannot alter %s '%s': ALTER operations are not supported on source %ss, which are read-only", s.Kind, old.Name, s.Kind)
	case old.QueryID != "":
		fail(sql.CodeUpgrade, s.Name.Span, "ALTER command is not supported for CREATE ... AS statements")
	}
	src := *old
	src.Schema.Value = append([]types.Column(nil), old.Schema.Value...)
	if src.Headers != nil {
		src.Headers = append([]string(nil), old.Headers...)
	}
	for _, c := range s.Add {
		if reserved(c.Name.Name) {
			fail(sql.CodeReserved, c.Name.Span, "'%s' is a reserved column name. You cannot use it as a name for a column", c.Name.Name)
		}
		if src.Schema.Find(c.Name.Name) >= 0 {
			fail(sql.CodeDuplicate, c.Name.Span, "Cannot add column %s to schema: a column with the same name already exists", types.QuoteName(c.Name.Name))
		}
		src.Schema.Value = append(src.Schema.Value, types.Column{Name: c.Name.Name, Type: p.typeOf(c.Type)})
		if src.Headers != nil {
			src.Headers = append(src.Headers, "")
		}
	}
	checkFormatTypes(src.Value.Name, src.Schema.Value, s.Span)
	if src.Value.SchemaID != 0 {
		fail(sql.CodeUpgrade, s.Span, "Cannot add columns to %s: its value has the schema with id %d", old.Name, src.Value.SchemaID)
	}
	p.checkSchema(&src, valueSide, false, s.Span)
	if old.Value.Unwrapped && len(src.Schema.Value) > 1 {
		fail(sql.CodeUpgrade, s.Span, "Cannot add columns to %s: its value is a single column without a record around it", old.Name)
	}
	src.Text = old.Text + " " + p.text(s.Span)
	return &CreateSource{Source: &src, Altered: true}
}

// schemaSpan is where a statement says most exactly which schema it means: by id,
// by name, or by the format.
func (w with) schemaSpan(prefix string, def sql.Span) sql.Span {
	for _, name := range []string{prefix + "_SCHEMA_ID", prefix + "_SCHEMA_FULL_NAME"} {
		if w.has(name) {
			return w.span(name)
		}
	}
	return w.formatSpan(prefix+"_FORMAT", def)
}
