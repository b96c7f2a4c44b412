package repl

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/sql/types"
)

// Format is how results are written.
type Format string

// The formats.
const (
	TableFormat Format = "table"
	JSONFormat  Format = "json"
	CSVFormat   Format = "csv"
)

// ParseFormat checks the name of a format.
func ParseFormat(name string) (Format, error) {
	switch f := Format(strings.ToLower(name)); f {
	case TableFormat, JSONFormat, CSVFormat:
		return f, nil
	}
	return "", fmt.Errorf("unknown output format %q: expected table, json or csv", name)
}

// Output writes results. Results go to Out, messages to Err.
type Output struct {
	Out, Err io.Writer
	Format   Format
	// Width is the terminal's width in columns; 0 means DefaultWidth.
	Width int
	// ColumnWidth is how wide every column of a table is drawn; 0 lets the values
	// and Width decide.
	ColumnWidth int
	// Clip cuts values that are too long for their column instead of wrapping them.
	Clip bool
	// Interactive says that an interrupt was typed on the line that is written.
	Interactive bool
	// Quiet leaves out the messages of statements that change something.
	Quiet bool
}

// Write writes one result; it reads and closes rows and lines. The end of a push
// query by ctx is not an error.
func (o *Output) Write(ctx context.Context, result engine.Result) error {
	switch r := result.(type) {
	case *engine.Done:
		if r.Msg != "" && !o.Quiet {
			fmt.Fprintln(o.Err, r.Msg)
		}
		for _, w := range r.Warnings {
			if !o.Quiet {
				fmt.Fprintln(o.Err, "warning: "+w)
			}
		}
		return nil
	case *engine.Assertion:
		if !o.Quiet {
			fmt.Fprintln(o.Err, r.String()+".")
		}
		return nil
	case *engine.Rows:
		defer r.Close()
		return o.rows(ctx, r)
	case *engine.Lines:
		defer r.Close()
		return o.lines(ctx, r)
	}
	return o.listing(listingOf(result))
}

func (o *Output) width() int {
	if o.Width > 0 {
		return o.Width
	}
	return DefaultWidth
}

func (o *Output) layout() layout { return layout{o.width(), o.ColumnWidth, o.Clip} }

// words turns keyFormat into "Key Format".
func words(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i == 0 {
			r = unicode.ToUpper(r)
		} else if unicode.IsUpper(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}

func (o *Output) listing(l *listing) error {
	switch o.Format {
	case JSONFormat:
		if l.object != nil {
			e := json.NewEncoder(o.Out)
			e.SetEscapeHTML(false)
			return e.Encode(l.object)
		}
		for _, row := range l.rows {
			if err := o.jsonObject(l.columns, func(i int) ([]byte, error) { return engine.MarshalJSON(row[i]) }); err != nil {
				return err
			}
		}
		return nil
	case CSVFormat:
		if l.note != "" && !l.plain && !o.Quiet {
			fmt.Fprintln(o.Err, "CSV has only the list; table output has what else is known, too.")
		}
		w := csv.NewWriter(o.Out)
		if err := w.Write(l.columns); err != nil {
			return err
		}
		for _, row := range l.rows {
			if err := w.Write(texts(row)); err != nil {
				return err
			}
		}
		w.Flush()
		return w.Error()
	}
	headings, rows := make([]string, len(l.columns)), make([][]string, len(l.rows))
	for i, c := range l.columns {
		headings[i] = words(c)
	}
	for i, row := range l.rows {
		rows[i] = texts(row)
	}
	numeric := make([]bool, len(headings))
	if len(l.rows) > 0 {
		for i, v := range l.rows[0] {
			switch v.(type) {
			case int, int32, int64:
				numeric[i] = true
			}
		}
	}
	text := drawListing(newTable(headings, numeric, rows, o.layout()), rows)
	if l.plain {
		text = ""
	}
	_, err := io.WriteString(o.Out, text+l.note)
	return err
}

// drawListing draws a table, or its rows as records when the columns are too many
// for the terminal.
func drawListing(t *table, rows [][]string) string {
	var b strings.Builder
	if t.crowded(rows) {
		for i, row := range rows {
			b.WriteString(t.record(i, row))
		}
		return b.String()
	}
	b.WriteString(t.header())
	for _, row := range rows {
		b.WriteString(t.row(row))
	}
	return b.String() + t.rule()
}

func texts(row []any) []string {
	out := make([]string, len(row))
	for i, v := range row {
		out[i] = cellText(v)
	}
	return out
}

// jsonObject writes {"name":value,...} and a line end.
func (o *Output) jsonObject(names []string, value func(i int) ([]byte, error)) error {
	b := []byte{'{'}
	for i, name := range names {
		if i > 0 {
			b = append(b, ',')
		}
		key, err := engine.MarshalJSON(name)
		if err != nil {
			return err
		}
		v, err := value(i)
		if err != nil {
			return err
		}
		b = append(append(append(b, key...), ':'), v...)
	}
	_, err := o.Out.Write(append(b, '}', '\n'))
	return err
}

// rows writes the rows of a query as they come.
func (o *Output) rows(ctx context.Context, r *engine.Rows) error {
	w := o.rowWriter(r.Columns)
	if r.Push && r.Hint != "" && !o.Quiet {
		fmt.Fprintln(o.Err, r.Hint)
	}
	count := 0
	warned := map[string]int64{}
	for {
		list, err := r.Next(ctx)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, executor.ErrClosed), err != nil && ctx.Err() != nil:
			o.afterInterrupt(ctx)
			if endErr := w.end(); endErr != nil {
				return endErr
			}
			o.warn(r, warned, true)
			if !o.Quiet {
				fmt.Fprintln(o.Err, summary(count, r.Push, errors.Is(err, io.EOF)))
			}
			return nil
		case err != nil:
			endErr := w.end()
			o.warn(r, warned, true)
			return errors.Join(endErr, err)
		}
		count += len(list)
		if err := w.write(list); err != nil {
			return err
		}
		if r.Push {
			o.warn(r, warned, false)
		}
	}
}

