package broker

import (
	"crypto/tls"
	"crypto/x509/pkix"
	"encoding/binary"
	"net"
	"runtime"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/vfs"
)

// idleMaxBytes is what one connection may cost when nothing happens on it,
// client's side of the socket included; encrypted ones have Go's TLS state, with
// a record buffer each way.
const (
	idleMaxBytes    = 32 << 10
	idleTLSMaxBytes = 96 << 10
)

// footprint returns the memory that is in use: heap that is reachable, and
// stacks.
func footprint() int64 {
	var m runtime.MemStats
	for range 3 { // pools give up what they hold in the second round
		runtime.GC()
	}
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// TestIdleConnectionMemory measures what connections cost in the states in which
// a peer can leave them.
func TestIdleConnectionMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's own memory counts")
	}
	ca, fs := newAuthority(t), vfs.NewMem()
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	b := openSecure(t, fs, nil)
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "t"}}}); err != nil {
		t.Fatal(err)
	}
	plain := listenOn(t, b, Listener{})
	login := listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]})
	encrypted := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem"}})
	cfg := ca.clientConfig(t, nil)
	send := func(t *testing.T, nc net.Conn, req kmsg.Request, version int16) {
		rawOver(t, nc).ask(req, version)
	}
	const n = 200
	for _, c := range []struct {
		name, addr string
		limit      int64
		prepare    func(*testing.T, net.Conn)
	}{
		{"silent", plain, idleMaxBytes, func(*testing.T, net.Conn) {}},
		{"after metadata", plain, idleMaxBytes, func(t *testing.T, nc net.Conn) { send(t, nc, kmsg.NewPtrMetadataRequest(), 9) }},
		{"after 200 KiB produced", plain, idleMaxBytes, func(t *testing.T, nc net.Conn) { send(t, nc, produceRequest("absent", 200<<10), 9) }},
		{"before the login", login, idleMaxBytes, func(t *testing.T, nc net.Conn) { rawOver(t, nc).handshake("SCRAM-SHA-256", 1) }},
		{"a claim before the login", login, idleMaxBytes, func(t *testing.T, nc net.Conn) {
			claim := binary.BigEndian.AppendUint32(nil, 60<<10)
			if _, err := nc.Write(append(claim, 0, keySASLAuthenticate, 0, 1, 0, 0, 0, 1, 0, 0)); err != nil {
				t.Fatal(err)
			}
		}},
		{"after the login", login, idleMaxBytes, func(t *testing.T, nc net.Conn) { rawOver(t, nc).login("alice", "wonder") }},
		{"half-open TLS", encrypted, idleMaxBytes, func(*testing.T, net.Conn) {}},
		{"a piece of a TLS hello", encrypted, idleMaxBytes, func(t *testing.T, nc net.Conn) {
			if _, err := nc.Write([]byte{0x16, 3, 1, 2, 0, 1, 0}); err != nil {
				t.Fatal(err)
			}
		}},
		{"TLS, after metadata", encrypted, idleTLSMaxBytes, func(t *testing.T, nc net.Conn) {
			send(t, tls.Client(nc, cfg), kmsg.NewPtrMetadataRequest(), 9)
		}},
	} {
		before := footprint()
		conns := make([]net.Conn, 0, n)
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			for range n {
				nc, err := net.Dial("tcp", c.addr)
				if err != nil {
					t.Fatal(err)
				}
				conns = append(conns, nc)
				c.prepare(t, nc)
			}
			settle(b, n)
			each := (footprint() - before) / n
			t.Logf("%d bytes per connection", each)
			if each > c.limit {
				t.Errorf("a connection costs %d bytes, at most %d are allowed", each, c.limit)
			}
		})
		for _, nc := range conns {
			nc.Close()
		}
		settle(b, 0)
	}
}

// settle waits until the broker has n connections.
func settle(b *Broker, n int) {
	for {
		b.server.mu.Lock()
		have := len(b.server.conns)
		b.server.mu.Unlock()
		if have == n {
			return
		}
		runtime.Gosched()
	}
}
