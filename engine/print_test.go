package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// printed returns what PRINT of a whole topic shows, without the time of rows.
func printed(t *testing.T, s *Session, statement string) []string {
	t.Helper()
	var out []string
	err := s.Execute(t.Context(), statement, func(r Result) error {
		lines := r.(*Lines)
		defer lines.Close()
		for {
			list, err := lines.Next(t.Context())
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, l := range list {
				if _, rest, ok := strings.Cut(l, ", key: "); ok {
					l = "key: " + rest
				}
				out = append(out, l)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestPrintRegistryFormats(t *testing.T) {
	e, err := Open(Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	for _, f := range []string{"AVRO", "JSON_SR", "PROTOBUF"} {
		s := e.NewSession()
		err := s.Execute(t.Context(), `CREATE STREAM `+f+`_S (k STRING KEY, a INT, l ARRAY<STRING>) WITH (kafka_topic='`+f+`', format='`+f+`', partitions=1);
			INSERT INTO `+f+`_S VALUES ('x', 1, ARRAY['p']); INSERT INTO `+f+`_S (k) VALUES ('y');`, func(Result) error { return nil })
		if err != nil {
			t.Fatal(err)
		}
		got := printed(t, s, "PRINT '"+f+"' FROM BEGINNING LIMIT 2;")
		if len(got) != 4 || got[0] != "Key format: "+f || got[1] != "Value format: "+f || !strings.Contains(got[2], `{"A": 1, "L": ["p"]}, partition: 0`) ||
			!strings.Contains(got[2], `"x"`) || !strings.Contains(got[3], `{"A": null, "L": `) && !strings.Contains(got[3], `{"A": 0, "L": `) {
			t.Errorf("%s: %q", f, got)
		}
	}
}

// What only looks like a schema id, and damaged payloads, print as before.
func TestPrintWithoutSchema(t *testing.T) {
	e, err := Open(Config{Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	s := e.NewSession()
	if err := s.Execute(t.Context(), "CREATE STREAM s (k STRING KEY, a STRING, b INT) WITH (kafka_topic='s', value_format='AVRO', partitions=1);",
		func(Result) error { return nil }); err != nil {
		t.Fatal(err)
	}
	p := newPayloadPrinter("s", e.schemas)
	for _, payload := range [][]byte{nil, {}, {0}, {0, 0, 0, 0, 99, 1}, {0, 0, 0, 0, 1}, {0, 0, 0, 0, 1, 2, 0xff}, []byte("text"), slices.Repeat([]byte{0}, 40)} {
		for _, key := range []bool{true, false} {
			text, lines := p.render(key, payload)
			if text != PrintPayload(payload) || len(lines) != 0 {
				t.Errorf("%x: %q %q", payload, text, lines)
			}
		}
	}
}

// TestPrintDeclared shows that payloads without a schema id are read by the one
// declaration over their topic, and what is said where there is none or several.
func TestPrintDeclared(t *testing.T) {
	w := startEmbedded(t)
	run := func(text string) {
		t.Helper()
		if err := w.session.Execute(t.Context(), text, func(Result) error { return nil }); err != nil {
			t.Fatal(err)
		}
	}
	run(`CREATE STREAM s (k STRING KEY, a INT, l ARRAY<STRING>) WITH (kafka_topic='t', format='PROTOBUF_NOSR', partitions=1);
		INSERT INTO s VALUES ('x', 1, ARRAY['p']);`)
	if _, err := w.engine.cluster.Append(t.Context(), kafka.TopicPartition{Topic: "t"}, oneRecord([]byte("\xff"), nil), 1); err != nil {
		t.Fatal(err)
	}
	const record = `key: {"K": "x"}, value: {"A": 1, "L": ["p"]}, partition: 0`
	const broken = `key: /w==, value: <null>, partition: 0`
	expect := func(want ...string) {
		t.Helper()
		if got := printed(t, w.session, "PRINT 't' FROM BEGINNING LIMIT 2;"); !slices.Equal(got, want) {
			t.Errorf("%q\nexpected\n%q", got, want)
		}
	}
	expect("Key format: PROTOBUF_NOSR as declared by stream S", "Value format: PROTOBUF_NOSR as declared by stream S", record, broken)
	run("CREATE SOURCE STREAM u (k STRING KEY, a INT, l ARRAY<STRING>) WITH (kafka_topic='t', format='PROTOBUF_NOSR');")
	expect("Key format: PROTOBUF_NOSR as declared by stream S and stream U", "Value format: PROTOBUF_NOSR as declared by stream S and stream U", record, broken)
	run("CREATE SOURCE STREAM v (k STRING KEY, b BIGINT) WITH (kafka_topic='t', format='PROTOBUF_NOSR');")
	got := printed(t, w.session, "PRINT 't' FROM BEGINNING LIMIT 1;")
	if len(got) != 3 || got[1] != "Value format: PROTOBUF_NOSR as declared by stream S and stream U and stream V, which differ: shown without their columns" || !strings.HasPrefix(got[2], `key: {"K": "x"}, value: `) || strings.Contains(got[2], `"A"`) {
		t.Errorf("%q", got)
	}
	run("DROP STREAM s; DROP STREAM u; DROP STREAM v;")
	if got := printed(t, w.session, "PRINT 't' FROM BEGINNING LIMIT 1;"); len(got) != 1 || strings.Contains(got[0], `"A"`) {
		t.Errorf("nothing is declared: %q", got)
	}
	// A window stands behind the key.
	run(`SET 'auto.offset.reset'='earliest';
		CREATE STREAM e (k STRING KEY, a INT) WITH (kafka_topic='e', value_format='JSON', partitions=1);
		INSERT INTO e (ROWTIME, k, a) VALUES (12000, 'x', 1);
		CREATE TABLE c WITH (format='PROTOBUF_NOSR') AS SELECT k, COUNT(*) AS n FROM e WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY k;`)
	got = printed(t, w.session, "PRINT 'C' FROM BEGINNING LIMIT 1;")
	if len(got) != 3 || got[2] != `key: [{"K": "x"}@10000], value: {"N": 1}, partition: 0` {
		t.Errorf("%q", got)
	}
}

func oneRecord(key, value []byte) []byte {
	var b kafka.BatchBuilder
	b.Append(1, key, value, nil)
	b.Finish()
	return b.Bytes()
}
