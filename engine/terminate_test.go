package engine

import (
	"errors"
	"strings"
	"testing"
)

// TestTerminateAllSaysWhatGoesOn shows that TERMINATE ALL is for persistent
// queries, and that it says so where a push query runs.
func TestTerminateAllSaysWhatGoesOn(t *testing.T) {
	w := startEmbedded(t)
	terminate := func() string {
		msg := ""
		err := w.engine.NewSession().Execute(t.Context(), "TERMINATE ALL;", func(r Result) error { msg = r.(*Done).Msg; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return msg
	}
	if got := terminate(); got != "No queries to act on." {
		t.Error(got)
	}
	stop := errors.New("stop")
	err := w.session.Execute(t.Context(), `
		CREATE STREAM n (a INT) WITH (kafka_topic='n', value_format='JSON', partitions=1);
		CREATE STREAM c AS SELECT * FROM n;
		SELECT a FROM n EMIT CHANGES;`, func(r Result) error {
		rows, ok := r.(*Rows)
		if !ok {
			return nil
		}
		defer rows.Close()
		for _, first := range []string{"Query terminated. ALL are the persistent queries", "No queries to act on. ALL are the persistent queries"} {
			if got := terminate(); !strings.HasPrefix(got, first) || !strings.Contains(got, "TERMINATE "+rows.QueryID+" ends it") {
				t.Errorf("%q, expected %q and the id %s", got, first, rows.QueryID)
			}
		}
		if len(w.engine.pushes.snapshot()) != 1 {
			t.Error("the push query ended")
		}
		return stop
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}
