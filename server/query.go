package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/sql/types"
)

// The media types of streams of rows.
const (
	typeDelimited = "application/vnd.ksqlapi.delimited.v1"
	typeV1JSON    = "application/vnd.ksql.v1+json"
	typeJSON      = "application/json"
	typeProtobuf  = "application/vnd.ksql.v1+protobuf"
)

var (
	// errStop ends the execution of a request's script after its query.
	errStop = errors.New("server: the query has ended")
	// errNotQuery is the answer to other statements than queries.
	errNotQuery = errors.New("only SELECT and PRINT are answered here: use POST /ksql")
)

// query answers POST /query: rows in one JSON array, one object per line.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SQL              string         `json:"ksql"`
		Properties       map[string]any `json:"streamsProperties"`
		SessionVariables map[string]any `json:"sessionVariables"`
	}
	if !readBody(w, r, &body) {
		return
	}
	media := typeV1JSON
	if negotiate(r.Header.Get("Accept")) == typeProtobuf {
		media = typeProtobuf
	}
	s.stream(w, r, body.SQL, body.Properties, body.SessionVariables, media)
}

// queryStream answers POST /query-stream.
func (s *Server) queryStream(w http.ResponseWriter, r *http.Request) {
	var body struct {
		SQL              string         `json:"sql"`
		Properties       map[string]any `json:"properties"`
		SessionVariables map[string]any `json:"sessionVariables"`
	}
	if !readBody(w, r, &body) {
		return
	}
	media := negotiate(r.Header.Get("Accept"))
	if media == "" {
		writeError(w, http.StatusNotAcceptable, errorBody{Type: "generic_error", Code: 40600, Message: "none of the media types in Accept is available: " + strings.Join([]string{typeDelimited, typeV1JSON, typeJSON, typeProtobuf}, ", ")})
		return
	}
	s.stream(w, r, body.SQL, body.Properties, body.SessionVariables, media)
}

// negotiate picks the media type of a stream, "" when none is acceptable. The
// first acceptable one of the client's list wins.
func negotiate(accept string) string {
	if strings.TrimSpace(accept) == "" {
		return typeDelimited
	}
	for _, part := range strings.Split(accept, ",") {
		media, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		if strings.Contains(strings.ReplaceAll(params, " ", ""), "q=0") && !strings.Contains(params, "q=0.") {
			continue
		}
		switch strings.TrimSpace(media) {
		case typeDelimited, "*/*", "application/*":
			return typeDelimited
		case typeV1JSON:
			return typeV1JSON
		case typeJSON:
			return typeJSON
		case typeProtobuf:
			return typeProtobuf
		}
	}
	return ""
}

// stream runs one SELECT or PRINT and writes its rows.
func (s *Server) stream(w http.ResponseWriter, r *http.Request, script string, properties, variables map[string]any, media string) {
	session, ok := s.session(w, properties, variables)
	if !ok {
		return
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(s.stopping, cancel)()
	if n := countQueries(script); n > 1 {
		badRequest(w, "the request has %d queries: expected one SELECT or PRINT statement", n)
		return
	}
	out := newRowWriter(w, media)
	out.inline = out.objects() && r.Header.Get(WarningsHeader) == WarningsInline
	queries := 0
	err := session.Execute(ctx, script, func(result engine.Result) error {
		switch res := result.(type) {
		case *engine.Rows:
			defer res.Close()
			queries++
			return s.streamRows(ctx, out, res)
		case *engine.Lines:
			defer res.Close()
			queries++
			if media != typeDelimited && r.URL.Path == "/query-stream" {
				writeError(w, http.StatusNotAcceptable, errorBody{Type: "generic_error", Code: 40600, Message: "PRINT answers with " + typeDelimited + " only"})
				return errStop
			}
			return streamLines(ctx, w, res)
		case *engine.Done:
			if res.Command == nil {
				return nil // SET and the like, for the query behind them
			}
		}
		return errNotQuery
	})
	switch {
	case errors.Is(err, errStop) || r.Context().Err() != nil:
	case err == nil && queries == 0:
		badRequest(w, "the request has no query: expected one SELECT or PRINT statement")
	case err != nil && !out.started:
		status, body := statementError(err, script, nil)
		if errors.Is(err, errNotQuery) {
			status, body.Code = http.StatusBadRequest, 40000
		}
		writeError(w, status, body)
	case err != nil:
		_, body := statementError(err, script, nil)
		out.fail(body)
	}
}

// streamRows ends with the query, or with ctx: the client has gone, or the server
// stops.
func (s *Server) streamRows(ctx context.Context, out *rowWriter, rows *engine.Rows) error {
	if err := out.header(rows); err != nil {
		return err
	}
	for {
		list, err := rows.Next(ctx)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, executor.ErrClosed), s.stopping.Err() != nil:
			out.warn(rows.Problems(), true)
			out.end()
			return errStop
		case err != nil:
			out.warn(rows.Problems(), true)
			return err
		}
		for _, row := range list {
			if err := out.row(row); err != nil {
				return err
			}
		}
		out.warn(rows.Problems(), false)
		out.flush()
	}
}

func streamLines(ctx context.Context, w http.ResponseWriter, lines *engine.Lines) error {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	flusher := http.NewResponseController(w)
	if err := flusher.Flush(); err != nil {
		return errStop
	}
	for {
		list, err := lines.Next(ctx)
		if errors.Is(err, io.EOF) || ctx.Err() != nil {
			return errStop
		}
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, strings.Join(list, "\n")+"\n"); err != nil {
			return errStop
		}
		if err := flusher.Flush(); err != nil {
			return errStop
		}
	}
}

