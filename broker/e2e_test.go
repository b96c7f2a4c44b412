package broker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// serveTest opens a broker in memory and serves it on a free port.
func serveTest(t *testing.T, limits Limits) (*Broker, string) {
	t.Helper()
	b := mustOpen(t, vfs.NewMem(), limits)
	return b, serveOn(t, b)
}

func serveOn(t *testing.T, b *Broker) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		b.Close(context.Background())
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

func client(t *testing.T, addr string, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(addr), kgo.AllowAutoTopicCreation(), kgo.FetchMaxWait(200 * time.Millisecond), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// testCtx bounds a test that would hang.
func testCtx(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func produce(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, values ...string) {
	t.Helper()
	for _, v := range values {
		if err := cl.ProduceSync(ctx, &kgo.Record{Topic: topic, Value: []byte(v)}).FirstErr(); err != nil {
			t.Fatalf("produce %s: %v", v, err)
		}
	}
}

// consume polls until n records have come.
func consume(t *testing.T, ctx context.Context, cl *kgo.Client, n int) []string {
	t.Helper()
	var values []string
	for len(values) < n {
		fs := cl.PollFetches(ctx)
		if err := fs.Err0(); err != nil {
			t.Fatalf("poll after %d of %d records: %v", len(values), n, err)
		}
		fs.EachError(func(topic string, p int32, err error) { t.Fatalf("fetch %s-%d: %v", topic, p, err) })
		fs.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

func numbered(prefix string, n int) []string {
	values := make([]string, n)
	for i := range values {
		values[i] = fmt.Sprintf("%s%d", prefix, i)
	}
	return values
}

func TestEveryCodec(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		t.Run(name, func(t *testing.T) {
			cl := client(t, addr, kgo.ProducerBatchCompression(codec), kgo.ConsumeTopics(name))
			want := numbered("value-value-value-value-value-", 500)
			var recs []*kgo.Record
			for _, v := range want {
				recs = append(recs, &kgo.Record{Topic: name, Value: []byte(v)})
			}
			if err := cl.ProduceSync(ctx, recs...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			if got := consume(t, ctx, cl, len(want)); !slices.Equal(got, want) {
				t.Fatalf("consumed %d records, not what was produced", len(got))
			}
			got, err := readAll(b, kafka.TopicPartition{Topic: name}, 0)
			if err != nil || !slices.Equal(got, want) {
				t.Fatalf("in process: %d records, %v", len(got), err)
			}
		})
	}
}

// TestRestart: what a client was told survives, and clients go on.
func TestRestart(t *testing.T) {
	fs := vfs.NewCrashable()
	ctx := testCtx(t)
	b := mustOpen(t, fs, smallLimits())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go b.Serve(l)
	cl := client(t, l.Addr().String(), kgo.ConsumeTopics("r"))
	want := numbered("before", 50)
	produce(t, ctx, cl, "r", want...)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	mustClose(t, b)

	b = mustOpen(t, crashed, smallLimits())
	if l, err = net.Listen("tcp", l.Addr().String()); err != nil {
		t.Skip("the port was taken: ", err)
	}
	go b.Serve(l)
	produce(t, ctx, cl, "r", "after")
	if got := consume(t, ctx, cl, 51); !slices.Equal(got, append(want, "after")) {
		t.Fatalf("got %q", got)
	}
}

func TestGroupRebalance(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "g", Partitions: 4}}}); err != nil {
		t.Fatal(err)
	}
	assigned := make(chan int, 100)
	member := func(id string) *kgo.Client {
		return client(t, addr, kgo.ConsumerGroup("grp"), kgo.ConsumeTopics("g"), kgo.ClientID(id), kgo.HeartbeatInterval(50*time.Millisecond),
			kgo.Balancers(kgo.RangeBalancer()),
			kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, m map[string][]int32) { assigned <- len(m["g"]) }))
	}
	first := member("first")
	if n := <-assigned; n != 4 {
		t.Fatalf("first member has %d partitions", n)
	}
	producer := client(t, addr, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	produce(t, ctx, producer, "g", numbered("a", 20)...)
	consume(t, ctx, first, 20)
	if err := first.CommitUncommittedOffsets(ctx); err != nil {
		t.Fatal(err)
	}
	second := member("second")
	for n := 0; n != 4; { // both get two, in any order
		n = <-assigned + <-assigned
	}
	produce(t, ctx, producer, "g", numbered("b", 40)...)
	got := map[string]int{}
	done := make(chan []string, 2)
	pctx, stop := context.WithCancel(ctx)
	for _, cl := range []*kgo.Client{first, second} {
		go func() {
			var values []string
			for pctx.Err() == nil {
				cl.PollFetches(pctx).EachRecord(func(r *kgo.Record) {
					values = append(values, string(r.Value))
				})
				if len(values) == 20 {
					break
				}
			}
			done <- values
		}()
	}
	for range 2 {
		for _, v := range <-done {
			got[v]++
		}
	}
	stop()
	if len(got) != 40 {
		t.Fatalf("two members have read %d different records of 40", len(got))
	}
	adm := kadm.NewClient(producer)
	groups, err := adm.DescribeGroups(ctx, "grp")
	if err != nil || groups["grp"].State != "Stable" || len(groups["grp"].Members) != 2 {
		t.Fatalf("group: %+v, %v", groups["grp"], err)
	}
	first.Close()
	for n := 0; n != 4; n = <-assigned {
	}
	second.Close()
	if _, err := adm.DeleteGroup(ctx, "grp"); err != nil {
		t.Fatal(err)
	}
	if err := first.Ping(ctx); err == nil {
		t.Fatal("a closed client pings")
	}
}

