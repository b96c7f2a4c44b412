package engine

import (
	"context"
	"maps"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/sql"
)

// ClientSession is the part of a session that a client of a server keeps: what
// SET and DEFINE change. It is for one goroutine.
type ClientSession struct{ session *Session }

// NewClientSession returns a session with default properties.
func NewClientSession() *ClientSession {
	return &ClientSession{&Session{properties: map[string]string{}, variables: map[string]string{}}}
}

// SetProperty sets a property as SET does.
func (c *ClientSession) SetProperty(name, value string) error {
	return c.session.SetProperty(name, value)
}

// Property returns a property's value in the session.
func (c *ClientSession) Property(name string) string { return c.session.property(name) }

// Properties returns what SET changed, Variables what DEFINE did.
func (c *ClientSession) Properties() map[string]string { return maps.Clone(c.session.properties) }

// Variables returns the variables by name.
func (c *ClientSession) Variables() map[string]string { return maps.Clone(c.session.variables) }

// Execute runs the statement at span of a script if it concerns the session
// alone: SET, UNSET, DEFINE, UNDEFINE, SHOW VARIABLES, RUN SCRIPT. handled is
// false for all others, which are the server's, those with errors included.
func (c *ClientSession) Execute(script string, span sql.Span) (result Result, handled bool, err error) {
	if !mayBeLocal(script[span.Start:span.End]) {
		return nil, false, nil
	}
	st, err := c.session.parse(script, span)
	if err != nil {
		return nil, true, err
	}
	switch stmt := st.stmt.(type) {
	case *sql.Set, *sql.Unset, *sql.Define, *sql.Undefine, *sql.RunScript:
	case *sql.Show:
		if stmt.What != sql.ShowVariables {
			return nil, false, nil
		}
	default:
		return nil, false, nil
	}
	result, err = c.session.run(context.Background(), st)
	return result, true, err
}

// mayBeLocal looks at a statement's first words only, so that a statement of the
// server's is parsed there and nowhere else.
func mayBeLocal(text string) bool {
	var words []string
	for _, tok := range sql.Scan(text) {
		if tok.Kind == sql.TokComment {
			continue
		}
		if words = append(words, strings.ToUpper(text[tok.Span.Start:tok.Span.End])); len(words) == 2 {
			break
		}
	}
	if len(words) == 0 {
		return false
	}
	switch words[0] {
	case "SET", "UNSET", "DEFINE", "UNDEFINE", "RUN":
		return true
	case "SHOW", "LIST":
		return len(words) == 2 && words[1] == "VARIABLES"
	}
	return false
}

// LatestHint is what to know about a push query that shows nothing.
const LatestHint = "the query shows what arrives from now on; SET 'auto.offset.reset'='earliest' shows what is there already"

// funcRows are rows that come from elsewhere.
type funcRows struct {
	read func(context.Context) ([]executor.Row, error)
	bad  func() []executor.Problem
	end  func()
}

func (f funcRows) next(ctx context.Context) ([]executor.Row, error) { return f.read(ctx) }
func (f funcRows) problems() []executor.Problem                     { return f.bad() }
func (f funcRows) close()                                           { f.end() }

// NewRows returns r with rows that read gives, as Rows.Next does, and the problems
// that bad gives; end is what Close calls and must be idempotent.
func NewRows(r Rows, read func(context.Context) ([]executor.Row, error), bad func() []executor.Problem, end func()) *Rows {
	r.rows = funcRows{read, bad, end}
	return &r
}

// funcLines are lines that come from elsewhere.
type funcLines struct {
	read func(context.Context) ([]string, error)
	end  func()
}

func (f funcLines) next(ctx context.Context) ([]string, error) { return f.read(ctx) }
func (f funcLines) close()                                     { f.end() }

// NewLines returns lines that read gives, as Lines.Next does; end is what Close
// calls and must be idempotent.
func NewLines(read func(context.Context) ([]string, error), end func()) *Lines {
	return &Lines{lines: funcLines{read, end}}
}
