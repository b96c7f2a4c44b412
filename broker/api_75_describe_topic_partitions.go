package broker

import (
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeTopicPartitions (75). Version 0. Topics come in name order; an answer
// holds at most describePartitionsMax partitions, and a cursor says where the
// next one goes on. No topics mean all. Topics that the peer may not see come last.
func init() {
	register(75, 0, 0, func(b *Broker, rq *request, req *kmsg.DescribeTopicPartitionsRequest) error {
		rq.reply(b.describeTopicPartitions(rq, req))
		return nil
	})
}

// describePartitionsMax (max.request.partition.size.limit) bounds the partitions
// of one answer.
const describePartitionsMax = 2000

func (b *Broker) describeTopicPartitions(rq *request, req *kmsg.DescribeTopicPartitionsRequest) *kmsg.DescribeTopicPartitionsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeTopicPartitionsResponse)
	var names []string
	for _, rt := range req.Topics {
		names = append(names, rt.Topic)
	}
	all := len(names) == 0
	if all {
		for _, t := range b.Topics() {
			if rq.maySee(kmsg.ACLOperationDescribe, topicResource(t.Name)) {
				names = append(names, t.Name)
			}
		}
	}
	slices.Sort(names)
	names = slices.Compact(names)
	var from int32
	if req.Cursor != nil {
		if !all && !slices.Contains(names, req.Cursor.Topic) {
			return badCursor(resp, names)
		}
		names = slices.DeleteFunc(names, func(n string) bool { return n < req.Cursor.Topic })
		if len(names) > 0 && names[0] == req.Cursor.Topic {
			from = max(req.Cursor.Partition, 0)
		}
	}
	left := max(1, min(describePartitionsMax, req.ResponsePartitionLimit))
	var refused []kmsg.DescribeTopicPartitionsResponseTopic
	for _, name := range names {
		if left <= 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: from}
			break
		}
		st, next, ok := b.topicPartitions(rq, name, from, left)
		if !ok && all {
			continue
		}
		if st.ErrorCode == kerr.TopicAuthorizationFailed.Code {
			refused = append(refused, st)
			continue
		}
		resp.Topics = append(resp.Topics, st)
		left -= int32(len(st.Partitions))
		from = 0
		if next > 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: next}
			break
		}
	}
	resp.Topics = append(resp.Topics, refused...)
	return resp
}

// badCursor refuses every topic: the cursor's is none of them.
func badCursor(resp *kmsg.DescribeTopicPartitionsResponse, names []string) *kmsg.DescribeTopicPartitionsResponse {
	for _, name := range names {
		st := kmsg.NewDescribeTopicPartitionsResponseTopic()
		st.Topic, st.ErrorCode, st.AuthorizedOperations = &name, kerr.InvalidRequest.Code, math.MinInt32
		resp.Topics = append(resp.Topics, st)
	}
	return resp
}

// topicPartitions describes at most limit partitions of a topic from one on; next
// is the first that did not fit, 0 for none. ok is false when the topic cannot be
// shown.
func (b *Broker) topicPartitions(rq *request, name string, from, limit int32) (st kmsg.DescribeTopicPartitionsResponseTopic, next int32, ok bool) {
	st = kmsg.NewDescribeTopicPartitionsResponseTopic()
	st.Topic, st.AuthorizedOperations = &name, math.MinInt32
	if !rq.may(kmsg.ACLOperationDescribe, topicResource(name)) {
		st.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return st, 0, false
	}
	st.AuthorizedOperations = rq.authorizedOperations(topicResource(name))
	t := b.topics.get(name)
	if t == nil {
		st.ErrorCode = kerr.UnknownTopicOrPartition.Code
		return st, 0, false
	}
	info := t.info()
	st.TopicID, st.IsInternal = info.ID, info.Internal
	for i := from; i < info.Partitions; i++ {
		if i-from == limit {
			return st, i, true
		}
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		p.Partition, p.LeaderID, p.LeaderEpoch = i, nodeID, b.epoch
		p.Replicas, p.ISR = []int32{nodeID}, []int32{nodeID}
		p.EligibleLeaderReplicas, p.LastKnownELR, p.OfflineReplicas = []int32{}, []int32{}, []int32{}
		st.Partitions = append(st.Partitions, p)
	}
	return st, 0, true
}
