package docs

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/sql"
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

// TestStatementExamples runs the examples of statements in order and holds the
// table against the statements that package sql has.
func TestStatementExamples(t *testing.T) {
	s, documented := session(t), map[string]bool{}
	for _, d := range Statements {
		documented[d.Node] = true
		stmts, errs := sql.Parse(d.Example)
		if len(errs) > 0 {
			t.Errorf("%s: %v", d.Example, errs[0])
		}
		for _, stmt := range stmts {
			if got := strings.TrimPrefix(fmt.Sprintf("%T", stmt), "*sql."); got != d.Node {
				t.Errorf("%s is a %s, documented as %s", d.Example, got, d.Node)
			}
		}
		err := runExample(t, s, d.Example)
		var st *engine.StatementError
		switch {
		case !d.Unsupported && err != nil:
			t.Errorf("%s: %v", d.Example, err)
		case d.Unsupported && (!errors.As(err, &st) || st.Err.Code != sql.CodeUnsupported):
			t.Errorf("%s: documented as not supported, got %v", d.Example, err)
		}
	}
	for _, name := range statementNodes(t) {
		if !documented[name] {
			t.Errorf("sql.%s is not documented", name)
		}
	}
}

// runExample executes statements to the end of their results.
func runExample(t *testing.T, s *engine.Session, script string) error {
	return s.Execute(t.Context(), script, func(r engine.Result) error {
		switch r := r.(type) {
		case *engine.Rows:
			defer r.Close()
			return drain(t.Context(), func(ctx context.Context) (int, error) { rows, err := r.Next(ctx); return len(rows), err })
		case *engine.Lines:
			defer r.Close()
			return drain(t.Context(), func(ctx context.Context) (int, error) { lines, err := r.Next(ctx); return len(lines), err })
		}
		return nil
	})
}

// drain reads a result to its end, which must not be empty.
func drain(ctx context.Context, next func(context.Context) (int, error)) error {
	total := 0
	for {
		n, err := next(ctx)
		if total += n; errors.Is(err, io.EOF) && total > 0 {
			return nil
		}
		if errors.Is(err, io.EOF) {
			return errors.New("the result is empty")
		}
		if err != nil {
			return err
		}
	}
}

// statementNodes lists the types of package sql that embed StmtNode.
func statementNodes(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../sql/ast_stmt.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok {
			return true
		}
		if body, ok := spec.Type.(*ast.StructType); ok {
			for _, f := range body.Fields.List {
				if id, ok := f.Type.(*ast.Ident); ok && id.Name == "StmtNode" && len(f.Names) == 0 {
					names = append(names, spec.Name.Name)
				}
			}
		}
		return true
	})
	if len(names) < 10 {
		t.Fatalf("found only the statements %v", names)
	}
	return names
}

// TestPagesAreUpToDate compares the committed pages with what the code says.
func TestPagesAreUpToDate(t *testing.T) {
	for _, p := range Pages() {
		got, err := os.ReadFile(filepath.Join("../../docs", p.Name))
		if err != nil {
			t.Error(err)
		} else if string(got) != p.Text {
			t.Errorf("docs/%s is out of date: run go run . docs docs", p.Name)
		}
	}
}
