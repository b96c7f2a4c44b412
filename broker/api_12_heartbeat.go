package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Heartbeat (12). Versions 0-4.
func init() {
	register(12, 0, 4, func(b *Broker, rq *request, req *kmsg.HeartbeatRequest) error {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		if !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		resp.ErrorCode = coordinatorCode(b.groups.Heartbeat(req.Group, req.MemberID, deref(req.InstanceID), req.Generation))
		rq.reply(resp)
		return nil
	})
}
