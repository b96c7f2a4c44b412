package docs

import (
	"context"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/sql/function"
)

// session opens an engine in memory.
func session(t *testing.T) *engine.Session {
	t.Helper()
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	s := e.NewSession()
	for name, value := range map[string]string{"auto.offset.reset": "earliest", "millrace.pull.wait": "inputs"} {
		if err := s.SetProperty(name, value); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// query runs statements and returns the rows of the results as JSON values.
func query(t *testing.T, s *engine.Session, script string) (rows [][]string, err error) {
	t.Helper()
	err = s.Execute(t.Context(), script, func(r engine.Result) error {
		res, ok := r.(*engine.Rows)
		if !ok {
			return nil
		}
		defer res.Close()
		for {
			list, err := res.Next(t.Context())
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
			for _, row := range list {
				var out []string
				for i, v := range row.Values {
					out = append(out, string(engine.AppendJSON(nil, v, res.Columns[i].Type)))
				}
				rows = append(rows, out)
			}
		}
	})
	return rows, err
}

// TestFunctionExamples runs every example of every function.
func TestFunctionExamples(t *testing.T) {
	s := session(t)
	if _, err := query(t, s, `CREATE STREAM one (k INT KEY, x INT) WITH (KAFKA_TOPIC='one', VALUE_FORMAT='JSON', PARTITIONS=1);
		INSERT INTO one VALUES (1, 1);`); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range function.All() {
		if len(f.Examples) == 0 {
			t.Errorf("%s has no example", f.Name)
		}
		for _, e := range f.Examples {
			n++
			if !strings.Contains(e.Expr, f.Name+"(") {
				t.Errorf("%s does not call %s", e.Expr, f.Name)
			}
			got, err := evaluate(t, s, f.Class, e, n)
			if err != nil {
				t.Errorf("%s: %v", e.Expr, err)
			} else if got != e.Result {
				t.Errorf("%s\t=>\t%s\t, documented is %s", e.Expr, got, e.Result)
			}
		}
	}
}

// evaluate returns what an example gives, the rows of a table function joined as
// documented. n makes names unique.
func evaluate(t *testing.T, s *engine.Session, class function.Class, e function.Example, n int) (string, error) {
	script, rows := "", len(strings.Split(e.Result, function.ExampleRows))
	if class == function.Aggregate {
		script = fmt.Sprintf("CREATE STREAM s%d (k INT KEY, %s) WITH (KAFKA_TOPIC='s%d', VALUE_FORMAT='JSON', PARTITIONS=1);", n, e.Columns, n)
		for _, row := range e.Rows {
			script += fmt.Sprintf("INSERT INTO s%d VALUES (1, %s);", n, row)
		}
		script += fmt.Sprintf("CREATE TABLE t%d AS SELECT k, %s AS r FROM s%d GROUP BY k; SELECT r FROM t%d;", n, e.Expr, n, n)
	} else {
		script = fmt.Sprintf("SELECT %s AS r FROM one EMIT CHANGES LIMIT %d;", e.Expr, rows)
	}
	got, err := query(t, s, script)
	var out []string
	for _, row := range got {
		out = append(out, row[0])
	}
	return strings.Join(out, function.ExampleRows), err
}
