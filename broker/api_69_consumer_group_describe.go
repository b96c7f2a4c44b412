package broker

import (
	"cmp"
	"math"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// ConsumerGroupDescribe (69). Versions 0-1. Classic groups are
// GROUP_ID_NOT_FOUND, by which clients know to ask DescribeGroups.
func init() {
	register(69, 0, 1, func(b *Broker, rq *request, req *kmsg.ConsumerGroupDescribeRequest) error {
		resp := req.ResponseKind().(*kmsg.ConsumerGroupDescribeResponse)
		for _, name := range req.Groups {
			sg := kmsg.NewConsumerGroupDescribeResponseGroup()
			sg.Group, sg.AuthorizedOperations = name, math.MinInt32
			switch d, ok := b.groups.DescribeConsumer(name); {
			case name == "":
				sg.ErrorCode = kerr.InvalidGroupID.Code
			case !rq.may(kmsg.ACLOperationDescribe, groupResource(name)):
				sg.ErrorCode = kerr.GroupAuthorizationFailed.Code
			case !ok:
				sg.ErrorCode = kerr.GroupIDNotFound.Code
			default:
				b.describeConsumers(&sg, d)
				if req.IncludeAuthorizedOperations {
					sg.AuthorizedOperations = rq.authorizedOperations(groupResource(name))
				}
			}
			resp.Groups = append(resp.Groups, sg)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) describeConsumers(sg *kmsg.ConsumerGroupDescribeResponseGroup, d group.ConsumerDescription) {
	sg.State, sg.Epoch, sg.AssignmentEpoch, sg.AssignorName = d.State, d.Epoch, d.Computed, d.Assignor
	for _, m := range d.Members {
		sm := kmsg.NewConsumerGroupDescribeResponseGroupMember()
		sm.MemberID, sm.InstanceID, sm.RackID = m.ID, optional(m.Instance), optional(m.Rack)
		sm.MemberEpoch, sm.ClientID, sm.ClientHost, sm.MemberType = m.Epoch, m.ClientID, m.ClientHost, 1
		if m.Classic {
			sm.MemberType = 0
		}
		sm.SubscribedTopics, sm.SubscribedTopicRegex = m.Subscribed, &m.Regex
		sm.Assignment, sm.TargetAssignment = b.describeAssignment(m.Assigned), b.describeAssignment(m.Target)
		sg.Members = append(sg.Members, sm)
	}
}

// describeAssignment names the topics of an assignment; those deleted meanwhile
// are left out.
func (b *Broker) describeAssignment(p group.Partitions) kmsg.Assignment {
	a := kmsg.NewAssignment()
	for id, partitions := range p {
		if t := b.topics.getID(id); t != nil {
			at := kmsg.NewAssignmentTopicPartition()
			at.TopicID, at.Topic, at.Partitions = id, t.name, partitions
			a.TopicPartitions = append(a.TopicPartitions, at)
		}
	}
	slices.SortFunc(a.TopicPartitions, func(x, y kmsg.AssignmentTopicPartition) int { return cmp.Compare(x.Topic, y.Topic) })
	return a
}
