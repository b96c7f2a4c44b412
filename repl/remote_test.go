package repl

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// answers serves one answer after another, the last one again and again.
func answers(t *testing.T, list ...func(w http.ResponseWriter)) *Remote {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		answer := list[0]
		if len(list) > 1 {
			list = list[1:]
		}
		answer(w)
	}))
	t.Cleanup(s.Close)
	r, err := NewRemote(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func body(status int, text string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		io.WriteString(w, text) //nolint:errcheck // the test sees what arrives
	}
}

// runRemote writes the results of a script as JSON.
func runRemote(t *testing.T, r *Remote, script string) (string, error) {
	t.Helper()
	var out strings.Builder
	w := &Output{Out: &out, Err: io.Discard, Format: JSONFormat}
	err := r.Execute(t.Context(), script, func(result engine.Result) error { return w.Write(t.Context(), result) })
	return out.String(), err
}

func TestRemoteWaitsUntilReady(t *testing.T) {
	r := answers(t, body(503, `{"@type":"generic_error","error_code":50302,"message":"starting"}`),
		body(200, `[{"@type":"kafka_topics","topics":[{"name":"t","replicaInfo":[1,1]}]}]`))
	out, err := runRemote(t, r, "SHOW TOPICS;")
	if err != nil || out != `{"name":"t","partitions":2,"replicas":1}`+"\n" {
		t.Errorf("%s %v", out, err)
	}
}

func TestRemoteErrors(t *testing.T) {
	const header = `[{"header":{"queryId":"q","schema":"` + "`A` INTEGER" + `"}}`
	for _, c := range []struct {
		script string
		answer func(http.ResponseWriter)
		out    string
		want   string // part of the error
	}{
		{"SHOW TOPICS;", body(500, `{"@type":"generic_error","error_code":50000,"message":"disk full"}`), "", "disk full"},
		{"SHOW TOPICS;", body(503, `{"@type":"generic_error","error_code":50303,"message":"shutting down"}`), "", "shutting down"},
		{"SHOW TOPICS;", body(404, "Not Found"), "", "the server answered: Not Found"},
		{"SHOW TOPICS;", body(200, "<html>"), "", "decode the answer"},
		{"SHOW TOPICS;", body(200, `[{"@type":"surprise"}]`), "", `"surprise"`},
		{"SELECT 1;", body(200, `x`), "", "read the server's rows"},
		{"SELECT 1;", body(200, `[{"row":{"columns":[1]}}]`), "", "no header"},
		{"SELECT 1;", body(200, header+`,{"row":{"columns":[1]}}`), `{"A":1}` + "\n", "the server has gone"},
		{"SELECT 1;", body(200, header+`,{"row":{"columns":[1,2]}}]`), "", "2 values for 1 columns"},
		{"SELECT 1;", body(200, header+`,{"row":{"columns":["x"]}}]`), "", "read column A"},
		{"SELECT 1;", body(200, header+`,{"row":{"columns":[1]}},{"errorMessage":{"@type":"generic_error","error_code":50000,"message":"query failed"}}]`), `{"A":1}` + "\n", "query failed"},
		{"SET 'nope'='1';", body(200, `[]`), "", "nope"},
	} {
		out, err := runRemote(t, answers(t, c.answer), c.script)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != c.out {
			t.Errorf("%s: %q %v, expected %q and an error with %q", c.script, out, err, c.out, c.want)
		}
	}
}

// TestRemoteTellsThatNobodyListens checks that the wait is announced, once.
func TestRemoteTellsThatNobodyListens(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	s.Close() // so that its port refuses connections
	r, err := NewRemote(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	told := notice{f: cancel}
	r.Notices = &told
	for range 2 {
		if err := r.Execute(ctx, "SHOW TOPICS;", nil); err == nil {
			t.Error("somebody answers")
		}
		r.notice()
	}
	if want := "nothing listens at " + s.URL + ": trying again for 5s\n"; told.text != want {
		t.Errorf("told %q, expected %q", told.text, want)
	}
}

// notice collects what is told and calls back.
type notice struct {
	text string
	f    func()
}

func (n *notice) Write(b []byte) (int, error) {
	n.text += string(b)
	n.f()
	return len(b), nil
}

func TestRemoteAddress(t *testing.T) {
	for _, bad := range []string{"", "http://", "ftp://host:1", "http://[::1"} {
		if _, err := NewRemote(bad); err == nil {
			t.Errorf("%q is an address", bad)
		}
	}
}

// Names that the server gives before it fails are kept.
func TestRemoteNames(t *testing.T) {
	none := body(200, `[{"@type":"source_descriptions","sourceDescriptions":[]}]`)
	queries := body(200, `[{"@type":"queries","queries":[{"id":"CSAS_C_1","queryType":"PERSISTENT","state":"PAUSED"},{"id":"transient_N_2","queryType":"PUSH","state":"RUNNING"}]}]`)
	types := body(200, `[{"@type":"type_list","types":{"POINT":{"type":"INTEGER"}}}]`)
	got := answers(t, none, none, queries, types).Names(t.Context())
	if len(got.Queries) != 2 || !got.Queries[0].Takes(sql.Resume) || got.Queries[1].Takes(sql.Pause) || len(got.Types) != 1 || got.Types[0] != "POINT" {
		t.Errorf("got %+v", got)
	}
	got = answers(t, none, none, queries, body(404, "Not Found")).Names(t.Context())
	if len(got.Queries) != 2 || len(got.Types) != 0 {
		t.Errorf("got %+v", got)
	}
}
