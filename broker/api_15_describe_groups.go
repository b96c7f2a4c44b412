package broker

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeGroups (15). Versions 0-6. An unknown group is Dead without an error
// up to version 5, GROUP_ID_NOT_FOUND from 6 on.
func init() {
	register(15, 0, 6, func(b *Broker, rq *request, req *kmsg.DescribeGroupsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeGroupsResponse)
		for _, name := range req.Groups {
			if !rq.may(kmsg.ACLOperationDescribe, groupResource(name)) {
				sg := kmsg.NewDescribeGroupsResponseGroup()
				sg.Group, sg.AuthorizedOperations, sg.ErrorCode = name, math.MinInt32, kerr.GroupAuthorizationFailed.Code
				resp.Groups = append(resp.Groups, sg)
				continue
			}
			sg := b.describeGroup(name, req.Version)
			if req.IncludeAuthorizedOperations && sg.ErrorCode == 0 {
				sg.AuthorizedOperations = rq.authorizedOperations(groupResource(name))
			}
			resp.Groups = append(resp.Groups, sg)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) describeGroup(name string, version int16) kmsg.DescribeGroupsResponseGroup {
	sg := kmsg.NewDescribeGroupsResponseGroup()
	sg.Group, sg.AuthorizedOperations = name, math.MinInt32
	d, ok := b.groups.Describe(name)
	switch {
	case ok:
		sg.State, sg.ProtocolType, sg.Protocol = d.State, d.ProtocolType, d.Protocol
	case b.offsets.has(name) && !b.groups.Known(name):
		sg.State = "Empty"
	default:
		sg.State = "Dead"
		if version >= 6 {
			sg.ErrorCode = kerr.GroupIDNotFound.Code
		}
	}
	for _, m := range d.Members {
		sm := kmsg.NewDescribeGroupsResponseGroupMember()
		sm.MemberID, sm.InstanceID, sm.ClientID, sm.ClientHost = m.ID, optional(m.Instance), m.ClientID, m.ClientHost
		sm.ProtocolMetadata, sm.MemberAssignment = append([]byte{}, m.Metadata...), append([]byte{}, m.Assignment...)
		sg.Members = append(sg.Members, sm)
	}
	return sg
}
