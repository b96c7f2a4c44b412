package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/engine"
)

// bootstrapPasswordEnv holds the first user's password when no file does.
const bootstrapPasswordEnv = "MILLRACE_BOOTSTRAP_PASSWORD"

// securityOptions are the flags of `millrace server` that say who may connect
// and what they may do.
type securityOptions struct {
	listeners     []string
	allowInsecure bool
	tls           broker.TLS
	clientAuth    string
	mechanisms    []string

	bootstrapUser, bootstrapPasswordFile string
	authorize                            string
	superUsers                           []string
	allowEveryone                        bool
	oauth                                broker.OAuth

	maxConnections, maxPerIP int
	sessionLifetime          time.Duration
}

func addSecurityFlags(f *pflag.FlagSet, o *securityOptions) {
	f.StringArrayVar(&o.listeners, "listener", nil, "Kafka listener `[NAME=]PROTOCOL://HOST:PORT[@ADVERTISED-HOST:PORT]` instead of --kafka, may be repeated; PROTOCOL is PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL")
	f.BoolVar(&o.allowInsecure, "allow-insecure-listener", false, "let a listener without a login have an address that other machines reach; HTTP has none")
	f.StringVar(&o.tls.CertFile, "tls-cert", "", "PEM `file` of the server's certificate chain, read again when it changes, which is looked for every 10 s at most when a client connects")
	f.StringVar(&o.tls.KeyFile, "tls-key", "", "PEM `file` of its key, default: in --tls-cert")
	f.StringVar(&o.tls.ClientCAFile, "tls-client-ca", "", "PEM `file` of who may sign clients' certificates")
	f.StringVar(&o.clientAuth, "tls-client-auth", "none", "whether clients show a certificate: none, requested or required")
	f.StringVar(&o.tls.MappingRules, "tls-principal-mapping", "", "rules that make users of certificate subjects: RULE:regex/replacement/[LU],DEFAULT")
	f.StringSliceVar(&o.mechanisms, "sasl-mechanisms", nil, "mechanisms of SASL listeners, default SCRAM-SHA-512,SCRAM-SHA-256, and with TLS PLAIN, and OAUTHBEARER with a key set")
	f.StringVar(&o.bootstrapUser, "bootstrap-user", "", "first user, a super user; created with the password of --bootstrap-password-file or "+bootstrapPasswordEnv+" when it does not exist")
	f.StringVar(&o.bootstrapPasswordFile, "bootstrap-password-file", "", "file with the first user's password")
	f.StringVar(&o.authorize, "authorize", "auto", "check access control lists: on, off or auto (on when a listener asks for a login)")
	f.StringArrayVar(&o.superUsers, "super-user", nil, "principal that may do everything, like User:admin, may be repeated")
	f.BoolVar(&o.allowEveryone, "allow-everyone-if-no-acl-found", false, "resources without any rule are open to everybody")
	f.StringVar(&o.oauth.KeySetFile, "oauth-jwks-file", "", "file with the keys that OAUTHBEARER tokens are signed with")
	f.StringVar(&o.oauth.KeySetURL, "oauth-jwks-url", "", "https address of these keys")
	f.StringVar(&o.oauth.Issuer, "oauth-issuer", "", "what a token's iss must be")
	f.StringSliceVar(&o.oauth.Audience, "oauth-audience", nil, "what a token's aud must hold one of")
	f.StringVar(&o.oauth.UserClaim, "oauth-user-claim", "sub", "claim that names the user")
	f.IntVar(&o.maxConnections, "max-connections", 0, "open Kafka connections, default 10000")
	f.IntVar(&o.maxPerIP, "max-connections-per-ip", 0, "open Kafka connections of one address, default as many as --max-connections")
	f.DurationVar(&o.sessionLifetime, "connections-max-reauth", 0, "how long a login is good, 0 for ever")
}

// kafkaListener is one listener to be opened.
type kafkaListener struct {
	addr string
	cfg  broker.Listener
}

