package cli

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker"
)

// TestLogReencrypt: a plain directory becomes an encrypted one, a key goes, and
// log dump with the new key alone has nothing to hide.
func TestLogReencrypt(t *testing.T) {
	t.Setenv(encryptionKeyEnv, "")
	dir := filepath.Join(t.TempDir(), "data")
	segments(t, dir, func() (*broker.Broker, error) { return broker.Open(broker.Config{Dir: dir, Limits: smallFiles}) })
	if code, _, stderr := run(t, "", "log", "reencrypt", dir); code == 0 || !strings.Contains(stderr, "no encryption key") {
		t.Errorf("without a key: exit code %d: %s", code, stderr)
	}
	for _, step := range []struct{ keys, says, not string }{
		{keyFile(t, 'a'), "and a new log begun; topics need", "nothing was to do"},
		{keyFile(t, 'a'), "nothing was to do: no segment needs another key, and the log is empty; topics need", "orders-0"},
		{keyFile(t, 'b', 'a'), "written anew; topics need", "new log"},
		{keyFile(t, 'b', 'a'), "nothing was to do", "anew"},
	} {
		code, out, stderr := run(t, "", "log", "reencrypt", dir, "--encryption-key-file", step.keys)
		if code != 0 || !strings.Contains(out, step.says) || strings.Contains(out, step.not) {
			t.Fatalf("exit code %d: %s%s, expected %q", code, out, stderr, step.says)
		}
	}
	alone := keyFile(t, 'b')
	code, out, stderr := run(t, "", "log", "dump", dir, "--records", "--encryption-key-file", alone)
	if code != 0 || strings.Contains(out, "not given") || strings.Count(out, "value \"vvv") != 200 || strings.Count(out, ", key ") != 200 {
		t.Errorf("log dump: exit code %d, %s\n%s", code, stderr, out)
	}
	if code, out, stderr = run(t, "", "log", "repair", dir, "--encryption-key-file", alone); code != 0 || !strings.Contains(out, "nothing is damaged") {
		t.Errorf("log repair without the old key: exit code %d: %s%s", code, out, stderr)
	}
}
