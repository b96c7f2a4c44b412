package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// clientModel is what clients were told.
type clientModel struct {
	mu        sync.Mutex
	acked     []string     // plain records, in order
	committed []string     // values of committed transactions, each in x-0 and y-0
	trying    string       // the transaction whose commit is in doubt
	offset    kafka.Offset // of group "tg" on p-0
}

func (m *clientModel) clone() *clientModel {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &clientModel{acked: slices.Clone(m.acked), committed: slices.Clone(m.committed), trying: m.trying, offset: m.offset}
}

// clientLoad produces with acks=all, and in transactions over two topics with
// group offsets, every third of which is aborted.
func clientLoad(ctx context.Context, addr string, m *clientModel, rounds int, more ...kgo.Opt) error {
	opts := append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation()}, more...)
	plain, err := kgo.NewClient(opts...)
	if err != nil {
		return err
	}
	defer plain.Close()
	s, err := kgo.NewGroupTransactSession(append(opts, kgo.TransactionalID("t"), kgo.ConsumerGroup("tg"), kgo.ConsumeTopics("p"),
		kgo.FetchMaxWait(50*time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableAutoCommit())...)
	if err != nil {
		return err
	}
	defer s.Close()
	for i := range rounds {
		v := fmt.Sprintf("%d-%050d", i, i)
		if err := plain.ProduceSync(ctx, &kgo.Record{Topic: "p", Value: []byte(v)}).FirstErr(); err != nil {
			return err
		}
		m.mu.Lock()
		m.acked = append(m.acked, v)
		m.mu.Unlock()
		next := kafka.Offset(-1)
		for next < kafka.Offset(i+1) { // after an abort the same records come again
			fs := s.PollFetches(ctx)
			if err := fs.Err0(); err != nil {
				return err
			}
			fs.EachRecord(func(r *kgo.Record) { next = kafka.Offset(r.Offset) + 1 })
		}
		commit := i%3 != 2
		if !commit {
			v = "aborted-" + v
		}
		m.mu.Lock()
		m.trying = v
		m.mu.Unlock()
		if err := s.Begin(); err != nil {
			return err
		}
		recs := []*kgo.Record{{Topic: "x", Value: []byte(v)}, {Topic: "y", Value: []byte(v)}}
		if err := s.ProduceSync(ctx, recs...).FirstErr(); err != nil {
			return err
		}
		ok, err := s.End(ctx, kgo.TransactionEndTry(commit))
		if err != nil || ok != commit {
			return fmt.Errorf("end of transaction: committed %v, %v", ok, err)
		}
		m.mu.Lock()
		if commit {
			m.committed = append(m.committed, v)
			m.offset = next
		}
		m.trying = ""
		m.mu.Unlock()
	}
	return nil
}

// check verifies a recovered broker: nothing acknowledged is lost, transactions
// are whole, and nothing aborted or unfinished is seen.
func (m *clientModel) check(b *Broker) error {
	read := func(topic string) ([]string, error) {
		if _, ok := b.Topic(topic); !ok {
			return nil, nil
		}
		r, err := b.OpenReader(kafka.TopicPartition{Topic: topic}, 0, nil)
		if err != nil {
			return nil, err
		}
		defer r.Close()
		var values []string
		for {
			chunk, err := r.Poll(1 << 20)
			if err != nil {
				return nil, err
			}
			for rest := chunk.Batches; len(rest) > 0; {
				var batch kafka.Batch
				if batch, rest, err = kafka.NextBatch(rest); err != nil {
					return nil, err
				}
				for recs := batch.Records(batch.Payload()); recs.Next(); {
					values = append(values, string(recs.Record().Value))
				}
			}
			if chunk.AtEnd {
				return values, nil
			}
		}
	}
	p, err := read("p")
	if err != nil {
		return err
	}
	if len(p) < len(m.acked) || len(p) > len(m.acked)+2 || !slices.Equal(p[:len(m.acked)], m.acked) {
		return fmt.Errorf("p has %d records, %d were acknowledged", len(p), len(m.acked))
	}
	x, err := read("x")
	if err != nil {
		return err
	}
	y, err := read("y")
	if err != nil {
		return err
	}
	if !slices.Equal(x, y) {
		return fmt.Errorf("a torn transaction: x has %q, y has %q", x, y)
	}
	if len(x) < len(m.committed) || !slices.Equal(x[:len(m.committed)], m.committed) {
		return fmt.Errorf("x has %q, committed was %q", x, m.committed)
	}
	if len(x) > len(m.committed)+2 {
		return fmt.Errorf("x has %d records, %d were committed", len(x), len(m.committed))
	}
	for _, v := range x {
		if v[0] == 'a' {
			return fmt.Errorf("aborted data is read: %s", v)
		}
	}
	c, ok, _ := b.offsets.get("tg", kafka.TopicPartition{Topic: "p"})
	if m.offset > 0 && (!ok || c.next < m.offset) {
		return fmt.Errorf("group offset is %d, committed was %d", c.next, m.offset)
	}
	if n := committedBefore(x); ok && int(c.next) != n {
		return fmt.Errorf("group offset is %d with %d records copied: they are not one transaction", c.next, n)
	}
	return nil
}

