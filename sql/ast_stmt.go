package sql

import "time"

// Statement is one statement of a script.
type Statement interface {
	// Pos returns the statement's text range without the semicolon.
	Pos() Span
	stmt()
}

// StmtNode is embedded in every statement and carries its span.
type StmtNode struct{ Span Span }

// Pos returns the statement's text range.
func (n StmtNode) Pos() Span { return n.Span }
func (StmtNode) stmt()       {}

// SourceKind tells streams from tables.
type SourceKind uint8

// The source kinds.
const (
	Stream SourceKind = iota
	Table
)

// String returns "stream" or "table".
func (k SourceKind) String() string {
	if k == Table {
		return "table"
	}
	return "stream"
}

// ColumnMark is what follows a column's type in a declaration.
type ColumnMark uint8

// The column marks.
const (
	MarkNone ColumnMark = iota
	MarkKey
	MarkPrimaryKey
	MarkHeaders
	MarkHeader // HEADER('name')
)

type (
	// ColumnDef declares a column.
	ColumnDef struct {
		Name   Ident
		Type   TypeName
		Mark   ColumnMark
		Header string // MarkHeader: the header's key
		Span   Span
	}

	// Property is name = value of a WITH clause. Value is a *Literal.
	Property struct {
		Name  Ident // upper case
		Value *Literal
		Span  Span
	}

	// CreateSource is CREATE STREAM or TABLE with declared or inferred columns.
	CreateSource struct {
		StmtNode
		Kind        SourceKind
		OrReplace   bool
		ReadOnly    bool // SOURCE
		IfNotExists bool
		Name        Ident
		Columns     []ColumnDef
		With        []Property
	}

	// CreateAs is CREATE STREAM or TABLE ... AS SELECT.
	CreateAs struct {
		StmtNode
		Kind        SourceKind
		OrReplace   bool
		IfNotExists bool
		Name        Ident
		With        []Property
		Query       *Query
	}

	// InsertSelect is INSERT INTO ... SELECT.
	InsertSelect struct {
		StmtNode
		Target Ident
		With   []Property // QUERY_ID
		Query  *Query
	}

	// InsertValues is INSERT INTO ... VALUES, one row.
	InsertValues struct {
		StmtNode
		Target  Ident
		Columns []Ident // nil when not given
		Values  []Expr
	}

	// Select is a query as a statement: a push query when it has EMIT, else a
	// pull query.
	Select struct {
		StmtNode
		Query *Query
	}

	// DropSource is DROP STREAM or TABLE.
	DropSource struct {
		StmtNode
		Kind        SourceKind
		IfExists    bool
		Name        Ident
		DeleteTopic bool
	}

	// AlterSource is ALTER STREAM or TABLE ... ADD COLUMN.
	AlterSource struct {
		StmtNode
		Kind SourceKind
		Name Ident
		Add  []ColumnDef
	}

	// CreateType is CREATE TYPE name AS type.
	CreateType struct {
		StmtNode
		IfNotExists bool
		Name        Ident
		Type        TypeName
	}

	// DropType is DROP TYPE name.
	DropType struct {
		StmtNode
		IfExists bool
		Name     Ident
	}

	// Show is LIST or SHOW of a kind of object.
	Show struct {
		StmtNode
		What     ShowKind
		All      bool // TOPICS
		Extended bool
	}

	// Describe is DESCRIBE of a source, a function, or all streams or tables.
	Describe struct {
		StmtNode
		What     DescribeKind
		Name     Ident
		Extended bool
	}

	// Explain is EXPLAIN of a running query's id or of a statement; one is set.
	Explain struct {
		StmtNode
		QueryID   Ident
		Statement Statement
	}

	// Print is PRINT topic.
	Print struct {
		StmtNode
		Topic         Ident // case as written
		FromBeginning bool
		Interval      int // every n-th record, 0 for all
		Limit         int // -1 for none
	}

	// QueryControl is TERMINATE, PAUSE or RESUME of one query or all.
	QueryControl struct {
		StmtNode
		Action  ControlAction
		All     bool
		QueryID Ident
	}

	// Set is SET 'name' = 'value'.
	Set struct {
		StmtNode
		Name, Value         string
		NameSpan, ValueSpan Span
	}

	// Unset is UNSET 'name'.
	Unset struct {
		StmtNode
		Name     string
		NameSpan Span
	}

	// AlterSystem is ALTER SYSTEM 'name' = 'value'.
	AlterSystem struct {
		StmtNode
		Name, Value string
		NameSpan    Span
	}

	// Define is DEFINE name = 'value'.
	Define struct {
		StmtNode
		Name  Ident
		Value string
	}

	// Undefine is UNDEFINE name.
	Undefine struct {
		StmtNode
		Name Ident
	}

	// RunScript is RUN SCRIPT 'file'.
	RunScript struct {
		StmtNode
		File string
	}

	// AssertTopic is ASSERT [NOT EXISTS] TOPIC.
	AssertTopic struct {
		StmtNode
		NotExists bool
		Topic     Ident
		With      []Property
		Timeout   *Duration
	}

	// AssertSchema is ASSERT [NOT EXISTS] SCHEMA.
	AssertSchema struct {
		StmtNode
		NotExists bool
		Subject   Ident // Name empty when not given
		ID        int32 // 0 when not given
		Timeout   *Duration
	}
)

