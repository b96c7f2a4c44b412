package main

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
)

// wallMs is the wall time that functions like UNIX_TIMESTAMP see: the harness of
// the corpus stops the clock of the engine, not theirs.
const wallMs = 1_700_000_000_000

// defaultPartitions is what the corpus gives topics that say nothing.
const defaultPartitions = 4

// runner holds one case while it runs: a fresh catalog and a log per topic.
type runner struct {
	c       *testCase
	sandbox *engine.Sandbox
	logs    map[string][]executor.DriverRecord
	queries []*plan.Query
	// registered returns the schema registry.
	registered func() *registry.Registry
}

// runError is a failure of a case with the statement that caused it, -1 for a
// failure while records were processed.
type runError struct {
	statement int
	err       error
}

func (e *runError) Error() string { return e.err.Error() }
func (e *runError) Unwrap() error { return e.err }

// judge runs a case and says whether it passes.
func judge(c *testCase) (v verdict) {
	v = verdict{ID: c.ID, Verdict: failed}
	if c.Excluded != nil {
		v.Verdict = excluded
		return v
	}
	if c.Kind != "qtt" {
		return judgeRest(c)
	}
	defer func() {
		if r := recover(); r != nil {
			v.Verdict, v.Error = failed, fmt.Sprintf("panic: %v", r)
		}
	}()
	r := &runner{c: c, sandbox: engine.NewSandbox("some.ksql.service.id"), logs: map[string][]executor.DriverRecord{}}
	r.registered = r.sandbox.Schemas
	err := r.run()
	if c.ExpectedException != nil {
		judgeRejection(c, err, &v)
		return v
	}
	if err == nil {
		err = r.check()
	}
	v.Schemas, v.Outputs = r.schemas(), r.outputs()
	if err != nil {
		v.Error = errorText(err)
		return v
	}
	v.Verdict = passed
	return v
}

// judgeRejection passes a case that expects an error when its last statement is
// the one rejected, for a reason other than something that is not built.
func judgeRejection(c *testCase, err error, v *verdict) {
	if err == nil {
		v.Error = "accepted, expected: " + c.ExpectedException.Message
		return
	}
	v.Error = errorText(err)
	var st *engine.StatementError
	if errors.As(err, &st) && (st.Err.Code == sql.CodeUnsupported || st.Err.Code == sql.CodeInternal) {
		return
	}
	var re *runError
	if errors.As(err, &re) && re.statement >= 0 && re.statement != len(c.Statements)-1 && c.ExpectedException.Category != "parse" {
		return
	}
	match := strings.Contains(squash(err.Error()), squash(c.ExpectedException.Message))
	v.MessageMatch = &match
	v.Verdict = passed
}

func squash(s string) string { return strings.Join(strings.Fields(s), " ") }

func errorText(err error) string {
	var st *engine.StatementError
	if errors.As(err, &st) {
		return st.Format()
	}
	return err.Error()
}

// engineSettings are properties of the corpus that configure what this engine
// always does, or does not have; they are not session properties here.
var engineSettings = []string{
	"ksql.new.query.planner.enabled", "ksql.functions.substring.legacy.args", "ksql.streams.topology.optimization",
	"ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__", "use.exact.numeric.comparison", "ksql.sink.partitions", "ksql.sink.replicas",
}

// run sets the case up, executes its statements and feeds its records.
func (r *runner) run() error {
	if err := r.setProperties(); err != nil {
		return err
	}
	if err := (&setup{r.c, r.sandbox, defaultPartitions}).run(); err != nil {
		return fmt.Errorf("set-up: %w", err)
	}
	for i, text := range r.c.Statements {
		err := r.sandbox.Execute(text, r.step)
		if err != nil {
			return &runError{i, err}
		}
	}
	if len(r.queries) == 0 {
		return nil
	}
	return r.feed()
}

func (r *runner) setProperties() error { return setCaseProperties(r.c, r.sandbox.SetProperty) }

// setCaseProperties sets the properties that all cases have and those of one.
func setCaseProperties(c *testCase, set func(name, value string) error) error {
	all := map[string]any{"auto.offset.reset": "earliest", "millrace.emit.final.expire.first": "true"}
	for k, v := range c.Properties {
		all[k] = v
	}
	for k, v := range all {
		skip := false
		for _, s := range engineSettings {
			skip = skip || k == s
		}
		if skip {
			continue
		}
		if err := set(k, strings.ToLower(fmt.Sprint(v))); err == nil {
			continue
		}
		if err := set(k, fmt.Sprint(v)); err != nil {
			return fmt.Errorf("property %s: %w", k, err)
		}
	}
	return nil
}

