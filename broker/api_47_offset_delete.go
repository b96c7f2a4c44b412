package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/kafka"
)

// OffsetDelete (47). Version 0. Offsets of topics that the group's members
// subscribe to stay: GROUP_SUBSCRIBED_TO_TOPIC (KIP-496).
func init() {
	register(47, 0, 0, func(b *Broker, rq *request, req *kmsg.OffsetDeleteRequest) error {
		resp := req.ResponseKind().(*kmsg.OffsetDeleteResponse)
		subscribed, err := b.mayDeleteOffsets(rq, req.Group)
		if err != nil {
			resp.ErrorCode = coordinatorCode(err)
			rq.reply(resp)
			return nil
		}
		gone := groupOffsets{}
		for _, rt := range req.Topics {
			st := kmsg.NewOffsetDeleteResponseTopic()
			st.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				sp := kmsg.NewOffsetDeleteResponseTopicPartition()
				sp.Partition = rp.Partition
				tp := kafka.TopicPartition{Topic: rt.Topic, Partition: rp.Partition}
				switch {
				case !rq.may(kmsg.ACLOperationRead, topicResource(rt.Topic)):
					sp.ErrorCode = kerr.TopicAuthorizationFailed.Code
				case b.topics.partition(tp) == nil:
					sp.ErrorCode = kerr.UnknownTopicOrPartition.Code
				case subscribed(rt.Topic):
					sp.ErrorCode = kerr.GroupSubscribedToTopic.Code
				default:
					gone[tp] = committed{}
				}
				st.Partitions = append(st.Partitions, sp)
			}
			resp.Topics = append(resp.Topics, st)
		}
		if len(gone) > 0 {
			c := newChange(64 * len(gone))
			err := b.submitWait(c, func() error {
				b.stage(c, &offsetsDeleted{req.Group, gone})
				return nil
			})
			resp.ErrorCode = coordinatorCode(err)
		}
		rq.reply(resp)
		return nil
	})
}

// mayDeleteOffsets checks the group and returns which topics its members
// subscribe to.
func (b *Broker) mayDeleteOffsets(rq *request, name string) (subscribed func(topic string) bool, err error) {
	if !rq.may(kmsg.ACLOperationDelete, groupResource(name)) {
		return nil, kerr.GroupAuthorizationFailed
	}
	if b.protectedGroup(name) {
		return nil, fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, name)
	}
	d, ok := b.groups.Describe(name)
	if !ok && !b.offsets.has(name) {
		return nil, kerr.GroupIDNotFound
	}
	if len(d.Members) > 0 && d.ProtocolType != "consumer" {
		return nil, kerr.NonEmptyGroup
	}
	return d.Subscribes, nil
}
