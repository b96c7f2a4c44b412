package broker

import (
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/vfs"
)

// fetchRequest asks for all of a topic, at most a MiB at a time.
func fetchRequest(topic string) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = topic
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes = 1 << 20
	rt.Partitions = append(rt.Partitions, rp)
	req.Topics, req.MaxBytes = append(req.Topics, rt), 1<<20
	return req
}

// TestDeadReaders: consumers that ask and never read cost a bounded amount, and
// the living go on.
func TestDeadReaders(t *testing.T) {
	const dead, asked = 200, 8
	b, addr := serveTest(t, Limits{})
	ctx := testCtx(t)
	cl := client(t, addr, kgo.ConsumeTopics("t"), kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 16 {
		produce(t, ctx, cl, "t", strings.Repeat("v", 512<<10))
	}
	consume(t, ctx, cl, 16)
	before := footprint()
	for range dead {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		c := rawOver(t, nc)
		var frames []byte
		for range asked {
			req := fetchRequest("t")
			req.SetVersion(11)
			c.id++
			frames = c.f.AppendRequest(frames, req, c.id)
		}
		if _, err := nc.Write(frames); err != nil {
			t.Fatal(err)
		}
	}
	produce(t, ctx, cl, "t", "alive")
	if got := consume(t, ctx, cl, 1); got[0] != "alive" {
		t.Errorf("consumed %.20q", got[0])
	}
	if grown := footprint() - before; !raceEnabled && grown > 64<<20+dead*64<<10 {
		t.Errorf("%d dead readers hold %d MiB", dead, grown>>20)
	}
	b.server.unsent.mu.Lock()
	defer b.server.unsent.mu.Unlock()
	if b.server.unsent.held > 64<<20+dead*unsentFreeBytes {
		t.Errorf("%d bytes count as unsent", b.server.unsent.held)
	}
}

// TestUnsentIsGivenBack: what was counted is given back when the peer reads, and
// when it goes without reading.
func TestUnsentIsGivenBack(t *testing.T) {
	b, addr := serveTest(t, Limits{UnsentMaxBytes: 1 << 20})
	ctx := testCtx(t)
	cl := client(t, addr, kgo.ProducerBatchCompression(kgo.NoCompression()))
	for range 8 {
		produce(t, ctx, cl, "t", strings.Repeat("v", 512<<10))
	}
	readers := make([]*rawClient, 4)
	for i := range readers {
		readers[i] = dialRaw(t, addr)
		for range 4 {
			req := fetchRequest("t")
			req.SetVersion(11)
			readers[i].id++
			if _, err := readers[i].nc.Write(readers[i].f.AppendRequest(nil, req, readers[i].id)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range readers[:2] {
		for range 4 {
			if _, err := c.frame(); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, c := range readers {
		c.nc.Close()
	}
	cl.Close()
	settle(b, 0)
	b.server.unsent.mu.Lock()
	defer b.server.unsent.mu.Unlock()
	if b.server.unsent.held != 0 {
		t.Errorf("%d bytes still count as unsent", b.server.unsent.held)
	}
}

// TestConnectionFlood: idle, half-open, slow and short-lived connections, and a
// client that works all the while.
func TestConnectionFlood(t *testing.T) {
	ca, fs := newAuthority(t), vfs.NewMem()
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	b := openSecure(t, fs, nil)
	plain := listenOn(t, b, Listener{})
	login := listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]})
	encrypted := listenOn(t, b, Listener{Protocol: SASLSSL, TLS: TLS{CertFile: "server.pem"}})
	ctx := testCtx(t)
	cl := client(t, plain, kgo.ConsumeTopics("t"))
	produce(t, ctx, cl, "t", "before")
	consume(t, ctx, cl, 1)
	before := footprint()
	const each = 250
	open := make([]net.Conn, 0, 4*each)
	for i := range each {
		for _, peer := range []struct{ addr, says string }{
			{plain, ""}, {login, ""}, {encrypted, "\x16\x03\x01\x02"}, {plain, "\x00\x00\x10\x00\x00"},
		} {
			nc, err := net.Dial("tcp", peer.addr)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, nc)
			if _, err := nc.Write([]byte(peer.says)); err != nil {
				t.Fatal(err)
			}
		}
		nc, err := net.Dial("tcp", plain) // comes and goes
		if err != nil {
			t.Fatal(err)
		}
		nc.Close()
		if i%50 == 0 {
			produce(t, ctx, cl, "t", "during")
			consume(t, ctx, cl, 1)
		}
	}
	if grown := footprint() - before; !raceEnabled && grown > int64(len(open))*idleMaxBytes {
		t.Errorf("%d connections cost %d KiB each", len(open), grown/int64(len(open))>>10)
	}
	for _, nc := range open {
		nc.Close()
	}
	produce(t, ctx, cl, "t", "after")
	consume(t, ctx, cl, 1)
}

// TestSilentClaimsHoldNothing: peers that claim large requests and send nothing of
// them keep no memory from the others.
func TestSilentClaimsHoldNothing(t *testing.T) {
	_, addr := serveTest(t, Limits{InFlightMaxBytes: 1 << 20})
	for range 50 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(frameOf(90<<20, 0, 9, []byte{0, 1, 'c', 0})); err != nil {
			t.Fatal(err)
		}
	}
	cl := client(t, addr)
	produce(t, testCtx(t), cl, "t", strings.Repeat("v", 700<<10))
}

// TestRandomFramesOnLiveSockets sends broken requests before and after the login
// and verifies that the broker neither panics nor grows, and still works.
func TestRandomFramesOnLiveSockets(t *testing.T) {
	var log logged
	m := newMazeWith(t, log.logger())
	m.ensure()
	seed := uint64(20260301)
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	keys := slices.Sorted(maps.Keys(apis))
	frames := rounds(1500)
	var c *rawClient
	for i := range frames {
		if c == nil {
			c = dialRaw(t, m.addr)
			if r.IntN(3) > 0 {
				c.login("root", "toor")
			}
		}
		key := keys[r.IntN(len(keys))]
		version := apis[key].min + int16(r.IntN(int(apis[key].max-apis[key].min)+1))
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		fill(reflect.ValueOf(req).Elem(), secret, TopicID{})
		frame := c.f.AppendRequest(nil, req, int32(i))
		for range r.IntN(4) { // the size stays true, so that the rest is judged
			frame[8+r.IntN(len(frame)-8)] = byte(r.Uint32())
		}
		if r.IntN(20) == 0 {
			frame = frame[:4+r.IntN(len(frame)-4)]
		}
		if _, err := c.nc.Write(frame); err != nil || r.IntN(3) == 0 {
			c.nc.Close()
			c = nil
		}
	}
	alive := dialRaw(t, m.addr)
	alive.login("root", "toor")
	alive.ask(kmsg.NewPtrMetadataRequest(), 9)
	if text := log.String(); strings.Contains(text, "panic") {
		t.Errorf("a handler panics:\n%s", text[strings.Index(text, "panic"):])
	}
}

// TestHugeLengths overwrites every place of every request in every version with
// the lengths that programs trip over. A request that is decoded must not cost
// more than eight times its bytes and a MiB.
func TestHugeLengths(t *testing.T) {
	m := newMaze(t)
	m.ensure()
	c := &conn{b: m.b, peer: &peer{}}
	lengths := [][]byte{
		{0x80, 0, 0, 0}, {0xff, 0xff, 0xff, 0xff}, {0x7f, 0xff, 0xff, 0xff}, {0, 0xff, 0xff, 0xff}, {0, 0, 0, 0},
		{0x7f, 0xff}, {0x80, 0}, {0xff, 0xff, 0xff, 0xff, 0x0f}, {0xff, 0xff, 0xff, 0xff, 0x07}, {0xff, 0x7f},
	}
	var before, after runtime.MemStats
	for _, key := range slices.Sorted(maps.Keys(apis)) {
		for _, v := range served(key) {
			var a access
			if len(matrix[key]) > 0 {
				a = matrix[key][0]
			}
			good := m.build(key, v, a, secret).AppendTo(nil)
			for at := range good {
				runtime.ReadMemStats(&before)
				for _, l := range lengths {
					if at+len(l) > len(good) {
						continue
					}
					bad := slices.Clone(good)
					copy(bad[at:], l)
					req := kmsg.RequestForKey(key)
					req.SetVersion(v)
					rq := &request{key: key, version: v, flexible: req.IsFlexible()}
					_ = c.decode(req, rq, bad) // any verdict is good
				}
				runtime.ReadMemStats(&after)
				if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(lengths)*8*len(good)+1<<20) {
					t.Errorf("%s version %d, lengths at %d: %d bytes for requests of %d", kmsg.NameForKey(key), v, at, grown, len(good))
				}
			}
		}
	}
}

