package sql

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// TestGolden runs testdata. Commands:
//
//	parse       prints the tree of every statement, and errors with carets
//	print       prints the canonical text of every statement
//	scan        prints the tokens
//	split       prints the statements and the rest
//	substitute  replaces variables, given as k=v arguments
//	suggest     first word against the others
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "/fuzz") {
			return
		}
		datadriven.RunTest(t, path, runGolden)
	})
}

// TestErrorScripts runs the syntax errors among the repository's error scripts.
func TestErrorScripts(t *testing.T) {
	datadriven.Walk(t, "../testdata/error", func(t *testing.T, path string) {
		if strings.Contains(path, "/syntax_") {
			datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
				_, errs := Parse(td.Input)
				return formatAll(td.Input, errs)
			})
		}
	})
}

func formatAll(text string, errs []*Error) string {
	var b strings.Builder
	for _, e := range errs {
		b.WriteString(Format(text, e))
	}
	return b.String()
}

func runGolden(t *testing.T, td *datadriven.TestData) string {
	var b strings.Builder
	switch td.Cmd {
	case "parse":
		stmts, errs := Parse(td.Input)
		for _, s := range stmts {
			b.WriteString(dump(td.Input, s))
		}
		b.WriteString(formatAll(td.Input, errs))
	case "print":
		stmts, errs := Parse(td.Input)
		for _, s := range stmts {
			b.WriteString(PrintStatement(s) + "\n")
		}
		b.WriteString(formatAll(td.Input, errs))
	case "scan":
		for _, tok := range Scan(td.Input) {
			fmt.Fprintf(&b, "%d %s %q\n", tok.Kind, tok.Word, td.Input[tok.Span.Start:tok.Span.End])
		}
	case "split":
		stmts, rest := Split(td.Input)
		for _, s := range stmts {
			fmt.Fprintf(&b, "%q\n", td.Input[s.Start:s.End])
		}
		if rest != (Span{}) {
			fmt.Fprintf(&b, "rest %q\n", td.Input[rest.Start:rest.End])
		}
	case "substitute":
		vars := map[string]string{}
		for _, a := range td.CmdArgs {
			vars[a.Key] = strings.Join(a.Vals, ",")
		}
		out, err := Substitute(td.Input, vars)
		if err != nil {
			return Format(td.Input, err)
		}
		return out + "\n"
	case "suggest":
		words := strings.Fields(td.Input)
		return fmt.Sprintf("%q\n", Suggest(words[0], words[1:]))
	default:
		t.Fatalf("unknown command %s", td.Cmd)
	}
	return b.String()
}

func TestLimits(t *testing.T) {
	nest := func(n int) string {
		return "SELECT " + strings.Repeat("(", n) + "1" + strings.Repeat(")", n) + " FROM t;"
	}
	chain := func(n int) string { return "SELECT 1 FROM t WHERE a = 1" + strings.Repeat(" OR a = 2", n) + ";" }
	types := func(n int) string {
		return "CREATE TYPE t AS " + strings.Repeat("ARRAY<", n) + "INT" + strings.Repeat(">", n) + ";"
	}
	for _, c := range []struct {
		name, text string
		code       Code
	}{
		{"nesting within", nest(MaxNesting - 10), ""},
		{"nesting beyond", nest(MaxNesting + 1), CodeLimit},
		{"huge nesting", nest(100_000), CodeLimit},
		{"operators within", chain(2000), ""},
		{"operators beyond", chain(MaxOperators), CodeLimit},
		{"signs beyond", "SELECT " + strings.Repeat("- ", MaxOperators+1) + "a FROM t;", CodeLimit},
		{"subscripts beyond", "SELECT a" + strings.Repeat("[1]", MaxOperators+1) + " FROM t;", CodeLimit},
		{"types within", types(MaxNesting - 10), ""},
		{"types beyond", types(MaxNesting + 1), CodeLimit},
		{"array suffixes beyond", "CREATE TYPE t AS INT" + strings.Repeat(" ARRAY", MaxNesting+1) + ";", CodeLimit},
		{"script", strings.Repeat(" ", MaxScriptBytes+1), CodeLimit},
		{"text", "SELECT '\xff' FROM t;", CodeSyntax},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, errs := Parse(c.text)
			switch {
			case c.code == "" && len(errs) > 0:
				t.Fatalf("unexpected error: %v", errs[0])
			case c.code != "" && (len(errs) != 1 || errs[0].Code != c.code):
				t.Fatalf("got errors %v, want one of code %s", errs, c.code)
			}
		})
	}
}

func TestMaxErrors(t *testing.T) {
	_, errs := Parse(strings.Repeat("BOO;", MaxErrors+5))
	if len(errs) != MaxErrors {
		t.Fatalf("got %d errors, want %d", len(errs), MaxErrors)
	}
}

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{
		"select": "SELECT id, price * 2 AS p FROM orders WHERE price > 10 AND item LIKE 'a%' EMIT CHANGES;",
		"ddl":    "CREATE STREAM orders (id STRING KEY, price DOUBLE) WITH (kafka_topic='orders', value_format='JSON');",
		"ctas":   "CREATE TABLE t AS SELECT k, SUM(n) AS s FROM tap WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k HAVING SUM(n) > 5 EMIT CHANGES;",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, errs := Parse(text); len(errs) > 0 {
					b.Fatal(errs[0])
				}
			}
		})
	}
}

// TestAttemptsAreBounded looks into an error at the end of a long statement: what is
// remembered of it does not grow with the statement.
func TestAttemptsAreBounded(t *testing.T) {
	text := "CREATE STREAM s (" + strings.Repeat("a INT, ", 50_000) + "b INT) WIHT (kafka_topic='s');"
	_, errs := Parse(text)
	if len(errs) != 1 || errs[0].Hint != "did you mean WITH?" || text[errs[0].Span.Start:errs[0].Span.End] != "WIHT" {
		t.Fatalf("errors %+v", errs)
	}
	p := newParser(text)
	p.nextStatement()
	first, stop := p.pos, p.tokenAt(errs[0].Span.Start, p.pos)
	if tries := p.attempts(first, stop-maxLookBack); len(tries.words) == 0 || len(tries.words) > maxLookBack+2 {
		t.Errorf("words of %d tokens are remembered", len(tries.words))
	}
}
