package broker

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/oauth"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/vfs"
)

// authority signs certificates for tests.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{}
	var err error
	if a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// issue returns a certificate with its key, for 127.0.0.1 and any use.
func (a *authority) issue(t *testing.T, subject pkix.Name) (certAndKey []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<60))
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: serial, Subject: subject, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})...)
}

// clientConfig trusts the authority and shows a certificate when one is given.
func (a *authority) clientConfig(t *testing.T, certAndKey []byte) *tls.Config {
	t.Helper()
	cfg := &tls.Config{RootCAs: x509.NewCertPool(), ServerName: "127.0.0.1"}
	cfg.RootCAs.AddCert(a.cert)
	if certAndKey != nil {
		pair, err := tls.X509KeyPair(certAndKey, certAndKey)
		if err != nil {
			t.Fatal(err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	return cfg
}

func writeFile(t *testing.T, fs vfs.FS, name string, content []byte) {
	t.Helper()
	if err := vfs.WriteFileAtomic(fs, name, content); err != nil {
		t.Fatal(err)
	}
}

// listenOn serves one more listener on a free port until the test ends.
func listenOn(t *testing.T, b *Broker, cfg Listener) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.ServeListener(l, cfg) }()
	t.Cleanup(func() {
		b.Close(context.Background())
		if err := <-served; err != nil {
			t.Errorf("listener %s: %v", cfg.Protocol, err)
		}
	})
	return l.Addr().String()
}

// openSecure opens a broker in memory with users alice and root.
func openSecure(t *testing.T, fs vfs.FS, change func(*Config)) *Broker {
	t.Helper()
	cfg := Config{Keys: testKeys, Dir: "data", FS: fs, Limits: Limits{FailedLoginDelay: time.Millisecond}}
	if change != nil {
		change(&cfg)
	}
	b, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	for user, password := range map[string]string{"alice": "wonder", "root": "toor"} {
		if err := b.SetPassword(user, password); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// mechanisms are the password logins of a client.
func mechanisms(user, password string) map[string]sasl.Mechanism {
	return map[string]sasl.Mechanism{
		"PLAIN":         plain.Auth{User: user, Pass: password}.AsMechanism(),
		"SCRAM-SHA-256": scram.Auth{User: user, Pass: password}.AsSha256Mechanism(),
		"SCRAM-SHA-512": scram.Auth{User: user, Pass: password}.AsSha512Mechanism(),
	}
}

func TestLogin(t *testing.T) {
	ca, fs := newAuthority(t), vfs.NewMem()
	writeFile(t, fs, "server.pem", ca.issue(t, pkix.Name{CommonName: "server"}))
	b := openSecure(t, fs, nil)
	ctx := testCtx(t)
	addrs := map[string]string{
		"plain": listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]}),
		"tls":   listenOn(t, b, Listener{Protocol: SASLSSL, TLS: TLS{CertFile: "server.pem"}}),
	}
	for kind, addr := range addrs {
		var opts []kgo.Opt
		if kind == "tls" {
			opts = append(opts, kgo.DialTLSConfig(ca.clientConfig(t, nil)))
		}
		for name, m := range mechanisms("alice", "wonder") {
			t.Run(kind+"/"+name, func(t *testing.T) {
				cl := client(t, addr, append(opts, kgo.SASL(m), kgo.ConsumeTopics(kind+name))...)
				produce(t, ctx, cl, kind+name, "one", "two")
				consume(t, ctx, cl, 2)
			})
		}
		for _, wrong := range []map[string]sasl.Mechanism{mechanisms("alice", "Wonder"), mechanisms("bob", "wonder")} {
			for name, m := range wrong {
				cl := client(t, addr, append(opts, kgo.SASL(m))...)
				if err := cl.Ping(ctx); !errors.Is(err, kerr.SaslAuthenticationFailed) {
					t.Errorf("%s %s with wrong credentials: %v", kind, name, err)
				}
			}
		}
	}
}

