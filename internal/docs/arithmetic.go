package docs

import (
	"fmt"
	"strings"
)

// arithmeticRow is the stream that the examples of the arithmetic page read, and
// its one row.
const arithmeticRow = `CREATE STREAM numbers (k INTEGER KEY, i INTEGER, zero INTEGER, none INTEGER, big BIGINT, d DOUBLE, m DECIMAL(5, 2), n DECIMAL(4, 1), s STRING, day DATE)
  WITH (KAFKA_TOPIC='numbers', VALUE_FORMAT='JSON', PARTITIONS=1);
INSERT INTO numbers VALUES (1, 7, 0, NULL, 9223372036854775807, 0.1, 12.34, 2.5, '12', '2024-05-01');`

// arithmeticSection is a part of the arithmetic page.
type arithmeticSection struct {
	Title, Text string
	Examples    []arithmeticExample
}

// arithmeticExample is an expression, or a query, over the stream of arithmeticRow.
type arithmeticExample struct {
	Expr string
	// Type and Result are the type of the result and its value as results carry it
	// in JSON. A query has the values of its rows joined with ", ".
	Type, Result string
	// Problem is what the processing log and the query's end tell of it, and Error
	// the message of a statement that is refused. Either may be "".
	Problem, Error string
}

// query returns the statement that computes an example.
func (e arithmeticExample) query() string {
	if strings.HasPrefix(e.Expr, "SELECT ") {
		return e.Expr + ";"
	}
	return "SELECT " + e.Expr + " AS r FROM numbers;"
}

// arithmetic writes the page about numbers.
func arithmetic() string {
	var b strings.Builder
	b.WriteString(generated + "# Arithmetic\n\nWhat type an expression has, what its value is, and what becomes of one that has none. The examples read\n\n```sql\n" +
		arithmeticRow + "\n```\n\nA value in the column *result* is written as query results carry it in JSON.\n")
	for _, s := range arithmeticSections {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n", s.Title, s.Text)
		if len(s.Examples) == 0 {
			continue
		}
		b.WriteString("\n| expression | type | result | problem |\n|---|---|---|---|\n")
		for _, e := range s.Examples {
			typ, result, problem := "", "", escape(e.Problem)
			if e.Error == "" {
				typ, result = code(e.Type), code(e.Result)
				if e.Result == "" {
					result = "no row"
				}
			} else {
				problem = "refused: " + escape(e.Error)
			}
			fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", code(e.Expr), typ, result, problem)
		}
	}
	return b.String()
}
