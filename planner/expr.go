package planner

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// resolver turns a sql.Expr into a plan.Expr: names become column numbers, types
// are checked, and casts are written out.
type resolver struct {
	*planner
	scope *scope
	// aggregates and tables say whether those functions are legal here; inside
	// says what the innermost call or CASE is, for nesting errors.
	aggregates, tables bool
	inAggregate        bool
	inTable            bool
	inCase             bool
	clause             string // for messages: "WHERE clause"
	lambdas            [][]lambdaParam
	// nulls are the types of NULL literals that have one from where they are put.
	nulls map[*sql.Literal]types.Type
}

type lambdaParam struct {
	name string
	typ  types.Type
}

// resolve resolves e.
func (r *resolver) resolve(e sql.Expr) *plan.Expr {
	switch e := e.(type) {
	case *sql.Paren:
		return r.resolve(e.X)
	case *sql.Literal:
		v := e.Value
		t := e.Type
		if typed, ok := r.nulls[e]; ok {
			t = typed
		}
		return &plan.Expr{Op: plan.OpLiteral, Type: t, Value: &v}
	case *sql.ColumnRef:
		return r.columnRef(e)
	case *sql.Unary:
		return r.unary(e)
	case *sql.Binary:
		return r.binary(e)
	case *sql.Between:
		low := r.compare(plan.OpGe, e.X, e.Low, e.Span)
		high := r.compare(plan.OpLe, e.X, e.High, e.Span)
		return negate(e.Not, boolean(plan.OpAnd, low, high))
	case *sql.In:
		return r.in(e)
	case *sql.Like:
		return r.like(e)
	case *sql.IsNull:
		return negate(e.Not, boolean(plan.OpIsNull, r.resolve(e.X)))
	case *sql.Case:
		return r.caseExpr(e)
	case *sql.Cast:
		return r.cast(e)
	case *sql.Call:
		return r.call(e)
	case *sql.Index:
		return r.index(e)
	case *sql.FieldRef:
		return r.field(e)
	case *sql.ArrayLit:
		return r.arrayLit(e)
	case *sql.MapLit:
		return r.mapLit(e)
	case *sql.StructLit:
		return r.structLit(e)
	case *sql.Lambda:
		fail(sql.CodeSyntax, e.Span, "a lambda may only be an argument of a function that takes one")
	case *sql.IntervalUnit:
		fail(sql.CodeSyntax, e.Span, "%s may only be an argument of a function that takes a time unit", e.Name)
	}
	fail(sql.CodeUnsupported, e.Pos(), "this expression is not supported here")
	return nil
}

// predicate resolves a condition, which must be BOOLEAN.
func (r *resolver) predicate(e sql.Expr) *plan.Expr {
	x := r.resolve(e)
	if x.Type.Kind != types.KindBoolean {
		fail(sql.CodeType, e.Pos(), "Type error in %s: Should evaluate to boolean but is %s (%s) instead", r.clause, sql.PrintExpr(e), x.Type)
	}
	return x
}

func boolean(op plan.Op, args ...*plan.Expr) *plan.Expr {
	return &plan.Expr{Op: op, Type: types.Boolean, Args: args}
}

func negate(not bool, e *plan.Expr) *plan.Expr {
	if !not {
		return e
	}
	return boolean(plan.OpNot, e)
}

func (r *resolver) columnRef(e *sql.ColumnRef) *plan.Expr {
	if e.Source.Name == "" {
		for depth := range r.lambdas {
			for i, param := range r.lambdas[len(r.lambdas)-1-depth] {
				if param.name == e.Name.Name {
					return &plan.Expr{Op: plan.OpParam, Type: param.typ, Depth: depth, Column: i, Name: param.name}
				}
			}
		}
	}
	if r.scope == nil {
		fail(sql.CodeUnknownColumn, e.Span, "column references are not allowed in the %s: %s", r.clause, sql.PrintExpr(e))
	}
	return r.scope.find(e)
}

