package broker

import (
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/group"
)

// JoinGroup (11). Versions 0-9. Classic groups; see package group.
func init() {
	register(11, 0, 9, func(b *Broker, rq *request, req *kmsg.JoinGroupRequest) error {
		resp := req.ResponseKind().(*kmsg.JoinGroupResponse)
		if b.protectedGroup(req.Group) || !rq.may(kmsg.ACLOperationRead, groupResource(req.Group)) {
			resp.ErrorCode = kerr.GroupAuthorizationFailed.Code
			rq.reply(resp)
			return nil
		}
		r := group.JoinRequest{
			Group: req.Group, MemberID: req.MemberID, Instance: deref(req.InstanceID),
			ClientID: rq.clientID, ClientHost: "/" + rq.c.host,
			ProtocolType:     req.ProtocolType,
			SessionTimeout:   time.Duration(req.SessionTimeoutMillis) * time.Millisecond,
			RebalanceTimeout: time.Duration(req.RebalanceTimeoutMillis) * time.Millisecond,
			RequireKnownID:   req.Version >= 4,
			HasOffsets:       b.offsets.has(req.Group),
		}
		if req.Version == 0 {
			r.RebalanceTimeout = r.SessionTimeout
		}
		for _, p := range req.Protocols {
			r.Protocols = append(r.Protocols, group.Protocol{Name: p.Name, Metadata: p.Metadata})
		}
		b.groups.Join(r, func(j group.JoinResponse) {
			resp.ErrorCode, resp.Generation, resp.LeaderID, resp.MemberID = coordinatorCode(j.Err), j.Generation, j.Leader, j.MemberID
			resp.ProtocolType, resp.SkipAssignment = optional(j.ProtocolType), j.SkipAssignment
			resp.Protocol = &j.Protocol
			if j.Protocol == "" && req.Version >= 7 {
				resp.Protocol = nil
			}
			for _, m := range j.Members {
				sm := kmsg.NewJoinGroupResponseMember()
				sm.MemberID, sm.InstanceID, sm.ProtocolMetadata = m.ID, optional(m.Instance), m.Metadata
				resp.Members = append(resp.Members, sm)
			}
			rq.reply(resp)
		})
		return nil
	})
}
