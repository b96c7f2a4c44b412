package sql

// TokenKind is the class of a token.
type TokenKind uint8

// The token kinds.
const (
	TokEOF      TokenKind = iota
	TokName               // unquoted name or non-reserved word
	TokQuoted             // `name` or "name"
	TokReserved           // reserved word
	TokString             // 'text'
	TokInteger            // 12
	TokDecimal            // 1.5, 1., .5
	TokDouble             // 1e3
	TokOp                 // operator or punctuation
	TokVariable           // ${name}
	TokComment            // -- to the end of the line, or /* ... */
	TokInvalid            // Word says what is wrong
)

// Token is a piece of the text. Tokens do not overlap and come in text order;
// what lies between them is white space.
type Token struct {
	Kind TokenKind
	Span Span
	// Word is the upper-case text of a reserved or non-reserved word, the text
	// of an operator, the complaint about an invalid token, else empty.
	Word string
}

// reserved holds the words that need quotes to be names.
const reservedWords = `SELECT FROM AS ALL DISTINCT WHERE WITHIN WINDOW GROUP BY HAVING LIMIT AT OR AND IN NOT EXISTS
BETWEEN LIKE IS NULL TRUE FALSE MILLISECOND YEARS MONTHS DAYS HOURS MINUTES SECONDS MILLISECONDS TUMBLING
HOPPING SIZE ADVANCE RETENTION CASE WHEN THEN ELSE END JOIN FULL OUTER INNER LEFT RIGHT ON WITH VALUES CREATE
TABLE TOPIC STREAM STREAMS INSERT DELETE INTO DESCRIBE EXTENDED PRINT CAST LIST TOPICS QUERY QUERIES TERMINATE
PAUSE RESUME LOAD DROP TO RENAME SAMPLE EXPORT CATALOG PROPERTIES BEGINNING UNSET RUN SCRIPT DECIMAL CONNECTOR
CONNECTORS NAMESPACE MATERIALIZED VIEW`

// nonReservedWords mean something in places and are names everywhere else.
const nonReservedWords = `SHOW TABLES COLUMNS COLUMN PARTITIONS FUNCTIONS FUNCTION SESSION STRUCT MAP ARRAY PARTITION
INTEGER DATE TIME TIMESTAMP INTERVAL ZONE STRING YEAR MONTH DAY HOUR MINUTE SECOND EXPLAIN ANALYZE TYPE TYPES SET
RESET IF SOURCE SINK PRIMARY KEY EMIT CHANGES FINAL ESCAPE REPLACE ASSERT ALTER ADD HEADER HEADERS GRACE PERIOD
DEFINE UNDEFINE VARIABLES PLUGINS SYSTEM TIMEOUT SCHEMA SUBJECT ID FILTER OVER ORDER UNION INTERSECT EXCEPT`

// word is what the scanner knows about a word.
type word struct {
	text     string
	reserved bool
}

var words = makeWords()

// maxWordLen is the length of the longest word in words.
const maxWordLen = 12

func makeWords() map[string]word {
	m := make(map[string]word, 256)
	for _, w := range fields(reservedWords) {
		m[w] = word{w, true}
	}
	for _, w := range fields(nonReservedWords) {
		m[w] = word{w, false}
	}
	return m
}

// Keywords returns the reserved and the non-reserved words in upper case, each
// list sorted: for completion and for the documentation.
func Keywords() (reserved, nonReserved []string) {
	return sortedFields(reservedWords), sortedFields(nonReservedWords)
}

// Reserved reports whether a name, given in upper case, needs quotes because it
// is a reserved word.
func Reserved(upper string) bool { return words[upper].reserved }
