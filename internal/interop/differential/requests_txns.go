package main

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// addPartitions adds a partition to a transaction, at every version in its shape.
func addPartitions(id, topic string, partition int32) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrAddPartitionsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch = id, s.pid[id], s.epoch[id]
		rt := kmsg.NewAddPartitionsToTxnRequestTopic()
		rt.Topic, rt.Partitions = topic, []int32{partition}
		req.Topics = append(req.Topics, rt)
		txn := kmsg.NewAddPartitionsToTxnRequestTransaction()
		txn.TransactionalID, txn.ProducerID, txn.ProducerEpoch = id, s.pid[id], s.epoch[id]
		tt := kmsg.NewAddPartitionsToTxnRequestTransactionTopic()
		tt.Topic, tt.Partitions = topic, []int32{partition}
		txn.Topics = append(txn.Topics, tt)
		req.Transactions = append(req.Transactions, txn)
		return req
	}
}

// endTxn ends a transaction; from version 5 on the reply has the next epoch.
func endTxn(name, id string, commit bool, delta int16) step {
	return step{name: name, build: func(s *side) kmsg.Request {
		req := kmsg.NewPtrEndTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, s.pid[id], s.epoch[id]+delta, commit
		return req
	}, learn: func(s *side, resp kmsg.Response) {
		if r := resp.(*kmsg.EndTxnResponse); r.ErrorCode == 0 && r.Version >= 5 {
			s.pid[id], s.epoch[id] = r.ProducerID, r.ProducerEpoch
			s.forget(id)
		}
	}, until: func(resp kmsg.Response) bool { return resp.(*kmsg.EndTxnResponse).ErrorCode != 51 }}
}

// settled waits until a transaction's markers are written.
func settled(id string) step {
	return step{name: "settle", build: describeTxns(id), quiet: true, until: ended}
}

// ended says whether the first transaction has its markers.
func ended(resp kmsg.Response) bool {
	return !strings.HasPrefix(resp.(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State, "Prepare")
}

func describeTxns(ids ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = ids
		return req
	}
}

func listTxns(states ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrListTransactionsRequest()
		req.StateFilters, req.DurationFilterMillis = states, -1
		return req
	}
}

func addOffsets(id, group string) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrAddOffsetsToTxnRequest()
		req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = id, s.pid[id], s.epoch[id], group
		return req
	}
}

func txnCommit(id, group, topic string, offset int64, delta int16) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrTxnOffsetCommitRequest()
		req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = id, group, s.pid[id], s.epoch[id]+delta, -1
		rt := kmsg.NewTxnOffsetCommitRequestTopic()
		rt.Topic, rt.TopicID = topic, s.topicIDs[topic]
		rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
		rp.Partition, rp.Offset, rp.LeaderEpoch = 0, offset, -1
		rt.Partitions = append(rt.Partitions, rp)
		req.Topics = append(req.Topics, rt)
		return req
	}
}
