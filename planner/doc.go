// Package planner turns statements into plans: it resolves names against a
// catalog snapshot, checks types and key rules, and chooses operators.
//
// Plan is the one entry. A query goes through these steps, each in its own file:
// relation.go builds the sources and joins of FROM; query.go adds WHERE, PARTITION
// BY, GROUP BY, HAVING and the projection; split.go cuts the tree into sub-plans
// at repartitions. Expressions are resolved once (expr.go) against a scope and
// then rewritten onto the columns that an operator gives (rewrite.go).
//
// The planner changes nothing: its answer says what is to be created, and package
// engine does it.
package planner
