package repl

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql/types"
)

// listing is a result of named columns that is all there. Names are the keys in
// JSON; the table's heading is the name in words.
type listing struct {
	columns []string
	rows    [][]any
	// note follows a table: a plan, a statement.
	note string
	// plain says that a table shows the note alone.
	plain bool
	// object is what JSON output writes instead of the rows, nil for the rows.
	object any
}

func (l *listing) add(cells ...any) { l.rows = append(l.rows, cells) }

// listingOf turns a result that is neither rows nor a message into a listing.
func listingOf(result engine.Result) *listing {
	switch r := result.(type) {
	case *engine.SourceList:
		l := &listing{columns: []string{"name", "topic", "keyFormat", "valueFormat", "isWindowed"}}
		for _, s := range r.Sources {
			l.add(s.Name, s.Topic, s.Key.Name, s.Value.Name, s.Windowed != nil)
		}
		return l
	case *engine.TopicList:
		l := &listing{columns: []string{"name", "partitions", "replicas"}}
		if r.Extended {
			l.columns = append(l.columns, "consumers", "consumerGroups")
		}
		for _, t := range r.Topics {
			cells := []any{t.Name, t.Partitions, t.Replicas}
			if r.Extended {
				cells = append(cells, t.Consumers, t.Groups)
			}
			l.add(cells...)
		}
		return l
	case *engine.QueryList:
		return queryListing(r)
	case *engine.FunctionList:
		l := &listing{columns: []string{"name", "type", "category"}}
		for _, f := range r.Functions {
			l.add(f.Name, f.Class, f.Category)
		}
		return l
	case *engine.PropertyList:
		l := &listing{columns: []string{"name", "value", "overridden", "description"}}
		for _, p := range r.Properties {
			l.add(p.Name, p.Value, p.Overridden, p.Doc)
		}
		return l
	case *engine.TypeList:
		l := &listing{columns: []string{"name", "type"}}
		for _, t := range r.Types {
			l.add(t.Name, t.Type.String())
		}
		return l
	case *engine.VariableList:
		l := &listing{columns: []string{"name", "value"}}
		for _, v := range r.Variables {
			l.add(v.Name, v.Value)
		}
		return l
	case *engine.SourceDescriptions:
		return descriptionListing(r)
	case *engine.FunctionDescription:
		return functionListing(r.Function)
	case *engine.Explanation:
		return &listing{columns: []string{"plan"}, rows: planRows(r.Plan), note: explanationNote(r), plain: true}
	}
	return &listing{columns: []string{"result"}, rows: [][]any{{fmt.Sprintf("%T", result)}}}
}

// explanationNote is EXPLAIN at a terminal: the query, then its plan.
func explanationNote(r *engine.Explanation) string {
	var b strings.Builder
	if q := r.Query; q.Status.State != "" && q.SinkName != "" {
		fmt.Fprintf(&b, "%s (%s)\n", q.ID, stateText(q.Status))
	}
	if r.Query.SinkName != "" {
		fmt.Fprintf(&b, "%s -> %s\n", strings.Join(r.Query.Sources, ", "), r.Query.SinkName)
	}
	return b.String() + strings.TrimRight(r.Plan, "\n") + "\n"
}

func planRows(plan string) [][]any {
	var rows [][]any
	for _, line := range strings.Split(strings.TrimRight(plan, "\n"), "\n") {
		rows = append(rows, []any{line})
	}
	return rows
}

func queryListing(r *engine.QueryList) *listing {
	l := &listing{columns: []string{"id", "queryType", "state", "sink", "sinkTopic", "queryString"}}
	if r.Extended {
		l.columns = append(l.columns, "rowsIn", "rowsOut", "late", "errors", "restarts", "reason")
	}
	for _, q := range r.Queries {
		kind := "PERSISTENT"
		if q.Push {
			kind = "PUSH"
		}
		cells := []any{q.ID, kind, string(q.Status.State), q.SinkName, q.SinkTopic, oneLineOr(q.Text)}
		if r.Extended {
			st := q.Status
			cells = append(cells, st.RowsIn, st.RowsOut, st.Late, st.Errors, st.Restarts, st.Reason)
		}
		l.add(cells...)
	}
	return l
}

// oneLineOr returns a statement on one line, or as it stands.
func oneLineOr(statement string) string {
	if s := oneLine(statement); s != "" {
		return s
	}
	return statement
}

