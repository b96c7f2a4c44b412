package cli

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// run executes a command line in process.
func run(t *testing.T, stdin string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	dir := t.TempDir()
	open := func(name, content string) *os.File {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	std := Stdio{In: open("in", stdin), Out: open("out", ""), Err: open("err", "")}
	code = Run(t.Context(), args, std)
	read := func(f *os.File) string {
		b, err := os.ReadFile(f.Name())
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Error(err)
		}
		return string(b)
	}
	read(std.In)
	return code, read(std.Out), read(std.Err)
}

// startServer runs `millrace server` in process and returns its addresses and
// what stops it; stop returns the exit code.
func startServer(t *testing.T, data string) (http, kafka string, stop func() int) {
	t.Helper()
	return startServerWith(t, data, "--kafka", "127.0.0.1:0")
}

// startServerWith is startServer with flags for the Kafka listeners.
func startServerWith(t *testing.T, data string, flags ...string) (http, kafka string, stop func() int) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	code := make(chan int, 1)
	go func() {
		code <- Run(ctx, append([]string{"server", "--http", "127.0.0.1:0", "--data", data}, flags...), Stdio{In: null, Out: w, Err: null})
	}()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscanf(line, "ready http=%s kafka=%s", &http, &kafka); err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	stopped := false
	stop = func() int {
		if stopped {
			return 0
		}
		stopped = true
		cancel()
		return <-code
	}
	t.Cleanup(func() { stop() })
	return http, kafka, stop
}

