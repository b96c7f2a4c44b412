package broker

import (
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListConfigResources (74). Versions 0-1. What DescribeConfigs can be asked for:
// topics, this broker and groups. Version 0 asks for client metrics only, which
// there are none of.
func init() {
	register(74, 0, 1, func(b *Broker, rq *request, req *kmsg.ListConfigResourcesRequest) error {
		resp := req.ResponseKind().(*kmsg.ListConfigResourcesResponse)
		resp.ConfigResources = []kmsg.ListConfigResourcesResponseConfigResource{}
		switch {
		case !rq.may(kmsg.ACLOperationDescribeConfigs, clusterResource):
			resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		case req.Version >= 1:
			b.listConfigResources(req.ResourceTypes, resp)
		}
		rq.reply(resp)
		return nil
	})
}

func (b *Broker) listConfigResources(kinds []int8, resp *kmsg.ListConfigResourcesResponse) {
	add := func(kind kmsg.ConfigResourceType, names []string) {
		if len(kinds) > 0 && !slices.Contains(kinds, int8(kind)) {
			return
		}
		for _, name := range names {
			r := kmsg.NewListConfigResourcesResponseConfigResource()
			r.Name, r.Type = name, int8(kind)
			resp.ConfigResources = append(resp.ConfigResources, r)
		}
	}
	var topics []string
	for _, t := range b.Topics() {
		topics = append(topics, t.Name)
	}
	add(kmsg.ConfigResourceTypeTopic, topics)
	add(kmsg.ConfigResourceTypeBroker, []string{strconv.Itoa(nodeID)})
	for _, kind := range kinds {
		known := []kmsg.ConfigResourceType{kmsg.ConfigResourceTypeTopic, kmsg.ConfigResourceTypeBroker, kmsg.ConfigResourceTypeBrokerLogger, kmsg.ConfigResourceTypeClientMetrics, kmsg.ConfigResourceTypeGroupConfig}
		if !slices.Contains(known, kmsg.ConfigResourceType(kind)) {
			resp.ErrorCode = kerr.UnsupportedVersion.Code
		}
	}
}
