package mutants

import (
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// source returns a mutant's file as it is and with the bug in it.
func (m *mutant) source(t *testing.T) (path, mutated string) {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, m.file))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		t.Fatalf("%q occurs %d times in %s: the mutant needs an update", m.old, n, m.file)
	}
	return path, strings.Replace(string(b), m.old, m.new, 1)
}

// TestMutants checks that every mutant applies, and, when MILLRACE_MUTANTS is
// set, that a test fails for each.
func TestMutants(t *testing.T) {
	which := os.Getenv("MILLRACE_MUTANTS")
	for _, m := range table {
		t.Run(m.name, func(t *testing.T) {
			path, mutated := m.source(t)
			if which == "" || which != "1" && which != m.name {
				return
			}
			m.kill(t, path, mutated)
		})
	}
}

// kill runs the tests over a mutant and fails when they pass.
func (m *mutant) kill(t *testing.T, path, mutated string) {
	dir := t.TempDir()
	write := func(name string, content []byte) string {
		f, err := os.CreateTemp(dir, name)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.Write(content)
		if cerr := f.Close(); err != nil || cerr != nil {
			t.Fatal(err, cerr)
		}
		return f.Name()
	}
	overlay, err := json.Marshal(map[string]map[string]string{"Replace": {path: write("*.go", []byte(mutated))}})
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"test", "-count=1", "-failfast", "-vet=off", "-timeout=5m", "-overlay", write("*.json", overlay)}
	for _, pkg := range m.tests {
		args = append(args, "./"+strings.TrimSuffix("broker/"+pkg, "/"))
	}
	cmd := exec.CommandContext(t.Context(), "go", args...)
	cmd.Dir = root
	out, err := cmd.CombinedOutput()
	switch {
	case err == nil:
		t.Errorf("no test of %v noticed", args[len(args)-len(m.tests):])
	case strings.Contains(string(out), "[build failed]") || strings.Contains(string(out), "[setup failed]"):
		t.Errorf("the mutant does not build:\n%s", out)
	default:
		t.Logf("noticed: %s", firstFailure(string(out)))
	}
}

// firstFailure returns the line that names the first failed test, or the last.
func firstFailure(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	for _, l := range lines {
		if strings.HasPrefix(l, "--- FAIL") || strings.HasPrefix(l, "panic:") || strings.HasPrefix(l, "fatal error:") {
			return l
		}
	}
	return lines[len(lines)-1]
}
