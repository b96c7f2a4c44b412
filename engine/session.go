package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// Session holds what SET and DEFINE change for the statements that follow. It is
// for one goroutine.
type Session struct {
	engine     *Engine
	properties map[string]string
	variables  map[string]string
}

// NewSession returns a session with default properties.
func (e *Engine) NewSession() *Session {
	return &Session{engine: e, properties: map[string]string{}, variables: map[string]string{}}
}

// SetProperty sets a property as SET does. Errors: an unknown property, or a
// value that does not fit it.
func (s *Session) SetProperty(name, value string) error {
	p, err := checkProperty(name, value)
	if near := nearProperty(name); near != "" && errors.As(err, new(unknownPropertyError)) {
		return fmt.Errorf("%w: did you mean '%s'?", err, near)
	}
	if err != nil {
		return err
	}
	s.properties[p.Name] = value
	return nil
}

// SetVariable sets a variable as DEFINE does.
func (s *Session) SetVariable(name, value string) { s.variables[name] = value }

// statement is one statement of a script with the text that its spans point into.
type statement struct {
	stmt   sql.Statement
	text   string
	origin sql.Origin
}

// Execute runs the statements of a script in order and gives each result to
// yield, which must finish with a Rows or Lines before it returns. It stops at
// the first error, a *StatementError when it is about the statement.
func (s *Session) Execute(ctx context.Context, script string, yield func(Result) error) error {
	pieces, err := splitScript(script)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		if err := ctx.Err(); err != nil {
			return err // what ended the statement before ends the script
		}
		st, err := s.parse(script, piece)
		if err != nil {
			return err
		}
		result, err := s.run(ctx, st)
		if err != nil {
			return err
		}
		if err := yield(result); err != nil {
			return err
		}
	}
	return nil
}

// splitScript returns the statements' ranges; text behind the last semicolon
// counts as a statement, too.
func splitScript(script string) ([]sql.Span, error) {
	if len(script) > sql.MaxScriptBytes {
		return nil, &StatementError{Err: &sql.Error{Code: sql.CodeLimit, Msg: fmt.Sprintf("the script is longer than %d bytes", sql.MaxScriptBytes)}, Text: ""}
	}
	spans, rest := sql.Split(script)
	if rest != (sql.Span{}) && strings.TrimSpace(script[rest.Start:rest.End]) != "" {
		spans = append(spans, rest)
	}
	// A semicolon by itself is no statement.
	spans = slices.DeleteFunc(spans, func(span sql.Span) bool { return script[span.Start:span.End] == ";" })
	return spans, nil
}

// parse parses one statement of a script after substituting variables. Spans
// point into the script unless a variable changed the text.
func (s *Session) parse(script string, span sql.Span) (statement, error) {
	piece := script[span.Start:span.End]
	origin := sql.Origin{Lines: strings.Count(script[:span.Start], "\n")}
	text, serr := sql.Substitute(piece, s.variables)
	if serr != nil {
		return statement{}, &StatementError{serr, piece, origin}
	}
	shown := text
	if text == piece {
		text, shown, origin = blank(script[:span.Start])+piece, script, sql.Origin{}
	}
	stmts, errs := sql.Parse(text)
	if len(errs) > 0 {
		return statement{}, &StatementError{errs[0], shown, origin}
	}
	if len(stmts) != 1 {
		return statement{}, &StatementError{&sql.Error{Code: sql.CodeSyntax, Msg: "expected one statement", Span: sql.Span{End: len(text)}}, shown, origin}
	}
	return statement{stmts[0], shown, origin}, nil
}

// blank returns text with everything but line ends turned into spaces, so that
// spans behind it keep their line and column.
func blank(text string) string {
	b := []byte(text)
	for i, c := range b {
		if c != '\n' {
			b[i] = ' '
		}
	}
	return string(b)
}

