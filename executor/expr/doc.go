// Package expr compiles plan expressions into kernels: typed loops over column
// vectors and a selection. What has no kernel of its own (functions with
// lambdas, nested values) runs row by row on types.Value (row.go); that form
// covers every expression and is the oracle of the kernels' tests.
//
// A kernel never stops at a bad row. It notes the row and why, and goes on; the
// caller decides what becomes of such rows (DESIGN D10). Logic has two values:
// a comparison with NULL is false, a NULL condition is an error of the row.
//
// Result vectors are as long as the batch, with values at the selected rows
// only: selections are never compacted. They live in the Context's scratch.
package expr
