package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/millrace/millrace/internal/clock"
)

// Limits of a client.
const (
	// RequestTimeout bounds one request, from the connection to the last byte of
	// the answer.
	RequestTimeout = 5 * time.Second
	// MaxResponseBytes bounds an answer. JSON escapes may double a schema's text.
	MaxResponseBytes = 4 * MaxSchemaBytes
	// MaxCachedBytes bounds the text of the schemas that are kept by id. When they
	// are more, all are dropped and fetched again as needed.
	MaxCachedBytes = 64 << 20
	// MissingFor is how long an id that the registry does not know is not asked for
	// again: a topic of foreign bytes must not cost a request a record.
	MissingFor = time.Second
	// maxMissing bounds the ids that are remembered as missing.
	maxMissing = 10_000
)

// latestVersion is how the protocol's client calls the last version.
const latestVersion = -1

// ClientConfig says where an external registry is.
type ClientConfig struct {
	// URL is http://HOST:PORT or https://HOST:PORT, with a path if the registry
	// stands under one, and without credentials: it is logged and shown.
	URL string
	// User and Password are sent as basic authentication unless User is empty.
	User, Password string
	Timeout        time.Duration // of one request; 0 is RequestTimeout
	Clock          clock.Clock   // nil is the system's
}

// Client asks a registry that speaks the HTTP protocol of Confluent's Schema
// Registry. Its methods return the errors that those of Registry do, and
// ErrUnavailable when there is no answer that the protocol knows. They may be
// called concurrently; each may take as long as the timeout.
type Client struct {
	url   string
	api   *sr.Client
	clock clock.Clock

	mu      sync.RWMutex // guards what follows; taken by leaves only
	schemas map[int32]Schema
	bytes   int // of the text of schemas
	missing map[int32]time.Time
}

// NewClient returns a client. It does not connect: a registry may come up after
// those who use it.
func NewClient(cfg ClientConfig) (*Client, error) {
	if cfg.URL == "" {
		return nil, errors.New("registry: a client needs a URL")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = RequestTimeout
	}
	if cfg.Clock == nil {
		cfg.Clock = clock.System
	}
	opts := []sr.ClientOpt{
		sr.URLs(cfg.URL), sr.UserAgent("millrace"),
		sr.HTTPClient(&http.Client{Timeout: cfg.Timeout, Transport: boundedTransport{http.DefaultTransport}}),
	}
	if cfg.User != "" {
		opts = append(opts, sr.BasicAuth(cfg.User, cfg.Password))
	}
	api, err := sr.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	return &Client{url: cfg.URL, api: api, clock: cfg.Clock, schemas: map[int32]Schema{}, missing: map[int32]time.Time{}}, nil
}

// URL is where the registry is, without credentials.
func (c *Client) URL() string { return c.url }

// ByID returns the schema with an id: ErrSchema when there is none. What an id
// names never changes, so answers are kept.
func (c *Client) ByID(id int32) (Schema, error) {
	if s, known, err := c.cached(id); known {
		return s, err
	}
	got, err := c.api.SchemaByID(context.Background(), int(id))
	if err != nil {
		err = c.fail(err)
		if errors.Is(err, ErrSchema) {
			c.keepMissing(id)
		}
		return Schema{}, err
	}
	s, err := c.fromWire(got)
	if err != nil {
		return Schema{}, err
	}
	c.keep(id, s)
	return s, nil
}

func (c *Client) cached(id int32) (s Schema, known bool, err error) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s, ok := c.schemas[id]; ok {
		return s, true, nil
	}
	if until, ok := c.missing[id]; ok && c.clock.Now().Before(until) {
		return Schema{}, true, fmt.Errorf("%w: no schema has id %d", ErrSchema, id)
	}
	return Schema{}, false, nil
}

