package auth

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Wildcard stands for every resource name, host or user.
const Wildcard = "*"

// Rule allows or denies one operation to one principal from one host on the
// resources that its pattern covers. Its numbers are the protocol's.
type Rule struct {
	Resource  kmsg.ACLResourceType
	Name      string // a name, a prefix, or Wildcard when literal
	Pattern   kmsg.ACLResourcePatternType
	Principal string // User:name, or User:* for everybody
	Host      string // an IP address, or Wildcard
	Operation kmsg.ACLOperation
	Allow     bool
}

// nameMaxBytes bounds the names in a rule.
const nameMaxBytes = 1024

// ErrRule is wrapped by the errors of Rule.Check.
var ErrRule = errors.New("auth: bad ACL")

// Check verifies that a rule can be stored.
func (r Rule) Check() error {
	bad := func(what string, v any) error { return fmt.Errorf("%w: %s %v", ErrRule, what, v) }
	switch {
	case r.Resource < kmsg.ACLResourceTypeTopic || r.Resource > kmsg.ACLResourceTypeUser:
		return bad("resource type", r.Resource)
	case r.Pattern != kmsg.ACLResourcePatternTypeLiteral && r.Pattern != kmsg.ACLResourcePatternTypePrefixed:
		return bad("pattern type", r.Pattern)
	case r.Name == "" || len(r.Name) > nameMaxBytes:
		return bad("resource name of bytes", len(r.Name))
	case r.Resource == kmsg.ACLResourceTypeCluster && r.Name != ClusterName:
		return bad("cluster name must be kafka-cluster, not", r.Name)
	case r.Host == "" || len(r.Host) > nameMaxBytes:
		return bad("host", r.Host)
	case r.Operation < kmsg.ACLOperationAll || int(r.Operation) > lastOperation:
		return bad("operation", r.Operation)
	case r.Operation != kmsg.ACLOperationAll && !slices.Contains(operations[r.Resource], r.Operation):
		return bad("operation", fmt.Sprintf("%v on a %v", r.Operation, r.Resource))
	}
	if name, ok := UserName(r.Principal); !ok || name == "" || len(name) > nameMaxBytes {
		return bad("principal (expected User:name)", r.Principal)
	}
	return nil
}

// ClusterName is the name of the one cluster resource.
const ClusterName = "kafka-cluster"

// lastOperation is TWO_PHASE_COMMIT, the newest of the protocol.
const lastOperation = 15

// operations is what can be done to each type of resource, as Kafka defines it.
var operations = map[kmsg.ACLResourceType][]kmsg.ACLOperation{
	kmsg.ACLResourceTypeTopic: {
		kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationCreate, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete,
		kmsg.ACLOperationAlter, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
	},
	kmsg.ACLResourceTypeGroup: {
		kmsg.ACLOperationRead, kmsg.ACLOperationDescribe, kmsg.ACLOperationDelete,
		kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
	},
	kmsg.ACLResourceTypeCluster: {
		kmsg.ACLOperationCreate, kmsg.ACLOperationClusterAction, kmsg.ACLOperationDescribeConfigs, kmsg.ACLOperationAlterConfigs,
		kmsg.ACLOperationIdempotentWrite, kmsg.ACLOperationAlter, kmsg.ACLOperationDescribe,
	},
	kmsg.ACLResourceTypeTransactionalId: {kmsg.ACLOperationDescribe, kmsg.ACLOperationWrite, lastOperation},
	kmsg.ACLResourceTypeDelegationToken: {kmsg.ACLOperationDescribe},
	kmsg.ACLResourceTypeUser:            {kmsg.ACLOperationCreateTokens, kmsg.ACLOperationDescribeTokens},
}

// Operations returns what can be done to a type of resource; the caller does not
// change it.
func Operations(t kmsg.ACLResourceType) []kmsg.ACLOperation { return operations[t] }

// implied are the operations whose ALLOW allows another one too. A DENY denies
// only what it names.
var implied = map[kmsg.ACLOperation][]kmsg.ACLOperation{
	kmsg.ACLOperationDescribe: {
		kmsg.ACLOperationRead, kmsg.ACLOperationWrite, kmsg.ACLOperationDelete, kmsg.ACLOperationAlter,
	},
	kmsg.ACLOperationDescribeConfigs: {kmsg.ACLOperationAlterConfigs},
}

