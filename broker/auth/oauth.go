package auth

import (
	"crypto/rsa"
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// tokenAlgorithms are the signatures that a token may have. Symmetric ones are
// not among them, nor "none": who can check a token must not be able to make one.
var tokenAlgorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512,
	jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// Limits of tokens and key sets.
const (
	// TokenMaxBytes bounds a token.
	TokenMaxBytes = 48 << 10
	// KeysMax bounds the keys of a set.
	KeysMax = 100
	// rsaMinBits refuses keys that can be broken.
	rsaMinBits = 2048
)

// KeySet is the public keys that tokens are verified with.
type KeySet struct{ keys []jose.JSONWebKey }

// ParseKeySet reads a JSON Web Key Set (RFC 7517). Keys that cannot verify
// signatures are left out; a set without any is an error.
func ParseKeySet(text []byte) (KeySet, error) {
	var raw struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return KeySet{}, fmt.Errorf("parse JSON Web Key Set: %w", err)
	}
	if len(raw.Keys) > KeysMax {
		return KeySet{}, fmt.Errorf("JSON Web Key Set has %d keys, the limit is %d", len(raw.Keys), KeysMax)
	}
	var set KeySet
	for _, text := range raw.Keys {
		var k jose.JSONWebKey
		// A key of a kind that we do not know is no reason to refuse the others.
		if err := k.UnmarshalJSON(text); err != nil || !k.Valid() || !k.IsPublic() || k.Use != "" && k.Use != "sig" {
			continue
		}
		if rsaBits(k.Key) >= rsaMinBits {
			set.keys = append(set.keys, k)
		}
	}
	if len(set.keys) == 0 {
		return KeySet{}, fmt.Errorf("JSON Web Key Set has no public signing key")
	}
	return set, nil
}

// rsaBits returns the size of an RSA key, and a large number for others, whose
// sizes are fixed by their curve.
func rsaBits(key any) int {
	if k, ok := key.(*rsa.PublicKey); ok {
		return k.N.BitLen()
	}
	return math.MaxInt
}

// Has reports whether the set has a key with an id.
func (s KeySet) Has(id string) bool { return len(s.find(id)) > 0 }

// find returns the keys that a token with a key id may be signed with: with an
// empty id all.
func (s KeySet) find(id string) []jose.JSONWebKey {
	if id == "" {
		return s.keys
	}
	var keys []jose.JSONWebKey
	for _, k := range s.keys {
		if k.KeyID == id {
			keys = append(keys, k)
		}
	}
	return keys
}

// TokenRules says which tokens are accepted.
type TokenRules struct {
	Issuer    string        // iss must be it; empty: any
	Audience  []string      // aud must hold one of them; empty: any
	UserClaim string        // names the user; default sub
	Skew      time.Duration // tolerated for exp, nbf and iat
}

// VerifyToken checks a token's signature and claims (RFC 7515, RFC 7519, RFC
// 8725) and returns its user and expiry. A token without exp is refused.
func VerifyToken(token string, keys func(id string) KeySet, rules TokenRules, now time.Time) (user string, expires time.Time, err error) {
	if len(token) > TokenMaxBytes {
		return "", time.Time{}, fail("token too long")
	}
	parsed, err := jwt.ParseSigned(token, tokenAlgorithms)
	if err != nil || len(parsed.Headers) != 1 {
		return "", time.Time{}, fail("token is not a JWT with an accepted algorithm")
	}
	head := parsed.Headers[0]
	var claims jwt.Claims
	var all map[string]any
	verified := false
	for _, k := range keys(head.KeyID).find(head.KeyID) {
		if k.Algorithm != "" && k.Algorithm != head.Algorithm {
			continue
		}
		if parsed.Claims(k.Key, &claims, &all) == nil {
			verified = true
			break
		}
	}
	if !verified {
		return "", time.Time{}, fail("token is signed by no known key")
	}
	if claims.Expiry == nil {
		return "", time.Time{}, fail("token has no exp")
	}
	expected := jwt.Expected{Issuer: rules.Issuer, AnyAudience: rules.Audience, Time: now}
	if err := claims.ValidateWithLeeway(expected, rules.Skew); err != nil {
		return "", time.Time{}, fail(err.Error())
	}
	claim := rules.UserClaim
	if claim == "" {
		claim = "sub"
	}
	user, _ = all[claim].(string)
	if CheckUserName(user) != nil {
		return "", time.Time{}, fail("token has no usable " + claim)
	}
	return user, claims.Expiry.Time(), nil
}

// oauthLogin is OAUTHBEARER (RFC 7628). A failure is first told as JSON, to which
// the client answers with one byte; only then the exchange fails.
type oauthLogin struct {
	verify  func(token string) (string, time.Time, error)
	user    string
	expires time.Time
	failed  error
}

// NewOAuth starts an OAUTHBEARER exchange.
func NewOAuth(verify func(token string) (user string, expires time.Time, err error)) Login {
	return &oauthLogin{verify: verify}
}

// tokenHeader is the Authorization value: the scheme in any case, RFC 6750's
// token characters.
var tokenHeader = regexp.MustCompile(`^(?i:bearer) +([-._~+/A-Za-z0-9]+=*)$`)

func (l *oauthLogin) Step(message []byte) ([]byte, bool, error) {
	if l.failed != nil {
		return nil, false, l.failed
	}
	token, authzid, err := readBearer(string(message))
	if err != nil {
		return nil, false, err
	}
	user, expires, err := l.verify(token)
	if err == nil && authzid != "" && authzid != user {
		err = fail("authorization id differs from the token's user")
	}
	if err != nil {
		l.failed = err
		return []byte(`{"status":"invalid_token"}`), false, nil
	}
	l.user, l.expires = user, expires
	return nil, true, nil
}

func (l *oauthLogin) Identity() (string, time.Time) { return l.user, l.expires }

// readBearer reads the client's first message:
//
//	n,[a=authzid],^A key=value ^A ... ^A ^A
func readBearer(message string) (token, authzid string, err error) {
	head, rest, ok := strings.Cut(message, "\x01")
	flag, name, okHead := strings.Cut(strings.TrimSuffix(head, ","), ",")
	if !ok || !okHead || flag != "n" && flag != "y" || !strings.HasSuffix(rest, "\x01") {
		return "", "", fail("OAUTHBEARER message is malformed")
	}
	if name != "" {
		escaped, isName := strings.CutPrefix(name, "a=")
		if authzid, ok = unescape(escaped); !ok || !isName {
			return "", "", fail("OAUTHBEARER authorization id is malformed")
		}
	}
	for _, kv := range strings.Split(strings.TrimRight(rest, "\x01"), "\x01") {
		key, value, _ := strings.Cut(kv, "=")
		if key != "auth" {
			continue // SASL extensions carry nothing that we use
		}
		m := tokenHeader.FindStringSubmatch(value)
		if m == nil || token != "" {
			return "", "", fail("OAUTHBEARER auth is malformed")
		}
		token = m[1]
	}
	if token == "" {
		return "", "", fail("OAUTHBEARER message has no token")
	}
	return token, authzid, nil
}
