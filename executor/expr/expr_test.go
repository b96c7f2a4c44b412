package expr

import (
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

var testSchema = types.Schema{Value: []types.Column{
	{Name: "I", Type: types.Integer}, {Name: "L", Type: types.Bigint}, {Name: "D", Type: types.Double},
	{Name: "DEC", Type: types.Decimal(10, 2)}, {Name: "S", Type: types.String}, {Name: "B", Type: types.Boolean},
	{Name: "A", Type: types.Array(types.Bigint)},
}}

func col(k int) *plan.Expr {
	return &plan.Expr{Op: plan.OpColumn, Column: k, Type: testSchema.Value[k].Type}
}

func lit(v types.Value, t types.Type) *plan.Expr {
	return &plan.Expr{Op: plan.OpLiteral, Type: t, Value: &v}
}

func op(o plan.Op, t types.Type, args ...*plan.Expr) *plan.Expr {
	return &plan.Expr{Op: o, Type: t, Args: args}
}

func big(n int64) *plan.Expr { return lit(types.NewBigint(n), types.Bigint) }

// genBatch draws a batch of the test schema and a selection of it.
func genBatch(t *rapid.T, s *batch.Scratch) *batch.Batch {
	b := s.Batch(&testSchema, false)
	n := rapid.IntRange(1, 70).Draw(t, "rows")
	for r := range n {
		i := b.Append(int64(r), 0, int64(r), batch.Insert)
		row := []types.Value{
			types.NewInteger(rapid.Int32Range(-3, 3).Draw(t, "i")), types.NewBigint(rapid.Int64Range(-3, 3).Draw(t, "l")),
			types.NewDouble(float64(rapid.IntRange(-2, 2).Draw(t, "d"))), types.NewDecimal(apd.New(rapid.Int64Range(-300, 300).Draw(t, "dec"), -2)),
			types.NewString(rapid.StringMatching(`[ab%]{0,3}`).Draw(t, "s")), types.NewBoolean(rapid.Bool().Draw(t, "b")),
			types.NewArray([]types.Value{types.NewBigint(int64(r)), types.NullValue}),
		}
		for k, v := range row {
			if rapid.IntRange(0, 4).Draw(t, "null") == 0 {
				v = types.NullValue
			}
			b.Cols[k].Set(i, v)
		}
	}
	for i := range n {
		if rapid.IntRange(0, 3).Draw(t, "sel") > 0 {
			b.Sel = append(b.Sel, int32(i))
		}
	}
	return b
}

// genExpr draws an expression of a type over the test schema.
func genExpr(t *rapid.T, ty types.Type, depth int) *plan.Expr {
	pick := rapid.IntRange(0, 9).Draw(t, "pick")
	if depth == 0 {
		pick %= 2
	}
	sub := func(x types.Type) *plan.Expr { return genExpr(t, x, depth-1) }
	arith := rapid.SampledFrom([]plan.Op{plan.OpAdd, plan.OpSub, plan.OpMul, plan.OpDiv, plan.OpMod}).Draw(t, "arith")
	if pick == 9 {
		return op(plan.OpCase, ty, sub(types.Boolean), sub(ty), sub(types.Boolean), sub(ty), sub(ty))
	}
	switch ty.Kind {
	case types.KindBoolean:
		cmp := rapid.SampledFrom([]plan.Op{plan.OpEq, plan.OpNe, plan.OpLt, plan.OpLe, plan.OpGt, plan.OpGe, plan.OpIsDistinct, plan.OpIn}).Draw(t, "cmp")
		switch pick {
		case 0:
			return col(5)
		case 1:
			return lit(types.NewBoolean(true), ty)
		case 2:
			return op(plan.OpAnd, ty, sub(ty), sub(ty))
		case 3:
			return op(plan.OpOr, ty, sub(ty), sub(ty))
		case 4:
			return op(plan.OpNot, ty, sub(ty))
		case 5:
			return op(plan.OpIsNull, ty, sub(types.Bigint))
		case 6:
			return op(plan.OpLike, ty, sub(types.String), sub(types.String))
		}
		of := rapid.SampledFrom([]types.Type{types.Bigint, types.Double, types.Decimal(10, 2), types.String}).Draw(t, "of")
		return op(cmp, ty, sub(of), sub(of))
	case types.KindInteger:
		if pick < 2 {
			return col(0)
		}
		return op(arith, ty, sub(ty), sub(ty))
	case types.KindBigint:
		switch pick {
		case 0:
			return col(1)
		case 1:
			return big(rapid.Int64Range(-2, 2).Draw(t, "c"))
		case 2:
			return op(plan.OpCast, ty, sub(types.Integer))
		case 3:
			return op(plan.OpNeg, ty, sub(ty))
		case 4:
			return op(plan.OpIndex, ty, col(6), sub(types.Integer))
		}
		return op(arith, ty, sub(ty), sub(ty))
	case types.KindDouble:
		switch pick {
		case 0, 1:
			return col(2)
		case 2:
			return op(plan.OpCast, ty, sub(types.Bigint))
		case 3:
			return op(plan.OpCast, ty, sub(types.Decimal(10, 2)))
		}
		return op(arith, ty, sub(ty), sub(ty))
	case types.KindDecimal:
		switch pick {
		case 0:
			return col(3)
		case 1:
			return op(plan.OpCast, ty, lit(types.NewDecimal(apd.New(908, -3)), types.Decimal(4, 3)))
		case 2, 3:
			return op(plan.OpCast, ty, sub(types.Bigint))
		}
		return op(plan.OpCast, ty, op(arith, types.Decimal(24, 6), sub(ty), sub(ty)))
	}
	if pick < 5 {
		return col(4)
	}
	return op(plan.OpAdd, ty, sub(ty), sub(ty))
}

func TestKernelsAgreeWithRows(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var s batch.Scratch
		b := genBatch(rt, &s)
		ty := rapid.SampledFrom([]types.Type{types.Boolean, types.Integer, types.Bigint, types.Double, types.Decimal(10, 2), types.String}).Draw(rt, "type")
		e := genExpr(rt, ty, 3)
		kernel, err := Compile(e, &testSchema)
		if err != nil {
			rt.Fatal(err)
		}
		oracle, err := compileRow(e, &testSchema)
		if err != nil {
			rt.Fatal(err)
		}
		c := &Context{Scratch: &s}
		v, failed := kernel.Eval(c, b, b.Sel)
		bad := map[int32]error{}
		for _, f := range failed {
			bad[f.Row] = f.Err
		}
		r := row{c: c, b: b}
		for _, i := range b.Sel {
			r.i = i
			want, err := oracle(&r)
			if (err != nil) != (bad[i] != nil) {
				rt.Fatalf("row %d: kernel fails with %v, oracle with %v", i, bad[i], err)
			}
			if err != nil {
				want = types.NullValue
			}
			if got := v.Value(i); got.IsNull() != want.IsNull() || !got.IsNull() && !types.Equal(got, want) && got.Kind() != types.KindDouble {
				rt.Fatalf("row %d: kernel %v, oracle %v", i, got, want)
			}
		}
		if ty.Kind == types.KindBoolean {
			kept, _ := kernel.Filter(c, b, b.Sel)
			n := 0
			for _, i := range b.Sel {
				if v.Value(i).Bool() {
					if n >= len(kept) || kept[n] != i {
						rt.Fatalf("row %d is not kept by the filter", i)
					}
					n++
				}
			}
			if n != len(kept) {
				rt.Fatalf("filter keeps %d rows, want %d", len(kept), n)
			}
		}
	})
}

