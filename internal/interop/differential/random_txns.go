package main

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	randomTxns = 3
	// longTimeout, in milliseconds, is more than a run takes: brokers look for
	// transactions that are too old in intervals of their own.
	longTimeout = 900_000
)

// endTransactions ends what is open when all is drawn.
func (d *dice) endTransactions() []step {
	var all []step
	for i := range randomTxns {
		id := fmt.Sprint(d.topic, "-t", i)
		all = append(all, initProducer(id, &id, longTimeout), settled(id))
	}
	return all
}

// transactions draws requests of transactional producers. What ends a transaction
// is waited for, since what follows depends on whether its markers are written.
func (d *dice) transactions() []step {
	topic, partition, id := d.name(), d.partition(), fmt.Sprint(d.topic, "-t", d.IntN(randomTxns))
	group := id + "-g" // its own: Kafka adds all groups of an offsets partition with one
	old := int16(0)
	if d.one(8) {
		old = -1
	}
	switch d.IntN(16) {
	case 0, 1:
		return []step{initProducer(id, &id, longTimeout), settled(id)}
	case 2, 3:
		return []step{unlessBusy(fmt.Sprint("random add ", id, " ", topic, "-", partition), addPartitions(id, topic, partition))}
	case 4, 5, 6:
		send := step{name: fmt.Sprint("random txn produce ", id, " to ", topic, "-", partition), build: d.txnProduce(id, topic, partition), learn: learnSequence(id, topic, partition), until: notBusy}
		if d.one(3) { // mostly the partition is not in the transaction
			return []step{send}
		}
		return []step{unlessBusy(fmt.Sprint("random add before produce ", id, " ", topic, "-", partition), addPartitions(id, topic, partition)), send}
	case 7, 8:
		return []step{endTxn(fmt.Sprint("random end ", id), id, d.one(2), old), settled(id)}
	case 9:
		return []step{unlessBusy("random add offsets", addOffsets(id, group))}
	case 10:
		return []step{unlessBusy("random txn commit", txnCommit(id, group, topic, d.Int64N(50), old))}
	case 11:
		return only("random offset fetch", offsetFetch(group, d.one(3), topic))
	case 12:
		return only("random describe", describeTxns(id))
	case 13:
		return only("random list", listTxns(pick(d, nil, []string{"Ongoing"}, []string{"CompleteCommit", "Empty"}, []string{"no such"})...))
	case 14:
		return only("random fetch", fetch(topic, partition, d.offset(), int8(d.IntN(2)), 1<<20))
	default:
		return only("random latest", listOffsets(topic, partition, -1, int8(d.IntN(2))))
	}
}

// txnProduce draws a batch that has the next sequence, sometimes one after it. One
// before it may be of an aborted batch, which Kafka takes for a duplicate and we
// append.
func (d *dice) txnProduce(id, topic string, partition int32) func(*side) kmsg.Request {
	n, wrong := 1+d.IntN(3), int32(0)
	if d.one(4) {
		wrong = int32(d.IntN(4))
	}
	return func(s *side) kmsg.Request {
		p := producer{name: id, sequence: s.sequence[onPartition(id, topic, partition)] + wrong, transactional: true}
		return produce(topic, partition, -1, &id, from(p, n, 0))(s)
	}
}

// onPartition names a producer's state on a partition.
func onPartition(id, topic string, partition int32) string {
	return fmt.Sprint(id, "/", topic, "/", partition)
}

// learnSequence counts one batch that was taken, unless it was taken before. Its
// records are not counted from the reply, so the sequence is asked for by what was
// sent.
func learnSequence(id, topic string, partition int32) func(*side, kmsg.Response) {
	return func(s *side, resp kmsg.Response) {
		if r := resp.(*kmsg.ProduceResponse); len(r.Topics) == 1 && len(r.Topics[0].Partitions) == 1 && r.Topics[0].Partitions[0].ErrorCode == 0 {
			at := onPartition(id, topic, partition)
			s.sequence[at] = max(s.sequence[at], s.lastSequence+1)
		}
	}
}

// unlessBusy asks again while the transaction before is being ended.
func unlessBusy(name string, build func(*side) kmsg.Request) step {
	return step{name: name, build: build, until: notBusy}
}

func notBusy(resp kmsg.Response) bool {
	const concurrent = 51
	switch r := resp.(type) {
	case *kmsg.AddPartitionsToTxnResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == concurrent {
					return false
				}
			}
		}
	case *kmsg.AddOffsetsToTxnResponse:
		return r.ErrorCode != concurrent
	case *kmsg.TxnOffsetCommitResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == concurrent {
					return false
				}
			}
		}
	case *kmsg.ProduceResponse:
		for _, t := range r.Topics {
			for _, p := range t.Partitions {
				if p.ErrorCode == concurrent {
					return false
				}
			}
		}
	}
	return true
}
