package executor

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// laggingLog lets every second reader of a topic-partition see nothing while
// hold is set.
type laggingLog struct {
	*MemLog
	hold atomic.Bool
	seen map[kafka.TopicPartition]int
}

func (l *laggingLog) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (Reader, error) {
	r, err := l.MemLog.OpenReader(tp, from, wake)
	if l.seen[tp]++; err != nil || l.seen[tp]%2 == 1 {
		return r, err
	}
	return laggingReader{r, l, from}, nil
}

type laggingReader struct {
	Reader
	log  *laggingLog
	from kafka.Offset
}

func (r laggingReader) Poll(maxBytes int) (Chunk, error) {
	if r.log.hold.Load() {
		return Chunk{Next: r.from, AtEnd: true}, nil
	}
	return r.Reader.Poll(maxBytes)
}

// Two sources over one topic stand at different offsets when the query stops; both
// go on where they were, and no record is lost or read twice.
func TestReadersOfOneTopicHaveTheirOwnOffsets(t *testing.T) {
	topic := kafka.TopicPartition{Topic: "L"}
	q := testQuery(vSource("L", false), plan.Node{ID: "Source-again", Schema: vSchema, Op: vSource("L", false).Op},
		plan.Node{ID: "Join", Inputs: []int{0, 1}, Schema: lrSchema, Op: &plan.StreamStreamJoin{
			Join: plan.Inner, BeforeMs: 10, AfterMs: 10, GraceMs: 1000, LeftStore: store("l"), RightStore: store("r")}})
	if g := q.ReaderGroups("g"); len(g) != 2 || g[0] != "g" || g[1] != "g-reader-2" {
		t.Fatalf("groups %v", g)
	}
	log := &laggingLog{MemLog: new(MemLog), seen: map[kafka.TopicPartition]int{}}
	log.hold.Store(true)
	run := func(until func(e *Executor)) {
		e, err := New(Config{Log: log, Partitions: func(string) (int32, error) { return 1, nil }})
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		until(e)
	}
	var w kafka.BatchBuilder
	for _, key := range []string{"a", "b", "c"} {
		w.Append(1, []byte(key), []byte(`{"V":"`+key+`"}`), nil)
	}
	w.Finish()
	if _, err := log.Append(topic, w.Bytes()); err != nil {
		t.Fatal(err)
	}
	run(func(*Executor) {
		for {
			own, err := log.Committed(context.Background(), "g", []kafka.TopicPartition{topic})
			other, err2 := log.Committed(context.Background(), "g-reader-2", []kafka.TopicPartition{topic})
			if err != nil || err2 != nil {
				t.Fatal(err, err2)
			}
			if max(own[0], other[0]) == 3 {
				return
			}
			runtime.Gosched()
		}
	})
	log.hold.Store(false)
	run(func(e *Executor) { waitConsumed(t, e, "Q") })
	got := outputs(t, log.MemLog, "out")
	for _, key := range []string{"a", "b", "c"} {
		if n := got[key+` {"L":"`+key+`","R":"`+key+`"}`]; n != 1 {
			t.Errorf("key %s came out %d times, want once (all: %v)", key, n, got)
		}
	}
}
