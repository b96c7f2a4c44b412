package broker

import (
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// ConsumerGroupHeartbeat (68). Versions 0-1.
//
// Members of groups of KIP-848 join, leave, say what they own and learn what they
// are assigned. It is answered when what it says is durable.
//
// Gaps: members of the classic and of this protocol are never in one group
// (group.consumer.migration.policy=disabled): a group moves from one to the other
// while it has no members. The rack of a member does not matter, there is one.
func init() {
	register(68, 0, 1, func(b *Broker, rq *request, req *kmsg.ConsumerGroupHeartbeatRequest) error {
		resp := req.ResponseKind().(*kmsg.ConsumerGroupHeartbeatResponse)
		if err := b.mayHeartbeat(rq, req); err != nil {
			resp.ErrorCode, resp.ErrorMessage = coordinatorCode(err), message(err)
			rq.reply(resp)
			return nil
		}
		b.groups.ConsumerHeartbeat(group.HeartbeatRequest{
			Group: req.Group, MemberID: req.MemberID, Epoch: req.MemberEpoch, Instance: req.InstanceID, Rack: req.RackID,
			ClientID: rq.clientID, ClientHost: "/" + rq.c.host,
			RebalanceTimeout: time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond,
			Subscribed:       req.SubscribedTopicNames, Regex: req.SubscribedTopicRegex, Assignor: req.ServerAssignor,
			Owned: ownedPartitions(req.Topics), MakeID: req.Version == 0,
			Visible: func(topic string) bool { return rq.maySee(kmsg.ACLOperationDescribe, topicResource(topic)) },
		}, func(h group.HeartbeatResponse) {
			resp.ErrorCode, resp.ErrorMessage = coordinatorCode(h.Err), message(h.Err)
			if h.Err != nil {
				rq.reply(resp)
				return
			}
			resp.MemberID, resp.MemberEpoch = &h.MemberID, h.Epoch
			if h.Epoch >= 0 { // who leaves has nothing to beat for
				resp.HeartbeatIntervalMillis = int32(h.Interval.Milliseconds())
			}
			if h.Assignment != nil {
				resp.Assignment = &kmsg.ConsumerGroupHeartbeatResponseAssignment{Topics: []kmsg.ConsumerGroupHeartbeatResponseAssignmentTopic{}}
				for topic, partitions := range h.Assignment {
					at := kmsg.NewConsumerGroupHeartbeatResponseAssignmentTopic()
					at.TopicID, at.Partitions = topic, partitions
					resp.Assignment.Topics = append(resp.Assignment.Topics, at)
				}
			}
			rq.reply(resp)
		})
		return nil
	})
}

// mayHeartbeat decides whether the peer may be a member of the group and
// subscribe to the topics it names.
func (b *Broker) mayHeartbeat(rq *request, req *kmsg.ConsumerGroupHeartbeatRequest) error {
	switch {
	case !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)):
		return kerr.GroupAuthorizationFailed
	case b.protectedGroup(req.Group):
		return fmt.Errorf("%w: %s belongs to the engine", kerr.GroupAuthorizationFailed, req.Group)
	}
	for _, topic := range req.SubscribedTopicNames {
		if !rq.may(kmsg.ACLOperationDescribe, topicResource(topic)) {
			return kerr.TopicAuthorizationFailed
		}
	}
	return nil
}

func ownedPartitions(topics []kmsg.ConsumerGroupHeartbeatRequestTopic) group.Partitions {
	if topics == nil {
		return nil
	}
	owned := group.Partitions{}
	for _, t := range topics {
		owned[t.TopicID] = append(owned[t.TopicID], t.Partitions...)
	}
	return owned
}
