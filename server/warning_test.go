package server

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
)

// TestWarnings shows where a query tells of records that went wrong: behind the
// rows in a trailer for everybody, among them for those who ask. What ksqlDB's
// clients read stays as it is.
func TestWarnings(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + fill + "INSERT INTO orders (id) VALUES (0);")
	const list = `[{"cause":"division by zero","effect":"column Q is NULL","records":1}]`
	const element = `{"warning":{"cause":"division by zero","effect":"column Q is NULL","records":1}}`
	rows := "{\"row\":{\"columns\":[1]}},\n{\"row\":{\"columns\":[0]}},\n{\"row\":{\"columns\":[null]}}"
	for _, c := range []struct{ name, path, body, accept, inline, want string }{
		{"pull, older shape", "/query", ksqlBody("SELECT 1 / id AS q FROM orders;"), "", "", rows + ",\n{\"finalMessage\":\"Query Completed\"}]\n"},
		{"pull, inline", "/query", ksqlBody("SELECT 1 / id AS q FROM orders;"), "", WarningsInline, element + ",\n{\"finalMessage\":\"Query Completed\"}]\n"},
		{"push, inline", "/query", ksqlBody("SELECT 1 / id AS q FROM orders EMIT CHANGES LIMIT 3;"), "", WarningsInline, element + ",\n{\"finalMessage\":\"Limit Reached\"}]\n"},
		{"another value than inline", "/query", ksqlBody("SELECT 1 / id AS q FROM orders;"), "", "1", rows + ",\n{\"finalMessage\":\"Query Completed\"}]\n"},
		{"delimited has no place among the rows", "/query-stream", sqlBody("SELECT 1 / id AS q FROM orders;"), typeDelimited, WarningsInline, "\n[1]\n[0]\n[null]\n"},
		{"array of arrays", "/query-stream", sqlBody("SELECT 1 / id AS q FROM orders;"), typeJSON, WarningsInline, "[1],\n[0],\n[null]]\n"},
	} {
		req, err := http.NewRequestWithContext(t.Context(), "POST", s.url+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", c.accept)
		req.Header.Set(WarningsHeader, c.inline)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(resp.Body)
		resp.Body.Close() //nolint:errcheck // it was read
		if err != nil || !strings.HasSuffix(string(b), c.want) {
			t.Errorf("%s: %v\n%s\nexpected to end with\n%s", c.name, err, b, c.want)
		}
		if got := resp.Trailer.Get(WarningsHeader); got != list {
			t.Errorf("%s: trailer %s, expected %s", c.name, got, list)
		}
	}
	// Nothing is said of a query without problems.
	resp := s.request(t.Context(), "POST", "/query", "", ksqlBody("SELECT id FROM orders;"))
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(b), "warning") || len(resp.Trailer) > 0 {
		t.Errorf("%v %s %v", err, b, resp.Trailer)
	}
}

// TestWarningsOfAFailure shows that a query that fails tells of the records that
// went wrong before.
func TestWarningsOfAFailure(t *testing.T) {
	s := start(t)
	s.ksql("CREATE STREAM big (k INT KEY, m DECIMAL(3, 0), z INT) WITH (KAFKA_TOPIC='big', VALUE_FORMAT='JSON', PARTITIONS=1); INSERT INTO big VALUES (1, 900, 0); INSERT INTO big VALUES (1, 900, 1);")
	resp := s.request(t.Context(), "POST", "/query", "", `{"ksql":"SELECT k, SUM(m) AS s, SUM(1 / z) AS q FROM big GROUP BY k EMIT CHANGES;","streamsProperties":{"auto.offset.reset":"earliest"}}`)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(b), "numeric field overflow") {
		t.Errorf("%v %s", err, b)
	}
	if got, want := resp.Trailer.Get(WarningsHeader), `[{"cause":"division by zero","effect":"an aggregate's argument is NULL","records":1}]`; got != want {
		t.Errorf("trailer %s, expected %s", got, want)
	}
}

// TestWarningsOfCreate shows that a declaration that does not fit its registered
// schema says so in the list that ksqlDB's entities have for that.
func TestWarningsOfCreate(t *testing.T) {
	s := start(t)
	s.ksql("CREATE STREAM a (x INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO', PARTITIONS=1);")
	entities := s.ksql("CREATE SOURCE STREAM b (x INT, y INT) WITH (KAFKA_TOPIC='t', VALUE_FORMAT='AVRO');")
	const want = "column Y is not in the registered schema of subject t-value: it is NULL in the records written with that schema"
	list, _ := entities[0]["warnings"].([]any)
	if len(list) != 1 || list[0].(map[string]any)["message"] != want {
		t.Errorf("warnings %v, expected %s", list, want)
	}
	text, err := json.Marshal(entities[0])
	if err != nil {
		t.Fatal(err)
	}
	result, err := DecodeEntity(text)
	if done, ok := result.(*engine.Done); err != nil || !ok || !slices.Equal(done.Warnings, []string{want}) {
		t.Errorf("decoded %v %v", result, err)
	}
}