// String prints a rule as Kafka's tools do.
func (r Rule) String() string {
	permission := "DENY"
	if r.Allow {
		permission = "ALLOW"
	}
	return fmt.Sprintf("(principal=%s, host=%s, operation=%s, permissionType=%s) on %s:%s:%s",
		r.Principal, r.Host, r.Operation, permission, r.Resource, r.Pattern, r.Name)
}

// Compare orders rules by resource first.
func (r Rule) Compare(o Rule) int {
	allow := 0
	if r.Allow != o.Allow {
		if allow = 1; o.Allow {
			allow = -1
		}
	}
	return cmp.Or(cmp.Compare(r.Resource, o.Resource), cmp.Compare(r.Name, o.Name), cmp.Compare(r.Pattern, o.Pattern),
		cmp.Compare(r.Principal, o.Principal), cmp.Compare(r.Operation, o.Operation), cmp.Compare(r.Host, o.Host), allow)
}

// Rules is an immutable set of rules, indexed by resource.
type Rules struct {
	all      map[Rule]struct{}
	literal  map[resourceName][]Rule
	prefixed map[resourceName][]Rule
	lengths  []int // of the prefixes, ascending, each once
}

type resourceName struct {
	kind kmsg.ACLResourceType
	name string
}

// NewRules indexes rules; one that is there twice counts once.
func NewRules(list []Rule) *Rules {
	s := &Rules{all: make(map[Rule]struct{}, len(list)), literal: map[resourceName][]Rule{}, prefixed: map[resourceName][]Rule{}}
	for _, r := range list {
		if _, ok := s.all[r]; ok {
			continue
		}
		s.all[r] = struct{}{}
		at := resourceName{r.Resource, r.Name}
		if r.Pattern == kmsg.ACLResourcePatternTypeLiteral {
			s.literal[at] = append(s.literal[at], r)
			continue
		}
		s.prefixed[at] = append(s.prefixed[at], r)
		if i, ok := slices.BinarySearch(s.lengths, len(r.Name)); !ok {
			s.lengths = slices.Insert(s.lengths, i, len(r.Name))
		}
	}
	return s
}

// Len returns how many rules there are.
func (s *Rules) Len() int { return len(s.all) }

// Has reports whether the set has a rule.
func (s *Rules) Has(r Rule) bool { _, ok := s.all[r]; return ok }

// Sorted returns all rules in order.
func (s *Rules) Sorted() []Rule {
	list := make([]Rule, 0, len(s.all))
	for r := range s.all {
		list = append(list, r)
	}
	slices.SortFunc(list, Rule.Compare)
	return list
}

// Decision is the answer to one question and the rule it comes from.
type Decision struct {
	Allowed bool
	Rule    *Rule // nil: no rule decided
	NoRules bool  // the resource has no rule at all
}

// Decide answers whether a principal may do an operation from a host on a
// resource. Any DENY that matches wins; without a match the answer is no.
func (s *Rules) Decide(principal, host string, op kmsg.ACLOperation, kind kmsg.ACLResourceType, name string) Decision {
	d := Decision{NoRules: true}
	allow := implied[op]
	consider := func(rules []Rule) {
		for i := range rules {
			r := &rules[i]
			d.NoRules = false
			if r.Principal != principal && r.Principal != userPrefix+Wildcard || r.Host != host && r.Host != Wildcard {
				continue
			}
			direct := r.Operation == op || r.Operation == kmsg.ACLOperationAll
			switch {
			case !r.Allow && direct:
				if d.Rule == nil || d.Rule.Allow {
					d.Rule = r
				}
			case r.Allow && d.Rule == nil && (direct || slices.Contains(allow, r.Operation)):
				d.Rule = r
			}
		}
	}
	s.covering(kind, name, consider)
	d.Allowed = d.Rule != nil && d.Rule.Allow
	return d
}

// covering calls f with the rules whose pattern covers a resource.
func (s *Rules) covering(kind kmsg.ACLResourceType, name string, f func([]Rule)) {
	f(s.literal[resourceName{kind, name}])
	if name != Wildcard {
		f(s.literal[resourceName{kind, Wildcard}])
	}
	for _, n := range s.lengths {
		if n > len(name) {
			return
		}
		f(s.prefixed[resourceName{kind, name[:n]}])
	}
}

