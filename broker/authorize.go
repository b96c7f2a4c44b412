package broker

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// resource is what an operation is done to: a topic, a group, a transactional
// id, a user or the cluster.
type resource struct {
	kind kmsg.ACLResourceType
	name string
}

// clusterResource is the one resource of its kind; its name is Kafka's.
var clusterResource = resource{kmsg.ACLResourceTypeCluster, "kafka-cluster"}

func topicResource(name string) resource { return resource{kmsg.ACLResourceTypeTopic, name} }
func groupResource(name string) resource { return resource{kmsg.ACLResourceTypeGroup, name} }
func txnResource(id string) resource     { return resource{kmsg.ACLResourceTypeTransactionalId, id} }

// authorizer decides what a peer may do.
type authorizer interface {
	authorize(rq *request, op kmsg.ACLOperation, on resource) bool
}

// may reports whether the peer that sent the request may do op to the resource.
// Handlers ask before they look whether the resource exists: absent and
// forbidden must look the same to who may not describe it.
func (rq *request) may(op kmsg.ACLOperation, on resource) bool {
	if a := rq.c.b.authorizer; a != nil {
		return a.authorize(rq, op, on)
	}
	return true
}