// ShowKind is what SHOW lists.
type ShowKind uint8

// The kinds of object that SHOW lists.
const (
	ShowStreams ShowKind = iota
	ShowTables
	ShowTopics
	ShowQueries
	ShowFunctions
	ShowProperties
	ShowTypes
	ShowVariables
	ShowConnectors
)

// DescribeKind is what DESCRIBE describes.
type DescribeKind uint8

// The kinds of object that DESCRIBE describes.
const (
	DescribeSource DescribeKind = iota
	DescribeFunction
	DescribeStreams
	DescribeTables
)

// ControlAction is what QueryControl does.
type ControlAction uint8

// The control actions.
const (
	Terminate ControlAction = iota
	Pause
	Resume
)

// Emit is the refinement of a query.
type Emit uint8

// The refinements. EmitNone makes a bare SELECT a pull query and means EMIT
// CHANGES inside CREATE ... AS and INSERT.
const (
	EmitNone Emit = iota
	EmitChanges
	EmitFinal
)

type (
	// Query is a SELECT.
	Query struct {
		Span        Span
		Items       []SelectItem
		From        Relation
		Window      *Window
		Where       Expr
		GroupBy     []Expr
		PartitionBy []Expr
		Having      Expr
		Emit        Emit
		EmitSpan    Span
		Limit       int // -1 for none
		LimitSpan   Span
	}

	// SelectItem is one item of the select list: an expression with an optional
	// alias, or a star: * (Star), source.* (Star, Source) or expr->* (Star, Expr).
	SelectItem struct {
		Span   Span
		Expr   Expr
		Alias  Ident // Name empty when absent
		Star   bool
		Source Ident
	}

	// Relation is the FROM clause: a source and the joins in written order.
	Relation struct {
		Source SourceRef
		Joins  []Join
	}

	// SourceRef is a named source with an optional alias.
	SourceRef struct {
		Span  Span
		Name  Ident
		Alias Ident // Name empty when absent
	}

	// Join adds one source to what stands left of it.
	Join struct {
		Span   Span
		Kind   JoinKind
		Source SourceRef
		Within *Within
		On     Expr
	}

	// Within is the time bound of a stream-stream join.
	Within struct {
		Span          Span
		Before, After time.Duration
		Grace         *Duration
	}

	// Window is the WINDOW clause.
	Window struct {
		Span      Span
		Kind      WindowKind
		Size      time.Duration // SESSION: the inactivity gap
		Advance   time.Duration // HOPPING; equals Size for TUMBLING
		Retention *Duration
		Grace     *Duration
	}

	// Duration is a length of time with the text it was read from.
	Duration struct {
		Span  Span
		Value time.Duration
	}
)

// JoinKind is the kind of a join.
type JoinKind uint8

// The join kinds.
const (
	InnerJoin JoinKind = iota
	LeftJoin
	RightJoin
	FullJoin
)

// WindowKind is the kind of a window.
type WindowKind uint8

// The window kinds.
const (
	Tumbling WindowKind = iota
	Hopping
	Session
)
