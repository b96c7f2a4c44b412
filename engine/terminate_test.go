package engine

import (
	"errors"
	"strings"
	"testing"

	"github.com/millrace/millrace/sql"
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
	duringPush(t, w, `
		CREATE STREAM n (a INT) WITH (kafka_topic='n', value_format='JSON', partitions=1);
		CREATE STREAM c AS SELECT * FROM n;
		SELECT a FROM n EMIT CHANGES;`, func(rows *Rows) {
		for _, first := range []string{"Query terminated. ALL are the persistent queries", "No queries to act on. ALL are the persistent queries"} {
			if got := terminate(); !strings.HasPrefix(got, first) || !strings.Contains(got, "TERMINATE "+rows.QueryID+" ends it") {
				t.Errorf("%q, expected %q and the id %s", got, first, rows.QueryID)
			}
		}
		if len(w.engine.pushes.snapshot()) != 1 {
			t.Error("the push query ended")
		}
	})
}

// duringPush executes statements, the last of which is a push query, and calls f
// while it runs.
func duringPush(t *testing.T, w *world, statements string, f func(*Rows)) {
	t.Helper()
	stop := errors.New("stop")
	err := w.session.Execute(t.Context(), statements, func(r Result) error {
		rows, ok := r.(*Rows)
		if !ok {
			return nil
		}
		defer rows.Close()
		f(rows)
		return stop
	})
	if !errors.Is(err, stop) {
		t.Error(err)
	}
}

// TestTakesIsWhatIsAccepted compares what Takes says of queries with what the
// statements do to them.
func TestTakesIsWhatIsAccepted(t *testing.T) {
	w := startEmbedded(t)
	duringPush(t, w, `
		CREATE STREAM n (a INT) WITH (kafka_topic='n', value_format='JSON', partitions=1);
		CREATE SOURCE TABLE k (id INT PRIMARY KEY, a INT) WITH (kafka_topic='n', value_format='JSON');
		CREATE STREAM c AS SELECT * FROM n;
		CREATE STREAM d AS SELECT * FROM n;
		SELECT a FROM n EMIT CHANGES;`, func(*Rows) {
		// takes is which statements the queries take: T, P and R, by what their ids
		// begin with.
		for i, step := range []struct{ statement, takes string }{
			{"", "CST:,CSAS_C:TP,CSAS_D:TP,transient:T"},
			{"PAUSE " + w.engine.Catalog().WrittenBy("C")[0], "CST:,CSAS_C:TR,CSAS_D:TP,transient:T"},
			{"RESUME ALL", "CST:,CSAS_C:TP,CSAS_D:TP,transient:T"},
		} {
			if step.statement != "" {
				if err := w.engine.NewSession().Execute(t.Context(), step.statement+";", func(Result) error { return nil }); err != nil {
					t.Errorf("%s: %v", step.statement, err)
				}
			}
			var got []string
			for _, q := range w.engine.Queries() {
				got = append(got, takenBy(t, w, q, i == 0))
			}
			if text := strings.Join(got, ","); text != step.takes {
				t.Errorf("after %q: %s, expected %s", step.statement, text, step.takes)
			}
		}
	})
}

// takenBy renders which statements a query takes and, where refuse is set, checks
// that those which it takes in no state are refused.
func takenBy(t *testing.T, w *world, q QueryInfo, refuse bool) string {
	t.Helper()
	prefix, _, _ := strings.Cut(q.ID, "_")
	if prefix == "CSAS" {
		prefix = "CSAS_" + q.SinkName
	}
	taken := prefix + ":"
	for _, verb := range []struct {
		word   string
		action sql.ControlAction
	}{{"TERMINATE", sql.Terminate}, {"PAUSE", sql.Pause}, {"RESUME", sql.Resume}} {
		if q.Takes(verb.action) {
			taken += verb.word[:1]
		} else if refuse && prefix != "CSAS_C" && prefix != "CSAS_D" {
			if err := w.engine.NewSession().Execute(t.Context(), verb.word+" "+q.ID+";", func(Result) error { return nil }); err == nil {
				t.Errorf("%s %s is accepted", verb.word, q.ID)
			}
		}
	}
	return taken
}
