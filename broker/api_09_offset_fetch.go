package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// OffsetFetch (9). Versions 1-10.
//
// No topics (null) means all that the group has. An offset that was not
// committed is -1 without an error. With require_stable an offset that an open
// transaction may change is UNSTABLE_OFFSET_COMMIT.
func init() {
	register(9, 1, 10, func(b *Broker, rq *request, req *kmsg.OffsetFetchRequest) error {
		resp := req.ResponseKind().(*kmsg.OffsetFetchResponse)
		if req.Version >= 8 {
			for _, g := range req.Groups {
				resp.Groups = append(resp.Groups, b.fetchGroupOffsets(rq, g, req.Version, req.RequireStable))
			}
			rq.reply(resp)
			return nil
		}
		// Before version 8 there is one group, at the top level.
		g := kmsg.NewOffsetFetchRequestGroup()
		g.Group, g.MemberEpoch = req.Group, -1
		if req.Topics != nil {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		for _, rt := range req.Topics {
			gt := kmsg.NewOffsetFetchRequestGroupTopic()
			gt.Topic, gt.Partitions = rt.Topic, rt.Partitions
			g.Topics = append(g.Topics, gt)
		}
		if req.Version < 2 && g.Topics == nil {
			g.Topics = []kmsg.OffsetFetchRequestGroupTopic{}
		}
		one := b.fetchGroupOffsets(rq, g, req.Version, req.RequireStable)
		resp.ErrorCode = one.ErrorCode
		if req.Version < 2 && one.ErrorCode != 0 { // there the code is each partition's
			one.Topics = refusedOffsets(g.Topics, one.ErrorCode)
		}
		for _, gt := range one.Topics {
			st := kmsg.NewOffsetFetchResponseTopic()
			st.Topic = gt.Topic
			for _, gp := range gt.Partitions {
				sp := kmsg.NewOffsetFetchResponseTopicPartition()
				sp.Partition, sp.Offset, sp.LeaderEpoch, sp.Metadata, sp.ErrorCode = gp.Partition, gp.Offset, gp.LeaderEpoch, gp.Metadata, gp.ErrorCode
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) fetchGroupOffsets(rq *request, g kmsg.OffsetFetchRequestGroup, version int16, stable bool) kmsg.OffsetFetchResponseGroup {
	sg := kmsg.NewOffsetFetchResponseGroup()
	sg.Group = g.Group
	if g.Group == "" {
		sg.ErrorCode = kerr.InvalidGroupID.Code
		return sg
	}
	if !rq.may(kmsg.ACLOperationDescribe, groupResource(g.Group)) {
		sg.ErrorCode = kerr.GroupAuthorizationFailed.Code
		return sg
	}
	if err := b.groups.CheckFetch(g.Group, deref(g.MemberID), g.MemberEpoch); err != nil {
		sg.ErrorCode = coordinatorCode(err)
		return sg
	}
	if g.Topics == nil {
		b.fetchAllOffsets(rq, &sg, stable)
		return sg
	}
	for _, rt := range g.Topics {
		st := kmsg.NewOffsetFetchResponseGroupTopic()
		st.Topic, st.TopicID = rt.Topic, rt.TopicID
		name, known := rt.Topic, true
		var t *topic
		if version >= 10 {
			t = b.topics.getID(rt.TopicID)
			if known = t != nil; known {
				name = t.name
			}
		}
		denied := rq.topicDenied(kmsg.ACLOperationDescribe, rt.Topic, t, version >= 10)
		for _, partition := range rt.Partitions {
			if denied != nil {
				sp := noOffset(partition)
				sp.ErrorCode = errorCode(denied)
				st.Partitions = append(st.Partitions, sp)
				continue
			}
			sp := b.fetchOffset(g.Group, kafka.TopicPartition{Topic: name, Partition: partition}, stable)
			if !known {
				sp.ErrorCode = kerr.UnknownTopicID.Code
			}
			st.Partitions = append(st.Partitions, sp)
		}
		sg.Topics = append(sg.Topics, st)
	}
	return sg
}

// fetchAllOffsets answers for every topic-partition that the group has.
func (b *Broker) fetchAllOffsets(rq *request, sg *kmsg.OffsetFetchResponseGroup, stable bool) {
	for _, tp := range b.offsets.partitions(sg.Group) {
		if !rq.maySee(kmsg.ACLOperationDescribe, topicResource(tp.Topic)) {
			continue
		}
		if n := len(sg.Topics); n == 0 || sg.Topics[n-1].Topic != tp.Topic {
			st := kmsg.NewOffsetFetchResponseGroupTopic()
			st.Topic = tp.Topic
			if t := b.topics.get(tp.Topic); t != nil {
				st.TopicID = t.id
			}
			sg.Topics = append(sg.Topics, st)
		}
		st := &sg.Topics[len(sg.Topics)-1]
		st.Partitions = append(st.Partitions, b.fetchOffset(sg.Group, tp, stable))
	}
}

func (b *Broker) fetchOffset(group string, tp kafka.TopicPartition, stable bool) kmsg.OffsetFetchResponseGroupTopicPartition {
	sp := noOffset(tp.Partition)
	c, ok, unstable := b.offsets.get(group, tp)
	if unstable && stable {
		sp.ErrorCode = kerr.UnstableOffsetCommit.Code
		return sp
	}
	if ok {
		sp.Offset, sp.LeaderEpoch, sp.Metadata = int64(c.next), c.leaderEpoch, &c.metadata
	}
	return sp
}

// noOffset answers for a partition that has no committed offset.
func noOffset(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	sp := kmsg.NewOffsetFetchResponseGroupTopicPartition()
	empty := ""
	sp.Partition, sp.Offset, sp.LeaderEpoch, sp.Metadata = partition, -1, -1, &empty
	return sp
}

// refusedOffsets answers every partition with one code.
func refusedOffsets(topics []kmsg.OffsetFetchRequestGroupTopic, code int16) (refused []kmsg.OffsetFetchResponseGroupTopic) {
	for _, rt := range topics {
		st := kmsg.NewOffsetFetchResponseGroupTopic()
		st.Topic = rt.Topic
		for _, partition := range rt.Partitions {
			sp := noOffset(partition)
			sp.ErrorCode = code
			st.Partitions = append(st.Partitions, sp)
		}
		refused = append(refused, st)
	}
	return refused
}
