package repl

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/server"
	"github.com/millrace/millrace/sql"
)

// Limits of a connection to a server.
const (
	// ReadyTimeout is how long a statement is tried again while the server does
	// not answer or is not ready.
	ReadyTimeout = 30 * time.Second
	// ListenTimeout is how long nothing may listen at the server's address: one
	// that was just started listens within a second.
	ListenTimeout = 5 * time.Second
	// retryInterval lies between two attempts.
	retryInterval = 100 * time.Millisecond
	// maxAnswerBytes bounds the answer to one statement.
	maxAnswerBytes = 64 << 20
)

// Remote is a Backend over HTTP. What SET and DEFINE change stays here and goes
// with every request. It is for one goroutine.
type Remote struct {
	url     string
	http    *http.Client
	clock   clock.Clock
	session *engine.ClientSession
	// Notices gets a line when the server does not answer and is asked again, nil
	// for none.
	Notices io.Writer
	noticed bool
}

// NewRemote returns a backend over the server at an address: http://HOST:PORT, or
// HOST:PORT. Nothing is sent yet. Errors: an address that is none.
func NewRemote(address string) (*Remote, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("--server %s: expected http://HOST:PORT", address)
	}
	return &Remote{url: strings.TrimRight(u.String(), "/"), http: &http.Client{}, clock: clock.System, session: engine.NewClientSession()}, nil
}

// SetProperty sets a property as SET does.
func (r *Remote) SetProperty(name, value string) error { return r.session.SetProperty(name, value) }

// Execute sends the statements of a script one by one, so that what one of them
// sets holds for those behind it.
func (r *Remote) Execute(ctx context.Context, script string, yield func(engine.Result) error) error {
	spans, rest := sql.Split(script)
	if rest != (sql.Span{}) && strings.TrimSpace(script[rest.Start:rest.End]) != "" {
		spans = append(spans, rest)
	}
	for _, span := range spans {
		result, handled, err := r.session.Execute(script, span)
		if !handled && err == nil {
			result, err = r.send(ctx, script, span)
		}
		if err != nil {
			return err
		}
		if err := yield(result); err != nil {
			return err
		}
	}
	return nil
}

// send gives one statement to the endpoint that answers its kind.
func (r *Remote) send(ctx context.Context, script string, span sql.Span) (engine.Result, error) {
	text := script[span.Start:span.End]
	fail := func(body []byte) error { return server.DecodeError(body, text, script, span.Start) }
	switch firstWord(text) {
	case "SELECT":
		return r.query(ctx, text, fail)
	case "PRINT":
		return r.print(ctx, text, fail)
	}
	resp, err := r.post(ctx, "/ksql", "application/json", map[string]any{
		"ksql": text, "streamsProperties": r.session.Properties(), "sessionVariables": r.session.Variables()}, fail)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", r.url, err)
	}
	var entities []json.RawMessage
	if err := json.Unmarshal(body, &entities); err != nil {
		return nil, fmt.Errorf("decode the answer of %s: %w", r.url, err)
	}
	if len(entities) == 0 {
		return &engine.Done{}, nil
	}
	return server.DecodeEntity(entities[0])
}

// firstWord returns the first word of a statement in upper case.
func firstWord(text string) string {
	for _, tok := range sql.Scan(text) {
		if tok.Kind != sql.TokComment {
			return strings.ToUpper(text[tok.Span.Start:tok.Span.End])
		}
	}
	return ""
}

// post sends a request; it tries again for ReadyTimeout while nothing listens or
// the server is not ready, in which case nothing was executed. fail turns the
// body of an error into the error.
func (r *Remote) post(ctx context.Context, path, accept string, body any, fail func([]byte) error) (*http.Response, error) {
	payload, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	began := r.clock.Now()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(payload))
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Accept", accept)
		req.Header.Set(server.WarningsHeader, server.WarningsInline)
		resp, err := r.http.Do(req)
		retry, patience := errors.Is(err, syscall.ECONNREFUSED), ReadyTimeout
		switch {
		case retry:
			patience = ListenTimeout
			r.notice()
			err = fmt.Errorf("no server answers at %s: start one with `millrace server`, or leave --server out", r.url)
		case err != nil:
			return nil, fmt.Errorf("ask the server: %w", err)
		case resp.StatusCode == http.StatusOK:
			return resp, nil
		default:
			text, readErr := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes))
			if err := errors.Join(readErr, resp.Body.Close()); err != nil {
				return nil, fmt.Errorf("read the answer of %s: %w", r.url, err)
			}
			retry = resp.StatusCode == http.StatusServiceUnavailable && notReady(text)
			err = fail(text)
		}
		if !retry || r.clock.Now().Sub(began) >= patience {
			return nil, err
		}
		timer := r.clock.NewTimer(retryInterval)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil, ctx.Err()
		}
	}
}

// notice says once that nothing listens at the server's address, before the time
// is over for which it is asked again.
func (r *Remote) notice() {
	if r.Notices != nil && !r.noticed {
		fmt.Fprintf(r.Notices, "nothing listens at %s: trying again for %s\n", r.url, ListenTimeout)
	}
	r.noticed = true
}

// codeNotReady is the error_code of a server that is starting.
const codeNotReady = 50302

func notReady(body []byte) bool {
	var e struct {
		Code int `json:"error_code"`
	}
	return json.Unmarshal(body, &e) == nil && e.Code == codeNotReady
}

func (r *Remote) queryBody(text string) map[string]any {
	return map[string]any{"sql": text, "properties": r.session.Properties(), "sessionVariables": r.session.Variables()}
}

// query runs a SELECT; its rows come as they are asked for.
func (r *Remote) query(ctx context.Context, text string, fail func([]byte) error) (engine.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := r.post(ctx, "/query-stream", typeRows, r.queryBody(text), fail)
	if err != nil {
		cancel()
		return nil, err
	}
	s := newRowStream(resp.Body, fail, sync.OnceFunc(func() { cancel(); resp.Body.Close() }))
	rows, err := s.header()
	if err != nil {
		s.close()
		return nil, err
	}
	if rows.Push && r.session.Property("auto.offset.reset") == "latest" {
		rows.Hint = engine.LatestHint
	}
	return engine.NewRows(rows, s.next, s.problems, s.close), nil
}

// print runs a PRINT.
func (r *Remote) print(ctx context.Context, text string, fail func([]byte) error) (engine.Result, error) {
	ctx, cancel := context.WithCancel(ctx)
	resp, err := r.post(ctx, "/query-stream", "*/*", r.queryBody(text), fail)
	if err != nil {
		cancel()
		return nil, err
	}
	s := newLineStream(resp.Body, sync.OnceFunc(func() { cancel(); resp.Body.Close() }))
	return engine.NewLines(s.next, s.close), nil
}

// Names are what completion offers. A server that does not answer gives none, or
// some of them.
func (r *Remote) Names(ctx context.Context) Names {
	var names Names
	for _, statement := range []string{"DESCRIBE STREAMS;", "DESCRIBE TABLES;", "SHOW QUERIES;", "SHOW TYPES;"} {
		result, err := r.send(ctx, statement, sql.Span{End: len(statement)})
		if err != nil {
			return names
		}
		switch list := result.(type) {
		case *engine.SourceDescriptions:
			for _, d := range list.Sources {
				names.Sources = append(names.Sources, SourceOf(d.Source))
			}
		case *engine.QueryList:
			names.Queries = list.Queries
		case *engine.TypeList:
			for _, t := range list.Types {
				names.Types = append(names.Types, t.Name)
			}
		}
	}
	return names
}
