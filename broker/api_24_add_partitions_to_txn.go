package broker

import (
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// AddPartitionsToTxn (24). Versions 0-5; from 4 on it is what brokers send one
// another: several transactions at once, and verify_only asks whether the
// partitions are in the transaction.
//
// All or nothing: when one partition is bad the others get
// OPERATION_NOT_ATTEMPTED. It is answered when the transaction's beginning is
// durable, before the first batch can be acknowledged.
func init() {
	register(24, 0, 5, func(b *Broker, rq *request, req *kmsg.AddPartitionsToTxnRequest) error {
		resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
		if req.Version >= 4 {
			b.addManyToTxn(rq, req, resp)
			return nil
		}
		tx := kmsg.NewAddPartitionsToTxnRequestTransaction()
		tx.TransactionalID, tx.ProducerID, tx.ProducerEpoch = req.TransactionalID, req.ProducerID, req.ProducerEpoch
		for _, rt := range req.Topics {
			tx.Topics = append(tx.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: rt.Topic, Partitions: rt.Partitions})
		}
		b.addToTxn(rq, tx, req.Version >= 2, false, func(topics []kmsg.AddPartitionsToTxnResponseTransactionTopic) {
			for _, at := range topics {
				st := kmsg.NewAddPartitionsToTxnResponseTopic()
				st.Topic = at.Topic
				for _, ap := range at.Partitions {
					st.Partitions = append(st.Partitions, kmsg.AddPartitionsToTxnResponseTopicPartition{Partition: ap.Partition, ErrorCode: ap.ErrorCode})
				}
				resp.Topics = append(resp.Topics, st)
			}
			rq.reply(resp)
		})
		return nil
	})
}

// addManyToTxn answers version 4 and later.
func (b *Broker) addManyToTxn(rq *request, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	if !rq.may(kmsg.ACLOperationClusterAction, clusterResource) {
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		rq.reply(resp)
		return
	}
	resp.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(req.Transactions))
	var left sync.WaitGroup
	left.Add(len(req.Transactions))
	for i, tx := range req.Transactions {
		resp.Transactions[i].TransactionalID = tx.TransactionalID
		b.addToTxn(rq, tx, true, true, func(topics []kmsg.AddPartitionsToTxnResponseTransactionTopic) {
			resp.Transactions[i].Topics = topics
			left.Done()
		})
	}
	left.Wait()
	rq.reply(resp)
}

// addToTxn adds partitions to one transaction, or verifies that they are in it,
// and calls done once, from any goroutine. A trusted peer speaks for others and
// needs no rights of its own to topics and transactional ids.
func (b *Broker) addToTxn(rq *request, tx kmsg.AddPartitionsToTxnRequestTransaction, knowsFenced, trusted bool, done func([]kmsg.AddPartitionsToTxnResponseTransactionTopic)) {
	var topics []kmsg.AddPartitionsToTxnResponseTransactionTopic
	var parts []txn.Partition
	bad := false
	denied := !trusted && !rq.may(kmsg.ACLOperationWrite, txnResource(tx.TransactionalID))
	for _, rt := range tx.Topics {
		st := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		st.Topic = rt.Topic
		for _, partition := range rt.Partitions {
			sp := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			sp.Partition = partition
			p := b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: partition})
			switch {
			case denied: // whatever the partition
				sp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			case !trusted && !rq.may(kmsg.ACLOperationWrite, topicResource(rt.Topic)), b.protectedTopic(rt.Topic):
				sp.ErrorCode = kerr.TopicAuthorizationFailed.Code
			case p == nil:
				sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
			default:
				parts = append(parts, txn.Partition{Topic: p.Topic, Partition: partition})
			}
			bad = bad || sp.ErrorCode != 0
			st.Partitions = append(st.Partitions, sp)
		}
		topics = append(topics, st)
	}
	fill := func(code int16) {
		for i := range topics {
			for j := range topics[i].Partitions {
				if sp := &topics[i].Partitions[j]; sp.ErrorCode == 0 {
					sp.ErrorCode = code
				}
			}
		}
		done(topics)
	}
	if bad {
		fill(kerr.OperationNotAttempted.Code)
		return
	}
	b.changeTxn(func() (*txn.Change, *txn.End, error) {
		pid, epoch := kafka.ProducerID(tx.ProducerID), kafka.Epoch(tx.ProducerEpoch)
		if tx.VerifyOnly {
			for _, p := range parts {
				if err := b.txns.Verify(tx.TransactionalID, pid, epoch, p); err != nil {
					return nil, nil, err
				}
			}
			return nil, nil, nil
		}
		ch, err := b.txns.Add(tx.TransactionalID, pid, epoch, parts, nil)
		return ch, nil, err
	}, func(err error) { fill(fencedCode(err, knowsFenced)) })
}

// fencedCode is coordinatorCode, but clients that do not know PRODUCER_FENCED
// get INVALID_PRODUCER_EPOCH.
func fencedCode(err error, knowsFenced bool) int16 {
	code := coordinatorCode(err)
	if code == kerr.ProducerFenced.Code && !knowsFenced {
		return kerr.InvalidProducerEpoch.Code
	}
	return code
}
