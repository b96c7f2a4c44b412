package chaos

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	rounds = flag.Int("chaos.rounds", 6, "how often the server is killed")
	seed   = flag.Uint64("chaos.seed", 1, "seed of when it is killed")
)

const (
	// roundTimeout bounds a failure; a round takes about a second.
	roundTimeout = time.Minute
	// killAfterMax is the largest number of acknowledgements between two kills.
	killAfterMax = 4000
	groups       = 20
	filterEvery  = 3
)

const statements = `
CREATE STREAM src (id STRING KEY, grp STRING, n BIGINT) WITH (kafka_topic='src', value_format='JSON', partitions=3);
SET 'auto.offset.reset'='earliest';
CREATE STREAM thirds AS SELECT id, n FROM src WHERE n % 3 = 0 EMIT CHANGES;
CREATE TABLE counts AS SELECT grp, COUNT(*) AS c, SUM(n) AS s FROM src GROUP BY grp EMIT CHANGES;`

// load writes numbered records and remembers what became of them.
type load struct {
	client *kgo.Client
	cancel context.CancelFunc
	done   chan struct{}
	next   atomic.Int64

	acks chan struct{} // one for every acknowledgement; never blocks the client

	mu    sync.Mutex // guards what follows
	acked map[int64]bool
	fails map[int64]error // neither acknowledged nor known to be lost
}

func startLoad(t *testing.T, addr string) *load {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.RequiredAcks(kgo.AllISRAcks()), kgo.DefaultProduceTopic("src"),
		kgo.MaxBufferedRecords(500), kgo.ProducerLinger(time.Millisecond), kgo.RecordDeliveryTimeout(0))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{client: client, cancel: cancel, done: make(chan struct{}), acks: make(chan struct{}, 1), acked: map[int64]bool{}, fails: map[int64]error{}}
	go l.run(ctx) // ends with stop
	return l
}

func (l *load) run(ctx context.Context) {
	defer close(l.done)
	for ctx.Err() == nil {
		n := l.next.Add(1) - 1
		r := &kgo.Record{Key: []byte(strconv.FormatInt(n, 10)), Value: fmt.Appendf(nil, `{"GRP":"g%d","N":%d}`, n%groups, n)}
		l.client.Produce(context.Background(), r, func(_ *kgo.Record, err error) {
			l.mu.Lock()
			if err == nil {
				l.acked[n] = true
			} else {
				l.fails[n] = err
			}
			l.mu.Unlock()
			select {
			case l.acks <- struct{}{}:
			default:
			}
		})
	}
}

func (l *load) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// waitFor returns when n records more than now are acknowledged.
func (l *load) waitFor(ctx context.Context, n int) error {
	until := l.count() + n
	for l.count() < until {
		select {
		case <-l.acks:
		case <-ctx.Done():
			return fmt.Errorf("%d of %d acknowledgements: %w", l.count(), until, ctx.Err())
		}
	}
	return nil
}

func (l *load) stop(ctx context.Context) error {
	l.cancel()
	<-l.done
	err := l.client.Flush(ctx)
	l.client.Close()
	return err
}

// TestKill kills the server in the middle of a load, again and again.
func TestKill(t *testing.T) {
	n := *rounds
	if testing.Short() {
		n = min(n, 2)
	}
	t.Logf("replay: go test ./internal/chaos -chaos.seed=%d -chaos.rounds=%d", *seed, n)
	rng := rand.New(rand.NewPCG(*seed, 0))
	p := newProcess(t)
	p.start(t)
	p.statements(t, statements)
	l := startLoad(t, p.kafka)
	for round := range n {
		ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
		if err := l.waitFor(ctx, 1+rng.IntN(killAfterMax)); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, p.log())
		}
		cancel()
		p.kill(t)
		p.start(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	if err := l.stop(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	check(t, ctx, p, l)
	p.stop(t)
}

// TestKillOverCluster kills a server that runs over the broker of another one, and
// that one too.
func TestKillOverCluster(t *testing.T) {
	n := *rounds
	if testing.Short() {
		n = min(n, 2)
	}
	t.Logf("replay: go test ./internal/chaos -chaos.seed=%d -chaos.rounds=%d", *seed, n)
	rng := rand.New(rand.NewPCG(*seed, 1))
	cluster := newProcess(t)
	cluster.start(t)
	p := cluster.over(t)
	p.start(t)
	p.statements(t, statements)
	l := startLoad(t, p.kafka)
	for round := range n {
		ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
		if err := l.waitFor(ctx, 1+rng.IntN(killAfterMax)); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, p.log())
		}
		cancel()
		victim := p
		if rng.IntN(2) == 0 {
			victim = cluster
		}
		victim.kill(t)
		victim.start(t)
	}
	ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
	defer cancel()
	if err := l.stop(ctx); err != nil {
		t.Fatalf("flush: %v", err)
	}
	check(t, ctx, p, l)
	p.stop(t)
	cluster.stop(t)
}