func TestMechanismNotOffered(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	addr := listenOn(t, b, Listener{Protocol: SASLPlaintext})
	cl := client(t, addr, kgo.SASL(plain.Auth{User: "alice", Pass: "wonder"}.AsMechanism()))
	if err := cl.Ping(testCtx(t)); err == nil || !strings.Contains(err.Error(), "PLAIN") && !errors.Is(err, kerr.UnsupportedSaslMechanism) {
		t.Errorf("PLAIN without TLS: %v", err)
	}
}

// TestListenersAnswerTheirOwnAddress: a client of one listener is never sent to
// another.
func TestListenersAnswerTheirOwnAddress(t *testing.T) {
	b := openSecure(t, vfs.NewMem(), nil)
	inside := listenOn(t, b, Listener{Name: "IN"})
	outside := listenOn(t, b, Listener{Name: "OUT", AdvertisedHost: "kafka.example", AdvertisedPort: 19092})
	for addr, want := range map[string]string{inside: inside, outside: "kafka.example:19092"} {
		c := dialRaw(t, addr)
		var got []string
		meta := c.ask(kmsg.NewPtrMetadataRequest(), 9).(*kmsg.MetadataResponse)
		got = append(got, net.JoinHostPort(meta.Brokers[0].Host, port(meta.Brokers[0].Port)))
		find := kmsg.NewPtrFindCoordinatorRequest()
		find.CoordinatorKey = "g"
		coord := c.ask(find, 2).(*kmsg.FindCoordinatorResponse)
		got = append(got, net.JoinHostPort(coord.Host, port(coord.Port)))
		cluster := c.ask(kmsg.NewPtrDescribeClusterRequest(), 0).(*kmsg.DescribeClusterResponse)
		got = append(got, net.JoinHostPort(cluster.Brokers[0].Host, port(cluster.Brokers[0].Port)))
		for _, g := range got {
			if g != want {
				t.Errorf("at %s: told %s, want %s", addr, g, want)
			}
		}
	}
}

func port(n int32) string { return big.NewInt(int64(n)).String() }

// rawClient speaks the protocol without any help.
type rawClient struct {
	t  *testing.T
	nc net.Conn
	f  *kmsg.RequestFormatter
	id int32
}

func dialRaw(t *testing.T, addr string) *rawClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return rawOver(t, nc)
}

func rawOver(t *testing.T, nc net.Conn) *rawClient {
	t.Cleanup(func() { nc.Close() })
	if err := nc.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &rawClient{t: t, nc: nc, f: kmsg.NewRequestFormatter(kmsg.FormatterClientID("raw"))}
}

// try sends a request and returns the response, or the error that came instead:
// io.EOF when the broker closed the connection.
func (c *rawClient) try(req kmsg.Request, version int16) (kmsg.Response, error) {
	req.SetVersion(version)
	c.id++
	if _, err := c.nc.Write(c.f.AppendRequest(nil, req, c.id)); err != nil {
		return nil, io.EOF
	}
	body, err := c.frame()
	if err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	body = body[4:]
	if req.IsFlexible() && req.Key() != keyApiVersions {
		body = body[1:]
	}
	return resp, resp.ReadFrom(body)
}

// frame reads one frame without its size.
func (c *rawClient) frame() ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c.nc, head[:]); err != nil {
		return nil, io.EOF // reset or closed
	}
	body := make([]byte, int(head[2])<<8|int(head[3])|int(head[1])<<16)
	_, err := io.ReadFull(c.nc, body)
	return body, err
}

func (c *rawClient) ask(req kmsg.Request, version int16) kmsg.Response {
	c.t.Helper()
	resp, err := c.try(req, version)
	if err != nil {
		c.t.Fatalf("%s version %d: %v", kmsg.NameForKey(req.Key()), version, err)
	}
	return resp
}

// handshake names a mechanism and returns the answer's code.
func (c *rawClient) handshake(mechanism string, version int16) int16 {
	c.t.Helper()
	req := kmsg.NewPtrSASLHandshakeRequest()
	req.Mechanism = mechanism
	return c.ask(req, version).(*kmsg.SASLHandshakeResponse).ErrorCode
}

