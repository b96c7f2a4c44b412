package engine

import (
	"context"
	"errors"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// Result is what a statement answers: exactly one of the types below. HTTP and
// the terminal each render all of them.
type Result interface{ result() }

type (
	// Done is the answer of a statement that changes something.
	Done struct {
		// Msg says what happened: "Stream created".
		Msg string
		// Text is the statement as the user typed it.
		Text string
		// Command describes a command of the command log, nil for statements that
		// have none (SET, INSERT VALUES).
		Command *CommandStatus
		// Terminated is the push query that was ended, or "".
		Terminated string
		// Warning says that nothing needed to be done.
		Warning bool
		// Warnings are what the user should know of what was done.
		Warnings []string
	}

	// SourceList is SHOW STREAMS and SHOW TABLES.
	SourceList struct {
		Kind    catalog.Kind
		Sources []*catalog.Source
	}

	// TopicList is SHOW TOPICS.
	TopicList struct {
		Topics   []TopicInfo
		Extended bool
	}

	// QueryList is SHOW QUERIES.
	QueryList struct {
		Queries  []QueryInfo
		Extended bool
	}

	// FunctionList is SHOW FUNCTIONS.
	FunctionList struct{ Functions []FunctionInfo }

	// PropertyList is SHOW PROPERTIES.
	PropertyList struct{ Properties []PropertyInfo }

	// TypeList is SHOW TYPES.
	TypeList struct{ Types []types.Column }

	// VariableList is SHOW VARIABLES.
	VariableList struct{ Variables []Variable }

	// SourceDescriptions is DESCRIBE of a source or of all sources of a kind. One
	// says that a single source was asked for.
	SourceDescriptions struct {
		Sources  []SourceDescription
		Extended bool
		One      bool
	}

	// FunctionDescription is DESCRIBE FUNCTION.
	FunctionDescription struct{ Function FunctionInfo }

	// Explanation is EXPLAIN.
	Explanation struct {
		Query QueryInfo
		Plan  string
	}

	// Rows is a query's result, which the caller reads and closes.
	Rows struct {
		QueryID string
		// Push says that the rows are changes that go on coming.
		Push bool
		// Stream says that a pull query reads a stream: what it shows has no key, and
		// over HTTP it ends with a message as a push query does.
		Stream bool
		// Columns are the result's columns; Key marks those of the key in a pull
		// query on a table.
		Columns []types.Column
		Key     []bool
		// Limit is the number of rows after which the query ends, -1 for none.
		Limit int64
		// Hint tells what to know about an empty result.
		Hint string
		rows rowSource
	}

	// Lines is PRINT: text lines, which the caller reads and closes.
	Lines struct{ lines lineSource }

	// Script is RUN SCRIPT: the session goes on with the file.
	Script struct {
		File string
		st   statement
		span sql.Span
	}
)

// Fail returns an error about the statement that runs the script.
func (s *Script) Fail(format string, args ...any) error {
	return s.st.fail(sql.CodeScript, s.span, "", format, args...)
}

func (*Done) result()                {}
func (*SourceList) result()          {}
func (*TopicList) result()           {}
func (*QueryList) result()           {}
func (*FunctionList) result()        {}
func (*PropertyList) result()        {}
func (*TypeList) result()            {}
func (*VariableList) result()        {}
func (*SourceDescriptions) result()  {}
func (*FunctionDescription) result() {}
func (*Explanation) result()         {}
func (*Rows) result()                {}
func (*Lines) result()               {}
func (*Script) result()              {}

// CommandStatus describes a command of the command log.
type CommandStatus struct {
	// ID is type/entity/action: stream/`S`/create.
	ID string
	// Sequence is the command's offset in the command log, -1 for none.
	Sequence int64
	// QueryID is the query that was created, or "".
	QueryID string
}

// TopicInfo is a topic in a list. Groups are the persistent queries that read it,
// Consumers their tasks, one a partition; clients' own groups are not counted.
type TopicInfo struct {
	Topic
	Consumers, Groups int32
}

// Variable is a name that ${name} stands for.
type Variable struct{ Name, Value string }

// PropertyInfo is a session or engine property.
type PropertyInfo struct {
	Name, Value string
	// Overridden says that the session set it.
	Overridden bool
	Doc        string
}

// QueryInfo describes a running query.
type QueryInfo struct {
	ID         string
	Text       string
	Push       bool
	SinkName   string
	SinkTopic  string
	Sources    []string
	Status     executor.Status
	Plan       *plan.Query
	Properties map[string]string
	// Group is the consumer group of a persistent query.
	Group string
}

// Takes reports whether TERMINATE, PAUSE or RESUME of the query's id is accepted and
// changes something: a query that keeps a source table takes none of them, a push
// query can only be ended.
func (q QueryInfo) Takes(action sql.ControlAction) bool {
	switch {
	case keepsSource(q.ID):
		return false
	case action == sql.Terminate:
		return true
	}
	return !q.Push && (q.Status.State == executor.Paused) == (action == sql.Resume)
}

// FunctionInfo describes a function.
type FunctionInfo struct {
	Name, Class, Category, Description string
	Signatures                         []FunctionSignature
}

// FunctionSignature is one overload of a function.
type FunctionSignature struct {
	Arguments  []FunctionArgument
	ReturnType string
}

// FunctionArgument is a parameter of an overload.
type FunctionArgument struct {
	Name, Type, Description string
	Variadic                bool
}

// SourceDescription describes a stream or table.
type SourceDescription struct {
	Source     *catalog.Source
	Partitions int32
	Replicas   int32
	ReadBy     []QueryInfo
	WrittenBy  []QueryInfo
	// Offsets are the positions of the queries that read it, and Schemas what the
	// registry has of its key and its value; EXTENDED only.
	Offsets []GroupOffsets
	Schemas []RegisteredSchema
}

// RegisteredSchema is the subject of one side of a source in the schema registry.
type RegisteredSchema struct {
	// Side is KEY or VALUE.
	Side    string `json:"side"`
	Subject string `json:"subject"`
	// Version is the subject's last, of this ID and Type (AVRO); 0 when the subject
	// has none yet.
	Version int32  `json:"version"`
	ID      int32  `json:"id"`
	Type    string `json:"type,omitempty"`
	// WrittenID is the id in the records that statements write, 0 when their schema
	// is not registered yet.
	WrittenID int32 `json:"writtenId"`
	// Error says why the registry did not answer, or "".
	Error string `json:"error,omitempty"`
}

// GroupOffsets are the positions of one consumer group in one topic.
type GroupOffsets struct {
	Group      string
	Topic      string
	Partitions []PartitionOffsets
}

// PartitionOffsets is where a topic begins and ends and where a group stands.
type PartitionOffsets struct {
	Partition      int32
	LogStart, End  int64
	ConsumerOffset int64
}

// rowSource is where Rows come from.
type rowSource interface {
	next(ctx context.Context) ([]executor.Row, error)
	problems() []executor.Problem
	close()
}

// lineSource is where Lines come from.
type lineSource interface {
	next(ctx context.Context) ([]string, error)
	close()
}

// Next returns the rows that are ready; it waits for them. A push query gives none
// when it has a problem to tell of that Problems did not have before. It ends with io.EOF at the limit or the end of a pull query, or with the query's
// failure.
func (r *Rows) Next(ctx context.Context) ([]executor.Row, error) { return r.rows.next(ctx) }

// Problems returns what went wrong with records so far: values that are NULL and
// rows that are missing because an expression failed or a record could not be
// read. The processing log has the records, those of push and pull queries up to
// executor.MaxTransientEntries a query.
func (r *Rows) Problems() []executor.Problem { return r.rows.problems() }

// Close ends the query. It is idempotent.
func (r *Rows) Close() { r.rows.close() }

// StatementError is an error about a statement together with the text that its
// spans point into.
type StatementError struct {
	Err  *sql.Error
	Text string
	// Origin is where Text stands, as far as it is known.
	Origin sql.Origin
}

// Error returns the message without the excerpt.
func (e *StatementError) Error() string { return e.Err.Error() }

// Format returns the error as the user sees it: code, excerpt, caret and hint.
func (e *StatementError) Format() string { return sql.FormatAt(e.Origin, e.Text, e.Err) }

// At adds to an error about a statement where in a file the script stands.
func At(err error, o sql.Origin) error {
	var st *StatementError
	if errors.As(err, &st) && st.Origin.File == "" {
		st.Origin = sql.Origin{File: o.File, Lines: o.Lines + st.Origin.Lines, Columns: o.Columns}
	}
	return err
}

// InFile adds to an error about a statement the name of the file that the script
// came from, unless it is in a script of another file that this one ran.
func InFile(err error, file string) error {
	return At(err, sql.Origin{File: file})
}
