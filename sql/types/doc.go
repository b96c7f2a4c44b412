// Package types holds the SQL type system: Type, Value, Column and Schema, with
// NULL, comparison, casts, coercion and text forms.
//
// A Type is immutable plain data that serialises to JSON as its SQL text. A
// Value is one datum together with its kind; NULL is a value of its own. Data
// on the hot path moves as typed column vectors (executor/batch); a Value is
// what row-wise functions, literals, nested data and results use.
package types
