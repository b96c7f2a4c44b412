// Package executor turns plans into running tasks: it builds operators from a
// plan.Query, schedules tasks on a worker pool, chooses input records by
// timestamp, and commits outputs, state changes and consumed offsets together.
//
// A task is one sub-plan on one partition. It is a deterministic function of its
// inputs: the worker pool, the conformance runner and the simulator drive the
// same Task. An idle task has no goroutine, no timer and no transaction.
//
// The executor knows no broker: it declares the small Log interface it needs
// (log.go); package engine supplies the in-process one and the networked one.
package executor
