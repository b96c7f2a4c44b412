package simulate

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql/types"
)

// item is a record, or a table's row, wanted or actual. What is nil was not given.
type item struct {
	key, value *side
	time       *int64
	headers    []kafka.Header
	hasHeaders bool
	// window and its end in ms; hasEnd is false for a wanted one without end.
	window *[2]int64
	hasEnd bool
}

// wanted turns an expected record into an item.
func (w *world) wanted(r *record, src *catalog.Source) *item {
	it := &item{hasHeaders: r.hasHeaders}
	it.key = w.readSide(r.key, r.rawKey, w.layoutOf(src, true), "the key")
	it.value = w.readSide(r.value, r.rawValue, w.layoutOf(src, false), "the value")
	if r.timestamp != nil {
		t := r.timestamp.at(w.startMs, 0)
		it.time = &t
	}
	for _, h := range r.headers {
		it.headers = append(it.headers, kafka.Header{Key: h.name, Value: h.value})
	}
	if r.window != nil {
		it.window = &[2]int64{r.window.start.at(w.startMs, 0)}
		if it.hasEnd = r.window.end != nil; it.hasEnd {
			it.window[1] = r.window.end.at(w.startMs, 0)
		}
	}
	return it
}

// actual turns a record of a topic into an item.
func (w *world) actual(rec executor.DriverRecord, src *catalog.Source) *item {
	t := int64(rec.Timestamp)
	it := &item{time: &t, headers: rec.Headers, hasHeaders: true}
	key := rec.Key
	if src != nil && src.Windowed != nil && key != nil {
		base, start, end, err := format.SplitWindow(key, src.Windowed)
		if err == nil {
			key, it.window, it.hasEnd = base, &[2]int64{start, end}, true
		}
	}
	it.key = decode(key, w.layoutOf(src, true))
	it.value = decode(rec.Value, w.layoutOf(src, false))
	return it
}

// differ returns what an actual item has that is not as wanted, "" when it
// matches.
func differ(want, got *item, partial bool) string {
	var out []string
	add := func(text string) {
		if text != "" {
			out = append(out, text)
		}
	}
	if want.key != nil {
		add(differSide("the key", want.key, got.key, partial))
	}
	if want.value != nil {
		add(differSide("the value", want.value, got.value, partial))
	}
	if want.time != nil && *want.time != *got.time {
		add(fmt.Sprintf("the timestamp is %s, expected %s", ms(*got.time), ms(*want.time)))
	}
	if want.window != nil {
		switch {
		case got.window == nil:
			add("the key has no window")
		case want.window[0] != got.window[0]:
			add(fmt.Sprintf("the window starts at %s, expected %s", ms(got.window[0]), ms(want.window[0])))
		case want.hasEnd && want.window[1] != got.window[1]:
			add(fmt.Sprintf("the window ends at %s, expected %s", ms(got.window[1]), ms(want.window[1])))
		}
	}
	if want.hasHeaders && headerText(want.headers) != headerText(got.headers) {
		add(fmt.Sprintf("the headers are %s, expected %s", headerText(got.headers), headerText(want.headers)))
	}
	return strings.Join(out, "; ")
}

func differSide(what string, want, got *side, partial bool) string {
	switch {
	case want.isNull || got.isNull:
		if want.isNull == got.isNull {
			return ""
		}
		return fmt.Sprintf("%s is %s, expected %s", what, nullness(got), nullness(want))
	case want.raw != nil:
		if bytes.Equal(want.raw, got.payload) {
			return ""
		}
		return fmt.Sprintf("%s is %s, expected %s", what, engine.PrintPayload(got.payload), engine.PrintPayload(want.raw))
	case got.raw != nil:
		return fmt.Sprintf("%s cannot be read: %s", what, got.broken)
	}
	var out []string
	for i, c := range want.cols {
		if partial && !want.given[i] || equal(want.values[i], got.values[i]) {
			continue
		}
		out = append(out, fmt.Sprintf("%s is %s, expected %s", c.Name,
			engine.AppendJSON(nil, got.values[i], c.Type), engine.AppendJSON(nil, want.values[i], c.Type)))
	}
	return strings.Join(out, "; ")
}

func nullness(s *side) string {
	if s.isNull {
		return "null"
	}
	return "not null"
}

func headerText(list []kafka.Header) string {
	parts := make([]string, len(list))
	for i, h := range list {
		parts[i] = h.Key + "=null"
		if h.Value != nil {
			parts[i] = h.Key + "=" + strconv.Quote(string(h.Value))
		}
	}
	return "[" + strings.Join(parts, " ") + "]"
}

// aspects are the parts of a record that a diff prints.
type aspects struct{ key, time, window, headers bool }

// text writes an item on one line.
func (it *item) text(show aspects) string {
	var parts []string
	if it.key != nil && show.key {
		parts = append(parts, "key="+it.key.text(true))
	}
	if it.window != nil && show.window {
		text := "window=[" + types.FormatTimestamp(it.window[0]) + "Z"
		if it.hasEnd {
			text += ", " + types.FormatTimestamp(it.window[1]) + "Z"
		}
		parts = append(parts, text+")")
	}
	if it.value != nil {
		text := it.value.text(false)
		if show.key {
			text = "value=" + text
		}
		parts = append(parts, text)
	}
	if it.time != nil && show.time {
		parts = append(parts, "timestamp="+ms(*it.time))
	}
	if it.hasHeaders && show.headers {
		parts = append(parts, "headers="+headerText(it.headers))
	}
	return strings.Join(parts, " ")
}