// committedBefore returns the group offset that belongs to the last committed
// transaction: its round + 1.
func committedBefore(x []string) int {
	if len(x) == 0 {
		return 0
	}
	var round int
	if _, err := fmt.Sscanf(x[len(x)-1], "%d-", &round); err != nil {
		return -1
	}
	return round + 1
}

// TestCrashUnderClients crashes at every write of a load by real clients.
func TestCrashUnderClients(t *testing.T) {
	rounds, every := 24, 1
	if testing.Short() {
		every = 7
	}
	type crash struct {
		op, keep int
		fs       *vfs.MemFS
		model    *clientModel
	}
	var mu sync.Mutex
	var crashes []crash
	mem, m, ops := vfs.NewCrashable(), &clientModel{}, 0
	fs := vfs.WithHook(mem, func(op vfs.Op) error {
		if !vfs.IsWrite(op) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops%every == 0 {
			rng := rand.New(rand.NewPCG(3, uint64(ops)))
			for _, keep := range []int{0, 100, 50} {
				before := m.clone()
				crashes = append(crashes, crash{ops, keep, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}), before})
			}
		}
		return nil
	})
	b := mustOpen(t, fs, smallLimits())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go b.Serve(l)
	if err := clientLoad(testCtx(t), l.Addr().String(), m, rounds); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	mu.Lock()
	defer mu.Unlock()
	for _, c := range crashes {
		rb, err := openTest(t, c.fs, smallLimits())
		if err == nil {
			err = c.model.check(rb)
			// What was open at the crash is aborted in time, and nobody waits for it.
			rb.expireTransactions(rb.cfg.Clock.Now().Add(time.Hour))
			if err == nil {
				err = rb.settled()
			}
			if cerr := rb.Close(context.Background()); err == nil {
				err = cerr
			}
		}
		if err != nil {
			t.Fatalf("crash before operation %d, keeping %d%%: %v", c.op, c.keep, err)
		}
	}
	t.Logf("%d crash points", len(crashes))
}

// settled verifies that no transaction is open.
func (b *Broker) settled() error {
	done := make(chan error, 1)
	b.wal.Barrier(func(_ uint64, err error) { done <- err })
	if err := <-done; err != nil {
		return err
	}
	for _, info := range b.Topics() {
		p := b.topics.partition(kafka.TopicPartition{Topic: info.Name})
		if bounds := p.Bounds(); bounds.LastStable != bounds.HighWatermark {
			return fmt.Errorf("%s: last stable offset %d, high watermark %d", info.Name, bounds.LastStable, bounds.HighWatermark)
		}
		if _, _, unstable := b.offsets.get("tg", kafka.TopicPartition{Topic: info.Name}); unstable {
			return fmt.Errorf("an offset of %s is unstable for ever", info.Name)
		}
	}
	return nil
}

