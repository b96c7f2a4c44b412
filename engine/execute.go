package engine

import (
	"context"
	"errors"

	"github.com/millrace/millrace/sql"
)

// run executes one statement.
func (s *Session) run(ctx context.Context, st statement) (Result, error) {
	switch stmt := st.stmt.(type) {
	case *sql.InsertValues:
		return s.insertValues(ctx, st, stmt)
	case *sql.Select:
		return s.query(ctx, st, stmt)
	case *sql.Show:
		return s.show(ctx, stmt)
	case *sql.Describe:
		return s.describe(ctx, st, stmt)
	case *sql.Explain:
		return s.explain(st, stmt)
	case *sql.Print:
		return s.print(ctx, st, stmt)
	case *sql.Set:
		return s.set(st, stmt)
	case *sql.Unset:
		return s.unset(st, stmt)
	case *sql.Define:
		s.variables[stmt.Name.Name] = stmt.Value
		return &Done{Msg: "Variable " + stmt.Name.Name + " defined"}, nil
	case *sql.Undefine:
		return s.undefine(st, stmt)
	case *sql.AssertTopic:
		return s.assertTopic(ctx, st, stmt)
	case *sql.AssertSchema:
		return s.assertSchema(ctx, st, stmt)
	case *sql.AlterSystem:
		return nil, st.fail(sql.CodeUnsupported, stmt.Span, "SET '"+stmt.Name+"'='"+stmt.Value+"'; before the statements that it is for",
			"ALTER SYSTEM is not supported: properties belong to a session, and a query keeps those that it was created with")
	case *sql.RunScript:
		return &Script{File: stmt.File, st: st, span: stmt.Span}, nil
	}
	if id, ok := s.engine.endsPush(st.stmt); ok && s.engine.ClosePush(id) {
		return &Done{Msg: "Query terminated.", Terminated: id}, nil
	}
	if changesCatalog(st.stmt) {
		return s.changeCatalog(ctx, st)
	}
	return nil, st.fail(sql.CodeUnsupported, st.stmt.Pos(), "", "this statement is not supported yet")
}

func (s *Session) set(st statement, stmt *sql.Set) (Result, error) {
	p, err := checkProperty(stmt.Name, stmt.Value)
	if err != nil {
		if errors.As(err, new(unknownPropertyError)) {
			return nil, st.fail(sql.CodeUnknownProperty, stmt.NameSpan, propertyHint(stmt.Name), "%v", err)
		}
		return nil, st.fail(sql.CodeInvalidProperty, stmt.ValueSpan, valueHint(err, stmt.Value), "%v", err)
	}
	s.properties[p.Name] = stmt.Value
	msg := "Successfully changed local property '" + p.Name + "' to '" + stmt.Value + "'."
	if p.NoEffect != "" {
		msg += " It has no effect here: " + p.NoEffect + "."
	}
	return &Done{Msg: msg}, nil
}

func (s *Session) unset(st statement, stmt *sql.Unset) (Result, error) {
	p := findProperty(stmt.Name)
	if p == nil {
		return nil, st.fail(sql.CodeUnknownProperty, stmt.NameSpan, propertyHint(stmt.Name), "Not recognizable as ksql, streams, consumer, or producer property: '%s'", stmt.Name)
	}
	delete(s.properties, p.Name)
	return &Done{Msg: "Successfully unset local property '" + p.Name + "' (value was '" + p.Default + "' by default)."}, nil
}

func (s *Session) undefine(st statement, stmt *sql.Undefine) (Result, error) {
	if _, ok := s.variables[stmt.Name.Name]; !ok {
		return nil, st.fail(sql.CodeUnknownProperty, stmt.Name.Span, "SHOW VARIABLES lists them", "Cannot find variable with name: %s", stmt.Name.Name)
	}
	delete(s.variables, stmt.Name.Name)
	return &Done{Msg: "Variable " + stmt.Name.Name + " undefined"}, nil
}
