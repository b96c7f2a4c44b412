package function_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// TestGolden runs testdata. eval prints the value and the type of every line;
// agg folds the lines: name of the aggregate and extra arguments on the first,
// then one row of arguments a line, "-" in front taking a row back, "merge"
// joining with what follows.
func TestGolden(t *testing.T) {
	datadriven.Walk(t, "testdata", func(t *testing.T, path string) {
		if strings.Contains(path, "/fuzz/") {
			return // inputs of the fuzz tests
		}
		datadriven.RunTest(t, path, func(t *testing.T, td *datadriven.TestData) string {
			var b strings.Builder
			lines := strings.Split(strings.TrimSpace(td.Input), "\n")
			switch td.Cmd {
			case "eval":
				for _, line := range lines {
					fmt.Fprintf(&b, "%s\n", evalLine(line))
				}
			case "agg":
				fmt.Fprintf(&b, "%s\n", foldLines(lines))
			default:
				t.Fatalf("unknown command %s", td.Cmd)
			}
			return b.String()
		})
	})
}

func evalLine(line string) string {
	e, perr := sql.ParseExpr(line)
	if perr != nil {
		return sql.Format(line, perr)
	}
	t, err := typeOf(e, nil)
	if err != nil {
		return "rejected: " + err.Error()
	}
	v, err := eval(e, nil, nil)
	if err != nil {
		return "error: " + err.Error()
	}
	if v.Kind() == types.KindString {
		return fmt.Sprintf("%q", v.Str())
	}
	return types.FormatText(near(v), t) + " " + t.String()
}

// foldLines runs an aggregate over rows.
func foldLines(lines []string) string {
	f, ok := function.Lookup(lines[0])
	if !ok {
		return "no function " + lines[0]
	}
	var a function.Aggregator
	var states []types.Value
	for _, line := range lines[1:] {
		if line == "merge" {
			states = append(states, a.Init())
			continue
		}
		row, undo := strings.CutPrefix(line, "- ")
		e, perr := sql.ParseExpr("ARGS(" + row + ")")
		if perr != nil {
			return perr.Error()
		}
		list := e.(*sql.Call).Args
		args, err := arguments(list, nil)
		if err != nil {
			return err.Error()
		}
		r, err := f.Resolve(args)
		if err != nil {
			return "rejected: " + err.Error()
		}
		var argTypes []types.Type
		var literals []*types.Value
		vals := make([]types.Value, len(list))
		for i, x := range list {
			if vals[i], err = eval(x, nil, nil); err != nil {
				return err.Error()
			}
			t := args[i].Type
			if to := r.Casts[i]; to.Kind != types.KindNull {
				if vals[i], err = types.Coerce(vals[i], t, to); err != nil {
					return err.Error()
				}
				t = to
			}
			argTypes, literals = append(argTypes, t), append(literals, args[i].Literal)
		}
		if a == nil {
			if a, err = r.Overload.NewAggregator(argTypes, literals); err != nil {
				return "rejected: " + err.Error()
			}
			states = []types.Value{a.Init()}
		}
		last := len(states) - 1
		step := a.Add
		if undo {
			u, ok := a.(function.Undoer)
			if !ok {
				return "has no undo"
			}
			step = u.Undo
		}
		if states[last], err = step(states[last], vals); err != nil {
			return "error: " + err.Error()
		}
	}
	state := states[0]
	for _, s := range states[1:] {
		var err error
		if state, err = a.Merge(state, s); err != nil {
			return "error: " + err.Error()
		}
	}
	v, err := a.Finish(state)
	if err != nil {
		return "error: " + err.Error()
	}
	return types.FormatText(near(v), a.Result()) + " " + a.Result().String()
}

// TestRegistry checks what every function must have.
func TestRegistry(t *testing.T) {
	for _, f := range function.All() {
		if f.Name != strings.ToUpper(f.Name) || f.Description == "" || f.Category == "" || len(f.Overloads) == 0 {
			t.Errorf("%s lacks a description, a category or an overload", f.Name)
		}
		for _, o := range f.Overloads {
			if back, ok := function.ByID(o.ID); !ok || back != o || o.Function != f {
				t.Errorf("%s is not found by its ID", o.ID)
			}
			set := 0
			for _, b := range []bool{o.Body != nil && f.Class == function.Scalar, o.Rows != nil && f.Class == function.Table, o.NewAggregator != nil && f.Class == function.Aggregate} {
				if b {
					set++
				}
			}
			if set != 1 || o.Returns == nil {
				t.Errorf("%s has no body for its class, or no result type", o.ID)
			}
		}
	}
	if _, ok := function.Lookup("abs"); !ok {
		t.Error("names have no case")
	}
	if _, ok := function.Lookup("NOPE"); ok {
		t.Error("NOPE was found")
	}
}

