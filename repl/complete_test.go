package repl

import (
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
)

var known = Names{
	Sources: []Source{{"ORDERS", []string{"ID", "ADDRESS", "TOTAL"}, "STREAM"}, {"USERS", []string{"ID", "NAME"}, "TABLE"}, {"odd one", []string{"x y"}, "STREAM"}},
	Queries: []engine.QueryInfo{query("CTAS_TOTALS_3", executor.Running), query("CSAS_OUT_5", executor.Paused), query("CST_USERS_1", executor.Running),
		{ID: "transient_SMALL_7", Push: true, Status: executor.Status{State: executor.Running}}},
	Types: []string{"ADDRESS", "POINT"},
}

func query(id string, state executor.State) engine.QueryInfo {
	return engine.QueryInfo{ID: id, Status: executor.Status{ID: id, State: state}}
}

// TestCompletion gives what is offered at the bar; "..." stands for more.
func TestCompletion(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"SELECT * FROM orders WHERE |", "id,address,total"},
		{"SELECT * FROM orders WHERE a|", "address,abs,..."},
		{"SELECT * FROM orders WHERE id = 1 AND t|", "total,..."},
		{"SELECT * FROM orders WHERE id = 1 a|", "add,..."},
		{"SELECT * FROM orders WHERE id |", ""},
		{"SELECT * FROM orders WHERE id = 1 EM|", "EMIT"},
		{"SELECT * FROM orders WHERE UCA|", "UCASE"},
		{"SELECT | FROM users", "id,name"},
		{"SELECT n| FROM users", "name,..."},
		{"SELECT * FROM orders o JOIN users AS u ON o.|", "id,address,total"},
		{"SELECT * FROM orders o JOIN users AS u ON o.id = u.n|", "name"},
		{"SELECT * FROM orders o JOIN users AS u ON u|", "ucase,unix_date,..."},
		{"SELECT * FROM users; SELECT * FROM orders WHERE |", "id,address,total"},
		{"SELECT * FROM orders WHERE |; SELECT * FROM users", "id,address,total"},
		{"SELECT COUNT(*) FROM orders GROUP BY |", "id,address,total"},
		{"SELECT * FROM |", "orders,users,odd one"},
		{"SELECT * FROM u|", "users"},
		{"SELECT * FROM nosuch WHERE |", ""},
		{"SELECT * FROM nosuch WHERE addr|", "address"},
		{"SELECT * FROM `odd one` WHERE |", "x y"},
		{"DROP STREAM or|", "orders"},
		{"DROP STREAM |", "orders,odd one"},
		{"DROP STREAM us|", ""},
		{"DROP TABLE IF EXISTS |", "users"},
		{"ALTER TABLE |", "users"},
		{"SELECT COUNT(*) FROM orders WINDOW |", "hopping,session,tumbling"},
		{"SELECT COUNT(*) FROM orders WINDOW T|", "TUMBLING"},
		{"CREATE STREAM x (a STR|", "STRING,STRUCT"},
		{"CREATE STREAM x (a INT KEY, st d|", "date,decimal,double"},
		{"CREATE STREAM x (|", ""},
		{"INSERT INTO orders (|", "id,address,total"},
		{"INSERT INTO orders (id, a|", "address"},
		{"INSERT INTO orders (id, total) VALUES (|", ""},
		{"DESCRIBE us|", "users"},
		{"DROP TYPE |", "address,point"},
		{"DROP TYPE IF EXISTS P|", "POINT"},
		{"ALTER TYPE |", ""},
		{"CREATE STREAM x (a PO|", "POINT"},
		{"TERMINATE |", "csas_out_5,ctas_totals_3,transient_SMALL_7,all"},
		{"TERMINATE CT|", "CTAS_TOTALS_3"},
		{"TERMINATE CTAS_TOTALS_3 |", ""},
		{"PAUSE |", "ctas_totals_3,all"},
		{"RESUME |", "csas_out_5,all"},
		{"EXPLAIN |", "csas_out_5,cst_users_1,ctas_totals_3,transient_SMALL_7"},
		{"EXPLAIN c|", "csas_out_5,cst_users_1,ctas_totals_3,..."},
		{"EXPLAIN SEL|", "SELECT"},
		{"EXPLAIN SELECT * FROM |", "orders,users,odd one"},
		{"CREATE STREAM x (a INT) WITH (WINDOW_|", "WINDOW_SIZE,WINDOW_TYPE"},
		{"CREATE STREAM x WITH (window_|", "window_size,window_type"},
		{"CREATE STREAM x WITH (KAFKA_TOPIC='t', WINDOW_|) AS SELECT * FROM orders", ""},
		{"CREATE SOURCE TABLE x WITH (WRAP|", "WRAP_SINGLE_VALUE"},
		{"CREATE STREAM x WITH (KAFKA_TOPIC='t', KAFKA|", ""},
		{"CREATE STREAM x WITH (F|, KAFKA_TOPIC='t')", "FORMAT"},
		{"CREATE STREAM x WITH (F|, VALUE_FORMAT='JSON')", ""},
		{"CREATE STREAM x WITH (FORMAT='JSON', key_f|", ""},
		{"CREATE STREAM x WITH (CLEAN|", ""},
		{"CREATE STREAM x (a INT) WITH (QUERY|", ""},
		{"INSERT INTO x WITH (|", "query_id"},
		{"CREATE STREAM x (a INT) WITH (KAFKA_TOPIC |", ""},
		{"CREATE STREAM x (a INT) WITH (KAFKA_TOPIC='t'|", ""},
		{"CREATE STREAM x (a INT) WITH (KAFKA_TOPIC=|", ""},
		{"CREATE STREAM x (a INT) WITH (KAFKA_TOPIC='|", ""},
		{"CREATE STREAM x (a INT) WITH (NO_SUCH=|", ""},
		{"CREATE STREAM x (a INT) WITH (VALUE_FORMAT=|", "'AVRO','DELIMITED','JSON','JSON_SR','KAFKA','PROTOBUF','PROTOBUF_NOSR'"},
		{"CREATE STREAM x (a INT) WITH (key_format = |", "'AVRO','DELIMITED','JSON','JSON_SR','KAFKA','NONE','PROTOBUF','PROTOBUF_NOSR'"},
		{"CREATE STREAM x (a INT) WITH (VALUE_FORMAT='js|", "JSON',JSON_SR'"},
		{"CREATE STREAM x (a INT) WITH (VALUE_FORMAT='js|'", "JSON,JSON_SR"},
		{"CREATE STREAM x (a INT) WITH (VALUE_DELIMITER='|", "SPACE',TAB'"},
		{"CREATE STREAM x (a INT) WITH (WINDOW_TYPE='T|", "TUMBLING'"},
		{"CREATE STREAM x (a INT) WITH (WRAP_SINGLE_VALUE=|", "false,true"},
		{"CREATE STREAM x (a INT) WITH (WRAP_SINGLE_VALUE='|", ""},
		{"CREATE STREAM x (a INT) WITH (VALUE_FORMAT='JSON') |", ""},
		{"SELECT * FROM orders WHERE address = '|", ""},
		{"SELECT * FROM orders WHERE value_format = '|", ""},
		{"SEL|", "SELECT"},
		{"|", ""},
		{"CREATE STREAM |", ""},
	} {
		before, after, _ := strings.Cut(c.text, "|")
		var texts []string
		for _, s := range offers(before, after, known) {
			texts = append(texts, s.Text)
		}
		got := strings.Join(texts, ",")
		want, open := strings.CutSuffix(c.want, "...")
		if open && !strings.HasPrefix(got, want) || !open && got != want {
			t.Errorf("%s\n     got %q\nexpected %q", c.text, got, c.want)
		}
	}
	if !insideString("SELECT 'a") || insideString("SELECT 'a'") {
		t.Error("strings are not told")
	}
}
