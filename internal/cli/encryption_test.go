package cli

import (
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// keyFile writes a file of keys, each of one repeated byte.
func keyFile(t *testing.T, keys ...byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(name, []byte(keyText(keys...)), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func keyText(keys ...byte) string {
	var lines []string
	for _, k := range keys {
		lines = append(lines, base64.StdEncoding.EncodeToString([]byte(strings.Repeat(string(rune(k)), 32))))
	}
	return strings.Join(lines, "\n")
}

// TestEncryptionKeys: a directory that was made with a key opens with it, from a
// file or from the environment, with a rotation, and says what is missing.
func TestEncryptionKeys(t *testing.T) {
	data := filepath.Join(t.TempDir(), "data")
	create := "CREATE STREAM zq7 (id INT KEY, v STRING) WITH (kafka_topic='zq7', value_format='JSON', partitions=1); INSERT INTO zq7 VALUES (1, 'zq7value');"
	if code, _, stderr := run(t, "", "sql", "--data", data, "--encryption-key-file", keyFile(t, 'a'), "-e", create); code != 0 {
		t.Fatal(stderr)
	}
	read := func(args ...string) (code int, out, stderr string) {
		return run(t, "", append([]string{"sql", "--data", data, "--output", "csv", "-e", "SET 'auto.offset.reset'='earliest'; SELECT v FROM zq7 EMIT CHANGES LIMIT 1;", "--timeout", "30s"}, args...)...)
	}
	wantRefused := func(want string, args ...string) {
		t.Helper()
		if code, _, stderr := read(args...); code == 0 || !strings.Contains(stderr, want) || !strings.HasPrefix(stderr, "millrace: ") {
			t.Errorf("%v: exit code %d: %s", args, code, stderr)
		}
	}
	wantRead := func(args ...string) {
		t.Helper()
		if code, out, stderr := read(args...); code != 0 || !strings.Contains(out, "zq7value") {
			t.Errorf("%v: exit code %d: %s%s", args, code, out, stderr)
		}
	}
	t.Setenv("MILLRACE_ENCRYPTION_KEY", "")
	wantRefused("data directory is encrypted with key ")
	wantRefused("give --encryption-key-file or set MILLRACE_ENCRYPTION_KEY")
	wantRefused("add the missing key to --encryption-key-file", "--encryption-key-file", keyFile(t, 'b'))
	wantRefused("no such file", "--encryption-key-file", "/nonexistent")
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte("a password"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantRefused("line 1: expected 32 bytes", "--encryption-key-file", bad)
	wantRefused("none of the others can be", "--encryption-key-file", bad, "--server", "http://127.0.0.1:1")
	t.Setenv("MILLRACE_ENCRYPTION_KEY", "a password")
	wantRefused("MILLRACE_ENCRYPTION_KEY: encryption keys: line 1")
	wantRead("--encryption-key-file", keyFile(t, 'a')) // a file comes before the environment
	t.Setenv("MILLRACE_ENCRYPTION_KEY", keyText('a'))
	wantRead()
	t.Setenv("MILLRACE_ENCRYPTION_KEY", strings.ReplaceAll(keyText('b', 'a'), "\n", ","))
	wantRead()
	if code, _, stderr := run(t, "", "server", "--bootstrap", "127.0.0.1:1", "--encryption-key-file", keyFile(t, 'a')); code == 0 || !strings.Contains(stderr, "--encryption-key-file has no meaning with --bootstrap") {
		t.Errorf("over a cluster: %s", stderr)
	}
}

// TestEncryptedServer: a server says that it encrypts and with which key, and its
// directory can be looked into with the key.
func TestEncryptedServer(t *testing.T) {
	t.Setenv("MILLRACE_ENCRYPTION_KEY", "")
	data := filepath.Join(t.TempDir(), "data")
	keys := keyFile(t, 'a')
	_, kafka, stop := startServerWith(t, data, "--kafka", "127.0.0.1:0", "--encryption-key-file", keys)
	code, out, stderr := run(t, "", "config", "describe", "broker", "--bootstrap", kafka)
	if code != 0 || !strings.Contains(out, "encryption.at.rest.enable") || !strings.Contains(out, "encryption.at.rest.key.id") {
		t.Errorf("%s%s", out, stderr)
	}
	if code, _, stderr := run(t, "zq7key:zq7value\n", "produce", "zq7topic", "--create", "--raw", "--key-separator", ":", "--bootstrap", kafka); code != 0 {
		t.Fatal(stderr)
	}
	if code := stop(); code != 0 {
		t.Fatalf("exit code %d", code)
	}
	code, out, stderr = run(t, "", "log", "dump", data, "--records")
	if code != 0 || strings.Contains(out, "zq7") || !strings.Contains(out, "codec encrypted") || !strings.Contains(out, "is not given") {
		t.Errorf("without the key: %d %s%s", code, out, stderr)
	}
	code, out, stderr = run(t, "", "log", "dump", data, "--records", "--encryption-key-file", keys)
	if code != 0 || !strings.Contains(out, "topic: zq7topic") || !strings.Contains(out, "zq7value") {
		t.Errorf("with the key: %d %s%s", code, out, stderr)
	}
	err := filepath.WalkDir(data, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		// Whole words: three letters come up by chance in a MiB of encrypted bytes.
		for _, word := range []string{"zq7topic", "zq7key", "zq7value"} {
			if strings.Contains(strings.ToLower(string(b)), word) {
				t.Errorf("%s holds %s", path, word)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
