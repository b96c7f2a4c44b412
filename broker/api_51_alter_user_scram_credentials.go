package broker

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// AlterUserScramCredentials (51). Version 0. Needs ALTER on the cluster. The
// client sends the salted password; what is stored cannot log in anywhere else.
// All that is asked of one user happens or nothing does; what is good of all users
// is one frame.
func init() {
	register(51, 0, 0, func(b *Broker, rq *request, req *kmsg.AlterUserSCRAMCredentialsRequest) error {
		resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
		allowed := rq.may(kmsg.ACLOperationAlter, clusterResource)
		b.security.change.Lock()
		defer b.security.change.Unlock()
		changes := userChanges(req)
		var events []event
		var changed []int
		room := b.cfg.Limits.MaxUsers - len(b.security.userNames())
		for _, name := range slices.Sorted(maps.Keys(changes)) {
			r := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
			r.User = name
			err := error(kerr.ClusterAuthorizationFailed)
			var some []event
			if allowed {
				some, err = b.userEvents(name, changes[name], &room)
			}
			if r.ErrorCode, r.ErrorMessage = errorCode(err), message(err); err == nil {
				events, changed = append(events, some...), append(changed, len(resp.Results))
			}
			resp.Results = append(resp.Results, r)
		}
		if len(events) > 0 {
			if err := b.submitEvents(events); err != nil {
				for _, i := range changed {
					resp.Results[i].ErrorCode, resp.Results[i].ErrorMessage = errorCode(err), message(err)
				}
			}
		}
		rq.reply(resp)
		return nil
	})
}

// userChange is what a request asks of one user.
type userChange struct {
	deletions  []int8
	upsertions []kmsg.AlterUserSCRAMCredentialsRequestUpsertion
}

func userChanges(req *kmsg.AlterUserSCRAMCredentialsRequest) map[string]*userChange {
	changes := map[string]*userChange{}
	of := func(name string) *userChange {
		if changes[name] == nil {
			changes[name] = &userChange{}
		}
		return changes[name]
	}
	for _, d := range req.Deletions {
		of(d.Name).deletions = append(of(d.Name).deletions, d.Mechanism)
	}
	for _, u := range req.Upsertions {
		of(u.Name).upsertions = append(of(u.Name).upsertions, u)
	}
	return changes
}

// userEvents checks what is asked of a user and returns what makes it so. room is
// how many more users there may be.
func (b *Broker) userEvents(name string, ch *userChange, room *int) ([]event, error) {
	if auth.CheckUserName(name) != nil {
		return nil, fmt.Errorf("%w: bad user name", kerr.UnacceptableCredential)
	}
	have := b.security.credentials(name)
	mechanism := func(number int8) (auth.Mechanism, error) {
		m, ok := scramNumbers[number]
		if !ok {
			return m, fmt.Errorf("%w: SCRAM mechanism %d", kerr.UnsupportedSaslMechanism, number)
		}
		return m, nil
	}
	var events []event
	var err error // the last one counts, as in Kafka
	for _, number := range ch.deletions {
		m, bad := mechanism(number)
		if _, ok := have[m]; bad == nil && !ok {
			bad = fmt.Errorf("%w: the user has no credential for %s", kerr.ResourceNotFound, m)
		}
		events, err = append(events, &credentialDeleted{name, m}), againstTwice(bad, len(events), err)
	}
	for _, u := range ch.upsertions {
		m, bad := mechanism(u.Mechanism)
		var cred auth.Credential
		if bad == nil {
			if cred, bad = auth.FromSalted(m, u.SaltedPassword, slices.Clone(u.Salt), int(u.Iterations)); bad != nil {
				bad = errors.Join(kerr.UnacceptableCredential, bad)
			}
		}
		events, err = append(events, &credentialSet{name, cred}), againstTwice(bad, len(events), err)
	}
	if err != nil {
		return nil, err
	}
	if len(have) == 0 && len(ch.upsertions) > 0 {
		if *room <= 0 {
			return nil, fmt.Errorf("%w: %d users are the limit", kerr.PolicyViolation, b.cfg.Limits.MaxUsers)
		}
		*room--
	}
	return events, nil
}

// againstTwice returns what is wrong with one of a user's changes, of which there
// may be one in a request, even of two mechanisms (KIP-554).
func againstTwice(bad error, before int, last error) error {
	switch {
	case bad != nil:
		return bad
	case before > 0:
		return fmt.Errorf("%w: the user is in the request twice", kerr.DuplicateResource)
	}
	return last
}