// txnClient has a transactional producer.
func txnClient(t *testing.T, addr, id string, opts ...kgo.Opt) *kgo.Client {
	return client(t, addr, append(opts, kgo.TransactionalID(id))...)
}

func txnProduce(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, commit bool, values ...string) {
	t.Helper()
	if err := cl.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	produce(t, ctx, cl, topic, values...)
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
		t.Fatalf("end transaction: %v", err)
	}
}

func TestTransactions(t *testing.T) {
	for _, tv := range []string{"TV2", "TV1"} {
		t.Run(tv, func(t *testing.T) {
			b, addr := serveTest(t, Limits{})
			ctx := testCtx(t)
			var opts []kgo.Opt
			if tv == "TV1" {
				v := kversion.V3_6_0()
				opts = append(opts, kgo.MaxVersions(v))
			}
			cl := txnClient(t, addr, "txn", opts...)
			txnProduce(t, ctx, cl, "x", true, "c1", "c2")
			txnProduce(t, ctx, cl, "x", false, "a1", "a2")
			txnProduce(t, ctx, cl, "x", true, "c3")
			want := []string{"c1", "c2", "c3"}
			committed := client(t, addr, kgo.ConsumeTopics("x"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			if got := consume(t, ctx, committed, 3); !slices.Equal(got, want) {
				t.Fatalf("read_committed: %q", got)
			}
			all := client(t, addr, kgo.ConsumeTopics("x"))
			if got := consume(t, ctx, all, 5); !slices.Equal(got, []string{"c1", "c2", "a1", "a2", "c3"}) {
				t.Fatalf("read_uncommitted: %q", got)
			}
			if got := readValues(t, b, "x"); !slices.Equal(got, want) {
				t.Fatalf("in process: %q", got)
			}
			// An open transaction holds readers back.
			if err := cl.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			produce(t, ctx, cl, "x", "open")
			if _, stable, _ := b.Bounds(kafka.TopicPartition{Topic: "x"}); stable != 8 {
				t.Fatalf("last stable offset %d, expected 8", stable)
			}
			// A second producer of the same id fences the first and aborts it.
			second := txnClient(t, addr, "txn", opts...)
			txnProduce(t, ctx, second, "x", true, "c4")
			err := cl.ProduceSync(ctx, &kgo.Record{Topic: "x", Value: []byte("zombie")}).FirstErr()
			if !errors.Is(err, kerr.ProducerFenced) && !errors.Is(err, kerr.InvalidProducerEpoch) {
				t.Fatalf("fenced producer: %v", err)
			}
			if got := consume(t, ctx, committed, 1); got[0] != "c4" {
				t.Fatalf("after fencing: %q", got)
			}
			if err := cl.EndTransaction(ctx, kgo.TryCommit); err == nil {
				t.Fatal("a fenced producer commits")
			}
		})
	}
}

func readValues(t *testing.T, b *Broker, topic string) []string {
	t.Helper()
	return readPartition(t, b, kafka.TopicPartition{Topic: topic})
}

func readPartition(t *testing.T, b *Broker, tp kafka.TopicPartition) []string {
	t.Helper()
	r, err := b.OpenReader(tp, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var values []string
	for {
		chunk, err := r.Poll(1 << 20)
		if err != nil {
			t.Fatal(err)
		}
		for rest := chunk.Batches; len(rest) > 0; {
			var batch kafka.Batch
			if batch, rest, err = kafka.NextBatch(rest); err != nil {
				t.Fatal(err)
			}
			for recs := batch.Records(batch.Payload()); recs.Next(); {
				values = append(values, string(recs.Record().Value))
			}
		}
		if chunk.AtEnd {
			return values
		}
	}
}

// TestGroupTransactSession copies a topic exactly once.
func TestGroupTransactSession(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	producer := client(t, addr)
	want := numbered("v", 30)
	produce(t, ctx, producer, "in", want...)
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "out"}}}); err != nil {
		t.Fatal(err)
	}
	s, err := kgo.NewGroupTransactSession(kgo.SeedBrokers(addr), kgo.TransactionalID("gts"), kgo.ConsumerGroup("gts"), kgo.ConsumeTopics("in"),
		kgo.AllowAutoTopicCreation(), kgo.FetchMaxWait(200*time.Millisecond), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for round := 0; len(readValues(t, b, "out")) < len(want); round++ {
		fs := s.PollRecords(ctx, 7)
		if err := fs.Err0(); err != nil {
			t.Fatal(err)
		}
		if err := s.Begin(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { s.Produce(ctx, &kgo.Record{Topic: "out", Value: r.Value}, nil) })
		// The second round is aborted: its records must come again.
		if _, err := s.End(ctx, kgo.TransactionEndTry(round != 1)); err != nil {
			t.Fatal(err)
		}
	}
	if got := readValues(t, b, "out"); !slices.Equal(got, want) {
		t.Fatalf("copied %q", got)
	}
	offsets, err := b.Committed(ctx, "gts", []kafka.TopicPartition{{Topic: "in"}})
	if err != nil || offsets[0] != 30 {
		t.Fatalf("committed %v, %v", offsets, err)
	}
}

