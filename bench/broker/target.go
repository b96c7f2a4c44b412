package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
)

// target is a server under load.
type target struct {
	name string
	addr string
	// configs are set on every topic.
	configs map[string]*string
	cmd     *exec.Cmd
	log     *bytes.Buffer
	// dir is removed when the server has stopped; "" for none.
	dir string
}

// startTimeout bounds the start of a server; a JVM on a busy machine takes its
// time.
const startTimeout = 90 * time.Second

// startMillrace builds nothing: binary is the server to measure.
func startMillrace(ctx context.Context, name, binary, dir string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "server", "--data", filepath.Join(dir, name+"-data"), "--kafka", addr, "--http", "127.0.0.1:0")
	return start(ctx, &target{name: name, addr: addr, cmd: cmd})
}

// memoryDir is Linux's file system in memory.
const memoryDir = "/dev/shm"

// startInMemory starts millrace over a data directory in memory.
func startInMemory(ctx context.Context, name, binary string) (*target, error) {
	dir, err := os.MkdirTemp(memoryDir, "bench-broker-")
	if err != nil {
		return nil, err
	}
	t, err := startMillrace(ctx, name, binary, dir)
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	t.dir = dir
	return t, nil
}

// startKafka formats a directory and starts Apache Kafka with the JVM options of
// its own start script.
func startKafka(ctx context.Context, name, libs, dir string, configs map[string]*string) (*target, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	controller, err := freeAddr()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(dir, name)
	if err := os.MkdirAll(home, 0o755); err != nil {
		return nil, err
	}
	properties := filepath.Join(home, "server.properties")
	text := strings.NewReplacer("ADDR", addr, "CONTROLLER_AT", controller, "DIR", filepath.Join(home, "data")).Replace(kafkaProperties)
	if err := os.WriteFile(properties, []byte(text), 0o600); err != nil {
		return nil, err
	}
	classpath := filepath.Join(libs, "*")
	const clusterID = "MkU3OEVBNTcwNTJENDM2Qg"
	if out, err := exec.CommandContext(ctx, "java", "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", clusterID, "-c", properties).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("format Kafka's directory: %w\n%s", err, out)
	}
	return start(ctx, &target{name: name, addr: addr, configs: configs, cmd: exec.Command("java", "-Xmx1G", "-Xms1G", "-server", "-XX:+UseG1GC",
		"-XX:MaxGCPauseMillis=20", "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent", "-cp", classpath, "kafka.Kafka", properties)})
}

const kafkaProperties = `process.roles=broker,controller
node.id=1
controller.quorum.voters=1@CONTROLLER_AT
listeners=PLAINTEXT://ADDR,CONTROLLER://CONTROLLER_AT
advertised.listeners=PLAINTEXT://ADDR
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs=DIR
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
`

// freeAddr returns an address on loopback that is free now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// start runs the process and waits until it answers.
func start(ctx context.Context, t *target) (*target, error) {
	t.log = new(bytes.Buffer)
	t.cmd.Stdout, t.cmd.Stderr = t.log, t.log
	if err := t.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", t.name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.addr))
	if err != nil {
		return nil, errors.Join(err, t.stop())
	}
	defer cl.Close()
	for {
		if err := cl.Ping(ctx); err == nil {
			return t, nil
		}
		if ctx.Err() != nil {
			return nil, errors.Join(fmt.Errorf("%s does not answer: %s", t.name, t.log), t.stop())
		}
	}
}

func (t *target) stop() error {
	if err := t.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	_, err := t.cmd.Process.Wait()
	if t.dir != "" {
		err = errors.Join(err, os.RemoveAll(t.dir))
	}
	return err
}

// cpu returns the CPU time that the server has used.
func (t *target) cpu() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", t.cmd.Process.Pid))
	if err != nil {
		return 0, fmt.Errorf("CPU time of %s: %w", t.name, err)
	}
	// The second field is a name in brackets that may hold spaces; utime and stime
	// are fields 14 and 15, in ticks of 10 ms.
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	var ticks int64
	for _, f := range fields[11:13] {
		n, err := strconv.ParseInt(f, 10, 64)
		if err != nil {
			return 0, fmt.Errorf("CPU time of %s: %w", t.name, err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

const (
	settleStep  = 100 * time.Millisecond
	settleSteps = 100
)

// settled waits until the server does next to nothing, 10 seconds at most, and
// returns its CPU time.
func (t *target) settled(ctx context.Context) (time.Duration, error) {
	before, err := t.cpu()
	for i, quiet := 0, 0; err == nil && i < settleSteps && quiet < 3; i++ {
		select {
		case <-clock.System.NewTimer(settleStep).C:
		case <-ctx.Done():
			return 0, ctx.Err()
		}
		var now time.Duration
		if now, err = t.cpu(); now-before <= settleStep/10 {
			quiet++
		} else {
			quiet = 0
		}
		before = now
	}
	return before, err
}

// createTopic makes a fresh topic. Its files go when it is deleted, not a minute
// later in the middle of what is measured then: a disk that discards them holds up
// every fsync.
func (t *target) createTopic(ctx context.Context, name string, partitions int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	configs := map[string]*string{"file.delete.delay.ms": kadm.StringPtr("0")}
	maps.Copy(configs, t.configs)
	_, err = kadm.NewClient(cl).CreateTopic(ctx, int32(partitions), 1, configs, name)
	return err
}

func (t *target) deleteTopic(ctx context.Context, name string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	_, err = kadm.NewClient(cl).DeleteTopic(ctx, name)
	return err
}
