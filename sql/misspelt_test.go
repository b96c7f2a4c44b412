package sql

import (
	"strings"
	"testing"
)

// spelt are statements that use every clause.
var spelt = []string{
	"SELECT a, b AS c, COUNT(*) FROM s AS x LEFT JOIN t y WITHIN 1 HOUR GRACE PERIOD 2 MINUTES ON x.a = y.b WINDOW TUMBLING (SIZE 1 DAY, RETENTION 2 DAYS, GRACE PERIOD 1 HOUR) WHERE a BETWEEN 1 AND 2 OR NOT b LIKE 'x' GROUP BY a HAVING COUNT(*) > 1 EMIT CHANGES LIMIT 3;",
	"SELECT CASE WHEN a IS NOT NULL THEN 1 ELSE 2 END, CAST(a AS STRING), a IS DISTINCT FROM b FROM s FULL OUTER JOIN t ON s.a = t.b WHERE a IN (1, 2) PARTITION BY a EMIT CHANGES;",
	"SELECT * FROM s WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 1 SECOND) WHERE a = TRUE AND b IS NULL GROUP BY a EMIT FINAL;",
	"CREATE OR REPLACE TABLE t (a INT PRIMARY KEY, b ARRAY<STRING>, c DECIMAL(4, 2)) WITH (kafka_topic='t');",
	"CREATE STREAM IF NOT EXISTS s (a INT KEY, h BYTES HEADER('x')) WITH (kafka_topic='s');",
	"CREATE STREAM s WITH (kafka_topic='s') AS SELECT a FROM t;",
	"CREATE TYPE t AS STRUCT<a INT>;",
	"INSERT INTO s (a, b) VALUES (1, 2);",
	"DROP TABLE IF EXISTS s DELETE TOPIC;",
	"ALTER STREAM s ADD COLUMN a INT, ADD COLUMN b INT;",
	"PRINT t FROM BEGINNING INTERVAL 2 LIMIT 3;",
	"SHOW ALL TOPICS EXTENDED;",
	"DESCRIBE FUNCTION f;",
	"EXPLAIN SELECT a FROM s WHERE a > 1 EMIT CHANGES;",
	"ASSERT NOT EXISTS TOPIC t WITH (partitions=1) TIMEOUT 3 SECONDS;",
	"ASSERT SCHEMA SUBJECT 'a' ID 3 TIMEOUT 3 SECONDS;",
	"TERMINATE ALL;", "SET 'a' = 'b';", "UNDEFINE a;", "RUN SCRIPT 'a';",
}

// typos returns a word with its last letter left out, two letters exchanged, and a
// letter doubled.
func typos(word string) (list []string) {
	n := len(word)
	if n > 2 {
		list = append(list, word[:n-1])
	}
	for i := range n - 1 {
		if word[i] != word[i+1] {
			list = append(list, word[:i]+string(word[i+1])+string(word[i])+word[i+2:])
		}
	}
	return append(list, word+word[n-1:])
}

// TestEveryKeywordMisspelt misspells every keyword of every clause in several ways:
// if that is an error, its caret is at the word and its hint has the keyword.
func TestEveryKeywordMisspelt(t *testing.T) {
	tried := 0
	for _, text := range spelt {
		if _, errs := Parse(text); len(errs) > 0 {
			t.Fatalf("%s: %v", text, errs[0])
		}
		for _, tok := range Scan(text) {
			if tok.Kind != TokName && tok.Kind != TokReserved || tok.Word == "" {
				continue
			}
			for _, typo := range typos(tok.Word) {
				if _, known := words[typo]; known {
					continue // another keyword
				}
				wrong := text[:tok.Span.Start] + typo + text[tok.Span.End:]
				_, errs := Parse(wrong)
				if len(errs) == 0 {
					continue // a name there
				}
				tried++
				at := Span{tok.Span.Start, tok.Span.Start + len(typo)}
				if e := errs[0]; e.Span != at || !strings.Contains(e.Hint, tok.Word) {
					t.Errorf("%s", Format(wrong, e))
				}
			}
		}
	}
	if tried < 800 {
		t.Errorf("only %d misspelt words were refused", tried)
	}
}
