// Package sql turns text into statements: scanner, clause cutter, syntax tree
// with a byte span on every node, and the errors that users see.
//
// The scanner reads the whole text once. The recogniser parses KSQL's statements
// and clauses itself and emits SELECT cores and expressions, token by token, to
// TiDB's parser, which contributes operator precedence and structure; its tree is
// converted to ours at once. TiDB's types never leave this package and TiDB never
// speaks to a user: whatever the recogniser does not know is an error of ours.
//
// Names are resolved, types checked and keys ruled by package planner, not here.
package sql
