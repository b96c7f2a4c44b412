// Package repl is the terminal: it reads statements, runs them on a Backend (an
// engine in this process, or a server over HTTP) and draws the results as tables,
// JSON lines or CSV.
//
// The Backend hands out engine.Result values; listing.go turns those that are not
// rows into named columns, output.go writes both. Messages go to the error stream
// so that standard output holds results only.
package repl
