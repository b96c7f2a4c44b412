package main

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// transactionSteps goes through commits, aborts and fences, with the partitions
// added by AddPartitionsToTxn, as clients without transaction.version 2 do.
func transactionSteps(t string) []step {
	id := t + "-txn"
	p := func(sequence int32) producer { return producer{name: id, sequence: sequence, transactional: true} }
	add := func(topic string, partition int32) func(*side) kmsg.Request {
		return addPartitions(id, topic, partition)
	}
	end := func(name string, commit bool, delta int16) step { return endTxn(name, id, commit, delta) }
	commitOffset := func(group string, delta int16) func(*side) kmsg.Request { return txnCommit(id, group, t, 3, delta) }
	describe := describeTxns(id, t+"-no")
	to := t + "-d"
	return []step{
		initProducer(id, &id, 60000),
		end("end nothing", true, 0),
		s("txn produce not added", produce(to, 0, -1, &id, from(p(0), 1, 0))),
		s("txn add", add(to, 0)),
		s("txn add unknown", add(t+"-no", 0)),
		s("txn produce", produce(to, 0, -1, &id, from(p(0), 2, 0))),
		s("txn describe", describe),
		s("txn list", listTxns("Ongoing")),
		s("txn list unknown state", listTxns("Sleeping")),
		s("txn producers", describeProducers(to, 0)),
		s("txn fetch uncommitted", fetch(to, 0, 0, 0, 1<<20)),
		s("txn fetch committed", fetch(to, 0, 0, 1, 1<<20)),
		s("txn latest committed", listOffsets(to, 0, -1, 1)),
		s("txn latest", listOffsets(to, 0, -1, 0)),
		end("txn end old epoch", true, -1),
		end("txn commit", true, 0),
		end("txn commit again", true, 0),
		{name: "txn settle", build: describe, until: ended},
		s("txn fetch after commit", fetch(to, 0, 0, 1, 1<<20)),
		initProducer(id, &id, 60000),
		s("txn add 2", add(to, 0)),
		s("txn produce 2", produce(to, 0, -1, &id, from(p(0), 2, 2))),
		s("txn add offsets", addOffsets(id, t+"-tg")),
		s("txn commit offset", commitOffset(t+"-tg", 0)),
		s("txn commit offset old epoch", commitOffset(t+"-tg", -1)),
		s("txn offset pending", offsetFetch(t+"-tg", false, t)),
		end("txn abort", false, 0),
		{name: "txn settle 2", build: describe, until: ended},
		s("txn offset after abort", offsetFetch(t+"-tg", false, t)),
		s("txn fetch after abort", fetch(to, 0, 0, 1, 1<<20)),
		s("txn latest after abort", listOffsets(to, 0, -1, 1)),
		s("txn fetch all after abort", fetch(to, 0, 0, 0, 1<<20)),
		s("txn fetch later after abort", fetch(to, 0, 1, 1, 1<<20)),
		s("txn fetch last after abort", fetch(to, 0, 4, 1, 1<<20)),
		initProducer(id, &id, 60000),
		s("txn zombie produce", func(s *side) kmsg.Request {
			s.epoch[id]--
			defer func() { s.epoch[id]++ }()
			return produce(to, 0, -1, &id, from(p(0), 1, 9))(s)
		}),
	}
}

// sequenceSteps looks at which sequences are taken after an abort and after a
// commit, whose markers have the batches' epoch or, from EndTxn 5 on, a later one.
func sequenceSteps(t string) []step {
	id, to := t+"-seq", t+"-d"
	const partition = 2
	send := func(name string, sequence int32, n int) step {
		return s("txn produce "+name, produce(to, partition, -1, &id, from(producer{name: id, sequence: sequence, transactional: true}, n, 0)))
	}
	add := unlessBusy("sequences add", addPartitions(id, to, partition))
	// transaction is one from the partition that is added to the markers.
	transaction := func(name string, commit bool, sent ...step) []step {
		return slices.Concat([]step{add}, sent, []step{endTxn("sequences "+name, id, commit, 0), settled(id)})
	}
	return slices.Concat(
		ready(to, partition+1),
		[]step{initProducer(id, &id, 60000)},
		transaction("abort", false, send("two", 0, 2), send("the third", 2, 1)),
		[]step{send("again without a transaction", 2, 1)},
		transaction("abort of nothing", false, send("a gap", 5, 1)),
		transaction("commit", true, send("the fourth", 3, 1)),
		transaction("abort again", false, send("a gap after a commit", 9, 1), send("the fourth after its commit", 3, 1), send("the fifth", 4, 1)),
		[]step{s("sequences fetch", fetch(to, partition, 0, 0, 1<<20)), s("sequences producers", describeProducers(to, partition))},
		// Last, since here the two logs part.
		transaction("abort of it", false, send("the fifth at last", 4, 1)),
		transaction("abort of it again", false, send("what was aborted", 4, 1)),
		[]step{s("sequences latest", listOffsets(to, partition, -1, 0))},
	)
}

// stableSteps abort a transaction behind one that is open: what a reader of committed
// records gets ends before both.
func stableSteps(t string) []step {
	open, behind, to := t+"-open", t+"-behind", t+"-d"
	const partition = 1
	begin := func(id string) []step {
		p := producer{name: id, transactional: true}
		return []step{
			initProducer(id, &id, 60000),
			unlessBusy("stable add", addPartitions(id, to, partition)),
			s("txn produce stable", produce(to, partition, -1, &id, from(p, 1, 0))),
		}
	}
	abort := func(id string) []step { return []step{endTxn("stable abort", id, false, 0), settled(id)} }
	read := func(name string) []step { return []step{s(name, fetch(to, partition, 0, 1, 1<<20))} }
	return slices.Concat(begin(open), begin(behind), abort(behind), read("fetch below the open transaction"), abort(open), read("fetch when both are aborted"))
}

// markerSteps ends transactions that nobody else would end.
func markerSteps(t string) []step {
	id, to := t+"-hang", t+"-d"
	p := producer{name: id, transactional: true}
	return []step{
		initProducer(id, &id, 60000),
		s("markers of no transaction", markers(id, to, 1, false, 0, 0)),
		s("hang add", addPartitions(id, to, 1)),
		s("hang produce", produce(to, 1, -1, &id, from(p, 1, 0))),
		s("markers of old epoch", markers(id, to, 1, false, -1, 0)),
		s("markers of unknown topic", markers(id, t+"-no", 1, false, 0, 0)),
		s("markers of unknown partition", markers(id, to, 9, false, 0, 0)),
		s("markers", markers(id, to, 1, false, 0, 0)),
		s("markers again", markers(id, to, 1, false, 0, 0)),
		s("fetch markers", fetch(to, 1, 0, 0, 1<<20)),
		s("latest after markers", listOffsets(to, 1, -1, 1)),
		s("greatest time after markers", listOffsets(to, 1, -3, 1)),
		s("producers after markers", describeProducers(to, 1)),
		s("markers of old coordinator", markers(id, to, 1, false, 1, -1)),
		{name: "end what hangs", build: endTxn("", id, false, 0).build, quiet: true},
		settled(id),
		s("markers of next epoch", markers(id, to, 1, true, 5, 0)),
		{name: "markers by alice", build: markers(id, to, 1, false, 1, 0), as: alice},
	}
}
