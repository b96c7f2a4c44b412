// Package mutants checks the tests: it plants known bugs into the storage,
// transaction and producer code, one at a time, and asks that a test fails for
// each. A checker that was never seen to fail proves nothing.
//
// A mutant is a piece of a source file and what to put in its place. It is built
// with the -overlay flag of the go command: the sources stay as they are. The
// test of this package only checks that every mutant still applies; `make
// mutants` (MILLRACE_MUTANTS=1 go test ./internal/mutants -timeout 2h) builds and
// runs them all, MILLRACE_MUTANTS=NAME one of them.
package mutants
