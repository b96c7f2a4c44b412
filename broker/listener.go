package broker

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/millrace/millrace/broker/auth"
)

// Protocol is what a listener speaks below the Kafka protocol, by Kafka's name.
type Protocol string

// The protocols.
const (
	Plaintext     Protocol = "PLAINTEXT"
	SSL           Protocol = "SSL"
	SASLPlaintext Protocol = "SASL_PLAINTEXT"
	SASLSSL       Protocol = "SASL_SSL"
)

// ParseProtocol returns a protocol by its name.
func ParseProtocol(name string) (Protocol, error) {
	p := Protocol(name)
	if !slices.Contains([]Protocol{Plaintext, SSL, SASLPlaintext, SASLSSL}, p) {
		return "", fmt.Errorf("listener protocol %q: expected PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL", name)
	}
	return p, nil
}

// TLS reports whether the protocol is encrypted.
func (p Protocol) TLS() bool { return p == SSL || p == SASLSSL }

// SASL reports whether the protocol asks for a login.
func (p Protocol) SASL() bool { return p == SASLPlaintext || p == SASLSSL }

// Listener says how connections of one address are served.
type Listener struct {
	// Name is how logs call it; default: the protocol.
	Name string
	// Protocol has the default Plaintext.
	Protocol Protocol
	// AdvertisedHost and AdvertisedPort are what Metadata tells clients of this
	// listener. When the host is empty, clients are told the address that they
	// came in on.
	AdvertisedHost string
	AdvertisedPort int32
	// TLS is needed by SSL and SASLSSL.
	TLS TLS
	// Mechanisms (sasl.enabled.mechanisms) are offered to clients that log in.
	// Default: both SCRAM ones, and, when the listener is encrypted, PLAIN, and
	// OAUTHBEARER with Security.OAuth. Without encryption these two, whose password
	// or token whoever listens can use, must be named here.
	Mechanisms []auth.Mechanism
	// AllowInsecure lets a listener without a login have an address that other
	// machines can reach.
	AllowInsecure bool
}

// ErrInsecure: the listener would let anybody in.
var ErrInsecure = errors.New("broker: listener without a login on an address that other machines can reach")

// listener is a Listener that is ready for connections.
type listener struct {
	Listener
	tls  *tlsSource // nil without TLS
	open bool       // to everybody, on an address that other machines reach
}

// warn logs what an operator should think about twice.
func (l *listener) warn(b *Broker) {
	if l.open {
		b.cfg.Logger.Warn("everybody who reaches this listener may use the broker", "listener", l.Name)
	}
	if !l.Protocol.TLS() && slices.Contains(l.Mechanisms, auth.Plain) {
		b.cfg.Logger.Warn("PLAIN without TLS: passwords can be read on the network", "listener", l.Name)
	}
	if l.Protocol == SASLPlaintext && b.cfg.Security.OAuth != nil && !slices.Contains(l.Mechanisms, auth.OAuthBearer) {
		b.cfg.Logger.Warn("there is a key set for tokens, but this listener has no TLS and takes none: name OAUTHBEARER in its mechanisms if it should", "listener", l.Name)
	}
	if !l.Protocol.TLS() && slices.Contains(l.Mechanisms, auth.OAuthBearer) {
		b.cfg.Logger.Warn("OAUTHBEARER without TLS: tokens can be read on the network, and used by whoever reads them", "listener", l.Name)
	}
}

// login reports whether peers must say who they are.
func (l Listener) login() bool {
	return l.Protocol.SASL() || l.Protocol.TLS() && l.TLS.ClientAuth == ClientAuthRequired
}

// newListener checks what a listener at addr is to be.
func (b *Broker) newListener(l Listener, addr net.Addr) (*listener, error) {
	if l.Protocol == "" {
		l.Protocol = Plaintext
	}
	if _, err := ParseProtocol(string(l.Protocol)); err != nil {
		return nil, err
	}
	if l.Name == "" {
		l.Name = string(l.Protocol)
	}
	tcp, isTCP := addr.(*net.TCPAddr)
	open := !l.login() && isTCP && !tcp.IP.IsLoopback()
	if open && !l.AllowInsecure {
		return nil, fmt.Errorf("%w: %s at %s: use SASL_SSL, or require client certificates", ErrInsecure, l.Name, addr)
	}
	if err := b.checkMechanisms(&l); err != nil {
		return nil, err
	}
	ready := &listener{Listener: l, open: open}
	if l.Protocol.TLS() {
		var err error
		if ready.tls, err = newTLSSource(b.cfg, l.Name, l.TLS); err != nil {
			return nil, fmt.Errorf("listener %s: %w", l.Name, err)
		}
	} else if l.TLS.CertFile != "" {
		return nil, fmt.Errorf("listener %s: a certificate has no meaning with %s", l.Name, l.Protocol)
	}
	return ready, nil
}

// checkMechanisms fills in the default mechanisms and refuses impossible ones.
func (b *Broker) checkMechanisms(l *Listener) error {
	if !l.Protocol.SASL() {
		if len(l.Mechanisms) > 0 {
			return fmt.Errorf("listener %s: SASL mechanisms have no meaning with %s", l.Name, l.Protocol)
		}
		return nil
	}
	if len(l.Mechanisms) == 0 {
		l.Mechanisms = []auth.Mechanism{auth.ScramSHA512, auth.ScramSHA256}
		if l.Protocol.TLS() {
			l.Mechanisms = append(l.Mechanisms, auth.Plain)
			if b.cfg.Security.OAuth != nil {
				l.Mechanisms = append(l.Mechanisms, auth.OAuthBearer)
			}
		}
	}
	for _, m := range l.Mechanisms {
		if _, err := auth.ParseMechanism(string(m)); err != nil {
			return fmt.Errorf("listener %s: %w", l.Name, err)
		}
		if m == auth.OAuthBearer && b.cfg.Security.OAuth == nil {
			return fmt.Errorf("listener %s: OAUTHBEARER needs a key set", l.Name)
		}
	}
	return nil
}

// offered returns the mechanisms' names as SaslHandshake lists them.
func (l *listener) offered() []string {
	names := make([]string, len(l.Mechanisms))
	for i, m := range l.Mechanisms {
		names[i] = string(m)
	}
	return names
}

// ParseListener reads one listener as the command line has it, and its address:
//
//	[NAME=]PROTOCOL://HOST:PORT[@ADVERTISED-HOST:PORT]
//
// Without a name the protocol is the name.
func ParseListener(text string) (l Listener, addr string, err error) {
	bad := func(why string) error {
		return fmt.Errorf("listener %q: %s: expected [NAME=]PROTOCOL://HOST:PORT[@ADVERTISED-HOST:PORT]", text, why)
	}
	protocol, rest, ok := strings.Cut(text, "://")
	if !ok {
		return l, "", bad("no ://")
	}
	if name, p, named := strings.Cut(protocol, "="); named {
		if l.Name, protocol = name, p; name == "" {
			return l, "", bad("empty name")
		}
	}
	if l.Protocol, err = ParseProtocol(protocol); err != nil {
		return l, "", err
	}
	if l.Name == "" {
		l.Name = protocol
	}
	addr, advertised, isAdvertised := strings.Cut(rest, "@")
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return l, "", bad(err.Error())
	}
	if isAdvertised {
		host, port, err := net.SplitHostPort(advertised)
		number, portErr := net.LookupPort("tcp", port)
		if err != nil || host == "" || portErr != nil || number == 0 {
			return l, "", bad("bad advertised address")
		}
		l.AdvertisedHost, l.AdvertisedPort = host, int32(number)
	}
	return l, addr, nil
}
