package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
	"github.com/millrace/millrace/internal/kafka"
)

// AddPartitionsToTxn (24). Versions 0-3; from 4 on it is spoken between brokers.
//
// All or nothing: when one partition is bad the others get
// OPERATION_NOT_ATTEMPTED. It is answered when the transaction's beginning is
// durable, before the first batch can be acknowledged.
func init() {
	register(24, 0, 3, func(b *Broker, rq *request, req *kmsg.AddPartitionsToTxnRequest) error {
		resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
		var parts []txn.Partition
		txnDenied := !rq.may(kmsg.ACLOperationWrite, txnResource(req.TransactionalID))
		bad := false
		for _, rt := range req.Topics {
			st := kmsg.NewAddPartitionsToTxnResponseTopic()
			st.Topic = rt.Topic
			denied := rq.topicDenied(kmsg.ACLOperationWrite, rt.Topic, nil, false)
			for _, partition := range rt.Partitions {
				sp := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
				sp.Partition = partition
				p := b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: partition})
				switch {
				case txnDenied:
					sp.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
				case denied != nil:
					sp.ErrorCode = errorCode(denied)
				case p == nil:
					sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				case b.protectedTopic(rt.Topic):
					sp.ErrorCode = kerr.TopicAuthorizationFailed.Code
				default:
					parts = append(parts, txn.Partition{Topic: p.Topic, Partition: partition})
				}
				bad = bad || sp.ErrorCode != 0
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		fill := func(code int16) {
			for i := range resp.Topics {
				for j := range resp.Topics[i].Partitions {
					if sp := &resp.Topics[i].Partitions[j]; sp.ErrorCode == 0 {
						sp.ErrorCode = code
					}
				}
			}
			rq.reply(resp)
		}
		if bad {
			fill(kerr.OperationNotAttempted.Code)
			return nil
		}
		b.changeTxn(func() (*txn.Change, *txn.End, error) {
			ch, err := b.txns.Add(req.TransactionalID, kafka.ProducerID(req.ProducerID), kafka.Epoch(req.ProducerEpoch), parts, nil)
			return ch, nil, err
		}, func(err error) { fill(fencedCode(err, req.Version >= 2)) })
		return nil
	})
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
