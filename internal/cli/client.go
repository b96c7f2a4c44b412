package cli

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/auth"
)

// kafkaClient returns an ordinary Kafka client.
func kafkaClient(to cluster, opts ...kgo.Opt) (*kgo.Client, error) {
	own, err := to.options()
	if err != nil {
		return nil, err
	}
	return kgo.NewClient(append(opts, own...)...)
}

// unreachable turns an error of a connection or of a login into one that says what
// to do, and any other answer of a broker into the form of all refusals.
func unreachable(to cluster, err error) error {
	var (
		name     *net.DNSError
		dial     *net.OpError
		unknown  x509.UnknownAuthorityError
		hostname x509.HostnameError
		invalid  x509.CertificateInvalidError
		plain    tls.RecordHeaderError
		alert    tls.AlertError
		early    *kgo.ErrFirstReadEOF
		code     *kerr.Error
		said     *refused
		shards   *kadm.ShardErrors
		token    = to.chosen() == auth.OAuthBearer
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &unknown):
		return fmt.Errorf("the certificate of %s is not trusted: give --tls-ca with the PEM file of the authority that signed it", to.addr)
	case errors.As(err, &hostname):
		return fmt.Errorf("the certificate of %s is for another name: %w", to.addr, hostname)
	case errors.As(err, &invalid):
		return fmt.Errorf("the certificate of %s is not valid: %w", to.addr, invalid)
	case errors.As(err, &plain):
		return fmt.Errorf("%s does not speak TLS: give the address of a listener that does, or leave --tls, --tls-ca and --tls-cert away", to.addr)
	case errors.As(err, &alert):
		return fmt.Errorf("%s ended the TLS handshake: %w: it may want a client certificate (--tls-cert)", to.addr, alert)
	case errors.As(err, &name) && name.IsNotFound:
		return fmt.Errorf("host %s is not known: check --bootstrap %s", name.Name, to.addr)
	case strings.Contains(err.Error(), "unable to dial") && to.encrypted() && !(errors.As(err, &dial) && dial.Op == "dial"):
		return fmt.Errorf("%s ends the TLS handshake: the listener may not speak TLS, or want a client certificate (--tls-cert)", to.addr)
	case strings.Contains(err.Error(), "unable to dial"):
		return fmt.Errorf("no Kafka listener answers at %s: start one with `millrace server`, or give --bootstrap", to.addr)
	case errors.As(err, &early) && to.encrypted():
		return fmt.Errorf("%s closes the connection: it may want a login (--user or --oauth-token-file), or a client certificate (--tls-cert)", to.addr)
	case errors.As(err, &early):
		return fmt.Errorf("%s closes the connection: it may want TLS (--tls or --tls-ca), or a login (--user or --oauth-token-file)", to.addr)
	case errors.Is(err, kerr.SaslAuthenticationFailed) && token:
		return fmt.Errorf("%s does not let the token in: it may have expired, be meant for others, or be signed with a key that the server does not have", to.addr)
	case errors.Is(err, kerr.SaslAuthenticationFailed):
		return fmt.Errorf("%s does not let %s in: wrong password, unknown user, or --sasl-mechanism %s is not the user's", to.addr, to.user, to.chosen())
	case errors.Is(err, kerr.IllegalSaslState) && token:
		return fmt.Errorf("%s asks for no login: leave --oauth-token-file away and %s unset, or give the address of a listener that does", to.addr, tokenEnv)
	case errors.Is(err, kerr.IllegalSaslState):
		return fmt.Errorf("%s asks for no login: leave --user away, or give the address of a listener that does", to.addr)
	case errors.Is(err, kerr.UnsupportedSaslMechanism) && token:
		return fmt.Errorf("%s takes no tokens: it has no keys to check them with (millrace server --oauth-jwks-file), or this listener has no TLS and was not told to (--sasl-mechanisms)", to.addr)
	case errors.Is(err, kerr.UnsupportedSaslMechanism):
		return fmt.Errorf("%s does not offer --sasl-mechanism %s: try another, PLAIN only over TLS", to.addr, to.chosen())
	case strings.HasSuffix(err.Error(), "unknown broker"):
		return errors.New("no broker has this number: leave it away, or look it up with another client")
	case !errors.As(err, &said) && errors.As(err, &code) && (err.Error() == code.Error() || errors.As(err, &shards)):
		return refusal("", err, "")
	}
	return err
}

// withAdmin runs f with a client for requests of administration.
func withAdmin(ctx context.Context, to cluster, f func(context.Context, *kadm.Client) error) error {
	return withClient(ctx, to, func(ctx context.Context, cl *kgo.Client) error { return f(ctx, kadm.NewClient(cl)) })
}

func withClient(ctx context.Context, to cluster, f func(context.Context, *kgo.Client) error) error {
	cl, err := kafkaClient(to, kgo.RequestRetries(3), kgo.RetryTimeout(clientTimeout))
	if err != nil {
		return err
	}
	defer cl.Close()
	return tellStorage(ctx, cl, unreachable(to, f(ctx, cl)), false)
}
