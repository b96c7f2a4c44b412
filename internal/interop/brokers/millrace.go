package brokers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// StartMillrace builds the server of the module at root and starts it with its
// data in dir. What it logs goes to log.
func StartMillrace(ctx context.Context, root, dir string, log io.Writer) (*Process, error) {
	binary := filepath.Join(dir, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	ca, certificate, err := makeCertificates(dir)
	if err != nil {
		return nil, err
	}
	passwordFile := filepath.Join(dir, "password")
	if err := os.WriteFile(passwordFile, []byte(Password), 0o600); err != nil {
		return nil, err
	}
	args := []string{"server", "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--tls-cert", certificate, "--sasl-mechanisms", Mechanisms,
		"--bootstrap-user", User, "--bootstrap-password-file", passwordFile, "--super-user", "User:ANONYMOUS"}
	for _, protocol := range Protocols {
		args = append(args, "--listener", protocol+"://127.0.0.1:0")
	}
	p := &Process{CA: ca, Addr: map[string]string{}, cmd: exec.Command(binary, args...)}
	p.cmd.Stderr = log
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	// The ready line names the addresses in the order of the listeners.
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, list, _ := strings.Cut(strings.TrimSpace(line), "kafka=")
	addrs := strings.Split(list, ",")
	if err != nil || len(addrs) != len(Protocols) {
		return nil, errors.Join(fmt.Errorf("the server said %q", line), err, p.Stop())
	}
	for i, protocol := range Protocols {
		p.Addr[protocol] = addrs[i]
	}
	return p, nil
}
