package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// Limits of the HTTP listener.
const (
	// MaxBodyBytes bounds a request's body.
	MaxBodyBytes = 16 << 20
	// HeaderTimeout bounds how long a client may take to send its headers.
	HeaderTimeout = 10 * time.Second
	// IdleTimeout closes a silent connection (ksql.idle.connection.timeout.seconds).
	IdleTimeout = 600 * time.Second
)

// Server answers HTTP requests with an engine.
type Server struct {
	engine *engine.Engine
	http   *http.Server
	logger *slog.Logger

	// stopping ends the streams that run; Close cancels it.
	stopping context.Context
	stop     context.CancelFunc
}

// New returns a server over an engine.
func New(e *engine.Engine, logger *slog.Logger) *Server {
	s := &Server{engine: e, logger: logger}
	s.stopping, s.stop = context.WithCancel(context.Background())
	mux := http.NewServeMux()
	mux.HandleFunc("POST /ksql", s.ksql)
	mux.HandleFunc("POST /query", s.query)
	mux.HandleFunc("POST /query-stream", s.queryStream)
	mux.HandleFunc("POST /close-query", s.closeQuery)
	mux.HandleFunc("GET /info", s.info)
	mux.HandleFunc("GET /healthcheck", s.health)
	mux.HandleFunc("GET /status", s.statuses)
	mux.HandleFunc("GET /status/{type}/{entity}/{action}", s.status)
	mux.HandleFunc("GET /chc/ready", ok)
	mux.HandleFunc("GET /chc/live", ok)
	mux.HandleFunc("GET /v1/metadata", s.metadata)
	mux.HandleFunc("GET /v1/metadata/id", s.metadataID)
	mux.HandleFunc("GET /is_valid_property/{name}", s.validProperty)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/info", http.StatusTemporaryRedirect)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "Not Found", http.StatusNotFound) })
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	s.http = &http.Server{Handler: s.recovered(mux), ReadHeaderTimeout: HeaderTimeout, IdleTimeout: IdleTimeout, Protocols: protocols,
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug)}
	return s
}

// Serve answers on l until Close.
func (s *Server) Serve(l net.Listener) error {
	if err := s.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Close stops taking requests, ends the streams and waits for what runs, until
// ctx ends.
func (s *Server) Close(ctx context.Context) error {
	s.stop()
	if err := s.http.Shutdown(ctx); err != nil {
		return s.http.Close()
	}
	return nil
}

// recovered turns a panic of a handler into an error of that request.
func (s *Server) recovered(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			if p := recover(); p != nil && p != http.ErrAbortHandler {
				s.logger.Error("request failed", "path", r.URL.Path, "panic", p)
				writeError(w, http.StatusInternalServerError, errorBody{Type: "generic_error", Code: 50000, Message: "internal error"})
			}
		}()
		h.ServeHTTP(w, r)
	})
}

// errorBody is the JSON of an error: ksqlDB's fields, and Detail beside them.
type errorBody struct {
	Type      string       `json:"@type"`
	Code      int          `json:"error_code"`
	Message   string       `json:"message"`
	Statement *string      `json:"statementText,omitempty"`
	Entities  *[]any       `json:"entities,omitempty"`
	SQLCode   string       `json:"code,omitempty"`
	Detail    *errorDetail `json:"detail,omitempty"`
}

// errorDetail is what a client needs to show an error as a session in process
// does: spans are byte ranges of Text.
type errorDetail struct {
	Message string      `json:"message"`
	Start   int         `json:"start"`
	End     int         `json:"end"`
	Hint    string      `json:"hint,omitempty"`
	Notes   []errorNote `json:"notes,omitempty"`
	Text    string      `json:"text"`
}

type errorNote struct {
	Message string `json:"message"`
	Start   int    `json:"start"`
	End     int    `json:"end"`
}

func detailOf(st *engine.StatementError) *errorDetail {
	d := &errorDetail{Message: st.Err.Msg, Start: st.Err.Span.Start, End: st.Err.Span.End, Hint: st.Err.Hint, Text: st.Text}
	for _, n := range st.Err.Notes {
		d.Notes = append(d.Notes, errorNote{n.Msg, n.Span.Start, n.Span.End})
	}
	return d
}

func writeError(w http.ResponseWriter, status int, body errorBody) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	b, err := engine.MarshalJSON(body)
	if err != nil {
		return
	}
	w.Write(b) //nolint:errcheck // the client has gone
}

