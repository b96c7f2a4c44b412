package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// LeaveGroup (13). Versions 0-5.
func init() {
	register(13, 0, 5, func(b *Broker, rq *request, req *kmsg.LeaveGroupRequest) error {
		resp := req.ResponseKind().(*kmsg.LeaveGroupResponse)
		if !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		members := []group.LeaveMember{{ID: req.MemberID}}
		if req.Version >= 3 {
			members = nil
			for _, m := range req.Members {
				members = append(members, group.LeaveMember{ID: m.MemberID, Instance: deref(m.InstanceID)})
			}
		}
		errs, err := b.groups.Leave(req.Group, members)
		resp.ErrorCode = coordinatorCode(err)
		for i, err := range errs {
			if req.Version < 3 {
				resp.ErrorCode = coordinatorCode(err)
				break
			}
			m := kmsg.NewLeaveGroupResponseMember()
			m.MemberID, m.InstanceID, m.ErrorCode = req.Members[i].MemberID, req.Members[i].InstanceID, coordinatorCode(err)
			resp.Members = append(resp.Members, m)
		}
		rq.reply(resp)
		return nil
	})
}