// TestUndo adds rows and takes them back in any order: the result must be that of
// the rows left.
func TestUndo(t *testing.T) {
	for _, name := range []string{"COUNT", "SUM", "AVG", "ATTR", "COLLECT_LIST", "STDDEV_SAMP", "HISTOGRAM"} {
		t.Run(name, func(t *testing.T) {
			a := newAggregator(t, name)
			u, ok := a.(function.Undoer)
			if !ok {
				t.Fatal("has no undo")
			}
			rapid.Check(t, func(t *rapid.T) {
				keep := rapid.SliceOfN(rapid.Int32Range(-5, 5), 0, 6).Draw(t, "keep")
				gone := rapid.SliceOfN(rapid.Int32Range(-5, 5), 0, 6).Draw(t, "gone")
				want := foldAll(t, a, name, slices.Clone(keep))
				state := a.Init()
				for _, n := range append(slices.Clone(gone), keep...) {
					state = must(a.Add(state, row(name, n)))
				}
				for _, n := range gone {
					state = must(u.Undo(state, row(name, n)))
				}
				sameResult(t, a, name, want, state)
			})
		})
	}
}

// TestMerge splits rows in two states.
func TestMerge(t *testing.T) {
	for _, name := range []string{"COUNT", "SUM", "AVG", "MIN", "MAX", "COLLECT_LIST", "COLLECT_SET", "LATEST_BY_OFFSET", "EARLIEST_BY_OFFSET",
		"STDDEV_SAMPLE", "HISTOGRAM", "COUNT_DISTINCT", "ATTR"} {
		t.Run(name, func(t *testing.T) {
			a := newAggregator(t, name)
			rapid.Check(t, func(t *rapid.T) {
				x := rapid.SliceOfN(rapid.Int32Range(-5, 5), 0, 6).Draw(t, "x")
				y := rapid.SliceOfN(rapid.Int32Range(-5, 5), 0, 6).Draw(t, "y")
				want := foldAll(t, a, name, append(slices.Clone(x), y...))
				sameResult(t, a, name, want, must(a.Merge(foldAll(t, a, name, x), foldAll(t, a, name, y))))
			})
		})
	}
}

func newAggregator(t *testing.T, name string) function.Aggregator {
	f, ok := function.Lookup(name)
	if !ok {
		t.Fatal("no such function")
	}
	typ := types.Integer
	if name == "HISTOGRAM" {
		typ = types.String
	}
	r, err := f.Resolve([]function.Argument{{Type: typ}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := r.Overload.NewAggregator([]types.Type{typ}, []*types.Value{nil})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func row(name string, n int32) []types.Value {
	if n == 5 {
		return []types.Value{types.NullValue}
	}
	if name == "HISTOGRAM" {
		return []types.Value{types.NewString(fmt.Sprint(n))}
	}
	return []types.Value{types.NewInteger(n)}
}

func must(v types.Value, err error) types.Value {
	if err != nil {
		panic(err)
	}
	return v
}

func foldAll(_ *rapid.T, a function.Aggregator, name string, list []int32) types.Value {
	state := a.Init()
	for _, n := range list {
		state = must(a.Add(state, row(name, n)))
	}
	return state
}

func sameResult(t *rapid.T, a function.Aggregator, name string, want, got types.Value) {
	w, g := must(a.Finish(want)), must(a.Finish(got))
	switch {
	case w.Kind() == types.KindDouble:
		if d := w.Float() - g.Float(); d > 1e-9 || d < -1e-9 {
			t.Fatalf("%s: got %s, want %s", name, g, w)
		}
	case name == "COLLECT_LIST":
		// Undo takes the last of equal elements, so the order may differ.
		if a, b := sorted(w), sorted(g); a != b {
			t.Fatalf("%s: got %s, want %s", name, b, a)
		}
	case !types.Equal(w, g):
		t.Fatalf("%s: got %s, want %s", name, g, w)
	}
}

func sorted(v types.Value) string {
	var list []string
	for _, e := range v.Elems() {
		list = append(list, e.String())
	}
	slices.Sort(list)
	return strings.Join(list, ",")
}

// TestCountDistinct checks the estimate's error over a range of sizes.
func TestCountDistinct(t *testing.T) {
	a := newAggregator(t, "COUNT_DISTINCT")
	state := a.Init()
	next := 1000
	for i := range int32(100_000) {
		state = must(a.Add(state, []types.Value{types.NewInteger(i)}))
		if int(i)+1 == next {
			got := float64(must(a.Finish(state)).Int())
			if d := got/float64(next) - 1; d > 0.03 || d < -0.03 {
				t.Errorf("%d distinct values are estimated as %v", next, got)
			}
			next *= 10
		}
	}
}
