package server

import (
	"bufio"
	"encoding/json"
	"strings"
	"testing"
)

// TestPullOfStream shows that a pull query on a stream has no key columns and ends
// with a message, which tells a limit from the end.
func TestPullOfStream(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + fill)
	head := `[{"header":{"queryId":"ID","queryType":"PULL","schema":"` + "`ID` INTEGER" + `"}},` + "\n"
	for _, c := range []struct{ text, want string }{
		{"SELECT id FROM orders;", head + "{\"row\":{\"columns\":[1]}},\n{\"row\":{\"columns\":[2]}},\n{\"finalMessage\":\"Query Completed\"}]\n"},
		{"SELECT id FROM orders LIMIT 9;", head + "{\"row\":{\"columns\":[1]}},\n{\"row\":{\"columns\":[2]}},\n{\"finalMessage\":\"Query Completed\"}]\n"},
		{"SELECT id FROM orders LIMIT 1;", head + "{\"row\":{\"columns\":[1]}},\n{\"finalMessage\":\"Limit Reached\"}]\n"},
		{"SELECT id FROM orders LIMIT 0;", head + "{\"finalMessage\":\"Limit Reached\"}]\n"},
		{"SELECT id FROM orders WHERE id = 7;", head + "{\"finalMessage\":\"Query Completed\"}]\n"},
	} {
		status, body := s.call("POST", "/query", "", ksqlBody(c.text))
		if got := withoutID(body); status != 200 || got != c.want {
			t.Errorf("%s %d\n%s\nexpected\n%s", c.text, status, got, c.want)
		}
	}
	// The other media types have no message.
	if _, body := s.call("POST", "/query-stream", "", sqlBody("SELECT id FROM orders;")); !strings.HasSuffix(body, "\n[1]\n[2]\n") {
		t.Errorf("delimited: %q", body)
	}
}

// TestWindowedPullHeader shows that a window's bounds are part of the key.
func TestWindowedPullHeader(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + "CREATE TABLE w AS SELECT id, COUNT(*) AS c FROM orders WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY id;")
	_, body := s.call("POST", "/query", "", ksqlBody("SELECT WINDOWEND AS e, ROWTIME, id, WINDOWSTART, c, WINDOWSTART + 0 AS x FROM w;"))
	want := "`E` BIGINT KEY, `ROWTIME` BIGINT, `ID` INTEGER KEY, `WINDOWSTART` BIGINT KEY, `C` BIGINT, `X` BIGINT\""
	if !strings.Contains(body, want) {
		t.Errorf("%s\nexpected %s", body, want)
	}
}

// TestLinesOfPush shows that every element of POST /query is a line of its own as
// soon as it is there: a client may read lines.
func TestLinesOfPush(t *testing.T) {
	s := start(t)
	s.ksql(createOrders)
	resp := s.request(t.Context(), "POST", "/query", "", ksqlBody("SELECT id FROM orders EMIT CHANGES LIMIT 1;"))
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	if got := line(t, r); !strings.HasPrefix(got, `[{"header":`) || !strings.HasSuffix(got, "}},\n") {
		t.Errorf("header: %q", got)
	}
	s.ksql("INSERT INTO orders (id) VALUES (1);")
	if got := line(t, r) + line(t, r); got != "{\"row\":{\"columns\":[1]}},\n{\"finalMessage\":\"Limit Reached\"}]\n" {
		t.Errorf("rows: %q", got)
	}
}

// TestScalablePush shows which push queries are scalable, and that these leave out
// rows without a key.
func TestScalablePush(t *testing.T) {
	s := start(t)
	s.ksql(createOrders + "CREATE STREAM copy AS SELECT * FROM orders;")
	for _, c := range []struct {
		text       string
		properties map[string]any
		scalable   bool
	}{
		{"SELECT id FROM copy EMIT CHANGES;", nil, true},
		{"SELECT id FROM copy WHERE total > 1 EMIT CHANGES;", nil, true},
		{"SELECT id FROM orders EMIT CHANGES;", nil, false}, // no query writes it
		{"SELECT id, ROWOFFSET FROM copy EMIT CHANGES;", nil, false},
		{"SELECT id, COUNT(*) FROM copy GROUP BY id EMIT CHANGES;", nil, false},
		{"SELECT id FROM copy EMIT CHANGES;", map[string]any{"auto.offset.reset": "earliest"}, false},
		{"SELECT id FROM copy EMIT CHANGES;", map[string]any{"ksql.query.push.v2.enabled": false}, false},
	} {
		properties := map[string]any{"ksql.query.push.v2.enabled": true}
		for k, v := range c.properties {
			properties[k] = v
		}
		body, err := json.Marshal(map[string]any{"sql": c.text, "properties": properties})
		if err != nil {
			t.Fatal(err)
		}
		resp := s.request(t.Context(), "POST", "/query-stream", "", string(body))
		head := line(t, bufio.NewReader(resp.Body))
		resp.Body.Close()
		if got := strings.Contains(head, `"queryId":"SCALABLE_PUSH_QUERY_`); got != c.scalable {
			t.Errorf("%s %v: %s", c.text, c.properties, head)
		}
	}
	body := `{"sql":"SELECT * FROM copy EMIT CHANGES LIMIT 2;","properties":{"ksql.query.push.v2.enabled":true}}`
	resp := s.request(t.Context(), "POST", "/query-stream", "", body)
	defer resp.Body.Close()
	r := bufio.NewReader(resp.Body)
	line(t, r)
	s.ksql("INSERT INTO orders VALUES (1, 'a', 1); INSERT INTO orders (name) VALUES ('no key'); INSERT INTO orders VALUES (2, NULL, NULL);")
	if got := line(t, r) + line(t, r); got != "[1,\"a\",1.00]\n[2,null,null]\n" {
		t.Errorf("rows: %q", got)
	}
}

// TestProtobufRows reads rows as protobuf messages: field 1 is the key, field 2 N.
func TestProtobufRows(t *testing.T) {
	s := start(t)
	s.ksql("CREATE STREAM s (k STRING KEY, n INT) WITH (kafka_topic='s', value_format='JSON', partitions=1); INSERT INTO s VALUES ('a', 7);")
	status, body := s.call("POST", "/query", typeProtobuf, ksqlBody("SELECT * FROM s;"))
	if status != 200 || !strings.Contains(body, `"protoSchema":"syntax = \"proto3\";\n\nmessage ConnectDefault1 {\n  string K = 1;\n  int32 N = 2;\n}\n"`) {
		t.Fatalf("%d %s", status, body)
	}
	if !strings.Contains(body, `{"row":{"protobufBytes":"CgFhEAc="}}`) {
		t.Errorf("no row in %s", body)
	}
	status, body = s.call("POST", "/query-stream", typeProtobuf, sqlBody("SELECT n AS `a b` FROM s;"))
	if status != 400 || !strings.Contains(body, "cannot be written as protobuf") {
		t.Errorf("%d %s", status, body)
	}
}
