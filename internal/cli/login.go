package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"github.com/millrace/millrace/broker/auth"
)

// passwordEnv is where a command looks for a password that no file is given for.
// A password is never a flag: other users see command lines.
const passwordEnv = "MILLRACE_PASSWORD"

// cluster is where a command's Kafka client connects and who it is there.
type cluster struct {
	addr               string
	mechanism          string // as given: "" is what login makes of the rest
	user, passwordFile string
	tokenFile          string
	tls                bool
	ca, cert, key      string
}

// clusterFlags adds the flags of commands that are Kafka clients.
func clusterFlags(c *cobra.Command, to *cluster) {
	f := c.PersistentFlags()
	f.StringVar(&to.addr, "bootstrap", DefaultKafkaAddr, "addresses of the Kafka listener: HOST:PORT,...")
	f.StringVar(&to.user, "user", "", "log in as this user; the password comes from --password-file or "+passwordEnv)
	f.StringVar(&to.passwordFile, "password-file", "", "file with the password")
	f.StringVar(&to.tokenFile, "oauth-token-file", "", "log in with the OAuth token in this `file`, read again for every login; without it and without --user, with that of "+tokenEnv)
	f.StringVar(&to.mechanism, "sasl-mechanism", "", "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER, default SCRAM-SHA-512 with --user and OAUTHBEARER with a token")
	f.BoolVar(&to.tls, "tls", false, "use TLS with the system's authorities")
	f.StringVar(&to.ca, "tls-ca", "", "PEM `file` of the authorities to trust; implies --tls")
	f.StringVar(&to.cert, "tls-cert", "", "PEM `file` of the client's certificate; implies --tls")
	f.StringVar(&to.key, "tls-key", "", "PEM `file` of the certificate's key, default: in --tls-cert")
	c.PersistentPreRunE = refuseEmpty
	completeFlag(c, "sasl-mechanism", completeValues(mechanisms...))
}

// refuseEmpty refuses flags that are given and empty, as an unset variable of a
// script makes them: it would be as if they were not there, and a deletion or a
// list would be of more than was meant.
func refuseEmpty(c *cobra.Command, _ []string) (err error) {
	c.Flags().Visit(func(f *pflag.Flag) {
		list, isList := f.Value.(pflag.SliceValue)
		if err == nil && (f.Value.String() == "" || isList && len(list.GetSlice()) == 0) {
			err = fmt.Errorf("--%s is empty (%s --help)", f.Name, c.CommandPath())
		}
	})
	return err
}

// readPassword returns the password of a file, or of the environment when there
// is none.
func readPassword(file, env string) (string, error) {
	if file == "" {
		password := os.Getenv(env)
		if password == "" {
			return "", fmt.Errorf("no password: give a password file or set %s", env)
		}
		return password, nil
	}
	text, err := readFile(file)
	if err != nil {
		return "", err
	}
	if text = strings.TrimRight(text, "\r\n"); text == "" {
		return "", fmt.Errorf("%s is empty: expected a password", file)
	}
	return text, nil
}

// options returns what a client needs to connect and log in.
func (to cluster) options() ([]kgo.Opt, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	opts := []kgo.Opt{kgo.SeedBrokers(strings.Split(to.addr, ",")...), kgo.ClientID("millrace-cli")}
	if to.encrypted() {
		cfg, err := to.tlsConfig()
		if err != nil {
			return nil, err
		}
		opts = append(opts, kgo.DialTLSConfig(cfg))
	}
	login, err := to.login()
	if err != nil || login == nil {
		return opts, err
	}
	return append(opts, kgo.SASL(login)), nil
}