// check compares the topics, as a client sees them from outside, with what the
// load was told.
func check(t *testing.T, ctx context.Context, p *process, l *load) {
	t.Helper()
	for n, err := range l.fails {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("record %d failed although it may be retried for ever: %v", n, err)
		}
	}
	// The rows of the pull query are there when everything was processed.
	got := p.pull(t, `SELECT grp, c, s FROM counts;`)
	written := map[int64]bool{}
	for _, r := range readTopic(t, ctx, p.kafka, "src") {
		n := number(t, string(r.Key))
		if written[n] {
			t.Errorf("record %d is in the topic twice", n)
		}
		written[n] = true
	}
	for n := range l.acked {
		if !written[n] {
			t.Errorf("acknowledged record %d is lost", n)
		}
	}
	t.Logf("%d records acknowledged, %d in the topic", len(l.acked), len(written))
	checkThirds(t, ctx, p, written)
	checkCounts(t, ctx, p, written, got)
}

func checkThirds(t *testing.T, ctx context.Context, p *process, written map[int64]bool) {
	t.Helper()
	seen := map[int64]bool{}
	p.pull(t, `SELECT id FROM thirds LIMIT 1;`)
	for _, r := range readTopic(t, ctx, p.kafka, "THIRDS") {
		n := number(t, string(r.Key))
		if seen[n] {
			t.Errorf("THIRDS holds %d twice", n)
		}
		if seen[n] = true; n%filterEvery != 0 || !written[n] {
			t.Errorf("THIRDS holds %d, which does not belong there", n)
		}
	}
	for n := range written {
		if n%filterEvery == 0 && !seen[n] {
			t.Errorf("THIRDS lacks %d", n)
		}
	}
}

type total struct{ C, S int64 }

// checkCounts compares the aggregate's updates, its last values and the answer of
// a pull query with a model.
func checkCounts(t *testing.T, ctx context.Context, p *process, written map[int64]bool, pulled []json.RawMessage) {
	t.Helper()
	model := map[string]total{}
	for n := range written {
		g := fmt.Sprintf("g%d", n%groups)
		model[g] = total{model[g].C + 1, model[g].S + n}
	}
	last := map[string]total{}
	for _, r := range readTopic(t, ctx, p.kafka, "COUNTS") {
		var v total
		if err := json.Unmarshal(r.Value, &v); err != nil {
			t.Fatal(err)
		}
		g := string(r.Key)
		if v.C != last[g].C+1 {
			t.Errorf("COUNTS of %s goes from %d to %d", g, last[g].C, v.C)
		}
		last[g] = v
	}
	for g, m := range model {
		if last[g] != m {
			t.Errorf("the last update of %s is %+v, want %+v", g, last[g], m)
		}
	}
	for _, line := range pulled {
		var group string
		var v total
		if err := json.Unmarshal(line, &[]any{&group, &v.C, &v.S}); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if v != model[group] {
			t.Errorf("the pull query says %+v of %s, want %+v", v, group, model[group])
		}
	}
	if rows := len(pulled); rows != len(model) {
		t.Errorf("the pull query has %d rows, want %d", rows, len(model))
	}
}

func number(t *testing.T, s string) int64 {
	t.Helper()
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
