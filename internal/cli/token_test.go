package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/clock"
)

// issuer makes tokens of the user carol. keys is a file with its key set.
type issuer struct {
	t         *testing.T
	key       *ecdsa.PrivateKey
	dir, keys string
}

func newIssuer(t *testing.T) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	is := &issuer{t: t, key: key, dir: t.TempDir()}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k"}}})
	if err != nil {
		t.Fatal(err)
	}
	is.keys = is.write("keys.json", string(set))
	return is
}

func (is *issuer) write(name, text string) (path string) {
	is.t.Helper()
	path = filepath.Join(is.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		is.t.Fatal(err)
	}
	return path
}

// token returns a token that is good for so long.
func (is *issuer) token(audience string, lasts time.Duration) string {
	is.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: is.key, KeyID: "k"}}, nil)
	if err != nil {
		is.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(map[string]any{"sub": "carol", "aud": audience, "exp": clock.System.Now().Add(lasts).Unix()}).Serialize()
	if err != nil {
		is.t.Fatal(err)
	}
	return text
}

// serve starts a server whose last listener takes carol's tokens, and returns the
// addresses of all.
func (is *issuer) serve(flags ...string) (kafka string) {
	is.t.Helper()
	_, kafka, _ = startServerWith(is.t, filepath.Join(is.dir, "data"), append(flags, "--listener", "SASL_PLAINTEXT://127.0.0.1:0",
		"--sasl-mechanisms", "SCRAM-SHA-512,SCRAM-SHA-256,OAUTHBEARER", "--oauth-jwks-file", is.keys, "--oauth-audience", "kafka", "--super-user", "User:carol")...)
	return kafka
}

func TestToken(t *testing.T) {
	is := newIssuer(t)
	kafka := is.serve("--listener", "OPEN=PLAINTEXT://127.0.0.1:0")
	open, kafka, _ := strings.Cut(kafka, ",")
	good, late, other := is.token("kafka", time.Hour), is.token("kafka", -time.Hour), is.token("web", time.Hour)
	goodFile := is.write("good", good+"\n")
	_, passwords, _ := startServerWith(t, t.TempDir(), "--listener", "SASL_PLAINTEXT://127.0.0.1:0")

	file := []string{"--bootstrap", kafka, "--oauth-token-file", goodFile}
	for _, c := range []struct {
		args []string
		in   string
		want string
	}{
		{append([]string{"topic", "create", "orders"}, file...), "", ""},
		{append([]string{"produce", "orders"}, file...), `{"id":"a"}`, ""},
		{append([]string{"consume", "orders", "--from-beginning", "--max", "1", "--sasl-mechanism", "OAUTHBEARER"}, file...), "", `{"id":"a"}`},
		{append([]string{"acl", "add", "--allow", "User:carol", "--operation", "read", "--topic", "orders"}, file...), "", "carol"},
		{append([]string{"group", "list"}, file...), "", ""},
	} {
		if code, out, stderr := run(t, c.in, c.args...); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%v: exit code %d, %s%s", c.args[:2], code, out, stderr)
		}
	}
	for _, c := range []struct{ name, token, args, want string }{
		{"from the environment", good, "", ""},
		{"a file goes before the environment", late, "--oauth-token-file " + goodFile, ""},
		{"a user goes before the environment", good, "--user carol --password-file " + goodFile, "does not let carol in: wrong password"},
		{"expired", late, "", "does not let the token in"},
		{"for others", other, "", "does not let the token in"},
		{"signed by others", newIssuer(t).token("kafka", time.Hour), "", "does not let the token in"},
		{"no token at all", "", "", "--oauth-token-file"},
		{"a listener without a login", good, "--bootstrap " + open, "asks for no login: leave --oauth-token-file away and MILLRACE_OAUTH_TOKEN unset"},
		{"a listener without keys", good, "--bootstrap " + passwords, "takes no tokens"},
	} {
		t.Setenv(tokenEnv, c.token)
		args := append([]string{"topic", "list", "--bootstrap", kafka}, strings.Fields(c.args)...)
		code, out, stderr := run(t, "", args...)
		if (code == 0) != (c.want == "") || !strings.Contains(stderr, c.want) || c.token != "" && strings.Contains(out+stderr, c.token) {
			t.Errorf("%s: exit code %d, %s%s", c.name, code, out, stderr)
		}
	}
}

// TestTokenMistakes: what is no token is told before anything is sent, and never
// shown; logins that contradict themselves are refused.
func TestTokenMistakes(t *testing.T) {
	is := newIssuer(t)
	good := is.write("good", is.token("kafka", time.Hour))
	long := is.write("long", strings.Repeat("s3cret", auth.TokenMaxBytes))
	inJSON := is.write("json", `{"access_token":"s3cret"}`)
	for _, c := range []struct{ args, want string }{
		{"--oauth-token-file " + is.write("empty", " \n"), "is empty: expected a token"},
		{"--oauth-token-file " + inJSON, "holds something else than a token"},
		{"--oauth-token-file " + is.write("two", "s3cret\ns3cret\n"), "holds something else than a token"},
		{"--oauth-token-file " + is.write("control", "s3cret\x01auth=Bearer s3cret"), "holds something else than a token"},
		{"--oauth-token-file " + long, "a token has 49152 at most"},
		{"--oauth-token-file " + is.dir + "/missing", "no such file"},
		{"--sasl-mechanism OAUTHBEARER", "no token: give --oauth-token-file or set MILLRACE_OAUTH_TOKEN"},
		{"--user carol --oauth-token-file " + good, "--oauth-token-file and --user exclude one another"},
		{"--user carol --sasl-mechanism OAUTHBEARER", "--user has no meaning with --sasl-mechanism OAUTHBEARER"},
		{"--sasl-mechanism PLAIN --oauth-token-file " + good, "--oauth-token-file has no meaning with --sasl-mechanism PLAIN"},
		{"--password-file " + good + " --oauth-token-file " + good, "--password-file has no meaning with a token"},
		{"--sasl-mechanism SCRAM-SHA-256", "--sasl-mechanism SCRAM-SHA-256 needs --user"},
	} {
		code, out, stderr := run(t, "", append([]string{"topic", "list", "--bootstrap", "127.0.0.1:1"}, strings.Fields(c.args)...)...)
		if code == 0 || out != "" || !strings.Contains(stderr, c.want) || strings.Contains(stderr, "s3cret") {
			t.Errorf("%s: exit code %d, %s%sexpected %q", c.args, code, out, stderr, c.want)
		}
	}
	t.Setenv(tokenEnv, `"s3cret"`)
	if code, _, stderr := run(t, "", "topic", "list", "--bootstrap", "127.0.0.1:1"); code == 0 || !strings.Contains(stderr, tokenEnv+" holds something else") || strings.Contains(stderr, "s3cret") {
		t.Errorf("quotes in the environment: %s", stderr)
	}
	if code, out, _ := run(t, "", "__complete", "topic", "list", "--sasl-mechanism", "O"); code != 0 || !strings.Contains(out, "OAUTHBEARER") {
		t.Errorf("completion: %s", out)
	}
}

// TestTokenIsReadAgain: a session that lasts a second counts as over for the
// client at once, so that every request logs in again, with what the file holds
// by then.
func TestTokenIsReadAgain(t *testing.T) {
	is := newIssuer(t)
	to := cluster{addr: is.serve("--connections-max-reauth", "1s"), tokenFile: is.write("token", is.token("kafka", time.Hour))}
	cl, err := kafkaClient(to, kgo.RequestRetries(0))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ask := func() error {
		_, err := kmsg.NewPtrMetadataRequest().RequestWith(t.Context(), cl)
		return unreachable(to, err)
	}
	if err := ask(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ text, want string }{
		{is.token("kafka", -time.Hour), "does not let the token in"},
		{"", "is empty"},
		{is.token("kafka", 2*time.Hour), ""},
	} {
		is.write("token", c.text)
		if err := ask(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("expected %q: %v", c.want, err)
		}
	}
}

// TestBearerSession: a refusal is never taken for a login.
func TestBearerSession(t *testing.T) {
	var s bearerSession
	if done, next, err := s.Challenge([]byte(`{"status":"invalid_token"}`)); done || string(next) != "\x01" || err != nil {
		t.Errorf("refused: %v, %q, %v", done, next, err)
	}
	for _, answer := range []string{"", `{"status":"invalid_token"}`} {
		if done, _, err := s.Challenge([]byte(answer)); done || err == nil {
			t.Errorf("%q after a refusal: %v, %v", answer, done, err)
		}
	}
	if done, next, err := new(bearerSession).Challenge(nil); !done || len(next) > 0 || err != nil {
		t.Errorf("accepted: %v, %q, %v", done, next, err)
	}
}