// TestFrameSizes sends each limit's neighbours on live sockets, before and after
// the login.
func TestFrameSizes(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	addr := listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]})
	limits := b.cfg.Limits
	for _, key := range slices.Sorted(maps.Keys(apis)) {
		for _, in := range []bool{false, true} {
			limit := limits.SmallRequestMaxBytes
			switch {
			case !in:
				limit = limits.LoginMaxBytes
			case key == keyProduce:
				limit = limits.RequestMaxBytes
			}
			for _, size := range []int64{math.MinInt32, -1, 0, frameMinBytes - 1, int64(limit) + 1, math.MaxInt32} {
				c := dialRaw(t, addr)
				if in {
					c.handshake("SCRAM-SHA-256", 1)
					c.nc.Close()
					c = rawOver(t, loggedIn(t, addr))
				}
				frame := frameOf(int32(size), key, apis[key].max, nil)
				if _, err := c.nc.Write(frame); err != nil {
					t.Fatal(err)
				}
				c.mustBeClosed(fmt.Sprintf("%s, logged in %v, size %d", kmsg.NameForKey(key), in, size))
				c.nc.Close()
			}
		}
		if testing.Short() {
			break
		}
	}
}

// loggedIn returns a new connection that is logged in.
func loggedIn(t *testing.T, addr string) net.Conn {
	t.Helper()
	c := dialRaw(t, addr)
	c.login("root", "toor")
	return c.nc
}

