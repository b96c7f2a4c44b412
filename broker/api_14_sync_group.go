package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// SyncGroup (14). Versions 0-5.
func init() {
	register(14, 0, 5, func(b *Broker, rq *request, req *kmsg.SyncGroupRequest) error {
		resp := req.ResponseKind().(*kmsg.SyncGroupResponse)
		if !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		r := group.SyncRequest{
			Group: req.Group, MemberID: req.MemberID, Instance: deref(req.InstanceID), Generation: req.Generation,
			ProtocolType: deref(req.ProtocolType), Protocol: deref(req.Protocol), Assignments: map[string][]byte{},
		}
		for _, a := range req.GroupAssignment {
			r.Assignments[a.MemberID] = a.MemberAssignment
		}
		b.groups.Sync(r, func(s group.SyncResponse) {
			resp.ErrorCode = coordinatorCode(s.Err)
			resp.ProtocolType, resp.Protocol = optional(s.ProtocolType), optional(s.Protocol)
			resp.MemberAssignment = append([]byte{}, s.Assignment...)
			rq.reply(resp)
		})
		return nil
	})
}
