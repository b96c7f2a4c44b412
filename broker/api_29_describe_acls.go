package broker

import (
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// DescribeAcls (29). Versions 1-3. Needs DESCRIBE on the cluster. Without an
// authorizer the answer is SECURITY_DISABLED.
func init() {
	register(29, 1, 3, func(b *Broker, rq *request, req *kmsg.DescribeACLsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeACLsResponse)
		defer func() { rq.reply(resp) }()
		if err := rq.mayAdminister(kmsg.ACLOperationDescribe); err != nil {
			resp.ErrorCode, resp.ErrorMessage = errorCode(err), message(err)
			return nil
		}
		f := auth.Filter{
			Resource: req.ResourceType, Name: req.ResourceName, Pattern: req.ResourcePatternType,
			Principal: req.Principal, Host: req.Host, Operation: req.Operation, Allow: req.PermissionType,
		}
		if err := f.Check(); err != nil {
			resp.ErrorCode, resp.ErrorMessage = kerr.InvalidRequest.Code, message(err)
			return nil
		}
		for _, r := range b.security.accessRules().Sorted() {
			if f.Selects(r) {
				describeRule(resp, r)
			}
		}
		return nil
	})
}

// mayAdminister reports why the peer may not see or change the rules.
func (rq *request) mayAdminister(op kmsg.ACLOperation) error {
	switch {
	case rq.c.b.authorizer == nil:
		return kerr.SecurityDisabled
	case !rq.may(op, clusterResource):
		return kerr.ClusterAuthorizationFailed
	}
	return nil
}

// describeRule adds a rule to the answer; those of one resource come together.
func describeRule(resp *kmsg.DescribeACLsResponse, r auth.Rule) {
	n := len(resp.Resources)
	if n == 0 || resp.Resources[n-1].ResourceType != r.Resource || resp.Resources[n-1].ResourceName != r.Name || resp.Resources[n-1].ResourcePatternType != r.Pattern {
		sr := kmsg.NewDescribeACLsResponseResource()
		sr.ResourceType, sr.ResourceName, sr.ResourcePatternType = r.Resource, r.Name, r.Pattern
		resp.Resources = append(resp.Resources, sr)
		n++
	}
	a := kmsg.NewDescribeACLsResponseResourceACL()
	a.Principal, a.Host, a.Operation, a.PermissionType = r.Principal, r.Host, r.Operation, permission(r)
	resp.Resources[n-1].ACLs = append(resp.Resources[n-1].ACLs, a)
}

func permission(r auth.Rule) kmsg.ACLPermissionType {
	if r.Allow {
		return kmsg.ACLPermissionTypeAllow
	}
	return kmsg.ACLPermissionTypeDeny
}
