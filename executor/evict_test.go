package executor

import (
	"context"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
	"github.com/millrace/millrace/planner/plan"
)

// TestLittleStateMemory counts many keys over 4 partitions with far less memory
// than they take, under faults, replaced executors and pull queries: the table is
// exact, and what a pull sees is never more than was fed.
func TestLittleStateMemory(t *testing.T) {
	disk, err := state.OpenBackend(vfs.NewMem(), "state")
	if err != nil {
		t.Fatal(err)
	}
	log := new(MemLog)
	var n atomic.Int64
	log.Fault = func(string, CommitRequest) Fault {
		return []Fault{NoFault, FaultAbort, NoFault, FaultLost, FaultUnsure}[n.Add(1)%5]
	}
	src := sourceNode("s", false, false)
	agg := sumCount(src, 0, nil)
	const keys, rounds = 3000, 3
	for round := range rounds {
		e, err := New(Config{Log: log, Partitions: partitions4, Workers: 2, State: disk, StateMemory: 20 << 10})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.Start(testQuery(src, agg), StartOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
		pull := func(wait bool) (rows, sum int64) {
			p := &plan.Pull{QueryID: "Q", Store: "Aggregate", Input: agg.Schema, Limit: -1, Columns: []*plan.Expr{column(agg.Schema, 2)}}
			err := e.Pull(context.Background(), p, PullOptions{WaitInputs: wait}, func(r Row) error {
				rows, sum = rows+1, sum+r.Values[0].Int()
				return nil
			})
			if err != nil && wait {
				t.Error(err)
			}
			return rows, sum
		}
		done := make(chan struct{})
		var pulls sync.WaitGroup
		pulls.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
					if rows, sum := pull(false); rows > keys || sum > int64(keys*(round+1)) {
						t.Errorf("a pull sees %d rows that count %d", rows, sum)
					}
				}
			}
		})
		for from := 0; from < keys; from += 100 {
			var w [4]kafka.BatchBuilder
			for k := from; k < from+100; k++ {
				key := fmt.Appendf(nil, "key %d", k)
				w[kafka.Partition(key, 4)].Append(kafka.Timestamp(k), key, []byte(`{"A":1}`), nil)
			}
			for p := range w {
				w[p].Finish()
				if _, err := log.Append(kafka.TopicPartition{Topic: "s", Partition: int32(p)}, w[p].Bytes()); err != nil {
					t.Fatal(err)
				}
			}
			if from%1000 == 0 {
				waitConsumed(t, e, "Q")
			}
		}
		rows, sum := pull(true)
		close(done)
		pulls.Wait()
		if rows != keys || sum != int64(keys*(round+1)) {
			t.Fatalf("round %d: %d rows count %d", round, rows, sum)
		}
		q, err := e.query("Q")
		if err != nil {
			t.Fatal(err)
		}
		if q.tasks[0].stores[0].Complete() {
			t.Fatal("nothing was evicted")
		}
		if err := e.Close(); err != nil {
			t.Fatal(err)
		}
		if used := e.cfg.budget.Used(); used != 0 {
			t.Fatalf("a closed executor accounts for %d bytes", used)
		}
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestWindowsOnDiskExpire runs windows whose segments are all on disk past their
// retention: nothing of them is left there.
func TestWindowsOnDiskExpire(t *testing.T) {
	disk, err := state.OpenBackend(vfs.NewMem(), "state")
	if err != nil {
		t.Fatal(err)
	}
	src := sourceNode("s", false, false)
	d, err := NewDriver(testQuery(src, sumCount(src, 0, tumbling(10, 20))), DriverConfig{State: disk, StateMemory: 1})
	if err != nil {
		t.Fatal(err)
	}
	for i := range int64(200) {
		if err := d.Push(rec(t, i, fmt.Sprintf(`s k%d {"A":1}`, i%7))); err != nil {
			t.Fatal(err)
		}
	}
	s := d.q.tasks[0].stores[0]
	windows := map[int64]int{}
	if err := s.Scan(math.MinInt64, math.MaxInt64, func(id int64, _, _ []byte) bool { windows[id]++; return true }); err != nil {
		t.Fatal(err)
	}
	if len(windows) != 3 || windows[170] != 7 || windows[190] != 7 {
		t.Fatalf("windows are %v", windows)
	}
	left := 0
	m, err := disk.Mirror(driverGroup + "/" + s.changelog.String())
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Load(math.MaxInt, func(_, _ []byte) error { left++; return nil }); err == nil || left != 3*7+1 {
		t.Fatalf("%d records are on disk, %v", left, err)
	}
	if err := disk.Close(); err != nil {
		t.Fatal(err)
	}
}