// authenticate sends one message of an exchange.
func (c *rawClient) authenticate(message string) *kmsg.SASLAuthenticateResponse {
	c.t.Helper()
	req := kmsg.NewPtrSASLAuthenticateRequest()
	req.SASLAuthBytes = []byte(message)
	return c.ask(req, 2).(*kmsg.SASLAuthenticateResponse)
}

func (c *rawClient) login(user, password string) {
	c.t.Helper()
	if code := c.handshake("PLAIN", 1); code != 0 {
		c.t.Fatalf("handshake: %v", kerr.ErrorForCode(code))
	}
	if r := c.authenticate("\x00" + user + "\x00" + password); r.ErrorCode != 0 {
		c.t.Fatalf("login as %s: %v", user, kerr.ErrorForCode(r.ErrorCode))
	}
}

// mustBeClosed verifies that the broker has closed the connection.
func (c *rawClient) mustBeClosed(after string) {
	c.t.Helper()
	if b, err := c.frame(); err != io.EOF {
		c.t.Errorf("%s: the connection is open (%x, %v)", after, b, err)
	}
}

func plainListener(t *testing.T, change func(*Config)) (*Broker, string) {
	b := openSecure(t, vfs.NewMem(), change)
	return b, listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]})
}

// TestBareLogin: after SaslHandshake 0 the messages have no headers.
func TestBareLogin(t *testing.T) {
	_, addr := plainListener(t, nil)
	c := dialRaw(t, addr)
	if code := c.handshake("PLAIN", 0); code != 0 {
		t.Fatal(code)
	}
	send := func(c *rawClient, message string) {
		if _, err := c.nc.Write(append([]byte{0, 0, 0, byte(len(message))}, message...)); err != nil {
			t.Fatal(err)
		}
	}
	send(c, "\x00alice\x00wonder")
	if b, err := c.frame(); err != nil || len(b) != 0 {
		t.Fatalf("answer %x, %v", b, err)
	}
	c.ask(kmsg.NewPtrMetadataRequest(), 5)

	c = dialRaw(t, addr)
	c.handshake("PLAIN", 0)
	send(c, "\x00alice\x00Wonder")
	c.mustBeClosed("a wrong password")

	c = dialRaw(t, addr)
	c.handshake("PLAIN", 0)
	if _, err := c.nc.Write([]byte{0x7f, 0xff, 0xff, 0xff, 0}); err != nil {
		t.Fatal(err)
	}
	c.mustBeClosed("a huge message")
}

// TestLoginStates: what is out of place is refused and closes the connection.
func TestLoginStates(t *testing.T) {
	b, addr := plainListener(t, nil)
	const illegal = 34
	c := dialRaw(t, addr)
	c.ask(kmsg.NewPtrApiVersionsRequest(), 0)
	if r := c.authenticate("\x00alice\x00wonder"); r.ErrorCode != illegal {
		t.Errorf("SaslAuthenticate first: %d", r.ErrorCode)
	}
	c.mustBeClosed("SaslAuthenticate first")

	c = dialRaw(t, addr)
	c.handshake("PLAIN", 1)
	c.ask(kmsg.NewPtrApiVersionsRequest(), 0)
	if code := c.handshake("SCRAM-SHA-256", 1); code != illegal {
		t.Errorf("a second handshake: %d", code)
	}
	c.mustBeClosed("a second handshake")

	c = dialRaw(t, addr)
	if code := c.handshake("GSSAPI", 1); code != kerr.UnsupportedSaslMechanism.Code {
		t.Errorf("unknown mechanism: %d", code)
	}
	c.mustBeClosed("an unknown mechanism")

	c = dialRaw(t, addr)
	c.handshake("PLAIN", 1)
	if _, err := c.try(kmsg.NewPtrMetadataRequest(), 5); err != io.EOF {
		t.Errorf("Metadata in the middle: %v", err)
	}

	c = dialRaw(t, addr)
	c.handshake("PLAIN", 1)
	if r := c.authenticate("\x00alice\x00Wonder"); r.ErrorCode != kerr.SaslAuthenticationFailed.Code || r.ErrorMessage == nil || strings.Contains(*r.ErrorMessage, "alice") {
		t.Errorf("wrong password: %d, %v", r.ErrorCode, r.ErrorMessage)
	}
	c.mustBeClosed("a failed login")

	c = dialRaw(t, listenOn(t, b, Listener{}))
	if code := c.handshake("PLAIN", 1); code != illegal {
		t.Errorf("handshake without SASL: %d", code)
	}
}