func TestDecimalArithmetic(t *testing.T) {
	dec := func(s string, p, sc int32) *plan.Expr {
		d, _, err := apd.NewFromString(s)
		if err != nil {
			t.Fatal(err)
		}
		return lit(types.NewDecimal(d), types.Decimal(p, sc))
	}
	for _, c := range []struct {
		e    *plan.Expr
		want string // "!" + part of an error
	}{
		{op(plan.OpDiv, types.Decimal(9, 6), dec("1", 1, 0), dec("3", 1, 0)), "!"}, // does not end
		{op(plan.OpDiv, types.Decimal(9, 6), dec("1", 1, 0), dec("8", 1, 0)), "0.125000"},
		{op(plan.OpDiv, types.Decimal(9, 6), dec("1", 1, 0), dec("0", 1, 0)), "!division by zero"},
		{op(plan.OpAdd, types.Decimal(40, 2), dec("1.5", 39, 1), dec("1.25", 39, 2)), "2.75"},
		{op(plan.OpMul, types.Decimal(3, 2), dec("9.9", 2, 1), dec("9.9", 2, 1)), "!overflow"},
		{op(plan.OpCast, types.Decimal(3, 1), dec("1.25", 3, 2)), "1.3"},
		{op(plan.OpCast, types.Decimal(2, 1), dec("99", 2, 0)), "!overflow"},
		{op(plan.OpCast, types.Integer, dec("-1.99", 3, 2)), "-1"},
		{op(plan.OpCast, types.String, dec("-1.90", 3, 2)), "-1.90"},
	} {
		var s batch.Scratch
		b := s.Batch(&testSchema, false)
		b.Append(0, 0, 0, batch.Insert)
		b.SelectAll()
		x, err := Compile(c.e, &testSchema)
		if err != nil {
			t.Fatal(err)
		}
		v, failed := x.Eval(&Context{Scratch: &s}, b, b.Sel)
		switch {
		case strings.HasPrefix(c.want, "!"):
			if len(failed) != 1 || !strings.Contains(failed[0].Err.Error(), c.want[1:]) || !v.IsNull(0) {
				t.Errorf("failures are %v, want %q", failed, c.want)
			}
		case len(failed) > 0:
			t.Error(failed)
		case c.e.Type.Kind == types.KindDecimal && v.Value(0).Decimal().Text('f') != c.want:
			t.Errorf("got %s, want %s", v.Value(0).Decimal(), c.want)
		}
	}
}