func (r *resolver) unary(e *sql.Unary) *plan.Expr {
	x := r.resolve(e.X)
	switch e.Op {
	case sql.OpNot:
		if x.Type.Kind != types.KindBoolean {
			fail(sql.CodeType, e.Span, "NOT needs a BOOLEAN, not %s", x.Type)
		}
		return boolean(plan.OpNot, x)
	case sql.OpPlus:
		if !x.Type.Kind.Numeric() {
			fail(sql.CodeType, e.Span, "unary + needs a number, not %s", x.Type)
		}
		return x
	}
	if !x.Type.Kind.Numeric() {
		fail(sql.CodeType, e.Span, "unary - needs a number, not %s", x.Type)
	}
	return &plan.Expr{Op: plan.OpNeg, Type: x.Type, Args: []*plan.Expr{x}}
}

func (r *resolver) like(e *sql.Like) *plan.Expr {
	x, pattern := r.resolve(e.X), r.resolve(e.Pattern)
	for _, a := range []*plan.Expr{x, pattern} {
		if a.Type.Kind != types.KindString {
			fail(sql.CodeType, e.Span, "Like condition must be between strings: %s LIKE %s", x.Type, pattern.Type)
		}
	}
	like := boolean(plan.OpLike, x, pattern)
	if e.Escape != 0 {
		like.Name = string(e.Escape)
	}
	return negate(e.Not, like)
}

func (r *resolver) cast(e *sql.Cast) *plan.Expr {
	x, to := r.resolve(e.X), r.typeOf(e.Type)
	if x.Type.Kind != types.KindNull && !types.CanCast(x.Type, to) {
		fail(sql.CodeType, e.Span, "Cast of %s to %s is not supported", x.Type, to)
	}
	return &plan.Expr{Op: plan.OpCast, Type: to, Args: []*plan.Expr{x}}
}

func (r *resolver) index(e *sql.Index) *plan.Expr {
	x, i := r.resolve(e.X), r.resolve(e.Index)
	switch x.Type.Kind {
	case types.KindArray:
		if i.Type.Kind != types.KindInteger && i.Type.Kind != types.KindBigint {
			fail(sql.CodeType, e.Index.Pos(), "an array is indexed by an INTEGER, not by %s", i.Type)
		}
	case types.KindMap:
		if !i.Type.Equal(*x.Type.Key) {
			fail(sql.CodeType, e.Index.Pos(), "this map is indexed by %s, not by %s", x.Type.Key, i.Type)
		}
	default:
		fail(sql.CodeType, e.Span, "only ARRAY and MAP have elements: %s is %s", sql.PrintExpr(e.X), x.Type)
	}
	return &plan.Expr{Op: plan.OpIndex, Type: *x.Type.Elem, Args: []*plan.Expr{x, i}}
}

func (r *resolver) field(e *sql.FieldRef) *plan.Expr {
	x := r.resolve(e.X)
	if x.Type.Kind != types.KindStruct {
		fail(sql.CodeType, e.Span, "only STRUCT has fields: %s is %s", sql.PrintExpr(e.X), x.Type)
	}
	i := x.Type.Field(e.Field.Name)
	if i < 0 {
		var names []string
		for _, f := range x.Type.Fields {
			names = append(names, f.Name)
		}
		failHint(sql.CodeUnknownColumn, e.Field.Span, sql.DidYouMean(e.Field.Name, names), "Could not find field '%s' in '%s'", e.Field.Name, x.Type)
	}
	return fieldOf(x, i)
}

func fieldOf(x *plan.Expr, i int) *plan.Expr {
	f := x.Type.Fields[i]
	return &plan.Expr{Op: plan.OpField, Type: f.Type, Args: []*plan.Expr{x}, Name: f.Name, Column: i}
}

