// Package engine is the one coordinator: it turns statements into effects. It
// owns the catalog, the command log and the registry of running queries, and
// joins planner, executor and broker, which do not know each other.
//
// A Session holds what SET, DEFINE and the like change, and executes text. A
// statement that changes the catalog becomes a Command: plain data that is
// appended to the command log, in one atomic write with the topics it creates
// and the start offsets of its query, and only then takes effect. Start-up
// replays the same commands through the same code (command.go).
//
// DDL is serial: Engine.ddl is held from planning to effect. Readers use the
// catalog snapshot that they loaded.
package engine
