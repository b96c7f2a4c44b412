package plan

import "github.com/millrace/millrace/sql/types"

// Numbers of the pseudo columns in Expr.Column.
const (
	ColRowTime      = -1 // BIGINT, ms
	ColRowPartition = -2 // INTEGER
	ColRowOffset    = -3 // BIGINT
	ColWindowStart  = -4 // BIGINT, ms, inclusive
	ColWindowEnd    = -5 // BIGINT, ms; exclusive for time windows, inclusive for sessions
	ColHeaders      = -6 // ARRAY<STRUCT<KEY STRING, VALUE BYTES>>
)

// Op is the operation of an expression.
type Op string

// The operations. The planner has inserted casts so that both operands of
// arithmetic and comparison have the same kind; two DECIMAL operands keep their
// own precision and scale.
const (
	OpColumn  Op = "column"  // Column
	OpLiteral Op = "literal" // Value; nil is NULL
	OpCall    Op = "call"    // Name = overload ID, Args
	OpCast    Op = "cast"    // Args[0] to Type
	OpCase    Op = "case"    // Args = cond, then, cond, then, ..., else
	OpAnd     Op = "and"
	OpOr      Op = "or"
	OpNot     Op = "not"
	OpNeg     Op = "neg"
	OpAdd     Op = "+" // also concatenates two STRINGs
	OpSub     Op = "-"
	OpMul     Op = "*"
	OpDiv     Op = "/"
	OpMod     Op = "%"
	OpEq      Op = "="
	OpNe      Op = "<>"
	OpLt      Op = "<"
	OpLe      Op = "<="
	OpGt      Op = ">"
	OpGe      Op = ">="

	OpIsDistinct Op = "is distinct from"
	OpIsNull     Op = "is null"
	OpIn         Op = "in"     // Args[0] in Args[1:]
	OpLike       Op = "like"   // Args[0] like Args[1]; Name = escape character or empty
	OpIndex      Op = "index"  // Args[0][Args[1]]
	OpField      Op = "field"  // Args[0]->Name; Column = field index
	OpArray      Op = "array"  // ARRAY[Args...]
	OpMap        Op = "map"    // Args = key, value, key, value, ...
	OpStruct     Op = "struct" // Args in the order of Type.Fields
	OpLambda     Op = "lambda" // Args[0] = body; Params = names; only as an argument of OpCall
	OpParam      Op = "param"  // a lambda's parameter: Depth 0 = innermost lambda, Column = position
)

// Expr is a typed expression over the columns of one input.
type Expr struct {
	Op     Op           `json:"op"`
	Type   types.Type   `json:"type"`
	Args   []*Expr      `json:"args,omitempty"`
	Column int          `json:"column,omitempty"`
	Value  *types.Value `json:"value,omitempty"`
	Name   string       `json:"name,omitempty"`
	Params []string     `json:"params,omitempty"`
	Depth  int          `json:"depth,omitempty"`
}

// Walk calls f for e and everything below it, parents first, until f returns
// false for a node, whose arguments are then left out.
func (e *Expr) Walk(f func(*Expr) bool) {
	if e == nil || !f(e) {
		return
	}
	for _, a := range e.Args {
		a.Walk(f)
	}
}
