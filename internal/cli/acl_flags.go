package cli

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// ruleUse is what the flags are for.
type ruleUse int

const (
	toAdd ruleUse = iota
	toList
	toDelete
)

// builder returns what kadm makes requests of. In filters what is not given means
// any. A deletion by name is of literal rules unless it says otherwise, as with
// kafka-acls; a list shows whatever has the name.
func (o *aclOptions) builder(use ruleUse) (*kadm.ACLBuilder, error) {
	if err := o.check(use); err != nil {
		return nil, err
	}
	filter := use != toAdd
	b := kadm.NewACLs()
	named := len(o.topics)+len(o.groups)+len(o.transactionalIDs) > 0 || o.cluster
	if len(o.topics) > 0 {
		b.Topics(o.topics...)
	}
	if len(o.groups) > 0 {
		b.Groups(o.groups...)
	}
	if len(o.transactionalIDs) > 0 {
		b.TransactionalIDs(o.transactionalIDs...)
	}
	if o.cluster {
		b.Clusters()
	}
	pattern := kadm.ACLPatternLiteral
	switch {
	case o.prefixed:
		pattern = kadm.ACLPatternPrefixed
	case filter && (o.anyPattern || !named || use == toList):
		pattern = kadm.ACLPatternAny
	}
	if filter && !named {
		b.AnyResource()
	}
	b.ResourcePatternType(pattern)
	ops, err := parseOperations(o.operations)
	if err != nil {
		return nil, err
	}
	if use == toAdd {
		if err := o.checkOperations(ops); err != nil {
			return nil, err
		}
	}
	b.Operations(ops...)
	o.principals(b, filter)
	return b, nil
}

// principals adds whom the rules are about.
func (o *aclOptions) principals(b *kadm.ACLBuilder, filter bool) {
	either := filter && len(o.allow)+len(o.deny) == 0
	hosts := func(list []string) []string {
		if len(list) == 0 && !filter {
			return []string{"*"}
		}
		return list
	}
	if len(o.allow) > 0 || either {
		b.Allow(o.allow...).AllowHosts(hosts(o.allowHost)...)
	}
	if len(o.deny) > 0 || either {
		b.Deny(o.deny...).DenyHosts(hosts(o.denyHosts)...)
	}
}

// aclOperations are the values of --operation.
var aclOperations = []string{"all", "read", "write", "create", "delete", "alter", "describe", "cluster_action", "describe_configs", "alter_configs", "idempotent_write"}

func parseOperations(names []string) ([]kadm.ACLOperation, error) {
	var ops []kadm.ACLOperation
	for _, name := range names {
		op, err := kmsg.ParseACLOperation(strings.ToLower(name))
		if err != nil || !slices.Contains(aclOperations, strings.ToLower(op.String())) {
			return nil, fmt.Errorf("--operation %s: expected %s", name, strings.Join(aclOperations, ", "))
		}
		ops = append(ops, op)
	}
	return ops, nil
}

// check refuses flags that cannot go together, and values that no request can
// match.
func (o *aclOptions) check(use ruleUse) error {
	whom := len(o.allow)+len(o.deny) > 0
	switch {
	case len(o.allowHost) > 0 && len(o.allow) == 0 && (whom || use == toAdd):
		return errors.New("--allow-host needs --allow: it says where allowed principals come from")
	case len(o.denyHosts) > 0 && len(o.deny) == 0 && (whom || use == toAdd):
		return errors.New("--deny-host needs --deny: it says where denied principals come from")
	case o.prefixed && o.anyPattern:
		return errors.New("--prefixed and --any-pattern exclude one another")
	case o.anyPattern && use == toAdd:
		return errors.New("--any-pattern selects rules; those that are added are literal, or --prefixed")
	case use == toAdd && o.prefixed && len(o.topics)+len(o.groups)+len(o.transactionalIDs) == 0:
		return errors.New("--prefixed needs a name: --topic, --group or --transactional-id")
	case o.prefixed && o.cluster:
		return errors.New("--prefixed is for names, and the cluster has none: add its rules with a command of their own")
	}
	for _, v := range []struct {
		flag string
		list []string
		ok   func(string) bool
		want string
	}{
		{"allow", o.allow, isPrincipal, "User:NAME, or User:* for everybody"},
		{"deny", o.deny, isPrincipal, "User:NAME, or User:* for everybody"},
		{"allow-host", o.allowHost, isHost, "one IP address, or * for any: brokers compare addresses, so names and ranges never match"},
		{"deny-host", o.denyHosts, isHost, "one IP address, or * for any: brokers compare addresses, so names and ranges never match"},
		{"topic", o.topics, isName, "a name, or * for all"},
		{"group", o.groups, isName, "a name, or * for all"},
		{"transactional-id", o.transactionalIDs, isName, "a name, or * for all"},
	} {
		if i := slices.IndexFunc(v.list, func(s string) bool { return !v.ok(s) }); i >= 0 {
			return fmt.Errorf("--%s %s: expected %s", v.flag, v.list[i], v.want)
		}
	}
	return nil
}

func isPrincipal(s string) bool {
	name, ok := auth.UserName(s)
	return ok && name != ""
}

func isHost(s string) bool { return s == auth.Wildcard || net.ParseIP(s) != nil }

func isName(s string) bool { return s != "" }

// checkOperations refuses operations that mean nothing for what the rules are
// about, before any rule is sent: a broker adds the others.
func (o *aclOptions) checkOperations(ops []kadm.ACLOperation) error {
	for _, about := range []struct {
		given bool
		flag  string
		kind  kmsg.ACLResourceType
	}{
		{len(o.topics) > 0, "topic", kmsg.ACLResourceTypeTopic},
		{len(o.groups) > 0, "group", kmsg.ACLResourceTypeGroup},
		{len(o.transactionalIDs) > 0, "transactional-id", kmsg.ACLResourceTypeTransactionalId},
		{o.cluster, "cluster", kmsg.ACLResourceTypeCluster},
	} {
		if !about.given {
			continue
		}
		for _, op := range ops {
			if op == kmsg.ACLOperationAll || slices.Contains(auth.Operations(about.kind), op) {
				continue
			}
			names := []string{"all"}
			for _, name := range aclOperations {
				if known, err := kmsg.ParseACLOperation(name); err == nil && slices.Contains(auth.Operations(about.kind), known) {
					names = append(names, name)
				}
			}
			return fmt.Errorf("--operation %s means nothing for --%s, which takes %s: no rule was added", strings.ToLower(op.String()), about.flag, strings.Join(names, ", "))
		}
	}
	return nil
}