// badRequest answers 400 with a generic error.
func badRequest(w http.ResponseWriter, format string, args ...any) {
	writeError(w, http.StatusBadRequest, errorBody{Type: "generic_error", Code: 40000, Message: fmt.Sprintf(format, args...)})
}

// statementError maps an error of a statement to status and body.
func statementError(err error, statement string, entities []any) (int, errorBody) {
	var st *engine.StatementError
	if !errors.As(err, &st) {
		return http.StatusInternalServerError, errorBody{Type: "generic_error", Code: 50000, Message: err.Error()}
	}
	if entities == nil {
		entities = []any{}
	}
	status, code := http.StatusBadRequest, 40001
	if st.Err.Code == sql.CodeAssertion {
		status, code = http.StatusExpectationFailed, 41700
	}
	return status, errorBody{Type: "statement_error", Code: code, Message: st.Format(), Statement: &statement, Entities: &entities, SQLCode: string(st.Err.Code), Detail: detailOf(st)}
}

// readBody decodes a JSON request; it answers the error itself.
func readBody(w http.ResponseWriter, r *http.Request, into any) bool {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBodyBytes))
	if err != nil {
		badRequest(w, "the request's body cannot be read: %v", err)
		return false
	}
	if err := json.Unmarshal(body, into); err != nil {
		what := "it is not JSON"
		if t := new(json.UnmarshalTypeError); errors.As(err, &t) {
			what = "a " + t.Value + " stands where something else is due"
			if t.Field != "" {
				what = "field " + t.Field + " must not be a " + t.Value
			}
		}
		badRequest(w, "the request's body is not the JSON object that is expected: %s", what)
		return false
	}
	return true
}

// session makes the session of a request.
func (s *Server) session(w http.ResponseWriter, properties map[string]any, variables map[string]any) (*engine.Session, bool) {
	session := s.engine.NewSession()
	for name, value := range properties {
		if err := session.SetProperty(name, fmt.Sprint(value)); err != nil {
			badRequest(w, "%v", err)
			return nil, false
		}
	}
	for name, value := range variables {
		session.SetVariable(name, fmt.Sprint(value))
	}
	return session, true
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := engine.MarshalJSON(v)
	if err != nil {
		writeError(w, http.StatusInternalServerError, errorBody{Type: "generic_error", Code: 50000, Message: err.Error()})
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(b) //nolint:errcheck // the client has gone
}

func ok(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, struct{}{}) }

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	status := "RUNNING"
	if s.engine.Err() != nil {
		status = "ERROR"
	}
	writeJSON(w, http.StatusOK, map[string]any{"KsqlServerInfo": map[string]any{
		"version": engine.Version, "kafkaClusterId": "millrace", "ksqlServiceId": s.engine.ServiceID(), "serverStatus": status,
	}})
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	healthy := s.engine.Err() == nil
	status := http.StatusOK
	if !healthy {
		status = http.StatusServiceUnavailable
	}
	part := map[string]any{"isHealthy": healthy}
	writeJSON(w, status, map[string]any{"isHealthy": healthy, "serverState": "READY",
		"details": map[string]any{"metastore": part, "kafka": part, "commandRunner": part}})
}

func (s *Server) clusterID() map[string]any {
	return map[string]any{"id": "", "scope": map[string]any{"path": []any{},
		"clusters": map[string]any{"kafka-cluster": "millrace", "ksql-cluster": s.engine.ServiceID()}}}
}

func (s *Server) metadata(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"version": engine.Version, "clusterId": s.clusterID()})
}

func (s *Server) metadataID(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, s.clusterID())
}

func (s *Server) validProperty(w http.ResponseWriter, r *http.Request) {
	if !engine.KnownProperty(r.PathValue("name")) {
		badRequest(w, "One or more properties overrides set locally are prohibited by the KSQL server (use UNSET to reset their default value): [%s]", r.PathValue("name"))
		return
	}
	writeJSON(w, http.StatusOK, true)
}

func (s *Server) closeQuery(w http.ResponseWriter, r *http.Request) {
	var body struct {
		QueryID string `json:"queryId"`
	}
	if !readBody(w, r, &body) {
		return
	}
	if !s.engine.ClosePush(body.QueryID) {
		badRequest(w, "No query with id %s", body.QueryID)
		return
	}
	w.WriteHeader(http.StatusOK)
}
