package broker

import (
	"cmp"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/txn"
)

// DescribeTransactions (65). Version 0. The start of an open transaction is that
// of its time-out, which a restart begins anew.
func init() {
	register(65, 0, 0, func(b *Broker, rq *request, req *kmsg.DescribeTransactionsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeTransactionsResponse)
		for _, id := range req.TransactionalIDs {
			st := kmsg.NewDescribeTransactionsResponseTransactionState()
			st.TransactionalID, st.ProducerID, st.ProducerEpoch, st.StartTimestamp = id, -1, -1, -1
			switch {
			case id == "":
				st.ErrorCode = kerr.InvalidRequest.Code
			case !rq.may(kmsg.ACLOperationDescribe, txnResource(id)):
				st.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			default:
				b.describeTransaction(rq, &st)
			}
			resp.TransactionStates = append(resp.TransactionStates, st)
		}
		rq.reply(resp)
		return nil
	})
}

// describeTransaction fills in what is known of a transactional id. Topics that
// the peer may not describe are left out.
func (b *Broker) describeTransaction(rq *request, st *kmsg.DescribeTransactionsResponseTransactionState) {
	byTopic := map[string][]int32{}
	b.mu.Lock()
	t := b.txns.Get(st.TransactionalID)
	if t == nil {
		b.mu.Unlock()
		st.ErrorCode = kerr.TransactionalIDNotFound.Code
		return
	}
	st.State, st.TimeoutMillis = t.State.String(), int32(t.Timeout.Milliseconds())
	st.ProducerID, st.ProducerEpoch = int64(t.ProducerID), int16(t.Epoch)
	if t.State == txn.Ongoing {
		st.StartTimestamp = t.Deadline.Add(-t.Timeout).UnixMilli()
	}
	for p := range t.Partitions {
		if topic := b.topics.staged(p.Topic); topic != nil {
			byTopic[topic.name] = append(byTopic[topic.name], p.Partition)
		}
	}
	b.mu.Unlock()
	for name, partitions := range byTopic {
		if !rq.maySee(kmsg.ACLOperationDescribe, topicResource(name)) {
			continue
		}
		rt := kmsg.NewDescribeTransactionsResponseTransactionStateTopic()
		slices.Sort(partitions)
		rt.Topic, rt.Partitions = name, partitions
		st.Topics = append(st.Topics, rt)
	}
	slices.SortFunc(st.Topics, func(a, b kmsg.DescribeTransactionsResponseTransactionStateTopic) int {
		return cmp.Compare(a.Topic, b.Topic)
	})
}
