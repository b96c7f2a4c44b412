package broker

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// Replies of Apache Kafka 4.4 to transactional producers.

// rawProducer sends batches with the sequences that a test wants.
type rawProducer struct {
	id    string
	pid   int64
	epoch int16
}

func initRaw(t *testing.T, ctx context.Context, cl *kgo.Client, id string) rawProducer {
	t.Helper()
	init := kmsg.NewPtrInitProducerIDRequest()
	init.TransactionalID, init.TransactionTimeoutMillis, init.ProducerID, init.ProducerEpoch = &id, 60000, -1, -1
	who := ask[*kmsg.InitProducerIDResponse](t, ctx, cl, init)
	return rawProducer{id, who.ProducerID, who.ProducerEpoch}
}

// send produces one record to partition 0.
func (p rawProducer) send(t *testing.T, ctx context.Context, cl *kgo.Client, topic string, sequence int32) kmsg.ProduceResponseTopicPartition {
	t.Helper()
	var w kafka.BatchBuilder
	w.Append(1, nil, []byte("a"), nil)
	w.FinishAs(kafka.AttrTransactional, kafka.ProducerID(p.pid), kafka.Epoch(p.epoch), sequence)
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis, req.TransactionID = -1, 1000, &p.id
	req.Topics = []kmsg.ProduceRequestTopic{{Topic: topic, Partitions: []kmsg.ProduceRequestTopicPartition{{Records: w.Bytes()}}}}
	return ask[*kmsg.ProduceResponse](t, ctx, cl, req).Topics[0].Partitions[0]
}

// The first batch of a transaction of KIP-890 has the first sequence.
func TestTransactionBeginsWithFirstSequence(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	p := initRaw(t, ctx, cl, "txn")
	send := func(version int16, sequence int32) int16 {
		return p.send(t, ctx, atVersion(t, addr, 0, version), "orders", sequence).ErrorCode
	}
	// Before, a transaction has to be begun: that is told before the sequence.
	wantCode(t, "not begun", send(11, 3), kerr.InvalidTxnState)
	wantCode(t, "second sequence", send(12, 3), kerr.OutOfOrderSequenceNumber)
	describe := kmsg.NewPtrDescribeTransactionsRequest()
	describe.TransactionalIDs = []string{p.id}
	// What was refused has its partition in the transaction nevertheless.
	if got := ask[*kmsg.DescribeTransactionsResponse](t, ctx, cl, describe).TransactionStates[0]; got.State != "Ongoing" || len(got.Topics) != 1 {
		t.Errorf("after a batch that was refused: %s, %v", got.State, got.Topics)
	}
	wantCode(t, "first sequence", send(12, 0), nil)
}

// An abort whose marker has the batches' epoch leaves the sequences as they are: a
// gap is refused. But a batch of the aborted ones that comes again is a new one, once
// the partition is in a transaction again.
func TestSequencesAfterAbort(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	ctx, cl := testCtx(t), client(t, addr)
	createTopic(t, ctx, cl, "orders", nil)
	p, old := initRaw(t, ctx, cl, "txn"), atVersion(t, addr, 0, 11)
	send := func(sequence int32) kmsg.ProduceResponseTopicPartition {
		return p.send(t, ctx, old, "orders", sequence)
	}
	add := func() {
		t.Helper()
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = p.id, p.pid, p.epoch
		req.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "orders", Partitions: []int32{0}}}
		wantCode(t, "add", ask[*kmsg.AddPartitionsToTxnResponse](t, ctx, atVersion(t, addr, 24, 3), req).Topics[0].Partitions[0].ErrorCode, nil)
	}
	abort := func() {
		t.Helper()
		end := kmsg.NewPtrEndTxnRequest()
		end.TransactionalID, end.ProducerID, end.ProducerEpoch = p.id, p.pid, p.epoch
		wantCode(t, "abort", ask[*kmsg.EndTxnResponse](t, ctx, atVersion(t, addr, 26, 4), end).ErrorCode, nil)
	}
	add()
	first := send(0)
	wantCode(t, "first", first.ErrorCode, nil)
	abort()
	wantCode(t, "retry without a transaction", send(0).ErrorCode, kerr.InvalidTxnState)
	add()
	again := send(0)
	if again.ErrorCode != 0 || again.BaseOffset != first.BaseOffset+2 { // behind the marker
		t.Errorf("the batch again: %d at %d", again.ErrorCode, again.BaseOffset)
	}
	if retry := send(0); retry.ErrorCode != 0 || retry.BaseOffset != again.BaseOffset {
		t.Errorf("its retry: %d at %d", retry.ErrorCode, retry.BaseOffset)
	}
	wantCode(t, "gap", send(2).ErrorCode, kerr.OutOfOrderSequenceNumber)
	abort()
	add()
	wantCode(t, "gap after an abort", send(2).ErrorCode, kerr.OutOfOrderSequenceNumber)
	if next := send(1); next.ErrorCode != 0 || next.BaseOffset != 4 {
		t.Errorf("the next: %d at %d", next.ErrorCode, next.BaseOffset)
	}
}
