package broker

import (
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/broker/wal"
)

// The checkpoint's section 2:
//
//	secret | user count | users | rule count | rules
//
// A user is: name, credential count, and for each credential mechanism, salt,
// iterations, StoredKey, ServerKey (package auth). A rule is: resource type,
// name, pattern type, principal, host, operation, allow.
const sectionSecurity = 2

// security is the durable state of who may log in and who may do what.
type security struct {
	// change is held while users or rules are changed, from the check against
	// what is there to the publication. Lock order: before Broker.mu.
	change sync.Mutex

	mu     sync.RWMutex // a leaf lock, guards the fields below
	secret []byte       // what decoy salts are made with
	users  map[string]map[auth.Mechanism]auth.Credential
	rules  *auth.Rules
}

// init gives the state a secret of its own; a checkpoint replaces it, and every
// start writes one.
func (s *security) init() {
	s.secret = make([]byte, 32)
	rand.Read(s.secret) // crypto/rand never fails
	s.users = map[string]map[auth.Mechanism]auth.Credential{}
	s.rules = auth.NewRules(nil)
}

// Credential implements auth.Directory.
func (s *security) Credential(user string, m auth.Mechanism) (auth.Credential, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	c, ok := s.users[user][m]
	return c, ok
}

// Secret implements auth.Directory.
func (s *security) Secret() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.secret
}

// accessRules returns the rules as they are now.
func (s *security) accessRules() *auth.Rules {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.rules
}

// credentials returns what a user has, by mechanism.
func (s *security) credentials(user string) map[auth.Mechanism]auth.Credential {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return maps.Clone(s.users[user])
}

// userNames returns every user in order.
func (s *security) userNames() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.Sorted(maps.Keys(s.users))
}

func (s *security) encode(w *wal.Encoder) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	w.Bytes(s.secret)
	w.Uint(uint64(len(s.users)))
	for _, name := range slices.Sorted(maps.Keys(s.users)) {
		w.String(name)
		w.Uint(uint64(len(s.users[name])))
		for _, m := range slices.Sorted(maps.Keys(s.users[name])) {
			encodeCredential(w, s.users[name][m])
		}
	}
	w.Uint(uint64(s.rules.Len()))
	for _, r := range s.rules.Sorted() {
		encodeRule(w, r)
	}
}

func (s *security) decode(d *wal.Decoder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.secret = slices.Clone(d.Bytes())
	for range d.Count() {
		name := d.String()
		creds := map[auth.Mechanism]auth.Credential{}
		for range d.Count() {
			c := decodeCredential(d)
			creds[c.Mechanism] = c
		}
		s.users[name] = creds
	}
	var rules []auth.Rule
	for range d.Count() {
		rules = append(rules, decodeRule(d))
	}
	s.rules = auth.NewRules(rules)
}

func encodeCredential(w *wal.Encoder, c auth.Credential) {
	w.String(string(c.Mechanism))
	w.Bytes(c.Salt)
	w.Int(int64(c.Iterations))
	w.Bytes(c.StoredKey)
	w.Bytes(c.ServerKey)
}

func decodeCredential(d *wal.Decoder) auth.Credential {
	return auth.Credential{
		Mechanism: auth.Mechanism(d.String()), Salt: slices.Clone(d.Bytes()), Iterations: int(d.Int()),
		StoredKey: slices.Clone(d.Bytes()), ServerKey: slices.Clone(d.Bytes()),
	}
}

func encodeRule(w *wal.Encoder, r auth.Rule) {
	w.Int(int64(r.Resource))
	w.String(r.Name)
	w.Int(int64(r.Pattern))
	w.String(r.Principal)
	w.String(r.Host)
	w.Int(int64(r.Operation))
	w.Bool(r.Allow)
}

func decodeRule(d *wal.Decoder) auth.Rule {
	return auth.Rule{
		Resource: kmsg.ACLResourceType(d.Int()), Name: d.String(), Pattern: kmsg.ACLResourcePatternType(d.Int()),
		Principal: d.String(), Host: d.String(), Operation: kmsg.ACLOperation(d.Int()), Allow: d.Bool(),
	}
}

