package simulate

import (
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// side is a key or a value as a test compares and prints it: raw bytes, or columns.
type side struct {
	cols   []types.Column
	isNull bool
	// raw is set when the payload was given, or could only be read, as bytes.
	raw    []byte
	values []types.Value
	given  []bool // nil for all
	// payload is what an actual record holds.
	payload []byte
	broken  string // why the payload cannot be read
}

// layout is how one side of a topic's records is written.
type layout struct {
	format plan.Format
	cols   []types.Column
	at     format.Side
}

// layoutOf returns the layout of a source's key or value, nil without a source.
func (w *world) layoutOf(src *catalog.Source, key bool) *layout {
	if src == nil {
		return nil
	}
	at := format.Side{Topic: src.Topic, Key: key, Schemas: w.sandbox.Schemas()}
	if key {
		return &layout{src.Key, src.Schema.Key, at}
	}
	return &layout{src.Value, src.BodyColumns(), at}
}

// inputLayout returns how inputs to a source are written: by the registered schema
// that its topic has, as other producers write them, or else by the one that INSERT
// VALUES would register.
func (w *world) inputLayout(r *record, src *catalog.Source, key bool) *layout {
	l := w.layoutOf(src, key)
	if l == nil || !format.HasSchemas(l.format) || len(l.cols) == 0 || l.format.SchemaID != 0 {
		return l
	}
	latest, err := w.sandbox.Schemas().Latest(l.at.Subject())
	if err != nil {
		if err := w.sandbox.RegisterInserted(src); err != nil {
			w.fail(r.node, "%s", err)
		}
		return l
	}
	physical := l.format
	physical.SchemaID = latest.ID
	in, err := format.InferColumns(physical, l.at, latest.Schema)
	if err != nil {
		w.fail(r.node, "schema %s: %s", l.at.Subject(), err)
	}
	physical.Unwrapped = in.Unwrapped
	return &layout{physical, in.Columns, l.at}
}

// source finds the stream or table of a name, or over a topic; nil when there is
// none.
func (w *world) source(name string) *catalog.Source {
	for _, n := range []string{name, strings.ToUpper(name)} {
		if src := w.sandbox.Catalog().Source(n); src != nil {
			return src
		}
	}
	for _, src := range w.sandbox.Catalog().Sources() {
		if src.Topic == name {
			return src
		}
	}
	return nil
}

// readSide reads a key or value of a test: an object by columns, anything else as
// the only column, or text for what has several columns or none as bytes.
func (w *world) readSide(n *yaml.Node, raw *string, l *layout, what string) *side {
	if raw != nil {
		return &side{raw: []byte(*raw)}
	}
	if n == nil {
		return nil
	}
	s := &side{isNull: isNull(n)}
	if s.isNull {
		return s
	}
	if l == nil || n.Kind == yaml.ScalarNode && len(l.cols) != 1 {
		if l == nil && n.Kind != yaml.ScalarNode {
			w.fail(n, "no stream or table has this topic, so that %s must be text", what)
		}
		s.raw = []byte(n.Value)
		return s
	}
	s.cols = l.cols
	if n.Kind == yaml.MappingNode && !(len(l.cols) == 1 && nested(l.cols[0], n)) {
		s.values, s.given = w.columns(n, l.cols, what)
		return s
	}
	if len(l.cols) != 1 {
		w.fail(n, "%s has %d columns: write an object", what, len(l.cols))
	}
	s.values, s.given = []types.Value{w.value(n, l.cols[0].Type, l.cols[0].Name)}, []bool{true}
	return s
}

// nested reports whether an object is the value of a single STRUCT or MAP column
// instead of an object of columns.
func nested(c types.Column, n *yaml.Node) bool {
	if c.Type.Kind != types.KindMap && c.Type.Kind != types.KindStruct {
		return false
	}
	return len(n.Content) != 2 || findColumn([]types.Column{c}, n.Content[0].Value) < 0
}

// encode serialises a side of an input.
func (w *world) encode(n *yaml.Node, s *side, l *layout, what string) []byte {
	switch {
	case s == nil || s.isNull:
		return nil
	case s.raw != nil:
		return s.raw
	}
	row, err := format.NewRow(l.format, l.cols, l.at)
	if err != nil {
		w.fail(n, "%s: %s", what, err)
	}
	b, err := row.Encode(s.values)
	if err != nil {
		w.fail(n, "%s: %s", what, err)
	}
	return b
}

// decode reads a side of a record that a query wrote.
func decode(payload []byte, l *layout) *side {
	s := &side{payload: payload, isNull: payload == nil}
	if l == nil || s.isNull {
		s.raw = payload
		return s
	}
	s.cols = l.cols
	if l.format.Name == "NONE" {
		return s
	}
	row, err := format.NewRow(l.format, l.cols, l.at)
	if err == nil {
		s.values, err = row.Decode(payload)
	}
	if err != nil {
		s.raw, s.broken = payload, err.Error()
	}
	return s
}

// text writes a side: the only column by itself, several as an object, bytes as
// they print.
func (s *side) text(key bool) string {
	switch {
	case s.isNull:
		return "null"
	case s.raw != nil:
		return "raw " + engine.PrintPayload(s.raw)
	case len(s.cols) == 1 && key:
		return string(engine.AppendJSON(nil, s.values[0], s.cols[0].Type))
	}
	out := []byte{'{'}
	for i, c := range s.cols {
		if s.given != nil && !s.given[i] || s.values == nil {
			continue
		}
		if len(out) > 1 {
			out = append(out, ", "...)
		}
		out = append(append(out, c.Name...), ": "...)
		out = engine.AppendJSON(out, s.values[i], c.Type)
	}
	return string(append(out, '}'))
}

// input serialises an input record. before is the timestamp of the one before.
func (w *world) input(r *record, before int64) executor.DriverRecord {
	src := w.source(r.to)
	rec := executor.DriverRecord{Topic: r.to, Timestamp: kafka.Timestamp(before)}
	if src != nil {
		rec.Topic = src.Topic
	} else if _, ok := w.sandbox.Topic(r.to); !ok {
		w.fail(r.node, "there is no source and no topic %s", r.to)
	}
	if r.timestamp != nil {
		rec.Timestamp = kafka.Timestamp(r.timestamp.at(w.startMs, before))
	}
	if rec.Timestamp < 0 {
		w.fail(r.node, "the timestamp %d is negative", rec.Timestamp)
	}
	for _, h := range r.headers {
		rec.Headers = append(rec.Headers, kafka.Header{Key: h.name, Value: h.value})
	}
	key, value := w.inputLayout(r, src, true), w.inputLayout(r, src, false)
	rec.Key = w.encode(r.node, w.readSide(r.key, r.rawKey, key, "the key"), key, "key")
	rec.Value = w.encode(r.node, w.readSide(r.value, r.rawValue, value, "the value"), value, "value")
	windowed := src != nil && src.Windowed != nil
	switch {
	case r.window != nil && !windowed:
		w.fail(r.node, "%s has no windowed key", r.to)
	case r.window == nil && windowed && r.rawKey == nil && rec.Key != nil:
		w.fail(r.node, "the key of %s is windowed: the input needs a window", r.to)
	case r.window != nil && rec.Key != nil:
		start := r.window.start.at(w.startMs, 0)
		end := start + src.Windowed.SizeMs
		if r.window.end != nil {
			end = r.window.end.at(w.startMs, 0)
		} else if src.Windowed.Kind == plan.Session {
			w.fail(r.node, "the window of a session needs an end")
		}
		rec.Key = format.AppendWindow(rec.Key, src.Windowed, start, end)
	}
	return rec
}

// ms writes a timestamp.
func ms(t int64) string { return types.FormatTimestamp(t) + "Z (" + strconv.FormatInt(t, 10) + ")" }