// TestTransactionTimeout: a silent producer's transaction is aborted and fenced.
func TestTransactionTimeout(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := txnClient(t, addr, "slow", kgo.TransactionTimeout(10*time.Second))
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, ctx, cl, "x", "v")
	b.expireTransactions(b.cfg.Clock.Now())
	if b.settled() == nil {
		t.Fatal("aborted before its time")
	}
	b.expireTransactions(b.cfg.Clock.Now().Add(11 * time.Second))
	if err := b.settled(); err != nil {
		t.Fatal(err)
	}
	if err := cl.EndTransaction(ctx, kgo.TryCommit); err == nil {
		t.Fatal("a transaction that was aborted commits")
	}
	if got := readValues(t, b, "x"); len(got) != 0 {
		t.Fatalf("aborted data is read: %q", got)
	}
}

// TestAdmin drives the admin APIs.
func TestAdmin(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := client(t, addr)
	adm := kadm.NewClient(cl)
	retention := "3600000"
	if r, err := adm.CreateTopic(ctx, 2, 3, map[string]*string{"retention.ms": &retention}, "adm"); err != nil || r.NumPartitions != 2 {
		t.Fatal(r, err)
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "adm"); err == nil {
		t.Fatal("created twice")
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, map[string]*string{"no.such": &retention}, "bad"); err == nil {
		t.Fatal("unknown configuration accepted")
	}
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "no spaces"); err == nil {
		t.Fatal("invalid name accepted")
	}
	if r, err := adm.CreatePartitions(ctx, 1, "adm"); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	if info, _ := b.Topic("adm"); info.Partitions != 3 {
		t.Fatalf("%d partitions", info.Partitions)
	}
	compact := "compact"
	if _, err := adm.AlterTopicConfigs(ctx, []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "cleanup.policy", Value: &compact}}, "adm"); err != nil {
		t.Fatal(err)
	}
	rc, err := adm.DescribeTopicConfigs(ctx, "adm")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{}
	for _, c := range rc[0].Configs {
		values[c.Key] = c.MaybeValue()
	}
	if values["cleanup.policy"] != "compact" || values["retention.ms"] != "3600000" || len(values) != len(topicConfigs) {
		t.Fatalf("configs %v", values)
	}
	// A compacted topic needs keys.
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "adm", Value: []byte("v")}).FirstErr(); err == nil {
		t.Fatal("a record without key in a compacted topic")
	}
	produce(t, ctx, cl, "recs", numbered("v", 10)...)
	dr, err := adm.DeleteRecords(ctx, kadm.Offsets{"recs": {0: {Topic: "recs", Partition: 0, At: 4}}})
	if err != nil || dr.Error() != nil {
		t.Fatal(err, dr.Error())
	}
	so, err := adm.ListStartOffsets(ctx, "recs")
	if o, _ := so.Lookup("recs", 0); err != nil || o.Offset != 4 {
		t.Fatalf("start offset %d, %v", o.Offset, err)
	}
	if _, err := readAll(b, kafka.TopicPartition{Topic: "recs"}, 0); err == nil {
		t.Fatal("deleted records are read")
	}
	before, _ := b.Topic("recs")
	if r, err := adm.DeleteTopics(ctx, "recs"); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	if r, err := adm.CreateTopic(ctx, 1, 1, nil, "recs"); err != nil || TopicID(r.ID) == before.ID {
		t.Fatal("a topic that was created again has its old id", err)
	}
	// What belongs to the engine refuses changes from outside.
	b.Protect([]string{"_millrace"}, []string{"_millrace"})
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "_millrace-cmd", Internal: true}}}); err != nil {
		t.Fatal(err)
	}
	if err := cl.ProduceSync(ctx, &kgo.Record{Topic: "_millrace-cmd", Value: []byte("v")}).FirstErr(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Fatalf("produce to an internal topic: %v", err)
	}
	if r, err := adm.DeleteTopics(ctx, "_millrace-cmd"); err != nil || r.Error() == nil {
		t.Fatal("an internal topic was deleted")
	}
	var offsets kadm.Offsets
	offsets.AddOffset("adm", 0, 1, -1)
	if r, err := adm.CommitOffsets(ctx, "_millrace-q1", offsets); err == nil && r.Error() == nil {
		t.Fatal("offsets of an engine's group were changed")
	}
}
