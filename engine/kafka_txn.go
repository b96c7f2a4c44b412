package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
)

// transactionTimeoutMs is after how many ms the cluster aborts a transaction whose
// writer is gone.
const transactionTimeoutMs = 60_000

// kafkaTxn is a transactional unit: a producer with one transactional id (KIP-98),
// whose transactions hold records and the offsets of a group (KIP-447). With an
// empty id it is an idempotent producer without transactions.
//
//	ready --Commit--> adding -> produced -> offsets added --EndTxn(commit)--> ready
//	any error before EndTxn(commit) --EndTxn(abort)--> ready, or stale
//	no answer to EndTxn(commit) --> unknown: the owner opens the unit anew
//	stale --InitProducerID, which aborts what is open--> ready
type kafkaTxn struct {
	cluster *kafkaCluster
	id      string
	pid     int64
	epoch   int16
	// sequences are the next sequence numbers by topic-partition.
	sequences map[kafka.TopicPartition]int32
	// stale says that the producer must be initialised before it writes again.
	stale bool
}

// openTxn initialises a producer: what its predecessor left open is aborted or
// completed, and the predecessor is fenced.
func (c *kafkaCluster) openTxn(ctx context.Context, id string) (*kafkaTxn, error) {
	t := &kafkaTxn{cluster: c, id: id}
	return t, t.init(ctx)
}

func (t *kafkaTxn) init(ctx context.Context) error {
	err := t.cluster.retry(ctx, nil, func() error {
		req := kmsg.NewPtrInitProducerIDRequest()
		req.TransactionTimeoutMillis = transactionTimeoutMs
		if t.id != "" {
			req.TransactionalID = &t.id
		}
		resp, err := req.RequestWith(ctx, t.cluster.client)
		if err != nil {
			return err
		}
		t.pid, t.epoch = resp.ProducerID, resp.ProducerEpoch
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("initialise producer %s: %w", t.id, err)
	}
	t.sequences, t.stale = map[kafka.TopicPartition]int32{}, false
	return nil
}

// Close implements executor.Txn. There is nothing to give back: an open
// transaction is aborted by the next owner's InitProducerID.
func (t *kafkaTxn) Close() {}

// Commit implements executor.Txn.
func (t *kafkaTxn) Commit(req executor.CommitRequest, done func(executor.CommitResult)) {
	go func() { // ends within kafkaRequestTimeout
		ctx, cancel := context.WithTimeout(context.Background(), kafkaRequestTimeout)
		defer cancel()
		done(t.commit(ctx, req))
	}()
}

func (t *kafkaTxn) commit(ctx context.Context, req executor.CommitRequest) executor.CommitResult {
	if t.stale {
		if err := t.init(ctx); err != nil {
			return t.failed(err)
		}
	}
	bases, err := t.write(ctx, req)
	if err != nil {
		// The outcome does not hang on the abort: only a commit can be carried out.
		if abortErr := t.end(ctx, false); abortErr != nil {
			t.stale = true
		}
		return t.failed(err)
	}
	switch err := t.end(ctx, true); {
	case err == nil:
		return executor.CommitResult{Outcome: executor.Committed, BaseOffsets: bases}
	case isFenced(err):
		return t.failed(err)
	default:
		t.stale = true
		return executor.CommitResult{Outcome: executor.Unknown, Err: err}
	}
}

// failed is the result of a commit that did not reach EndTxn(commit).
func (t *kafkaTxn) failed(err error) executor.CommitResult {
	if isFenced(err) {
		return executor.CommitResult{Outcome: executor.Fenced, Err: err}
	}
	t.stale = true // sequence numbers may be ahead of the cluster's
	return executor.CommitResult{Outcome: executor.Aborted, Err: err}
}

// isFenced reports whether a newer producer of the same id exists.
func isFenced(err error) bool {
	return errors.Is(err, kerr.InvalidProducerEpoch) || errors.Is(err, kerr.ProducerFenced) || errors.Is(err, kerr.FencedInstanceID)
}

// write puts records and offsets into the open transaction.
func (t *kafkaTxn) write(ctx context.Context, req executor.CommitRequest) ([]kafka.Offset, error) {
	if err := t.addPartitions(ctx, req.Appends); err != nil {
		return nil, fmt.Errorf("add partitions to transaction %s: %w", t.id, err)
	}
	bases, err := t.produce(ctx, req.Appends)
	if err != nil {
		return nil, err
	}
	byGroup := map[string][]executor.OffsetCommit{}
	for _, o := range req.Offsets {
		byGroup[o.Group] = append(byGroup[o.Group], o)
	}
	for _, group := range slices.Sorted(maps.Keys(byGroup)) {
		if err := t.addOffsets(ctx, group, byGroup[group]); err != nil {
			return nil, fmt.Errorf("add offsets of %s to transaction %s: %w", group, t.id, err)
		}
	}
	return bases, nil
}

func (t *kafkaTxn) addPartitions(ctx context.Context, appends []executor.PartitionBatches) error {
	if len(appends) == 0 {
		return nil
	}
	tps := make([]kafka.TopicPartition, len(appends))
	for i := range appends {
		tps[i] = appends[i].TP
	}
	return t.cluster.retry(ctx, nil, func() error {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = t.id, t.pid, t.epoch
		byTopic(tps, func(topic string, partitions []int32) {
			rt := kmsg.NewAddPartitionsToTxnRequestTopic()
			rt.Topic, rt.Partitions = topic, partitions
			req.Topics = append(req.Topics, rt)
		})
		resp, err := req.RequestWith(ctx, t.cluster.client)
		if err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				// A partition that could have been added tells nothing; the one that
				// could not does.
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil && !errors.Is(err, kerr.OperationNotAttempted) {
					return fmt.Errorf("%s-%d: %w", rt.Topic, p.Partition, err)
				}
			}
		}
		return nil
	})
}

