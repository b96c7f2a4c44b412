package nexmark

// Schema declares the three streams of the benchmark over their topics.
const Schema = `
CREATE STREAM person (id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING,
  dateTime TIMESTAMP, extra STRING) WITH (KAFKA_TOPIC='person', VALUE_FORMAT='JSON');
CREATE STREAM auction (id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT,
  dateTime TIMESTAMP, expires TIMESTAMP, seller BIGINT, category BIGINT, extra STRING)
  WITH (KAFKA_TOPIC='auction', VALUE_FORMAT='JSON');
CREATE STREAM bid (auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP,
  extra STRING) WITH (KAFKA_TOPIC='bid', VALUE_FORMAT='JSON');
`

// Query is one query of the benchmark.
type Query struct {
	Name string
	// SQL creates the stream or table named Sink.
	SQL  string
	Sink string
	// Reads are the topics whose records count as events.
	Reads []string
	// Note says how the query differs from the suite's, "" when it does not.
	Note string
}

// Queries are the queries that can be run, by name.
var Queries = []Query{
	{Name: "q0", Sink: "q0", Reads: []string{"bid"},
		SQL: `CREATE STREAM q0 AS SELECT auction, bidder, price, dateTime, extra FROM bid EMIT CHANGES;`},
	{Name: "q1", Sink: "q1", Reads: []string{"bid"},
		SQL: `CREATE STREAM q1 AS SELECT auction, bidder, 0.908 * price AS price, dateTime, extra FROM bid EMIT CHANGES;`},
	{Name: "q2", Sink: "q2", Reads: []string{"bid"},
		SQL: `CREATE STREAM q2 AS SELECT auction, price FROM bid WHERE auction % 123 = 0 EMIT CHANGES;`},
	{Name: "q11", Sink: "q11", Reads: []string{"bid"},
		SQL: `CREATE TABLE q11 AS SELECT bidder, COUNT(*) AS bid_count FROM bid WINDOW SESSION (10 SECONDS) GROUP BY bidder EMIT CHANGES;`},
	{Name: "q12", Sink: "q12", Reads: []string{"bid"}, Note: "event time instead of processing time",
		SQL: `CREATE TABLE q12 AS SELECT bidder, COUNT(*) AS bid_count FROM bid WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY bidder EMIT CHANGES;`},
	{Name: "q14", Sink: "q14", Reads: []string{"bid"},
		SQL: `CREATE STREAM q14 AS SELECT auction, bidder, 0.908 * price AS price,
  CASE WHEN CAST(FORMAT_TIMESTAMP(dateTime, 'HH') AS INT) >= 8 AND CAST(FORMAT_TIMESTAMP(dateTime, 'HH') AS INT) <= 18 THEN 'dayTime'
       WHEN CAST(FORMAT_TIMESTAMP(dateTime, 'HH') AS INT) <= 6 OR CAST(FORMAT_TIMESTAMP(dateTime, 'HH') AS INT) >= 20 THEN 'nightTime'
       ELSE 'otherTime' END AS bidTimeType,
  dateTime, extra, LEN(extra) - LEN(REPLACE(extra, 'c', '')) AS c_counts
  FROM bid WHERE 0.908 * price > 1000000 AND 0.908 * price < 50000000 EMIT CHANGES;`},
	{Name: "q22", Sink: "q22", Reads: []string{"bid"},
		SQL: `CREATE STREAM q22 AS SELECT auction, bidder, price, channel, SPLIT(url, '/')[4] AS dir1, SPLIT(url, '/')[5] AS dir2, SPLIT(url, '/')[6] AS dir3 FROM bid EMIT CHANGES;`},
}

// Find returns a query by name.
func Find(name string) (Query, bool) {
	for _, q := range Queries {
		if q.Name == name {
			return q, true
		}
	}
	return Query{}, false
}
