package main

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"hash"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// access is a rule, or, with empty and ANY parts, a filter of rules.
type access struct {
	kind            kmsg.ACLResourceType
	name            string
	pattern         kmsg.ACLResourcePatternType
	principal, host string
	op              kmsg.ACLOperation
	permission      kmsg.ACLPermissionType
}

// everything is the filter that selects every rule.
var everything = access{kind: 1, pattern: 1, op: 1, permission: 1}

// orNull returns nil for what a filter leaves open.
func orNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func createACLs(rules ...access) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrCreateACLsRequest()
		for _, a := range rules {
			c := kmsg.NewCreateACLsRequestCreation()
			c.ResourceType, c.ResourceName, c.ResourcePatternType = a.kind, a.name, a.pattern
			c.Principal, c.Host, c.Operation, c.PermissionType = a.principal, a.host, a.op, a.permission
			req.Creations = append(req.Creations, c)
		}
		return req
	}
}

func deleteACLs(filters ...access) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDeleteACLsRequest()
		for _, a := range filters {
			f := kmsg.NewDeleteACLsRequestFilter()
			f.ResourceType, f.ResourceName, f.ResourcePatternType = a.kind, orNull(a.name), a.pattern
			f.Principal, f.Host, f.Operation, f.PermissionType = orNull(a.principal), orNull(a.host), a.op, a.permission
			req.Filters = append(req.Filters, f)
		}
		return req
	}
}

func describeACLs(a access) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeACLsRequest()
		req.ResourceType, req.ResourceName, req.ResourcePatternType = a.kind, orNull(a.name), a.pattern
		req.Principal, req.Host, req.Operation, req.PermissionType = orNull(a.principal), orNull(a.host), a.op, a.permission
		return req
	}
}

// part is a part of an entity that has quotas; an empty name is the default.
type part struct{ kind, name string }

// limit is a quota to set, or to remove.
type limit struct {
	key    string
	value  float64
	remove bool
}

func alterQuotas(validate bool, entity []part, limits ...limit) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrAlterClientQuotasRequest()
		e := kmsg.NewAlterClientQuotasRequestEntry()
		for _, p := range entity {
			e.Entity = append(e.Entity, kmsg.AlterClientQuotasRequestEntryEntity{Type: p.kind, Name: orNull(p.name)})
		}
		for _, l := range limits {
			e.Ops = append(e.Ops, kmsg.AlterClientQuotasRequestEntryOp{Key: l.key, Value: l.value, Remove: l.remove})
		}
		req.ValidateOnly, req.Entries = validate, append(req.Entries, e)
		return req
	}
}

// component is a part of what DescribeClientQuotas selects.
type component struct {
	kind string
	how  kmsg.QuotasMatchType
	name string
}

func describeQuotas(strict bool, components ...component) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeClientQuotasRequest()
		req.Strict = strict
		for _, c := range components {
			rc := kmsg.NewDescribeClientQuotasRequestComponent()
			rc.EntityType, rc.MatchType, rc.Match = c.kind, c.how, orNull(c.name)
			req.Components = append(req.Components, rc)
		}
		return req
	}
}

// credential is one to be set, or, without iterations, deleted.
type credential struct {
	user       string
	mechanism  int8
	iterations int32
}

// alterUsers sets credentials with alice's password and a salt of the user's name.
func alterUsers(credentials ...credential) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		for _, c := range credentials {
			if c.iterations == 0 {
				d := kmsg.NewAlterUserSCRAMCredentialsRequestDeletion()
				d.Name, d.Mechanism = c.user, c.mechanism
				req.Deletions = append(req.Deletions, d)
				continue
			}
			u := kmsg.NewAlterUserSCRAMCredentialsRequestUpsertion()
			u.Name, u.Mechanism, u.Iterations, u.Salt = c.user, c.mechanism, c.iterations, []byte("salt of "+c.user)
			u.SaltedPassword = salted(c.mechanism, u.Salt, int(c.iterations))
			req.Upsertions = append(req.Upsertions, u)
		}
		return req
	}
}

// salted is alice's password salted for a mechanism, 1 being SCRAM-SHA-256.
func salted(mechanism int8, salt []byte, iterations int) []byte {
	h, size := func() hash.Hash { return sha512.New() }, sha512.Size
	if mechanism == 1 {
		h, size = func() hash.Hash { return sha256.New() }, sha256.Size
	}
	key, err := pbkdf2.Key(h, alicePassword, salt, min(max(iterations, 1), 20000), size)
	if err != nil {
		panic(err) // only for lengths that no hash has
	}
	return key
}

func describeUsers(users ...string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		for _, name := range users {
			u := kmsg.NewDescribeUserSCRAMCredentialsRequestUser()
			u.Name = name
			req.Users = append(req.Users, u)
		}
		return req
	}
}

func handshake(mechanism string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrSASLHandshakeRequest()
		req.Mechanism = mechanism
		return req
	}
}

func authenticate(message string) func(*side) kmsg.Request {
	return func(*side) kmsg.Request {
		req := kmsg.NewPtrSASLAuthenticateRequest()
		req.SASLAuthBytes = []byte(message)
		return req
	}
}
