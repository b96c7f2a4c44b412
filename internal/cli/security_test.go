package cli

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// secured is a broker that asks for a login and has the user admin. admin and alice
// are files with their passwords.
type secured struct {
	t                         *testing.T
	admin, alice, data, kafka string
	stop                      func() int
}

func startSecured(t *testing.T) *secured {
	t.Helper()
	dir := t.TempDir()
	secret := func(name, password string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(password+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	s := &secured{t: t, admin: secret("admin", "s3cret"), alice: secret("alice", "wonder"), data: filepath.Join(dir, "data")}
	_, s.kafka, s.stop = startServerWith(t, s.data, "--listener", "SASL_PLAINTEXT://127.0.0.1:0", "--bootstrap-user", "admin", "--bootstrap-password-file", s.admin)
	return s
}

// as runs a command as a user, which must end with the exit code wanted.
func (s *secured) as(user, file string, want int, stdin string, args ...string) (out, stderr string) {
	s.t.Helper()
	code, out, stderr := run(s.t, stdin, append(args, "--bootstrap", s.kafka, "--user", user, "--password-file", file)...)
	if code != want {
		s.t.Fatalf("millrace %s as %s: exit code %d\n%s%s", strings.Join(args, " "), user, code, out, stderr)
	}
	return out, stderr
}

// TestUsersAndRules administers a broker from nothing: the first user, a second
// one, and what it may do.
func TestUsersAndRules(t *testing.T) {
	s := startSecured(t)
	admin, alice, as := s.admin, s.alice, s.as
	as("admin", admin, 0, "", "topic", "create", "orders")
	as("admin", admin, 0, "", "user", "add", "alice", "--new-password-file", alice)
	if out, _ := as("admin", admin, 0, "", "user", "list"); out != "user   mechanisms\nadmin  SCRAM-SHA-256,SCRAM-SHA-512\nalice  SCRAM-SHA-256,SCRAM-SHA-512\n" {
		t.Errorf("users:\n%s", out)
	}
	as("alice", alice, 1, `{"id":"a"}`, "produce", "orders")
	as("admin", admin, 0, "", "acl", "add", "--allow", "User:alice", "--operation", "write,read", "--topic", "ord", "--prefixed")
	as("admin", admin, 0, "", "acl", "add", "--deny", "User:bob", "--operation", "all", "--cluster")
	as("alice", alice, 0, `{"id":"a"}`, "produce", "orders")
	if out, _ := as("alice", alice, 0, "", "consume", "orders", "--from-beginning", "--max", "1", "--sasl-mechanism", "SCRAM-SHA-256"); !strings.Contains(out, `{"id":"a"}`) {
		t.Errorf("consumed %q", out)
	}
	out, _ := as("admin", admin, 0, "", "acl", "list")
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 4 || strings.Join(strings.Fields(lines[1]), " ") != "CLUSTER kafka-cluster LITERAL DENY User:bob ALL *" {
		t.Errorf("rules:\n%s", out)
	}
	if _, stderr := as("alice", alice, 1, "", "acl", "list"); !strings.Contains(stderr, "CLUSTER_AUTHORIZATION_FAILED") {
		t.Errorf("alice lists rules: %s", stderr)
	}
	if _, stderr := as("admin", admin, 1, "", "acl", "delete"); !strings.Contains(stderr, "would delete them all") {
		t.Errorf("delete without flags: %s", stderr)
	}
	if out, _ := as("admin", admin, 0, "", "acl", "delete", "--allow", "User:alice"); strings.Count(out, "\n") != 3 {
		t.Errorf("deleted:\n%s", out)
	}
	as("alice", alice, 1, `{"id":"a"}`, "produce", "orders")
	as("admin", admin, 0, "", "quota", "set", "producer_byte_rate=1000", "request_percentage=12.5", "--for", "user=alice", "--for", "client-id")
	as("admin", admin, 0, "", "quota", "set", "connection_creation_rate=500", "--for", "ip")
	as("admin", admin, 0, "", "quota", "delete", "request_percentage", "--for", "user=alice", "--for", "client-id")
	if out, _ := as("admin", admin, 0, "", "quota", "list"); out != "for                    key                       value\nip                     connection_creation_rate  500\nuser=alice, client-id  producer_byte_rate        1000\n" {
		t.Errorf("limits:\n%s", out)
	}
	for _, wrong := range []string{"=5", "producer_byte_rate", "producer_byte_rate=much"} {
		if _, stderr := as("admin", admin, 1, "", "quota", "set", wrong, "--for", "user=alice"); !strings.Contains(stderr, wrong+": ") || !strings.Contains(stderr, "producer_byte_rate, consumer_byte_rate") {
			t.Errorf("quota set %s: %s", wrong, stderr)
		}
	}
	if _, stderr := as("admin", admin, 1, "", "user", "delete", "admin"); !strings.Contains(stderr, "admin is the last super user") || !strings.Contains(stderr, "--force") {
		t.Errorf("the last super user: %s", stderr)
	}
	as("admin", admin, 0, "", "user", "delete", "alice")
	if _, stderr := as("alice", alice, 1, "", "topic", "list"); !strings.Contains(stderr, "does not let alice in") {
		t.Errorf("a deleted user: %s", stderr)
	}
	if _, stderr := as("admin", admin, 1, "", "user", "delete", "alice"); !strings.Contains(stderr, "does not exist") {
		t.Errorf("deleted twice: %s", stderr)
	}
	s.stop()
	// The first user is there already: its password is not asked for, nor changed.
	_, s.kafka, _ = startServerWith(t, s.data, "--listener", "SASL_PLAINTEXT://127.0.0.1:0", "--bootstrap-user", "admin")
	as("admin", admin, 0, "", "topic", "list")
	as("admin", admin, 0, "", "user", "delete", "admin", "--force")
	if _, stderr := as("admin", admin, 1, "", "topic", "list"); !strings.Contains(stderr, "does not let admin in") {
		t.Errorf("deleted with --force: %s", stderr)
	}
}

// TestSuperUsersOfManyKinds: another super user with a password makes a difference,
// one without does not.
func TestSuperUsersOfManyKinds(t *testing.T) {
	s := startSecured(t)
	s.stop()
	_, s.kafka, _ = startServerWith(t, s.data, "--listener", "SASL_PLAINTEXT://127.0.0.1:0", "--bootstrap-user", "admin", "--super-user", "User:alice", "--super-user", "User:CN=ops")
	if _, stderr := s.as("admin", s.admin, 1, "", "user", "delete", "admin"); !strings.Contains(stderr, "last super user") {
		t.Errorf("while alice has no password: %s", stderr)
	}
	s.as("admin", s.admin, 0, "", "user", "add", "alice", "--new-password-file", s.alice)
	s.as("alice", s.alice, 0, "", "user", "delete", "admin")
}

func TestListenerMistakes(t *testing.T) {
	data := t.TempDir()
	for _, c := range []struct{ flags, want string }{
		{"--listener PLAINTEXT://0.0.0.0:0", "--allow-insecure-listener"},
		{"--kafka 0.0.0.0:0", "--allow-insecure-listener"},
		{"--listener SASL_SSL://127.0.0.1:0", "needs a certificate"},
		{"--listener TLS://127.0.0.1:0", "expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL"},
		{"--listener PLAINTEXT://127.0.0.1:0 --listener PLAINTEXT://127.0.0.1:0", "give each a name"},
		{"--listener PLAINTEXT://127.0.0.1:0 --kafka 127.0.0.1:0", "--kafka has no meaning with --listener"},
		{"--listener PLAINTEXT://127.0.0.1:0 --tls-cert x", "--tls-cert has no meaning"},
		{"--listener PLAINTEXT://127.0.0.1:0 --tls-client-ca x", "--tls-client-ca has no meaning: no --listener is SSL or SASL_SSL"},
		{"--kafka 127.0.0.1:0 --tls-client-ca x", "--tls-client-ca has no meaning"},
		{"--kafka 127.0.0.1:0 --tls-client-auth required", "--tls-client-auth has no meaning"},
		{"--kafka 127.0.0.1:0 --sasl-mechanisms PLAIN", "--sasl-mechanisms has no meaning: no --listener is SASL_PLAINTEXT or SASL_SSL"},
		{"--kafka 127.0.0.1:0 --super-user User:a", "no rules are checked"},
		{"--kafka x", "listen on x: expected HOST:PORT"},
		{"--kafka 127.0.0.1:0 --max-connections -1", "--max-connections -1: expected a number from 1 on"},
		{"--kafka 127.0.0.1:0 --max-connections-per-ip -1", "--max-connections-per-ip -1"},
		{"--kafka 127.0.0.1:0 --connections-max-reauth -1s", "--connections-max-reauth -1s"},
		{"--kafka 127.0.0.1:0 --tls-client-auth maybe", "expected none, requested, required"},
		{"--kafka 127.0.0.1:0 --bootstrap-password-file x", "needs --bootstrap-user"},
		{"--kafka 127.0.0.1:0 --oauth-issuer x", "need --oauth-jwks-file"},
		{"--kafka 127.0.0.1:0 --offsets-retention -1h", "--offsets-retention -1h"},
		{"--kafka 127.0.0.1:0 --state-memory-bytes -1", "--state-memory-bytes -1"},
		{"--listener SASL_PLAINTEXT://127.0.0.1:0 --sasl-mechanisms GSSAPI", "expected one of"},
		{"--listener SASL_PLAINTEXT://127.0.0.1:0 --bootstrap-user admin", "no password"},
		{"--authorize maybe", "expected on, off or auto"},
		{"--super-user admin", "expected User:NAME"},
		{"--log-level loud", "expected debug, info, warn or error"},
	} {
		code, out, stderr := run(t, "", append([]string{"server", "--http", "127.0.0.1:0", "--data", data}, strings.Fields(c.flags)...)...)
		if code == 0 || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d\n%s%sexpected %q", c.flags, code, out, stderr, c.want)
		}
	}
	for _, c := range []struct{ args, want string }{
		{"topic list --user x", "MILLRACE_PASSWORD"},
		{"topic list --tls-ca /nonexistent", "no such file"},
		{"acl add --topic x --allow User:a", "--operation"},
		{"acl add --operation read --allow User:a", "--topic"},
		{"acl add --operation read --topic x", "--allow"},
		{"acl list --operation fly", "expected all, read"},
		{"acl add --operation two_phase_commit --allow User:a --topic x", "expected all, read"},
		{"acl add --operation read --allow alice --topic x", "--allow alice: expected User:NAME"},
		{"acl add --operation read --deny User: --topic x", "--deny User:: expected User:NAME"},
		{"acl add --operation read --allow User:a --topic x --deny-host 1.2.3.4", "--deny-host needs --deny"},
		{"acl add --operation read --deny User:a --topic x --allow-host 1.2.3.4", "--allow-host needs --allow"},
		{"acl add --operation read --allow User:a --topic x --allow-host 10.0.0.0/8", "names and ranges never match"},
		{"acl add --operation read --allow User:a --cluster", "--operation read means nothing for --cluster, which takes all, create"},
		{"acl add --operation read,write --allow User:a --topic x --group g", "--operation write means nothing for --group, which takes all, read"},
		{"acl add --operation describe --allow User:a --cluster --prefixed", "--prefixed needs a name"},
		{"acl add --operation read --allow User:a --topic x --any-pattern", "--any-pattern selects rules"},
		{"acl delete --topic x --prefixed --any-pattern", "exclude one another"},
		{"acl list --output xml", "expected table or json"},
		{"topic list --bootstrap localhost", "expected HOST:PORT"},
		{"topic list --bootstrap localhost:x", "expected HOST:PORT"},
		{"topic list --password-file x", "--password-file needs --user"},
		{"topic list --tls-key x", "--tls-key needs --tls-cert"},
		{"topic list --sasl-mechanism GSSAPI", "expected PLAIN, SCRAM-SHA-256, SCRAM-SHA-512"},
		{"topic list --bootstrap no-such-host.invalid:9092", "host no-such-host.invalid is not known"},
		{"quota set producer_byte_rate=NaN --for user", "KEY=NUMBER"},
		{"server --bootstrap 127.0.0.1:1 --max-connections 5", "--max-connections has no meaning with --bootstrap"},
		{"server --bootstrap 127.0.0.1:1 --super-user User:a", "--super-user has no meaning with --bootstrap"},
		{"completion foo", "expected one of"},
		{"quota set producer_byte_rate=1 --for user=a --for user=b", "user is given twice"},
		{"quota set connection_creation_rate=1 --for ip=999.1", "expected ip=ADDRESS"},
		{"bench latency --rate 0", "--rate 0: expected 1 or more"},
		{"bench nexmark --partitions 0", "--partitions 0: expected 1 or more"},
		{"bench startup --runs -1", "--runs -1: expected 1 or more"},
		{"user add", "takes NAME"},
		{"quota set producer_byte_rate=1", "--for"},
		{"quota set producer_byte_rate --for user", "KEY=NUMBER"},
		{"quota set producer_byte_rate=1 --for host", "expected user, client-id or ip"},
		{"quota delete --for user", "at least one KEY"},
	} {
		args := strings.Fields(c.args)
		if !strings.Contains(c.args, "--bootstrap") && args[0] != "bench" && args[0] != "completion" {
			args = append(args, "--bootstrap", "127.0.0.1:1")
		}
		code, _, stderr := run(t, "", args...)
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q, expected %q", c.args, code, stderr, c.want)
		}
	}
}

