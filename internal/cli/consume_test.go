package cli

import (
	"context"
	"errors"
	"hash/crc32"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeTopic starts a broker with topic t of one partition, in which n records
// are.
func fakeTopic(t *testing.T, n int) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.DefaultProduceTopic("t"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	for range n {
		if err := cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// fetchReply answers a Fetch of topic t.
func fetchReply(req *kmsg.FetchRequest, fill func(offset int64, rp *kmsg.FetchResponseTopicPartition)) *kmsg.FetchResponse {
	resp := req.ResponseKind().(*kmsg.FetchResponse)
	for _, t := range req.Topics {
		rt := kmsg.NewFetchResponseTopic()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		for _, p := range t.Partitions {
			rp := kmsg.NewFetchResponseTopicPartition()
			rp.Partition = p.Partition
			fill(p.FetchOffset, &rp)
			rt.Partitions = append(rt.Partitions, rp)
		}
		resp.Topics = append(resp.Topics, rt)
	}
	return resp
}

// An error that may pass is waited for; one that stays is an error, with what it
// is and how far reading got.
func TestConsumeErrors(t *testing.T) {
	storage := func(_ int64, rp *kmsg.FetchResponseTopicPartition) { rp.ErrorCode = kerr.KafkaStorageError.Code }
	for _, args := range []string{"--to-end --retry-timeout 1ms", "--to-end --timeout 1s", "--timeout 1s", "--max 5 --timeout 1s"} {
		c := fakeTopic(t, 3)
		var fetches atomic.Int64
		c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
			c.KeepControl()
			fetches.Add(1)
			return fetchReply(req.(*kmsg.FetchRequest), storage), nil, true
		})
		code, out, stderr := run(t, "", append(strings.Fields("consume t --from-beginning --bootstrap "+c.ListenAddrs()[0]), strings.Fields(args)...)...)
		if code != 1 || out != "" || strings.Count(stderr, "KAFKA_STORAGE_ERROR") != 1 || !strings.Contains(stderr, "read t-0 at offset 0: the broker cannot read") ||
			!strings.Contains(stderr, "--max") && !strings.Contains(stderr, "0 records came") && !strings.Contains(stderr, "0 of 5 records came") {
			t.Errorf("%s: exit code %d\n%s%s", args, code, out, stderr)
		}
		// Errors are not asked for again without a rest.
		if n := fetches.Load(); n > 20 {
			t.Errorf("%s: %d fetches", args, n)
		}
	}
	c := fakeTopic(t, 3)
	fetches := 0
	c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		if fetches++; fetches > 2 {
			return nil, nil, false
		}
		c.KeepControl()
		return fetchReply(req.(*kmsg.FetchRequest), storage), nil, true
	})
	code, out, stderr := run(t, "", "consume", "t", "--from-beginning", "--to-end", "--bootstrap", c.ListenAddrs()[0])
	if code != 0 || out != "null\tv\nnull\tv\nnull\tv\n" || stderr != "" {
		t.Errorf("after two errors: exit code %d\n%s%s", code, out, stderr)
	}
}

// The end is an offset, not a record: compaction leaves batches whose last records
// are gone, and no record says that they were passed.
func TestConsumeEndWithoutRecord(t *testing.T) {
	c := fakeTopic(t, 10)
	batch := holedBatch(9)
	c.ControlKey(1, func(req kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		return fetchReply(req.(*kmsg.FetchRequest), func(offset int64, rp *kmsg.FetchResponseTopicPartition) {
			rp.HighWatermark, rp.LastStableOffset = 10, 10
			if offset < 10 {
				rp.RecordBatches = batch
			}
		}), nil, true
	})
	code, out, stderr := run(t, "", "consume", "t", "--from-beginning", "--to-end", "--timeout", "1m", "--bootstrap", c.ListenAddrs()[0])
	if code != 0 || out != "k\tfirst\n" || stderr != "" {
		t.Errorf("exit code %d\n%s%s", code, out, stderr)
	}
}

