package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/quota"
)

// DescribeClientQuotas (48). Versions 0-1. Needs DESCRIBE_CONFIGS on the cluster.
// Components select entities by exact name, by being the default, or any of a
// type; strict refuses entities that have more parts.
func init() {
	register(48, 0, 1, func(b *Broker, rq *request, req *kmsg.DescribeClientQuotasRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeClientQuotasResponse)
		defer func() { rq.reply(resp) }()
		filter, err := quotaFilter(req)
		if !rq.may(kmsg.ACLOperationDescribeConfigs, clusterResource) {
			err = kerr.ClusterAuthorizationFailed
		}
		if err != nil {
			resp.ErrorCode, resp.ErrorMessage = errorCode(err), message(err)
			return nil
		}
		resp.Entries = []kmsg.DescribeClientQuotasResponseEntry{}
		t := b.quotas.limits()
		for _, e := range t.Entities() {
			if filter(e) {
				resp.Entries = append(resp.Entries, describeQuota(e, t.Of(e)))
			}
		}
		return nil
	})
}

// quotaPart returns the part of an entity that a type of the wire names.
func quotaPart(e *quota.Entity, kind string) (*quota.Part, error) {
	switch kind {
	case "user":
		return &e.User, nil
	case "client-id":
		return &e.Client, nil
	case "ip":
		return &e.IP, nil
	case "":
		return nil, fmt.Errorf("%w: empty entity type", kerr.InvalidRequest)
	}
	return nil, fmt.Errorf("%w: entity type %.64q", kerr.UnsupportedVersion, kind)
}

// quotaFilter returns what a request selects.
func quotaFilter(req *kmsg.DescribeClientQuotasRequest) (func(quota.Entity) bool, error) {
	type want struct {
		kind string
		how  kmsg.QuotasMatchType
		name string
	}
	var wants []want
	var asked quota.Entity
	for _, c := range req.Components {
		p, err := quotaPart(&asked, c.EntityType)
		switch {
		case err != nil:
			return nil, err
		case p.Set:
			return nil, fmt.Errorf("%w: entity type %s twice", kerr.InvalidRequest, c.EntityType)
		case c.MatchType < 0 || c.MatchType > 2 || (c.MatchType == 0) != (c.Match != nil):
			return nil, fmt.Errorf("%w: match type %d", kerr.InvalidRequest, c.MatchType)
		}
		p.Set = true
		wants = append(wants, want{c.EntityType, c.MatchType, deref(c.Match)})
	}
	if asked.IP.Set && (asked.User.Set || asked.Client.Set) {
		return nil, fmt.Errorf("%w: an address goes with nothing else", kerr.InvalidRequest)
	}
	return func(e quota.Entity) bool {
		for _, w := range wants {
			p, err := quotaPart(&e, w.kind)
			if err != nil || !p.Set || w.how == kmsg.QuotasMatchTypeExact && (p.Default || p.Name != w.name) || w.how == kmsg.QuotasMatchTypeDefault && !p.Default {
				return false
			}
		}
		more := e.User.Set && !asked.User.Set || e.Client.Set && !asked.Client.Set || e.IP.Set && !asked.IP.Set
		return !(req.Strict && more)
	}, nil
}

func describeQuota(e quota.Entity, limits quota.Limits) kmsg.DescribeClientQuotasResponseEntry {
	entry := kmsg.NewDescribeClientQuotasResponseEntry()
	for _, kind := range []string{"user", "client-id", "ip"} {
		p, err := quotaPart(&e, kind)
		if err != nil || !p.Set {
			continue
		}
		part := kmsg.NewDescribeClientQuotasResponseEntryEntity()
		part.Type = kind
		if !p.Default {
			name := p.Name
			part.Name = &name
		}
		entry.Entity = append(entry.Entity, part)
	}
	for _, k := range sortedKeys(limits) {
		v := kmsg.NewDescribeClientQuotasResponseEntryValue()
		v.Key, v.Value = string(k), limits[k]
		entry.Values = append(entry.Values, v)
	}
	return entry
}
