// Package batch holds the unit of data of the executor: a Batch of at most
// MaxRows rows in columns, each column a Vector in Arrow's memory layout.
//
// # Vector
//
// A Vector's representation follows from its type:
//
//	INTEGER BIGINT TIME DATE TIMESTAMP   I64   []int64
//	DOUBLE                               F64   []float64
//	BOOLEAN                              Bits  bitmap
//	DECIMAL up to 38 digits              Dec   []Int128, unscaled, scale of the type
//	STRING BYTES                         Str   []View into Data (fetched bytes) or the arena
//	wider DECIMAL, ARRAY, MAP, STRUCT    Boxed []types.Value
//
// Valid is the validity bitmap (bit set = not NULL), nil when there are no
// NULLs.
//
// # Batch
//
// Rows keep the order of the log. Operators never compact: they narrow Sel, the
// numbers of the rows that count, in order. Key columns come first. Three kinds
// of nothing are kept apart: a NULL column, a null key (KeyNull) and a null
// value (ValueNull), which is a tombstone or a record without a payload and not
// a row of NULLs.
//
// A change of a table is an UpdateBefore row followed at once by its UpdateAfter
// row in the same batch; a first row is an Insert, a last one a Delete that
// carries the old columns when they are known (else ValueNull is set).
//
// # Ownership
//
// A Batch and the views in it live until its owner resets it: for fetched
// batches until the fetched bytes are released, for computed ones until the
// Scratch that made them is released to an earlier mark. What outlives that
// copies its bytes.
package batch
