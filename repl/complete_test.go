package repl

import (
	"strings"
	"testing"
)

var known = []Source{{"ORDERS", []string{"ID", "ADDRESS", "TOTAL"}, "STREAM"}, {"USERS", []string{"ID", "NAME"}, "TABLE"}, {"odd one", []string{"x y"}, "STREAM"}}

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
		{"SEL|", "SELECT"},
		{"|", ""},
		{"CREATE STREAM |", ""},
	} {
		before, after, _ := strings.Cut(c.text, "|")
		word := before[strings.LastIndexAny(before, wordSeparators)+1:]
		var texts []string
		for _, s := range suggestions(word, candidates(strings.TrimSuffix(before, word), after, known, word == "")) {
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
