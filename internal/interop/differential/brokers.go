package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// errUnavailable is wrapped where Kafka cannot be had here.
var errUnavailable = errors.New("not here")

// process is a broker that was started here.
type process struct {
	cmd  *exec.Cmd
	addr string
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	err := p.cmd.Wait()
	var exit *exec.ExitError
	if errors.As(err, &exit) { // Kafka's exit code after SIGTERM is the signal's
		return nil
	}
	return err
}

// startOurs builds and starts the server.
func startOurs(ctx context.Context, root, dir string) (*process, error) {
	binary := filepath.Join(dir, "millrace")
	build := exec.CommandContext(ctx, "go", "build", "-o", binary, ".")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("build: %w\n%s", err, out)
	}
	p := &process{cmd: exec.Command(binary, "server", "--data", filepath.Join(dir, "data"), "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0")}
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	_, addr, ok := strings.Cut(strings.TrimSpace(line), "kafka=")
	if err != nil || !ok {
		return nil, errors.Join(fmt.Errorf("the server said %q", line), err, p.stop())
	}
	p.addr = addr
	return p, nil
}

// kafkaProperties is a single node that is broker and controller. Its log never
// loses records to time, as ours, and its groups start at once.
const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@%[2]s
listeners=PLAINTEXT://%[1]s,CONTROLLER://%[2]s
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs=%[3]s
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.retention.ms=-1
`

// startTimeout bounds how long Kafka may take to answer.
const startTimeout = 2 * time.Minute

// startKafka installs Apache Kafka in cache and starts it.
func startKafka(ctx context.Context, root, cache, dir string) (*process, error) {
	jars, err := installKafka(ctx, filepath.Join(root, "internal", "interop", "differential", "pom.xml"), cache)
	if err != nil {
		return nil, err
	}
	var addrs []string
	for range 2 {
		a, err := freeAddress()
		if err != nil {
			return nil, err
		}
		addrs = append(addrs, a)
	}
	properties := filepath.Join(dir, "server.properties")
	text := fmt.Sprintf(kafkaProperties, addrs[0], addrs[1], filepath.Join(dir, "log"))
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		return nil, err
	}
	id := make([]byte, 16)
	if _, err := rand.Read(id); err != nil {
		return nil, err
	}
	java := []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx1g", "-cp", filepath.Join(jars, "*")}
	format := exec.CommandContext(ctx, "java", append(java, "kafka.tools.StorageTool", "format", "-t", "A"+base64.RawURLEncoding.EncodeToString(id)[1:], "-c", properties)...)
	if out, err := format.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format: %w\n%s", err, out)
	}
	p := &process{addr: addrs[0], cmd: exec.Command("java", append(java, "kafka.Kafka", properties)...)}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	return p, p.await(ctx)
}

// await waits until the broker takes connections.
func (p *process) await(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		c, err := net.Dial("tcp", p.addr)
		if err == nil {
			return c.Close()
		}
		if err := wait(ctx, pollPause); err != nil {
			return errors.Join(err, p.stop())
		}
	}
}

// installKafka fetches the jars that the pom names and returns their folder.
func installKafka(ctx context.Context, pom, cache string) (string, error) {
	for _, program := range []string{"java", "mvn"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%w: %s is not installed", errUnavailable, program)
		}
	}
	dir := filepath.Join(cache, "differential")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	want, err := os.ReadFile(pom)
	if err != nil {
		return "", err
	}
	jars, done := filepath.Join(dir, "lib"), filepath.Join(dir, "installed")
	if have, err := os.ReadFile(done); err == nil && string(have) == string(want) {
		return jars, nil
	}
	cmd := exec.CommandContext(ctx, "mvn", "-q", "-B", "-f", pom, "dependency:copy-dependencies", "-DoutputDirectory="+jars)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: mvn: %w\n%s", errUnavailable, err, out)
	}
	return jars, os.WriteFile(done, want, 0o644)
}

// freeAddress returns a loopback address whose port was free a moment ago; Kafka
// cannot say which one it took.
func freeAddress() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// wait waits for d or the end of ctx.
func wait(ctx context.Context, d time.Duration) error {
	t := clock.System.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