func (c *Client) keep(id int32, s Schema) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.schemas[id]; ok {
		return
	}
	if c.bytes+len(s.Text) > MaxCachedBytes {
		clear(c.schemas)
		c.bytes = 0
	}
	c.schemas[id] = s
	c.bytes += len(s.Text)
	delete(c.missing, id)
}

func (c *Client) keepMissing(id int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.missing) >= maxMissing {
		clear(c.missing)
	}
	c.missing[id] = c.clock.Now().Add(MissingFor)
}

// ByVersion returns a version of a subject: ErrSubject or ErrVersion when there
// is none.
func (c *Client) ByVersion(subject string, version int32) (Version, error) {
	if version < 1 { // the protocol takes -1 for the latest
		return Version{}, fmt.Errorf("%w: %s has no version %d", ErrVersion, subject, version)
	}
	return c.version(c.api.SchemaByVersion(context.Background(), subject, int(version)))
}

// Latest returns the last version of a subject: ErrSubject when there is none.
func (c *Client) Latest(subject string) (Version, error) {
	v, err := c.version(c.api.SchemaByVersion(context.Background(), subject, latestVersion))
	if errors.Is(err, ErrVersion) { // all versions were deleted one by one
		err = fmt.Errorf("%w: %s", ErrSubject, subject)
	}
	return v, err
}

// Lookup returns the version under which a subject has this very schema:
// ErrSubject or ErrSchema when it has not.
func (c *Client) Lookup(subject string, s Schema) (Version, error) {
	return c.version(c.api.LookupSchema(context.Background(), subject, toWire(s)))
}

// ID returns the id under which a subject has this very schema.
func (c *Client) ID(subject string, s Schema) (int32, error) {
	v, err := c.Lookup(subject, s)
	return v.ID, err
}

// Has reports whether a version of a subject has an id.
func (c *Client) Has(subject string, id int32) (bool, error) {
	uses, err := c.api.SchemaVersionsByID(context.Background(), int(id))
	if err != nil {
		if err = c.fail(err); errors.Is(err, ErrSchema) {
			return false, nil
		}
		return false, err
	}
	for _, u := range uses {
		if u.Subject == subject {
			return true, nil
		}
	}
	return false, nil
}

// Register registers a schema under a subject and returns its id, which the
// registry chooses. To register again what is there changes nothing. Errors:
// ErrInvalid, ErrIncompatible.
func (c *Client) Register(subject string, s Schema) (int32, error) {
	s = s.normal()
	id, err := c.api.RegisterSchema(context.Background(), subject, toWire(s), -1, -1)
	if err != nil {
		return 0, c.fail(err)
	}
	return c.id(id)
}

// Compatible says whether a schema could be registered under a subject, as far as
// the registry tells without doing it: it is held against the latest version.
// Errors: ErrInvalid, ErrIncompatible with the reasons.
func (c *Client) Compatible(subject string, s Schema) error {
	ctx := sr.WithParams(context.Background(), sr.Verbose)
	is, err := c.api.CheckCompatibility(ctx, subject, latestVersion, toWire(s))
	if err != nil {
		err = c.fail(err)
		if errors.Is(err, ErrSubject) || errors.Is(err, ErrVersion) {
			return nil // the first of its subject
		}
		return err
	}
	if is.Is {
		return nil
	}
	// An earlier version may be this very schema.
	if _, err := c.Lookup(subject, s); err == nil || errors.Is(err, ErrUnavailable) {
		return err
	}
	err = fmt.Errorf("%w with the latest version of %s", ErrIncompatible, subject)
	if len(is.Messages) > 0 {
		err = fmt.Errorf("%w: %s", err, strings.Join(is.Messages, "; "))
	}
	return err
}

// Delete deletes all versions of a subject, softly: their ids can still be read.
// Errors: ErrSubject, ErrReferenced.
func (c *Client) Delete(subject string) error {
	if _, err := c.api.DeleteSubject(context.Background(), subject, sr.SoftDelete); err != nil {
		return c.fail(err)
	}
	return nil
}
