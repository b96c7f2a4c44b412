package broker

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/auth"
)

// A connection of a SASL listener:
//
//	             SaslHandshake            SaslAuthenticate, or a bare
//	             names a mechanism        frame after version 0
//	new --------------------> exchange --------------------> logged in
//	 |  ApiVersions               |  |  one step: challenge      |
//	 |  stays here                |  +--> exchange              | SaslHandshake 1:
//	 |                            |                             | log in again
//	 +--- anything else --> closed <--- failed, after a delay   +--> exchange
//
// A login again (KIP-368) must end with the same user by the same mechanism;
// until it has, nothing else is served. When a login's time is over, the next
// request that is no login closes the connection.

// saslState is a login in progress.
type saslState struct {
	mechanism auth.Mechanism
	exchange  auth.Login // nil until SaslHandshake
	bare      bool       // messages come without Kafka's headers
}

// loginFailed is what a peer is told, whatever was wrong.
const loginFailed = "Authentication failed: invalid credentials with SASL mechanism "

// admit decides whether a request of a key may come now.
func (c *conn) admit(key int16) error {
	switch key {
	case keySASLHandshake, keySASLAuthenticate:
		return nil
	case keyApiVersions:
		if c.peer == nil {
			return nil
		}
	}
	switch {
	case c.peer == nil || c.login != nil:
		return fmt.Errorf("request for key %d before the login", key)
	case !c.peer.expires.IsZero() && !c.b.cfg.Clock.Now().Before(c.peer.expires):
		return errors.New("the session has expired")
	}
	return nil
}

// handshake chooses the mechanism. Its answer is complete; the error closes the
// connection.
func (c *conn) handshake(req *kmsg.SASLHandshakeRequest, resp *kmsg.SASLHandshakeResponse) error {
	resp.SupportedMechanisms = c.from.offered()
	again := c.peer != nil
	if !c.from.Protocol.SASL() || c.login != nil && c.login.exchange != nil || again && req.Version == 0 {
		resp.ErrorCode, resp.SupportedMechanisms = kerr.IllegalSaslState.Code, []string{}
		return fmt.Errorf("%w: SaslHandshake out of place", errDrain)
	}
	m := auth.Mechanism(req.Mechanism)
	if !slices.Contains(c.from.Mechanisms, m) {
		resp.ErrorCode = kerr.UnsupportedSaslMechanism.Code
		return fmt.Errorf("%w: SASL mechanism %.64q is not offered", errDrain, req.Mechanism)
	}
	if again && m != c.mechanism {
		resp.ErrorCode, resp.SupportedMechanisms = kerr.IllegalSaslState.Code, []string{}
		return fmt.Errorf("%w: login again by %s after %s", errDrain, m, c.mechanism)
	}
	c.login = &saslState{mechanism: m, exchange: c.b.newLogin(m), bare: req.Version == 0}
	return nil
}

// newLogin starts an exchange.
func (b *Broker) newLogin(m auth.Mechanism) auth.Login {
	switch m {
	case auth.Plain:
		return auth.NewPlain(&b.security)
	case auth.OAuthBearer:
		return auth.NewOAuth(b.tokens.verify)
	}
	return auth.NewScram(&b.security, m, rand.Text())
}

// authenticate takes one message of the exchange. Its answer is complete; the
// error closes the connection.
func (c *conn) authenticate(message []byte, resp *kmsg.SASLAuthenticateResponse) error {
	resp.SASLAuthBytes = []byte{}
	if c.login == nil || c.login.exchange == nil {
		resp.ErrorCode = kerr.IllegalSaslState.Code
		return fmt.Errorf("%w: SaslAuthenticate out of place", errDrain)
	}
	challenge, done, err := c.step(message)
	if err == nil && done {
		resp.SessionLifetimeMillis, err = c.loggedIn()
	}
	if err == nil {
		resp.SASLAuthBytes = append(resp.SASLAuthBytes, challenge...)
		return nil
	}
	timer := c.b.cfg.Clock.NewTimer(c.b.cfg.Limits.FailedLoginDelay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-c.gone:
	}
	text := loginFailed + string(c.login.mechanism)
	resp.ErrorCode, resp.ErrorMessage = kerr.SaslAuthenticationFailed.Code, &text
	return fmt.Errorf("%w: %w", errDrain, err)
}

