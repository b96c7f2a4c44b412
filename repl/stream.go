package repl

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/server"
	"github.com/millrace/millrace/sql/types"
)

// typeRows is the media type of rows that keep types and tombstones.
const typeRows = "application/vnd.ksql.v1+json"

// streamBuffer is how many rows or lines of a server wait to be shown.
const streamBuffer = 1024

// maxLineBytes bounds one line of PRINT.
const maxLineBytes = 64 << 20

// piece is one item of a stream, its end (io.EOF or a failure), or a sign that
// there is something beside the items.
type piece[T any] struct {
	item T
	err  error
	sign bool
}

// stream hands out what a goroutine reads ahead.
type stream[T any] struct {
	pieces chan piece[T]
	end    func() // ends the request, which ends the goroutine; idempotent
	gone   chan struct{}
	failed error
}

func newStream[T any](end func()) *stream[T] {
	return &stream[T]{pieces: make(chan piece[T], streamBuffer), end: end, gone: make(chan struct{})}
}

// put gives an item to the reader; false once the reader has gone.
func (s *stream[T]) put(p piece[T]) bool {
	select {
	case s.pieces <- p:
		return true
	case <-s.gone:
		return false
	}
}

// next returns the items that are there; none when a sign came before them.
func (s *stream[T]) next(ctx context.Context) ([]T, error) {
	if s.failed != nil {
		return nil, s.failed
	}
	var list []T
	for {
		var p piece[T]
		if len(list) == 0 {
			select {
			case p = <-s.pieces:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		} else {
			select {
			case p = <-s.pieces:
			default:
				return list, nil
			}
		}
		if p.err != nil {
			s.failed = p.err
			if len(list) == 0 {
				return nil, p.err
			}
			return list, nil
		}
		if p.sign {
			return list, nil
		}
		list = append(list, p.item)
	}
}

func (s *stream[T]) close() {
	select {
	case <-s.gone:
	default:
		close(s.gone)
	}
	s.end()
}

// rowStream reads the rows of a query: one JSON array of header, rows and end.
type rowStream struct {
	*stream[executor.Row]
	dec *json.Decoder

	mu      sync.Mutex // guards bad
	bad     []executor.Problem
	fail    func([]byte) error
	columns []types.Column
	key     []bool
	push    bool
}

func newRowStream(body io.Reader, fail func([]byte) error, end func()) *rowStream {
	return &rowStream{stream: newStream[executor.Row](end), dec: json.NewDecoder(body), fail: fail}
}

// streamedRow is an element of the array: exactly one field is set.
type streamedRow struct {
	Header *struct {
		QueryID   string `json:"queryId"`
		Schema    string `json:"schema"`
		QueryType string `json:"queryType"`
	} `json:"header"`
	Row *struct {
		Columns   []json.RawMessage `json:"columns"`
		Tombstone bool              `json:"tombstone"`
	} `json:"row"`
	Error   json.RawMessage `json:"errorMessage"`
	Warning *server.Warning `json:"warning"`
	Message string          `json:"finalMessage"`
}

// header reads the first element and starts to read those behind it.
func (s *rowStream) header() (engine.Rows, error) {
	var first streamedRow
	if _, err := s.dec.Token(); err != nil {
		return engine.Rows{}, fmt.Errorf("read the server's rows: %w", err)
	}
	if err := s.dec.Decode(&first); err != nil {
		return engine.Rows{}, fmt.Errorf("read the server's rows: %w", err)
	}
	if first.Error != nil {
		return engine.Rows{}, s.fail(first.Error)
	}
	if first.Header == nil {
		return engine.Rows{}, errors.New("read the server's rows: they have no header")
	}
	var err error
	if s.columns, s.key, err = parseSchema(first.Header.Schema); err != nil {
		return engine.Rows{}, err
	}
	s.push = first.Header.QueryType == "PUSH"
	go s.read() // ends with the body, or by close
	return engine.Rows{QueryID: first.Header.QueryID, Push: s.push, Columns: s.columns, Key: s.key}, nil
}

// warn takes a problem that the server tells of, again when its count has grown.
func (s *rowStream) warn(w *server.Warning) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, p := range s.bad {
		if p.Cause == w.Cause && p.Effect == w.Effect {
			s.bad[i].Records = w.Records
			return
		}
	}
	if len(s.bad) <= executor.MaxProblems {
		s.bad = append(s.bad, executor.Problem(*w))
	}
}

