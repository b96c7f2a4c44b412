package broker

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// movableClock is a clock whose time a test sets.
type movableClock struct {
	clock.Clock
	mu  sync.Mutex // guards off
	off time.Duration
}

func (c *movableClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.Clock.Now().Add(c.off)
}

func (c *movableClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.off += d
}

// logged collects what a broker logs.
type logged struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
}

func (l *logged) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *logged) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// principalOf connects with a certificate and returns whom the broker takes the
// client for.
func principalOf(t *testing.T, b *Broker, addr string, cfg *tls.Config) (string, error) {
	t.Helper()
	nc, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return "", err
	}
	defer nc.Close()
	c := rawOver(t, nc)
	if _, err := c.try(kmsg.NewPtrApiVersionsRequest(), 0); err != nil {
		return "", err
	}
	b.server.mu.Lock()
	defer b.server.mu.Unlock()
	for open := range b.server.conns {
		if open.raw.RemoteAddr().String() == nc.LocalAddr().String() {
			return open.peer.principal, nil
		}
	}
	return "", errors.New("the broker does not know the connection")
}

func TestClientCertificates(t *testing.T) {
	ca, stranger, fs := newAuthority(t), newAuthority(t), vfs.NewMem()
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	writeFile(t, fs, "ca.pem", ca.pem)
	b := openSecure(t, fs, nil)
	named := ca.issue(t, pkix.Name{CommonName: "Alice, A", OrganizationalUnit: []string{"Dev"}, Country: []string{"DE"}})
	unnamed := ca.issue(t, pkix.Name{})
	foreign := stranger.issue(t, pkix.Name{CommonName: "root"})
	required := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientCAFile: "ca.pem", ClientAuth: ClientAuthRequired}})
	requested := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientCAFile: "ca.pem", ClientAuth: ClientAuthRequested}})
	mapped := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{
		CertFile: "server.pem", ClientCAFile: "ca.pem", ClientAuth: ClientAuthRequired, MappingRules: `RULE:.*OU=(.*?),.*/team-$1/L`,
	}})
	none := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem"}})
	for _, c := range []struct {
		name, addr string
		cert       []byte
		want       string // empty: refused
	}{
		{"required", required, named, `User:CN=Alice\, A,OU=Dev,C=DE`},
		{"required, no certificate", required, nil, ""},
		{"required, of another authority", required, foreign, ""},
		{"required, no subject", required, unnamed, "User:ANONYMOUS"},
		{"requested", requested, named, `User:CN=Alice\, A,OU=Dev,C=DE`},
		{"requested, no certificate", requested, nil, "User:ANONYMOUS"},
		{"requested, of another authority", requested, foreign, ""},
		{"mapped", mapped, named, "User:team-dev"},
		{"mapped, no rule matches", mapped, ca.issue(t, pkix.Name{CommonName: "bob"}), ""},
		{"none", none, named, "User:ANONYMOUS"},
	} {
		got, err := principalOf(t, b, c.addr, ca.clientConfig(t, c.cert))
		if got != c.want || (err == nil) != (c.want != "") {
			t.Errorf("%s: %q, %v, want %q", c.name, got, err, c.want)
		}
	}
	cl := client(t, required, kgo.DialTLSConfig(ca.clientConfig(t, named)))
	produce(t, testCtx(t), cl, "t", "v")
}

// TestCertificateReload: a new certificate is used without a restart, and one
// that cannot be used leaves the old in force.
func TestCertificateReload(t *testing.T) {
	ca, fs, clk := newAuthority(t), vfs.NewMem(), &movableClock{Clock: clock.System}
	var log logged
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "first"}))
	b := openSecure(t, fs, func(c *Config) { c.Clock, c.Logger = clk, log.logger() })
	addr := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem"}})
	served := func() string {
		nc, err := tls.Dial("tcp", addr, ca.clientConfig(t, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		return nc.ConnectionState().PeerCertificates[0].Subject.CommonName
	}
	if got := served(); got != "first" {
		t.Fatal(got)
	}
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "second"}))
	clk.advance(tlsReloadInterval)
	if got := served(); got != "second" {
		t.Errorf("after the change: %s", got)
	}
	writeFile(t, fs, "server.pem", []byte("-----BEGIN NONSENSE-----"))
	clk.advance(tlsReloadInterval)
	if got := served(); got != "second" {
		t.Errorf("after a bad file: %s", got)
	}
	if !strings.Contains(log.String(), "cannot be used") {
		t.Error("a bad file is not reported")
	}
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "third"}))
	clk.advance(tlsReloadInterval)
	if got := served(); got != "third" {
		t.Errorf("after the file was mended: %s", got)
	}
}

