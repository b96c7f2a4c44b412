// Package function is the catalogue of scalar, table and aggregate functions:
// signature, documentation, NULL rule and body of each in one place. SHOW
// FUNCTIONS, DESCRIBE FUNCTION and the documentation page are generated from it.
//
// The planner resolves a call to an Overload and stores the overload's ID in the
// plan; the executor finds the body again by that ID. IDs are stable: a plan
// written by an older version must still find its function.
//
// Functions are registered in the sorted table of registry.go, one file per
// family (numeric.go, string.go, ...), and never in init functions.
package function
