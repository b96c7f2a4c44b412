package broker

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// resource is what an operation is done to: a topic, a group, a transactional
// id, a user or the cluster.
type resource struct {
	kind kmsg.ACLResourceType
	name string
}

// clusterResource is the one resource of its kind; its name is Kafka's.
var clusterResource = resource{kmsg.ACLResourceTypeCluster, auth.ClusterName}

func topicResource(name string) resource { return resource{kmsg.ACLResourceTypeTopic, name} }
func groupResource(name string) resource { return resource{kmsg.ACLResourceTypeGroup, name} }
func txnResource(id string) resource     { return resource{kmsg.ACLResourceTypeTransactionalId, id} }

// authorizer decides with the rules of the data directory.
type authorizer struct {
	b     *Broker
	super map[string]bool
}

// newAuthorizer returns nil when nobody is to be kept from anything.
func newAuthorizer(b *Broker) *authorizer {
	cfg := b.cfg.Security
	if !cfg.Authorize {
		return nil
	}
	a := &authorizer{b: b, super: map[string]bool{}}
	for _, p := range cfg.SuperUsers {
		a.super[p] = true
	}
	return a
}

// decide answers without logging.
func (a *authorizer) decide(p *peer, op kmsg.ACLOperation, on resource) (allowed bool, why string) {
	if p == nil {
		return false, "NotLoggedIn"
	}
	if a.super[p.principal] {
		return true, "SuperUser"
	}
	d := a.b.security.accessRules().Decide(p.principal, p.host, op, on.kind, on.name)
	switch {
	case d.Rule != nil:
		return d.Allowed, "MatchingAcl(acl=" + d.Rule.String() + ")"
	case d.NoRules && a.b.cfg.Security.AllowEveryoneIfNoACL:
		return true, "DefaultAllow"
	}
	return false, "DefaultDeny"
}

// may reports whether the peer that sent the request may do op to the resource,
// and logs a refusal. Handlers ask before they look whether the resource exists:
// absent and forbidden must look the same to who may not describe it.
func (rq *request) may(op kmsg.ACLOperation, on resource) bool {
	return rq.ask(op, on, slog.LevelInfo)
}

// maySee is may for what was not asked for by name: nothing is refused by leaving
// it out of a list.
func (rq *request) maySee(op kmsg.ACLOperation, on resource) bool {
	return rq.ask(op, on, slog.LevelDebug)
}

func (rq *request) ask(op kmsg.ACLOperation, on resource, deniedAt slog.Level) bool {
	a := rq.c.b.authorizer
	if a == nil {
		return true
	}
	allowed, why := a.decide(rq.peer, op, on)
	a.log(rq, op, on, allowed, why, deniedAt)
	return allowed
}

// log writes a decision down in Kafka's form.
func (a *authorizer) log(rq *request, op kmsg.ACLOperation, on resource, allowed bool, why string, deniedAt slog.Level) {
	level, verdict := deniedAt, "Denied"
	if allowed {
		level, verdict = slog.LevelDebug, "Allowed"
	}
	ctx := context.Background()
	if !a.b.cfg.Logger.Enabled(ctx, level) {
		return
	}
	principal, host := "nobody", rq.c.host
	if rq.peer != nil {
		principal = rq.peer.principal
	}
	a.b.cfg.Logger.Log(ctx, level, fmt.Sprintf(
		"Principal = %s is %s operation = %s from host = %s on resource = %s:LITERAL:%s for request = %s with resourceRefCount = 1 based on rule %s",
		principal, verdict, operationName(op), host, resourceName(on.kind), on.name, kmsg.NameForKey(rq.key), why))
}

// operationName and resourceName are Kafka's names in its authorizer log.
func operationName(op kmsg.ACLOperation) string {
	names := [...]string{"Unknown", "Any", "All", "Read", "Write", "Create", "Delete", "Alter", "Describe", "ClusterAction",
		"DescribeConfigs", "AlterConfigs", "IdempotentWrite", "CreateTokens", "DescribeTokens", "TwoPhaseCommit"}
	if op < 0 || int(op) >= len(names) {
		return names[0]
	}
	return names[op]
}

func resourceName(kind kmsg.ACLResourceType) string {
	names := [...]string{"Unknown", "Any", "Topic", "Group", "Cluster", "TransactionalId", "DelegationToken", "User"}
	if kind < 0 || int(kind) >= len(names) {
		return names[0]
	}
	return names[kind]
}

// topicDenied returns TOPIC_AUTHORIZATION_FAILED when the peer may not do op to a
// topic, nil when it may. A topic that is asked for by id is t; an id that nobody
// has is not refused, since it has no name.
func (rq *request) topicDenied(op kmsg.ACLOperation, name string, t *topic, byID bool) error {
	if byID {
		if t == nil {
			return nil
		}
		name = t.name
	}
	if rq.may(op, topicResource(name)) {
		return nil
	}
	return kerr.TopicAuthorizationFailed
}

// mayCreate reports whether the peer may create a topic: it is allowed all topics
// or this one.
func (rq *request) mayCreate(topic string) bool {
	return rq.maySee(kmsg.ACLOperationCreate, clusterResource) || rq.may(kmsg.ACLOperationCreate, topicResource(topic))
}

// producerDenied returns why the peer may not have a producer id. One that is
// only idempotent is good for all topics that it may write to.
func (rq *request) producerDenied(transactionalID *string) error {
	if transactionalID != nil {
		if !rq.may(kmsg.ACLOperationWrite, txnResource(*transactionalID)) {
			return kerr.TransactionalIDAuthorizationFailed
		}
		return nil
	}
	if rq.mayAny(kmsg.ACLOperationWrite, kmsg.ACLResourceTypeTopic) || rq.may(kmsg.ACLOperationIdempotentWrite, clusterResource) {
		return nil
	}
	return kerr.ClusterAuthorizationFailed
}

// configDenied returns why the peer may not do op to a resource's configuration.
func (rq *request) configDenied(op kmsg.ACLOperation, kind kmsg.ConfigResourceType, name string) error {
	switch {
	case kind == kmsg.ConfigResourceTypeTopic:
		return rq.topicDenied(op, name, nil, false)
	case kind == kmsg.ConfigResourceTypeGroupConfig && !rq.may(op, groupResource(name)):
		return kerr.GroupAuthorizationFailed
	case kind != kmsg.ConfigResourceTypeGroupConfig && !rq.may(op, clusterResource):
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}

// mayAny reports whether the peer may do op to at least one resource of a kind.
func (rq *request) mayAny(op kmsg.ACLOperation, kind kmsg.ACLResourceType) bool {
	a := rq.c.b.authorizer
	switch {
	case a == nil:
		return true
	case rq.peer == nil:
		return false
	case a.super[rq.peer.principal]:
		return true
	}
	if a.b.cfg.Security.AllowEveryoneIfNoACL {
		return true // some name has no rule
	}
	return a.b.security.accessRules().DecideAny(rq.peer.principal, rq.peer.host, op, kind)
}

// authorizedOperations returns what the peer may do to a resource, a bit per
// operation, as Metadata and the Describe requests report it (KIP-430).
func (rq *request) authorizedOperations(on resource) int32 {
	var bits int32
	for _, op := range auth.Operations(on.kind) {
		if rq.maySee(op, on) {
			bits |= 1 << op
		}
	}
	return bits
}
