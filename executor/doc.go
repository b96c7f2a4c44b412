// Package executor turns plans into running tasks: it builds operators from a
// plan.Query, schedules tasks on a worker pool, chooses input records by
// timestamp, and commits outputs, state changes and consumed offsets together.
//
// A task is one sub-plan on one partition. It is a deterministic function of its
// inputs: the worker pool, the conformance runner and the simulator drive the
// same Task. An idle task has no goroutine, no timer and no transaction.
//
// # Files
//
//	config.go executor.go status.go   what callers see; push.go pull.go result.go proclog.go
//	build.go                          plan -> operators, one program per task
//	query.go                          the tasks of one query, pause, failure, restart
//	pool.go worker.go peers.go        who runs next, with which scratch memory, how far
//	task.go input.go stage.go         choice of input, runs, staged output
//	commit.go restore.go              the four outcomes, rollback, state from changelogs
//	driver.go memlog.go               one query by hand, a log in memory
//
// # Invariants
//
// A task is owned by one worker at a time and has at most one commit in flight,
// during which it does nothing: what its stores changed becomes state when the
// outcome is Committed, and is rolled back when it is Aborted. An Unknown outcome
// becomes one of the two by the committed offsets. Without moved offsets there is
// no commit. A failed row is logged in the transaction that moves past it.
//
// The executor knows no broker: it declares the small Log interface it needs
// (log.go); package engine supplies the in-process one and the networked one.
package executor
