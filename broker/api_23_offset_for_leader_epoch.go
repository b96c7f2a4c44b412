package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// OffsetForLeaderEpoch (23). Versions 2-4; the floor is 2 because librdkafka
// speaks nothing else. The leader epoch grows at every start, so that clients
// notice when a crash cut records that were never acknowledged. Besides who may
// describe the topic, who may act as a broker (CLUSTER_ACTION) is answered.
func init() {
	register(23, 2, 4, func(b *Broker, rq *request, req *kmsg.OffsetForLeaderEpochRequest) error {
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		isBroker := rq.maySee(kmsg.ACLOperationClusterAction, clusterResource)
		for _, rt := range req.Topics {
			st := kmsg.NewOffsetForLeaderEpochResponseTopic()
			st.Topic = rt.Topic
			var denied error
			if !isBroker {
				denied = rq.topicDenied(kmsg.ACLOperationDescribe, rt.Topic, nil, false)
			}
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				sp.Partition, sp.LeaderEpoch, sp.EndOffset = rp.Partition, -1, -1
				p := b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition})
				if denied != nil {
					sp.ErrorCode = errorCode(denied)
				} else if p == nil {
					sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				} else if sp.ErrorCode = b.checkLeaderEpoch(rp.CurrentLeaderEpoch); sp.ErrorCode == 0 && rp.LeaderEpoch >= 0 {
					epoch, end := p.EndOfEpoch(rp.LeaderEpoch, b.epoch)
					sp.LeaderEpoch, sp.EndOffset = epoch, int64(end)
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}
