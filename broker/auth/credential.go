package auth

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/sha256"
	"crypto/sha512"
	"errors"
	"fmt"
	"hash"
)

// Mechanism is a SASL mechanism by its registered name.
type Mechanism string

// The mechanisms that are known.
const (
	Plain       Mechanism = "PLAIN"
	ScramSHA256 Mechanism = "SCRAM-SHA-256"
	ScramSHA512 Mechanism = "SCRAM-SHA-512"
	OAuthBearer Mechanism = "OAUTHBEARER"
)

// Mechanisms is every mechanism, in the order in which they are offered.
var Mechanisms = []Mechanism{ScramSHA512, ScramSHA256, Plain, OAuthBearer}

// ParseMechanism returns a mechanism by its name.
func ParseMechanism(name string) (Mechanism, error) {
	for _, m := range Mechanisms {
		if string(m) == name {
			return m, nil
		}
	}
	return "", fmt.Errorf("SASL mechanism %q: expected one of %v", name, Mechanisms)
}

// Limits of what is stored of a password; the iterations are Kafka's.
const (
	MinIterations = 4096
	MaxIterations = 16384
	// DefaultIterations is what this program hashes passwords with, and what an
	// unknown user seems to have.
	DefaultIterations = 8192
	saltMinBytes      = 1 // as in Kafka: a client chooses it
	saltMaxBytes      = 256
	// UserNameMaxBytes bounds user names.
	UserNameMaxBytes = 256
	// PasswordMaxBytes bounds passwords, so that hashing one costs little.
	PasswordMaxBytes = 1024
)

// The errors of credentials.
var (
	ErrIterations = fmt.Errorf("auth: iterations must be %d to %d", MinIterations, MaxIterations)
	ErrCredential = errors.New("auth: bad credential")
)

// Credential is what is stored of a user's password for one SCRAM mechanism
// (RFC 5802, section 3).
type Credential struct {
	Mechanism  Mechanism
	Salt       []byte
	Iterations int
	StoredKey  []byte // H(HMAC(SaltedPassword, "Client Key"))
	ServerKey  []byte // HMAC(SaltedPassword, "Server Key")
}

// hash returns the mechanism's hash function, nil when it is not SCRAM.
func (m Mechanism) hash() func() hash.Hash {
	switch m {
	case ScramSHA256:
		return sha256.New
	case ScramSHA512:
		return sha512.New
	}
	return nil
}

// size returns the bytes of the mechanism's hash.
func (m Mechanism) size() int {
	if m == ScramSHA512 {
		return sha512.Size
	}
	return sha256.Size
}

// NewCredential makes the credential of a password. ErrIterations and
// ErrCredential say which argument is out of bounds.
func NewCredential(m Mechanism, password string, salt []byte, iterations int) (Credential, error) {
	if password == "" || len(password) > PasswordMaxBytes {
		return Credential{}, fmt.Errorf("%w: a password has 1 to %d bytes", ErrCredential, PasswordMaxBytes)
	}
	if m.hash() == nil {
		return Credential{}, fmt.Errorf("%w: %s is not a SCRAM mechanism", ErrCredential, m)
	}
	if iterations < MinIterations || iterations > MaxIterations {
		return Credential{}, ErrIterations
	}
	return FromSalted(m, m.salted(password, salt, iterations), salt, iterations)
}

// FromSalted makes the credential of a password that the client has salted, as
// AlterUserScramCredentials sends it (KIP-554).
func FromSalted(m Mechanism, salted, salt []byte, iterations int) (Credential, error) {
	switch {
	case m.hash() == nil:
		return Credential{}, fmt.Errorf("%w: %s is not a SCRAM mechanism", ErrCredential, m)
	case iterations < MinIterations || iterations > MaxIterations:
		return Credential{}, ErrIterations
	case len(salt) < saltMinBytes || len(salt) > saltMaxBytes:
		return Credential{}, fmt.Errorf("%w: a salt has %d to %d bytes", ErrCredential, saltMinBytes, saltMaxBytes)
	case len(salted) != m.size():
		return Credential{}, fmt.Errorf("%w: a salted password of %s has %d bytes", ErrCredential, m, m.size())
	}
	return Credential{
		Mechanism: m, Salt: salt, Iterations: iterations,
		StoredKey: m.digest(m.mac(salted, "Client Key")), ServerKey: m.mac(salted, "Server Key"),
	}, nil
}

// Valid reports whether a stored credential can be used.
func (c Credential) Valid() bool {
	return c.Mechanism.hash() != nil && c.Iterations >= MinIterations && c.Iterations <= MaxIterations &&
		len(c.StoredKey) == c.Mechanism.size() && len(c.ServerKey) == c.Mechanism.size()
}

// Verify reports whether a password is the credential's. It costs Iterations
// hashes.
func (c Credential) Verify(password string) bool {
	stored := c.Mechanism.digest(c.Mechanism.mac(c.Mechanism.salted(password, c.Salt, c.Iterations), "Client Key"))
	return hmac.Equal(stored, c.StoredKey)
}

// salted is Hi of RFC 5802.
func (m Mechanism) salted(password string, salt []byte, iterations int) []byte {
	key, err := pbkdf2.Key(m.hash(), password, salt, iterations, m.size())
	if err != nil {
		panic("auth: pbkdf2: " + err.Error()) // fails for impossible sizes only
	}
	return key
}

func (m Mechanism) mac(key []byte, text string) []byte {
	h := hmac.New(m.hash(), key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

func (m Mechanism) digest(b []byte) []byte {
	h := m.hash()()
	h.Write(b)
	return h.Sum(nil)
}

// Decoy returns the credential that stands for a user who has none: nobody knows
// a password for it, and the same secret, mechanism and name give the same salt.
// secret is random and the same for the life of the data directory.
func Decoy(secret []byte, m Mechanism, user string) Credential {
	h := hmac.New(sha512.New, secret)
	h.Write([]byte(string(m) + "\x00" + user))
	sum := h.Sum(nil)
	h.Write([]byte("keys"))
	keys := h.Sum(nil)
	return Credential{
		Mechanism: m, Salt: sum[:SaltBytes], Iterations: DefaultIterations,
		StoredKey: keys[:m.size()], ServerKey: sum[:m.size()],
	}
}

// SaltBytes is the size of the salts that this program makes: that of the client
// library that the user command salts with, so that none of them stands out.
const SaltBytes = 24