// What an unset variable of a script leaves behind is not taken for a flag or a name
// that was never given.
func TestEmptyValues(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"acl", "delete", "--allow", "User:alice", "--topic", ""}, "--topic is empty"},
		{[]string{"acl", "list", "--operation", ""}, "--operation is empty"},
		{[]string{"consume", "t", "--group", ""}, "--group is empty"},
		{[]string{"consume", "t", "--partition", ""}, "--partition"},
		{[]string{"produce", "t", "--raw", "--key-separator", ""}, "--key-separator is empty"},
		{[]string{"topic", "list", "--user", ""}, "--user is empty"},
		{[]string{"topic", "list", "--bootstrap", ""}, "--bootstrap is empty"},
		{[]string{"topic", "create", ""}, "NAME is empty"},
		{[]string{"group", "describe", ""}, "GROUP is empty"},
		{[]string{"consume", ""}, "TOPIC is empty"},
		{[]string{"config", "describe", "topic", ""}, "NAME is empty"},
	} {
		code, out, stderr := run(t, "", c.args...)
		if code != 1 || out != "" || !strings.Contains(stderr, c.want) {
			t.Errorf("%q: exit code %d, %s", c.args, code, stderr)
		}
	}
}

// A deletion by name takes the literal rule and leaves the prefixed one of the same
// name, which may be a denial.
func TestDeletedRules(t *testing.T) {
	s := startSecured(t)
	admin := func(want int, args ...string) string {
		t.Helper()
		out, stderr := s.as("admin", s.admin, want, "", args...)
		return out + stderr
	}
	rules := func(args ...string) string {
		t.Helper()
		var rows []ruleRow
		out := admin(0, append([]string{"acl", "list", "--output", "json"}, args...)...)
		if err := json.Unmarshal([]byte(out), &rows); err != nil {
			t.Fatal(out, err)
		}
		var list []string
		for _, r := range rows {
			list = append(list, r.Permission+" "+r.Name+" "+r.Pattern)
		}
		return strings.Join(list, ", ")
	}
	add := func() {
		t.Helper()
		for _, flags := range [][]string{{"--allow", "User:alice"}, {"--allow", "User:alice", "--prefixed"}, {"--deny", "User:bob", "--prefixed"}} {
			if out := admin(0, append([]string{"acl", "add", "--operation", "read", "--topic", "orders"}, flags...)...); !strings.Contains(out, "orders") {
				t.Errorf("added: %s", out)
			}
		}
	}
	add()
	if got := rules("--topic", "orders"); got != "ALLOW orders LITERAL, ALLOW orders PREFIXED, DENY orders PREFIXED" {
		t.Errorf("rules: %s", got)
	}
	admin(0, "acl", "delete", "--topic", "orders")
	if got := rules(); got != "ALLOW orders PREFIXED, DENY orders PREFIXED" {
		t.Errorf("after deleting the literal rule: %s", got)
	}
	if got := admin(0, "acl", "delete", "--topic", "orders"); !strings.Contains(got, "no rule was deleted") {
		t.Errorf("deleted twice: %s", got)
	}
	if got := rules("--prefixed", "--deny", "User:bob"); got != "DENY orders PREFIXED" {
		t.Errorf("prefixed rules of bob: %s", got)
	}
	admin(0, "acl", "delete", "--topic", "orders", "--prefixed", "--allow", "User:alice")
	if got := rules(); got != "DENY orders PREFIXED" {
		t.Errorf("after deleting one prefixed rule: %s", got)
	}
	add()
	admin(0, "acl", "delete", "--topic", "orders", "--any-pattern")
	if got := rules(); got != "" {
		t.Errorf("after deleting all: %s", got)
	}
	// What means nothing is refused as a whole.
	admin(1, "acl", "add", "--allow", "User:alice", "--operation", "read,write", "--topic", "orders", "--group", "billing")
	if got := rules(); got != "" {
		t.Errorf("after a refused command: %s", got)
	}
	if got := admin(0, "user", "list", "--output", "json"); !strings.Contains(got, `"user": "admin"`) {
		t.Errorf("users: %s", got)
	}
	admin(0, "quota", "set", "producer_byte_rate=1000", "--for", "user=alice", "--for", "client-id")
	var limits []quotaRow
	if out := admin(0, "quota", "list", "--output", "json"); json.Unmarshal([]byte(out), &limits) != nil || len(limits) != 1 || limits[0].Value != 1000 || *limits[0].For["user"] != "alice" || limits[0].For["client-id"] != nil {
		t.Errorf("limits: %s", out)
	}
	if got := admin(1, "quota", "delete", "consumer_byte_rate", "--for", "user=alice", "--for", "client-id"); !strings.Contains(got, "user=alice, client-id has no limit consumer_byte_rate") {
		t.Errorf("deleted what is not there: %s", got)
	}
	// One form of refusal: what was asked, why, the code once.
	if got := admin(1, "quota", "set", "foo=1", "--for", "user=a"); !strings.Contains(got, "change the limits of user=a: ") || strings.Count(got, "INVALID_REQUEST") != 1 || strings.Contains(got, "broker logs") || !strings.Contains(got, "foo") {
		t.Errorf("unknown limit: %s", got)
	}
}