// holedBatch returns a batch from offset 0 that has its first record only.
func holedBatch(lastOffsetDelta int32) []byte {
	rec := kmsg.Record{Key: []byte("k"), Value: []byte("first")}
	body := rec.AppendTo(nil)[1:] // the length is one byte long
	rec.Length = int32(len(body))
	b := kmsg.NewRecordBatch()
	b.Magic, b.LastOffsetDelta, b.NumRecords, b.Records = 2, lastOffsetDelta, 1, rec.AppendTo(nil)
	b.ProducerID, b.ProducerEpoch, b.FirstSequence = -1, -1, -1
	raw := b.AppendTo(nil)
	b.Length = int32(len(raw) - 12)
	raw = b.AppendTo(nil)
	b.CRC = int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// What is behind the last record of a partition, a transaction that was aborted,
// does not keep reading from its end; an open one is not waited for.
func TestConsumeEndsBehindTransactions(t *testing.T) {
	_, kafka, _ := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{{args: "topic create t"}, {args: "produce t --raw", stdin: "1\n2\n"}})
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.DefaultProduceTopic("t"), kgo.TransactionalID("x"))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	write := func() {
		t.Helper()
		if err := errors.Join(cl.BeginTransaction(), cl.ProduceSync(t.Context(), kgo.StringRecord("in a transaction")).FirstErr()); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := cl.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	runSteps(t, kafka, []step{{args: "consume t --from-beginning --to-end", out: "null\t1\nnull\t2\n"}})
	write()
	runSteps(t, kafka, []step{
		{args: "consume t --from-beginning --to-end", out: "null\t1\nnull\t2\n"},
		{args: "consume t --from-beginning --to-end --isolation uncommitted", out: "null\t1\nnull\t2\nnull\tin a transaction\nnull\tin a transaction\n"},
	})
	if err := cl.EndTransaction(context.Background(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
}

// Exit code 0 means that the end that was asked for was reached.
func TestConsumeTimeout(t *testing.T) {
	_, kafka, stop := startServer(t, t.TempDir())
	runSteps(t, kafka, []step{{args: "topic create t"}, {args: "produce t --raw", stdin: "1\n2\n"}})
	for _, c := range []struct {
		args    string
		code    int
		out     string
		message string
	}{
		{"--max 2 --timeout 1m", 0, "null\t1\nnull\t2\n", ""},
		{"--max 3 --timeout 1s", 1, "null\t1\nnull\t2\n", "millrace: --timeout 1s is over: 2 of 3 records came\n"},
		{"--timeout 1s", 0, "null\t1\nnull\t2\n", "--timeout 1s is over: 2 records\n"},
		{"--timeout 3s --group g", 0, "null\t1\nnull\t2\n", "--timeout 3s is over: 2 records\n"},
	} {
		code, out, stderr := run(t, "", append(strings.Fields("consume t --from-beginning --bootstrap "+kafka), strings.Fields(c.args)...)...)
		if code != c.code || out != c.out || stderr != c.message {
			t.Errorf("%s: exit code %d\n%s%s", c.args, code, out, stderr)
		}
	}
	stop()
	code, _, stderr := run(t, "", "consume", "t", "--timeout", "1ms", "--bootstrap", kafka)
	if code != 1 || !strings.Contains(stderr, "no Kafka listener answers") {
		t.Errorf("no broker: exit code %d, %s", code, stderr)
	}
}

// Without the right to read there is an error, whatever ends the reading.
func TestConsumeUnauthorized(t *testing.T) {
	s := startSecured(t)
	admin, alice, as := s.admin, s.alice, s.as
	as("admin", admin, 0, "", "topic", "create", "orders")
	as("admin", admin, 0, "1\n", "produce", "orders", "--raw")
	as("admin", admin, 0, "", "user", "add", "alice", "--new-password-file", alice)
	as("admin", admin, 0, "", "acl", "add", "--allow", "User:alice", "--operation", "describe", "--topic", "orders")
	for _, args := range [][]string{{"--to-end"}, {"--timeout", "1s"}, {"--max", "1"}} {
		_, stderr := as("alice", alice, 1, "", append([]string{"consume", "orders", "--from-beginning"}, args...)...)
		if !strings.Contains(stderr, "read orders-0 at offset 0: not allowed on the topic (TOPIC_AUTHORIZATION_FAILED)") {
			t.Errorf("%v: %s", args, stderr)
		}
	}
	as("admin", admin, 0, "", "acl", "add", "--allow", "User:alice", "--operation", "read", "--topic", "orders")
	_, stderr := as("alice", alice, 1, "", "consume", "orders", "--group", "other", "--max", "1")
	if !strings.Contains(stderr, "read orders as group other: not allowed on the group (GROUP_AUTHORIZATION_FAILED)") {
		t.Errorf("group: %s", stderr)
	}
}
