// Package plan holds query plans: plain data, versioned, printable, comparable
// and serialisable to JSON. It has no functions values, channels or handles: the
// planner makes plans, the executor compiles them into tasks, the engine stores
// them in the command log and reads them back months later.
//
// A Query is a list of sub-plans, split where records change partition
// (repartition topics). A SubPlan is a list of nodes in topological order; a node
// names its inputs by index. One task runs one sub-plan on one partition.
//
// # Columns
//
// A node's Schema numbers its output columns: key columns first, then value
// columns. Expressions refer to the columns of the node's input by that number,
// or to the pseudo columns by the negative numbers below.
//
// # Rows
//
// A row carries key, value, row time, partition, offset, optionally a window and
// headers, and an operation. A stream's rows are inserts. A table's rows are
// changes: an update_before (or delete) row is followed at once by its
// update_after row when there is one. A node marked NoBefore gets and gives no
// update_before rows.
package plan