// step runs one step of the exchange; those that hash a password wait in line.
func (c *conn) step(message []byte) (challenge []byte, done bool, err error) {
	if c.login.mechanism == auth.Plain {
		select {
		case c.b.server.hashing <- struct{}{}:
			defer func() { <-c.b.server.hashing }()
		case <-c.gone:
			return nil, false, net.ErrClosed
		}
	}
	return c.login.exchange.Step(message)
}

// loggedIn ends a login that succeeded and returns for how many milliseconds it
// is good, 0 for ever.
func (c *conn) loggedIn() (lifetimeMs int64, err error) {
	user, expires := c.login.exchange.Identity()
	now := c.b.cfg.Clock.Now()
	if d := c.b.cfg.Limits.SessionLifetime; d > 0 && (expires.IsZero() || now.Add(d).Before(expires)) {
		expires = now.Add(d)
	}
	if !expires.IsZero() {
		if lifetimeMs = expires.Sub(now).Milliseconds(); lifetimeMs <= 0 {
			return 0, errors.New("the token has expired")
		}
	}
	p := &peer{principal: auth.User(user), host: c.host, expires: expires}
	if c.peer != nil && c.peer.principal != p.principal {
		return 0, fmt.Errorf("login again as %s after %s", p.principal, c.peer.principal)
	}
	c.b.cfg.Logger.Debug("logged in", "listener", c.from.Name, "remote", c.raw.RemoteAddr(), "principal", p.principal, "mechanism", c.login.mechanism)
	c.peer, c.mechanism, c.login = p, c.login.mechanism, nil
	return lifetimeMs, nil
}

// bareLogin reads one message of a login that began with SaslHandshake 0:
//
//	 0      4
//	+------+---------+
//	| size | message |
//	+------+---------+
//
// The answer looks the same. A failure has no answer: the connection closes.
func (c *conn) bareLogin() error {
	var head [4]byte
	if _, err := io.ReadFull(c.r, head[:]); err != nil {
		return err
	}
	size := int32(binary.BigEndian.Uint32(head[:]))
	if size < 0 || int(size) > c.b.cfg.Limits.LoginMaxBytes {
		return fmt.Errorf("login message of %d bytes: limit is %d", size, c.b.cfg.Limits.LoginMaxBytes)
	}
	message, err := c.readBody(int(size), false)
	if err != nil {
		return err
	}
	rq := &request{c: c, bare: true, key: keySASLAuthenticate, size: int64(size) + frameMinBytes, ready: make(chan kmsg.Response, 1)}
	c.enqueue(rq)
	resp := kmsg.NewPtrSASLAuthenticateResponse()
	if err := c.authenticate(message, resp); err != nil {
		rq.reply(nil)
		return err
	}
	rq.reply(resp)
	return nil
}

// OAuth says which tokens OAUTHBEARER takes. The keys come from a file or from
// one fixed address, never from what a token says.
type OAuth struct {
	// KeySetFile or KeySetURL (sasl.oauthbearer.jwks.endpoint.url) is where the
	// JSON Web Key Set is; the URL must be https, or name this machine.
	KeySetFile, KeySetURL string
	// Issuer (sasl.oauthbearer.expected.issuer): what iss must be.
	Issuer string
	// Audience (sasl.oauthbearer.expected.audience): what aud must hold one of.
	Audience []string
	// UserClaim (sasl.oauthbearer.sub.claim.name) names the user; default sub.
	UserClaim string
	// Skew (sasl.oauthbearer.clock.skew.seconds) is tolerated in times. Default
	// 30 s.
	Skew time.Duration
}
