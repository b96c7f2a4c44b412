package broker

import (
	"fmt"
	"maps"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/quota"
)

// AlterClientQuotas (49). Versions 0-1. Needs ALTER_CONFIGS on the cluster. Each
// entity is changed as a whole or not at all; those that are good are one frame.
func init() {
	register(49, 0, 1, func(b *Broker, rq *request, req *kmsg.AlterClientQuotasRequest) error {
		resp := req.ResponseKind().(*kmsg.AlterClientQuotasResponse)
		allowed := rq.may(kmsg.ACLOperationAlterConfigs, clusterResource)
		b.quotas.change.Lock()
		defer b.quotas.change.Unlock()
		table := b.quotas.limits()
		var events []event
		var changed []int
		for i, re := range req.Entries {
			entry := kmsg.NewAlterClientQuotasResponseEntry()
			seen := map[string]bool{}
			for _, p := range re.Entity {
				if seen[p.Type] {
					continue // it counts once
				}
				seen[p.Type] = true
				part := kmsg.NewAlterClientQuotasResponseEntryEntity()
				part.Type, part.Name = p.Type, p.Name
				entry.Entity = append(entry.Entity, part)
			}
			err := error(kerr.ClusterAuthorizationFailed)
			var e *quotaSet
			if allowed {
				e, err = b.alterQuota(table, re)
			}
			if entry.ErrorCode, entry.ErrorMessage = errorCode(err), message(err); err == nil {
				table = table.With(e.entity, e.limits)
				events, changed = append(events, e), append(changed, i)
			}
			resp.Entries = append(resp.Entries, entry)
		}
		if len(events) > 0 && !req.ValidateOnly {
			if err := b.submitEvents(events); err != nil {
				for _, i := range changed {
					resp.Entries[i].ErrorCode, resp.Entries[i].ErrorMessage = errorCode(err), message(err)
				}
			}
		}
		rq.reply(resp)
		return nil
	})
}

// alterQuota checks one entry and returns what makes it so.
func (b *Broker) alterQuota(table quota.Table, re kmsg.AlterClientQuotasRequestEntry) (*quotaSet, error) {
	var e quota.Entity
	for _, rp := range re.Entity {
		p, err := quotaPart(&e, rp.Type)
		if err != nil { // who only describes gets UNSUPPORTED_VERSION
			return nil, fmt.Errorf("%w: entity type %.64q", kerr.InvalidRequest, rp.Type)
		}
		// A type that comes twice counts once, with its last name.
		if *p = quota.DefaultPart; rp.Name != nil {
			*p = quota.Named(*rp.Name)
		}
	}
	if err := e.Check(); err != nil {
		return nil, fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
	}
	limits := quota.Limits{}
	maps.Copy(limits, table.Of(e))
	seen := map[string]bool{}
	for _, op := range re.Ops {
		if seen[op.Key] {
			return nil, fmt.Errorf("%w: %s twice", kerr.InvalidRequest, op.Key)
		}
		seen[op.Key] = true
		if op.Remove { // of what is not set is done, whatever its name
			delete(limits, quota.Key(op.Key))
			continue
		}
		if err := e.CheckLimit(quota.Key(op.Key), op.Value); err != nil {
			return nil, fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
		}
		limits[quota.Key(op.Key)] = op.Value
	}
	if len(limits) > 0 && len(table.Of(e)) == 0 && table.Len() >= b.cfg.Limits.MaxQuotas {
		return nil, fmt.Errorf("%w: %d entities with limits are the most", kerr.PolicyViolation, b.cfg.Limits.MaxQuotas)
	}
	return &quotaSet{e, limits}, nil
}
