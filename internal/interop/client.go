package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/millrace/millrace/internal/interop/brokers"
)

// client is one library or tool under test.
type client struct {
	name string
	doc  string // library and version
	// codecs are those that the client can write without further software.
	codecs []string
	// cannot says why the client has no means for a scenario.
	cannot map[string]string
	// kafkaRefuses says why Apache Kafka does not do with the client what ours does.
	kafkaRefuses map[string]string
	// needs are the programs without which the client is skipped.
	needs   []string
	install func(context.Context, *suite) error
	command func(*suite) []string
	env     []string
}

var allCodecs = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// because gives several scenarios one reason.
func because(reason string, scenarios ...string) map[string]string {
	m := map[string]string{}
	for _, name := range scenarios {
		m[name] = reason
	}
	return m
}

// all merges reasons.
func all(of ...map[string]string) map[string]string {
	m := map[string]string{}
	for _, reasons := range of {
		maps.Copy(m, reasons)
	}
	return m
}

// prepare checks for the programs that the client needs and installs it.
func (c *client) prepare(ctx context.Context, s *suite) error {
	for _, program := range c.needs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %s is not installed", brokers.ErrUnavailable, program)
		}
	}
	if c.install == nil {
		return nil
	}
	return c.install(ctx, s)
}

// installed returns the folder of a client in the cache, made.
func (s *suite) installed(name string) (string, error) {
	dir := filepath.Join(s.cache, name)
	return dir, os.MkdirAll(dir, 0o755)
}

// shell runs a command of an installation in dir.
func shell(ctx context.Context, dir string, command ...string) error {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(command, " "), err, tail(string(out)))
	}
	return nil
}

// fresh copies a manifest into dir and says whether it is another one than what
// was installed there.
func fresh(manifest, dir string) (bool, error) {
	want, err := os.ReadFile(manifest)
	if err != nil {
		return false, err
	}
	have, err := os.ReadFile(filepath.Join(dir, "installed"))
	if err == nil && string(have) == string(want) {
		return false, nil
	}
	return true, os.WriteFile(filepath.Join(dir, filepath.Base(manifest)), want, 0o644)
}

// markInstalled remembers that a manifest was installed.
func markInstalled(manifest, dir string) error {
	text, err := os.ReadFile(manifest)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "installed"), text, 0o644)
}

// installOnce copies a manifest of clients/name into the cache and runs the
// commands there, unless that was done before.
func installOnce(name, manifest string, commands ...[]string) func(context.Context, *suite) error {
	return func(ctx context.Context, s *suite) error {
		dir, err := s.installed(name)
		if err != nil {
			return err
		}
		file := s.file(name, manifest)
		isFresh, err := fresh(file, dir)
		if err != nil || !isFresh {
			return err
		}
		for _, command := range commands {
			if err := shell(ctx, dir, command...); err != nil {
				return fmt.Errorf("%w: %w", brokers.ErrUnavailable, err)
			}
		}
		return markInstalled(file, dir)
	}
}

// installGo builds a program of Go, in a module of its own where it has one.
func installGo(name string) func(context.Context, *suite) error {
	return func(ctx context.Context, s *suite) error {
		dir, err := s.installed(name)
		if err != nil {
			return err
		}
		if err := shell(ctx, s.file(name), "go", "mod", "download"); err != nil {
			return fmt.Errorf("%w: %w", brokers.ErrUnavailable, err)
		}
		return shell(ctx, s.file(name), "go", "build", "-o", filepath.Join(dir, name), ".")
	}
}

func commandGo(name string) func(*suite) []string {
	return func(s *suite) []string { return []string{filepath.Join(s.cache, name, name)} }
}

// maven fetches what the pom.xml of a client names into lib.
var maven = []string{"mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=lib"}

// installJava fetches libraries and compiles the program.
func installJava(name string) func(context.Context, *suite) error {
	fetch := installOnce(name, "pom.xml", maven)
	return func(ctx context.Context, s *suite) error {
		if err := fetch(ctx, s); err != nil {
			return err
		}
		sources, err := filepath.Glob(s.file(name, "*.java"))
		if err != nil {
			return err
		}
		dir := filepath.Join(s.cache, name)
		return shell(ctx, dir, append([]string{"javac", "-nowarn", "-cp", "lib/*", "-d", "classes"}, sources...)...)
	}
}

// java runs a class of an installed client; the flags make a short life cheap.
func java(name, class string) func(*suite) []string {
	return func(s *suite) []string {
		dir := filepath.Join(s.cache, name)
		return []string{"java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx512m",
			"-cp", filepath.Join(dir, "classes") + string(os.PathListSeparator) + filepath.Join(dir, "lib", "*"), class}
	}
}
