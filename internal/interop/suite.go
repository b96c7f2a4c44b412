package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/interop/brokers"
)

// exitCannot is the exit code of a client that cannot do what is asked.
const exitCannot = 3

// killGrace is how long a client whose time is over may take to close its pipes.
const killGrace = 5 * time.Second

// suite runs clients against one target.
type suite struct {
	target      *target
	root, cache string
	timeout     time.Duration
	// kafka is the runner's own client, which prepares and verifies.
	kafka   *kgo.Client
	admin   *kadm.Client
	run     string // part of every topic's name, so that runs do not meet
	results []result
}

func newSuite(t *target, root, cache string, timeout time.Duration) (*suite, error) {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return nil, err
	}
	k, err := kgo.NewClient(kgo.SeedBrokers(t.addr["PLAINTEXT"]), kgo.FetchMaxBytes(64<<20), kgo.BrokerMaxReadBytes(256<<20))
	if err != nil {
		return nil, err
	}
	return &suite{
		target: t, root: root, cache: cache, timeout: timeout, kafka: k, admin: kadm.NewClient(k),
		run: strconv.FormatInt(clock.System.Now().UnixMilli(), 36),
	}, nil
}

func (s *suite) close() { s.kafka.Close() }

// call is one run of one scenario by one client.
type call struct {
	*suite
	client   *client
	scenario *scenario
	topic    string
	args     []string
	stdout   bytes.Buffer
}

// runClient installs a client and runs the scenarios.
func (s *suite) runClient(ctx context.Context, c *client, chosen []*scenario) {
	if err := c.prepare(ctx, s); err != nil {
		status := statusFail
		if errors.Is(err, brokers.ErrUnavailable) {
			status = statusSkip
		}
		for _, sc := range chosen {
			s.record(result{Scenario: sc.name, Client: c.name, Status: status, Detail: lastLine(err.Error())})
		}
		return
	}
	for _, sc := range chosen {
		if ctx.Err() != nil {
			return
		}
		s.record(s.runPair(ctx, c, sc))
	}
}

// runPair runs one scenario of one client.
func (s *suite) runPair(ctx context.Context, c *client, sc *scenario) result {
	r := result{Scenario: sc.name, Client: c.name, Status: statusSkip}
	if reason, ok := c.cannot[sc.name]; ok {
		r.Status, r.Detail = statusNone, reason
		return r
	}
	if reason, ok := c.kafkaRefuses[sc.name]; ok && s.target.isKafka {
		r.Status, r.Detail = statusNone, reason
		return r
	}
	if _, ok := s.target.addr[sc.protocol()]; !ok {
		r.Detail = "this broker has no " + sc.protocol() + " listener"
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	started := clock.System.Now()
	call := &call{suite: s, client: c, scenario: sc, topic: strings.Join([]string{sc.name, c.name, s.run}, ".")}
	err := call.do(ctx)
	r.Ms = clock.System.Now().Sub(started).Milliseconds()
	var exit *exec.ExitError
	switch {
	case err == nil:
		r.Status = statusPass
	case errors.As(err, &exit) && exit.ExitCode() == exitCannot:
		r.Status, r.Detail = statusNone, lastLine(err.Error())
	case ctx.Err() != nil:
		r.Status, r.Detail = statusFail, fmt.Sprintf("no end after %s: %v", s.timeout, err)
	default:
		r.Status, r.Detail = statusFail, err.Error()
	}
	return r
}

// do prepares, runs and verifies.
func (c *call) do(ctx context.Context) error {
	sc := c.scenario
	c.args = append(c.args, sc.action(), "--bootstrap", c.target.addr[sc.protocol()], "--topic", c.topic, "--protocol", sc.protocol())
	if strings.HasSuffix(sc.protocol(), "SSL") {
		c.args = append(c.args, "--ca", c.target.ca)
	}
	if sc.mechanism != "" {
		secret := brokers.Password
		if sc.wrongPassword {
			secret += "!"
		}
		c.args = append(c.args, "--mechanism", sc.mechanism, "--user", brokers.User, "--password", secret)
	}
	for _, t := range sc.topics(c) {
		if err := c.create(ctx, t); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	if sc.prepare != nil {
		if err := sc.prepare(ctx, c); err != nil {
			return fmt.Errorf("prepare: %w", err)
		}
	}
	if err := c.execute(ctx); err != nil {
		return err
	}
	if sc.verify != nil {
		if err := sc.verify(ctx, c); err != nil {
			return fmt.Errorf("on the wire: %w", err)
		}
	}
	return nil
}

// execute runs the client's program.
func (c *call) execute(ctx context.Context) error {
	command := c.client.command(c.suite)
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], c.args...)...)
	cmd.Env = append(os.Environ(), c.client.env...)
	cmd.WaitDelay = killGrace
	// The client and what it starts are one process group, which ends as one.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	var stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &c.stdout, &stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, tail(stderr.String()+c.stdout.String()))
	}
	return nil
}

// file returns a path below the clients' folder.
func (s *suite) file(parts ...string) string {
	return filepath.Join(append([]string{s.root, "internal", "interop", "clients"}, parts...)...)
}

// tailLines is how much of a failed client's output a result keeps.
const tailLines = 6

func tail(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	return strings.Join(lines, " | ")
}

func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	_, after, found := strings.Cut(lines[len(lines)-1], "| ")
	for found {
		lines[len(lines)-1] = after
		_, after, found = strings.Cut(after, "| ")
	}
	return lines[len(lines)-1]
}