// step takes the effect of a statement: INSERT VALUES are appended at once,
// queries are kept for the feed.
func (r *runner) step(s engine.Step) error {
	switch {
	case s.Insert != nil:
		rec, err := engine.EncodeInsert(s.Insert, 0, r.sandbox.Schemas())
		if err != nil {
			return err
		}
		r.append(executor.DriverRecord{Topic: s.Insert.Source.Topic, Timestamp: rec.Timestamp, Key: rec.Key, Value: rec.Value})
	case s.Command != nil:
		r.queries = r.queries[:0]
		for _, q := range r.sandbox.Catalog().Queries() {
			r.queries = append(r.queries, q.Plan)
		}
	}
	return nil
}

func (r *runner) append(rec executor.DriverRecord) {
	rec.Partition = 0
	r.logs[rec.Topic] = append(r.logs[rec.Topic], rec)
}

// feed runs every query by itself and to completion, in creation order.
func (r *runner) feed() error {
	inputTopics := map[string]bool{}
	inputs := make([]executor.DriverRecord, len(r.c.Inputs))
	for i, in := range r.c.Inputs {
		rec, err := r.encode(in)
		if err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
		inputs[i] = rec
		inputTopics[in.Topic] = true
		r.append(rec)
	}
	for _, q := range r.queries {
		if err := r.feedQuery(q, inputs, inputTopics); err != nil {
			return &runError{-1, err}
		}
	}
	return nil
}

func (r *runner) feedQuery(q *plan.Query, inputs []executor.DriverRecord, inputTopics map[string]bool) error {
	d, err := executor.NewDriver(q, executor.DriverConfig{NowMs: wallMs, Schemas: r.sandbox.Schemas()})
	if err != nil {
		return err
	}
	sources, order := map[string]bool{}, []string{}
	for _, name := range q.SourceTopics() {
		if !sources[name] && !inputTopics[name] {
			order = append(order, name)
		}
		sources[name] = true
	}
	var records []executor.DriverRecord
	for _, rec := range inputs {
		if sources[rec.Topic] {
			records = append(records, rec)
		}
	}
	sortByHash(order)
	for _, topic := range order {
		records = append(records, r.logs[topic]...)
	}
	for _, rec := range records {
		if err := d.Push(rec); err != nil {
			return err
		}
		outs, err := d.Take()
		if err != nil {
			return err
		}
		for _, out := range outs {
			r.append(out)
		}
	}
	return nil
}

// sortByHash orders topics as the corpus's harness reads them: a Java HashSet's
// iteration order for up to 12 entries.
func sortByHash(topics []string) {
	slot := func(s string) uint32 {
		var h uint32
		for _, c := range []byte(s) {
			h = 31*h + uint32(c)
		}
		return (h ^ h>>16) & 15
	}
	for i := 1; i < len(topics); i++ {
		for j := i; j > 0 && slot(topics[j]) < slot(topics[j-1]); j-- {
			topics[j], topics[j-1] = topics[j-1], topics[j]
		}
	}
}

// source returns the stream or table over a topic.
func (r *runner) source(topic string) *catalog.Source {
	for _, s := range r.sandbox.Catalog().Sources() {
		if s.Topic == topic {
			return s
		}
	}
	return nil
}

// encode serialises an input record by the formats of the source on its topic.
func (r *runner) encode(in record) (executor.DriverRecord, error) {
	src := r.source(in.Topic)
	if src == nil {
		src = &catalog.Source{Topic: in.Topic, Key: plan.Format{Name: "KAFKA"}, Value: plan.Format{Name: "JSON"}}
	}
	return encodeInput(payloads{r.sandbox.Schemas()}, src, in)
}

func encodeInput(p payloads, src *catalog.Source, in record) (executor.DriverRecord, error) {
	rec := executor.DriverRecord{Topic: in.Topic}
	if in.Timestamp != nil {
		rec.Timestamp = kafka.Timestamp(*in.Timestamp)
	}
	var err error
	if rec.Headers, err = inputHeaders(in); err != nil {
		return rec, err
	}
	if rec.Key, err = p.encode(src, true, in.Key); err != nil {
		return rec, fmt.Errorf("key: %w", err)
	}
	if in.Window != nil && rec.Key != nil {
		rec.Key = appendWindow(rec.Key, in.Window)
	}
	if rec.Value, err = p.encode(src, false, in.Value); err != nil {
		return rec, fmt.Errorf("value: %w", err)
	}
	return rec, nil
}

