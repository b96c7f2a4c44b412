package engine

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
)

// fake starts a fake cluster with a topic t of one partition, and connects to it.
func fake(t *testing.T) (*kfake.Cluster, *kafkaCluster) {
	t.Helper()
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	c, err := openKafka(context.Background(), Config{Bootstrap: fake.ListenAddrs()}.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return fake, c
}

var tp0 = kafka.TopicPartition{Topic: "t"}

func request(values ...string) executor.CommitRequest {
	var w kafka.BatchBuilder
	for _, v := range values {
		w.Append(1, nil, []byte(v), nil)
	}
	w.Finish()
	return executor.CommitRequest{
		Appends: []executor.PartitionBatches{{TP: tp0, Batches: w.Bytes(), Records: len(values)}},
		Offsets: []executor.OffsetCommit{{Group: "g", TP: tp0, Next: 7}},
	}
}

// content returns the values that a committed reader sees.
func content(t *testing.T, c *kafkaCluster) string {
	t.Helper()
	first, stable, err := c.Bounds(context.Background(), tp0)
	if err != nil {
		t.Fatal(err)
	}
	var values []string
	err = eachRecord(c, tp0, first, stable, func(r *kafka.Record) error {
		values = append(values, string(r.Value))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(values, " ")
}

func committed(t *testing.T, c *kafkaCluster) kafka.Offset {
	t.Helper()
	offsets, err := c.Committed(context.Background(), "g", []kafka.TopicPartition{tp0})
	if err != nil {
		t.Fatal(err)
	}
	return offsets[0]
}

func wantOutcome(t *testing.T, got executor.CommitResult, want executor.Outcome) {
	t.Helper()
	if got.Outcome != want || (got.Err == nil) != (want == executor.Committed) {
		t.Fatalf("outcome %s (%v), want %s", got.Outcome, got.Err, want)
	}
}

func TestKafkaCommitIsAllOrNothing(t *testing.T) {
	ctx := context.Background()
	fake, c := fake(t)
	txn, err := c.openTxn(ctx, "unit")
	if err != nil {
		t.Fatal(err)
	}
	result := txn.commit(ctx, request("a", "b"))
	wantOutcome(t, result, executor.Committed)
	if result.BaseOffsets[0] != 0 || content(t, c) != "a b" || committed(t, c) != 7 {
		t.Fatalf("base %v, content %q, offset %d", result.BaseOffsets, content(t, c), committed(t, c))
	}

	// The offsets cannot be added: nothing of the commit is seen, and the unit goes on.
	fake.ControlKey(int16(kmsg.TxnOffsetCommit), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.TxnOffsetCommitResponse)
		for _, topic := range req.(*kmsg.TxnOffsetCommitRequest).Topics {
			rt := kmsg.NewTxnOffsetCommitResponseTopic()
			rt.Topic = topic.Topic
			rp := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			rp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			rt.Partitions = append(rt.Partitions, rp)
			resp.Topics = append(resp.Topics, rt)
		}
		return resp, nil, true
	})
	wantOutcome(t, txn.commit(ctx, request("lost")), executor.Aborted)
	wantOutcome(t, txn.commit(ctx, request("c")), executor.Committed)
	if got := content(t, c); got != "a b c" {
		t.Fatalf("content %q", got)
	}
}

func TestKafkaCommitUnknown(t *testing.T) {
	ctx := context.Background()
	fake, c := fake(t)
	txn, err := c.openTxn(ctx, "unit")
	if err != nil {
		t.Fatal(err)
	}
	fake.ControlKey(int16(kmsg.EndTxn), func(req kmsg.Request) (kmsg.Response, error, bool) {
		resp := req.ResponseKind().(*kmsg.EndTxnResponse)
		resp.ErrorCode = kerr.UnknownServerError.Code
		return resp, nil, true
	})
	wantOutcome(t, txn.commit(ctx, request("doubtful")), executor.Unknown)
	txn.Close()
	again, err := c.openTxn(ctx, "unit")
	if err != nil {
		t.Fatal(err)
	}
	if got := committed(t, c); got != -1 {
		t.Fatalf("offset %d was committed", got)
	}
	wantOutcome(t, again.commit(ctx, request("sure")), executor.Committed)
	if got := content(t, c); got != "sure" || committed(t, c) != 7 {
		t.Fatalf("content %q, offset %d", got, committed(t, c))
	}
	// The first handle is fenced, whatever it thinks.
	txn.stale = false
	wantOutcome(t, txn.commit(ctx, request("ghost")), executor.Fenced)
	if got := content(t, c); got != "sure" {
		t.Fatalf("content %q", got)
	}
}

// TestKafkaAtEndIsFresh: an empty answer with AtEnd set comes from a fetch issued
// after the last answer was handed out (KIP-695).
func TestKafkaAtEndIsFresh(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTimeout)
	defer cancel()
	fake, c := fake(t)
	var fetches atomic.Int32
	fake.ControlKey(int16(kmsg.Fetch), func(kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		fetches.Add(1)
		return nil, nil, false
	})
	wake := make(chan struct{}, 100)
	reader, err := c.OpenReader(tp0, 0, func() { wake <- struct{}{} })
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for i := range int32(5) {
		if chunk, err := reader.Poll(1 << 20); err != nil || chunk.AtEnd || len(chunk.Batches) > 0 {
			t.Fatalf("poll %d answered before it asked: %+v %v", i, chunk, err)
		}
		<-wake
		chunk, err := reader.Poll(1 << 20)
		if err != nil || !chunk.AtEnd {
			t.Fatalf("poll %d: %+v %v", i, chunk, err)
		}
		if got := fetches.Load(); got != i+1 {
			t.Fatalf("%d fetches for %d answers", got, i+1)
		}
	}
	// At the end, the reader is woken by what arrives.
	if _, err := c.Append(ctx, tp0, request("new").Appends[0].Batches, 1); err != nil {
		t.Fatal(err)
	}
	<-wake
}

func TestKafkaServiceHasOneEngine(t *testing.T) {
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	first := startWorld(t, Config{Bootstrap: fake.ListenAddrs()})
	create := func(w *world, name string) error {
		_, err := w.exec(context.Background(), fmt.Sprintf(`CREATE STREAM %s (a INT) WITH (kafka_topic='%s', value_format='JSON', partitions=1);`, name, name))
		return err
	}
	if err := create(first, "one"); err != nil {
		t.Fatal(err)
	}
	second := startWorld(t, Config{Bootstrap: fake.ListenAddrs()})
	if second.engine.Catalog().Source("ONE") == nil {
		t.Error("the second engine does not know what the first created")
	}
	if err := create(second, "two"); err != nil {
		t.Fatal(err)
	}
	if err := create(first, "three"); err == nil || !strings.Contains(err.Error(), "taken over") {
		t.Errorf("the first engine still writes: %v", err)
	}
	if first.engine.Err() == nil {
		t.Error("the first engine does not say that it is fenced")
	}
	if _, there := second.engine.cluster.Topic("three"); there {
		t.Error("the topic of a statement that failed is left behind")
	}
}
