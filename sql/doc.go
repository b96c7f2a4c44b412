// Package sql turns text into statements: scanner, clause cutter, syntax tree
// with a byte span on every node, and the errors that users see.
//
// The scanner reads the whole text once. The recogniser parses KSQL's statements
// and clauses itself and emits SELECT cores and expressions, token by token, to
// TiDB's parser, which contributes operator precedence and structure; its tree is
// converted to ours at once. TiDB's types never leave this package and TiDB never
// speaks to a user: whatever the recogniser does not know is an error of ours.
//
// A query is emitted as names, markers and operators. User names become token
// indexes in back-quotes, literals become parameter markers, KSQL's own operators
// become calls with reserved names, and every join becomes a LEFT JOIN whose kind
// is kept aside:
//
//	SELECT o.a || 'x', m['k'] FROM o FULL JOIN p ON o.a = p.b
//	SELECT `1`.`3` | ?, `ix`(`7`, ?) FROM `12` LEFT JOIN `15` ON `17`.`19` = ...
//
// Each leaf of TiDB's tree thus leads to a token of the text, and the span of
// every other node follows from its operands.
//
// Gaps: no CTE, sub-query, set operation, OVER, ORDER BY, SELECT DISTINCT, AT TIME
// ZONE, connector statement or test statement (ASSERT VALUES, NULL VALUES, STREAM,
// TABLE); each is a CodeUnsupported error. The name of a window is read and not
// kept: nothing in the language can refer to it.
//
// Names are resolved, types checked and keys ruled by package planner, not here.
package sql