// check compares the outputs and the conditions on the catalog.
func (r *runner) check() error {
	want := map[string][]record{}
	var order []string
	for _, o := range r.c.Outputs {
		if want[o.Topic] == nil {
			order = append(order, o.Topic)
		}
		want[o.Topic] = append(want[o.Topic], o)
	}
	for _, topic := range order {
		got := r.logs[topic]
		src := r.source(topic)
		for i := range min(len(got), len(want[topic])) {
			if err := r.compareRecord(src, want[topic][i], got[i]); err != nil {
				return fmt.Errorf("%s record %d: %w\n got: %s", topic, i, err, strings.Join(r.dump(topic), "\n      "))
			}
		}
		if len(got) != len(want[topic]) {
			return fmt.Errorf("%s: %d records, expected %d\n got: %s", topic, len(got), len(want[topic]), strings.Join(r.dump(topic), "\n      "))
		}
	}
	return r.checkPost()
}

// checkPost checks the sources and topics that must or must not exist.
func (r *runner) checkPost() error {
	p := r.c.Post
	if p == nil {
		return nil
	}
	for _, want := range p.Sources {
		src := r.sandbox.Catalog().Source(want.Name)
		if src == nil {
			return fmt.Errorf("source %s does not exist", want.Name)
		}
		if err := checkSource(src, want); err != nil {
			return fmt.Errorf("source %s: %w", want.Name, err)
		}
	}
	if p.TopicBlacklist != "" {
		re, err := regexp.Compile("^(?:" + p.TopicBlacklist + ")$")
		if err != nil {
			return err
		}
		for _, q := range r.queries {
			for _, sub := range q.SubPlans {
				for _, n := range sub.Nodes {
					if rep, ok := n.Op.(*plan.Repartition); ok && re.MatchString(rep.Topic) {
						return fmt.Errorf("topic %s must not exist", rep.Topic)
					}
				}
			}
		}
	}
	return nil
}

func checkSource(src *catalog.Source, want postSource) error {
	if want.Type != "" && !strings.EqualFold(string(src.Kind), want.Type) {
		return fmt.Errorf("is a %s, expected %s", src.Kind, want.Type)
	}
	if want.Schema != "" {
		got := normalSchema(src.Schema.String("KEY"))
		if exp := normalSchema(foldUnquoted(strings.ReplaceAll(want.Schema, "PRIMARY KEY", "KEY"))); got != exp {
			return fmt.Errorf("schema %s, expected %s", got, exp)
		}
	}
	if f := want.KeyFormat; f != nil {
		if f.Format != "" && f.Format != src.Key.Name {
			return fmt.Errorf("key format %s, expected %s", src.Key.Name, f.Format)
		}
		kind := ""
		if src.Windowed != nil {
			kind = string(src.Windowed.Kind)
		}
		if kind != f.WindowType {
			return fmt.Errorf("window type %q, expected %q", kind, f.WindowType)
		}
		if f.WindowSize != nil && (src.Windowed == nil || src.Windowed.SizeMs != *f.WindowSize) {
			return fmt.Errorf("window size differs, expected %d", *f.WindowSize)
		}
	}
	if want.ValueFormat != "" && want.ValueFormat != src.Value.Name {
		return fmt.Errorf("value format %s, expected %s", src.Value.Name, want.ValueFormat)
	}
	return nil
}

// foldUnquoted turns what is not quoted into upper case, as identifiers are read.
func foldUnquoted(s string) string {
	out := []byte(s)
	quote := byte(0)
	for i, c := range out {
		switch {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '`' || c == '"':
			quote = c
		case c >= 'a' && c <= 'z':
			out[i] = c - 'a' + 'A'
		}
	}
	return string(out)
}

var intWord, varcharWord = regexp.MustCompile(`\bINT\b`), regexp.MustCompile(`\bVARCHAR\b`)

// normalSchema makes two texts of one schema equal: no quotes, one name per type,
// one space between words.
func normalSchema(s string) string {
	s = strings.NewReplacer("`", "", "\"", "", "(STRING)", "", " , ", ",", " ,", ",", ", ", ",").Replace(s)
	s = varcharWord.ReplaceAllString(intWord.ReplaceAllString(s, "INTEGER"), "STRING")
	return squash(s)
}

// schemas lists the sources of the catalog for --results.
func (r *runner) schemas() []string {
	var out []string
	for _, s := range r.sandbox.Catalog().Sources() {
		out = append(out, s.Name+" "+s.Schema.String("KEY"))
	}
	return out
}

// outputs lists the records of the topics that the case checks, for --results.
func (r *runner) outputs() []string {
	var out []string
	seen := map[string]bool{}
	for _, o := range r.c.Outputs {
		if !seen[o.Topic] {
			seen[o.Topic] = true
			out = append(out, r.dump(o.Topic)...)
		}
	}
	return out
}

func (r *runner) dump(topic string) []string {
	var out []string
	for _, rec := range r.logs[topic] {
		out = append(out, fmt.Sprintf("%s key=%s value=%s ts=%d", topic, engine.PrintPayload(rec.Key), engine.PrintPayload(rec.Value), rec.Timestamp))
	}
	return out
}
