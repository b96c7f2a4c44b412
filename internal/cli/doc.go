// Package cli is the command line: it reads flags and wires the packages that do
// the work. Each command has a file of its own. Messages go to standard error,
// results to standard output; the exit code is 0 only when all went well.
package cli
