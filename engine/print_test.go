package engine

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

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