// DecideAny answers whether a principal may do an operation on at least one
// resource of a kind, whether it exists or not: what an idempotent producer needs
// of topics. An ALLOW counts unless a DENY covers everything that it allows.
func (s *Rules) DecideAny(principal, host string, op kmsg.ACLOperation, kind kmsg.ACLResourceType) bool {
	matches := func(r Rule) bool {
		return r.Resource == kind && (r.Operation == op || r.Operation == kmsg.ACLOperationAll) &&
			(r.Principal == principal || r.Principal == userPrefix+Wildcard) && (r.Host == host || r.Host == Wildcard)
	}
	var denied []Rule
	for r := range s.all {
		if !r.Allow && matches(r) {
			denied = append(denied, r)
		}
	}
	for r := range s.all {
		if r.Allow && matches(r) && !slices.ContainsFunc(denied, func(d Rule) bool { return covers(d, r) }) {
			return true
		}
	}
	return false
}

// covers reports whether every resource of r is one of d.
func covers(d, r Rule) bool {
	literal := kmsg.ACLResourcePatternTypeLiteral
	switch {
	case d.Pattern == literal && d.Name == Wildcard:
		return true
	case d.Pattern == literal:
		return r.Pattern == literal && r.Name == d.Name
	case r.Pattern == literal && r.Name == Wildcard:
		return false
	}
	return strings.HasPrefix(r.Name, d.Name)
}

// Filter selects rules: the zero of a name means any. It is the request of
// DescribeAcls and DeleteAcls.
type Filter struct {
	Resource  kmsg.ACLResourceType
	Name      *string
	Pattern   kmsg.ACLResourcePatternType
	Principal *string
	Host      *string
	Operation kmsg.ACLOperation
	Allow     kmsg.ACLPermissionType
}

// Check verifies a filter.
func (f Filter) Check() error {
	switch {
	case f.Resource < kmsg.ACLResourceTypeAny || f.Resource > kmsg.ACLResourceTypeUser:
		return fmt.Errorf("%w: resource type %v", ErrRule, f.Resource)
	case f.Pattern < kmsg.ACLResourcePatternTypeAny || f.Pattern > kmsg.ACLResourcePatternTypePrefixed:
		return fmt.Errorf("%w: pattern type %v", ErrRule, f.Pattern)
	case f.Operation < kmsg.ACLOperationAny || int(f.Operation) > lastOperation:
		return fmt.Errorf("%w: operation %v", ErrRule, f.Operation)
	case f.Allow < kmsg.ACLPermissionTypeAny || f.Allow > kmsg.ACLPermissionTypeAllow:
		return fmt.Errorf("%w: permission type %v", ErrRule, f.Allow)
	}
	return nil
}

// Selects reports whether a rule is one that the filter asks for.
func (f Filter) Selects(r Rule) bool {
	text := func(want *string, v string) bool { return want == nil || *want == v }
	permission := kmsg.ACLPermissionTypeDeny
	if r.Allow {
		permission = kmsg.ACLPermissionTypeAllow
	}
	return (f.Resource == kmsg.ACLResourceTypeAny || f.Resource == r.Resource) && f.selectsName(r) &&
		text(f.Principal, r.Principal) && text(f.Host, r.Host) &&
		(f.Operation == kmsg.ACLOperationAny || f.Operation == r.Operation) &&
		(f.Allow == kmsg.ACLPermissionTypeAny || f.Allow == permission)
}

// selectsName applies the pattern: ANY takes the name as it is in a rule of any
// pattern, MATCH every rule that covers the name.
func (f Filter) selectsName(r Rule) bool {
	if f.Pattern != kmsg.ACLResourcePatternTypeAny && f.Pattern != kmsg.ACLResourcePatternTypeMatch && f.Pattern != r.Pattern {
		return false
	}
	if f.Name == nil || *f.Name == r.Name {
		return true
	}
	if f.Pattern != kmsg.ACLResourcePatternTypeMatch {
		return false
	}
	if r.Pattern == kmsg.ACLResourcePatternTypePrefixed {
		return strings.HasPrefix(*f.Name, r.Name)
	}
	return r.Name == Wildcard
}
