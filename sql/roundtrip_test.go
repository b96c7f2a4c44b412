package sql

import (
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/sql/types"
)

// TestExprRoundTrip prints random trees and reads them back: the tree read must
// be the tree meant, and its spans must nest and stand for their text.
func TestExprRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genExpr(t, 4)
		text := PrintExpr(e)
		got, err := ParseExpr(text)
		if err != nil {
			t.Fatalf("%s", Format(text, err))
		}
		if want, have := dump("", e), dump("", got); want != have {
			t.Fatalf("%s\nmeant\n%s\nread\n%s", text, want, have)
		}
		if again := PrintExpr(got); again != text {
			t.Fatalf("printed %s, then %s", text, again)
		}
		checkSpans(t, text, got)
	})
}

type fataler interface{ Fatalf(string, ...any) }

// checkSpans checks that the text under every node's span, read alone, is that
// node again, and that operands lie within.
func checkSpans(t fataler, text string, e Expr) {
	Walk(e, func(e Expr) bool {
		s := e.Pos()
		if s.Start < 0 || s.End > len(text) || s.Start >= s.End {
			t.Fatalf("span %v of %T is outside of a text of %d bytes", s, e, len(text))
		}
		for _, x := range Operands(e) {
			if o := x.Pos(); o.Start < s.Start || o.End > s.End {
				t.Fatalf("%T: span %v of operand %T is outside of %v\n%s", e, o, x, s, text)
			}
		}
		switch e.(type) {
		case *Lambda, *IntervalUnit:
			return true // do not stand alone
		}
		alone, err := ParseExpr(text[s.Start:s.End])
		if err != nil {
			t.Fatalf("text under the span of %T: %s", e, Format(text[s.Start:s.End], err))
		}
		if dump("", alone) != dump("", e) {
			t.Fatalf("%T covers %q", e, text[s.Start:s.End])
		}
		return true
	})
}

var names = []string{"A", "B", "ROWTIME", "select", "FROM", "ARRAY", "MAP", "STRUCT", "x y", "a`b", "EMIT", "DAY", "1A", "ÄÖ", "FILTER"}

func genIdent(t *rapid.T) Ident { return Ident{Name: rapid.SampledFrom(names).Draw(t, "name")} }

func genExpr(t *rapid.T, depth int) Expr {
	if depth == 0 {
		return genLeaf(t)
	}
	sub := func() Expr { return genExpr(t, depth-1) }
	flip := func() bool { return rapid.Bool().Draw(t, "flip") }
	switch rapid.IntRange(0, 15).Draw(t, "node") {
	case 0, 1, 2, 3:
		return &Binary{Op: BinaryOp(rapid.IntRange(int(OpAdd), int(OpOr)).Draw(t, "op")), L: sub(), R: sub()}
	case 4:
		return genUnary(t, sub())
	case 5:
		return &Between{Not: flip(), X: sub(), Low: sub(), High: sub()}
	case 6:
		return &In{Not: flip(), X: sub(), List: []Expr{sub(), sub()}}
	case 7:
		l := &Like{Not: flip(), X: sub(), Pattern: sub()}
		if flip() {
			l.Escape = rapid.SampledFrom([]rune{'\\', '\'', '!', 'ä'}).Draw(t, "escape")
		}
		return l
	case 8:
		return &IsNull{Not: flip(), X: sub()}
	case 9:
		c := &Case{Whens: []When{{sub(), sub()}}}
		if flip() {
			c.Operand = sub()
		}
		if flip() {
			c.Else = sub()
		}
		return c
	case 10:
		return &Cast{X: sub(), Type: TypeName{Name: Ident{Name: "DECIMAL"}, Args: []int32{4, 2}}}
	case 11:
		return genCall(t, sub)
	case 12:
		return &Index{X: sub(), Index: sub()}
	case 13:
		return &FieldRef{X: sub(), Field: genIdent(t)}
	case 14:
		return &StructLit{Names: []Ident{genIdent(t)}, Values: []Expr{sub()}}
	default:
		if flip() {
			return &ArrayLit{Elems: []Expr{sub(), sub()}}
		}
		return &MapLit{Keys: []Expr{sub()}, Values: []Expr{sub()}}
	}
}

func genUnary(t *rapid.T, x Expr) Expr {
	op := UnaryOp(rapid.IntRange(int(OpNeg), int(OpNot)).Draw(t, "op"))
	if lit, ok := x.(*Literal); ok && lit.Type.Kind.Numeric() && op == OpNeg {
		op = OpNot // the sign would belong to the number
	}
	return &Unary{Op: op, X: x}
}

func genCall(t *rapid.T, sub func() Expr) Expr {
	c := &Call{Name: genIdent(t)}
	switch rapid.IntRange(0, 4).Draw(t, "call") {
	case 0:
		c.Star = true
	case 1:
		c.Distinct = true
		c.Args = []Expr{sub()}
	case 2:
		c.Args = []Expr{sub(), &Lambda{Params: []Ident{{Name: "X"}, {Name: "select"}}, Body: sub()}, &Lambda{Params: []Ident{{Name: "Y"}}, Body: sub()}}
	case 3:
		c.Args = []Expr{&IntervalUnit{Name: "DAYS"}, sub()}
		c.Filter = sub()
	}
	return c
}

