package server

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/vfs"
)

// testServer is a server over an engine in memory, on a real listener.
type testServer struct {
	t   *testing.T
	url string
}

func start(t *testing.T) *testServer {
	t.Helper()
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := New(e, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel() // requests that run are not waited for
		if err := s.Close(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return &testServer{t, "http://" + l.Addr().String()}
}

// request sends a request and returns the open response.
func (s *testServer) request(ctx context.Context, method, path, accept, body string) *http.Response {
	s.t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if accept != "" {
		req.Header.Set("Accept", accept)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp
}

func (s *testServer) call(method, path, accept, body string) (int, string) {
	s.t.Helper()
	resp := s.request(s.t.Context(), method, path, accept, body)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

// ksql runs statements that must succeed and returns their entities.
func (s *testServer) ksql(text string) []map[string]any {
	s.t.Helper()
	status, body := s.call("POST", "/ksql", "", ksqlBody(text))
	if status != http.StatusOK {
		s.t.Fatalf("%s: %d %s", text, status, body)
	}
	var out []map[string]any
	if err := json.Unmarshal([]byte(body), &out); err != nil {
		s.t.Fatalf("%s: %v", body, err)
	}
	return out
}

func ksqlBody(text string) string {
	b, err := json.Marshal(map[string]any{"ksql": text, "streamsProperties": map[string]any{"ksql.streams.auto.offset.reset": "earliest"}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

func sqlBody(text string) string {
	b, err := json.Marshal(map[string]any{"sql": text, "properties": map[string]any{"auto.offset.reset": "earliest", "millrace.pull.wait": "inputs"}})
	if err != nil {
		panic(err)
	}
	return string(b)
}

const createOrders = `CREATE STREAM orders (id INT KEY, name STRING, total DECIMAL(6, 2)) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=1);`

func TestGet(t *testing.T) {
	s := start(t)
	for _, c := range []struct {
		path   string
		status int
		body   string
	}{
		{"/info", 200, `{"KsqlServerInfo":{"kafkaClusterId":"millrace","ksqlServiceId":"default","serverStatus":"RUNNING","version":"` + engine.Version + `"}}`},
		{"/", 200, `{"KsqlServerInfo":{"kafkaClusterId":"millrace","ksqlServiceId":"default","serverStatus":"RUNNING","version":"` + engine.Version + `"}}`},
		{"/healthcheck", 200, `{"details":{"commandRunner":{"isHealthy":true},"kafka":{"isHealthy":true},"metastore":{"isHealthy":true}},"isHealthy":true,"serverState":"READY"}`},
		{"/v1/metadata/id", 200, `{"id":"","scope":{"clusters":{"kafka-cluster":"millrace","ksql-cluster":"default"},"path":[]}}`},
		{"/is_valid_property/ksql.streams.auto.offset.reset", 200, `true`},
		{"/chc/live", 200, `{}`},
		{"/chc/ready", 200, `{}`},
		{"/nothing", 404, "Not Found\n"},
		{"/status/stream/`X`/create", 404, "{\"@type\":\"generic_error\",\"error_code\":40400,\"message\":\"Command not found\"}"},
		{"/status", 200, `{"commandStatuses":{}}`},
	} {
		status, body := s.call("GET", c.path, "", "")
		if status != c.status || body != c.body {
			t.Errorf("GET %s: %d %s\nexpected %d %s", c.path, status, body, c.status, c.body)
		}
	}
	if status, _ := s.call("GET", "/is_valid_property/nonsense", "", ""); status != 400 {
		t.Errorf("unknown property: %d", status)
	}
}

func TestStatements(t *testing.T) {
	s := start(t)
	got := s.ksql(createOrders)
	want := []map[string]any{{"@type": "currentStatus", "statementText": createOrders, "commandId": "stream/`ORDERS`/create",
		"commandSequenceNumber": 0.0, "warnings": []any{},
		"commandStatus": map[string]any{"status": "SUCCESS", "message": "Stream created", "queryId": nil}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("CREATE: %v\nexpected %v", got, want)
	}
	got = s.ksql("CREATE TABLE n AS SELECT id, COUNT(*) AS c FROM orders GROUP BY id; INSERT INTO orders VALUES (1, 'a', 1.50); SET 'auto.offset.reset'='latest';")
	if len(got) != 1 || got[0]["commandStatus"].(map[string]any)["queryId"] != "CTAS_N_1" || got[0]["commandSequenceNumber"] != 1.0 {
		t.Errorf("CREATE TABLE AS: %v", got)
	}
	got = s.ksql("CREATE STREAM IF NOT EXISTS orders (id INT KEY) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');")
	if got[0]["@type"] != "warning_entity" || got[0]["message"] == "" {
		t.Errorf("IF NOT EXISTS: %v", got)
	}
	if status, body := s.call("GET", "/status/stream/`ORDERS`/create", "", ""); status != 200 || body != `{"message":"Stream created","queryId":null,"status":"SUCCESS"}` {
		t.Errorf("status: %d %s", status, body)
	}
	if status, body := s.call("GET", "/status/stream/`ORDERS`/alter", "", ""); status != 404 {
		t.Errorf("status of no ALTER: %d %s", status, body)
	}
	got = s.ksql("CREATE TABLE alt (id INT PRIMARY KEY, a INT) WITH (KAFKA_TOPIC='alt', VALUE_FORMAT='JSON', PARTITIONS=1); ALTER TABLE alt ADD COLUMN b INT;")
	if len(got) != 2 || got[1]["commandId"] != "table/`ALT`/alter" || got[1]["commandStatus"].(map[string]any)["message"] != "Table altered" {
		t.Errorf("ALTER: %v", got)
	}
	if status, body := s.call("GET", "/status/table/`ALT`/alter", "", ""); status != 200 || body != `{"message":"Table altered","queryId":null,"status":"SUCCESS"}` {
		t.Errorf("status of ALTER: %d %s", status, body)
	}
	s.ksql("DROP TABLE alt DELETE TOPIC;")
	got = s.ksql("SHOW STREAMS; SHOW TABLES; SHOW QUERIES; SHOW TOPICS;\nDESCRIBE orders;")
	kinds := []string{"streams", "tables", "queries", "kafka_topics", "sourceDescription"}
	texts := []string{"SHOW STREAMS;", "SHOW TABLES;", "SHOW QUERIES;", "SHOW TOPICS;", "DESCRIBE orders;"}
	for i, e := range got {
		if e["@type"] != kinds[i] || e["statementText"] != texts[i] || !reflect.DeepEqual(e["warnings"], []any{}) {
			t.Errorf("entity %d: %v", i, e)
		}
	}
	streams := []any{map[string]any{"type": "STREAM", "name": "ORDERS", "topic": "orders", "keyFormat": "KAFKA", "valueFormat": "JSON", "isWindowed": false}}
	if !reflect.DeepEqual(got[0]["streams"], streams) {
		t.Errorf("streams: %v", got[0]["streams"])
	}
	fields := got[4]["sourceDescription"].(map[string]any)["fields"].([]any)
	decimal := map[string]any{"name": "TOTAL", "schema": map[string]any{"type": "DECIMAL", "fields": nil, "memberSchema": nil,
		"parameters": map[string]any{"precision": 6.0, "scale": 2.0}}}
	if !reflect.DeepEqual(fields[2], decimal) {
		t.Errorf("field: %v", fields[2])
	}
}

func TestErrors(t *testing.T) {
	s := start(t)
	s.ksql(createOrders)
	for _, c := range []struct {
		path, body   string
		status, code int
		kind, text   string
	}{
		{"/ksql", `{`, 400, 40000, "generic_error", "JSON"},
		{"/ksql", `{"ksql":" "}`, 400, 40000, "generic_error", "no statement"},
		{"/ksql", `{"ksql":"SHOW STREAMS;","streamsProperties":{"nope":1}}`, 400, 40000, "generic_error", "nope"},
		{"/ksql", `{"ksql":"SHOW STREAMS;","streamsProperties":{"auto.offset.reset":"middle"}}`, 400, 40000, "generic_error", "earliest"},
		{"/ksql", ksqlBody("SELECT * FROM orders EMIT CHANGES;"), 400, 40002, "statement_error", "query-stream"},
		{"/ksql", ksqlBody("-- why\nPRINT orders;"), 400, 40002, "statement_error", "query-stream"},
		{"/ksql", ksqlBody("CREATE STREAM s AS SELECT nope FROM orders;"), 400, 40001, "statement_error", "'NOPE'"},
		{"/ksql", ksqlBody("CREATE STREAN;"), 400, 40001, "statement_error", "STREAN"},
		{"/ksql", `{"ksql":"SHOW STREAMS;","commandSequenceNumber":99}`, 503, 50301, "generic_error", "99"},
		{"/query-stream", sqlBody("SELECT * FROM nope EMIT CHANGES;"), 400, 40001, "statement_error", "NOPE"},
		{"/query-stream", sqlBody("SHOW STREAMS;"), 400, 40000, "generic_error", "POST /ksql"},
		{"/query-stream", sqlBody("SET 'auto.offset.reset'='earliest';"), 400, 40000, "generic_error", "no query"},
		{"/query-stream", sqlBody("PRINT nope;"), 400, 40001, "statement_error", "nope"},
		{"/close-query", `{"queryId":"nope"}`, 400, 40000, "generic_error", "nope"},
	} {
		status, body := s.call("POST", c.path, "", c.body)
		var e struct {
			Type     string `json:"@type"`
			Code     int    `json:"error_code"`
			Message  string `json:"message"`
			Entities []any  `json:"entities"`
		}
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Errorf("%s %s: %d %s: %v", c.path, c.body, status, body, err)
			continue
		}
		if status != c.status || e.Code != c.code || e.Type != c.kind || !strings.Contains(e.Message, c.text) {
			t.Errorf("%s %s: %d %s", c.path, c.body, status, body)
		}
		if c.kind == "statement_error" && e.Entities == nil {
			t.Errorf("%s: no entities: %s", c.body, body)
		}
	}
	if status, _ := s.call("POST", "/query-stream", "image/png", sqlBody("SELECT 1;")); status != http.StatusNotAcceptable {
		t.Errorf("Accept image/png: %d", status)
	}
}

// TestValidation shows that nothing runs when one statement is invalid.
func TestValidation(t *testing.T) {
	s := start(t)
	status, body := s.call("POST", "/ksql", "", ksqlBody(createOrders+" CREATE STREAM s AS SELECT id, name FROM orders; CREATE STREAM t AS SELECT nope FROM s;"))
	if status != 400 || !strings.Contains(body, `"entities":[]`) {
		t.Errorf("%d %s", status, body)
	}
	if list := s.ksql("SHOW STREAMS;")[0]["streams"].([]any); len(list) != 0 {
		t.Errorf("streams after an invalid request: %v", list)
	}
}

const fill = `INSERT INTO orders VALUES (1, 'a', 1.50); INSERT INTO orders VALUES (2, NULL, NULL);`

func TestPushShapes(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + fill)
	const text = "SELECT * FROM orders EMIT CHANGES LIMIT 2;"
	schema := "`ID` INTEGER, `NAME` STRING, `TOTAL` DECIMAL(6, 2)"
	for _, c := range []struct{ path, accept, body, want string }{
		{"/query-stream", "", sqlBody(text), `{"columnNames":["ID","NAME","TOTAL"],"columnTypes":["INTEGER","STRING","DECIMAL(6, 2)"],"queryId":"ID"}
[1,"a",1.50]
[2,null,null]
`},
		{"/query-stream", "application/json", sqlBody(text), `[{"columnNames":["ID","NAME","TOTAL"],"columnTypes":["INTEGER","STRING","DECIMAL(6, 2)"],"queryId":"ID"},
[1,"a",1.50],
[2,null,null]]
`},
		{"/query-stream", "application/vnd.ksql.v1+json;q=0.5, image/png", sqlBody(text), `[{"header":{"queryId":"ID","queryType":"PUSH","schema":"` + schema + `"}},
{"row":{"columns":[1,"a",1.50]}},
{"row":{"columns":[2,null,null]}},
{"finalMessage":"Limit Reached"}]
`},
		{"/query", "", ksqlBody(text), `[{"header":{"queryId":"ID","queryType":"PUSH","schema":"` + schema + `"}},
{"row":{"columns":[1,"a",1.50]}},
{"row":{"columns":[2,null,null]}},
{"finalMessage":"Limit Reached"}]
`},
		{"/query-stream", "", sqlBody("PRINT orders FROM BEGINNING LIMIT 1;"), ""},
	} {
		status, body := s.call("POST", c.path, c.accept, c.body)
		if status != 200 {
			t.Errorf("%s %s: %d %s", c.path, c.accept, status, body)
		}
		if c.want == "" {
			if !strings.HasPrefix(body, "rowtime: ") || !strings.HasSuffix(body, `key: 1, value: {"NAME":"a","TOTAL":1.50}, partition: 0`+"\n") {
				t.Errorf("PRINT: %s", body)
			}
			continue
		}
		if got := withoutID(body); got != c.want {
			t.Errorf("%s %s:\n%s\nexpected\n%s", c.path, c.accept, got, c.want)
		}
	}
}

// withoutID replaces the query's id, which is random.
func withoutID(body string) string {
	before, rest, ok := strings.Cut(body, `"queryId":"`)
	if !ok {
		return body
	}
	_, after, _ := strings.Cut(rest, `"`)
	return before + `"queryId":"ID"` + after
}

func TestPullAndTombstones(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + fill + "CREATE TABLE n AS SELECT id, COUNT(*) AS c FROM orders GROUP BY id HAVING COUNT(*) < 2;")
	status, body := s.call("POST", "/query-stream", typeV1JSON, sqlBody("SELECT id, c FROM n WHERE id = 1;"))
	want := `[{"header":{"queryId":"ID","queryType":"PULL","schema":"` + "`ID` INTEGER KEY, `C` BIGINT" + `"}},
{"row":{"columns":[1,1]}}]
`
	if got := withoutID(body); status != 200 || got != want {
		t.Errorf("pull: %d\n%s\nexpected\n%s", status, got, want)
	}
	s.ksql("INSERT INTO orders VALUES (1, 'again', 2.00);")
	status, body = s.call("POST", "/query-stream", typeV1JSON, sqlBody("SELECT id, c FROM n EMIT CHANGES LIMIT 3;"))
	if !strings.Contains(body, `{"row":{"columns":[1,null],"tombstone":true}}`) {
		t.Errorf("push over a table: %d %s", status, body)
	}
}

// line reads one line of a stream that goes on.
func line(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	text, err := r.ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// running returns the ids of the push queries.
func (s *testServer) running() []string {
	s.t.Helper()
	var ids []string
	for _, q := range s.ksql("SHOW QUERIES;")[0]["queries"].([]any) {
		if q := q.(map[string]any); q["queryType"] == "PUSH" {
			ids = append(ids, q["id"].(string))
		}
	}
	return ids
}

// TestStreamFlushes reads rows of a query that does not end, then goes away: the
// query must end. Header and rows are read before anything else is written.
func TestStreamFlushes(t *testing.T) {
	s := start(t)
	s.ksql(createOrders)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	resp := s.request(ctx, "POST", "/query-stream", "", sqlBody("SELECT id FROM orders EMIT CHANGES;"))
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	var head struct{ QueryID string }
	if err := json.Unmarshal([]byte(line(t, r)), &head); err != nil || head.QueryID == "" {
		t.Fatalf("header: %+v %v", head, err)
	}
	for i := range 3 {
		s.ksql(fmt.Sprintf("INSERT INTO orders (id) VALUES (%d);", i))
		if got := line(t, r); got != fmt.Sprintf("[%d]\n", i) {
			t.Errorf("row %d: %s", i, got)
		}
	}
	if ids := s.running(); !reflect.DeepEqual(ids, []string{head.QueryID}) {
		t.Errorf("running: %v, expected %s", ids, head.QueryID)
	}
	cancel()
	for len(s.running()) > 0 { // the test's own timeout bounds it
	}
}

func TestCloseQuery(t *testing.T) {
	s := start(t)
	s.ksql(createOrders)
	resp := s.request(t.Context(), "POST", "/query-stream", typeV1JSON, sqlBody("SELECT id FROM orders EMIT CHANGES;"))
	defer resp.Body.Close()
	ids := s.running()
	if len(ids) != 1 {
		t.Fatalf("running: %v", ids)
	}
	if status, body := s.call("POST", "/close-query", "", `{"queryId":"`+ids[0]+`"}`); status != 200 || body != "" {
		t.Errorf("close-query: %d %s", status, body)
	}
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.HasSuffix(rest, []byte(",\n{\"finalMessage\":\"Query Completed\"}]\n")) {
		t.Errorf("after close-query: %s %v", rest, err)
	}
	if ids := s.running(); len(ids) != 0 {
		t.Errorf("running after close-query: %v", ids)
	}
}

func TestTerminatePush(t *testing.T) {
	s := start(t)
	s.ksql(createOrders)
	resp := s.request(t.Context(), "POST", "/query-stream", typeV1JSON, sqlBody("SELECT id FROM orders EMIT CHANGES;"))
	defer resp.Body.Close()
	id := s.running()[0]
	got := s.ksql("TERMINATE " + id + ";")
	if len(got) != 1 || got[0]["@type"] != "terminate_query" || got[0]["queryId"] != id || got[0]["wasTerminated"] != true {
		t.Errorf("TERMINATE: %v", got)
	}
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.HasSuffix(rest, []byte(",\n{\"finalMessage\":\"Query Completed\"}]\n")) {
		t.Errorf("after TERMINATE: %s %v", rest, err)
	}
	if status, body := s.call("POST", "/ksql", "", ksqlBody("TERMINATE "+id+";")); status != 400 || !strings.Contains(body, "Unknown queryId") {
		t.Errorf("again: %d %s", status, body)
	}
}

func TestHTTP2Cleartext(t *testing.T) {
	s := start(t)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	resp, err := client.Get(s.url + "/info")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.ProtoMajor != 2 || resp.StatusCode != 200 {
		t.Errorf("%s %d", resp.Proto, resp.StatusCode)
	}
}

func TestProcessingLog(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + "CREATE STREAM bad (id INT KEY, name INT) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON'); CREATE STREAM copy AS SELECT id, name FROM bad;" +
		"INSERT INTO orders VALUES (7, 'no number', 1.00);")
	status, body := s.call("POST", "/query-stream", "", sqlBody("SELECT `QUERY`, kind, `TOPIC`, `PARTITION`, `OFFSET` FROM ksql_processing_log EMIT CHANGES LIMIT 1;"))
	if status != 200 || !strings.HasSuffix(body, `["CSAS_COPY_2","deserialization","orders",0,0]`+"\n") {
		t.Errorf("%d %s", status, body)
	}
	for _, statement := range []string{"DROP STREAM ksql_processing_log;", "INSERT INTO ksql_processing_log (kind) VALUES ('x');",
		"CREATE OR REPLACE STREAM ksql_processing_log (id INT KEY) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON');",
		"CREATE STREAM ksql_processing_log AS SELECT * FROM orders;", "ALTER STREAM ksql_processing_log ADD COLUMN x INT;"} {
		if status, body := s.call("POST", "/ksql", "", ksqlBody(statement)); status != 400 || !strings.Contains(body, `"error_code":40001`) {
			t.Errorf("%s: %d %s", statement, status, body)
		}
	}
}

// TestShutdown closes the server while a push query streams.
func TestShutdown(t *testing.T) {
	e, err := engine.Open(engine.Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := New(e, slog.New(slog.DiscardHandler))
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	s := &testServer{t, "http://" + l.Addr().String()}
	s.ksql(createOrders)
	resp := s.request(t.Context(), "POST", "/query-stream", typeV1JSON, sqlBody("SELECT id FROM orders EMIT CHANGES;"))
	defer resp.Body.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := srv.Close(ctx); err != nil || ctx.Err() != nil {
		t.Errorf("close: %v %v", err, ctx.Err())
	}
	rest, err := io.ReadAll(resp.Body)
	if err != nil || !bytes.Contains(rest, []byte(`{"finalMessage":"Query Completed"}`)) {
		t.Errorf("the stream ended with %s %v", rest, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if err := e.Close(context.Background()); err != nil {
		t.Error(err)
	}
}
