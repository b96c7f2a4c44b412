package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/sql"
)

// judgeRejection passes a case that expects an error when the server refuses its
// last statement with the status expected, for a reason other than something that
// is not built.
func (r *restRunner) judgeRejection(err error, v *verdict) {
	want := r.c.ExpectedException
	if err == nil {
		v.Error = "accepted, expected: " + want.Message
		return
	}
	v.Error = err.Error()
	var got *restError
	// Without a code the error is about the request, not about the statement.
	if !errors.As(err, &got) || got.code == "" || got.code == sql.CodeUnsupported || got.code == sql.CodeInternal {
		return
	}
	last := len(r.c.Statements) - 1
	if r.sent <= last || got.start >= 0 && r.isAdmin() && got.start < len(strings.Join(r.c.Statements[:last], "\n")) {
		return
	}
	if want.Status != nil && *want.Status != got.status {
		v.Error = fmt.Sprintf("status %d, expected %d: %s", got.status, *want.Status, got.message)
		return
	}
	match := strings.Contains(squash(got.message), squash(want.Message))
	v.MessageMatch = &match
	v.Verdict = passed
}

// isAdmin reports whether all statements of the case went in one request.
func (r *restRunner) isAdmin() bool {
	return !slices.ContainsFunc(r.c.Statements, func(s string) bool { return strings.HasPrefix(s, "SELECT ") })
}

// checkResponses compares the answers with those of the case.
func (r *restRunner) checkResponses() error {
	next := 0
	for i, want := range r.c.Responses {
		if want.QueryProto != nil {
			continue // compareProto
		}
		if next >= len(r.answers) {
			return fmt.Errorf("%d answers, expected %d", len(r.answers), len(r.c.Responses))
		}
		got := r.answers[next]
		next++
		var err error
		if want.Admin != nil {
			err = compareText(want.Admin, got.admin, got.statement)
		} else {
			err = r.checkRows(want.Query, got)
		}
		if err != nil {
			return fmt.Errorf("answer %d: %w", i, err)
		}
	}
	return nil
}

// checkRows compares a query's result: header and final message by position, rows
// as a multiset unless the case wants their order.
func (r *restRunner) checkRows(want []json.RawMessage, got answer) error {
	var expected []any
	for _, w := range want {
		v, err := parseJSON(w)
		if err != nil {
			return err
		}
		expected = append(expected, v)
	}
	if len(expected) != len(got.rows) {
		return fmt.Errorf("%d elements, expected %d\n got: %s\nwant: %s", len(got.rows), len(expected), text(got.rows), text(expected))
	}
	free := make([]any, 0, len(got.rows))
	for _, g := range got.rows {
		if isRow(g) {
			free = append(free, g)
		}
	}
	for i, w := range expected {
		if !isRow(w) || r.c.OutputConditions.VerifyOrder {
			if err := subset(w, got.rows[i], got.statement); err != nil {
				return err
			}
			continue
		}
		at := slices.IndexFunc(free, func(g any) bool { return subset(w, g, got.statement) == nil })
		if at < 0 {
			return fmt.Errorf("no row %s\n got: %s", text(w), text(got.rows))
		}
		free = slices.Delete(free, at, at+1)
	}
	return nil
}

func isRow(v any) bool {
	m, ok := v.(map[string]any)
	_, row := m["row"]
	return ok && row
}

func compareText(want json.RawMessage, got any, statement string) error {
	w, err := parseJSON(want)
	if err != nil {
		return err
	}
	return subset(w, got, statement)
}

// subset compares JSON values: of objects only the fields expected, all else
// exactly. A name that ends in |starts_with compares a prefix, and {STATEMENT}
// stands for the statement's text.
func subset(want, got any, statement string) error {
	w, ok := want.(map[string]any)
	if !ok {
		return exactly(want, got, statement)
	}
	g, ok := got.(map[string]any)
	if !ok {
		return fmt.Errorf("%s, expected %s", text(got), text(want))
	}
	for name, value := range w {
		field, prefix := strings.CutSuffix(name, "|starts_with")
		actual, ok := g[field]
		if !ok {
			return fmt.Errorf("no field %s in %s", field, text(got))
		}
		if prefix {
			if !strings.HasPrefix(fmt.Sprint(actual), fmt.Sprint(value)) {
				return fmt.Errorf("%s: %s, expected to start with %s", field, text(actual), text(value))
			}
			continue
		}
		if err := subset(value, actual, statement); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

func exactly(want, got any, statement string) error {
	same := false
	switch w := want.(type) {
	case nil:
		same = got == nil
	case bool:
		same = got == w
	case string:
		same = got == strings.ReplaceAll(w, "{STATEMENT}", statement)
	case json.Number:
		g, ok := got.(json.Number)
		same = ok && decimalsEqual(string(w), string(g))
	case []any:
		g, ok := got.([]any)
		if same = ok && len(w) == len(g); same {
			for i := range w {
				if err := exactly(w[i], g[i], statement); err != nil {
					return fmt.Errorf("[%d]: %w", i, err)
				}
			}
		}
	case map[string]any:
		g, ok := got.(map[string]any)
		if same = ok && len(w) == len(g); same {
			return subset(want, got, statement)
		}
	}
	if !same {
		return fmt.Errorf("%s, expected %s", text(got), text(want))
	}
	return nil
}
