package executor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
)

// slowLog is a log over a network whose answers to OpenTxn come when they are let.
type slowLog struct {
	*MemLog
	mu     sync.Mutex
	gates  map[string]chan error // by the unit's name; an error is the answer
	asked  chan string           // who asked, of those with a gate
	closed int                   // transactions that were closed
	opened int
}

type countedTxn struct {
	Txn
	log *slowLog
}

func (t countedTxn) Close() {
	t.log.mu.Lock()
	defer t.log.mu.Unlock()
	t.log.closed++
	t.Txn.Close()
}

func (l *slowLog) OpenTxn(ctx context.Context, id string) (Txn, error) {
	l.mu.Lock()
	gate := l.gates[id]
	l.mu.Unlock()
	if gate != nil {
		l.asked <- id
		if err := <-gate; err != nil {
			return nil, err
		}
	}
	txn, err := l.MemLog.OpenTxn(ctx, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.opened++
	return countedTxn{txn, l}, err
}

func newSlowLog(units ...string) *slowLog {
	l := &slowLog{MemLog: new(MemLog), gates: map[string]chan error{}, asked: make(chan string, 100)}
	for _, u := range units {
		l.gates[u] = make(chan error)
	}
	return l
}

// TestInquiriesKeepNoWorker runs a query on the one worker while all tasks of
// another wait for the log, then lets them go on.
func TestInquiriesKeepNoWorker(t *testing.T) {
	var units []string
	src := sourceNode("s", false, false)
	slow, fast := testQuery(src), testQuery(src)
	slow.ID, fast.ID = "SLOW", "FAST"
	for p := range 4 {
		units = append(units, fmt.Sprintf("slow-%s-%d", slow.SubPlans[0].ID, p))
	}
	log := newSlowLog(units...)
	e, err := New(Config{Log: log, Partitions: partitions4, Workers: 1, LogWaits: true})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(slow, StartOptions{Group: "slow"}); err != nil {
		t.Fatal(err)
	}
	for range units {
		<-log.asked
	}
	if err := e.Start(fast, StartOptions{Group: "fast"}); err != nil {
		t.Fatal(err)
	}
	feed(t, log.MemLog, 0, 100)
	waitConsumed(t, e, "FAST")
	if s, err := e.Status("SLOW"); err != nil || s.RowsIn != 0 {
		t.Fatalf("the query that waits has %+v, %v", s, err)
	}
	for _, u := range units {
		log.gates[u] <- nil
	}
	waitConsumed(t, e, "SLOW")
}

// TestStopWaitsForTheAnswer ends a query whose task waits for the log: it does not
// end before the answer came, whose transaction is closed.
func TestStopWaitsForTheAnswer(t *testing.T) {
	for _, answer := range []error{nil, errors.New("no coordinator")} {
		q := testQuery(sourceNode("s", false, false))
		unit := fmt.Sprintf("g-%s-0", q.SubPlans[0].ID)
		log := newSlowLog(unit)
		one := func(string) (int32, error) { return 1, nil }
		e, err := New(Config{Log: log, Partitions: one, Workers: 1, LogWaits: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		<-log.asked
		stopped := make(chan error, 1)
		go func() { stopped <- e.Close() }()
		qq, err := e.query("Q")
		if err != nil {
			t.Fatal(err)
		}
		for !qq.halting() { // the mode is set before anything is waited for
			select {
			case err := <-stopped:
				t.Fatalf("closed before the answer: %v", err)
			default:
			}
		}
		log.gates[unit] <- answer
		if err := <-stopped; err != nil {
			t.Fatal(err)
		}
		want := 0
		if answer == nil {
			want = 1
		}
		log.mu.Lock()
		if log.opened != want || log.closed != want {
			t.Errorf("answer %v: %d transactions opened, %d closed", answer, log.opened, log.closed)
		}
		log.mu.Unlock()
	}
}

// TestInquiryFails restarts a query after an answer that is an error.
func TestInquiryFails(t *testing.T) {
	q := testQuery(sourceNode("s", false, false))
	unit := fmt.Sprintf("g-%s-0", q.SubPlans[0].ID)
	log := newSlowLog(unit)
	failed := make(chan Status, 100)
	e, err := New(Config{Log: log, Partitions: partitions4, Workers: 1, LogWaits: true, RestartBackoff: 1, RestartMax: 1, OnStatus: func(s Status) {
		if s.State == Failed {
			failed <- s
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	if err := e.Start(q, StartOptions{Group: "g"}); err != nil {
		t.Fatal(err)
	}
	feed(t, log.MemLog, 0, 100)
	<-log.asked
	log.gates[unit] <- errors.New("no coordinator")
	if s := <-failed; s.Fatal || s.Reason != "open transaction "+unit+": no coordinator" {
		t.Errorf("status %+v", s)
	}
	<-log.asked
	log.gates[unit] <- nil
	for {
		s, err := e.Status("Q")
		if err != nil {
			t.Fatal(err)
		}
		if s.State == Running {
			break
		}
	}
	waitConsumed(t, e, "Q")
	if n := len(outputs(t, log.MemLog, "out")); n != 100 {
		t.Errorf("%d records came out, want 100", n)
	}
}