// TestSlowRequest: a request that has begun must go on, or the connection ends.
func TestSlowRequest(t *testing.T) {
	inBubble(t, Limits{}, Listener{}, func(t *testing.T, b *Broker, l *pipeListener) {
		nc := l.dial()
		began := time.Now()
		var slow sync.WaitGroup
		slow.Go(func() {
			frame := binary.BigEndian.AppendUint32(nil, 1<<20)
			if _, err := nc.Write(append(frame, 0, 0, 0, 9, 0, 0, 0, 1)); err != nil {
				return
			}
			for {
				if _, err := nc.Write([]byte{0}); err != nil {
					return
				}
				<-time.NewTimer(time.Second).C
			}
		})
		if _, err := nc.Read(make([]byte, 1)); err != io.EOF {
			t.Error(err)
		}
		if d := time.Since(began); d != b.cfg.Limits.RequestTimeout {
			t.Errorf("one byte a second lasts %v", d)
		}
		slow.Wait()
	})
}

// failingListener fails a few times before it accepts.
type failingListener struct {
	*pipeListener
	failures int
}

func (l *failingListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, &net.OpError{Op: "accept", Err: os.NewSyscallError("accept4", syscall.EMFILE)}
	}
	return l.pipeListener.Accept()
}

// TestAcceptFails: too many open files do not end a listener.
func TestAcceptFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, err := Open(Config{Keys: testKeys, Dir: "data", FS: vfs.NewMem()})
		if err != nil {
			t.Fatal(err)
		}
		l := &failingListener{newPipeListener(), 5}
		served := make(chan error, 1)
		go func() { served <- b.Serve(l) }()
		c := rawOver(t, l.dial())
		c.ask(kmsg.NewPtrApiVersionsRequest(), 0)
		if err := errors.Join(b.Close(t.Context()), <-served); err != nil {
			t.Error(err)
		}
	})
}
