package broker

import (
	"bufio"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/auth"
)

// What a measured flood is made of; the tests of a usual run are smaller.
const (
	measuredReaders  = 1000   // consumers that stop reading
	measuredIdle     = 10_000 // connections, half of them before a login
	measuredHalfOpen = 1000   // TLS handshakes that go no further
	measuredSlow     = 1000   // peers of a byte a second
	measuredPerSec   = 2000   // connections that come and go
	measuredProduces = 20_000 // requests whose time is taken
)

// measuredDir names the data directory of a measured server: it says that this
// process is the server.
const measuredDir = "MILLRACE_MEASURED_DIR"

// measured is a broker in a process of its own, so that its memory and its files
// are not the clients'.
type measured struct {
	pid                     int
	plain, login, encrypted string
}

// TestMeasuredServer is the server of the measurements below, which start it.
func TestMeasuredServer(t *testing.T) {
	dir := os.Getenv(measuredDir)
	if dir == "" {
		t.Skip("started by other tests")
	}
	cert := filepath.Join(dir, "server.pem")
	if err := os.WriteFile(cert, newAuthority(t).issue(t, pkix.Name{CommonName: "server"}), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := Open(Config{Dir: filepath.Join(dir, "data"), Limits: Limits{MaxConnections: 2 * measuredIdle}})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	fmt.Println("ready", listenOn(t, b, Listener{}), listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]}),
		listenOn(t, b, Listener{Protocol: SASLSSL, TLS: TLS{CertFile: cert}}))
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil { // until the test that started it closes the pipe
		t.Error(err)
	}
}

func startMeasured(t *testing.T) *measured {
	t.Helper()
	if os.Getenv("MILLRACE_TIER") != "N" {
		t.Skip("a measurement: MILLRACE_TIER=N")
	}
	if _, err := os.Stat("/proc/self/status"); err != nil {
		t.Skip("memory is read from /proc")
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestMeasuredServer$")
	cmd.Env = append(os.Environ(), measuredDir+"="+t.TempDir())
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the server: %v", err)
		}
	})
	m := &measured{pid: cmd.Process.Pid}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err == nil {
		_, err = fmt.Sscanf(line, "ready %s %s %s", &m.plain, &m.login, &m.encrypted)
	}
	if err != nil {
		t.Fatalf("%q: %v", line, err)
	}
	return m
}

// resident returns the server's memory in bytes, as the system counts it.
func (m *measured) resident(t *testing.T) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kib << 10
}

// producing returns the median and the 99th percentile of single acks=all produce
// requests, in milliseconds.
func (m *measured) producing(t *testing.T, cl *kgo.Client) (p50, p99 float64) {
	t.Helper()
	var took []float64
	for range measuredProduces {
		began := time.Now()
		if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "t", Value: []byte("v")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		took = append(took, time.Since(began).Seconds()*1000)
	}
	return quantile(took, 0.5), quantile(took, 0.99)
}

// dialFrom connects from an address of this machine of its own, so that ports do
// not run out.
func dialFrom(t *testing.T, i int, addr, says string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, byte(1+i%200))}}
	nc, err := d.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	if _, err := nc.Write([]byte(says)); err != nil {
		t.Fatal(err)
	}
	return nc
}