// TestLoginAgain: KIP-368. The user and the mechanism stay; nothing else is
// served in between.
func TestLoginAgain(t *testing.T) {
	_, addr := plainListener(t, nil)
	c := dialRaw(t, addr)
	c.login("alice", "wonder")
	c.login("alice", "wonder")
	c.ask(kmsg.NewPtrMetadataRequest(), 5)

	c.handshake("PLAIN", 1)
	if r := c.authenticate("\x00root\x00toor"); r.ErrorCode != kerr.SaslAuthenticationFailed.Code {
		t.Errorf("login again as another user: %d", r.ErrorCode)
	}
	c.mustBeClosed("another user")

	c = dialRaw(t, addr)
	c.login("alice", "wonder")
	if code := c.handshake("SCRAM-SHA-256", 1); code != kerr.IllegalSaslState.Code {
		t.Errorf("login again by another mechanism: %d", code)
	}

	c = dialRaw(t, addr)
	c.login("alice", "wonder")
	c.handshake("PLAIN", 1)
	if _, err := c.try(kmsg.NewPtrMetadataRequest(), 5); err != io.EOF {
		t.Errorf("a request in the middle of a login again: %v", err)
	}
}

// pipeListener hands out connections in memory, which a fake clock works with.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func newPipeListener() *pipeListener {
	return &pipeListener{make(chan net.Conn), make(chan struct{})}
}
func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}
func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)} }
func (l *pipeListener) dial() net.Conn {
	client, server := net.Pipe()
	l.conns <- server
	return client
}

// inBubble runs f with a fake clock, a broker and a listener in memory.
func inBubble(t *testing.T, limits Limits, cfg Listener, f func(t *testing.T, b *Broker, l *pipeListener)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		if cfg.Protocol.TLS() {
			writeFile(t, fs, cfg.TLS.CertFile, newAuthority(t).issue(t, pkix.Name{CommonName: "server"}))
		}
		b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: limits})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.SetPassword("alice", "wonder"); err != nil {
			t.Fatal(err)
		}
		l := newPipeListener()
		served := make(chan error, 1)
		go func() { served <- b.ServeListener(l, cfg) }()
		f(t, b, l)
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

// TestSessionExpires: after connections.max.reauth.ms only a login is served.
func TestSessionExpires(t *testing.T) {
	limits := Limits{SessionLifetime: time.Minute}
	inBubble(t, limits, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]}, func(t *testing.T, b *Broker, l *pipeListener) {
		first := rawOver(t, l.dial())
		if err := first.nc.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		first.handshake("PLAIN", 1)
		if r := first.authenticate("\x00alice\x00wonder"); r.SessionLifetimeMillis != 60_000 {
			t.Errorf("lifetime %d ms", r.SessionLifetimeMillis)
		}
		first.ask(kmsg.NewPtrMetadataRequest(), 5)
		<-time.NewTimer(59 * time.Second).C
		first.ask(kmsg.NewPtrMetadataRequest(), 5)
		<-time.NewTimer(2 * time.Second).C
		first.login("alice", "wonder") // late, but before anything else
		first.ask(kmsg.NewPtrMetadataRequest(), 5)
		<-time.NewTimer(61 * time.Second).C
		if _, err := first.try(kmsg.NewPtrMetadataRequest(), 5); err != io.EOF {
			t.Errorf("a request after the session: %v", err)
		}
	})
}

