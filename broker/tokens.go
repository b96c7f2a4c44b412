package broker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/millrace/millrace/broker/auth"
	"github.com/millrace/millrace/internal/vfs"
)

const (
	// keySetMaxBytes bounds a key set.
	keySetMaxBytes = 1 << 20
	// keySetTimeout bounds the fetch of a key set.
	keySetTimeout = 10 * time.Second
	// keySetMaxAge is how old a key set may be before it is read again.
	keySetMaxAge = time.Hour
	// keySetRetry is the least pause between two reads, whatever tokens come.
	keySetRetry = 10 * time.Second
)

// tokens verifies OAUTHBEARER tokens with keys that are read again when they are
// old or when a token names a key that is not among them.
type tokens struct {
	b     *Broker
	rules auth.TokenRules
	http  *http.Client

	mu      sync.Mutex // a leaf lock, guards the fields below
	keys    auth.KeySet
	read    time.Time // when keys were read
	tried   time.Time // when that was tried last
	loading bool      // one login is reading them; the others do not wait for it
}

// init checks the configuration and reads the keys: a broker that cannot verify
// tokens does not start.
func (t *tokens) init(b *Broker) error {
	cfg := b.cfg.Security.OAuth
	t.b = b
	if cfg == nil {
		return nil
	}
	if (cfg.KeySetFile == "") == (cfg.KeySetURL == "") {
		return fmt.Errorf("%w: OAUTHBEARER needs a key set file or a key set URL", ErrInvalid)
	}
	if cfg.KeySetURL != "" {
		if err := checkKeySetURL(cfg.KeySetURL); err != nil {
			return err
		}
	}
	if cfg.Issuer == "" || len(cfg.Audience) == 0 {
		b.cfg.Logger.Warn("OAUTHBEARER without an expected issuer and audience: tokens that were made for others are taken")
	}
	t.rules = auth.TokenRules{Issuer: cfg.Issuer, Audience: cfg.Audience, UserClaim: cfg.UserClaim, Skew: cfg.Skew}
	orDefault(&t.rules.Skew, 30*time.Second)
	t.http = &http.Client{Timeout: keySetTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return errors.New("redirects are not followed")
	}}
	return t.load(b.cfg.Clock.Now())
}

// checkKeySetURL refuses addresses whose answer others could change.
func checkKeySetURL(text string) error {
	u, err := url.Parse(text)
	if err != nil {
		return fmt.Errorf("%w: key set URL: %w", ErrInvalid, err)
	}
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	if u.Scheme != "https" && !(u.Scheme == "http" && local) || u.Host == "" {
		return fmt.Errorf("%w: key set URL %s: expected https", ErrInvalid, u.Redacted())
	}
	return nil
}

// verify checks a token.
func (t *tokens) verify(token string) (user string, expires time.Time, err error) {
	now := t.b.cfg.Clock.Now()
	return auth.VerifyToken(token, func(id string) auth.KeySet { return t.current(id, now) }, t.rules, now)
}

// current returns the keys, read again when that is due.
func (t *tokens) current(id string, now time.Time) auth.KeySet {
	t.mu.Lock()
	due := now.Sub(t.read) > keySetMaxAge || id != "" && !t.keys.Has(id)
	if !due || t.loading || now.Sub(t.tried) < keySetRetry {
		defer t.mu.Unlock()
		return t.keys
	}
	t.loading, t.tried = true, now
	t.mu.Unlock()
	err := t.load(now)
	if err != nil {
		t.b.cfg.Logger.Warn("key set not read; the one before stays in use", "err", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.loading = false
	return t.keys
}

// load reads the keys.
func (t *tokens) load(now time.Time) error {
	text, err := t.fetch()
	if err != nil {
		return fmt.Errorf("read key set: %w", err)
	}
	keys, err := auth.ParseKeySet(text)
	if err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.keys, t.read, t.tried = keys, now, now
	return nil
}

func (t *tokens) fetch() (text []byte, err error) {
	cfg := t.b.cfg.Security.OAuth
	if cfg.KeySetFile != "" {
		return vfs.ReadFile(t.b.cfg.FS, cfg.KeySetFile, keySetMaxBytes)
	}
	ctx, cancel := context.WithTimeout(context.Background(), keySetTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cfg.KeySetURL, nil)
	if err != nil {
		return nil, err
	}
	resp, err := t.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, resp.Body.Close()) }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s", cfg.KeySetURL, resp.Status)
	}
	if text, err = io.ReadAll(io.LimitReader(resp.Body, keySetMaxBytes+1)); err == nil && len(text) > keySetMaxBytes {
		err = fmt.Errorf("larger than %d bytes", keySetMaxBytes)
	}
	return text, err
}
