package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// FindCoordinator (10). Versions 0-6.
//
// This broker coordinates every group and transactional id. Share groups (key
// type 2) are not served.
func init() {
	register(10, 0, 6, func(b *Broker, rq *request, req *kmsg.FindCoordinatorRequest) error {
		resp := req.ResponseKind().(*kmsg.FindCoordinatorResponse)
		host, port := b.advertised(rq.c)
		keys := req.CoordinatorKeys
		if req.Version < 4 {
			keys = []string{req.CoordinatorKey}
		}
		for _, key := range keys {
			c := kmsg.NewFindCoordinatorResponseCoordinator()
			c.Key, c.NodeID, c.Host, c.Port = key, nodeID, host, port
			switch {
			case req.CoordinatorType < 0 || req.CoordinatorType > 1:
				c.ErrorCode = kerr.InvalidRequest.Code
			case req.CoordinatorType == 0 && !rq.may(kmsg.ACLOperationDescribe, groupResource(key)):
				c.ErrorCode = kerr.GroupAuthorizationFailed.Code
			case req.CoordinatorType == 1 && !rq.may(kmsg.ACLOperationDescribe, txnResource(key)):
				c.ErrorCode = kerr.TransactionalIDAuthorizationFailed.Code
			}
			if c.ErrorCode != 0 {
				c.NodeID, c.Host, c.Port = -1, "", -1
			}
			resp.Coordinators = append(resp.Coordinators, c)
		}
		if req.Version < 4 {
			c := resp.Coordinators[0]
			resp.ErrorCode, resp.NodeID, resp.Host, resp.Port = c.ErrorCode, c.NodeID, c.Host, c.Port
			resp.Coordinators = nil
		}
		rq.reply(resp)
		return nil
	})
}
