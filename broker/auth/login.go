package auth

import (
	"bytes"
	"errors"
	"strings"
	"time"
	"unicode/utf8"
)

// ErrAuthentication is the only error of a Login whose detail a peer may see:
// it never says what was wrong. Reason has that, for the log.
var ErrAuthentication = errors.New("auth: authentication failed")

// failure is ErrAuthentication with the reason for the operator's log.
type failure struct{ reason string }

func (f failure) Error() string        { return "auth: authentication failed: " + f.reason }
func (f failure) Is(target error) bool { return target == ErrAuthentication }

func fail(reason string) error { return failure{reason} }

// Login is one exchange of a SASL mechanism.
//
//	start --Step--> continue ... --Step--> done
//	  |                |
//	  +---- error -----+---------> failed (the exchange cannot go on)
type Login interface {
	// Step takes the client's next message and returns the server's. done says
	// that the client is who it says. A final challenge of a failed exchange may
	// come with an error.
	Step(message []byte) (challenge []byte, done bool, err error)
	// Identity returns the user, and until when the login is good, zero for
	// ever; valid once done.
	Identity() (user string, expires time.Time)
}

// Directory looks up stored credentials.
type Directory interface {
	// Credential returns the user's credential for a SCRAM mechanism.
	Credential(user string, m Mechanism) (Credential, bool)
	// Secret is random and constant: what Decoy needs.
	Secret() []byte
}

// lookup returns a user's credential or one that no password fits. The second is
// made in either case, so that both take the same time.
func lookup(d Directory, user string, m Mechanism) (c Credential, known bool) {
	decoy := Decoy(d.Secret(), m, user)
	c, known = d.Credential(user, m)
	if !known || !c.Valid() {
		return decoy, false
	}
	return c, true
}

// plainLogin is PLAIN (RFC 4616):
//
//	authzid NUL authcid NUL password
//
// The password is checked against the user's SCRAM credential.
type plainLogin struct {
	d    Directory
	user string
}

// NewPlain starts a PLAIN exchange. Its only step hashes the password, which
// costs some milliseconds: callers bound how many do so at once.
func NewPlain(d Directory) Login { return &plainLogin{d: d} }

func (l *plainLogin) Step(message []byte) ([]byte, bool, error) {
	parts := bytes.Split(message, []byte{0})
	if len(parts) != 3 || !utf8.Valid(message) {
		return nil, false, fail("PLAIN message is not authzid, authcid and password")
	}
	authzid, user, password := string(parts[0]), string(parts[1]), string(parts[2])
	switch {
	case CheckUserName(user) != nil:
		return nil, false, fail("bad user name")
	case authzid != "" && authzid != user:
		return nil, false, fail("authorization id differs from user name")
	case password == "" || len(password) > PasswordMaxBytes:
		return nil, false, fail("bad password length")
	}
	cred, known := lookup(l.d, user, ScramSHA512)
	if other, ok := lookup(l.d, user, ScramSHA256); ok && !known {
		cred, known = other, true
	}
	if !cred.Verify(password) || !known {
		return nil, false, fail("PLAIN: unknown user or wrong password for " + user)
	}
	l.user = user
	return nil, true, nil
}

func (l *plainLogin) Identity() (string, time.Time) { return l.user, time.Time{} }

// CheckUserName verifies that a name can be a user's: 1 to UserNameMaxBytes of
// UTF-8 without control characters.
func CheckUserName(name string) error {
	if name == "" || len(name) > UserNameMaxBytes || !utf8.ValidString(name) ||
		strings.ContainsFunc(name, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return errUserName
	}
	return nil
}

var errUserName = errors.New("auth: a user name has 1 to 256 bytes of UTF-8 without control characters")