// rowWriter writes rows in one of the media types.
type rowWriter struct {
	w       http.ResponseWriter
	flusher *http.ResponseController
	media   string
	started bool
	columns []types.Column
	// message says that the last element is a message, and so that a comma may
	// stand behind every other one. Else commas stand before.
	message bool
	proto   *format.Row // writes rows of typeProtobuf
	limit   int64       // of rows, -1 for none
	rows    int64       // taken so far
	buf     []byte
	// inline says that the client takes warnings as elements; warned is how many
	// there were.
	inline bool
	warned int
}

func newRowWriter(w http.ResponseWriter, media string) *rowWriter {
	return &rowWriter{w: w, flusher: http.NewResponseController(w), media: media}
}

// objects reports whether each element is an object that says what it is, as in
// the older of the two shapes.
func (o *rowWriter) objects() bool { return o.media == typeV1JSON || o.media == typeProtobuf }

// header starts the stream with the columns. It fails, with nothing written yet,
// when they have no protobuf schema.
func (o *rowWriter) header(rows *engine.Rows) error {
	protoSchema, err := o.openProto(rows.Columns)
	if err != nil {
		return err
	}
	o.started, o.columns, o.limit = true, rows.Columns, rows.Limit
	o.message = o.objects() && (rows.Push || rows.Stream)
	o.w.Header().Set("Content-Type", o.media)
	names, kinds, schema := []string{}, []string{}, []string{}
	for i, c := range rows.Columns {
		names, kinds = append(names, c.Name), append(kinds, c.Type.String())
		text := types.QuoteName(c.Name) + " " + c.Type.String()
		if i < len(rows.Key) && rows.Key[i] {
			text += " KEY"
		}
		schema = append(schema, text)
	}
	var head any = map[string]any{"queryId": rows.QueryID, "columnNames": names, "columnTypes": kinds}
	if o.objects() {
		header := map[string]any{"queryId": rows.QueryID, "schema": strings.Join(schema, ", "), "queryType": rowsType(rows)}
		if o.media == typeProtobuf {
			header["protoSchema"] = protoSchema
		}
		head = map[string]any{"header": header}
	}
	b, err := engine.MarshalJSON(head)
	if err != nil {
		panic(err) // strings and maps of them marshal
	}
	if o.media != typeDelimited {
		o.buf = append(o.buf, '[')
	}
	o.buf = append(o.buf, b...)
	if o.media == typeDelimited {
		o.buf = append(o.buf, '\n')
	}
	o.behind()
	o.flush()
	return nil
}

// before and behind separate elements. A client that reads line by line gets a
// row of a push query when it is sent, not with the next one.
func (o *rowWriter) before() {
	if !o.message {
		o.buf = append(o.buf, ",\n"...)
	}
}

func (o *rowWriter) behind() {
	if o.message {
		o.buf = append(o.buf, ",\n"...)
	}
}

// rowsType stands in the header beside ksqlDB's fields.
func rowsType(rows *engine.Rows) string {
	if rows.Push {
		return typePush
	}
	return "PULL"
}

const typePush = "PUSH"

// row writes one row. The delimited stream has no tombstones.
func (o *rowWriter) row(r executor.Row) error {
	o.rows++
	deleted := r.Deleted()
	if deleted && !o.objects() {
		return nil
	}
	switch o.media {
	case typeV1JSON, typeProtobuf:
		o.before()
		if o.proto != nil {
			o.buf = append(o.buf, "{\"row\":{\"protobufBytes\":"...)
			if err := o.protoValues(r); err != nil {
				return err
			}
		} else {
			o.buf = append(o.buf, "{\"row\":{\"columns\":"...)
			o.values(r)
		}
		if deleted {
			o.buf = append(o.buf, `,"tombstone":true`...)
		}
		o.buf = append(o.buf, "}}"...)
		o.behind()
	case typeJSON:
		o.buf = append(o.buf, ",\n"...)
		o.values(r)
	default:
		o.values(r)
		o.buf = append(o.buf, '\n')
	}
	return nil
}

func (o *rowWriter) values(r executor.Row) {
	o.buf = append(o.buf, '[')
	for i, v := range r.Values {
		if i > 0 {
			o.buf = append(o.buf, ',')
		}
		o.buf = engine.AppendJSON(o.buf, v, o.columns[i].Type)
	}
	o.buf = append(o.buf, ']')
}

// end closes the stream.
func (o *rowWriter) end() {
	if o.message {
		msg := "Query Completed"
		if o.limit >= 0 && o.rows >= o.limit {
			msg = "Limit Reached"
		}
		o.buf = append(o.buf, fmt.Sprintf("{\"finalMessage\":%q}", msg)...)
	}
	if o.media != typeDelimited {
		o.buf = append(o.buf, "]\n"...)
	}
	o.flush()
}

// fail ends a stream that has started with an error.
func (o *rowWriter) fail(body errorBody) {
	b, err := engine.MarshalJSON(body)
	if err != nil {
		return
	}
	switch o.media {
	case typeV1JSON, typeProtobuf:
		o.before()
		o.buf = append(o.buf, fmt.Sprintf("{\"errorMessage\":%s}]\n", b)...)
	case typeJSON:
		o.buf = append(o.buf, fmt.Sprintf(",\n%s]\n", b)...)
	default:
		o.buf = append(append(o.buf, b...), '\n')
	}
	o.flush()
}

// flush sends what is buffered. An error means that the client has gone, which
// ends the query through the request's context.
func (o *rowWriter) flush() {
	if _, err := o.w.Write(o.buf); err == nil {
		_ = o.flusher.Flush()
	}
	o.buf = o.buf[:0]
}
