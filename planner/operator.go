package planner

import (
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

var planOps = map[sql.BinaryOp]plan.Op{
	sql.OpAdd: plan.OpAdd, sql.OpSub: plan.OpSub, sql.OpMul: plan.OpMul, sql.OpDiv: plan.OpDiv, sql.OpMod: plan.OpMod,
	sql.OpEq: plan.OpEq, sql.OpNe: plan.OpNe, sql.OpLt: plan.OpLt, sql.OpLe: plan.OpLe, sql.OpGt: plan.OpGt, sql.OpGe: plan.OpGe,
	sql.OpIsDistinct: plan.OpIsDistinct, sql.OpIsNotDistinct: plan.OpIsDistinct, sql.OpAnd: plan.OpAnd, sql.OpOr: plan.OpOr,
}

func (r *resolver) binary(e *sql.Binary) *plan.Expr {
	switch {
	case e.Op == sql.OpAnd || e.Op == sql.OpOr:
		l, x := r.resolve(e.L), r.resolve(e.R)
		for i, a := range []*plan.Expr{l, x} {
			if a.Type.Kind != types.KindBoolean {
				fail(sql.CodeType, []sql.Expr{e.L, e.R}[i].Pos(), "%s needs BOOLEAN operands, not %s", e.Op, a.Type)
			}
		}
		return boolean(planOps[e.Op], l, x)
	case e.Op == sql.OpConcat:
		call := &sql.Call{Node: e.Node, Name: sql.Ident{Name: "CONCAT", Span: e.Span}, Args: []sql.Expr{e.L, e.R}}
		return r.call(call)
	case e.Op.Comparison():
		return r.compare(planOps[e.Op], e.L, e.R, e.Span)
	case e.Op == sql.OpIsDistinct || e.Op == sql.OpIsNotDistinct:
		l, x := r.resolve(e.L), r.resolve(e.R)
		if l.Type.Kind != types.KindNull && x.Type.Kind != types.KindNull {
			l, x = r.comparable(plan.OpEq, l, x, e.L, e.R, e.Span)
		}
		return negate(e.Op == sql.OpIsNotDistinct, boolean(plan.OpIsDistinct, l, x))
	}
	return r.arithmetic(e)
}

// arithmetic resolves + - * / %. Both operands get the kind of the result;
// decimals keep their own precision and scale.
func (r *resolver) arithmetic(e *sql.Binary) *plan.Expr {
	l, x := r.resolve(e.L), r.resolve(e.R)
	op := planOps[e.Op]
	if l.Type.Kind == types.KindString && x.Type.Kind == types.KindString && op == plan.OpAdd {
		return &plan.Expr{Op: op, Type: types.String, Args: []*plan.Expr{l, x}}
	}
	if !l.Type.Kind.Numeric() || !x.Type.Kind.Numeric() {
		failHint(sql.CodeType, e.Span, "CAST one of the operands", "Unsupported arithmetic types: %s %s %s in %s", l.Type, e.Op, x.Type, sql.PrintExpr(e))
	}
	t, err := types.ArithmeticType(types.Op(op[0]), l.Type, x.Type)
	if err != nil {
		fail(sql.CodeType, e.Span, "%v", err)
	}
	if t.Kind != types.KindDecimal {
		l, x = castTo(l, t), castTo(x, t)
	} else {
		l, x = castTo(l, types.AsDecimal(l.Type)), castTo(x, types.AsDecimal(x.Type))
	}
	return &plan.Expr{Op: op, Type: t, Args: []*plan.Expr{l, x}}
}

// compare resolves a comparison.
func (r *resolver) compare(op plan.Op, le, re sql.Expr, span sql.Span) *plan.Expr {
	l, x := r.resolve(le), r.resolve(re)
	l, x = r.comparable(op, l, x, le, re, span)
	return boolean(op, l, x)
}

// comparable casts two operands so that they can be compared by op, or fails.
func (r *resolver) comparable(op plan.Op, l, x *plan.Expr, le, re sql.Expr, span sql.Span) (*plan.Expr, *plan.Expr) {
	if l.Type.Kind == types.KindNull || x.Type.Kind == types.KindNull {
		failHint(sql.CodeType, span, "write IS NULL or IS NOT NULL", "Comparison with NULL not supported: %s %s %s", sql.PrintExpr(le), op, sql.PrintExpr(re))
	}
	l, x = r.isoTime(l, x, re), r.isoTime(x, l, le)
	a, b := l.Type, x.Type
	switch {
	case a.Kind.Numeric() && b.Kind.Numeric():
		t := types.WidenNumeric(a, b)
		if t.Kind == types.KindDecimal {
			return castTo(l, types.AsDecimal(a)), castTo(x, types.AsDecimal(b))
		}
		return castTo(l, t), castTo(x, t)
	case a.Kind == b.Kind:
		onlyEquality := a.Kind == types.KindBoolean || a.Kind >= types.KindArray
		if onlyEquality && op != plan.OpEq && op != plan.OpNe || !a.Equal(b) {
			break
		}
		return l, x
	case isTime(a.Kind) && b.Kind == types.KindString:
		return l, castTo(x, a)
	case isTime(b.Kind) && a.Kind == types.KindString:
		return castTo(l, b), x
	case a.Kind == types.KindDate && b.Kind == types.KindTimestamp:
		return castTo(l, types.Timestamp), x
	case a.Kind == types.KindTimestamp && b.Kind == types.KindDate:
		return l, castTo(x, types.Timestamp)
	}
	failHint(sql.CodeType, span, "CAST one of the operands", "Operator %s cannot compare %s with %s: %s %s %s", op, a, b, sql.PrintExpr(le), op, sql.PrintExpr(re))
	return nil, nil
}

func isTime(k types.Kind) bool {
	return k == types.KindTime || k == types.KindDate || k == types.KindTimestamp
}

// isoTime turns a string literal that is compared with ROWTIME, WINDOWSTART or
// WINDOWEND into ms, and gives x unchanged otherwise. Called for x and its
// other operand, it returns the new x.
func (r *resolver) isoTime(x, other *plan.Expr, otherText sql.Expr) *plan.Expr {
	if x.Op != plan.OpLiteral || x.Type.Kind != types.KindString || !systemTime(other) {
		return x
	}
	v, err := types.Cast(*x.Value, types.String, types.Timestamp)
	if err != nil {
		fail(sql.CodeLiteral, otherText.Pos(), "Failed to parse timestamp '%s': %v", x.Value.Str(), err)
	}
	ms := types.NewBigint(v.Int())
	return &plan.Expr{Op: plan.OpLiteral, Type: types.Bigint, Value: &ms}
}

func systemTime(e *plan.Expr) bool {
	return e.Op == plan.OpColumn && (e.Column == plan.ColRowTime || e.Column == plan.ColWindowStart || e.Column == plan.ColWindowEnd)
}

func (r *resolver) in(e *sql.In) *plan.Expr {
	x := r.resolve(e.X)
	exprs := []*plan.Expr{x}
	spans := []sql.Expr{e.X}
	for _, item := range e.List {
		v := r.isoTime(r.resolve(item), x, item)
		if v.Type.Kind == types.KindNull {
			continue // a NULL in the list matches nothing
		}
		v = fitLiterals(v, x.Type)
		exprs = append(exprs, v)
		spans = append(spans, item)
	}
	t := r.commonType(exprs, spans, e.Span)
	for i := range exprs {
		exprs[i] = castTo(exprs[i], t)
	}
	return negate(e.Not, boolean(plan.OpIn, exprs...))
}

// fitLiterals turns texts within an array or struct that is built in place into
// the numbers, dates and so on that stand there in type t, as a text by itself
// would be. What does not fit stays as it is.
func fitLiterals(e *plan.Expr, t types.Type) *plan.Expr {
	switch e.Op {
	case plan.OpLiteral:
		return fitLiteral(e, t)
	case plan.OpCast:
		if inner := fitLiterals(e.Args[0], t); inner.Type.Equal(t) {
			return inner
		}
	case plan.OpArray:
		if t.Kind == types.KindArray {
			return fitArray(e, *t.Elem)
		}
	case plan.OpStruct:
		if t.Kind == types.KindStruct {
			return fitStruct(e, t)
		}
	}
	return e
}

func fitLiteral(e *plan.Expr, t types.Type) *plan.Expr {
	if e.Value.IsNull() {
		return &plan.Expr{Op: plan.OpLiteral, Type: t, Value: e.Value}
	}
	if e.Type.Kind != types.KindString || t.Kind == types.KindString {
		return e
	}
	v, err := types.CoerceLiteral(*e.Value, e.Type, t)
	if err != nil {
		return e
	}
	return &plan.Expr{Op: plan.OpLiteral, Type: t, Value: &v}
}

func fitArray(e *plan.Expr, elem types.Type) *plan.Expr {
	out := &plan.Expr{Op: plan.OpArray, Type: types.Array(elem)}
	for _, a := range e.Args {
		a = fitLiterals(a, elem)
		if !a.Type.Equal(elem) {
			return e
		}
		out.Args = append(out.Args, a)
	}
	return out
}

func fitStruct(e *plan.Expr, t types.Type) *plan.Expr {
	out := &plan.Expr{Op: plan.OpStruct}
	var fields []types.Field
	for i, a := range e.Args {
		name := e.Type.Fields[i].Name
		for _, f := range t.Fields {
			if f.Name == name {
				a = fitLiterals(a, f.Type)
			}
		}
		out.Args, fields = append(out.Args, a), append(fields, types.Field{Name: name, Type: a.Type})
	}
	out.Type = types.Struct(fields...)
	return out
}

func (r *resolver) caseExpr(e *sql.Case) *plan.Expr {
	sub := *r
	sub.inCase = true
	var args, results []*plan.Expr
	var spans []sql.Expr
	for _, w := range e.Whens {
		var cond *plan.Expr
		if e.Operand != nil {
			cond = sub.compare(plan.OpEq, e.Operand, w.Cond, w.Cond.Pos())
		} else if cond = sub.resolve(w.Cond); cond.Type.Kind != types.KindBoolean {
			fail(sql.CodeType, w.Cond.Pos(), "WHEN operand type should be boolean: %s is %s", sql.PrintExpr(w.Cond), cond.Type)
		}
		then := sub.resolve(w.Then)
		args = append(args, cond, then)
		results, spans = append(results, then), append(spans, w.Then)
	}
	null := types.NullValue
	els := &plan.Expr{Op: plan.OpLiteral, Value: &null}
	if e.Else != nil {
		els = sub.resolve(e.Else)
		results, spans = append(results, els), append(spans, e.Else)
	}
	t := r.commonType(results, spans, e.Span)
	for i := 1; i < len(args); i += 2 {
		args[i] = castTo(args[i], t)
	}
	return &plan.Expr{Op: plan.OpCase, Type: t, Args: append(args, castTo(els, t))}
}

func (r *resolver) arrayLit(e *sql.ArrayLit) *plan.Expr {
	if len(e.Elems) == 0 {
		fail(sql.CodeType, e.Span, "Array constructor cannot be empty: the type of its elements is not known")
	}
	elems := r.list(e.Elems, e.Span)
	return &plan.Expr{Op: plan.OpArray, Type: types.Array(elems[0].Type), Args: elems}
}

func (r *resolver) mapLit(e *sql.MapLit) *plan.Expr {
	if len(e.Keys) == 0 {
		fail(sql.CodeType, e.Span, "Map constructor cannot be empty: the types of its keys and values are not known")
	}
	keys, values := r.list(e.Keys, e.Span), r.list(e.Values, e.Span)
	var args []*plan.Expr
	for i := range keys {
		args = append(args, keys[i], values[i])
	}
	return &plan.Expr{Op: plan.OpMap, Type: types.Map(keys[0].Type, values[0].Type), Args: args}
}

// list resolves expressions and casts them to their common type.
func (r *resolver) list(list []sql.Expr, span sql.Span) []*plan.Expr {
	exprs := make([]*plan.Expr, len(list))
	for i, e := range list {
		exprs[i] = r.resolve(e)
	}
	t := r.commonType(exprs, list, span)
	for i := range exprs {
		exprs[i] = castTo(exprs[i], t)
	}
	return exprs
}

func (r *resolver) structLit(e *sql.StructLit) *plan.Expr {
	if len(e.Names) == 0 {
		fail(sql.CodeType, e.Span, "a STRUCT needs at least one field")
	}
	var fields []types.Field
	var args []*plan.Expr
	seen := map[string]bool{}
	for i, name := range e.Names {
		if seen[name.Name] {
			fail(sql.CodeDuplicate, name.Span, "Duplicate field names found in STRUCT: '%s'", name.Name)
		}
		seen[name.Name] = true
		v := r.resolve(e.Values[i])
		if v.Type.Kind == types.KindNull {
			failHint(sql.CodeType, e.Values[i].Pos(), "CAST(NULL AS type) has a type", "the type of field %s is not known: it is NULL", name.Name)
		}
		fields = append(fields, types.Field{Name: name.Name, Type: v.Type})
		args = append(args, v)
	}
	return &plan.Expr{Op: plan.OpStruct, Type: types.Struct(fields...), Args: args}
}

// commonType returns the type that all of exprs can be cast to implicitly, by
// the list rule of the language: fold from the first that is not NULL.
func (r *resolver) commonType(exprs []*plan.Expr, texts []sql.Expr, span sql.Span) types.Type {
	operands := make([]types.Typed, len(exprs))
	for i, e := range exprs {
		operands[i] = types.Typed{Type: e.Type}
		if e.Op == plan.OpLiteral {
			operands[i].Literal = e.Value
		}
	}
	t, bad, err := types.CommonType(operands)
	if err != nil {
		failHint(sql.CodeType, texts[bad].Pos(), "CAST the values to one type", "%v", err)
	}
	if t.Kind == types.KindNull {
		failHint(sql.CodeType, span, "CAST(NULL AS type) has a type", "the type cannot be known: all values are NULL")
	}
	return t
}

// castTo casts e to t; a literal is coerced now when it can be.
func castTo(e *plan.Expr, t types.Type) *plan.Expr {
	if e.Type.Equal(t) {
		return e
	}
	if e.Op == plan.OpLiteral {
		if v, err := types.CoerceLiteral(*e.Value, e.Type, t); err == nil {
			return &plan.Expr{Op: plan.OpLiteral, Type: t, Value: &v}
		}
	}
	return &plan.Expr{Op: plan.OpCast, Type: t, Args: []*plan.Expr{e}}
}
