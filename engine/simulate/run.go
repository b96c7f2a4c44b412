package simulate

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
)

// Outcome is what became of a test.
type Outcome string

// The outcomes. A Broken test is wrong itself: it names columns that do not exist,
// or has values of other types.
const (
	Passed Outcome = "pass"
	Failed Outcome = "fail"
	Broken Outcome = "broken"
)

// Result is the outcome of a test and why.
type Result struct {
	File    string  `json:"file"`
	Line    int     `json:"line"` // of the test, or of what is broken
	Name    string  `json:"name"`
	Outcome Outcome `json:"outcome"`
	// Failures are what was not as expected, each of one or more lines.
	Failures []string `json:"failures,omitempty"`
	// Topics and Log are what the test's topics and its processing log held, for
	// --verbose.
	Topics []string `json:"-"`
	Log    []string `json:"-"`
}

// sandboxService is the service id of the engine that plans a test's statements.
const sandboxService = "test"

// world is a test at work.
type world struct {
	*decoder
	sandbox  *engine.Sandbox
	pipeline *pipeline
	startMs  int64
}

// statementError is the failure of a statement.
type statementError struct{ err error }

func (e *statementError) Error() string { return e.err.Error() }
func (e *statementError) Unwrap() error { return e.err }

// Run executes a test in a world of its own.
func (t *Test) Run() (res Result) {
	res = Result{File: t.file, Line: t.line, Name: t.Name, Outcome: Passed}
	w := &world{decoder: &decoder{file: t.file}, sandbox: engine.NewSandbox(sandboxService), startMs: t.startMs}
	w.pipeline = &pipeline{sandbox: w.sandbox, nowMs: t.startMs}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case *FileError:
			res.Outcome, res.Line, res.Failures = Broken, r.Line, []string{r.Error() + "\n"}
		default: // a bug of the engine fails this test and no other
			res.Outcome, res.Failures = Failed, []string{fmt.Sprintf("panic: %v\n", r)}
		}
	}()
	err := w.build(t)
	res.Failures = w.check(t, err)
	if len(res.Failures) > 0 {
		res.Outcome = Failed
	}
	res.Topics, res.Log = w.dump()
	return res
}

// build makes the world of a test: what is shared first, and all set-up before
// the first input.
func (w *world) build(t *Test) error {
	for _, s := range t.steps {
		if err := w.setUp(s); err != nil {
			return err
		}
	}
	before := w.startMs
	for _, s := range t.steps {
		for _, r := range s.inputs {
			rec := w.input(r, before)
			before = int64(rec.Timestamp)
			if err := w.pipeline.push(rec); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *world) setUp(s *setup) error {
	for _, p := range s.properties {
		if err := w.sandbox.SetProperty(p.name, p.value); err != nil {
			w.fail(p.node, "%s", err)
		}
	}
	for _, v := range s.variables {
		w.sandbox.SetVariable(v.name, v.value)
	}
	for _, t := range s.topics {
		w.sandbox.AddTopic(t.name, t.partitions)
	}
	for _, sc := range s.schemas {
		if _, err := w.sandbox.AddSchema(sc.subject, sc.Schema, sc.id); err != nil {
			w.fail(sc.node, "schema of %s: %s", sc.subject, err)
		}
	}
	for _, sc := range s.statements {
		if err := w.sandbox.Execute(sc.text, w.step); err != nil {
			var q *queryError
			if errors.As(err, &q) {
				return err
			}
			return &statementError{engine.At(err, sc.origin)}
		}
	}
	return nil
}

// step gives a statement's effect to the pipeline.
func (w *world) step(s engine.Step) error {
	switch {
	case s.Insert != nil:
		if err := w.sandbox.RegisterInserted(s.Insert.Source); err != nil {
			return fmt.Errorf("insert into %s: %w", s.Insert.Source.Name, err)
		}
		rec, err := engine.EncodeInsert(s.Insert, w.startMs, w.sandbox.Schemas())
		if err != nil {
			return fmt.Errorf("insert into %s: %w", s.Insert.Source.Name, err)
		}
		return w.pipeline.push(executor.DriverRecord{Topic: s.Insert.Source.Topic, Timestamp: rec.Timestamp, Key: rec.Key, Value: rec.Value})
	case s.Select != nil:
		return fmt.Errorf("a SELECT has no place among the statements of a test: use outputs and tables")
	}
	return w.pipeline.sync(w.sandbox.Property("auto.offset.reset") == "earliest")
}

// check compares what happened with what the test expects.
func (w *world) check(t *Test, err error) (failures []string) {
	add := func(text string) {
		if text != "" {
			failures = append(failures, text)
		}
	}
	if t.err != nil {
		add(t.err.check(err))
	} else if err != nil {
		return []string{statementText(err)}
	}
	for _, e := range t.outputs {
		add(w.checkOutput(e))
	}
	for _, e := range t.tables {
		add(w.checkTable(e))
	}
	if t.logGiven {
		add(w.checkLog(t.log))
	} else if len(failures) > 0 {
		add(w.hintLog())
	}
	return failures
}

// maxHintEntries bounds the entries of the processing log that a failure shows
// unasked: a record that was left out is the usual reason of a missing result.
const maxHintEntries = 5

func (w *world) hintLog() string {
	if len(w.pipeline.entries) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("the processing log has\n")
	for i, e := range w.pipeline.entries {
		if i == maxHintEntries {
			fmt.Fprintf(&b, "    ... %d more\n", len(w.pipeline.entries)-i)
			break
		}
		b.WriteString("    " + entryText(e) + "\n")
	}
	return b.String()
}

// statementText writes an error as the user sees those of statements.
func statementText(err error) string {
	var st *engine.StatementError
	if errors.As(err, &st) {
		return strings.TrimRight(st.Format(), "\n") + "\n"
	}
	return err.Error() + "\n"
}

// check compares an error with the expected one.
func (e *expectedError) check(err error) string {
	if err == nil {
		return "no error, expected " + e.String() + "\n"
	}
	code := ""
	var st *engine.StatementError
	if errors.As(err, &st) {
		code = string(st.Err.Code)
	}
	if e.code != "" && e.code != code || !strings.Contains(squash(err.Error()), squash(e.text)) {
		return "another error than " + e.String() + ":\n" + statementText(err)
	}
	return ""
}

func (e *expectedError) String() string {
	switch {
	case e.code == "":
		return fmt.Sprintf("%q", e.text)
	case e.text == "":
		return "error[" + e.code + "]"
	}
	return fmt.Sprintf("error[%s] %q", e.code, e.text)
}

// squash makes runs of white space one space.
func squash(s string) string { return strings.Join(strings.Fields(s), " ") }

// dump lists the records of every topic, and the processing log.
func (w *world) dump() (topics, log []string) {
	seen := map[string]bool{}
	for _, rec := range w.pipeline.log {
		if seen[rec.Topic] {
			continue
		}
		seen[rec.Topic] = true
		var src *catalog.Source
		for _, s := range w.sandbox.Catalog().Sources() {
			if s.Topic == rec.Topic && src == nil {
				src = s
			}
		}
		for _, r := range w.pipeline.records(rec.Topic) {
			it := w.actual(r, src)
			topics = append(topics, rec.Topic+": "+it.text(aspects{key: true, time: true, window: true, headers: len(r.Headers) > 0}))
		}
	}
	for _, e := range w.pipeline.entries {
		log = append(log, entryText(e))
	}
	return topics, log
}