// warn tells of records that went wrong: each problem once as it comes, and at the
// end with the number of its records. warned holds what was told.
func (o *Output) warn(r *engine.Rows, warned map[string]int64, end bool) {
	if o.Quiet {
		return
	}
	for _, p := range r.Problems() {
		switch n := warned[p.Text()]; {
		case end && n != p.Records:
			fmt.Fprintln(o.Err, "warning: "+p.String())
		case !end && n == 0:
			fmt.Fprintln(o.Err, "warning: "+p.Text())
		default:
			continue
		}
		warned[p.Text()] = max(p.Records, 1)
	}
	if end && len(warned) > 0 {
		fmt.Fprintf(o.Err, "The records: SELECT * FROM %s WHERE `QUERY` = '%s';\n", engine.ProcessingLogStream, r.QueryID)
	}
}

// afterInterrupt ends the line on which the terminal shows ^C.
func (o *Output) afterInterrupt(ctx context.Context) {
	if o.Interactive && ctx.Err() != nil {
		fmt.Fprintln(o.Err)
	}
}

func summary(count int, push, limit bool) string {
	noun := "rows"
	if count == 1 {
		noun = "row"
	}
	switch {
	case push && limit:
		return fmt.Sprintf("%d %s. Limit Reached. Query terminated", count, noun)
	case push:
		return fmt.Sprintf("%d %s. Query terminated", count, noun)
	}
	return fmt.Sprintf("%d %s", count, noun)
}

func (o *Output) lines(ctx context.Context, l *engine.Lines) error {
	for {
		list, err := l.Next(ctx)
		if errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil {
			o.afterInterrupt(ctx)
			return nil
		}
		if err != nil {
			return err
		}
		if _, err := io.WriteString(o.Out, strings.Join(list, "\n")+"\n"); err != nil {
			return err
		}
	}
}

// rowWriter writes the rows of one query.
type rowWriter interface {
	write(rows []executor.Row) error
	end() error
}

func (o *Output) rowWriter(columns []types.Column) rowWriter {
	switch o.Format {
	case JSONFormat:
		return &jsonRows{o: o, columns: columns}
	case CSVFormat:
		return &csvRows{w: csv.NewWriter(o.Out), columns: columns}
	}
	return &tableRows{o: o, columns: columns}
}

// jsonRows writes one object per row. Deleted rows are left out: a reader of
// objects could not tell them from rows of nulls.
type jsonRows struct {
	o       *Output
	columns []types.Column
}

func (w *jsonRows) write(rows []executor.Row) error {
	names := make([]string, len(w.columns))
	for i, c := range w.columns {
		names[i] = c.Name
	}
	for _, row := range rows {
		if row.Deleted() {
			continue
		}
		err := w.o.jsonObject(names, func(i int) ([]byte, error) {
			return engine.AppendJSON(nil, row.Values[i], w.columns[i].Type), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *jsonRows) end() error { return nil }

// csvRows writes a heading and a record per row; NULL is an empty field.
type csvRows struct {
	w       *csv.Writer
	columns []types.Column
	started bool
}

func (w *csvRows) start() error {
	if w.started {
		return nil
	}
	w.started = true
	var names []string
	for _, c := range w.columns {
		names = append(names, c.Name)
	}
	return w.w.Write(names)
}

func (w *csvRows) write(rows []executor.Row) error {
	if err := w.start(); err != nil {
		return err
	}
	for _, row := range rows {
		if row.Deleted() {
			continue
		}
		cells := make([]string, len(row.Values))
		for i, v := range row.Values {
			if !v.IsNull() {
				cells[i] = valueText(v, w.columns[i].Type)
			}
		}
		if err := w.w.Write(cells); err != nil {
			return err
		}
	}
	w.w.Flush()
	return w.w.Error()
}

func (w *csvRows) end() error {
	err := w.start()
	w.w.Flush()
	return errors.Join(err, w.w.Error())
}

// tableRows draws rows; the first of them decide the columns' widths.
type tableRows struct {
	o       *Output
	columns []types.Column
	table   *table
}

func (w *tableRows) cells(row executor.Row) []string {
	out := make([]string, len(row.Values))
	for i, v := range row.Values {
		out[i] = valueText(v, w.columns[i].Type)
		if row.Deleted() && v.IsNull() {
			out[i] = "<TOMBSTONE>"
		}
	}
	return out
}

func (w *tableRows) write(rows []executor.Row) error {
	var b strings.Builder
	cells := make([][]string, len(rows))
	for i, row := range rows {
		cells[i] = w.cells(row)
	}
	w.start(&b, cells)
	for _, row := range cells {
		b.WriteString(w.table.row(row))
	}
	_, err := io.WriteString(w.o.Out, b.String())
	return err
}

func (w *tableRows) start(b *strings.Builder, sample [][]string) {
	if w.table != nil {
		return
	}
	names, numeric := make([]string, len(w.columns)), make([]bool, len(w.columns))
	for i, c := range w.columns {
		names[i], numeric[i] = c.Name, c.Type.Kind.Numeric()
	}
	w.table = newTable(names, numeric, sample, w.o.layout())
	b.WriteString(w.table.header())
}

func (w *tableRows) end() error {
	var b strings.Builder
	w.start(&b, nil)
	b.WriteString(w.table.rule())
	_, err := io.WriteString(w.o.Out, b.String())
	return err
}
