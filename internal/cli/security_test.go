package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
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
	if out, _ := as("admin", admin, 0, "", "user", "list"); out != "admin\tSCRAM-SHA-256,SCRAM-SHA-512\nalice\tSCRAM-SHA-256,SCRAM-SHA-512\n" {
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
	if lines := strings.Split(strings.TrimSpace(out), "\n"); len(lines) != 3 || strings.Join(strings.Fields(lines[0]), " ") != "CLUSTER kafka-cluster LITERAL DENY User:bob ALL *" {
		t.Errorf("rules:\n%s", out)
	}
	if _, stderr := as("alice", alice, 1, "", "acl", "list"); !strings.Contains(stderr, "CLUSTER_AUTHORIZATION_FAILED") {
		t.Errorf("alice lists rules: %s", stderr)
	}
	if _, stderr := as("admin", admin, 1, "", "acl", "delete"); !strings.Contains(stderr, "would delete them all") {
		t.Errorf("delete without flags: %s", stderr)
	}
	if out, _ := as("admin", admin, 0, "", "acl", "delete", "--allow", "User:alice"); strings.Count(out, "\n") != 2 {
		t.Errorf("deleted:\n%s", out)
	}
	as("alice", alice, 1, `{"id":"a"}`, "produce", "orders")
	as("admin", admin, 0, "", "quota", "set", "producer_byte_rate=1000", "request_percentage=12.5", "--for", "user=alice", "--for", "client-id")
	as("admin", admin, 0, "", "quota", "set", "connection_creation_rate=500", "--for", "ip")
	as("admin", admin, 0, "", "quota", "delete", "request_percentage", "--for", "user=alice", "--for", "client-id")
	if out, _ := as("admin", admin, 0, "", "quota", "list"); out != "ip\tconnection_creation_rate=500\nuser=alice, client-id\tproducer_byte_rate=1000\n" {
		t.Errorf("limits:\n%s", out)
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
		{"user add", "takes NAME"},
		{"quota set producer_byte_rate=1", "--for"},
		{"quota set producer_byte_rate --for user", "KEY=NUMBER"},
		{"quota set producer_byte_rate=1 --for host", "expected user, client-id or ip"},
		{"quota delete --for user", "at least one KEY"},
	} {
		code, _, stderr := run(t, "", append(strings.Fields(c.args), "--bootstrap", "127.0.0.1:1")...)
		if code == 0 || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit code %d, %q, expected %q", c.args, code, stderr, c.want)
		}
	}
}
