package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// DeleteRecords (21). Versions 0-2. Offset -1 is the high watermark. Topics that
// only compact refuse it: their readers rely on finding every key.
func init() {
	register(21, 0, 2, func(b *Broker, rq *request, req *kmsg.DeleteRecordsRequest) error {
		resp := req.ResponseKind().(*kmsg.DeleteRecordsResponse)
		for _, rt := range req.Topics {
			st := kmsg.NewDeleteRecordsResponseTopic()
			st.Topic = rt.Topic
			denied := rq.topicDenied(kmsg.ACLOperationDelete, rt.Topic, nil, false)
			for _, rp := range rt.Partitions {
				sp := kmsg.NewDeleteRecordsResponseTopicPartition()
				sp.Partition, sp.LowWatermark = rp.Partition, -1
				tp := kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				err := denied
				if err == nil {
					err = b.deleteRecords(tp, kafka.Offset(rp.Offset))
				}
				if p := b.topics.partition(tp); err == nil && p != nil {
					sp.LowWatermark = int64(p.Bounds().LogStart)
				}
				sp.ErrorCode = errorCode(err)
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) deleteRecords(tp kafka.TopicPartition, before kafka.Offset) error {
	p := b.topics.partition(tp)
	if p == nil {
		return ErrUnknownTopic
	}
	if b.protectedTopic(tp.Topic) {
		return fmt.Errorf("%w: %s belongs to the engine", kerr.TopicAuthorizationFailed, tp.Topic)
	}
	if t := b.topics.get(tp.Topic); t != nil {
		if _, set := t.config(); set.compact && !set.del {
			return fmt.Errorf("%w: %s is compacted and does not delete", kerr.PolicyViolation, tp.Topic)
		}
	}
	if before == -1 {
		before = p.Bounds().HighWatermark
	}
	return b.DeleteRecords(tp, before)
}
