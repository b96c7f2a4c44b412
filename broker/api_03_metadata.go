package broker

import (
	"errors"
	"math"
	"net"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Metadata (3). Versions 0-13.
//
// Null topics mean all, an empty list none (in version 0: all). A topic that is
// asked for by name and does not exist is created at once when the request and
// the configuration allow it. Topics asked for by id are looked up, never made.
//
// Topics that the peer may not describe are left out when all are asked for, and
// answered alike whether they exist or not when they are named.
func init() {
	register(3, 0, 13, func(b *Broker, rq *request, req *kmsg.MetadataRequest) error {
		rq.reply(b.metadata(rq, req))
		return nil
	})
}

// nodeID is this broker's id.
const nodeID = 1

// advertised returns the address that clients of this connection are told: that
// of the listener which they came in on.
func (b *Broker) advertised(c *conn) (host string, port int32) {
	if a, ok := c.raw.LocalAddr().(*net.TCPAddr); ok {
		host, port = a.IP.String(), int32(a.Port)
	}
	if c.from.AdvertisedHost != "" {
		host = c.from.AdvertisedHost
	} else if b.cfg.AdvertisedHost != "" {
		host = b.cfg.AdvertisedHost
	}
	if c.from.AdvertisedPort != 0 {
		port = c.from.AdvertisedPort
	} else if b.cfg.AdvertisedPort != 0 {
		port = b.cfg.AdvertisedPort
	}
	return host, port
}

func (b *Broker) metadata(rq *request, req *kmsg.MetadataRequest) *kmsg.MetadataResponse {
	resp := kmsg.NewPtrMetadataResponse()
	broker := kmsg.NewMetadataResponseBroker()
	broker.NodeID = nodeID
	broker.Host, broker.Port = b.advertised(rq.c)
	resp.Brokers = append(resp.Brokers, broker)
	resp.ClusterID, resp.ControllerID = &b.clusterID, nodeID
	resp.AuthorizedOperations = math.MinInt32
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = rq.authorizedOperations(clusterResource)
	}
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		b.topics.each(func(t *topic) {
			if t.isLive() && rq.maySee(kmsg.ACLOperationDescribe, topicResource(t.name)) {
				resp.Topics = append(resp.Topics, b.describeTopic(rq, req, t))
			}
		})
		return resp
	}
	create := !b.cfg.DisableAutoCreate && (req.Version < 4 || req.AllowAutoTopicCreation)
	type identity struct {
		name string
		id   [16]byte
	}
	asked := map[identity]bool{}
	for _, rt := range req.Topics {
		who := identity{name: deref(rt.Topic)}
		if rt.Topic == nil {
			who.id = rt.TopicID
		}
		if asked[who] {
			continue
		}
		asked[who] = true
		resp.Topics = append(resp.Topics, b.metadataTopic(rq, req, rt, create))
	}
	return resp
}

// metadataTopic answers for one requested topic.
func (b *Broker) metadataTopic(rq *request, req *kmsg.MetadataRequest, rt kmsg.MetadataRequestTopic, create bool) kmsg.MetadataResponseTopic {
	failed := kmsg.NewMetadataResponseTopic()
	failed.Topic, failed.TopicID, failed.AuthorizedOperations = rt.Topic, rt.TopicID, math.MinInt32
	if rt.Topic == nil {
		if t := b.topics.getID(rt.TopicID); t != nil {
			if err := rq.topicDenied(kmsg.ACLOperationDescribe, "", t, true); err != nil {
				failed.ErrorCode = errorCode(err)
				return failed
			}
			return b.describeTopic(rq, req, t)
		}
		failed.ErrorCode = kerr.UnknownTopicID.Code
		return failed
	}
	if err := rq.topicDenied(kmsg.ACLOperationDescribe, *rt.Topic, nil, false); err != nil {
		failed.ErrorCode = errorCode(err)
		return failed
	}
	if t := b.topics.get(*rt.Topic); t != nil {
		return b.describeTopic(rq, req, t)
	}
	if checkTopicName(*rt.Topic) != nil {
		failed.ErrorCode = kerr.InvalidTopicException.Code
		return failed
	}
	failed.ErrorCode = kerr.UnknownTopicOrPartition.Code
	if !create || b.protectedTopic(*rt.Topic) {
		return failed
	}
	if !rq.mayCreate(*rt.Topic) {
		failed.ErrorCode = kerr.TopicAuthorizationFailed.Code
		return failed
	}
	err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: *rt.Topic}}})
	if err != nil && !errors.Is(err, ErrTopicExists) {
		failed.ErrorCode = errorCode(err)
		return failed
	}
	if t := b.topics.get(*rt.Topic); t != nil {
		return b.describeTopic(rq, req, t)
	}
	failed.ErrorCode = kerr.LeaderNotAvailable.Code
	return failed
}

func (b *Broker) describeTopic(rq *request, req *kmsg.MetadataRequest, t *topic) kmsg.MetadataResponseTopic {
	info := t.info()
	mt := kmsg.NewMetadataResponseTopic()
	mt.Topic, mt.TopicID, mt.IsInternal, mt.AuthorizedOperations = &info.Name, info.ID, info.Internal, math.MinInt32
	if req.IncludeTopicAuthorizedOperations {
		mt.AuthorizedOperations = rq.authorizedOperations(topicResource(t.name))
	}
	for i := range info.Partitions {
		p := kmsg.NewMetadataResponseTopicPartition()
		p.Partition, p.Leader, p.LeaderEpoch = i, nodeID, b.epoch
		p.Replicas, p.ISR, p.OfflineReplicas = []int32{nodeID}, []int32{nodeID}, []int32{}
		mt.Partitions = append(mt.Partitions, p)
	}
	return mt
}