// TestHandshakeTimeout: who does not log in in time is cut, however busy it
// looks.
func TestHandshakeTimeout(t *testing.T) {
	inBubble(t, Limits{}, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]}, func(t *testing.T, b *Broker, l *pipeListener) {
		began := time.Now()
		silent, slow, busy := l.dial(), l.dial(), rawOver(t, l.dial())
		if err := busy.nc.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		var busyPeers sync.WaitGroup
		busyPeers.Go(func() { // one byte a second, until the broker closes
			for {
				if _, err := slow.Write([]byte{0}); err != nil {
					return
				}
				<-time.NewTimer(time.Second).C
			}
		})
		busyPeers.Go(func() {
			for {
				if _, err := busy.try(kmsg.NewPtrApiVersionsRequest(), 0); err != nil {
					return
				}
				<-time.NewTimer(time.Second).C
			}
		})
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("silent: %v", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("cut after %v", d)
		}
		busyPeers.Wait()
		synctest.Wait()
		b.server.mu.Lock()
		defer b.server.mu.Unlock()
		if n := len(b.server.conns); n != 0 {
			t.Errorf("%d connections are open", n)
		}
	})
}

// TestTLSHandshakeTimeout: a TLS handshake that does not end in time is cut,
// whether nothing comes or a byte a second.
func TestTLSHandshakeTimeout(t *testing.T) {
	inBubble(t, Limits{}, Listener{Protocol: SASLSSL, TLS: TLS{CertFile: "server.pem"}}, func(t *testing.T, b *Broker, l *pipeListener) {
		began := time.Now()
		silent, slow := l.dial(), l.dial()
		var peer sync.WaitGroup
		peer.Go(func() {
			for _, c := range append([]byte{0x16, 3, 1, 2, 0}, make([]byte, 600)...) {
				if _, err := slow.Write([]byte{c}); err != nil {
					return
				}
				<-time.NewTimer(time.Second).C
			}
			t.Error("600 bytes of a slow handshake are taken")
		})
		if _, err := silent.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("silent: %v", err)
		}
		if d := time.Since(began); d != 10*time.Second {
			t.Errorf("cut after %v", d)
		}
		peer.Wait()
	})
}

// TestFailedLoginDelay: a failure is told late, so that guessing is slow.
func TestFailedLoginDelay(t *testing.T) {
	inBubble(t, Limits{}, Listener{Protocol: SASLPlaintext, Mechanisms: auth.Mechanisms[:3]}, func(t *testing.T, b *Broker, l *pipeListener) {
		c := rawOver(t, l.dial())
		c.handshake("PLAIN", 1)
		began := time.Now()
		c.authenticate("\x00alice\x00guess")
		if d := time.Since(began); d != 100*time.Millisecond {
			t.Errorf("told after %v", d)
		}
	})
}

func TestOAuthLogin(t *testing.T) {
	fs := vfs.NewMem()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	publish := func(id string) {
		set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: id}}})
		if err != nil {
			t.Fatal(err)
		}
		writeFile(t, fs, "keys.json", set)
	}
	publish("k1")
	token := func(id, audience string, expires time.Time) sasl.Mechanism {
		signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key, KeyID: id}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := jwt.Signed(signer).Claims(map[string]any{"sub": "carol", "iss": "me", "aud": audience, "exp": expires.Unix()}).Serialize()
		if err != nil {
			t.Fatal(err)
		}
		return oauth.Auth{Token: text}.AsMechanism()
	}
	b := openSecure(t, fs, func(c *Config) {
		c.Security.OAuth = &OAuth{KeySetFile: "keys.json", Issuer: "me", Audience: []string{"kafka"}}
	})
	addr := listenOn(t, b, Listener{Protocol: SASLPlaintext, Mechanisms: []auth.Mechanism{auth.OAuthBearer}})
	ctx := testCtx(t)
	cl := client(t, addr, kgo.SASL(token("k1", "kafka", time.Now().Add(time.Hour))))
	produce(t, ctx, cl, "t", "v")
	for name, m := range map[string]sasl.Mechanism{
		"expired": token("k1", "kafka", time.Now().Add(-time.Hour)), "other audience": token("k1", "web", time.Now().Add(time.Hour)),
		"unknown key": token("k2", "kafka", time.Now().Add(time.Hour)),
	} {
		if err := client(t, addr, kgo.SASL(m)).Ping(ctx); err == nil {
			t.Errorf("%s: let in", name)
		}
	}
	// A new key is found without a restart, once the pause between reads is over.
	publish("k2")
	b.tokens.mu.Lock()
	b.tokens.tried = time.Time{}
	b.tokens.mu.Unlock()
	if err := client(t, addr, kgo.SASL(token("k2", "kafka", time.Now().Add(time.Hour)))).Ping(ctx); err != nil {
		t.Errorf("after the key changed: %v", err)
	}
}

