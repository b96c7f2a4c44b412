package sql

import "github.com/millrace/millrace/sql/types"

// Ident is a name as it counts: unquoted names in upper case, quoted ones as
// written.
type Ident struct {
	Name   string
	Quoted bool
	Span   Span
}

// Expr is an expression. Each node knows the text that it stands for.
type Expr interface {
	// Pos returns the text range of the node, all its operands included.
	Pos() Span
	expr()
}

// Node is embedded in every expression and carries its span.
type Node struct{ Span Span }

// Pos returns the text range of the node.
func (n Node) Pos() Span { return n.Span }
func (Node) expr()       {}

type (
	// Literal is a constant: NULL, TRUE, 'text', 1 (INTEGER or BIGINT by size),
	// 1.5 (DECIMAL), 1e3 (DOUBLE).
	Literal struct {
		Node
		Value types.Value
		Type  types.Type
	}

	// ColumnRef is name or source.name.
	ColumnRef struct {
		Node
		Source Ident // Name empty when there is no qualifier
		Name   Ident
	}

	// Unary is a prefix operator.
	Unary struct {
		Node
		Op UnaryOp
		X  Expr
	}

	// Binary is an infix operator, AND and OR included.
	Binary struct {
		Node
		Op   BinaryOp
		L, R Expr
	}

	// Between is X [NOT] BETWEEN Low AND High.
	Between struct {
		Node
		Not          bool
		X, Low, High Expr
	}

	// In is X [NOT] IN (List...).
	In struct {
		Node
		Not  bool
		X    Expr
		List []Expr
	}

	// Like is X [NOT] LIKE Pattern [ESCAPE 'c']. Escape is 0 for none.
	Like struct {
		Node
		Not        bool
		X, Pattern Expr
		Escape     rune
	}

	// IsNull is X IS [NOT] NULL.
	IsNull struct {
		Node
		Not bool
		X   Expr
	}

	// Case is both forms of CASE; Operand is nil in the searched form, Else is
	// nil when absent.
	Case struct {
		Node
		Operand Expr
		Whens   []When
		Else    Expr
	}

	// When is one branch of a Case.
	When struct{ Cond, Then Expr }

	// Cast is CAST(X AS Type).
	Cast struct {
		Node
		X    Expr
		Type TypeName
	}

	// Call is a function call, scalar, aggregate or table function alike. Star
	// is set for f(*).
	Call struct {
		Node
		Name     Ident
		Star     bool
		Distinct bool
		Args     []Expr
		Filter   Expr // FILTER (WHERE ...), nil when absent
	}

	// IntervalUnit is a unit keyword as a function argument: DAYS in
	// DATEADD(DAYS, 1, d). Name is the upper-case plural.
	IntervalUnit struct {
		Node
		Name string
	}

	// Lambda is (Params...) => Body.
	Lambda struct {
		Node
		Params []Ident
		Body   Expr
	}

	// Index is X[Index]: an array element or a map value.
	Index struct {
		Node
		X, Index Expr
	}

	// FieldRef is X->Field.
	FieldRef struct {
		Node
		X     Expr
		Field Ident
	}

	// ArrayLit is ARRAY[...].
	ArrayLit struct {
		Node
		Elems []Expr
	}

	// MapLit is MAP(k := v, ...).
	MapLit struct {
		Node
		Keys, Values []Expr
	}

	// StructLit is STRUCT(name := v, ...).
	StructLit struct {
		Node
		Names  []Ident
		Values []Expr
	}

	// Paren is a parenthesised expression; it is kept for printing and spans.
	Paren struct {
		Node
		X Expr
	}
)

// UnaryOp is a prefix operator.
type UnaryOp uint8

// The prefix operators.
const (
	OpNeg UnaryOp = iota
	OpPlus
	OpNot
)

// BinaryOp is an infix operator; its String is its SQL text.
type BinaryOp uint8

// The infix operators.
const (
	OpAdd BinaryOp = iota
	OpSub
	OpMul
	OpDiv
	OpMod
	OpConcat
	OpEq
	OpNe
	OpLt
	OpLe
	OpGt
	OpGe
	OpIsDistinct
	OpIsNotDistinct
	OpAnd
	OpOr
)

var binaryOpText = [...]string{
	"+", "-", "*", "/", "%", "||", "=", "<>", "<", "<=", ">", ">=", "IS DISTINCT FROM", "IS NOT DISTINCT FROM", "AND", "OR",
}

// String returns the operator's SQL text.
func (op BinaryOp) String() string { return binaryOpText[op] }

// Comparison reports whether op is one of = <> < <= > >=.
func (op BinaryOp) Comparison() bool { return op >= OpEq && op <= OpGe }

// TypeName is a type as written. Names of custom types are resolved by the
// planner.
type TypeName struct {
	Span  Span
	Name  Ident      // upper-case name of a scalar or custom type, or ARRAY, MAP, STRUCT, DECIMAL
	Args  []int32    // DECIMAL(p, s)
	Elems []TypeName // ARRAY: element; MAP: key, value; STRUCT: fields
	Names []Ident    // STRUCT field names
}
