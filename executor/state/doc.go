// Package state holds the stores of operators: tables in memory, their
// changelogs, and one Pebble per process behind them.
//
// A Table maps bytes to bytes in open-addressing sub-tables without pointers
// that split when they are full, so that growth never stops a task for long. It
// keeps an undo log: the keys changed since the last commit with their old
// values. The log is the list of dirty keys, from which the commit writes one
// changelog record each; it takes a failed commit back; and it lets pull queries
// read the committed value of a key that the task has changed.
//
// A Store is a set of Tables by segment: segment 0 for plain keys, a window
// start or a time bucket for windows, so that expiry drops whole tables. It
// belongs to one task, which locks it for the time of a run; pull queries lock
// it for one lookup or one sub-table.
//
// # Memory and disk
//
// A Backend holds a Mirror of every changelog: each committed change is applied
// to it before it becomes a clean entry of a Table, so the disk is exactly the
// committed state. A Budget bounds the memory of all stores. While it is exceeded
// stores evict clean entries, cold ones first (evict.go); a table that evicted, or
// was not loaded whole at a restart, looks misses up on disk, and walks merge
// memory over disk. A table that never evicted knows it and skips the lookup.
//
// What stays in memory, and counts: stores without a mirror (push queries, tables
// that restore from their own topic, processes without a Backend), notes, and what
// operators keep beside their stores (the deadlines of sessions, the waiting rows
// of outer stream joins). A transaction may exceed the budget while it lasts: its
// changes cannot be evicted, nor what it reads.
//
// # Changelog record
//
//	+--------+---------------------------+------------------+
//	| 00     | key                       | segment 0        |
//	| 01     | segment, 8 bytes BE, sign | key              |
//	|        | bit flipped               |                  |
//	| FF     | name                      | operator's notes |
//	+--------+---------------------------+------------------+
//
// The record's value is the table's value as it is; null deletes. Notes hold
// what else belongs to the operator's state, stream time above all.
package state
