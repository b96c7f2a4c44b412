package broker

import (
	"math"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// DescribeCluster (60). Versions 0-2. Endpoint type 2 (controllers) is not
// served.
func init() {
	register(60, 0, 2, func(b *Broker, rq *request, req *kmsg.DescribeClusterRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeClusterResponse)
		resp.ControllerID, resp.ClusterAuthorizedOperations, resp.EndpointType = -1, math.MinInt32, 1
		if req.Version >= 1 && req.EndpointType != 1 {
			resp.ErrorCode = kerr.UnsupportedEndpointType.Code
			rq.reply(resp)
			return nil
		}
		resp.ClusterID, resp.ControllerID = b.clusterID, nodeID
		if req.IncludeClusterAuthorizedOperations {
			resp.ClusterAuthorizedOperations = 0 // who may not even describe it
			if rq.maySee(kmsg.ACLOperationDescribe, clusterResource) {
				resp.ClusterAuthorizedOperations = rq.authorizedOperations(clusterResource)
			}
		}
		broker := kmsg.NewDescribeClusterResponseBroker()
		broker.NodeID = nodeID
		broker.Host, broker.Port = b.advertised(rq.c)
		resp.Brokers = append(resp.Brokers, broker)
		rq.reply(resp)
		return nil
	})
}
