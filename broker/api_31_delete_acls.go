package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// DeleteAcls (31). Versions 1-3. Needs ALTER on the cluster. What all filters
// select goes in one frame.
func init() {
	register(31, 1, 3, func(b *Broker, rq *request, req *kmsg.DeleteACLsRequest) error {
		resp := req.ResponseKind().(*kmsg.DeleteACLsResponse)
		refused := rq.mayAdminister(kmsg.ACLOperationAlter)
		b.security.change.Lock()
		defer b.security.change.Unlock()
		all := b.security.accessRules().Sorted()
		gone := map[auth.Rule]bool{}
		var e rulesChanged
		for _, rf := range req.Filters {
			result := kmsg.NewDeleteACLsResponseResult()
			f := auth.Filter{
				Resource: rf.ResourceType, Name: rf.ResourceName, Pattern: rf.ResourcePatternType,
				Principal: rf.Principal, Host: rf.Host, Operation: rf.Operation, Allow: rf.PermissionType,
			}
			err := f.Check()
			switch {
			case refused != nil:
				result.ErrorCode, result.ErrorMessage = errorCode(refused), message(refused)
			case err != nil:
				result.ErrorCode, result.ErrorMessage = kerr.InvalidRequest.Code, message(err)
			default:
				for _, r := range all {
					if !f.Selects(r) || gone[r] {
						continue
					}
					gone[r] = true
					e.deleted = append(e.deleted, r)
					result.MatchingACLs = append(result.MatchingACLs, deletedRule(r))
				}
			}
			resp.Results = append(resp.Results, result)
		}
		if len(e.deleted) > 0 {
			if err := b.submitEvents([]event{&e}); err != nil {
				for i := range resp.Results {
					resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = errorCode(err), message(err)
					resp.Results[i].MatchingACLs = nil
				}
			}
		}
		rq.reply(resp)
		return nil
	})
}

func deletedRule(r auth.Rule) kmsg.DeleteACLsResponseResultMatchingACL {
	m := kmsg.NewDeleteACLsResponseResultMatchingACL()
	m.ResourceType, m.ResourceName, m.ResourcePatternType = r.Resource, r.Name, r.Pattern
	m.Principal, m.Host, m.Operation, m.PermissionType = r.Principal, r.Host, r.Operation, permission(r)
	return m
}
