package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
)

// The one user whom the server knows. Her password is made of characters that
// PLAIN, SCRAM and JAAS files take in different ways.
const (
	user     = "admin"
	password = `p=a,s"s word`
)

// target is the broker under test: addresses by security protocol. It is a
// process that was started here, or, without cmd, somebody else's.
type target struct {
	addr map[string]string
	ca   string
	cmd  *exec.Cmd
	log  io.Closer
}

// protocols are the listeners that a server of our own has, in the order in
// which its ready line names them.
var protocols = []string{"PLAINTEXT", "SASL_PLAINTEXT", "SSL", "SASL_SSL"}

// newTarget returns the broker that the options name, or builds and starts one.
func newTarget(ctx context.Context, o options, root, temp string) (*target, error) {
	if o.server != "" {
		return &target{addr: map[string]string{"PLAINTEXT": o.server}}, nil
	}
	binary := filepath.Join(temp, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	ca, cert, err := makeCertificates(temp)
	if err != nil {
		return nil, err
	}
	passwordFile := filepath.Join(temp, "password")
	if err := os.WriteFile(passwordFile, []byte(password), 0o600); err != nil {
		return nil, err
	}
	args := []string{"server", "--data", filepath.Join(temp, "data"), "--http", "127.0.0.1:0", "--tls-cert", cert,
		"--sasl-mechanisms", "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		"--bootstrap-user", user, "--bootstrap-password-file", passwordFile, "--super-user", "User:ANONYMOUS"}
	for _, p := range protocols {
		args = append(args, "--listener", p+"://127.0.0.1:0")
	}
	t := &target{ca: ca, cmd: exec.Command(binary, args...)}
	if err := t.start(o.serverLog); err != nil {
		return nil, err
	}
	return t, nil
}

// start runs the process and reads the addresses from its ready line.
func (t *target) start(logFile string) error {
	log := io.WriteCloser(nopCloser{io.Discard})
	if logFile != "" {
		f, err := os.Create(logFile)
		if err != nil {
			return err
		}
		log = f
	}
	t.log, t.cmd.Stderr = log, log
	stdout, err := t.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := t.cmd.Start(); err != nil {
		return err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		return firstError(t.stop(), fmt.Errorf("the server said nothing: %w", err))
	}
	_, list, ok := strings.Cut(strings.TrimSpace(line), "kafka=")
	addrs := strings.Split(list, ",")
	if !ok || len(addrs) != len(protocols) {
		return firstError(t.stop(), fmt.Errorf("the server said %q", line))
	}
	t.addr = map[string]string{}
	for i, p := range protocols {
		t.addr[p] = addrs[i]
	}
	return nil
}

// stop ends the process, if it is one of ours.
func (t *target) stop() error {
	if t.cmd == nil || t.cmd.Process == nil {
		return nil
	}
	if err := t.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := t.cmd.Wait()
	return firstError(err, t.log.Close())
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }
