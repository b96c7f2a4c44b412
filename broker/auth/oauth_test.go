package auth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

var oauthNow = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// issuer signs tokens with a key of each kind.
type issuer struct {
	rsa *rsa.PrivateKey
	ec  *ecdsa.PrivateKey
}

func newIssuer(t testing.TB) (issuer, KeySet) {
	t.Helper()
	r, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	e, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
		{Key: r.Public(), KeyID: "r", Algorithm: "RS256", Use: "sig"}, {Key: e.Public(), KeyID: "e"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	set, err := ParseKeySet(text)
	if err != nil {
		t.Fatal(err)
	}
	return issuer{r, e}, set
}

func sign(t testing.TB, alg jose.SignatureAlgorithm, key any, id string, claims map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func claims(change map[string]any) map[string]any {
	c := map[string]any{"sub": "alice", "iss": "https://issuer", "aud": "kafka", "exp": oauthNow.Add(time.Hour).Unix(), "name": "Alice L"}
	for k, v := range change {
		if v == nil {
			delete(c, k)
			continue
		}
		c[k] = v
	}
	return c
}

func TestVerifyToken(t *testing.T) {
	is, set := newIssuer(t)
	other, _ := newIssuer(t)
	rules := TokenRules{Issuer: "https://issuer", Audience: []string{"kafka", "other"}, Skew: 30 * time.Second}
	at := func(d time.Duration) int64 { return oauthNow.Add(d).Unix() }
	public, err := json.Marshal(is.rsa.N)
	if err != nil {
		t.Fatal(err)
	}
	head := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","kid":"r"}`))
	body, err := json.Marshal(claims(nil))
	if err != nil {
		t.Fatal(err)
	}
	good := sign(t, jose.RS256, is.rsa, "r", claims(nil))
	parts := strings.Split(good, ".")
	for _, c := range []struct {
		name, token string
		ok          bool
	}{
		{"RS256", good, true},
		{"ES256", sign(t, jose.ES256, is.ec, "e", claims(nil)), true},
		{"no key id", sign(t, jose.ES256, is.ec, "", claims(nil)), true},
		{"list of audiences", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"aud": []string{"x", "kafka"}})), true},
		{"expired within the skew", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"exp": at(-20 * time.Second)})), true},
		{"expired", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"exp": at(-40 * time.Second)})), false},
		{"no exp", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"exp": nil})), false},
		{"not yet valid", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"nbf": at(time.Minute)})), false},
		{"issued in the future", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"iat": at(time.Hour)})), false},
		{"other issuer", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"iss": "https://evil"})), false},
		{"other audience", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"aud": "web"})), false},
		{"no audience", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"aud": nil})), false},
		{"no user", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"sub": nil})), false},
		{"user not text", sign(t, jose.RS256, is.rsa, "r", claims(map[string]any{"sub": 7})), false},
		{"other key", sign(t, jose.RS256, other.rsa, "r", claims(nil)), false},
		{"unknown key id", sign(t, jose.RS256, is.rsa, "x", claims(nil)), false},
		{"algorithm of another key", sign(t, jose.RS512, is.rsa, "r", claims(nil)), false},
		{"none", head + "." + base64.RawURLEncoding.EncodeToString(body) + ".", false},
		{"HMAC with the public key", sign(t, jose.HS256, []byte(public), "r", claims(nil)), false},
		{"changed claims", parts[0] + "." + base64.RawURLEncoding.EncodeToString(body) + "x." + parts[2], false},
		{"no signature", parts[0] + "." + parts[1] + ".", false},
		{"two parts", parts[0] + "." + parts[1], false},
		{"empty", "", false},
		{"long", strings.Repeat("a", TokenMaxBytes+1), false},
	} {
		user, expires, err := VerifyToken(c.token, func(string) KeySet { return set }, rules, oauthNow)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrAuthentication) {
			t.Errorf("%s: %q %v", c.name, user, err)
		}
		if c.ok && (user != "alice" || expires.IsZero()) {
			t.Errorf("%s: user %q until %v", c.name, user, expires)
		}
	}
	rules.UserClaim = "name"
	if user, _, err := VerifyToken(good, func(string) KeySet { return set }, rules, oauthNow); user != "Alice L" {
		t.Errorf("user claim: %q, %v", user, err)
	}
}

func TestParseKeySet(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	weak, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: small.Public(), KeyID: "w"}}})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"weak RSA": string(weak), "symmetric": `{"keys":[{"kty":"oct","k":"c2VjcmV0LXNlY3JldC1zZWNyZXQ"}]}`,
		"not JSON": "keys", "no keys": `{}`, "unknown type": `{"keys":[{"kty":"XYZ"}]}`,
		"too many": `{"keys":[` + strings.TrimSuffix(strings.Repeat("{},", KeysMax+1), ",") + `]}`,
	} {
		if _, err := ParseKeySet([]byte(text)); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}

func TestOAuthExchange(t *testing.T) {
	verify := func(token string) (string, time.Time, error) {
		if token == "good.token" {
			return "alice", oauthNow, nil
		}
		return "", time.Time{}, fail("bad token")
	}
	for _, c := range []struct {
		message    string
		done, told bool
	}{
		{"n,,\x01auth=Bearer good.token\x01\x01", true, false},
		{"n,a=alice,\x01auth=bearer good.token\x01logicalCluster=x\x01\x01", true, false},
		{"n,a=bob,\x01auth=Bearer good.token\x01\x01", false, true},
		{"n,,\x01auth=Bearer bad.token\x01\x01", false, true},
		{"n,,\x01auth=Basic good.token\x01\x01", false, false},
		{"n,,\x01auth=Bearer good.token\x01auth=Bearer bad.token\x01\x01", false, false},
		{"n,,\x01x=y\x01\x01", false, false},
		{"p=tls-unique,,\x01auth=Bearer good.token\x01\x01", false, false},
		{"n,,auth=Bearer good.token", false, false},
		{"", false, false},
	} {
		l := NewOAuth(verify)
		challenge, done, err := l.Step([]byte(c.message))
		if done != c.done || (err == nil) != (c.done || c.told) {
			t.Errorf("%q: done %v, %v", c.message, done, err)
		}
		if !c.told {
			continue
		}
		if string(challenge) != `{"status":"invalid_token"}` {
			t.Errorf("%q: challenge %q", c.message, challenge)
		}
		if _, done, err := l.Step([]byte{1}); done || !errors.Is(err, ErrAuthentication) {
			t.Errorf("%q: after the failure was told: %v %v", c.message, done, err)
		}
		if _, done, err := l.Step([]byte("n,,\x01auth=Bearer good.token\x01\x01")); done || err == nil {
			t.Error("a failed exchange starts anew")
		}
	}
}

func FuzzOAuth(f *testing.F) {
	is, set := newIssuer(f)
	good := sign(f, jose.RS256, is.rsa, "r", claims(nil))
	f.Add("n,,\x01auth=Bearer " + good[:len(good)-4] + "\x01\x01")
	f.Add("n,a=x,\x01auth=Bearer e30.e30.e30\x01\x01")
	f.Fuzz(func(t *testing.T, message string) {
		l := NewOAuth(func(token string) (string, time.Time, error) {
			return VerifyToken(token, func(string) KeySet { return set }, TokenRules{}, oauthNow)
		})
		if _, done, _ := l.Step([]byte(message)); done && !strings.Contains(message, good) {
			t.Errorf("logged in with %q", message)
		}
	})
}
