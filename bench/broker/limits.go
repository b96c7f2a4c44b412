package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
)

// limits measures what does not need a comparison: the time from exec to the
// first answer, empty and after kill -9 over a full log, and the memory that idle
// connections and partitions take.
func limits(ctx context.Context, o options, dir string) error {
	binary, err := build(ctx, dir)
	if err != nil {
		return err
	}
	if err := startTimes(ctx, binary, dir); err != nil {
		return err
	}
	if err := held(ctx, o, binary, dir); err != nil {
		return err
	}
	return recovery(ctx, o, binary, dir)
}

// firstAnswer starts the server and returns how long it took until a Metadata
// request was answered.
func firstAnswer(ctx context.Context, binary, data string) (*target, time.Duration, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, 0, err
	}
	t := &target{name: "millrace", addr: addr, cmd: exec.Command(binary, "server", "--data", data, "--kafka", addr, "--http", "127.0.0.1:0")}
	began := clock.System.Now()
	if err := t.cmd.Start(); err != nil {
		return nil, 0, err
	}
	for clock.System.Now().Sub(began) < startTimeout && ctx.Err() == nil {
		if ok := askMetadata(addr); ok {
			return t, clock.System.Now().Sub(began), nil
		}
		<-clock.System.NewTimer(time.Millisecond).C
	}
	return nil, 0, errors.Join(fmt.Errorf("no answer within %s", startTimeout), t.stop())
}

// askMetadata sends one Metadata request on a connection of its own.
func askMetadata(addr string) bool {
	c, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer c.Close()
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(9)
	if _, err := c.Write(kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)); err != nil {
		return false
	}
	var size [4]byte
	n, err := c.Read(size[:])
	return err == nil && n > 0
}

func startTimes(ctx context.Context, binary, dir string) error {
	var times []time.Duration
	for i := range 9 {
		t, took, err := firstAnswer(ctx, binary, filepath.Join(dir, "start"+strconv.Itoa(i)))
		if err != nil {
			return err
		}
		if err := t.stop(); err != nil {
			return err
		}
		times = append(times, took)
	}
	slices.Sort(times)
	fmt.Printf("exec to the first Metadata answer, empty directory: median %s of 9\n", times[4].Round(100*time.Microsecond))
	return nil
}

// resident returns the resident memory of a process in bytes.
func resident(pid int) (int64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(b), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			return n << 10, err
		}
	}
	return 0, errors.New("no VmRSS")
}

// held opens idle connections and creates partitions, and shows what they take.
func held(ctx context.Context, o options, binary, dir string) (err error) {
	t, _, err := firstAnswer(ctx, binary, filepath.Join(dir, "held"))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	before, err := resident(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	conns := make([]net.Conn, 0, o.connections)
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	req := kmsg.NewPtrApiVersionsRequest()
	frame := kmsg.NewRequestFormatter().AppendRequest(nil, req, 1)
	for i := range o.connections {
		c, err := net.Dial("tcp", t.addr)
		if err != nil {
			return fmt.Errorf("connection %d: %w (ulimit -n?)", i, err)
		}
		conns = append(conns, c)
		if _, err := c.Write(frame); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
		var answer [4096]byte
		if _, err := c.Read(answer[:]); err != nil {
			return fmt.Errorf("connection %d: %w", i, err)
		}
	}
	after, err := resident(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("%d idle connections: %.1f KiB each\n", o.connections, float64(after-before)/1024/float64(max(o.connections, 1)))
	return partitionsHeld(ctx, o, t)
}

func partitionsHeld(ctx context.Context, o options, t *target) error {
	const perTopic = 1000
	before, err := resident(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	cl, err := kgo.NewClient(kgo.SeedBrokers(t.addr), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	began := clock.System.Now()
	for i := range o.partitions / perTopic {
		if _, err := kadm.NewClient(cl).CreateTopic(ctx, perTopic, 1, nil, "held-"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	created := clock.System.Now().Sub(began)
	began = clock.System.Now()
	for i := range o.partitions / perTopic {
		for p := range int32(perTopic) {
			cl.Produce(ctx, &kgo.Record{Topic: "held-" + strconv.Itoa(i), Partition: p, Value: []byte("one record")}, nil)
		}
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	after, err := resident(t.cmd.Process.Pid)
	if err != nil {
		return err
	}
	fmt.Printf("%d topic-partitions: created in %s, a record in each in %s, %.1f KiB each\n", o.partitions, created.Round(time.Millisecond),
		clock.System.Now().Sub(began).Round(time.Millisecond), float64(after-before)/1024/float64(max(o.partitions, 1)))
	return nil
}

// recovery fills the log and segments, kills the server, and measures its next
// start.
func recovery(ctx context.Context, o options, binary, dir string) error {
	data := filepath.Join(dir, "recovery")
	t, _, err := firstAnswer(ctx, binary, data)
	if err != nil {
		return err
	}
	s := shape{1000, 16, 1}
	if err := errors.Join(t.createTopic(ctx, "fill", s.partitions), produceAll(ctx, t.addr, "fill", s, o.fill/s.recordBytes)); err != nil {
		return errors.Join(err, t.stop())
	}
	if err := t.stop(); err != nil {
		return err
	}
	log, segments := size(filepath.Join(data, "wal")), size(filepath.Join(data, "topics"))
	t, took, err := firstAnswer(ctx, binary, data)
	if err != nil {
		return err
	}
	fmt.Printf("kill -9 with %d MiB of write-ahead log and %d MiB of segments: the next start answers after %s\n", log>>20, segments>>20, took.Round(time.Millisecond))
	return t.stop()
}

// size adds up the files under a folder.
func size(dir string) (total int64) {
	filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error { //nolint:errcheck // what cannot be read has no size
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}