// parse reads the listeners; without any, plain is the address of the only one.
func (o securityOptions) parse(plain string) ([]kafkaListener, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if len(o.listeners) == 0 {
		if err := o.idle(false, false); err != nil {
			return nil, err
		}
		return []kafkaListener{{plain, broker.Listener{AllowInsecure: o.allowInsecure}}}, nil
	}
	var list []kafkaListener
	names := map[string]bool{}
	encrypted, login := false, false
	for _, text := range o.listeners {
		l, addr, err := broker.ParseListener(text)
		if err != nil {
			return nil, fmt.Errorf("--listener: %w", err)
		}
		if names[l.Name] {
			return nil, fmt.Errorf("--listener: two listeners are called %s: give each a name in front of %s://", l.Name, l.Protocol)
		}
		names[l.Name] = true
		l.AllowInsecure = o.allowInsecure
		if l.Protocol.TLS() {
			l.TLS, encrypted = o.tls, true
			l.TLS.ClientAuth = broker.ClientAuth(o.clientAuth)
		}
		if l.Protocol.SASL() {
			login = true
			for _, m := range o.mechanisms {
				l.Mechanisms = append(l.Mechanisms, auth.Mechanism(m))
			}
		}
		list = append(list, kafkaListener{addr, l})
	}
	return list, o.idle(encrypted, login)
}

// idle refuses flags that no listener makes use of.
func (o securityOptions) idle(encrypted, login bool) error {
	for _, f := range []struct {
		flag         string
		given, heeds bool
		kind         string
	}{
		{"tls-cert", o.tls.CertFile != "", encrypted, "SSL or SASL_SSL"},
		{"tls-key", o.tls.KeyFile != "", encrypted, "SSL or SASL_SSL"},
		{"tls-client-ca", o.tls.ClientCAFile != "", encrypted, "SSL or SASL_SSL"},
		{"tls-client-auth", o.clientAuth != "" && o.clientAuth != string(broker.ClientAuthNone), encrypted, "SSL or SASL_SSL"},
		{"tls-principal-mapping", o.tls.MappingRules != "", encrypted, "SSL or SASL_SSL"},
		{"sasl-mechanisms", len(o.mechanisms) > 0, login, "SASL_PLAINTEXT or SASL_SSL"},
		{"connections-max-reauth", o.sessionLifetime > 0, login, "SASL_PLAINTEXT or SASL_SSL"},
		{"oauth-jwks-file", o.oauth.KeySetFile != "", login, "SASL_PLAINTEXT or SASL_SSL"},
		{"oauth-jwks-url", o.oauth.KeySetURL != "", login, "SASL_PLAINTEXT or SASL_SSL"},
	} {
		if f.given && !f.heeds {
			return fmt.Errorf("--%s has no meaning: no --listener is %s", f.flag, f.kind)
		}
	}
	return nil
}

// check refuses values that mean nothing.
func (o securityOptions) check() error {
	switch {
	case o.maxConnections < 0:
		return fmt.Errorf("--max-connections %d: expected a number from 1 on, or 0 for the default", o.maxConnections)
	case o.maxPerIP < 0:
		return fmt.Errorf("--max-connections-per-ip %d: expected a number from 1 on, or 0 for the default", o.maxPerIP)
	case o.sessionLifetime < 0:
		return fmt.Errorf("--connections-max-reauth %s: expected a duration, or 0 for ever", o.sessionLifetime)
	case o.clientAuth != "" && !slices.Contains(clientAuths, o.clientAuth):
		return fmt.Errorf("--tls-client-auth %s: expected %s", o.clientAuth, strings.Join(clientAuths, ", "))
	case o.bootstrapPasswordFile != "" && o.bootstrapUser == "":
		return errors.New("--bootstrap-password-file needs --bootstrap-user: whose password is it?")
	case (o.oauth.Issuer != "" || len(o.oauth.Audience) > 0) && o.oauth.KeySetFile == "" && o.oauth.KeySetURL == "":
		return errors.New("--oauth-issuer and --oauth-audience need --oauth-jwks-file or --oauth-jwks-url")
	}
	return nil
}

// clientAuths are the values of --tls-client-auth.
var clientAuths = []string{string(broker.ClientAuthNone), string(broker.ClientAuthRequested), string(broker.ClientAuthRequired)}