// call resolves a function call.
func (r *resolver) call(e *sql.Call) *plan.Expr {
	f, ok := function.Lookup(upper(e.Name.Name))
	if !ok {
		var names []string
		for _, f := range function.All() {
			if fits(f, e) {
				names = append(names, f.Name)
			}
		}
		hint := sql.DidYouMean(upper(e.Name.Name), names)
		if hint == "" {
			hint = "SHOW FUNCTIONS lists them"
		}
		failHint(sql.CodeUnknownFunction, e.Name.Span, hint, "Can't find any functions with the name '%s'", e.Name.Name)
	}
	sub := *r
	r.checkNesting(e, f, &sub)
	if e.Distinct {
		fail(sql.CodeUnsupported, e.Span, "DISTINCT in a function call is not supported yet")
	}
	if e.Filter != nil {
		fail(sql.CodeUnsupported, e.Filter.Pos(), "FILTER is not supported yet: use CASE inside the aggregate")
	}
	var body *sql.Error // why a lambda's body cannot be typed
	args, argExprs := sub.arguments(e, f, &body)
	resolved, err := f.Resolve(argExprs)
	switch {
	case err != nil && body != nil:
		panic(failure{body})
	case err != nil:
		fail(sql.CodeArguments, e.Span, "%v", err)
	}
	for i := range args {
		if argExprs[i].LambdaParams > 0 {
			args[i] = sub.lambda(e.Args[i].(*sql.Lambda), resolved.LambdaParams[i])
			continue
		}
		if c := resolved.Casts[i]; c.Kind != types.KindNull {
			args[i] = castTo(args[i], c)
		}
		if kind := resolved.Overload.ParamOf(i, len(args)).Pattern; kind != function.NoPattern && i < len(e.Args) {
			r.checkPattern(kind, args[i], e.Args[i].Pos())
		}
	}
	return &plan.Expr{Op: plan.OpCall, Type: resolved.Result, Name: resolved.Overload.ID, Args: args}
}

// fits reports whether a function may take as many arguments as a call has.
func fits(f *function.Function, e *sql.Call) bool {
	if e.Star {
		return f.Class == function.Aggregate && slices.ContainsFunc(f.Overloads, func(o *function.Overload) bool { return len(o.Params) == 1 })
	}
	n := len(e.Args)
	return n == 0 && f.Class == function.Aggregate || slices.ContainsFunc(f.Overloads, func(o *function.Overload) bool {
		return len(o.Params) == n || o.Variadic >= 0 && n >= len(o.Params)-1
	})
}

// checkPattern refuses a constant that is no pattern of its kind: every row would
// fail.
func (r *resolver) checkPattern(kind function.PatternKind, e *plan.Expr, span sql.Span) {
	if !fixed(e) {
		return
	}
	v, ok := r.constant(e)
	if !ok {
		return
	}
	if err := kind.Check(v.Str()); err != nil {
		failHint(sql.CodeArguments, span, kind.Hint(), "%v", err)
	}
}

// fixed reports whether an expression has one value for all rows and all times.
func fixed(e *plan.Expr) bool {
	ok := true
	e.Walk(func(x *plan.Expr) bool {
		switch x.Op {
		case plan.OpColumn, plan.OpParam, plan.OpLambda:
			ok = false
		case plan.OpCall:
			o, known := function.ByID(x.Name)
			ok = ok && known && !o.Volatile
		}
		return ok
	})
	return ok
}

// checkNesting refuses functions where their class is not legal.
func (r *resolver) checkNesting(e *sql.Call, f *function.Function, sub *resolver) {
	name := f.Name
	switch f.Class {
	case function.Aggregate:
		switch {
		case r.inAggregate:
			fail(sql.CodeAggregate, e.Span, "Aggregate functions can not be nested: %s", sql.PrintExpr(e))
		case !r.aggregates:
			fail(sql.CodeAggregate, e.Span, "Aggregate functions are not allowed in the %s: %s", r.clause, name)
		}
		sub.inAggregate, sub.aggregates = true, true
	case function.Table:
		switch {
		case r.inCase:
			fail(sql.CodeTableFunction, e.Span, "Table functions cannot be used in CASE: %s", name)
		case r.inTable:
			fail(sql.CodeTableFunction, e.Span, "Table functions can't be nested in other table functions: %s", name)
		case r.inAggregate:
			fail(sql.CodeTableFunction, e.Span, "Table functions cannot be used with aggregations: %s", name)
		case !r.tables:
			fail(sql.CodeTableFunction, e.Span, "Table functions are not allowed in the %s: %s", r.clause, name)
		}
		sub.inTable = true
	}
}

