package planner

import (
	"slices"
	"strings"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// scope binds names to the columns of a relation.
type scope struct {
	columns []binding
	// joined says that more than one source is in scope.
	joined bool
}

// binding is one name in scope.
type binding struct {
	source string // alias of the source; empty for columns that no source owns
	name   string
	expr   *plan.Expr
	system bool // a pseudo column: left out of *
	// bounds marks WINDOWSTART and WINDOWEND of a windowed source, which * shows in
	// transient queries and in joins.
	bounds bool
}

// sourceScope binds the columns of one source and the pseudo columns; a window's
// bounds stand behind the key.
func sourceScope(alias string, schema types.Schema, windowed bool) *scope {
	s := &scope{}
	bindPseudo := func(bounds bool) {
		for _, pc := range pseudoColumns(windowed) {
			if isBounds := pc.column == plan.ColWindowStart || pc.column == plan.ColWindowEnd; isBounds == bounds {
				s.columns = append(s.columns, binding{source: alias, name: pc.name, expr: column(pc.column, pc.typ), system: true, bounds: bounds})
			}
		}
	}
	for i := range schema.Len() {
		if i == len(schema.Key) {
			bindPseudo(true)
		}
		c := schema.Column(i)
		s.columns = append(s.columns, binding{source: alias, name: c.Name, expr: column(i, c.Type)})
	}
	if len(schema.Value) == 0 {
		bindPseudo(true)
	}
	bindPseudo(false)
	return s
}

// pseudoColumn is a column that every row has.
type pseudoColumn struct {
	name   string
	column int
	typ    types.Type
}

func pseudoColumns(windowed bool) []pseudoColumn {
	cols := []pseudoColumn{
		{"ROWTIME", plan.ColRowTime, types.Bigint},
		{"ROWPARTITION", plan.ColRowPartition, types.Integer},
		{"ROWOFFSET", plan.ColRowOffset, types.Bigint},
	}
	if windowed {
		cols = append(cols, pseudoColumn{"WINDOWSTART", plan.ColWindowStart, types.Bigint},
			pseudoColumn{"WINDOWEND", plan.ColWindowEnd, types.Bigint})
	}
	return cols
}

func column(i int, t types.Type) *plan.Expr { return &plan.Expr{Op: plan.OpColumn, Type: t, Column: i} }

// find resolves a column reference, or fails with what is in scope.
func (s *scope) find(ref *sql.ColumnRef) *plan.Expr {
	var found []binding
	sourceSeen := ref.Source.Name == ""
	for _, b := range s.columns {
		if ref.Source.Name != "" && b.source != ref.Source.Name {
			continue
		}
		sourceSeen = true
		if b.name == ref.Name.Name {
			found = append(found, b)
		}
	}
	switch {
	case !sourceSeen:
		failHint(sql.CodeUnknownSource, ref.Source.Span, sql.DidYouMean(ref.Source.Name, s.sources()),
			"'%s' is not a valid stream/table name or alias", ref.Source.Name)
	case len(found) == 0:
		failHint(sql.CodeUnknownColumn, ref.Name.Span, s.columnHint(ref), "column '%s' cannot be resolved", sql.PrintExpr(ref))
	case len(found) > 1:
		var names []string
		for _, b := range found {
			names = append(names, b.source+"."+b.name)
		}
		failHint(sql.CodeAmbiguousColumn, ref.Span, "write "+strings.Join(names, " or "), "column '%s' is ambiguous. Could be %s", ref.Name.Name, strings.Join(names, " or "))
	}
	return found[0].expr
}

// sources returns the aliases in scope, in order.
func (s *scope) sources() []string {
	var names []string
	for _, b := range s.columns {
		if b.source != "" && !slices.Contains(names, b.source) {
			names = append(names, b.source)
		}
	}
	return names
}

func (s *scope) columnHint(ref *sql.ColumnRef) string {
	var names []string
	for _, b := range s.columns {
		if (ref.Source.Name == "" || b.source == ref.Source.Name) && !b.system {
			names = append(names, b.name)
		}
	}
	meant := names
	if ref.Source.Name == "" && !ref.Name.Quoted {
		meant = append(slices.Clone(names), "TRUE", "FALSE", "NULL")
	}
	hint := sql.DidYouMean(ref.Name.Name, meant)
	if len(names) <= 12 {
		if hint != "" {
			hint += " "
		}
		hint += "the columns are " + strings.Join(names, ", ")
	}
	return hint
}

// clashes reports whether more than one source has a column of this name.
func (s *scope) clashes(name string) bool {
	n := 0
	for _, b := range s.columns {
		if b.name == name && b.source != "" {
			n++
		}
	}
	return n > 1
}

func upper(s string) string { return strings.ToUpper(s) }

// eachExpr calls f for e and every expression below it.
func eachExpr(e sql.Expr, f func(sql.Expr)) {
	sql.Walk(e, func(x sql.Expr) bool {
		f(x)
		return true
	})
}