// Validate plans a script against a sandbox of the catalog and the topics, and
// changes nothing. It returns the first error that executing it would meet.
func (s *Session) Validate(script string) error {
	pieces, err := splitScript(script)
	if err != nil {
		return err
	}
	sandbox := &Session{engine: s.engine, properties: maps.Clone(s.properties), variables: maps.Clone(s.variables)}
	v := s.engine.view()
	for _, piece := range pieces {
		st, err := sandbox.parse(script, piece)
		if err != nil {
			return err
		}
		if v, err = sandbox.validate(v, st); err != nil {
			return err
		}
	}
	return nil
}

// view is what statements are planned against: the real catalog and topics, or a
// sandbox of them.
type view struct {
	catalog *catalog.Catalog
	// topics are topics that a sandbox created, by name; 0 partitions marks one
	// that it deleted.
	topics map[string]int32
	nextID int64
	// schemas is the registry, with what a sandbox changed.
	schemas *schemaView
}

func (e *Engine) view() view {
	return view{catalog: e.Catalog(), nextID: e.nextID.Load(), schemas: e.newSchemaView()}
}

// env returns what the planner needs to plan against a view.
func (s *Session) env(v view, text string) planner.Env {
	return planner.Env{
		Catalog: v.catalog, Text: text, Properties: s.properties, NextID: v.nextID, ServiceID: s.engine.cfg.ServiceID, Schemas: v.schemas,
		Evaluate: func(e *plan.Expr) (types.Value, error) {
			return executor.Evaluate(e, s.engine.cfg.Clock.Now().UnixMilli())
		},
		Topic: func(name string) (int32, bool) {
			if n, ok := v.topics[name]; ok {
				return n, n > 0
			}
			t, ok := s.engine.cluster.Topic(name)
			return t.Partitions, ok
		},
		Topics: func() (names []string) {
			for _, t := range s.engine.cluster.Topics() {
				names = append(names, t.Name)
			}
			return names
		},
	}
}

// validate plans one statement in a sandbox and returns the sandbox after it.
func (s *Session) validate(v view, st statement) (view, error) {
	switch stmt := st.stmt.(type) {
	case *sql.Set, *sql.Unset, *sql.Define, *sql.Undefine:
		_, err := s.run(context.Background(), st)
		return v, err
	case *sql.InsertValues, *sql.Select:
		_, err := planner.Plan(s.env(v, st.text), stmt)
		return v, wrap(err, st)
	case *sql.Describe:
		if stmt.What != sql.DescribeSource {
			return v, nil
		}
		_, err := describedSource(v.catalog, st, stmt)
		return v, err
	}
	if _, ok := st.stmt.(*sql.AlterSystem); ok {
		_, err := s.run(context.Background(), st)
		return v, err
	}
	if !changesCatalog(st.stmt) {
		return v, nil
	}
	if _, ok := s.engine.endsPush(st.stmt); ok {
		return v, nil
	}
	p, err := s.planChange(v, st)
	if err != nil || p.command == nil {
		return v, err
	}
	next := view{topics: maps.Clone(v.topics), nextID: v.nextID + 1, schemas: v.schemas}
	if next.topics == nil {
		next.topics = map[string]int32{}
	}
	for _, t := range p.change.createTopics {
		next.topics[t.Name] = t.Partitions
	}
	for _, name := range p.change.deleteTopics {
		next.topics[name] = 0
	}
	var applyErr error
	next.catalog, applyErr = applyCommand(v.catalog, p.command)
	return next, applyErr
}

// wrap gives a planning error its text; it turns a nil *sql.Error into a nil
// error.
func wrap(err *sql.Error, st statement) error {
	if err == nil {
		return nil
	}
	return &StatementError{err, st.text, st.origin}
}

// fail returns an error about a statement.
func (st statement) fail(code sql.Code, span sql.Span, hint, format string, args ...any) error {
	return &StatementError{&sql.Error{Code: code, Msg: fmt.Sprintf(format, args...), Span: span, Hint: hint}, st.text, st.origin}
}

// Properties returns the session's properties in order of name.
func (s *Session) Properties() []string { return slices.Sorted(maps.Keys(s.properties)) }
