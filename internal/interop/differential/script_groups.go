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
	end := func(name string, commit bool, epochDelta int16) step {
		return step{name: name, build: func(s *side) kmsg.Request {
			req := kmsg.NewPtrEndTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Commit = id, s.pid[id], s.epoch[id]+epochDelta, commit
			return req
		}, learn: func(s *side, resp kmsg.Response) {
			if r := resp.(*kmsg.EndTxnResponse); r.ErrorCode == 0 && r.Version >= 5 {
				s.pid[id], s.epoch[id] = r.ProducerID, r.ProducerEpoch
			}
		}, until: func(resp kmsg.Response) bool { return resp.(*kmsg.EndTxnResponse).ErrorCode != 51 }}
	}
	addOffsets := func(group string) func(*side) kmsg.Request {
		return func(s *side) kmsg.Request {
			req := kmsg.NewPtrAddOffsetsToTxnRequest()
			req.TransactionalID, req.ProducerID, req.ProducerEpoch, req.Group = id, s.pid[id], s.epoch[id], group
			return req
		}
	}
	commitOffset := func(group string, epochDelta int16) func(*side) kmsg.Request {
		return func(s *side) kmsg.Request {
			req := kmsg.NewPtrTxnOffsetCommitRequest()
			req.TransactionalID, req.Group, req.ProducerID, req.ProducerEpoch, req.Generation = id, group, s.pid[id], s.epoch[id]+epochDelta, -1
			rt := kmsg.NewTxnOffsetCommitRequestTopic()
			rt.Topic, rt.TopicID = t, s.topicIDs[t]
			rp := kmsg.NewTxnOffsetCommitRequestTopicPartition()
			rp.Partition, rp.Offset, rp.LeaderEpoch = 0, 3, -1
			rt.Partitions = append(rt.Partitions, rp)
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
	describe := func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeTransactionsRequest()
		req.TransactionalIDs = []string{id, t + "-no"}
		return req
	}
	list := func(states ...string) func(*side) kmsg.Request {
		return func(*side) kmsg.Request {
			req := kmsg.NewPtrListTransactionsRequest()
			req.StateFilters, req.DurationFilterMillis = states, -1
			return req
		}
	}
	describeProducers := func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeProducersRequest()
		rt := kmsg.NewDescribeProducersRequestTopic()
		rt.Topic, rt.Partitions = t+"-d", []int32{0}
		req.Topics = append(req.Topics, rt)
		return req
	}
	to := t + "-d"
	return []step{
		initProducer(id, &id, 60000),
		end("end nothing", true, 0),
		s("txn produce not added", produce(to, 0, -1, &id, from(p(0), 1, 0))),
		s("txn add", add(to, 0)),
		s("txn add unknown", add(t+"-no", 0)),
		s("txn produce", produce(to, 0, -1, &id, from(p(0), 2, 0))),
		s("txn describe", describe),
		s("txn list", list("Ongoing")),
		s("txn list unknown state", list("Sleeping")),
		s("txn producers", describeProducers),
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
		s("txn add offsets", addOffsets(t+"-tg")),
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
	join := func(name string, timeout int32, again bool) step {
		return step{name: name, build: func(s *side) kmsg.Request {
			req := kmsg.NewPtrJoinGroupRequest()
			req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.MemberID, req.ProtocolType = g, timeout, 10000, s.member[g], "consumer"
			if !again {
				req.MemberID = ""
			}
			p := kmsg.NewJoinGroupRequestProtocol()
			p.Name, p.Metadata = "range", consumerMetadata(t)
			req.Protocols = append(req.Protocols, p)
			return req
		}, learn: func(s *side, resp kmsg.Response) {
			r := resp.(*kmsg.JoinGroupResponse)
			if r.ErrorCode == 0 || r.ErrorCode == 79 {
				s.member[g], s.generation[g] = r.MemberID, r.Generation
			}
		}}
	}
	sync := func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation, req.ProtocolType, req.Protocol = g, s.member[g], s.generation[g], kmsg.StringPtr("consumer"), kmsg.StringPtr("range")
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = s.member[g], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		req.GroupAssignment = append(req.GroupAssignment, a)
		return req
	}
	heartbeat := func(delta int32, stranger bool) func(*side) kmsg.Request {
		return func(s *side) kmsg.Request {
			req := kmsg.NewPtrHeartbeatRequest()
			req.Group, req.MemberID, req.Generation = g, s.member[g], s.generation[g]+delta
			if stranger {
				req.MemberID = "stranger"
			}
			return req
		}
	}
	leave := func(member string) func(*side) kmsg.Request {
		return func(s *side) kmsg.Request {
			req := kmsg.NewPtrLeaveGroupRequest()
			req.Group, req.MemberID = g, member
			if member == "" {
				req.MemberID = s.member[g]
			}
			m := kmsg.NewLeaveGroupRequestMember()
			m.MemberID = req.MemberID
			req.Members = append(req.Members, m)
			return req
		}
	}
	describe := func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups = []string{g, t + "-no"}
		return req
	}
	list := func(states ...string) func(*side) kmsg.Request {
		return func(*side) kmsg.Request {
			req := kmsg.NewPtrListGroupsRequest()
			req.StatesFilter = states
			return req
		}
	}
	remove := func(groups ...string) func(*side) kmsg.Request {
		return func(*side) kmsg.Request {
			req := kmsg.NewPtrDeleteGroupsRequest()
			req.Groups = groups
			return req
		}
	}
	deleteOffsets := func(group, topic string) func(*side) kmsg.Request {
		return func(*side) kmsg.Request {
			req := kmsg.NewPtrOffsetDeleteRequest()
			req.Group = group
			rt := kmsg.NewOffsetDeleteRequestTopic()
			rt.Topic = topic
			rt.Partitions = append(rt.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: 0})
			req.Topics = append(req.Topics, rt)
			return req
		}
	}
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
		s("heartbeat before sync", heartbeat(0, false)),
		s("sync", sync),
		s("sync again", sync),
		s("heartbeat", heartbeat(0, false)),
		s("heartbeat old generation", heartbeat(-1, false)),
		s("heartbeat of stranger", heartbeat(0, true)),
		s("describe groups", describe),
		s("list groups", list()),
		s("list stable groups", list("Stable")),
		s("commit", offsetCommit(g, g, generation, t, 0, 4)),
		s("commit old generation", offsetCommit(g, g, func(s *side) int32 { return s.generation[g] - 1 }, t, 0, 4)),
		s("commit of outsider", offsetCommit(g, "", noGeneration, t, 0, 4)),
		s("fetch committed offset", offsetFetch(g, false, t)),
		s("delete group with members", remove(g)),
		s("delete offsets of subscribed", deleteOffsets(g, t)),
		s("leave of stranger", leave("stranger")),
		s("leave", leave("")),
		s("leave again", leave("")),
		s("describe after leave", describe),
		s("delete offsets", deleteOffsets(g, t)),
		s("delete offsets of unknown group", deleteOffsets(t+"-no", t)),
		s("delete offsets of unknown topic", deleteOffsets(g, t+"-no")),
		s("delete groups", remove(g, t+"-no", t+"-s")),
		s("list after delete", list()),
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
		s("versions", func(*side) kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "differential", "1"
			return req
		}),
		s("versions bad name", func(*side) kmsg.Request {
			req := kmsg.NewPtrApiVersionsRequest()
			req.ClientSoftwareName, req.ClientSoftwareVersion = "-", "1"
			return req
		}),
		s("cluster", func(*side) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.IncludeClusterAuthorizedOperations, req.EndpointType = true, 1
			return req
		}),
		s("cluster bad endpoint", func(*side) kmsg.Request {
			req := kmsg.NewPtrDescribeClusterRequest()
			req.EndpointType = 9
			return req
		}),
		s("log directories", func(*side) kmsg.Request {
			req := kmsg.NewPtrDescribeLogDirsRequest()
			rt := kmsg.NewDescribeLogDirsRequestTopic()
			rt.Topic, rt.Partitions = t, []int32{0, 1}
			req.Topics = append(req.Topics, rt)
			return req
		}),
		s("quorum", func(*side) kmsg.Request {
			req := kmsg.NewPtrDescribeQuorumRequest()
			rt := kmsg.NewDescribeQuorumRequestTopic()
			rt.Topic = "__cluster_metadata"
			rt.Partitions = append(rt.Partitions, kmsg.DescribeQuorumRequestTopicPartition{Partition: 0})
			req.Topics = append(req.Topics, rt)
			return req
		}),
		s("reassignments", func(*side) kmsg.Request {
			req := kmsg.NewPtrListPartitionReassignmentsRequest()
			req.TimeoutMillis = 10000
			return req
		}),
		s("elect", func(*side) kmsg.Request {
			req := kmsg.NewPtrElectLeadersRequest()
			req.TimeoutMillis = 10000
			for _, name := range []string{t, t + "-no"} {
				rt := kmsg.NewElectLeadersRequestTopic()
				rt.Topic, rt.Partitions = name, []int32{0}
				req.Topics = append(req.Topics, rt)
			}
			return req
		}),
		s("config resources", func(*side) kmsg.Request {
			req := kmsg.NewPtrListConfigResourcesRequest()
			req.ResourceTypes = []int8{16}
			return req
		}),
	}
}

func endSteps(t string) []step {
	return []step{
		s("delete topics", deleteTopics(t, t+"-c", t+"-no")),
		s("delete again", deleteTopics(t)),
		{name: "metadata of deleted", build: metadata(false, t), until: func(resp kmsg.Response) bool { return !known(resp) }},
		s("produce to deleted", produce(t, 0, -1, nil, plain(1, 0))),
		s("offsets of deleted", listOffsets(t, 0, -1, 0)),
	}
}
