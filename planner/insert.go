package planner

import (
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// insertValues plans INSERT INTO ... VALUES.
func (p *planner) insertValues(s *sql.InsertValues) Planned {
	target := p.source(s.Target)
	switch {
	case target.ReadOnly:
		fail(sql.CodeReadOnly, s.Target.Span, "Cannot insert values into read-only %s: %s", target.Kind.Word(), target.Name)
	case target.Windowed != nil:
		fail(sql.CodeInsert, s.Target.Span, "Cannot insert values into windowed stream/table %s", target.Name)
	case target.HasHeaders():
		fail(sql.CodeInsert, s.Target.Span, "Cannot insert into %s because it has header columns", target.Name)
	}
	refuseInternal(target.Topic, s.Target.Span)
	names := p.insertColumns(target, s)
	checkCount(s, names)
	out := &Insert{Source: target, Key: nullRow(target.Schema.Key), Value: nullRow(target.Schema.Value)}
	given := map[string]bool{}
	r := &resolver{planner: p, clause: "VALUES of an INSERT"}
	for i, name := range names {
		if given[name.Name] {
			fail(sql.CodeDuplicate, name.Span, "column %s is given twice", name.Name)
		}
		given[name.Name] = true
		if name.Name == "ROWTIME" {
			out.RowTime = p.insertValue(r, s.Values[i], types.Column{Name: "ROWTIME", Type: types.Bigint})
			continue
		}
		c := target.Schema.Find(name.Name)
		e := p.insertValue(r, s.Values[i], target.Schema.Column(c))
		if c < len(out.Key) {
			out.Key[c] = e
		} else {
			out.Value[c-len(out.Key)] = e
		}
	}
	if target.Kind == catalog.Table {
		for _, k := range target.Schema.Key {
			if !given[k.Name] {
				fail(sql.CodeInsert, s.Span, "Failed to insert values into %s. Value for primary key column(s) %s is required for tables", target.Name, types.QuoteName(k.Name))
			}
		}
	}
	return out
}

// checkCount holds the number of values to that of the columns; the error points
// at the values that are too many, or at those that are there.
func checkCount(s *sql.InsertValues, names []sql.Ident) {
	if len(names) == len(s.Values) {
		return
	}
	first := 0
	if n := len(names); n < len(s.Values) {
		first = n
	}
	span := sql.Span{Start: s.Values[first].Pos().Start, End: s.Values[len(s.Values)-1].Pos().End}
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = n.Name
	}
	hint := "the columns are " + strings.Join(list, ", ")
	if len(s.Values) < len(names) {
		hint = "there is no value for " + strings.Join(list[len(s.Values):], ", ")
	}
	if s.Columns != nil {
		failHint(sql.CodeInsert, span, hint, "Expected number columns and values to match: %d, %d", len(names), len(s.Values))
	}
	if len(s.Values) < len(names) {
		hint += "; INSERT INTO " + s.Target.Name + " (column, ...) VALUES (...) leaves columns NULL"
	}
	failHint(sql.CodeInsert, span, hint, "Expected a value for each column. Expected Columns: %d. Got %d values", len(names), len(s.Values))
}

// insertColumns returns the columns that the values are for.
func (p *planner) insertColumns(target *catalog.Source, s *sql.InsertValues) []sql.Ident {
	if s.Columns == nil {
		var names []sql.Ident
		for i := range target.Schema.Len() {
			names = append(names, sql.Ident{Name: target.Schema.Column(i).Name, Span: s.Target.Span})
		}
		return names
	}
	for _, c := range s.Columns {
		if c.Name == "ROWPARTITION" || c.Name == "ROWOFFSET" {
			fail(sql.CodeInsert, c.Span, "Inserting into column %s is not allowed", types.QuoteName(c.Name))
		}
		if c.Name != "ROWTIME" && target.Schema.Find(c.Name) < 0 {
			failHint(sql.CodeUnknownColumn, c.Span, suggestColumn(c.Name, target.Schema), "Column name %s does not exist in %s", types.QuoteName(c.Name), target.Name)
		}
	}
	return s.Columns
}

func nullRow(cols []types.Column) []*plan.Expr {
	row := make([]*plan.Expr, len(cols))
	for i, c := range cols {
		null := types.NullValue
		row[i] = &plan.Expr{Op: plan.OpLiteral, Type: c.Type, Value: &null}
	}
	return row
}

// emptyStruct is STRUCT(): all fields are NULL, but the struct is not. Its type
// comes from where it is put, so that it has one in an INSERT only.
func emptyStruct(t types.Type) *plan.Expr {
	fields := make([]types.Column, len(t.Fields))
	for i, f := range t.Fields {
		fields[i] = types.Column(f)
	}
	return &plan.Expr{Op: plan.OpStruct, Type: t, Args: nullRow(fields)}
}

// insertValue resolves a value and coerces it to its column: literals leniently
// ('1' to INTEGER, 1 to STRING), expressions by the strict rules.
func (p *planner) insertValue(r *resolver, e sql.Expr, col types.Column) *plan.Expr {
	if lit, ok := unparen(e).(*sql.StructLit); ok && len(lit.Names) == 0 && col.Type.Kind == types.KindStruct {
		return emptyStruct(col.Type)
	}
	r.nulls = map[*sql.Literal]types.Type{}
	r.typeNulls(e, col.Type)
	x := r.resolve(e)
	if x.Type.Kind == types.KindNull {
		null := types.NullValue
		return &plan.Expr{Op: plan.OpLiteral, Type: col.Type, Value: &null}
	}
	if x.Op == plan.OpLiteral {
		v, err := types.CoerceLiteral(*x.Value, x.Type, col.Type)
		if err != nil {
			fail(sql.CodeInsert, e.Pos(), "Expected type %s for field %s but got %s(%s): %v", col.Type, types.QuoteName(col.Name), x.Type, sql.PrintExpr(e), err)
		}
		return &plan.Expr{Op: plan.OpLiteral, Type: col.Type, Value: &v}
	}
	if !types.CanImplicitlyCast(x.Type, col.Type) {
		fail(sql.CodeInsert, e.Pos(), "Expected type %s for field %s but got %s(%s)", col.Type, types.QuoteName(col.Name), x.Type, sql.PrintExpr(e))
	}
	return castTo(x, col.Type)
}

// typeNulls gives the NULLs inside constructors the types that they have in a value
// of type t. In a list with other values a NULL has theirs.
func (r *resolver) typeNulls(e sql.Expr, t types.Type) {
	list := func(elems []sql.Expr, t types.Type) {
		all := true
		for _, x := range elems {
			all = all && isNull(x)
		}
		for _, x := range elems {
			if all || !isNull(x) {
				r.typeNulls(x, t)
			}
		}
	}
	switch e := unparen(e).(type) {
	case *sql.Literal:
		if e.Value.IsNull() {
			r.nulls[e] = t
		}
	case *sql.StructLit:
		for i, name := range e.Names {
			if f := t.Field(name.Name); t.Kind == types.KindStruct && f >= 0 {
				r.typeNulls(e.Values[i], t.Fields[f].Type)
			}
		}
	case *sql.ArrayLit:
		if t.Kind == types.KindArray {
			list(e.Elems, *t.Elem)
		}
	case *sql.MapLit:
		if t.Kind == types.KindMap {
			list(e.Keys, *t.Key)
			list(e.Values, *t.Elem)
		}
	}
}

func isNull(e sql.Expr) bool {
	lit, ok := unparen(e).(*sql.Literal)
	return ok && lit.Value.IsNull()
}