// addOffsets adds a group's offsets. The generation is unknown: the transactional
// id is the fence of a unit, and its tasks do not move with a group.
func (t *kafkaTxn) addOffsets(ctx context.Context, group string, offsets []executor.OffsetCommit) error {
	err := t.cluster.retry(ctx, nil, func() error {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = t.id, t.pid, t.epoch, group
		resp, err := req.RequestWith(ctx, t.cluster.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return err
	}
	tps, next := make([]kafka.TopicPartition, len(offsets)), map[kafka.TopicPartition]int64{}
	for i, o := range offsets {
		tps[i], next[o.TP] = o.TP, int64(o.Next)
	}
	return t.cluster.retry(ctx, nil, func() error {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = t.id, t.pid, t.epoch, group
		req.Generation = -1
		byTopic(tps, func(topic string, partitions []int32) {
			rt := kmsg.NewTxnOffsetCommitRequestTopic()
			rt.Topic = topic
			for _, n := range partitions {
				p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
				p.Partition, p.Offset = n, next[kafka.TopicPartition{Topic: topic, Partition: n}]
				rt.Partitions = append(rt.Partitions, p)
			}
			req.Topics = append(req.Topics, rt)
		})
		resp, err := req.RequestWith(ctx, t.cluster.client)
		if err != nil {
			return err
		}
		for _, rt := range resp.Topics {
			for _, p := range rt.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return fmt.Errorf("%s-%d: %w", rt.Topic, p.Partition, err)
				}
			}
		}
		return nil
	})
}

// end ends the transaction. Repeating it is safe: the coordinator answers the same.
func (t *kafkaTxn) end(ctx context.Context, commit bool) error {
	err := t.cluster.retry(ctx, nil, func() error {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = t.id, t.pid, t.epoch, commit
		resp, err := req.RequestWith(ctx, t.cluster.client)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	})
	if err != nil {
		return fmt.Errorf("end transaction %s: %w", t.id, err)
	}
	return nil
}

// produce sends the batches of all appends, one batch of each at a time, as the
// protocol allows no more, and returns the offsets of their first records.
func (t *kafkaTxn) produce(ctx context.Context, appends []executor.PartitionBatches) ([]kafka.Offset, error) {
	bases := make([]kafka.Offset, len(appends))
	for i, a := range appends {
		bases[i] = -1
		for rest := a.Batches; len(rest) > 0; {
			b, after, err := kafka.NextBatch(rest)
			if err != nil {
				return nil, fmt.Errorf("produce to %s: %w", a.TP, err)
			}
			rest = after
			base, err := t.send(ctx, a.TP, b)
			if err != nil {
				return nil, fmt.Errorf("produce to %s: %w", a.TP, err)
			}
			if bases[i] < 0 {
				bases[i] = base
			}
		}
	}
	return bases, nil
}

// send writes one batch, once however often it is sent.
func (t *kafkaTxn) send(ctx context.Context, tp kafka.TopicPartition, b kafka.Batch) (base kafka.Offset, err error) {
	if t.id != "" {
		b.SetAttributes(b.Attributes() | kafka.AttrTransactional)
	}
	b.SetProducer(kafka.ProducerID(t.pid), kafka.Epoch(t.epoch), t.sequences[tp])
	b.Seal()
	err = t.cluster.retry(ctx, []string{tp.Topic}, func() error {
		leader, err := t.cluster.leader(ctx, tp)
		if err != nil {
			return err
		}
		req := kmsg.NewPtrProduceRequest()
		req.Acks, req.TimeoutMillis = -1, int32(kafkaRequestTimeout.Milliseconds())
		if t.id != "" {
			req.TransactionID = &t.id
		}
		rt := kmsg.NewProduceRequestTopic()
		rt.Topic = tp.Topic
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = tp.Partition, b
		rt.Partitions = append(rt.Partitions, p)
		req.Topics = append(req.Topics, rt)
		answer, err := leader.RetriableRequest(ctx, req)
		if err != nil {
			return err
		}
		resp := answer.(*kmsg.ProduceResponse)
		if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
			return fmt.Errorf("the answer holds %d topics: %w", len(resp.Topics), kerr.UnknownServerError)
		}
		part := resp.Topics[0].Partitions[0]
		base = kafka.Offset(part.BaseOffset)
		err = kerr.ErrorForCode(part.ErrorCode)
		if errors.Is(err, kerr.DuplicateSequenceNumber) {
			base, err = -1, nil // written by an earlier try, too long ago for the offset
		}
		return err
	})
	if err == nil {
		t.sequences[tp] = int32((int64(t.sequences[tp]) + int64(b.Count())) & (1<<31 - 1))
	}
	return base, err
}
