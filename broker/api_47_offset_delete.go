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
		if err := b.mayDeleteOffsets(rq, req.Group); err != nil {
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
				default:
					subscribed, err := b.groups.Subscribes(req.Group, rt.Topic)
					switch {
					case err != nil:
						sp.ErrorCode = coordinatorCode(err)
					case subscribed:
						sp.ErrorCode = kerr.GroupSubscribedToTopic.Code
					default:
						gone[tp] = committed{}
					}
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

// mayDeleteOffsets checks the group.
func (b *Broker) mayDeleteOffsets(rq *request, name string) error {
	switch {
	case !rq.may(kmsg.ACLOperationDelete, groupResource(name)):
		return kerr.GroupAuthorizationFailed
	case b.protectedGroup(name):
		return fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, name)
	case !b.groups.Known(name) && !b.offsets.has(name):
		return kerr.GroupIDNotFound
	}
	// Of members that are no consumers nobody knows what they read.
	if _, err := b.groups.Subscribes(name, ""); err != nil {
		return err
	}
	return nil
}