// arguments resolves the arguments of a call; lambdas are left nil until the
// overload has told their parameter types. body is set when overload resolution
// finds one whose body cannot be typed.
func (r *resolver) arguments(e *sql.Call, f *function.Function, body **sql.Error) ([]*plan.Expr, []function.Argument) {
	if (e.Star || len(e.Args) == 0) && f.Class == function.Aggregate {
		rowTime := column(plan.ColRowTime, types.Bigint)
		return []*plan.Expr{rowTime}, []function.Argument{{Type: types.Bigint}}
	}
	if e.Star {
		fail(sql.CodeArguments, e.Span, "%s does not take *", f.Name)
	}
	if text := r.property("ksql.functions."+strings.ToLower(f.Name)+".limit", ""); text != "" && len(e.Args) == 1 {
		limited := *e
		limited.Args = append(limited.Args[:1:1], &sql.Literal{Node: e.Node, Value: r.limit(text, e.Span), Type: types.Integer})
		e = &limited
	}
	exprs := make([]*plan.Expr, len(e.Args))
	args := make([]function.Argument, len(e.Args))
	for i, a := range e.Args {
		if unit := unitArgument(f, i, a); unit != "" {
			v := types.NewString(unit)
			exprs[i] = &plan.Expr{Op: plan.OpLiteral, Type: types.String, Value: &v}
			args[i] = function.Argument{Type: types.String, Literal: &v, Unit: true}
			continue
		}
		if l, ok := a.(*sql.Lambda); ok {
			args[i] = function.Argument{LambdaParams: len(l.Params), LambdaBody: r.lambdaTyper(l, body)}
			continue
		}
		exprs[i] = r.resolve(a)
		args[i] = function.Argument{Type: exprs[i].Type}
		if exprs[i].Op == plan.OpLiteral {
			args[i].Literal = exprs[i].Value
		}
	}
	return exprs, args
}

// limit reads a property that bounds how much a COLLECT function keeps.
func (r *resolver) limit(text string, span sql.Span) types.Value {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		fail(sql.CodeInvalidProperty, span, "limit %q is not an integer", text)
	}
	return types.NewInteger(int32(n))
}

// unitArgument returns the plural name of a time unit where a function takes
// one, else "". DAY, HOUR, MINUTE and SECOND are identifiers elsewhere.
func unitArgument(f *function.Function, i int, a sql.Expr) string {
	takes := false
	for _, o := range f.Overloads {
		takes = takes || i < len(o.Params) && o.Params[i].Unit
	}
	if !takes {
		return ""
	}
	switch a := a.(type) {
	case *sql.IntervalUnit:
		if _, ok := unitMs[strings.TrimSuffix(a.Name, "S")]; !ok {
			failHint(sql.CodeUnsupported, a.Span, unitHint, "%s is not a unit of fixed length and is not supported", a.Name)
		}
		return a.Name
	case *sql.ColumnRef:
		if _, ok := unitMs[a.Name.Name]; ok && a.Source.Name == "" && !a.Name.Quoted {
			return a.Name.Name + "S"
		}
		failHint(sql.CodeArguments, a.Span, cmp.Or(sql.DidYouMean(a.Name.Name, unitNames), unitHint), "%s takes a unit of time, not %s", f.Name, sql.PrintExpr(a))
	}
	failHint(sql.CodeArguments, a.Pos(), unitHint, "%s takes a unit of time, not %s", f.Name, sql.PrintExpr(a))
	return ""
}

// unitNames are the units of time that functions take, and unitHint names them.
var unitNames = []string{"DAYS", "HOURS", "MINUTES", "SECONDS", "MILLISECONDS"}

const unitHint = "use DAYS, HOURS, MINUTES, SECONDS or MILLISECONDS"

// lambdaTyper returns the function by which overload resolution asks for the
// type of a lambda's body.
func (r *resolver) lambdaTyper(l *sql.Lambda, failed **sql.Error) func([]types.Type) (types.Type, error) {
	return func(params []types.Type) (t types.Type, err error) {
		var why *sql.Error
		func() {
			defer recoverFail(&why)
			t = r.lambda(l, params).Type
		}()
		if why != nil {
			*failed = why
			return types.Type{}, why
		}
		return t, nil
	}
}

func (r *resolver) lambda(l *sql.Lambda, params []types.Type) *plan.Expr {
	if len(params) != len(l.Params) {
		fail(sql.CodeArguments, l.Span, "this lambda takes %d parameters, not %d", len(params), len(l.Params))
	}
	frame := make([]lambdaParam, len(params))
	names := make([]string, len(params))
	for i, t := range params {
		frame[i] = lambdaParam{l.Params[i].Name, t}
		names[i] = l.Params[i].Name
	}
	sub := *r
	sub.lambdas = append(append([][]lambdaParam(nil), r.lambdas...), frame)
	body := sub.resolve(l.Body)
	return &plan.Expr{Op: plan.OpLambda, Type: body.Type, Args: []*plan.Expr{body}, Params: names}
}