// TestDeadReadersMeasured prints what consumers that stop reading cost in memory
// and in the time of a producer, and holds the memory to its bound:
//
//	MILLRACE_TIER=N go test ./broker -run Measured -v -timeout 30m
func TestDeadReadersMeasured(t *testing.T) {
	m := startMeasured(t)
	cl := client(t, m.plain, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 64 {
		produce(t, testCtx(t), cl, "t", strings.Repeat("v", 512<<10))
	}
	m.producing(t, cl) // caches and pools fill
	p50, p99 := m.producing(t, cl)
	before := m.resident(t)
	for i := range measuredReaders {
		c := rawOver(t, dialFrom(t, i, m.plain, ""))
		var frames []byte
		for range 8 {
			req := fetchRequest("t")
			req.SetVersion(11)
			c.id++
			frames = c.f.AppendRequest(frames, req, c.id)
		}
		if _, err := c.nc.Write(frames); err != nil {
			t.Fatal(err)
		}
	}
	p50After, p99After := m.producing(t, cl)
	grown := m.resident(t) - before
	t.Logf("%d dead readers: %.1f MiB more; produce p50 %.2f to %.2f ms, p99 %.2f to %.2f ms (%.2f times)",
		measuredReaders, float64(grown)/(1<<20), p50, p50After, p99, p99After, p99After/p99)
	if grown > 64<<20+measuredReaders*64<<10 {
		t.Errorf("the bound is %d MiB", 64+measuredReaders*64>>10)
	}
}

// TestConnectionFloodMeasured does the same for idle, half-open, slow and
// short-lived connections, and counts those before a login that the broker ends.
func TestConnectionFloodMeasured(t *testing.T) {
	m := startMeasured(t)
	cl := client(t, m.plain)
	m.producing(t, cl)
	p50, p99 := m.producing(t, cl)
	before := m.resident(t)
	var early, slow []net.Conn // before the login: the broker ends them
	for i := range measuredIdle / 2 {
		dialFrom(t, i, m.plain, "")
		early = append(early, dialFrom(t, i, m.login, ""))
	}
	for i := range measuredHalfOpen {
		early = append(early, dialFrom(t, i, m.encrypted, "\x16\x03\x01\x02"))
	}
	for i := range measuredSlow {
		slow = append(slow, dialFrom(t, i, m.login, "\x00"))
	}
	open := int64(measuredIdle + measuredHalfOpen + measuredSlow)
	grown := m.resident(t) - before
	stop := make(chan struct{})
	var peers sync.WaitGroup
	var came atomic.Int64
	peers.Go(func() { drip(slow, stop) })
	peers.Go(func() { comeAndGo(t, m.plain, &came, stop) })
	began := time.Now()
	p50After, p99After := m.producing(t, cl)
	rate := float64(came.Load()) / time.Since(began).Seconds()
	ended := 0
	for _, nc := range append(early, slow...) {
		if err := nc.SetReadDeadline(began.Add(30 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Read(make([]byte, 64)); err != nil && errTimeout(err) != err {
			ended++
		}
	}
	longest := time.Since(began)
	close(stop)
	peers.Wait()
	t.Logf("%d connections: %.1f KiB each; %.0f more a second; produce p50 %.2f to %.2f ms, p99 %.2f to %.2f ms (%.2f times); %d of %d ended before their login, the last %.1f s after they were open",
		open, float64(grown)/float64(open)/1024, rate, p50, p50After, p99, p99After, p99After/p99, ended, len(early)+len(slow), longest.Seconds())
	if grown > open*idleMaxBytes {
		t.Errorf("the bound is %d KiB each", idleMaxBytes>>10)
	}
	if ended != len(early)+len(slow) {
		t.Errorf("%d connections outlive the time for a login", len(early)+len(slow)-ended)
	}
}

// every calls f in an interval until stop, or until f wants no more.
func every(interval time.Duration, stop <-chan struct{}, f func() (more bool)) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for more := true; more; more = f() {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// drip writes a byte a second to peers that still listen, until stop.
func drip(peers []net.Conn, stop <-chan struct{}) {
	every(time.Second, stop, func() bool {
		var open []net.Conn
		for _, nc := range peers {
			if _, err := nc.Write([]byte{0}); err == nil {
				open = append(open, nc)
			}
		}
		peers = open
		return true
	})
}

// comeAndGo opens and closes connections, measuredPerSec a second, until stop.
func comeAndGo(t *testing.T, addr string, came *atomic.Int64, stop <-chan struct{}) {
	const perTick = measuredPerSec / 100
	every(time.Second/100, stop, func() bool {
		for range perTick {
			nc, err := net.Dial("tcp", addr)
			if err != nil {
				t.Errorf("a connection is not taken: %v", err)
				return false
			}
			if err := nc.(*net.TCPConn).SetLinger(0); err != nil { // no port waits for late segments
				t.Error(err)
			}
			nc.Close()
			came.Add(1)
		}
		return true
	})
}
