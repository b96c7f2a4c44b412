package main

import (
	"cmp"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinGroup joins as the member that the side knows, or as a new one.
func joinGroup(g string, fresh bool, session int32, kind, protocol string) step {
	return step{name: "join " + protocol + " of " + kind, build: func(s *side) kmsg.Request {
		req := kmsg.NewPtrJoinGroupRequest()
		req.Group, req.SessionTimeoutMillis, req.RebalanceTimeoutMillis, req.MemberID, req.ProtocolType = g, session, 10000, s.member[g], kind
		if fresh {
			req.MemberID = ""
		}
		p := kmsg.NewJoinGroupRequestProtocol()
		p.Name, p.Metadata = protocol, consumerMetadata(g)
		req.Protocols = append(req.Protocols, p)
		return req
	}, learn: func(s *side, resp kmsg.Response) {
		r := resp.(*kmsg.JoinGroupResponse)
		if r.ErrorCode == 0 || r.ErrorCode == 79 {
			s.member[g], s.generation[g] = r.MemberID, r.Generation
		}
	}}
}

// consumerMetadata is a subscription of the consumer protocol, version 0.
func consumerMetadata(topic string) []byte {
	m := kmsg.NewConsumerMemberMetadata()
	m.Topics = []string{topic}
	return m.AppendTo(nil)
}

func syncGroup(g string, generation func(*side) int32, kind, protocol string) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrSyncGroupRequest()
		req.Group, req.MemberID, req.Generation, req.ProtocolType, req.Protocol = g, s.member[g], generation(s), &kind, &protocol
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = s.member[g], []byte{0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
		req.GroupAssignment = append(req.GroupAssignment, a)
		return req
	}
}

// heartbeat is the known member's where none is named.
func heartbeat(g, member string, generation func(*side) int32) func(*side) kmsg.Request {
	return func(s *side) kmsg.Request {
		req := kmsg.NewPtrHeartbeatRequest()
		req.Group, req.MemberID, req.Generation = g, s.member[g], generation(s)
		if member != "" {
			req.MemberID = member
		}
		return req
	}
}

func leaveGroup(g, member string) func(*side) kmsg.Request {
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

func describeGroups(groups ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeGroupsRequest()
		req.Groups, req.IncludeAuthorizedOperations = groups, true
		return req
	}
}

func listGroups(states ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrListGroupsRequest()
		req.StatesFilter = states
		return req
	}
}

func deleteGroups(groups ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDeleteGroupsRequest()
		req.Groups = groups
		return req
	}
}

func deleteOffsets(group, topic string, partition int32) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrOffsetDeleteRequest()
		req.Group = group
		rt := kmsg.NewOffsetDeleteRequestTopic()
		rt.Topic = topic
		rt.Partitions = append(rt.Partitions, kmsg.OffsetDeleteRequestTopicPartition{Partition: partition})
		req.Topics = append(req.Topics, rt)
		return req
	}
}

// beat is a heartbeat of a member of a group of KIP-848, full when it subscribes.
// In the oldest version the broker draws the member's id.
func beat(name, group, member string, epoch func(*side) int32, subscribe []string) step {
	id := group + "/" + member
	return step{name: name, build: func(s *side) kmsg.Request {
		req := kmsg.NewPtrConsumerGroupHeartbeatRequest()
		req.Group, req.MemberID, req.MemberEpoch, req.RebalanceTimeoutMillis = group, cmp.Or(s.member[id], member), epoch(s), -1
		if subscribe != nil {
			req.RebalanceTimeoutMillis, req.SubscribedTopicNames, req.Topics = 30000, subscribe, []kmsg.ConsumerGroupHeartbeatRequestTopic{}
		}
		return req
	}, learn: func(s *side, resp kmsg.Response) {
		r := resp.(*kmsg.ConsumerGroupHeartbeatResponse)
		if r.ErrorCode != 0 {
			return
		}
		s.generation[id], s.member[id] = max(r.MemberEpoch, 0), member // who has left is to join
		if r.MemberID != nil {
			s.member[id] = *r.MemberID
		}
	}}
}

func describeConsumers(groups ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrConsumerGroupDescribeRequest()
		req.Groups, req.IncludeAuthorizedOperations = groups, true
		return req
	}
}
