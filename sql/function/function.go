package function

import (
	"github.com/millrace/millrace/sql/types"
)

// Class tells what a function makes of rows.
type Class uint8

// The classes.
const (
	Scalar    Class = iota // one row to one value
	Table                  // one row to several rows
	Aggregate              // several rows to one value
)

// String returns SCALAR, TABLE or AGGREGATE.
func (c Class) String() string { return [...]string{"SCALAR", "TABLE", "AGGREGATE"}[c] }

// Function is a name with its overloads.
type Function struct {
	Name        string // upper case
	Class       Class
	Category    string // as SHOW FUNCTIONS prints it: "STRING", "DATE / TIME"
	Description string
	Examples    []Example // at least one
	Overloads   []*Overload
}

// Param is a parameter of an overload. Exactly one of Type, Shape and Unit
// is set.
type Param struct {
	Name string
	Doc  string
	// Type is a concrete type. A DECIMAL with precision 0 takes every DECIMAL.
	Type types.Type
	// Shape is a type pattern with generic letters where a concrete type does
	// not do: "T", "ARRAY<T>", "MAP<STRING, V>", "LAMBDA<T, U>" (the last letter
	// is the result). It is set instead of Type.
	Shape string
	// NotNull marks a parameter that cannot take NULL: the call is an error.
	NotNull bool
	// Unit marks an interval unit keyword, passed as a STRING (DAYS).
	Unit bool
	// Literal marks a parameter that must be a constant.
	Literal bool
	// Pattern says what the text of a parameter must be; a constant that is not is
	// an error of the statement, other text an error of the row.
	Pattern PatternKind
}

// Overload is one signature of a function with its body. Exactly one of Body,
// Rows and NewAggregator is set, by the function's class.
type Overload struct {
	// ID names the overload for ever: "SUBSTRING(STRING, INTEGER)".
	ID       string
	Function *Function
	Params   []Param
	// Variadic is the index of the parameter that may repeat, or -1.
	Variadic int
	// Returns computes the result type from the argument types after implicit
	// casts. Literal arguments are given too (nil where not literal).
	Returns func(args []types.Type, literals []*types.Value) (types.Type, error)
	// NullOnNull answers NULL without calling Body when any argument is NULL.
	NullOnNull bool
	// Volatile marks a result that differs between calls with equal arguments
	// (RANDOM, UNIX_TIMESTAMP): never folded, its inputs captured per record.
	Volatile bool

	// result is the shape of the result, nil where Returns alone decides.
	result *shape

	Body          func(env *Env, args []types.Value) (types.Value, error)
	Rows          func(env *Env, args []types.Value) ([]types.Value, error)
	NewAggregator func(args []types.Type, literals []*types.Value) (Aggregator, error)
}

// Env is what a body may use of its surroundings. It is owned by one task.
type Env struct {
	// NowMs is the wall time captured for the record, in ms.
	NowMs int64
	// Random returns the next value in [0, 2^64) of the task's generator.
	Random func() uint64
	// Lambda calls the lambda argument at position i (counted over all
	// arguments, whose Value is NULL there).
	Lambda func(i int, args []types.Value) (types.Value, error)
	// ArgTypes are the static argument types of the call.
	ArgTypes []types.Type
	// Result is the static result type of the call.
	Result types.Type
}

// Aggregator folds values into one. Its state is a Value of type State, kept in
// a store and its changelog; nil is never a state. An Aggregator has no state of
// its own and may be shared.
type Aggregator interface {
	// State is the type of the intermediate value.
	State() types.Type
	// Result is the type of the final value.
	Result() types.Type
	// Init returns the state of an empty group.
	Init() types.Value
	// Add folds the arguments of one row into state. An error is fatal to the
	// query (overflow).
	Add(state types.Value, args []types.Value) (types.Value, error)
	// Merge joins two states of session windows, a being the earlier.
	Merge(a, b types.Value) (types.Value, error)
	// Finish returns the aggregate of a state.
	Finish(state types.Value) (types.Value, error)
}

// Undoer is an Aggregator that can take a row back: it may aggregate a TABLE.
type Undoer interface {
	Aggregator
	// Undo is the inverse of Add.
	Undo(state types.Value, args []types.Value) (types.Value, error)
}

// Argument is an argument of a call to be resolved.
type Argument struct {
	Type types.Type // the zero Type for an untyped NULL and for a lambda
	// Literal is the constant, nil when the argument is not one.
	Literal *types.Value
	// Unit is set for an interval unit keyword.
	Unit bool
	// LambdaParams is the number of parameters of a lambda argument, 0 for
	// anything else.
	LambdaParams int
	// LambdaBody types a lambda's body for the given parameter types; set
	// exactly when LambdaParams > 0.
	LambdaBody func(params []types.Type) (types.Type, error)
}

// Resolved is the outcome of overload resolution.
type Resolved struct {
	Overload *Overload
	// Casts holds per argument the type it must be implicitly cast to; the zero
	// Type where no cast is needed.
	Casts []types.Type
	// LambdaParams holds per argument the parameter types of a lambda; nil where
	// the argument is none.
	LambdaParams [][]types.Type
	Result       types.Type
}
