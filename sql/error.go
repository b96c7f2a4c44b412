package sql

// Code is a stable, tested identifier of a kind of error, printed as
// error[code]. It may be relied on by programs.
type Code string

// The codes. Every one has at least one script under testdata/error.
const (
	CodeSyntax          Code = "syntax"           // the text is not a statement
	CodeUnsupported     Code = "unsupported"      // understood, and not available
	CodeLimit           Code = "limit"            // a documented limit was passed
	CodeUnknownSource   Code = "unknown-source"   // no such stream or table
	CodeUnknownColumn   Code = "unknown-column"   // no such column in scope
	CodeAmbiguousColumn Code = "ambiguous-column" // more than one source has it
	CodeUnknownType     Code = "unknown-type"     // no such type
	CodeUnknownFunction Code = "unknown-function" // no function of that name
	CodeUnknownQuery    Code = "unknown-query"    // no query of that id
	CodeUnknownTopic    Code = "unknown-topic"    // no such topic
	CodeUnknownProperty Code = "unknown-property" // WITH or SET property
	CodeInvalidProperty Code = "invalid-property" // bad value, duplicate, or not legal here
	CodeArguments       Code = "arguments"        // no overload of a function fits
	CodeType            Code = "type"             // operand or column types do not fit
	CodeDuplicate       Code = "duplicate"        // a name given twice
	CodeExists          Code = "exists"           // the object exists already
	CodeReserved        Code = "reserved"         // a name that may not be used
	CodeKey             Code = "key"              // key column rules
	CodeAggregate       Code = "aggregate"        // GROUP BY and aggregate rules
	CodeWindow          Code = "window"           // window rules
	CodeJoin            Code = "join"             // join rules
	CodeTableFunction   Code = "table-function"   // EXPLODE and its like
	CodePull            Code = "pull-query"       // what a pull query cannot do
	CodePersistent      Code = "persistent-query" // what a persistent query cannot do
	CodeKind            Code = "kind"             // stream where a table is due, or the reverse
	CodeFormat          Code = "format"           // format and type do not fit
	CodeSchema          Code = "schema"           // registered schema missing, or not fit for the columns
	CodeInsert          Code = "insert"           // INSERT rules
	CodeInUse           Code = "in-use"           // something still reads or writes it
	CodeReadOnly        Code = "read-only"        // SOURCE streams and tables, internal topics
	CodeUpgrade         Code = "upgrade"          // OR REPLACE that cannot be done
	CodeLiteral         Code = "literal"          // number out of range, bad escape
	CodeEvaluation      Code = "evaluation"       // an expression failed on constant input
	CodeAssertion       Code = "assertion"        // ASSERT found that something does not hold
	CodeScript          Code = "script"           // the file of RUN SCRIPT cannot be run
	CodeInternal        Code = "internal"         // our bug
)

// Error is an error about a statement, as the user sees it: what is wrong (Msg,
// in the user's words, without a full stop), where (Span), what else is
// involved (Notes) and what to do next (Hint).
type Error struct {
	Code  Code
	Msg   string
	Span  Span
	Notes []Note
	Hint  string
}

// Note points at another place that is involved. A zero Span prints without an
// excerpt.
type Note struct {
	Msg  string
	Span Span
}

// Error returns the message without the excerpt. Use Format to print it with
// the text.
func (e *Error) Error() string { return e.Msg }
