// Package tidy holds the house rules that a test can enforce: which package may
// import which, where wall time and the file system may be used, how long files
// may grow, that every package has a doc.go and that ARCHITECTURE.md names only
// paths that exist. It has no code of its own beside the test.
package tidy
