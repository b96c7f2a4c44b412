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