// descriptionListing has a row per column of one source, or a row per source.
func descriptionListing(r *engine.SourceDescriptions) *listing {
	if !r.One {
		l := &listing{columns: []string{"name", "type", "topic", "keyFormat", "valueFormat", "schema"}}
		for _, d := range r.Sources {
			s := d.Source
			l.add(s.Name, string(s.Kind), s.Topic, s.Key.Name, s.Value.Name, s.Schema.String(keyMarker(s)))
		}
		return l
	}
	d := r.Sources[0]
	l := &listing{columns: []string{"field", "type", "mark"}}
	for i := range d.Source.Schema.Len() {
		c := d.Source.Schema.Column(i)
		l.add(c.Name, c.Type.String(), columnMark(d.Source, i))
	}
	if r.Extended {
		l.note, l.object = sourceNote(d), sourceObject(d)
	}
	return l
}

func keyMarker(s *catalog.Source) string {
	if s.Kind == catalog.Table {
		return "PRIMARY KEY"
	}
	return "KEY"
}

func columnMark(s *catalog.Source, i int) string {
	switch {
	case i < len(s.Schema.Key) && s.Windowed != nil:
		return strings.ToLower(keyMarker(s)) + " (window: " + string(s.Windowed.Kind) + ")"
	case i < len(s.Schema.Key):
		return strings.ToLower(keyMarker(s))
	case s.Headers != nil && s.Headers[i] == "*":
		return "headers"
	case s.Headers != nil && s.Headers[i] != "":
		return "header('" + s.Headers[i][1:] + "')"
	}
	return ""
}

// sourceNote is what DESCRIBE ... EXTENDED adds.
func sourceNote(d engine.SourceDescription) string {
	s := d.Source
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s over topic %s (%d partitions), key %s, value %s\n", s.Kind, s.Name, s.Topic, d.Partitions, s.Key.Name, s.Value.Name)
	if ts := s.TimestampColumnName(); ts != "" {
		fmt.Fprintf(&b, "timestamp column: %s\n", ts)
	}
	for _, r := range d.Schemas {
		b.WriteString(schemaNote(r))
	}
	for _, q := range d.WrittenBy {
		fmt.Fprintf(&b, "written by %s (%s): %d rows in, %d out, %d late, %d errors\n", q.ID, stateText(q.Status), q.Status.RowsIn, q.Status.RowsOut, q.Status.Late, q.Status.Errors)
	}
	for _, q := range d.ReadBy {
		fmt.Fprintf(&b, "read by %s (%s)\n", q.ID, stateText(q.Status))
	}
	for _, g := range d.Offsets {
		for _, p := range g.Partitions {
			fmt.Fprintf(&b, "group %s, partition %d: at %d of %d (from %d), lag %d\n", g.Group, p.Partition, p.ConsumerOffset, p.End, p.LogStart,
				p.End-max(p.ConsumerOffset, p.LogStart))
		}
	}
	b.WriteString("statement: " + s.Text + "\n")
	return b.String()
}

// schemaNote says in a line what the registry has of one side of a source.
func schemaNote(r engine.RegisteredSchema) string {
	text := fmt.Sprintf("%s schema: subject %s, version %d, id %d (%s)", strings.ToLower(r.Side), r.Subject, r.Version, r.ID, r.Type)
	switch {
	case r.Error != "":
		return fmt.Sprintf("%s schema: subject %s, %s\n", strings.ToLower(r.Side), r.Subject, r.Error)
	case r.Version == 0:
		return fmt.Sprintf("%s schema: subject %s, registered with the first record that a statement writes\n", strings.ToLower(r.Side), r.Subject)
	case r.WrittenID == 0:
		return text + "; that of the columns is registered with the first record that a statement writes\n"
	case r.WrittenID != r.ID:
		return fmt.Sprintf("%s; records are written with id %d\n", text, r.WrittenID)
	}
	return text + "\n"
}

func functionListing(f engine.FunctionInfo) *listing {
	l := &listing{columns: []string{"signature", "returns"}, note: fmt.Sprintf("%s (%s, %s): %s\n", f.Name, strings.ToLower(f.Class), f.Category, f.Description)}
	for _, sig := range f.Signatures {
		var args []string
		for _, a := range sig.Arguments {
			text := a.Type
			if a.Variadic {
				text += "..."
			}
			args = append(args, text)
		}
		l.add(f.Name+"("+strings.Join(args, ", ")+")", sig.ReturnType)
	}
	return l
}

// cellText is a cell of a listing in a table or CSV.
func cellText(v any) string {
	if v == nil {
		return ""
	}
	return fmt.Sprint(v)
}

// valueText is a value of a row in a table or CSV; NULL is written null.
func valueText(v types.Value, t types.Type) string { return types.FormatText(v, t) }

// stateText is a query's state, with the reason when it has failed.
func stateText(s executor.Status) string {
	if s.Reason == "" {
		return string(s.State)
	}
	return string(s.State) + ": " + s.Reason
}