// TestTokensNeedTLS: without TLS a listener offers neither passwords nor tokens as
// they are, unless it is told to; with TLS it does.
func TestTokensNeedTLS(t *testing.T) {
	fs := vfs.NewMem()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	set, err := json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: key.Public(), KeyID: "k1"}}})
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, fs, "keys.json", set)
	var logged bytes.Buffer
	b := openSecure(t, fs, func(c *Config) {
		c.Security.OAuth = &OAuth{KeySetFile: "keys.json", Issuer: "me", Audience: []string{"kafka"}}
		c.Logger = slog.New(slog.NewTextHandler(&logged, nil))
	})
	for _, c := range []struct {
		protocol Protocol
		named    []auth.Mechanism
		want     string
		warns    bool
	}{
		{SASLPlaintext, nil, "[SCRAM-SHA-512 SCRAM-SHA-256]", true},
		{SASLPlaintext, []auth.Mechanism{auth.ScramSHA256, auth.OAuthBearer}, "[SCRAM-SHA-256 OAUTHBEARER]", false},
		{SASLSSL, nil, "[SCRAM-SHA-512 SCRAM-SHA-256 PLAIN OAUTHBEARER]", false},
	} {
		l := Listener{Name: "L", Protocol: c.protocol, Mechanisms: c.named}
		if err := b.checkMechanisms(&l); err != nil {
			t.Fatal(err)
		}
		ready := &listener{Listener: l}
		if got := fmt.Sprint(ready.offered()); got != c.want {
			t.Errorf("%s with %v offers %s", c.protocol, c.named, got)
		}
		logged.Reset()
		if ready.warn(b); strings.Contains(logged.String(), "takes none") != c.warns {
			t.Errorf("%s with %v logs %s", c.protocol, c.named, logged.String())
		}
	}
}

func TestOAuthConfig(t *testing.T) {
	for _, o := range []OAuth{{}, {KeySetFile: "a", KeySetURL: "https://b"}, {KeySetURL: "http://example.com/keys"}, {KeySetURL: "file:///etc/passwd"}, {KeySetFile: "missing"}} {
		if b, err := Open(Config{Keys: testKeys, Dir: "data", FS: vfs.NewMem(), Security: Security{OAuth: &o}}); err == nil {
			b.Close(context.Background())
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestUsersSurvive: what is stored of passwords is there after a restart, and is
// not the password.
func TestUsersSurvive(t *testing.T) {
	fs := vfs.NewMem()
	b := openSecure(t, fs, nil)
	secret := string(b.security.Secret())
	mustClose(t, b)
	again, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { again.Close(context.Background()) })
	cred, ok := again.security.Credential("alice", auth.ScramSHA512)
	if !ok || !cred.Verify("wonder") || cred.Verify("other") {
		t.Error("the credential is gone or another")
	}
	if string(again.security.Secret()) != secret {
		t.Error("the secret changed: unknown users' salts do too")
	}
	names, err := fs.List("data/wal")
	if err != nil {
		t.Fatal(err)
	}
	files := []string{"data/checkpoint"}
	for _, n := range names {
		files = append(files, "data/wal/"+n)
	}
	for _, name := range files {
		text, err := vfs.ReadFile(fs, name, 1<<30)
		if err == nil && strings.Contains(string(text), "wonder") {
			t.Errorf("%s holds the password", name)
		}
	}
}
