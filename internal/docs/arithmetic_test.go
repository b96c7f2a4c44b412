package docs

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
)

// TestArithmeticExamples runs every example of the arithmetic page: its type, its
// value, and what is told of the records that went wrong.
func TestArithmeticExamples(t *testing.T) {
	s := session(t)
	if _, err := query(t, s, arithmeticRow); err != nil {
		t.Fatal(err)
	}
	for _, section := range arithmeticSections {
		for _, e := range section.Examples {
			if got := runArithmetic(t, s, e); got != e {
				t.Errorf("%s\n gives        %+v\ndocumented is %+v", e.query(), got, e)
			}
		}
	}
}

// runArithmetic returns an example with what it gives.
func runArithmetic(t *testing.T, s *engine.Session, e arithmeticExample) arithmeticExample {
	got := arithmeticExample{Expr: e.Expr}
	err := s.Execute(t.Context(), e.query(), func(r engine.Result) error {
		rows := r.(*engine.Rows)
		defer rows.Close()
		var typs, values, problems []string
		for _, c := range rows.Columns {
			typs = append(typs, c.Type.String())
		}
		for {
			list, err := rows.Next(t.Context())
			for _, row := range list {
				for i, v := range row.Values {
					values = append(values, string(engine.AppendJSON(nil, v, rows.Columns[i].Type)))
				}
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
		}
		for _, p := range rows.Problems() {
			problems = append(problems, p.Text())
		}
		got.Type, got.Result, got.Problem = strings.Join(typs, ", "), strings.Join(values, ", "), strings.Join(problems, "; ")
		return nil
	})
	if err != nil {
		got.Error = err.Error()
	}
	return got
}
