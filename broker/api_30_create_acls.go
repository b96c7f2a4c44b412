package broker

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// CreateAcls (30). Versions 1-3. Needs ALTER on the cluster. Rules are checked
// one by one; those that are good are one frame. One that is there already is a
// success.
func init() {
	register(30, 1, 3, func(b *Broker, rq *request, req *kmsg.CreateACLsRequest) error {
		resp := req.ResponseKind().(*kmsg.CreateACLsResponse)
		resp.Results = make([]kmsg.CreateACLsResponseResult, len(req.Creations))
		fail := func(i int, err error) {
			resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = errorCode(err), message(err)
		}
		refused := rq.mayAdminister(kmsg.ACLOperationAlter)
		b.security.change.Lock()
		defer b.security.change.Unlock()
		have := b.security.accessRules()
		fresh := map[auth.Rule]bool{}
		var e rulesChanged
		var created []int
		for i, rc := range req.Creations {
			r, err := newRule(rc)
			switch {
			case refused != nil:
				fail(i, refused)
			case err != nil:
				fail(i, err)
			case have.Has(r) || fresh[r]:
			case have.Len()+len(fresh) >= b.cfg.Limits.MaxACLs:
				fail(i, fmt.Errorf("%w: %d rules pass the limit", kerr.PolicyViolation, b.cfg.Limits.MaxACLs+1))
			default:
				fresh[r] = true
				e.added, created = append(e.added, r), append(created, i)
			}
		}
		if len(e.added) > 0 {
			if err := b.submitEvents([]event{&e}); err != nil {
				for _, i := range created {
					fail(i, err)
				}
			}
		}
		rq.reply(resp)
		return nil
	})
}

// newRule checks a rule as it comes from a client.
func newRule(rc kmsg.CreateACLsRequestCreation) (auth.Rule, error) {
	if rc.PermissionType != kmsg.ACLPermissionTypeAllow && rc.PermissionType != kmsg.ACLPermissionTypeDeny {
		return auth.Rule{}, fmt.Errorf("%w: permission type %v", kerr.InvalidRequest, rc.PermissionType)
	}
	r := auth.Rule{
		Resource: rc.ResourceType, Name: rc.ResourceName, Pattern: rc.ResourcePatternType, Principal: rc.Principal,
		Host: rc.Host, Operation: rc.Operation, Allow: rc.PermissionType == kmsg.ACLPermissionTypeAllow,
	}
	if err := r.Check(); err != nil {
		return r, fmt.Errorf("%w: %w", kerr.InvalidRequest, err)
	}
	return r, nil
}
