package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// ElectLeaders (43). Versions 0-2. One node is the leader already: what exists
// is ELECTION_NOT_NEEDED. Null topics mean all, and then partitions that need no
// election are left out, as in Kafka: topics come without any.
func init() {
	register(43, 0, 2, func(b *Broker, rq *request, req *kmsg.ElectLeadersRequest) error {
		resp := req.ResponseKind().(*kmsg.ElectLeadersResponse)
		if req.ElectionType < 0 || req.ElectionType > 1 {
			resp.ErrorCode = kerr.InvalidRequest.Code
			rq.reply(resp)
			return nil
		}
		denied := !rq.may(kmsg.ACLOperationAlter, clusterResource)
		if denied {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		}
		if req.Topics == nil && !denied {
			b.topics.each(func(t *topic) {
				if t.isLive() && !b.protectedTopic(t.name) {
					st := kmsg.NewElectLeadersResponseTopic()
					st.Topic = t.name
					resp.Topics = append(resp.Topics, st)
				}
			})
		}
		for _, rt := range req.Topics {
			st := kmsg.NewElectLeadersResponseTopic()
			st.Topic = rt.Topic
			for _, partition := range rt.Partitions {
				sp := kmsg.NewElectLeadersResponseTopicPartition()
				sp.Partition, sp.ErrorCode = partition, kerr.ElectionNotNeeded.Code
				switch {
				case denied: // version 0 has no other place for it
					sp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
				case b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: partition}) == nil:
					sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}
