package broker

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat (12). Versions 0-4.
func init() {
	register(12, 0, 4, func(b *Broker, rq *request, req *kmsg.HeartbeatRequest) error {
		resp := req.ResponseKind().(*kmsg.HeartbeatResponse)
		resp.ErrorCode = coordinatorCode(b.groups.Heartbeat(req.Group, req.MemberID, deref(req.InstanceID), req.Generation))
		rq.reply(resp)
		return nil
	})
}