func TestLikeAndFunctions(t *testing.T) {
	for _, c := range []struct {
		text, pattern string
		want          bool
	}{
		{"abc", "a%", true}, {"abc", "%b%", true}, {"abc", "_b_", true}, {"abc", "a", false}, {"", "%", true}, {"a%", "a!%", true},
		{"ab", "a!%", false}, {"aXbXc", "%X_", true}, {"é", "_", true}, {"aab", "%ab", true}, {"a", "", false},
	} {
		p, err := parseLike(c.pattern, '!')
		if err != nil || p.match(c.text) != c.want {
			t.Errorf("%q LIKE %q is not %v (%v)", c.text, c.pattern, c.want, err)
		}
	}
	if _, err := parseLike("a!", '!'); err == nil {
		t.Error("a trailing escape is accepted")
	}
	saved := lookupOverload
	defer func() { lookupOverload = saved }()
	lookupOverload = func(id string) (*function.Overload, bool) {
		return &function.Overload{ID: id, NullOnNull: true, Variadic: -1, Params: []function.Param{{Name: "x", Type: types.Bigint}, {Name: "f", Shape: "LAMBDA<T, R>"}}, Body: func(env *function.Env, args []types.Value) (types.Value, error) {
			return env.Lambda(1, []types.Value{args[0]})
		}}, true
	}
	lambda := op(plan.OpLambda, types.Bigint, op(plan.OpAdd, types.Bigint, &plan.Expr{Op: plan.OpParam, Type: types.Bigint}, col(1)))
	e := op(plan.OpCall, types.Bigint, col(1), lambda)
	e.Name = "APPLY(BIGINT, LAMBDA)"
	x, err := Compile(e, &testSchema)
	if err != nil {
		t.Fatal(err)
	}
	var s batch.Scratch
	b := s.Batch(&testSchema, false)
	for n := range 2 {
		i := b.Append(0, 0, 0, batch.Insert)
		b.Cols[1].Set(i, []types.Value{types.NewBigint(21), types.NullValue}[n])
	}
	v, failed := x.Eval(&Context{Scratch: &s}, b, batch.Range(0, 2))
	if len(failed) != 0 || v.Value(0).Int() != 42 || !v.IsNull(1) {
		t.Fatalf("got %v %v, %v", v.Value(0), v.Value(1), failed)
	}
}

func benchBatch(s *batch.Scratch, n int) *batch.Batch {
	b := s.Batch(&testSchema, false)
	for r := range n {
		i := b.Append(0, 0, 0, batch.Insert)
		for k := range b.Cols {
			b.Cols[k].SetNull(i)
		}
		b.Cols[1].Set(i, types.NewBigint(int64(r)*1001))
	}
	b.Cols[1].Valid = nil
	b.SelectAll()
	return b
}

// q1 is price * 0.908, q2 is auction % 123 = 0.
func q1() *plan.Expr {
	return op(plan.OpMul, types.Decimal(24, 3), op(plan.OpCast, types.Decimal(19, 0), col(1)), lit(types.NewDecimal(apd.New(908, -3)), types.Decimal(4, 3)))
}

func q2() *plan.Expr {
	return op(plan.OpEq, types.Boolean, op(plan.OpMod, types.Bigint, col(1), big(123)), big(0))
}

func BenchmarkKernels(b *testing.B) {
	for _, n := range []int{1, 10, 1000} {
		var s batch.Scratch
		in := benchBatch(&s, n)
		c := &Context{Scratch: &s}
		e1, _ := Compile(q1(), &testSchema)
		e2, _ := Compile(q2(), &testSchema)
		run := func(name string, f func()) {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				mark := s.Mark()
				for b.Loop() {
					f()
					s.Release(mark)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/row")
			})
		}
		size := map[int]string{1: "1", 10: "10", 1000: "1000"}[n]
		run("q1/"+size, func() { e1.Eval(c, in, in.Sel) })
		run("q2/"+size, func() { e2.Filter(c, in, in.Sel) })
	}
}

func TestKernelsAllocateNothing(t *testing.T) {
	var s batch.Scratch
	in := benchBatch(&s, 1000)
	c := &Context{Scratch: &s}
	e1, err1 := Compile(q1(), &testSchema)
	e2, err2 := Compile(q2(), &testSchema)
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	mark := s.Mark()
	if n := testing.AllocsPerRun(50, func() {
		e1.Eval(c, in, in.Sel)
		e2.Filter(c, in, in.Sel)
		s.Release(mark)
	}); n != 0 {
		t.Fatalf("%v allocations per batch", n)
	}
}
