package broker

import (
	"cmp"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// Produce (0). Versions 3-13 are served; 0-2 are advertised only, because
// librdkafka before 2.11 takes their absence for missing compression.
//
// Batches are stored as sent. All batches of a request that pass their checks
// are one frame of the log; partitions succeed or fail one by one before that.
// acks=all and acks=1 are answered when the frame is synced, acks=0 not at all;
// an error with acks=0 closes the connection. From version 12 on a transactional
// batch adds its partition to the transaction (KIP-890); before, it must have
// been added.
func init() {
	register(keyProduce, 0, 13, (*Broker).produce)
}

// produced is one partition of a Produce request on its way.
type produced struct {
	resp    *kmsg.ProduceResponseTopicPartition
	p       *partition
	checked checkedBatch
	set     settings
	staged  int // index in change.appends, unless it is refused or a duplicate
	dup     *txn.Duplicate
}

func (b *Broker) produce(rq *request, req *kmsg.ProduceRequest) error {
	resp := req.ResponseKind().(*kmsg.ProduceResponse)
	if req.Version < 3 {
		rq.reply(nil)
		return fmt.Errorf("produce version %d: record batches of magic 2 need version 3", req.Version)
	}
	parts, failed := b.produceCheck(rq, req, resp)
	answer := func() {
		if req.Acks == 0 {
			rq.reply(nil)
			return
		}
		rq.reply(resp)
	}
	if len(parts) == 0 {
		answer()
		return produceClose(req, failed)
	}
	size := 0
	for _, pd := range parts {
		size += len(pd.checked.batch) + wal.BatchesEntryBytes
	}
	c := newChange(size + markerBytes)
	if err := b.reserve(c, int64(size)); err != nil {
		for _, pd := range parts {
			pd.fail(err)
		}
		answer()
		return produceClose(req, true)
	}
	// Copied before Broker.mu is taken; what is then refused is taken out again.
	for i, pd := range parts {
		c.append(pd.p, pd.checked.batch, pd.checked.info)
		c.summed(i)
		pd.staged = i
	}
	b.submit(c, func() error {
		dropped := 0
		for _, pd := range parts {
			pd.staged -= dropped
			ok := b.produceStage(c, req, pd)
			if !ok || pd.dup != nil {
				c.drop(pd.staged)
				dropped++
			}
			failed = failed || !ok
		}
		return nil
	}, func(err error) {
		for _, pd := range parts {
			pd.finish(c, err)
		}
		answer()
	})
	return produceClose(req, failed)
}

func produceClose(req *kmsg.ProduceRequest, failed bool) error {
	if req.Acks == 0 && failed {
		return errors.New("produce with acks=0 failed")
	}
	return nil
}

// produceCheck validates every partition of a request and fills the response
// for those that fail. The response's slices do not move afterwards.
func (b *Broker) produceCheck(rq *request, req *kmsg.ProduceRequest, resp *kmsg.ProduceResponse) (parts []*produced, failed bool) {
	seen := map[kafka.TopicPartition]bool{}
	txnDenied := req.TransactionID != nil && !rq.may(kmsg.ACLOperationWrite, txnResource(*req.TransactionID))
	resp.Topics = make([]kmsg.ProduceResponseTopic, len(req.Topics))
	for i, rt := range req.Topics {
		t := b.topics.get(rt.Topic)
		if req.Version >= 13 {
			t = b.topics.getID(rt.TopicID)
		}
		denied := rq.topicDenied(kmsg.ACLOperationWrite, rt.Topic, t, req.Version >= 13)
		if txnDenied {
			denied = kerr.TransactionalIDAuthorizationFailed
		}
		st := &resp.Topics[i]
		*st = kmsg.NewProduceResponseTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		st.Partitions = make([]kmsg.ProduceResponseTopicPartition, len(rt.Partitions))
		for j, rp := range rt.Partitions {
			sp := &st.Partitions[j]
			*sp = kmsg.NewProduceResponseTopicPartition()
			sp.Partition, sp.BaseOffset, sp.LogAppendTime, sp.LogStartOffset = rp.Partition, -1, -1, -1
			if denied != nil {
				(&produced{resp: sp}).fail(denied)
				failed = true
				continue
			}
			pd, err := b.producePartition(req, t, rp, sp)
			if err == nil && seen[pd.p.tp] {
				err = fmt.Errorf("%w: the partition is in the request twice", kerr.InvalidRequest)
			}
			if err != nil {
				(&produced{resp: sp}).fail(err)
				failed = true
				continue
			}
			seen[pd.p.tp] = true
			parts = append(parts, pd)
		}
	}
	return parts, failed
}

// producePartition validates one partition of a request.
func (b *Broker) producePartition(req *kmsg.ProduceRequest, t *topic, rp kmsg.ProduceRequestTopicPartition, sp *kmsg.ProduceResponseTopicPartition) (*produced, error) {
	if req.Acks < -1 || req.Acks > 1 {
		return nil, kerr.InvalidRequiredAcks
	}
	if t == nil && req.Version >= 13 {
		return nil, kerr.UnknownTopicID
	}
	if t == nil || rp.Partition < 0 || int(rp.Partition) >= len(t.partitions()) {
		return nil, ErrUnknownTopic
	}
	if b.protectedTopic(t.name) {
		return nil, fmt.Errorf("%w: %s belongs to the engine", kerr.TopicAuthorizationFailed, t.name)
	}
	_, set := t.config()
	if first, _, err := kafka.NextBatch(rp.Records); err == nil && first.Codec() == log.CodecZstd && req.Version < 7 {
		return nil, kerr.UnsupportedCompressionType // whatever else is wrong with it
	}
	checked, record, err := checkBatch(rp.Records, set, b.server.expansion(), b.now())
	if err != nil {
		if record >= 0 {
			e := kmsg.NewProduceResponseTopicPartitionErrorRecord()
			e.RelativeOffset, e.ErrorMessage = int32(record), message(err)
			sp.ErrorRecords = append(sp.ErrorRecords, e)
		}
		return nil, err
	}
	if checked.batch.Transactional() && req.TransactionID == nil {
		return nil, fmt.Errorf("%w: a transactional batch in a request without transactional id", kerr.InvalidRecord)
	}
	return &produced{resp: sp, p: t.partitions()[rp.Partition], checked: checked, set: set}, nil
}

// produceStage verifies a batch against the producer's window and transaction, and
// stages that the transaction has its partition. ok is false when it is refused.
// The caller holds Broker.mu.
func (b *Broker) produceStage(c *change, req *kmsg.ProduceRequest, pd *produced) (ok bool) {
	batch := pd.checked.batch
	err := func() error {
		if pd.p.deleted {
			return ErrUnknownTopic
		}
		dup, err := pd.p.producers.Check(batch)
		if batch.Transactional() {
			err = cmp.Or(b.produceInTxn(c, req, pd, dup != nil), err)
		}
		if err == nil {
			pd.dup = dup
		}
		return err
	}()
	if err != nil {
		pd.fail(err)
	}
	return err == nil
}

// produceInTxn verifies a transactional batch, which may be one that came before.
// As in Kafka the transaction is asked before the sequences: it has the partition,
// and will have a marker there, though the batch is refused. A transaction with data
// here has been asked.
func (b *Broker) produceInTxn(c *change, req *kmsg.ProduceRequest, pd *produced, again bool) error {
	batch, producers := pd.checked.batch, &pd.p.producers
	open := producers.Open(batch.ProducerID())
	if again && open {
		return nil
	}
	err := b.produceTxn(c, req, pd)
	if open || err != nil && !errors.Is(err, txn.ErrInvalidTxnState) { // otherwise the producer is known
		return err
	}
	if order := producers.Attempt(batch, b.now()); err == nil && !again {
		err = order
	}
	if err == nil && !again && req.Version >= 12 && batch.BaseSequence() != 0 && !producers.Started(batch.ProducerID()) {
		// Every transaction has an epoch of its own (KIP-890), which this batch
		// would begin.
		return fmt.Errorf("%w: the first sequence of a transaction is %d", txn.ErrOutOfOrderSequence, batch.BaseSequence())
	}
	return err
}

// produceTxn verifies that a batch's partition is in its open transaction, or
// adds it for clients that leave that to us.
func (b *Broker) produceTxn(c *change, req *kmsg.ProduceRequest, pd *produced) error {
	batch := pd.checked.batch
	tp := txn.Partition{Topic: pd.p.Topic, Partition: pd.p.Partition.Partition}
	if req.Version >= 12 {
		ch, err := b.txns.Add(*req.TransactionID, batch.ProducerID(), batch.ProducerEpoch(), []txn.Partition{tp}, nil)
		if err == nil && ch != nil {
			b.stageTxn(c, ch, nil)
		}
		return produceTxnError(err)
	}
	return produceTxnError(b.txns.Verify(*req.TransactionID, batch.ProducerID(), batch.ProducerEpoch(), tp))
}

// produceTxnError maps a coordinator's error to what Produce answers: a fenced
// epoch is INVALID_PRODUCER_EPOCH there, since Kafka 2.7.
func produceTxnError(err error) error {
	if errors.Is(err, txn.ErrProducerFenced) {
		return fmt.Errorf("%w: %s", kerr.InvalidProducerEpoch, err)
	}
	return err
}

func (pd *produced) fail(err error) {
	pd.resp.ErrorCode, pd.resp.ErrorMessage = errorCode(err), message(err)
}

// finish fills the response when the frame is durable, or failed.
func (pd *produced) finish(c *change, err error) {
	switch {
	case pd.resp.ErrorCode != 0:
		return
	case err != nil:
		pd.fail(err)
		return
	case pd.dup != nil:
		pd.resp.BaseOffset, pd.resp.LogAppendTime = int64(pd.dup.Base), int64(pd.dup.LogAppendTime)
	default:
		pd.resp.BaseOffset, pd.resp.LogAppendTime = int64(c.appends[pd.staged].base), int64(pd.checked.appendTime)
	}
	pd.resp.LogStartOffset = int64(pd.p.Bounds().LogStart)
}
