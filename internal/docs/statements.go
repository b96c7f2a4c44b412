package docs

import (
	"fmt"
	"strings"
)

// Statement describes a statement.
type Statement struct {
	Name string
	// Node is the statement's type in package sql.
	Node   string
	Syntax string
	Doc    string
	// Example is run after those before it. An Unsupported statement is parsed and
	// refused.
	Example     string
	Unsupported bool
}

// Statements is the table of statements, in an order in which their examples run.
var Statements = []Statement{
	{Name: "CREATE STREAM, CREATE TABLE", Node: "CreateSource",
		Syntax: "CREATE [OR REPLACE] [SOURCE] STREAM [IF NOT EXISTS] name [(column type [KEY | HEADERS | HEADER('key')], ...)] WITH (property = value, ...);\n" +
			"CREATE [OR REPLACE] [SOURCE] TABLE [IF NOT EXISTS] name [(column type [PRIMARY KEY], ...)] WITH (property = value, ...);",
		Doc: "Declares a topic as a stream of facts or as a table of the latest row per key; PARTITIONS creates the topic. Formats with registered schemas may leave the columns out. " +
			"A SOURCE TABLE is kept for pull queries; SOURCE makes either read-only.",
		Example: "CREATE STREAM orders (id STRING KEY, item STRING, price DOUBLE)\n  WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);\n" +
			"CREATE TABLE items (item STRING PRIMARY KEY, name STRING)\n  WITH (KAFKA_TOPIC='items', VALUE_FORMAT='JSON', PARTITIONS=1);"},
	{Name: "CREATE STREAM AS, CREATE TABLE AS", Node: "CreateAs",
		Syntax: "CREATE [OR REPLACE] STREAM | TABLE [IF NOT EXISTS] name [WITH (property = value, ...)] AS SELECT ...;",
		Doc:    "Starts a continuous query that writes its result to a topic. OR REPLACE changes a running query, which keeps its state.",
		Example: "CREATE STREAM dear AS SELECT id, item, price FROM orders WHERE price > 100;\n" +
			"CREATE TABLE totals AS SELECT item, COUNT(*) AS n, SUM(price) AS total FROM orders GROUP BY item;"},
	{Name: "INSERT INTO SELECT", Node: "InsertSelect", Syntax: "INSERT INTO stream [WITH (QUERY_ID = 'id')] SELECT ...;",
		Doc:     "Starts a continuous query that writes to a stream that exists, which must have the same columns.",
		Example: "INSERT INTO dear SELECT id, item, price FROM orders WHERE item = 'rare';"},
	{Name: "INSERT VALUES", Node: "InsertValues", Syntax: "INSERT INTO name [(column, ...)] VALUES (expression, ...);",
		Doc:     "Writes one record, durable when the statement ends. ROWTIME gives its timestamp.",
		Example: "INSERT INTO orders (id, item, price) VALUES ('o1', 'lamp', 120.5);\nINSERT INTO items VALUES ('lamp', 'A lamp');"},
	{Name: "SELECT", Node: "Select",
		Syntax: "SELECT expression [AS name], ... FROM source [alias]\n" +
			"  [[LEFT | RIGHT | FULL] JOIN source [alias] [WITHIN duration [GRACE PERIOD duration]] ON condition] ...\n" +
			"  [WINDOW TUMBLING | HOPPING | SESSION (...)] [WHERE condition] [GROUP BY expression, ...]\n" +
			"  [PARTITION BY expression, ...] [HAVING condition] [EMIT CHANGES | EMIT FINAL] [LIMIT n];",
		Doc: "With EMIT a push query: changes until the client goes away or the LIMIT is reached. Without it a pull query: what a table, or a stream's topic, holds now.\n\n" +
			"EMIT FINAL gives the result of a window once, when stream time passes the window's end and grace. A session ends one gap behind its last record; once it was given it is final: " +
			"a record that comes later begins a session of its own even where it lies within the gap of the one before, so that no record counts in two results. (Kafka Streams merges the two, and gives the earlier session's records a second time.)",
		Example: "SELECT * FROM totals WHERE item = 'lamp';\nSELECT item, price * 2 AS twice FROM orders EMIT CHANGES LIMIT 1;\n" +
			"SELECT o.id, i.name FROM orders o LEFT JOIN items i ON o.item = i.item EMIT CHANGES LIMIT 1;"},
	{Name: "ALTER STREAM, ALTER TABLE", Node: "AlterSource", Syntax: "ALTER STREAM | TABLE name ADD [COLUMN] column type [, ADD [COLUMN] column type] ...;",
		Doc: "Adds value columns to a declared source, which a SOURCE stream or table is not.", Example: "ALTER TABLE items ADD COLUMN colour STRING, ADD weight DOUBLE;"},
	{Name: "SHOW", Node: "Show", Syntax: "SHOW | LIST STREAMS | TABLES | [ALL] TOPICS | QUERIES | FUNCTIONS | PROPERTIES | TYPES | VARIABLES [EXTENDED];",
		Doc:     "Lists objects.",
		Example: "SHOW STREAMS;\nSHOW TABLES;\nSHOW TOPICS;\nSHOW QUERIES;\nSHOW FUNCTIONS;\nSHOW PROPERTIES;\nSHOW TYPES;\nSHOW VARIABLES;"},
	{Name: "DESCRIBE", Node: "Describe", Syntax: "DESCRIBE name [EXTENDED];\nDESCRIBE FUNCTION name;\nDESCRIBE STREAMS | TABLES [EXTENDED];",
		Doc: "Shows the columns of a source, with EXTENDED also its topic, formats and queries, and the subjects and ids of its schemas in the registry; or the overloads of a function.", Example: "DESCRIBE totals EXTENDED;\nDESCRIBE FUNCTION sum;"},
	{Name: "EXPLAIN", Node: "Explain", Syntax: "EXPLAIN query_id;\nEXPLAIN statement;",
		Doc: "Shows the plan of a running query, or that a statement would have.", Example: "EXPLAIN SELECT item FROM orders WHERE price > 1 EMIT CHANGES;"},
	{Name: "PRINT", Node: "Print", Syntax: "PRINT topic [FROM BEGINNING] [INTERVAL n] [LIMIT n];",
		Doc: "Shows the records of a topic as they come, every n-th with INTERVAL. Payloads of a registered schema are read by it, those of PROTOBUF_NOSR by the columns that are declared over the topic.", Example: "PRINT 'orders' FROM BEGINNING LIMIT 1;"},
	{Name: "PAUSE, RESUME, TERMINATE", Node: "QueryControl", Syntax: "PAUSE | RESUME | TERMINATE query_id;\nPAUSE | RESUME | TERMINATE ALL;",
		Doc: "Stops a query for a while, lets it go on where it was, or ends it for good. ALL are the persistent queries; TERMINATE with its id ends a push query, too.", Example: "PAUSE ALL;\nRESUME ALL;\nTERMINATE ALL;"},
	{Name: "CREATE TYPE", Node: "CreateType", Syntax: "CREATE TYPE [IF NOT EXISTS] name AS type;", Doc: "Names a type for use in columns.",
		Example: "CREATE TYPE address AS STRUCT<street STRING, city STRING>;"},
	{Name: "DROP TYPE", Node: "DropType", Syntax: "DROP TYPE [IF EXISTS] name;", Doc: "Forgets a type. Columns that were declared with it stay.", Example: "DROP TYPE address;"},
	{Name: "DROP STREAM, DROP TABLE", Node: "DropSource", Syntax: "DROP STREAM | TABLE [IF EXISTS] name [DELETE TOPIC];",
		Doc: "Removes a source that no query reads, and ends the query that writes it.", Example: "DROP STREAM dear DELETE TOPIC;\nDROP TABLE IF EXISTS nothing;"},
	{Name: "SET", Node: "Set", Syntax: "SET 'property' = 'value';", Doc: "Sets a property of the session, see properties.md.", Example: "SET 'auto.offset.reset' = 'earliest';"},
	{Name: "UNSET", Node: "Unset", Syntax: "UNSET 'property';", Doc: "Gives a property of the session its default again.", Example: "UNSET 'auto.offset.reset';"},
	{Name: "DEFINE", Node: "Define", Syntax: "DEFINE name = 'value';", Doc: "Defines a variable: ${name} in the statements that follow.", Example: "DEFINE topic = 'orders';"},
	{Name: "UNDEFINE", Node: "Undefine", Syntax: "UNDEFINE name;", Doc: "Forgets a variable.", Example: "UNDEFINE topic;"},
	{Name: "RUN SCRIPT", Node: "RunScript", Syntax: "RUN SCRIPT 'file';", Doc: "Runs the statements of a file, in `millrace sql` and the REPL.", Example: "RUN SCRIPT 'schema.sql';"},
	{Name: "ASSERT TOPIC", Node: "AssertTopic", Syntax: "ASSERT [NOT EXISTS] TOPIC name [WITH (...)] [TIMEOUT duration];", Doc: "Waits until a topic exists with the properties given, or does not exist; fails after the timeout.",
		Example: "ASSERT TOPIC orders WITH (PARTITIONS=1) TIMEOUT 10 SECONDS;"},
	{Name: "ASSERT SCHEMA", Node: "AssertSchema", Syntax: "ASSERT [NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT duration];", Doc: "Waits until a schema is registered, under a subject or an id, or is not; fails after the timeout.",
		Example: "ASSERT NOT EXISTS SCHEMA SUBJECT 'orders-value' TIMEOUT 1 SECOND;"},
	{Name: "ALTER SYSTEM", Node: "AlterSystem", Syntax: "ALTER SYSTEM 'property' = 'value';", Doc: "Changes a property of the server.",
		Example: "ALTER SYSTEM 'auto.offset.reset' = 'earliest';", Unsupported: true},
}

// statements lists every statement.
func statements() string {
	var b strings.Builder
	b.WriteString(generated + "# Statements\n\nEvery statement ends with a semicolon. Words in capitals are keywords, in any case; names that are not in backquotes are read in capitals. " +
		"The examples run one after the other, behind `SET 'auto.offset.reset'='earliest';`.\n")
	for _, s := range Statements {
		fmt.Fprintf(&b, "\n## %s\n\n", s.Name)
		if s.Unsupported {
			b.WriteString("Not supported yet: the statement is read and refused. ")
		}
		fmt.Fprintf(&b, "%s\n\n```\n%s\n```\n\n```sql\n%s\n```\n", escape(s.Doc), s.Syntax, s.Example)
	}
	return b.String()
}