// checkHTTP refuses an HTTP address that other machines reach: whoever connects
// may run any statement, and no access rule stops them.
func (o securityOptions) checkHTTP(l net.Listener, logger *slog.Logger) error {
	addr, ok := l.Addr().(*net.TCPAddr)
	switch {
	case !ok || addr.IP.IsLoopback():
		return nil
	case !o.allowInsecure:
		return fmt.Errorf("--http %s: other machines reach this address, and HTTP asks for no login: give a loopback address, or --allow-insecure-listener when something in front of it does", addr)
	}
	logger.Warn("the HTTP listener has no login: whoever reaches it may run any statement", "address", addr.String())
	return nil
}

// configure fills in the broker's configuration.
func (o securityOptions) configure(cfg *broker.Config, listeners []kafkaListener) error {
	asks := false
	for _, l := range listeners {
		asks = asks || l.cfg.Protocol.SASL() || l.cfg.TLS.ClientAuth == broker.ClientAuthRequired
	}
	switch o.authorize {
	case "on", "off", "auto", "":
	default:
		return fmt.Errorf("--authorize %s: expected on, off or auto", o.authorize)
	}
	s := &cfg.Security
	s.Authorize = o.authorize == "on" || o.authorize != "off" && asks
	s.AllowEveryoneIfNoACL = o.allowEveryone
	for _, p := range o.superUsers {
		if name, ok := auth.UserName(p); !ok || name == "" {
			return fmt.Errorf("--super-user %s: expected User:NAME", p)
		}
		s.SuperUsers = append(s.SuperUsers, p)
	}
	if !s.Authorize && o.authorize != "off" && (o.allowEveryone || len(o.superUsers) > 0) {
		return errors.New("--super-user and --allow-everyone-if-no-acl-found have no meaning: no listener asks who a client is, so no rules are checked (--authorize on)")
	}
	if o.bootstrapUser != "" {
		s.SuperUsers = append(s.SuperUsers, auth.User(o.bootstrapUser))
	}
	if o.oauth.KeySetFile != "" || o.oauth.KeySetURL != "" {
		oauth := o.oauth
		s.OAuth = &oauth
	}
	cfg.Limits.MaxConnections, cfg.Limits.MaxConnectionsPerIP = o.maxConnections, o.maxPerIP
	cfg.Limits.SessionLifetime = o.sessionLifetime
	return nil
}

// firstUser creates the bootstrap user unless it exists: a password that was
// changed since stays as it is.
func (o securityOptions) firstUser(e *engine.Engine) error {
	if o.bootstrapUser == "" || e.HasUser(o.bootstrapUser) {
		return nil
	}
	password, err := readPassword(o.bootstrapPasswordFile, bootstrapPasswordEnv)
	if err != nil {
		return fmt.Errorf("--bootstrap-user %s: %w", o.bootstrapUser, err)
	}
	if err := e.SetPassword(o.bootstrapUser, password); err != nil {
		return fmt.Errorf("--bootstrap-user %s: %w", o.bootstrapUser, err)
	}
	return nil
}

// openListener opens a listener's socket. anyPort replaces a port in use by a
// free one.
func openListener(addr string, anyPort bool) (net.Listener, error) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return nil, fmt.Errorf("listen on %s: expected HOST:PORT", addr)
	}
	l, err := net.Listen("tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		host, _, splitErr := net.SplitHostPort(addr)
		if anyPort && splitErr == nil {
			return net.Listen("tcp", net.JoinHostPort(host, "0"))
		}
		return nil, fmt.Errorf("%s is in use by another process: give another address, port 0 for a free one", addr)
	}
	return l, err
}

// openListeners opens all sockets or none, and prints their addresses as one
// text: the first as it is, others with their names.
func openListeners(list []kafkaListener, anyPort bool) (open []net.Listener, addrs string, err error) {
	var texts []string
	for _, k := range list {
		l, err := openListener(k.addr, anyPort)
		if err != nil {
			for _, o := range open {
				err = errors.Join(err, o.Close())
			}
			return nil, "", err
		}
		open = append(open, l)
		texts = append(texts, l.Addr().String())
	}
	return open, strings.Join(texts, ","), nil
}
