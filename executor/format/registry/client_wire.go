package registry

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"

	"github.com/twmb/franz-go/pkg/sr"
)

// Error codes of the protocol that have an error of this package.
const (
	codeIncompatible   = 409
	codeSubject        = 40401
	codeVersion        = 40402
	codeSchema         = 40403
	codeSubjectDeleted = 40404 // softly
	codeVersionDeleted = 40406 // softly
	codeReferenced     = 42206
	codeInvalidFirst   = 42200 // 42201 and its kind
	codeInvalidLast    = 42299
)

// ParseURL reads http[s]://[USER:PASSWORD@]HOST[:PORT][/PATH] and takes the
// credentials out of it. An error never holds the text, which may be secret.
func ParseURL(text string) (ClientConfig, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return ClientConfig{}, errors.New("the URL of the schema registry is not of the form http[s]://[USER:PASSWORD@]HOST[:PORT][/PATH]")
	case u.RawQuery != "" || u.Fragment != "":
		return ClientConfig{}, errors.New("the URL of the schema registry must end with its path")
	}
	var cfg ClientConfig
	if u.User != nil {
		cfg.User = u.User.Username()
		cfg.Password, _ = u.User.Password()
		if cfg.User == "" {
			return ClientConfig{}, errors.New("the URL of the schema registry has a password and no user")
		}
		u.User = nil
	}
	cfg.URL = strings.TrimSuffix(u.String(), "/")
	return cfg, nil
}

// fail maps an error of the protocol's client to one of this package's.
func (c *Client) fail(err error) error {
	var answer *sr.ResponseError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%w: no usable answer from %s: %w", ErrUnavailable, c.url, err)
	}
	sentinel := sentinelOf(answer.ErrorCode)
	if sentinel == nil {
		return fmt.Errorf("%w: %s answers %s %s with status %d: %s", ErrUnavailable, c.url, answer.Method, pathOf(answer.URL), answer.StatusCode, shorten(answer.Error()))
	}
	return fmt.Errorf("%w: %s", sentinel, shorten(answer.Error()))
}

// sentinelOf returns nil for codes that say nothing about a schema: of a registry
// that is overloaded, refuses the credentials, or is none.
func sentinelOf(code int) error {
	switch {
	case code == codeSubject || code == codeSubjectDeleted:
		return ErrSubject
	case code == codeVersion || code == codeVersionDeleted:
		return ErrVersion
	case code == codeSchema:
		return ErrSchema
	case code == codeIncompatible || code/100 == codeIncompatible:
		return ErrIncompatible
	case code == codeReferenced:
		return ErrReferenced
	case code >= codeInvalidFirst && code <= codeInvalidLast:
		return ErrInvalid
	}
	return nil
}

func pathOf(text string) string {
	if u, err := url.Parse(text); err == nil {
		return u.Path
	}
	return ""
}

// maxErrorText bounds what an error repeats of an answer, in bytes.
const maxErrorText = 2000

func shorten(text string) string {
	if len(text) > maxErrorText {
		return strings.ToValidUTF8(text[:maxErrorText], "") + "..."
	}
	return text
}

// version checks an answer that is a version of a subject.
func (c *Client) version(got sr.SubjectSchema, err error) (Version, error) {
	if err != nil {
		return Version{}, c.fail(err)
	}
	s, err := c.fromWire(got.Schema)
	if err != nil {
		return Version{}, err
	}
	id, err := c.id(got.ID)
	if err != nil {
		return Version{}, err
	}
	if got.Version < 1 || got.Version > math.MaxInt32 {
		return Version{}, fmt.Errorf("%w: %s answers with version %d", ErrUnavailable, c.url, got.Version)
	}
	return Version{Subject: got.Subject, Version: int32(got.Version), ID: id, Schema: s}, nil
}

// id checks an id: records hold it in four bytes.
func (c *Client) id(id int) (int32, error) {
	if id < 1 || id > math.MaxInt32 {
		return 0, fmt.Errorf("%w: %s answers with schema id %d", ErrUnavailable, c.url, id)
	}
	return int32(id), nil
}

// wireTypes are the types of schema as the protocol's client has them.
var wireTypes = map[Type]sr.SchemaType{Avro: sr.TypeAvro, JSON: sr.TypeJSON, Protobuf: sr.TypeProtobuf}

func toWire(s Schema) sr.Schema {
	s = s.normal()
	out := sr.Schema{Schema: s.Text, Type: wireTypes[s.Type]}
	for _, r := range s.References {
		out.References = append(out.References, sr.SchemaReference{Name: r.Name, Subject: r.Subject, Version: int(r.Version)})
	}
	return out
}

func (c *Client) fromWire(got sr.Schema) (Schema, error) {
	if len(got.References) > MaxReferences {
		return Schema{}, fmt.Errorf("%w: it has %d references, the most is %d", ErrInvalid, len(got.References), MaxReferences)
	}
	s := Schema{Text: got.Schema}
	for t, wire := range wireTypes {
		if wire == got.Type {
			s.Type = t
		}
	}
	if s.Type == "" || s.Text == "" {
		return Schema{}, fmt.Errorf("%w: %s answers with no schema", ErrUnavailable, c.url)
	}
	for _, r := range got.References {
		if r.Version < 1 || r.Version > math.MaxInt32 {
			return Schema{}, fmt.Errorf("%w: reference %s has version %d", ErrInvalid, r.Name, r.Version)
		}
		s.References = append(s.References, Reference{Name: r.Name, Subject: r.Subject, Version: int32(r.Version)})
	}
	return s.normal(), nil
}

// boundedTransport ends an answer behind MaxResponseBytes with an error.
type boundedTransport struct{ http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (t boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.RoundTripper.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{resp.Body, MaxResponseBytes}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left int
}

// Read implements io.Reader.
func (b *boundedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if b.left -= n; b.left < 0 {
		return 0, fmt.Errorf("the answer has more than %d bytes", MaxResponseBytes)
	}
	return n, err
}