// login returns how the client says who it is, nil when it does not.
func (to cluster) login() (sasl.Mechanism, error) {
	switch to.chosen() {
	case "":
		return nil, nil
	case auth.OAuthBearer:
		_, err := readToken(to.tokenFile) // what is wrong with it is told before anything is sent
		return bearer{to.tokenFile}, err
	}
	password, err := readPassword(to.passwordFile, passwordEnv)
	if err != nil {
		return nil, err
	}
	switch to.chosen() {
	case auth.Plain:
		return plain.Auth{User: to.user, Pass: password}.AsMechanism(), nil
	case auth.ScramSHA256:
		return scram.Auth{User: to.user, Pass: password}.AsSha256Mechanism(), nil
	}
	return scram.Auth{User: to.user, Pass: password}.AsSha512Mechanism(), nil
}

// chosen returns the mechanism that is given or follows from what is: a user has
// a password, and a token says who its user is. Without either it is empty.
func (to cluster) chosen() auth.Mechanism {
	switch {
	case to.mechanism != "":
		return auth.Mechanism(to.mechanism)
	case to.user != "":
		return auth.ScramSHA512
	case to.tokenFile != "" || os.Getenv(tokenEnv) != "":
		return auth.OAuthBearer
	}
	return ""
}

// mechanisms are the values of --sasl-mechanism and of the server's --sasl-mechanisms.
var mechanisms = []string{string(auth.Plain), string(auth.ScramSHA256), string(auth.ScramSHA512), string(auth.OAuthBearer)}

// encrypted reports whether the client speaks TLS.
func (to cluster) encrypted() bool { return to.tls || to.ca != "" || to.cert != "" }

// check refuses values that mean nothing and flags that would be ignored.
func (to cluster) check() error {
	for _, addr := range strings.Split(to.addr, ",") {
		host, port, err := net.SplitHostPort(addr)
		if err == nil {
			_, err = strconv.ParseUint(port, 10, 16)
		}
		if err != nil || host == "" {
			return fmt.Errorf("--bootstrap %s: expected HOST:PORT, like %s", addr, DefaultKafkaAddr)
		}
	}
	if to.cert == "" && to.key != "" {
		return errors.New("--tls-key needs --tls-cert: which certificate is it the key of?")
	}
	return to.checkLogin()
}

// checkLogin refuses what does not make one login.
func (to cluster) checkLogin() error {
	token := to.chosen() == auth.OAuthBearer
	switch {
	case to.mechanism != "" && !slices.Contains(mechanisms, to.mechanism):
		return fmt.Errorf("--sasl-mechanism %s: expected %s", to.mechanism, strings.Join(mechanisms, ", "))
	case to.tokenFile != "" && to.user != "":
		return errors.New("--oauth-token-file and --user exclude one another: the token says who its user is")
	case to.tokenFile != "" && !token:
		return fmt.Errorf("--oauth-token-file has no meaning with --sasl-mechanism %s, which takes a password", to.mechanism)
	case token && to.user != "":
		return errors.New("--user has no meaning with --sasl-mechanism OAUTHBEARER: the token says who its user is")
	case token && to.passwordFile != "":
		return errors.New("--password-file has no meaning with a token, which needs no password: leave it or the token away")
	case to.user == "" && to.passwordFile != "":
		return errors.New("--password-file needs --user: whose password is it?")
	case to.user == "" && to.mechanism != "" && !token:
		return fmt.Errorf("--sasl-mechanism %s needs --user: who logs in?", to.mechanism)
	}
	return nil
}

func (to cluster) tlsConfig() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12}
	if to.ca != "" {
		text, err := readFile(to.ca)
		if err != nil {
			return nil, err
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM([]byte(text)) {
			return nil, fmt.Errorf("--tls-ca %s has no certificate", to.ca)
		}
	}
	if to.cert == "" {
		return cfg, nil
	}
	key := to.key
	if key == "" {
		key = to.cert
	}
	pair, err := tls.LoadX509KeyPair(to.cert, key)
	if err != nil {
		return nil, fmt.Errorf("--tls-cert: %w", err)
	}
	cfg.Certificates = []tls.Certificate{pair}
	return cfg, nil
}