// TestIdempotence sends the same batch twice, late, and out of order.
func TestIdempotence(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := client(t, addr)
	adm := kadm.NewClient(cl)
	if _, err := adm.CreateTopic(ctx, 1, 1, nil, "i"); err != nil {
		t.Fatal(err)
	}
	init, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, cl)
	if err != nil || init.ErrorCode != 0 {
		t.Fatal(err, init)
	}
	send := func(seq int32, n int, epoch kafka.Epoch) (int16, int64) {
		t.Helper()
		var w kafka.BatchBuilder
		for i := range n {
			w.Append(kafka.Timestamp(i), nil, []byte("v"), nil)
		}
		w.FinishAs(0, kafka.ProducerID(init.ProducerID), epoch, seq)
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 1000
		rt, rp := kmsg.NewProduceRequestTopic(), kmsg.NewProduceRequestTopicPartition()
		meta, err := adm.Metadata(ctx, "i")
		if err != nil {
			t.Fatal(err)
		}
		rt.Topic, rt.TopicID, rp.Records = "i", meta.Topics["i"].ID, w.Bytes()
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		resp, err := req.RequestWith(ctx, cl)
		if err != nil {
			t.Fatal(err)
		}
		return resp.Topics[0].Partitions[0].ErrorCode, resp.Topics[0].Partitions[0].BaseOffset
	}
	expect := func(what string, code int16, base int64, wantCode int16, wantBase int64) {
		t.Helper()
		if code != wantCode || base != wantBase {
			t.Fatalf("%s: code %d base %d, expected %d and %d", what, code, base, wantCode, wantBase)
		}
	}
	for i := range int32(7) {
		code, base := send(i*2, 2, 0)
		expect("in order", code, base, 0, int64(i*2))
	}
	code, base := send(12, 2, 0)
	expect("last again", code, base, 0, 12)
	code, base = send(4, 2, 0)
	expect("fifth last again", code, base, 0, 4)
	code, base = send(2, 2, 0)
	expect("sixth last again", code, base, kerr.OutOfOrderSequenceNumber.Code, -1)
	code, base = send(16, 2, 0)
	expect("gap", code, base, kerr.OutOfOrderSequenceNumber.Code, -1)
	code, base = send(3, 1, 1)
	expect("new epoch, wrong start", code, base, kerr.OutOfOrderSequenceNumber.Code, -1)
	code, base = send(0, 1, 1)
	expect("new epoch", code, base, 0, 14)
	code, base = send(14, 2, 0)
	expect("old epoch", code, base, kerr.InvalidProducerEpoch.Code, -1)
}

