package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListPartitionReassignments (46). Version 0. There is never one; kafka-topics
// --describe asks all the same.
func init() {
	register(46, 0, 0, func(_ *Broker, rq *request, req *kmsg.ListPartitionReassignmentsRequest) error {
		resp := req.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
		resp.Topics = []kmsg.ListPartitionReassignmentsResponseTopic{}
		if !rq.may(kmsg.ACLOperationDescribe, clusterResource) {
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		}
		rq.reply(resp)
		return nil
	})
}
