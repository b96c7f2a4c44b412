package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// DescribeProducers (61). Version 0. The idempotent producers that a partition
// remembers, and where their open transactions begin (KIP-664).
func init() {
	register(61, 0, 0, func(b *Broker, rq *request, req *kmsg.DescribeProducersRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeProducersResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewDescribeProducersResponseTopic()
			st.Topic = rt.Topic
			allowed := rq.may(kmsg.ACLOperationRead, topicResource(rt.Topic))
			for _, partition := range rt.Partitions {
				sp := kmsg.NewDescribeProducersResponseTopicPartition()
				sp.Partition, sp.ActiveProducers = partition, []kmsg.DescribeProducersResponseTopicPartitionActiveProducer{}
				p := b.topics.partition(kafka.TopicPartition{Topic: rt.Topic, Partition: partition})
				switch {
				case !allowed:
					sp.ErrorCode = kerr.TopicAuthorizationFailed.Code
				case p == nil:
					sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				default:
					sp.ActiveProducers = append(sp.ActiveProducers, b.describeProducers(p)...)
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) describeProducers(p *partition) []kmsg.DescribeProducersResponseTopicPartitionActiveProducer {
	b.mu.Lock()
	active := p.producers.List()
	b.mu.Unlock()
	open := p.OpenTransactions()
	all := make([]kmsg.DescribeProducersResponseTopicPartitionActiveProducer, 0, len(active))
	for _, a := range active {
		sp := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
		sp.ProducerID, sp.ProducerEpoch = int64(a.ProducerID), int32(a.Epoch)
		sp.LastSequence, sp.LastTimestamp = a.LastSequence, int64(a.Last)
		sp.CoordinatorEpoch, sp.CurrentTxnStartOffset = -1, -1
		if first, ok := open[a.ProducerID]; ok {
			sp.CurrentTxnStartOffset = int64(first)
		}
		all = append(all, sp)
	}
	return all
}
