// Package op holds the operators of a running task, one per file. An operator
// takes batches at a Port and pushes what comes of them to the next Port, depth
// first: when Process returns, everything that the batch causes has reached the
// sinks. Results never depend on where batches begin and end.
//
// A stream's rows are inserts. A table's rows are changes:
//
//	insert                         no row of this key before
//	update_before, update_after    adjacent, in one batch
//	update_after alone             the row before is not known
//	delete                         with the old value, or with ValueNull when it
//	                               is not known
//
// The value columns of a row with ValueNull are undefined.
//
// An operator belongs to one task. Its state lives in a state.Store that the
// task locks, commits and rolls back; what it keeps besides is rebuilt by Reset.
package op