func genLeaf(t *rapid.T) Expr {
	switch rapid.IntRange(0, 7).Draw(t, "leaf") {
	case 0:
		n := rapid.Int32().Draw(t, "int")
		return &Literal{Value: types.NewInteger(n), Type: types.Integer}
	case 1:
		n := rapid.Int64Range(1<<31, 1<<63-1).Draw(t, "bigint")
		return &Literal{Value: types.NewBigint(-n - 1), Type: types.Bigint}
	case 2:
		v, typ, err := types.DecimalLiteral(apd.New(rapid.Int64().Draw(t, "digits"), -rapid.Int32Range(0, 20).Draw(t, "scale")))
		if err != nil {
			t.Fatalf("%v", err)
		}
		return &Literal{Value: v, Type: typ}
	case 3:
		f := rapid.Float64().Filter(func(f float64) bool { return f == f && f-f == 0 }).Draw(t, "double")
		return &Literal{Value: types.NewDouble(f), Type: types.Double}
	case 4:
		return &Literal{Value: types.NewString(rapid.String().Draw(t, "string")), Type: types.String}
	case 5:
		return &Literal{Value: types.NewBoolean(rapid.Bool().Draw(t, "bool")), Type: types.Boolean}
	case 6:
		return &ColumnRef{Source: genIdent(t), Name: genIdent(t)}
	default:
		return &ColumnRef{Name: genIdent(t)}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"SELECT a->b[1]->*, t.*, f(DISTINCT x) FILTER (WHERE y) FROM t JOIN u WITHIN (1 DAY, 2 HOURS) ON t.a = u.b WHERE NOT a LIKE 'x' ESCAPE '!';",
		"CREATE OR REPLACE TABLE t WITH (a='b', c=-1) AS SELECT COUNT(*) FROM s WINDOW HOPPING (SIZE 1 DAY, ADVANCE BY 1 HOUR) GROUP BY (a) HAVING 1 < 2 EMIT FINAL LIMIT 3;",
		"INSERT INTO s (a, b) VALUES (-9223372036854775808, CASE a WHEN 1 THEN 2 END);",
		"CREATE STREAM s (a MAP<STRING, STRUCT<b DECIMAL(4, 2), c INT ARRAY>> KEY, h BYTES HEADER('x'));",
		"SELECT TRANSFORM(a, (x, y) => x || y, z => -z) IS NOT DISTINCT FROM ARRAY[MAP('a' := STRUCT(b := 1.))] FROM s PARTITION BY (a, b);",
		"PRINT 'x' FROM BEGINNING INTERVAL 3; SHOW ALL TOPICS EXTENDED; EXPLAIN SELECT 1 FROM t; ASSERT SCHEMA SUBJECT 'a' ID 4 TIMEOUT 3 SECONDS;",
		"DEFINE a = '${b}'; /* ; */ -- ;\nRUN SCRIPT 'x''y'; \"a\"\"b\" `c`",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		stmts, errs := Parse(text)
		for _, e := range errs {
			if e.Span.Start < 0 || e.Span.End > len(text) || e.Span.Start > e.Span.End {
				t.Fatalf("error span %v is outside of a text of %d bytes", e.Span, len(text))
			}
			if e.Code == CodeInternal {
				t.Fatalf("%s", Format(text, e))
			}
			if !strings.HasSuffix(Format(text, e), "\n") {
				t.Fatal("no newline at the end of an error")
			}
		}
		for _, s := range stmts {
			checkStatement(t, text, s)
		}
	})
}

// maxSpanCheck bounds the text whose spans are checked: every node is read
// again, which takes the square of the length.
const maxSpanCheck = 400

func checkStatement(t *testing.T, text string, s Statement) {
	if p := s.Pos(); p.Start < 0 || p.End > len(text) || p.Start >= p.End {
		t.Fatalf("span %v of %T is outside of a text of %d bytes", p, s, len(text))
	}
	printed := PrintStatement(s)
	again, errs := Parse(printed + ";")
	if len(errs) > 0 {
		t.Fatalf("printed text does not parse\n%s", Format(printed+";", errs[0]))
	}
	if p := PrintStatement(again[0]); p != printed {
		t.Fatalf("printed %s\nthen    %s", printed, p)
	}
	if len(text) >= maxSpanCheck {
		return
	}
	for _, e := range expressions(s) {
		if o, p := e.Pos(), s.Pos(); o.Start < p.Start || o.End > p.End {
			t.Fatalf("span %v of %T is outside of the statement's, %v", o, e, p)
		}
		checkSpans(t, text, e)
	}
}

// expressions returns the outermost expressions of a statement.
func expressions(s Statement) (list []Expr) {
	add := func(es ...Expr) {
		for _, e := range es {
			if e != nil {
				list = append(list, e)
			}
		}
	}
	var q *Query
	switch s := s.(type) {
	case *Select:
		q = s.Query
	case *CreateAs:
		q = s.Query
	case *InsertSelect:
		q = s.Query
	case *InsertValues:
		add(s.Values...)
	}
	if q == nil {
		return list
	}
	for _, item := range q.Items {
		add(item.Expr)
	}
	for _, j := range q.From.Joins {
		add(j.On)
	}
	add(q.Where, q.Having)
	add(q.GroupBy...)
	add(q.PartitionBy...)
	return list
}