// credentialSet: user, credential.
type credentialSet struct {
	user string
	cred auth.Credential
}

func (*credentialSet) kind() byte              { return kindCredentialSet }
func (e *credentialSet) encode(w *wal.Encoder) { w.String(e.user); encodeCredential(w, e.cred) }
func (e *credentialSet) decode(d *wal.Decoder) { e.user, e.cred = d.String(), decodeCredential(d) }
func (*credentialSet) stage(*Broker)           {}
func (e *credentialSet) publish(b *Broker) {
	b.security.mu.Lock()
	defer b.security.mu.Unlock()
	creds := maps.Clone(b.security.users[e.user])
	if creds == nil {
		creds = map[auth.Mechanism]auth.Credential{}
	}
	creds[e.cred.Mechanism] = e.cred
	b.security.users[e.user] = creds
}

// credentialDeleted: user, mechanism.
type credentialDeleted struct {
	user string
	m    auth.Mechanism
}

func (*credentialDeleted) kind() byte              { return kindCredentialDeleted }
func (e *credentialDeleted) encode(w *wal.Encoder) { w.String(e.user); w.String(string(e.m)) }
func (e *credentialDeleted) decode(d *wal.Decoder) {
	e.user, e.m = d.String(), auth.Mechanism(d.String())
}
func (*credentialDeleted) stage(*Broker) {}
func (e *credentialDeleted) publish(b *Broker) {
	b.security.mu.Lock()
	defer b.security.mu.Unlock()
	creds := maps.Clone(b.security.users[e.user])
	delete(creds, e.m)
	if b.security.users[e.user] = creds; len(creds) == 0 {
		delete(b.security.users, e.user)
	}
}

// rulesChanged: rules to add, rules to delete.
type rulesChanged struct{ added, deleted []auth.Rule }

func (*rulesChanged) kind() byte { return kindRulesChanged }
func (e *rulesChanged) encode(w *wal.Encoder) {
	for _, list := range [][]auth.Rule{e.added, e.deleted} {
		w.Uint(uint64(len(list)))
		for _, r := range list {
			encodeRule(w, r)
		}
	}
}
func (e *rulesChanged) decode(d *wal.Decoder) {
	for _, list := range []*[]auth.Rule{&e.added, &e.deleted} {
		for range d.Count() {
			*list = append(*list, decodeRule(d))
		}
	}
}
func (*rulesChanged) stage(*Broker) {}
func (e *rulesChanged) publish(b *Broker) {
	b.security.mu.Lock()
	defer b.security.mu.Unlock()
	gone := auth.NewRules(e.deleted)
	var list []auth.Rule
	for _, r := range b.security.rules.Sorted() {
		if !gone.Has(r) {
			list = append(list, r)
		}
	}
	b.security.rules = auth.NewRules(append(list, e.added...))
}

// SetPassword stores the credentials of a user for both SCRAM mechanisms, which
// PLAIN uses too; the password itself is not kept. It is how the first user comes
// to be, before anybody can log in.
func (b *Broker) SetPassword(user, password string) error {
	if err := auth.CheckUserName(user); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	var events []event
	for _, m := range []auth.Mechanism{auth.ScramSHA256, auth.ScramSHA512} {
		salt := make([]byte, auth.SaltBytes)
		rand.Read(salt)
		cred, err := auth.NewCredential(m, password, salt, auth.DefaultIterations)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		events = append(events, &credentialSet{user, cred})
	}
	b.security.change.Lock()
	defer b.security.change.Unlock()
	return b.submitEvents(events)
}

// HasUser reports whether a user has a password.
func (b *Broker) HasUser(user string) bool { return len(b.security.credentials(user)) > 0 }

// submitEvents makes events durable as one frame and waits for it.
func (b *Broker) submitEvents(events []event) error {
	c := newChange(512 * len(events))
	return b.submitWait(c, func() error {
		for _, e := range events {
			b.stage(c, e)
		}
		return nil
	})
}