// TestProduceTakesSome: in one request some partitions' batches are refused, or are
// there already, and the others are stored, each where it belongs.
func TestProduceTakesSome(t *testing.T) {
	fs := vfs.NewCrashable()
	b := mustOpen(t, fs, Limits{})
	addr := serveOn(t, b)
	const partitions = 6
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "some", Partitions: partitions}}}); err != nil {
		t.Fatal(err)
	}
	ctx := testCtx(t)
	cl := client(t, addr)
	init, err := kmsg.NewPtrInitProducerIDRequest().RequestWith(ctx, cl)
	if err != nil || init.ErrorCode != 0 {
		t.Fatal(err, kerr.ErrorForCode(init.ErrorCode))
	}
	// Of every partition: the sequence it is sent, -1 for none.
	send := func(value string, sequences [partitions]int32) (answer string) {
		t.Helper()
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, 1000
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic, rt.TopicID = "some", b.topics.get("some").id
		for p, seq := range sequences {
			if seq < 0 {
				continue
			}
			var w kafka.BatchBuilder
			w.Append(1, nil, fmt.Appendf(nil, "%s to %d", value, p), nil)
			w.FinishAs(0, kafka.ProducerID(init.ProducerID), 0, seq)
			rp := kmsg.NewProduceRequestTopicPartition()
			rp.Partition, rp.Records = int32(p), w.Bytes()
			rt.Partitions = append(rt.Partitions, rp)
		}
		req.Topics = append(req.Topics, rt)
		raw, err := cl.Broker(nodeID).Request(ctx, req)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range raw.(*kmsg.ProduceResponse).Topics[0].Partitions {
			answer += fmt.Sprintf("%d:%d@%d ", p.Partition, p.ErrorCode, p.BaseOffset)
		}
		return answer
	}
	if got, want := send("first", [...]int32{0, 0, 0, -1, 0, 0}), "0:0@0 1:0@0 2:0@0 4:0@0 5:0@0 "; got != want {
		t.Fatalf("first: %s, want %s", got, want)
	}
	// New, there already, a gap, new, a gap, new.
	if got, want := send("second", [...]int32{1, 0, 7, 0, 5, 1}), "0:0@1 1:0@0 2:45@-1 3:0@0 4:45@-1 5:0@1 "; got != want {
		t.Fatalf("second: %s, want %s", got, want)
	}
	if got, want := send("third", [...]int32{1, 0, 7, -1, 5, -1}), "0:0@1 1:0@0 2:45@-1 4:45@-1 "; got != want {
		t.Fatalf("third: %s, want %s", got, want)
	}
	want := [partitions][]string{{"first to 0", "second to 0"}, {"first to 1"}, {"first to 2"}, {"second to 3"}, {"first to 4"}, {"first to 5", "second to 5"}}
	check := func(when string, b *Broker) {
		t.Helper()
		for p := range want {
			if got := readPartition(t, b, kafka.TopicPartition{Topic: "some", Partition: int32(p)}); !slices.Equal(got, want[p]) {
				t.Errorf("%s: partition %d has %q, want %q", when, p, got, want[p])
			}
		}
	}
	check("at once", b)
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	check("after a crash", mustOpen(t, crashed, Limits{}))
}
