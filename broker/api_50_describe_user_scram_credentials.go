package broker

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// DescribeUserScramCredentials (50). Version 0. Needs DESCRIBE on the cluster.
// Null or no users means all. Keys and salts are never told.
func init() {
	register(50, 0, 0, func(b *Broker, rq *request, req *kmsg.DescribeUserSCRAMCredentialsRequest) error {
		resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
		defer func() { rq.reply(resp) }()
		if !rq.may(kmsg.ACLOperationDescribe, clusterResource) {
			resp.ErrorCode, resp.ErrorMessage = kerr.ClusterAuthorizationFailed.Code, message(kerr.ClusterAuthorizationFailed)
			return nil
		}
		if len(req.Users) == 0 {
			for _, name := range b.security.userNames() {
				resp.Results = append(resp.Results, b.describeUser(name))
			}
			return nil
		}
		count := map[string]int{}
		for _, u := range req.Users {
			count[u.Name]++
		}
		for _, name := range slices.Sorted(maps.Keys(count)) {
			r := b.describeUser(name)
			var err error
			switch {
			case count[name] > 1:
				err = fmt.Errorf("%w: the user is in the request twice", kerr.DuplicateResource)
			case len(r.CredentialInfos) == 0:
				err = fmt.Errorf("%w: no SCRAM credential for this user", kerr.ResourceNotFound)
			}
			if err != nil {
				r.ErrorCode, r.ErrorMessage, r.CredentialInfos = errorCode(err), message(err), nil
			}
			resp.Results = append(resp.Results, r)
		}
		return nil
	})
}

// The numbers of SCRAM mechanisms on the wire (KIP-554).
var scramNumbers = map[int8]auth.Mechanism{1: auth.ScramSHA256, 2: auth.ScramSHA512}

func (b *Broker) describeUser(name string) kmsg.DescribeUserSCRAMCredentialsResponseResult {
	r := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
	r.User = name
	creds := b.security.credentials(name)
	for _, number := range slices.Sorted(maps.Keys(scramNumbers)) {
		if c, ok := creds[scramNumbers[number]]; ok {
			info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
			info.Mechanism, info.Iterations = number, int32(c.Iterations)
			r.CredentialInfos = append(r.CredentialInfos, info)
		}
	}
	return r
}
