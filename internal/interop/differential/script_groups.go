package main

import (
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
		{name: "txn settle", build: describe, until: func(resp kmsg.Response) bool {
			return resp.(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State != "PrepareCommit"
		}},
		s("txn fetch after commit", fetch(to, 0, 0, 1, 1<<20)),
		initProducer(id, &id, 60000),
		s("txn add 2", add(to, 0)),
		s("txn produce 2", produce(to, 0, -1, &id, from(p(0), 2, 2))),
		s("txn add offsets", addOffsets(id, t+"-tg")),
		s("txn commit offset", commitOffset(t+"-tg", 0)),
		s("txn commit offset old epoch", commitOffset(t+"-tg", -1)),
		s("txn offset pending", offsetFetch(t+"-tg", false, t)),
		end("txn abort", false, 0),
		{name: "txn settle 2", build: describe, until: func(resp kmsg.Response) bool {
			return resp.(*kmsg.DescribeTransactionsResponse).TransactionStates[0].State != "PrepareAbort"
		}},
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

// groupSteps goes through the life of a classic group with one member, then of
// one of KIP-848.
func groupSteps(t string) []step {
	g := t + "-g"
	generation := func(s *side) int32 { return s.generation[g] }
	old := func(s *side) int32 { return s.generation[g] - 1 }
	join := func(name string, timeout int32, again bool) step {
		st := joinGroup(g, !again, timeout, "consumer", "range")
		st.name = name
		return st
	}
	sync := syncGroup(g, generation, "consumer", "range")
	describe := describeGroups(g, t+"-no")
	return append([]step{
		s("coordinator", findCoordinator(0, g)),
		s("coordinator of share", findCoordinator(2, "x")),
		s("coordinator of unknown kind", findCoordinator(7, "x")),
		s("coordinator of transactions", findCoordinator(1, g)),
		s("simple commit", offsetCommit(t+"-s", "", noGeneration, t, 0, 3)),
		s("simple commit unknown topic", offsetCommit(t+"-s", "", noGeneration, t+"-no", 0, 3)),
		s("simple commit unknown partition", offsetCommit(t+"-s", "", noGeneration, t, 9, 3)),
		s("simple commit with generation", offsetCommit(t+"-s", "", func(*side) int32 { return 3 }, t, 0, 3)),
		s("simple commit empty group", offsetCommit("", "", noGeneration, t, 0, 3)),
		s("simple fetch", offsetFetch(t+"-s", false, t)),
		s("simple fetch all", offsetFetch(t+"-s", true)),
		s("fetch of unknown group", offsetFetch(t+"-no", false, t)),
		s("fetch of all of unknown group", offsetFetch(t+"-no", true)),
		s("fetch of unknown topic", offsetFetch(t+"-s", false, t+"-no")),
		join("join with short session", 10, false),
		join("join", 30000, false),
		join("join again", 30000, true),
		s("heartbeat before sync", heartbeat(g, "", generation)),
		s("sync", sync),
		s("sync again", sync),
		s("heartbeat", heartbeat(g, "", generation)),
		s("heartbeat old generation", heartbeat(g, "", old)),
		s("heartbeat of stranger", heartbeat(g, "stranger", generation)),
		s("describe groups", describe),
		s("list groups", listGroups()),
		s("list stable groups", listGroups("Stable")),
		s("commit", offsetCommit(g, g, generation, t, 0, 4)),
		s("commit old generation", offsetCommit(g, g, old, t, 0, 4)),
		s("commit of outsider", offsetCommit(g, "", noGeneration, t, 0, 4)),
		s("fetch committed offset", offsetFetch(g, false, t)),
		s("delete group with members", deleteGroups(g)),
		s("delete offsets of subscribed", deleteOffsets(g, t, 0)),
		s("leave of stranger", leaveGroup(g, "stranger")),
		s("leave", leaveGroup(g, "")),
		s("leave again", leaveGroup(g, "")),
		s("describe after leave", describe),
		s("delete offsets", deleteOffsets(g, t, 0)),
		s("delete offsets of unknown group", deleteOffsets(t+"-no", t, 0)),
		s("delete offsets of unknown topic", deleteOffsets(g, t+"-no", 0)),
		s("delete groups", deleteGroups(g, t+"-no", t+"-s")),
		s("list after delete", listGroups()),
	}, newGroupSteps(t)...)
}

// consumerMetadata is a subscription of the consumer protocol, version 0.
func consumerMetadata(topic string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = []string{topic}
	return m.AppendTo(nil)
}

func newGroupSteps(t string) []step {
	g := t + "-n"
	beat := func(name string, epoch func(*side) int32, full bool) step {
		return step{name: name, build: func(s *side) kmsg.Request {
			req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
			if s.member[g] == "" {
				s.member[g] = "AAAAAAAAAAAAAAAAAAAAAA"
			}
			req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = g, s.member[g], epoch(s), -1
			if full {
				req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 30000, []string{t}, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
			}
			return req
		}, learn: func(s *side, resp kmsg.Response) {
			if r := resp.(*kmsg.ConsumerGroupHeartbeatResponse); r.ErrorCode == 0 {
				s.generation[g] = r.MemberEpoch
				if r.MemberID != nil {
					s.member[g] = *r.MemberID
				}
			}
		}}
	}
	fixed := func(e int32) func(*side) int32 { return func(*side) int32 { return e } }
	current := func(s *side) int32 { return s.generation[g] }
	describe := func(*side) kmsg.Request {
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups = []string{g, t + "-no"}
		return req
	}
	return []step{
		beat("new join", fixed(0), true),
		beat("new beat", current, false),
		beat("new beat with wrong epoch", fixed(99), false),
		beat("new beat with bad epoch", fixed(-7), false),
		s("new describe", describe),
		s("new commit", offsetCommit(g, g, current, t, 0, 2)),
		s("new commit with wrong epoch", offsetCommit(g, g, fixed(99), t, 0, 2)),
		beat("new leave", fixed(-1), false),
		beat("new leave again", fixed(-1), false),
		s("new describe after leave", describe),
	}
}

func clusterSteps(t string) []step {
	return []step{
		s("versions", versions("differential", "1")),
		s("versions bad name", versions("-", "1")),
		s("cluster", describeCluster(1)),
		s("cluster bad endpoint", describeCluster(9)),
		s("log directories", logDirs(t, t+"-no")),
		s("quorum", quorum),
		s("reassignments", reassignments()),
		s("reassignments of topics", reassignments(t, t+"-no")),
		s("reassign to where it is", reassign(t, 0, []int32{1})),
		s("reassign elsewhere", reassign(t, 0, []int32{7})),
		s("reassign twice", reassign(t, 0, []int32{1, 1})),
		s("reassign to nobody", reassign(t, 0, []int32{})),
		s("reassign negative", reassign(t, 0, []int32{-1})),
		s("cancel reassignment", reassign(t, 0, nil)),
		s("reassign unknown topic", reassign(t+"-no", 0, []int32{1})),
		s("reassign unknown partition", reassign(t, 9, []int32{1})),
		s("elect", elect(0, t, t+"-no")),
		s("elect unclean", elect(1, t)),
		s("elect unknown kind", elect(7, t)),
		s("elect all", func(s *side) kmsg.Request {
			req := elect(0)(s).(*kmsg.ElectLeadersRequest)
			req.Topics = nil
			return req
		}),
		s("move", move("/no/such", t, 0)),
		s("move unknown topic", move("/no/such", t+"-no", 0)),
		s("move to relative path", move("here", t, 0)),
		s("feature", updateFeature("transaction.version", 2, 1)),
		s("feature down", updateFeature("transaction.version", 1, 1)),
		{name: "feature safely down", build: updateFeature("group.version", 0, 2), least: 1}, // which only from then on is not done
		s("feature up", updateFeature("group.version", 99, 1)),
		s("feature unknown", updateFeature("no.such", 1, 1)),
		s("feature negative", updateFeature("group.version", -1, 1)),
		s("feature unknown kind", updateFeature("group.version", 1, 9)),
		s("config resources", listResources([]int8{16})),
	}
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

func endSteps(t string) []step {
	return []step{
		s("delete topics", deleteTopics(t, t+"-c", t+"-no")),
		s("delete again", deleteTopics(t)),
		{name: "metadata of deleted", newest: true, build: metadata(false, t), until: func(resp kmsg.Response) bool { return !known(resp) }},
		s("produce to deleted", produce(t, 0, -1, nil, plain(1, 0))),
		s("offsets of deleted", listOffsets(t, 0, -1, 0)),
	}
}
