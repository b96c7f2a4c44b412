package planner

import (
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// Env is what planning depends on besides the statement and the catalog.
type Env struct {
	Catalog *catalog.Catalog
	// Text is the script that the statement's spans point into.
	Text string
	// Topic returns the partition count of an existing topic.
	Topic func(name string) (partitions int32, ok bool)
	// Topics lists the names of the topics, for suggestions; nil for none.
	Topics func() []string
	// Properties are the session's properties, by full name.
	Properties map[string]string
	// NextID is the number that a new query's id ends in.
	NextID int64
	// ServiceID names internal topics.
	ServiceID string
	// Schemas is the schema registry, nil where there is none.
	Schemas Schemas
	// Evaluate returns the value of an expression without columns. Without it only
	// literals are known when a query is planned.
	Evaluate func(*plan.Expr) (types.Value, error)
}

// TopicSpec is a topic that must exist before a statement takes effect.
type TopicSpec struct {
	Name       string
	Partitions int32
	Replicas   int16
	Configs    map[string]string
	// Internal marks changelog and repartition topics, which clients may not
	// write.
	Internal bool
}

// Planned is what a statement asks for: one of the types below.
type Planned interface{ planned() }

type (
	// CreateSource adds or replaces a stream or table over a topic.
	CreateSource struct {
		Source *catalog.Source
		// Altered says that the source exists and gets columns.
		Altered bool
		// Topic is to be created, nil when it exists.
		Topic *TopicSpec
		// Query materialises a SOURCE TABLE, else nil.
		Query  *plan.Query
		Topics []TopicSpec
		// Notes are what the user should know: fields of an inferred schema that
		// were left out.
		Notes []string
		// Warnings say which declared columns do not fit a registered schema.
		Warnings []string
	}

	// CreateQuery adds a persistent query and, unless it is an INSERT, the
	// stream or table that it writes.
	CreateQuery struct {
		Source *catalog.Source // nil for INSERT INTO ... SELECT
		Query  *plan.Query
		Topics []TopicSpec
		// Replaces is the id of the query that OR REPLACE ends, or "".
		Replaces string
	}

	// PushQuery runs until its limit or its client ends it.
	PushQuery struct{ Query *plan.Query }

	// PullQuery answers once.
	PullQuery struct{ Pull *plan.Pull }

	// Insert writes one record. Key and Value hold one constant expression per
	// column of the source's schema, already cast to its type.
	Insert struct {
		Source *catalog.Source
		Key    []*plan.Expr
		Value  []*plan.Expr
		// RowTime is the ROWTIME given (BIGINT), nil for the wall clock.
		RowTime *plan.Expr
	}

	// Nothing is a statement whose effect is already there (IF NOT EXISTS).
	Nothing struct{ Msg string }

	// AddType registers a custom type.
	AddType struct {
		Name string
		Type types.Type
	}
)

func (*CreateSource) planned() {}
func (*CreateQuery) planned()  {}
func (*PushQuery) planned()    {}
func (*PullQuery) planned()    {}
func (*Insert) planned()       {}
func (*Nothing) planned()      {}
func (*AddType) planned()      {}

// Plan plans a statement that creates, queries or inserts. Other statements are
// package engine's.
func Plan(env Env, stmt sql.Statement) (_ Planned, err *sql.Error) {
	defer recoverFail(&err)
	p := &planner{Env: env}
	switch s := stmt.(type) {
	case *sql.CreateSource:
		return p.createSource(s), nil
	case *sql.CreateAs:
		return p.createAs(s), nil
	case *sql.InsertSelect:
		return p.insertSelect(s), nil
	case *sql.InsertValues:
		return p.insertValues(s), nil
	case *sql.Select:
		return p.selectQuery(s), nil
	case *sql.CreateType:
		return p.createType(s), nil
	case *sql.AlterSource:
		return p.alterSource(s), nil
	}
	return nil, &sql.Error{Code: sql.CodeUnsupported, Msg: "this statement cannot be planned", Span: stmt.Pos()}
}

// planner is the state of planning one statement.
type planner struct{ Env }

// failure carries an error from where it is found to Plan, as text/template/parse
// does: the planner's functions would otherwise return an error each.
type failure struct{ err *sql.Error }

func recoverFail(err **sql.Error) {
	switch r := recover().(type) {
	case nil:
	case failure:
		*err = r.err
	default:
		panic(r)
	}
}

// fail ends planning with an error.
func fail(code sql.Code, span sql.Span, format string, args ...any) {
	failHint(code, span, "", format, args...)
}

// failHint ends planning with an error that says what to do next.
func failHint(code sql.Code, span sql.Span, hint, format string, args ...any) {
	panic(failure{&sql.Error{Code: code, Msg: fmt.Sprintf(format, args...), Span: span, Hint: hint}})
}

// property returns a session property or its default.
func (p *planner) property(name, def string) string {
	if v, ok := p.Properties[name]; ok {
		return v
	}
	return def
}

// text returns the statement's text with its semicolon, as SHOW QUERIES prints it.
func (p *planner) text(span sql.Span) string {
	if span.End > len(p.Text) || span.Start > span.End {
		return ""
	}
	return p.Text[span.Start:span.End] + ";"
}

// source finds a stream or table that a statement names, or fails with a
// suggestion.
func (p *planner) source(name sql.Ident) *catalog.Source {
	if s := p.Catalog.Source(name.Name); s != nil {
		return s
	}
	var names []string
	for _, s := range p.Catalog.Sources() {
		names = append(names, s.Name)
	}
	hint := ""
	if s := sql.Suggest(name.Name, names); s != "" {
		hint = fmt.Sprintf("did you mean %s?", s)
	} else if len(names) == 0 {
		hint = "no stream or table exists yet; CREATE STREAM or CREATE TABLE makes one"
	}
	failHint(sql.CodeUnknownSource, name.Span, hint, "%s does not exist", name.Name)
	return nil
}

// InternalPrefix begins the names of the system's own topics and groups.
const InternalPrefix = "_millrace-"

// refuseInternal refuses to write to one of the system's own topics.
func refuseInternal(topic string, span sql.Span) {
	if strings.HasPrefix(topic, InternalPrefix) {
		fail(sql.CodeReadOnly, span, "topic %s belongs to the system and can only be read", topic)
	}
}

// reservedColumns cannot be declared.
var reservedColumns = []string{"ROWTIME", "ROWPARTITION", "ROWOFFSET", "WINDOWSTART", "WINDOWEND"}

func reserved(name string) bool { return slices.Contains(reservedColumns, name) }