// TestWrongProtocol: TLS on plain text and the reverse are told apart in the log.
func TestWrongProtocol(t *testing.T) {
	ca, fs := newAuthority(t), vfs.NewMem()
	var log logged
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	b := openSecure(t, fs, func(c *Config) { c.Logger = log.logger() })
	if nc, err := tls.Dial("tcp", listenOn(t, b, Listener{}), ca.clientConfig(t, nil)); err == nil {
		nc.Close()
		t.Error("TLS on a plain-text listener")
	}
	encrypted := listenOn(t, b, Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem"}})
	if _, err := dialRaw(t, encrypted).try(kmsg.NewPtrApiVersionsRequest(), 0); err == nil {
		t.Error("plain text on a TLS listener is answered")
	}
	old := ca.clientConfig(t, nil)
	old.MaxVersion = tls.VersionTLS11
	if nc, err := tls.Dial("tcp", encrypted, old); err == nil {
		nc.Close()
		t.Error("TLS 1.1 is accepted")
	}
	if err := b.Close(context.Background()); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"a TLS client on a plain-text listener", "a plain-text client on a TLS listener"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q", want)
		}
	}
}

func TestListenerConfig(t *testing.T) {
	ca, fs := newAuthority(t), vfs.NewMem()
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	b := openSecure(t, fs, nil)
	local, world := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, &net.TCPAddr{IP: net.IPv4zero}
	files := TLS{CertFile: "server.pem"}
	for name, c := range map[string]struct {
		l    Listener
		addr net.Addr
		ok   bool
	}{
		"plain text here":               {Listener{}, local, true},
		"plain text everywhere":         {Listener{}, world, false},
		"plain text everywhere, forced": {Listener{AllowInsecure: true}, world, true},
		"SSL everywhere":                {Listener{Protocol: SSL, TLS: files}, world, false},
		"mTLS everywhere":               {Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientCAFile: "server.pem", ClientAuth: ClientAuthRequired}}, world, true},
		"SASL_SSL everywhere":           {Listener{Protocol: SASLSSL, TLS: files}, world, true},
		"unknown protocol":              {Listener{Protocol: "TLS"}, local, false},
		"no certificate":                {Listener{Protocol: SSL}, local, false},
		"missing certificate":           {Listener{Protocol: SSL, TLS: TLS{CertFile: "no.pem"}}, local, false},
		"certificate without TLS":       {Listener{TLS: files}, local, false},
		"no client CA":                  {Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientAuth: ClientAuthRequired}}, local, false},
		"needless client CA":            {Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientCAFile: "server.pem"}}, local, false},
		"bad client auth":               {Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", ClientAuth: "maybe"}}, local, false},
		"bad mapping":                   {Listener{Protocol: SSL, TLS: TLS{CertFile: "server.pem", MappingRules: "x"}}, local, false},
		"mechanisms without SASL":       {Listener{Mechanisms: []auth.Mechanism{"PLAIN"}}, local, false},
		"unknown mechanism":             {Listener{Protocol: SASLPlaintext, Mechanisms: []auth.Mechanism{"GSSAPI"}}, local, false},
		"OAUTHBEARER without keys":      {Listener{Protocol: SASLPlaintext, Mechanisms: []auth.Mechanism{"OAUTHBEARER"}}, local, false},
	} {
		if _, err := b.newListener(c.l, c.addr); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	l, err := b.newListener(Listener{Protocol: SASLPlaintext}, local)
	if err != nil || len(l.Mechanisms) != 2 {
		t.Errorf("PLAIN must not be a default without TLS: %v, %v", l.Mechanisms, err)
	}
}

func TestParseListener(t *testing.T) {
	for text, want := range map[string]struct {
		name, protocol, addr, host string
		port                       int32
	}{
		"PLAINTEXT://127.0.0.1:9092":                   {"PLAINTEXT", "PLAINTEXT", "127.0.0.1:9092", "", 0},
		"OUT=SASL_SSL://0.0.0.0:9093@kafka.test:19093": {"OUT", "SASL_SSL", "0.0.0.0:9093", "kafka.test", 19093},
		"SSL://[::1]:0":                                {"SSL", "SSL", "[::1]:0", "", 0},
	} {
		l, addr, err := ParseListener(text)
		if err != nil || l.Name != want.name || string(l.Protocol) != want.protocol || addr != want.addr || l.AdvertisedHost != want.host || l.AdvertisedPort != want.port {
			t.Errorf("%s: %+v at %s, %v", text, l, addr, err)
		}
	}
	for _, text := range []string{"", "9092", "TLS://h:1", "=SSL://h:1", "SSL://h", "SSL://h:1@", "SSL://h:1@x", "SSL://h:1@x:0", "SSL://h:1@:9", "SSL://h:1@x:99999"} {
		if l, _, err := ParseListener(text); err == nil {
			t.Errorf("%q is %+v", text, l)
		}
	}
}

// TestConnectionsPerIP: one address cannot take all connections.
func TestConnectionsPerIP(t *testing.T) {
	_, addr := serveTest(t, Limits{MaxConnectionsPerIP: 2})
	first, second := dialRaw(t, addr), dialRaw(t, addr)
	first.ask(kmsg.NewPtrApiVersionsRequest(), 0)
	second.ask(kmsg.NewPtrApiVersionsRequest(), 0)
	if _, err := dialRaw(t, addr).try(kmsg.NewPtrApiVersionsRequest(), 0); err != io.EOF {
		t.Errorf("a third connection: %v", err)
	}
	first.nc.Close()
	for { // until the broker has noticed
		c := dialRaw(t, addr)
		if _, err := c.try(kmsg.NewPtrApiVersionsRequest(), 0); err == nil {
			return
		}
	}
}
