package broker

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// ClientAuth is ssl.client.auth: whether clients show a certificate.
type ClientAuth string

// The values of ClientAuth; empty is none.
const (
	ClientAuthNone      ClientAuth = "none"
	ClientAuthRequested ClientAuth = "requested"
	ClientAuthRequired  ClientAuth = "required"
)

// TLS says where a listener's certificates are. The files are PEM; they are read
// again when they change, without a restart.
type TLS struct {
	CertFile string // the server's certificate and what it is signed by
	KeyFile  string // its private key; default: in CertFile
	// ClientCAFile holds who may sign clients' certificates; needed unless
	// ClientAuth is none.
	ClientCAFile string
	ClientAuth   ClientAuth
	// MappingRules (ssl.principal.mapping.rules) turn the subject of a client's
	// certificate into a user name; see auth.ParseMappingRules.
	MappingRules string
}

const (
	// tlsReloadInterval is how often, at most, the files are looked at; a
	// handshake does it.
	tlsReloadInterval = 10 * time.Second
	// pemMaxBytes bounds a certificate file.
	pemMaxBytes = 4 << 20
)

// tlsSource hands out the TLS configuration of a listener, from files that may be
// replaced at any time.
type tlsSource struct {
	fs       vfs.FS
	clock    clock.Clock
	logger   *slog.Logger
	files    TLS
	mappings auth.MappingRules

	mu      sync.Mutex // a leaf lock, guards the fields below
	current *tls.Config
	stamp   string // of the files that were looked at last
	checked time.Time
}

func newTLSSource(cfg Config, name string, files TLS) (*tlsSource, error) {
	if files.CertFile == "" {
		return nil, errors.New("TLS needs a certificate file")
	}
	if files.KeyFile == "" {
		files.KeyFile = files.CertFile
	}
	switch files.ClientAuth {
	case "", ClientAuthNone:
		files.ClientAuth = ClientAuthNone
		if files.ClientCAFile != "" {
			return nil, errors.New("a client CA file has no meaning with client authentication none")
		}
	case ClientAuthRequested, ClientAuthRequired:
		if files.ClientCAFile == "" {
			return nil, fmt.Errorf("client authentication %s needs a client CA file", files.ClientAuth)
		}
	default:
		return nil, fmt.Errorf("client authentication %q: expected none, requested or required", files.ClientAuth)
	}
	mappings, err := auth.ParseMappingRules(files.MappingRules)
	if err != nil {
		return nil, err
	}
	s := &tlsSource{fs: cfg.FS, clock: cfg.Clock, logger: cfg.Logger.With("listener", name), files: files, mappings: mappings}
	if s.stamp, err = s.look(); err != nil {
		return nil, err
	}
	s.current, err = s.load()
	s.checked = s.clock.Now()
	return s, err
}

// config returns the configuration for the next handshake. Files that cannot be
// used leave the one before in force.
func (s *tlsSource) config() *tls.Config {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.clock.Now()
	if now.Sub(s.checked) < tlsReloadInterval {
		return s.current
	}
	s.checked = now
	stamp, err := s.look()
	if err != nil || stamp == s.stamp {
		if err != nil {
			s.logger.Warn("certificate files not read; the ones before stay in use", "err", err)
		}
		return s.current
	}
	next, err := s.load()
	if err != nil {
		// The stamp stays old: a certificate that comes before its key is tried
		// again when the key is there.
		s.logger.Warn("certificate files changed and cannot be used; the ones before stay in use", "err", err)
		return s.current
	}
	s.stamp, s.current = stamp, next
	s.logger.Info("certificates loaded again")
	return next
}

// look returns what changes when a file does.
func (s *tlsSource) look() (string, error) {
	var stamp bytes.Buffer
	for _, name := range []string{s.files.CertFile, s.files.KeyFile, s.files.ClientCAFile} {
		if name == "" {
			continue
		}
		info, err := s.fs.Stat(name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&stamp, "%s %d %d\n", name, info.Size(), info.ModTime().UnixNano())
	}
	return stamp.String(), nil
}

// load reads the files.
func (s *tlsSource) load() (*tls.Config, error) {
	cert, err := vfs.ReadFile(s.fs, s.files.CertFile, pemMaxBytes)
	if err != nil {
		return nil, err
	}
	key, err := vfs.ReadFile(s.fs, s.files.KeyFile, pemMaxBytes)
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s: %w", s.files.CertFile, err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, Time: s.clock.Now}
	if s.files.ClientAuth == ClientAuthNone {
		return cfg, nil
	}
	ca, err := vfs.ReadFile(s.fs, s.files.ClientCAFile, pemMaxBytes)
	if err != nil {
		return nil, err
	}
	cfg.ClientCAs = x509.NewCertPool()
	if !cfg.ClientCAs.AppendCertsFromPEM(ca) {
		return nil, fmt.Errorf("%s has no certificate", s.files.ClientCAFile)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	if s.files.ClientAuth == ClientAuthRequested {
		cfg.ClientAuth = tls.VerifyClientCertIfGiven
	}
	return cfg, nil
}

// handshake completes TLS on a connection and returns the principal of the
// client's certificate, Anonymous without one.
func (s *tlsSource) handshake(nc *tls.Conn) (principal string, err error) {
	if err := nc.Handshake(); err != nil {
		var notTLS tls.RecordHeaderError
		if errors.As(err, &notTLS) && notTLS.Conn != nil {
			return "", errors.New("a plain-text client on a TLS listener")
		}
		return "", fmt.Errorf("TLS handshake: %w", err)
	}
	state := nc.ConnectionState()
	principal = auth.Anonymous
	if len(state.VerifiedChains) > 0 {
		name, ok, err := auth.CertificateUser(state.PeerCertificates[0].RawSubject, s.mappings)
		if err != nil {
			return "", err
		}
		if ok {
			principal = auth.User(name)
		}
	}
	s.logger.Debug("TLS", "remote", nc.RemoteAddr(), "version", tls.VersionName(state.Version),
		"cipher", tls.CipherSuiteName(state.CipherSuite), "server_name", state.ServerName, "resumed", state.DidResume,
		"certificates", len(state.PeerCertificates), "principal", principal)
	return principal, nil
}