func TestMistakes(t *testing.T) {
	inUse, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer inUse.Close()
	data := t.TempDir()
	for _, c := range []struct {
		args string
		want string // part of the message
	}{
		{"topi", "did you mean topic?"},
		{"frobnicate", "expected one of"},
		{"topic lsit", "did you mean list?"},
		{"topic creat x", "did you mean create?"},
		{"server --dta x", "did you mean --data?"},
		{"sql --outptu json", "did you mean --output?"},
		{"sql", "nothing to run"},
		{"sql -e x; --output xml", "expected table, json or csv"},
		{"sql -f /nonexistent/file.sql", "no such file"},
		{"sql -e x; extra", `takes no argument "extra"`},
		{"sql --server ftp://x -e x;", "expected http://HOST:PORT"},
		{"topic create", "takes NAME, got 0 arguments"},
		{"topic create t --config novalue --bootstrap 127.0.0.1:1", "expected key=value"},
		{"consume t --output xml", "expected text or json"},
		{"produce t --file /nonexistent", "no such file"},
		{"server --config /nonexistent", "no such file"},
		{"server --kafka 127.0.0.1:0 --http 0.0.0.0:0 --data " + t.TempDir(), "HTTP asks for no login"},
		{"server --http " + inUse.Addr().String() + " --data " + data, "in use by another process: give another address"},
	} {
		code, out, stderr := run(t, "", strings.Fields(c.args)...)
		if code == 0 || out != "" || !strings.Contains(stderr, c.want) || !strings.HasPrefix(stderr, "millrace: ") {
			t.Errorf("millrace %s: exit code %d\n%s%sexpected %q", c.args, code, out, stderr, c.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, args := range []string{"", "server", "sql", "repl", "quickstart", "topic", "topic create", "topic list", "topic describe",
		"topic delete", "topic alter", "topic delete-records", "group", "group list", "group describe", "group reset-offsets", "group delete", "group delete-offsets",
		"config", "config describe", "config alter", "transaction", "transaction list", "transaction describe", "transaction producers", "transaction abort", "transaction terminate",
		"user", "user add", "user list", "user delete", "acl", "acl add", "acl list", "acl delete", "quota", "quota set", "quota list", "quota delete",
		"produce", "consume", "bench nexmark"} {
		code, out, stderr := run(t, "", append(strings.Fields(args), "--help")...)
		if code != 0 || !strings.Contains(out, "Examples:\n  millrace ") && !strings.Contains(out, "Examples:\n  echo") || stderr != "" {
			t.Errorf("millrace %s --help: exit code %d\n%s%s", args, code, out, stderr)
		}
	}
}

func TestDataDirectoryErrors(t *testing.T) {
	data := t.TempDir()
	_, _, stop := startServer(t, data)
	code, _, stderr := run(t, "", "sql", "-e", "SHOW TOPICS;", "--data", data)
	if code == 0 || !strings.Contains(stderr, "is in use by another process: send statements to it with --server") {
		t.Errorf("locked: %d %s", code, stderr)
	}
	if code := stop(); code != 0 {
		t.Errorf("stopped server: exit code %d", code)
	}
	if code, _, stderr := run(t, "", "sql", "-e", "SHOW TOPICS;", "--data", data); code != 0 {
		t.Errorf("after the server: %d %s", code, stderr)
	}
}

func TestSQL(t *testing.T) {
	data := t.TempDir()
	script := filepath.Join(t.TempDir(), "s.sql")
	if err := os.WriteFile(script, []byte("CREATE STREAM s (id INT KEY, v DOUBLE) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=2);\nINSERT INTO s VALUES (1, 2); INSERT INTO s VALUES (1, NULL);"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, stderr := run(t, "CREATE TABLE n AS SELECT id, COUNT(*) AS c FROM s GROUP BY id;", "sql", "-f", script, "--data", data,
		"-e", "SET 'auto.offset.reset'='earliest';", "-f", "-", "-e", "SELECT * FROM n;", "--output", "json", "-e", "SELECT v FROM s EMIT CHANGES LIMIT 2;")
	if want := `{"ID":1,"C":2}` + "\n" + `{"V":2.0}` + "\n" + `{"V":null}` + "\n"; code != 0 || out != want {
		t.Errorf("exit code %d\n%s%s\nexpected %s", code, out, stderr, want)
	}
	for _, c := range []struct {
		args []string
		code int
		out  string
	}{
		{[]string{"-e", "SHOW STREAMS;", "--output", "json"}, 0, `{"name":"S","topic":"s","keyFormat":"KAFKA","valueFormat":"JSON","isWindowed":false}` + "\n"},
		{[]string{"-e", "SELECT * FROM n;", "--output", "csv"}, 0, "ID,C\n1,2\n"},
		{[]string{"-e", "SELECT * FROM n WHERE id = 9;"}, 0, "+--------+--------+\n|     ID |      C |\n+--------+--------+\n+--------+--------+\n"},
		{[]string{"-e", "SELECT * FROM s EMIT CHANGES;", "--timeout", "1ms", "--output", "json"}, 0, ""},
		{[]string{"-e", "SELECT * FROM n;", "-e", "SELECT nope FROM n;", "--output", "json"}, 1, `{"ID":1,"C":2}` + "\n"},
		{[]string{"-e", "RUN SCRIPT '" + filepath.Join(data, "none.sql") + "';"}, 1, ""},
	} {
		code, out, stderr := run(t, "", append([]string{"sql", "--data", data}, c.args...)...)
		if code != c.code || out != c.out {
			t.Errorf("sql %q: exit code %d\n%s%s", c.args, code, out, stderr)
		}
		if code != 0 && !strings.Contains(stderr, "millrace: ") {
			t.Errorf("sql %q: %s", c.args, stderr)
		}
	}
	if code, out, stderr := run(t, "SHOW TABLES;", "repl", "--data", data); code != 0 || !strings.Contains(out, "| N    ") {
		t.Errorf("repl without a terminal: %d %s%s", code, out, stderr)
	}
}

// TestErrorsNameTheFile checks that an error in a script has the name of the file,
// the innermost of several, and the line in it.
func TestErrorsNameTheFile(t *testing.T) {
	dir, data := t.TempDir(), t.TempDir()
	inner, outer := filepath.Join(dir, "inner.sql"), filepath.Join(dir, "outer.sql")
	for name, text := range map[string]string{inner: "SHOW TYPES;\nSELECT * FROM nope;", outer: "SHOW TYPES;\nDEFINE f='" + inner + "';\nRUN SCRIPT '${f}';"} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	self, none := filepath.Join(dir, "self.sql"), filepath.Join(dir, "none.sql")
	if err := os.WriteFile(self, []byte("SHOW TYPES;\nRUN SCRIPT '"+self+"';"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"-f", self}, " --> " + self + ":2:1\n"},
		{[]string{"-e", "RUN SCRIPT '" + self + "';"}, "does " + self + " run itself?"},
		{[]string{"-f", none}, "cannot read the file " + none + ": no such file or directory"},
		{[]string{"-e", "SHOW TYPES;\nRUN SCRIPT '" + none + "';"}, "cannot read the file " + none + ": no such file or directory\n --> 2:1\n"},
		{[]string{"-f", inner}, " --> " + inner + ":2:15\n"},
		{[]string{"-f", outer}, " --> " + inner + ":2:15\n"},
		{[]string{"-e", "RUN SCRIPT '" + inner + "';"}, " --> " + inner + ":2:15\n"},
		{[]string{"-e", "SHOW TYPES;\nSELECT * FROM nope;"}, " --> 2:15\n"},
		{[]string{"-f", "-"}, " --> 3:15\n"},
		{[]string{"-e", "DEFINE v='nope';\nSELECT *\n FROM ${v};"}, " --> 3:7\n"},
	} {
		code, _, stderr := run(t, "SHOW TYPES;\n\nSELECT * FROM nope;", append([]string{"sql", "--data", data}, c.args...)...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("sql %q: exit code %d\n%s\nexpected %s", c.args, code, stderr, c.want)
		}
	}
}

// TestServerAnswersLikeProcess runs the same statements in process and over HTTP:
// results, messages and errors must be the same text.
func TestServerAnswersLikeProcess(t *testing.T) {
	script := filepath.Join(t.TempDir(), "inner.sql")
	if err := os.WriteFile(script, []byte("DEFINE inner='1';\nSELECT id, name FROM n\n WHERE id = ${inner};"), 0o600); err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "broken.sql")
	if err := os.WriteFile(broken, []byte("-- first line\nSHOW TYPES;\nSELECT nmae FROM n;"), 0o600); err != nil {
		t.Fatal(err)
	}
	steps := []string{
		`CREATE TYPE point AS STRUCT<x INT, y DECIMAL(4, 2)>;
		 CREATE STREAM s (id INT KEY, name STRING, m MAP<STRING, BIGINT>, a ARRAY<point>, d DATE, tm TIME, ts TIMESTAMP, b BYTES, f BOOLEAN, x DOUBLE)
		 WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1); CREATE STREAM IF NOT EXISTS s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON');`,
		`INSERT INTO s (ROWTIME, id, name, m, a, d, tm, ts, b, f, x) VALUES (0, 1, 'ü "q"', MAP('k':=9007199254740993), ARRAY[STRUCT(x:=1, y:=1.50), NULL], '2020-02-03', '12:34:56', '2020-02-03T04:05:06.007', TO_BYTES('abc', 'utf8'), true, 1e20);
		 INSERT INTO s (ROWTIME, id) VALUES (0, 2);`,
		`SET 'auto.offset.reset'='earliest'; CREATE TABLE n AS SELECT id, LATEST_BY_OFFSET(name) AS name, COUNT(*) AS c FROM s GROUP BY id HAVING COUNT(*) < 2;`,
		`SELECT * FROM n;`, `SET 'auto.offset.reset'='earliest'; SELECT * FROM s EMIT CHANGES LIMIT 2;`, `SELECT ROWTIME, UCASE(name) FROM s WHERE id = 1;`,
		`SHOW STREAMS; SHOW TABLES; SHOW TOPICS; SHOW TYPES; LIST VARIABLES; SHOW FUNCTIONS;`,
		`SET 'auto.offset.reset'='earliest'; SHOW PROPERTIES; UNSET 'auto.offset.reset';`,
		`CREATE STREAM av (id STRING KEY, a INT) WITH (KAFKA_TOPIC='av', FORMAT='AVRO', PARTITIONS=1); DESCRIBE av EXTENDED; DROP STREAM av DELETE TOPIC;`,
		`DESCRIBE s; DESCRIBE n; DESCRIBE STREAMS; DESCRIBE TABLES; DESCRIBE FUNCTION concat; SHOW QUERIES;`,
		`EXPLAIN SELECT * FROM s EMIT CHANGES; EXPLAIN CTAS_N_2;`,
		`DEFINE v='n'; SHOW VARIABLES; SELECT id FROM ${v} WHERE id = 2; UNDEFINE v; SELECT id FROM ${v};`,
		`PRINT s FROM BEGINNING LIMIT 2;`, `RUN SCRIPT '` + script + `';`, "SHOW TYPES;\nRUN SCRIPT '" + broken + "';",
		"DEFINE v='n';\n\nSELECT nope FROM ${v};",
		`SELECT * FROM
  nope;`, `SHOW TYPES; SELECT nmae FROM n;`, `SELEC;`, `SET 'nope'='1';`, `SET 'auto.offset.reset'='middle';`, `UNSET 'nope';`, `UNDEFINE nope;`,
		`DROP STREAM s;`, `SHOW STREAMS`, `INSERT INTO s VALUES (1);`, `EXPLAIN nope;`, `DESCRIBE nope;`, `PRINT nope;`, `TERMINATE nope;`,
		`PAUSE CTAS_N_2; SHOW QUERIES; RESUME CTAS_N_2; TERMINATE CTAS_N_2;`,
	}
	inProcess := t.TempDir()
	http, _, _ := startServer(t, t.TempDir())
	for _, format := range []string{"json", "table", "csv"} {
		for i, step := range steps {
			if format != "json" && i < 3 { // what changes something runs once
				continue
			}
			code, out, stderr := run(t, "", "sql", "--data", inProcess, "--output", format, "-e", step)
			gotCode, gotOut, gotErr := run(t, "", "sql", "--server", http, "--output", format, "-e", step)
			if gotCode != code || gotOut != out || gotErr != stderr {
				t.Errorf("%s (%s): exit code %d over HTTP, %d in process\n%s%s\n-- in process --\n%s%s", step, format, gotCode, code, gotOut, gotErr, out, stderr)
			}
		}
	}
}

func TestTopics(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	for _, c := range []struct {
		args string
		code int
		want string // pattern of stdout, or of stderr when the code is not 0
	}{
		{"topic create o --partitions 2", 0, `^$`},
		{"topic create o", 1, `topic o exists already`},
		{"topic create --if-not-exists o", 0, `^$`},
		{"topic create p --config nope=1", 1, `nope is not known`},
		{"topic create p --config retention.ms=x", 1, `retention.ms = "x"`},
		{"topic create p --partitions 0", 1, `artitions`},
		{"topic create p --config retention.ms=1000", 0, `^$`},
		{"topic list", 0, `^o\np\n$`},
		{"topic describe p", 0, `(?s)topic +p\nid +[-_0-9A-Za-z]{22}\npartitions +1\n.*retention.ms +1000\n.*partition +log start +end\n0 +0 +0\n$`},
		{"topic describe nope", 1, `topic nope does not exist`},
		{"topic delete p", 0, `^$`},
		{"topic delete p", 1, `topic p does not exist`},
		{"topic list", 0, `^o\n$`},
		{"consume nope", 1, `topic nope does not exist`},
	} {
		code, out, stderr := run(t, "", append(strings.Fields(c.args), "--bootstrap", kafka)...)
		text := out
		if c.code != 0 {
			text = stderr
		}
		if code != c.code || !regexp.MustCompile(c.want).MatchString(text) {
			t.Errorf("millrace %s: exit code %d\n%s%s", c.args, code, out, stderr)
		}
	}
}

func TestProduceAndConsume(t *testing.T) {
	_, kafka, stop := startServer(t, t.TempDir())
	millrace := func(stdin string, want int, args ...string) string {
		t.Helper()
		code, out, stderr := run(t, stdin, append(args, "--bootstrap", kafka)...)
		if code != want {
			t.Errorf("millrace %v: exit code %d\n%s%s", args, code, out, stderr)
		}
		return out + stderr
	}
	if got := millrace(`{"id":"a"}`, 1, "produce", "t"); !strings.Contains(got, "topic t does not exist") {
		t.Errorf("missing topic: %s", got)
	}
	lines := `{"id":"a","ts":0}` + "\n\n" + `{"id":null,"ts":5}` + "\n" + `{"id":null,"ts":7}` + "\n" + `{"id":{"x":1},"ts":1500000000000}` + "\n" + `{"id":"ü\n","ts":9}`
	millrace(lines, 0, "produce", "t", "--create", "--key-field", "id", "--timestamp-field", "ts")
	want := `{"topic":"t","partition":0,"offset":0,"timestamp":0,"key":"a","value":{"id":"a","ts":0},"headers":[]}
{"topic":"t","partition":0,"offset":1,"timestamp":5,"key":null,"value":{"id":null,"ts":5},"headers":[]}
{"topic":"t","partition":0,"offset":2,"timestamp":7,"key":null,"value":{"id":null,"ts":7},"headers":[]}
{"topic":"t","partition":0,"offset":3,"timestamp":1500000000000,"key":{"x":1},"value":{"id":{"x":1},"ts":1500000000000},"headers":[]}
{"topic":"t","partition":0,"offset":4,"timestamp":9,"key":"ü\n","value":{"id":"ü\n","ts":9},"headers":[]}
`
	if got := millrace("", 0, "consume", "t", "--from-beginning", "--output", "json", "--max", "5"); got != want {
		t.Errorf("consumed\n%s\nexpected\n%s", got, want)
	}
	// Offsets of a group go on where it stopped.
	if got := millrace("", 0, "consume", "--group", "g", "--from-beginning", "t", "--max", "2"); got != "a\t{\"id\":\"a\",\"ts\":0}\nnull\t{\"id\":null,\"ts\":5}\n" {
		t.Errorf("first of the group: %s", got)
	}
	if got := millrace("", 0, "consume", "--group", "g", "--from-beginning", "t", "--max", "1"); got != "null\t{\"id\":null,\"ts\":7}\n" {
		t.Errorf("second of the group: %s", got)
	}
	// Without --from-beginning nothing is there: the timeout ends it.
	if got := millrace("", 0, "consume", "t", "--timeout", "50ms"); got != "--timeout 50ms is over: 0 records\n" {
		t.Errorf("at the end: %s", got)
	}
	for _, bad := range []struct{ stdin, want string }{
		{"{}\nnot json\n{}", `line 2: not a JSON object`},
		{"{}\n\n{\"a\":}", `line 3: not a JSON object`},
		{"null", `line 1: not a JSON object`},
		{"[1]", `line 1: not a JSON object`},
		{`{"ts":"x"}`, `line 1: timestamp field ts`},
		{`{"ts":-1}`, `line 1: timestamp field ts`},
		{`{}`, `line 1: no timestamp field ts`},
	} {
		args := []string{"produce", "t"}
		if strings.Contains(bad.want, "ts") {
			args = append(args, "--timestamp-field", "ts")
		}
		if got := millrace(bad.stdin, 1, args...); !strings.Contains(got, bad.want) {
			t.Errorf("%q: %s", bad.stdin, got)
		}
	}
	stop()
	if got := millrace("", 1, "topic", "list"); !strings.Contains(got, "no Kafka listener answers") {
		t.Errorf("no server: %s", got)
	}
}

// TestReady connects and closes, and sends a statement as soon as the line is
// there.
func TestReady(t *testing.T) {
	data := t.TempDir()
	for range 2 {
		http, kafka, stop := startServer(t, data)
		for _, addr := range []string{http, kafka} {
			conn, err := net.Dial("tcp", addr)
			if err != nil {
				t.Fatal(err)
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		if code, _, stderr := run(t, "", "sql", "--server", "http://"+http, "-e", "CREATE STREAM IF NOT EXISTS s (id INT KEY, v INT) WITH (KAFKA_TOPIC='s', VALUE_FORMAT='JSON', PARTITIONS=1);"); code != 0 {
			t.Errorf("statement: %d %s", code, stderr)
		}
		if code := stop(); code != 0 {
			t.Errorf("exit code %d", code)
		}
	}
}

func TestNewerDataDirectory(t *testing.T) {
	data := t.TempDir()
	_, _, stop := startServer(t, data)
	if code := stop(); code != 0 {
		t.Fatal(code)
	}
	for _, name := range []string{"checkpoint", "checkpoint.copy"} {
		file := filepath.Join(data, name)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b[11] = 99 // the version, big-endian at 8
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	code, out, stderr := run(t, "", "server", "--data", data, "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0")
	if code == 0 || out != "" || !strings.Contains(stderr, "written by a newer version") {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
}