// What keeps a client from a listener is told as what it is.
func TestConnectionErrors(t *testing.T) {
	ca, cert, key := testCertificate(t)
	_, kafka, _ := startServerWith(t, t.TempDir(), "--listener", "SSL://127.0.0.1:0", "--listener", "PLAINTEXT://127.0.0.1:0", "--allow-insecure-listener", "--tls-cert", cert, "--tls-key", key)
	encrypted, plain, _ := strings.Cut(kafka, ",")
	_, port, _ := strings.Cut(encrypted, ":")
	for _, c := range []struct {
		args, want string
	}{
		{"--tls --bootstrap localhost:" + port, "is not trusted: give --tls-ca"},
		{"--tls-ca " + ca + " --bootstrap 127.0.0.1:" + port, "is for another name"},
		{"--tls-ca " + ca + " --bootstrap " + plain, "may not speak TLS"},
		{"--bootstrap " + encrypted, "it may want TLS"},
		{"--tls --bootstrap 127.0.0.1:1", "no Kafka listener answers"},
	} {
		code, _, stderr := run(t, "", append([]string{"topic", "list"}, strings.Fields(c.args)...)...)
		if code != 1 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %s", c.args, code, stderr)
		}
	}
	if code, _, stderr := run(t, "", "topic", "list", "--tls-ca", ca, "--bootstrap", "localhost:"+port); code != 0 {
		t.Errorf("a trusted certificate: exit code %d, %s", code, stderr)
	}
}

// testCertificate writes a certificate of localhost that signs itself, and its key.
func testCertificate(t *testing.T) (ca, cert, key string) {
	t.Helper()
	pair, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: clock.System.Now().Add(-time.Hour), NotAfter: clock.System.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &pair.PublicKey, pair)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(pair)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	cert = write("cert.pem", "CERTIFICATE", der)
	return cert, cert, write("key.pem", "PRIVATE KEY", secret)
}
