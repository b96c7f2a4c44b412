package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// restError is an error answer of the server.
type restError struct {
	status  int
	message string
	code    sql.Code
	// start is where in the request's script the error is, -1 when it says nothing.
	start int
}

func (e *restError) Error() string { return fmt.Sprintf("HTTP %d: %s", e.status, e.message) }

// properties are the request properties: those of the corpus's server, and the
// case's over them.
func (r *restRunner) properties() map[string]any {
	all := map[string]any{"auto.offset.reset": "earliest", "ksql.query.pull.table.scan.enabled": true, "ksql.query.push.v2.enabled": true}
	maps.Copy(all, r.c.Properties)
	return all
}

func (r *restRunner) post(ctx context.Context, path, script, accept string) (*http.Response, error) {
	body, err := engine.MarshalJSON(map[string]any{"ksql": script, "streamsProperties": r.properties()})
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.url+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	return r.client.Do(req)
}

// sendAdmin sends the statements before the first query as one request.
func (r *restRunner) sendAdmin(ctx context.Context, statements []string) error {
	resp, err := r.post(ctx, "/ksql", strings.Join(statements, "\n"), "")
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return parseError(resp.StatusCode, body)
	}
	got, err := parseJSON(body)
	if err != nil {
		return err
	}
	entities, ok := got.([]any)
	if !ok {
		return fmt.Errorf("the answer is not a list: %s", body)
	}
	for i, e := range entities {
		r.answers = append(r.answers, answer{statement: statements[min(i, len(statements)-1)], admin: e})
	}
	return nil
}

// sendQuery sends one query to POST /query and reads it to its end. started, if
// there is one, is called when the header is there.
func (r *restRunner) sendQuery(ctx context.Context, text string, started func(context.Context) error) error {
	a, err := r.readQuery(ctx, text, "", started)
	if err != nil {
		return err
	}
	r.answers = append(r.answers, a)
	return nil
}

// readQuery sends a query and reads its elements.
func (r *restRunner) readQuery(ctx context.Context, text, accept string, started func(context.Context) error) (answer, error) {
	a := answer{statement: text}
	resp, err := r.post(ctx, "/query", text, accept)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			return a, err
		}
		return a, parseError(resp.StatusCode, body)
	}
	lines := bufio.NewReader(resp.Body)
	for {
		line, err := lines.ReadString('\n')
		element := strings.Trim(strings.TrimSpace(line), ",")
		if len(a.rows) == 0 {
			element = strings.TrimPrefix(element, "[")
		}
		element = strings.TrimSuffix(element, "]")
		if element != "" {
			got, err := parseJSON([]byte(element))
			if err != nil {
				return a, fmt.Errorf("%s: %w", element, err)
			}
			if failed, ok := got.(map[string]any)["errorMessage"]; ok {
				body, err := json.Marshal(failed)
				if err != nil {
					return a, err
				}
				return a, parseError(0, body)
			}
			a.rows = append(a.rows, got)
			if started != nil {
				if err := started(ctx); err != nil {
					return a, err
				}
				started = nil
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return a, fmt.Errorf("%d elements, then: %w", len(a.rows), err)
		}
	}
	return a, nil
}

// parseError reads an error's body; status 0 takes that of the error's code.
func parseError(status int, body []byte) error {
	e := &restError{status: status, start: -1}
	var fields struct {
		ErrorCode int    `json:"error_code"`
		Message   string `json:"message"`
		Code      string `json:"code"`
		Detail    *struct {
			Start int `json:"start"`
		} `json:"detail"`
	}
	if err := json.Unmarshal(body, &fields); err != nil {
		return fmt.Errorf("HTTP %d with a body that is no error: %s", status, body)
	}
	e.message, e.code = fields.Message, sql.Code(fields.Code)
	if e.status == 0 {
		e.status = fields.ErrorCode / 100
	}
	if fields.Detail != nil {
		e.start = fields.Detail.Start
	}
	return e
}