// compare returns the diff of two lists, "" when they match.
func compare(title string, e *expectation, want, got []*item, show aspects) string {
	for _, it := range want {
		show.time = show.time || it.time != nil
		show.window = show.window || it.window != nil
		show.headers = show.headers || it.hasHeaders
	}
	match := func(w, g int) bool { return differ(want[w], got[g], e.partial) == "" }
	pair := align
	if e.unordered {
		pair = pairUp
	}
	title = fmt.Sprintf("%s: %d, expected %d", title, len(got), len(want))
	return render(title, pair(len(want), len(got), match),
		func(i int) string { return want[i].text(show) }, func(i int) string { return got[i].text(show) },
		func(w, g int) string { return differ(want[w], got[g], e.partial) })
}

// checkOutput compares the records of a topic.
func (w *world) checkOutput(e *expectation) string {
	src := w.source(e.name)
	name := e.name
	if src != nil {
		name = src.Topic
	} else if _, ok := w.sandbox.Topic(name); !ok {
		w.fail(e.node, "there is no source and no topic %s", name)
	}
	var want, got []*item
	for _, r := range e.records {
		want = append(want, w.wanted(r, src))
	}
	for _, rec := range w.pipeline.records(name) {
		got = append(got, w.actual(rec, src))
	}
	windowed := src != nil && src.Windowed != nil
	return compare("records of "+e.name, e, want, got, aspects{key: true, window: windowed})
}

// checkTable compares what a pull query reads from a table.
func (w *world) checkTable(e *expectation) string {
	cols, rows, err := w.pull(e)
	if err != nil {
		return "table " + e.name + ": " + statementText(err) + "\n"
	}
	var want, got []*item
	for _, n := range e.rows {
		s := &side{cols: cols}
		s.values, s.given = w.columns(n, cols, "a row of "+e.name)
		want = append(want, &item{value: s})
	}
	for _, row := range rows {
		got = append(got, &item{value: &side{cols: cols, values: row.Values}})
	}
	return compare("rows of "+e.name, e, want, got, aspects{})
}

// pull reads a whole table.
func (w *world) pull(e *expectation) (cols []types.Column, rows []executor.Row, err error) {
	src := w.source(e.name)
	if src == nil {
		w.fail(e.node, "there is no table %s", e.name)
	}
	if src.Kind != catalog.Table {
		w.fail(e.node, "%s is a stream: write what its topic holds under outputs", e.name)
	}
	err = w.sandbox.Execute("SELECT * FROM "+types.QuoteName(src.Name)+";", func(s engine.Step) error {
		q, ok := s.Select.(*planner.PullQuery)
		if !ok {
			return fmt.Errorf("%s cannot be pulled from", e.name)
		}
		cols = q.Pull.Names
		for _, r := range w.pipeline.queries {
			if r.plan.ID == q.Pull.QueryID {
				var err error
				rows, err = r.driver.Pull(q.Pull)
				return err
			}
		}
		return fmt.Errorf("no query keeps %s", e.name)
	})
	return cols, rows, err
}

// checkLog compares the processing log in order.
func (w *world) checkLog(want []*expectedEntry) string {
	got := w.pipeline.entries
	match := func(i, j int) bool { return want[i].differ(got[j]) == "" }
	return render(fmt.Sprintf("entries of the processing log: %d, expected %d", len(got), len(want)), align(len(want), len(got), match),
		func(i int) string { return want[i].String() }, func(i int) string { return entryText(got[i]) },
		func(i, j int) string { return want[i].differ(got[j]) })
}

// parts lists the fields that were given.
func (e *expectedEntry) parts() (names, values []string) {
	for _, f := range [][2]string{{"query", e.query}, {"operator", e.operator}, {"kind", e.kind}, {"topic", e.topic}, {"offset", e.offset},
		{"cause", e.cause}, {"record", e.record}} {
		if f[1] != "" {
			names, values = append(names, f[0]), append(values, f[1])
		}
	}
	return names, values
}

func (e *expectedEntry) String() string {
	names, values := e.parts()
	for i := range names {
		names[i] += "=" + strconv.Quote(values[i])
	}
	return strings.Join(names, " ")
}

// differ says which fields of an entry are not as wanted; of the cause, a part is
// enough.
func (e *expectedEntry) differ(got executor.LogEntry) string {
	actual := map[string]string{"query": got.Query, "operator": got.Operator, "kind": got.Kind, "topic": got.Topic,
		"offset": strconv.FormatInt(int64(got.Offset), 10), "cause": got.Cause, "record": string(got.Record)}
	names, values := e.parts()
	var out []string
	for i, name := range names {
		if actual[name] == values[i] || name == "cause" && strings.Contains(got.Cause, values[i]) {
			continue
		}
		out = append(out, fmt.Sprintf("the %s is %q, expected %q", name, actual[name], values[i]))
	}
	return strings.Join(out, "; ")
}

func entryText(e executor.LogEntry) string {
	return fmt.Sprintf("query=%q operator=%q kind=%q topic=%q offset=\"%d\" cause=%q record=%q",
		e.Query, e.Operator, e.Kind, e.Topic, e.Offset, e.Cause, e.Record)
}