func (s *rowStream) problems() []executor.Problem {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.bad)
}

func (s *rowStream) read() {
	for {
		row, err := s.readRow()
		if errors.Is(err, errWarned) {
			if !s.put(piece[executor.Row]{sign: true}) {
				return
			}
			continue
		}
		if !s.put(piece[executor.Row]{item: row, err: err}) || err != nil {
			return
		}
	}
}

// errWarned stands for a row where there is a warning.
var errWarned = errors.New("repl: a warning")

// readRow returns the next row, errWarned for a warning, io.EOF at the end that the server announced.
func (s *rowStream) readRow() (executor.Row, error) {
	for s.dec.More() {
		var e streamedRow
		if err := s.dec.Decode(&e); err != nil {
			return executor.Row{}, fmt.Errorf("the server has gone: %w", err)
		}
		switch {
		case e.Error != nil:
			return executor.Row{}, s.fail(e.Error)
		case e.Message == "Query Completed" && s.push: // another session ended it
			return executor.Row{}, executor.ErrClosed
		case e.Warning != nil:
			s.warn(e.Warning)
			return executor.Row{}, errWarned
		case e.Row != nil:
			return s.row(e.Row.Columns, e.Row.Tombstone)
		}
	}
	if _, err := s.dec.Token(); err != nil {
		return executor.Row{}, errors.New("the server has gone before the query's end")
	}
	return executor.Row{}, io.EOF
}

func (s *rowStream) row(columns []json.RawMessage, tombstone bool) (executor.Row, error) {
	if len(columns) != len(s.columns) {
		return executor.Row{}, fmt.Errorf("read the server's rows: %d values for %d columns", len(columns), len(s.columns))
	}
	row := executor.Row{Op: batch.Insert, Values: make([]types.Value, len(columns))}
	if tombstone {
		row.Op = batch.Delete
	}
	for i, text := range columns {
		var err error
		if row.Values[i], err = engine.ParseJSON(text, s.columns[i].Type); err != nil {
			return row, fmt.Errorf("read column %s: %w", s.columns[i].Name, err)
		}
	}
	return row, nil
}

// parseSchema reads a header's schema: `NAME` TYPE [KEY], ...
func parseSchema(text string) (columns []types.Column, key []bool, err error) {
	for _, part := range splitColumns(text) {
		part = strings.TrimSpace(part)
		isKey := strings.HasSuffix(part, " KEY")
		part = strings.TrimSuffix(part, " KEY")
		i := nameEnd(part)
		t, err := types.ParseType(strings.TrimSpace(part[i:]))
		if err != nil {
			return nil, nil, fmt.Errorf("read the server's schema: %w", err)
		}
		name := part[:i]
		if len(name) > 1 && name[0] == '`' {
			name = strings.ReplaceAll(name[1:len(name)-1], "``", "`")
		}
		columns, key = append(columns, types.Column{Name: name, Type: t}), append(key, isKey)
	}
	return columns, key, nil
}

// splitColumns cuts a schema at the commas between its columns.
func splitColumns(text string) []string {
	var parts []string
	depth, quoted, start := 0, false, 0
	for i := range len(text) {
		switch c := text[i]; {
		case c == '`':
			quoted = !quoted
		case quoted:
		case c == '<' || c == '(':
			depth++
		case c == '>' || c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, text[start:i])
			start = i + 1
		}
	}
	if strings.TrimSpace(text[start:]) == "" {
		return parts
	}
	return append(parts, text[start:])
}

// nameEnd returns where the name that begins a column ends; a doubled back-quote
// belongs to it.
func nameEnd(column string) int {
	quoted := false
	for i := range len(column) {
		switch {
		case column[i] == '`':
			quoted = !quoted
		case column[i] == ' ' && !quoted:
			return i
		}
	}
	return len(column)
}

// lineStream reads the lines of PRINT.
type lineStream struct{ *stream[string] }

func newLineStream(body io.Reader, end func()) *lineStream {
	s := &lineStream{newStream[string](end)}
	go func() { // ends with the body, or by close
		lines := bufio.NewScanner(body)
		lines.Buffer(nil, maxLineBytes)
		for lines.Scan() {
			if !s.put(piece[string]{item: lines.Text()}) {
				return
			}
		}
		err := lines.Err()
		if err == nil {
			err = io.EOF
		}
		s.put(piece[string]{err: err})
	}()
	return s
}
