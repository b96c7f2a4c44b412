package executor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

// TestProblemLimits shows that a query whose every record fails in a way of its
// own takes bounded memory and writes a bounded log.
func TestProblemLimits(t *testing.T) {
	entries := 0
	cfg := &Config{Clock: clock.System, ProcessingLog: kafka.TopicPartition{Topic: "log"},
		AppendLog: func(_ context.Context, tp kafka.TopicPartition, batches []byte, records int) error {
			if tp.Topic != "log" || len(batches) == 0 {
				t.Errorf("appended %d bytes to %s", len(batches), tp)
			}
			entries += records
			return nil
		}}
	p := newProblems(cfg, "q")
	const all = MaxTransientEntries + 500
	fresh := 0
	for i := range all {
		if p.add(op.Entry{Topic: "t", Cause: fmt.Errorf("%d%s", i, strings.Repeat("é", MaxProblemBytes))}) {
			fresh++
		}
		if i%100 == 0 {
			p.flush()
		}
	}
	p.flush()
	p.flush() // nothing is left
	if entries != MaxTransientEntries {
		t.Errorf("%d entries in the log, expected %d", entries, MaxTransientEntries)
	}
	list, sum := p.List(), int64(0)
	for _, x := range list {
		sum += x.Records
		if len(x.Cause) > MaxProblemBytes+len("...") {
			t.Errorf("a cause of %d bytes", len(x.Cause))
		}
	}
	if len(list) != MaxProblems+1 || fresh != len(list) || sum != all || list[MaxProblems].String() != fmt.Sprintf("%d records: %s", all-MaxProblems, otherProblems) {
		t.Errorf("%d problems, %d fresh, %d records, the last one is %s", len(list), fresh, sum, list[len(list)-1])
	}
}

// TestProblemsOverTheLog shows that a query over the processing log makes no
// entries, of which it would make more, and that a log that fails fails no query.
func TestProblemsOverTheLog(t *testing.T) {
	appends := 0
	cfg := &Config{Clock: clock.System, ProcessingLog: kafka.TopicPartition{Topic: "log"},
		AppendLog: func(context.Context, kafka.TopicPartition, []byte, int) error { appends++; return errors.New("full") }}
	p := newProblems(cfg, "q")
	p.add(op.Entry{Topic: "log", Cause: errors.New("bad"), Effect: "row left out"})
	p.flush()
	if appends != 0 {
		t.Error("an entry about the log was written to the log")
	}
	p.add(op.Entry{Topic: "t", Cause: errors.New("bad"), Effect: "row left out"})
	p.flush()
	if list := p.List(); appends != 1 || len(list) != 1 || list[0].String() != "2 records: bad; row left out" {
		t.Errorf("%d appends, problems %v", appends, list)
	}
}
