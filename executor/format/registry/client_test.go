package registry_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/executor/format/registry/registrytest"
	"github.com/millrace/millrace/internal/clock"
)

func record(fields string) registry.Schema {
	return registry.Schema{Type: registry.Avro, Text: `{"type":"record","name":"R","fields":[` + fields + `]}`}
}

var (
	one = record(`{"name":"A","type":"int"}`)
	two = record(`{"name":"A","type":"int"},{"name":"B","type":["null","string"],"default":null}`)
	bad = record(`{"name":"A","type":"string"}`)
)

func newClient(t *testing.T, cfg registry.ClientConfig) *registry.Client {
	t.Helper()
	c, err := registry.NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestClientRegistersAndReads goes through the life of a subject.
func TestClientRegistersAndReads(t *testing.T) {
	s := registrytest.New(t, format.Checker{})
	c := newClient(t, s.Config())
	const subject = "a b/ü-value" // has to be escaped
	if err := c.Compatible(subject, one); err != nil {
		t.Fatalf("first of a subject: %v", err)
	}
	id, err := c.Register(subject, one)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Register(subject, one); again != id || err != nil {
		t.Fatalf("registered again: %d, %v, want %d", again, err, id)
	}
	id2, err := c.Register(subject, two)
	if err != nil || id2 == id {
		t.Fatalf("second version: id %d, %v", id2, err)
	}
	if v, err := c.Latest(subject); err != nil || v.ID != id2 || v.Version != 2 || v.Subject != subject || v.Text != two.Text || v.Type != registry.Avro {
		t.Fatalf("latest = %+v, %v", v, err)
	}
	if v, err := c.ByVersion(subject, 1); err != nil || v.ID != id || v.Text != one.Text {
		t.Fatalf("version 1 = %+v, %v", v, err)
	}
	if got, err := c.ID(subject, one); err != nil || got != id {
		t.Fatalf("ID = %d, %v", got, err)
	}
	if err := c.Compatible(subject, one); err != nil {
		t.Fatalf("an earlier version: %v", err)
	}
	for _, want := range []bool{true, false} {
		if has, err := c.Has(subject, id); err != nil || has != want {
			t.Fatalf("Has = %v, %v, want %v", has, err, want)
		}
		if !want {
			break
		}
		if err := c.Delete(subject); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Latest(subject); !errors.Is(err, registry.ErrSubject) {
		t.Fatalf("latest after delete: %v", err)
	}
	if got, err := c.ByID(id); err != nil || got.Text != one.Text {
		t.Fatalf("a deleted subject's id: %+v, %v", got, err)
	}
}

func TestClientReferencesAndTypes(t *testing.T) {
	s := registrytest.New(t, format.Checker{})
	c := newClient(t, s.Config())
	if _, err := c.Register("inner", record(`{"name":"A","type":"int"}`)); err != nil {
		t.Fatal(err)
	}
	outer := registry.Schema{Type: registry.Avro, Text: `{"type":"record","name":"O","fields":[{"name":"r","type":"R"}]}`, References: []registry.Reference{{Name: "R", Subject: "inner", Version: 1}}}
	for subject, want := range map[string]registry.Schema{
		"outer": outer,
		"json":  {Type: registry.JSON, Text: `{"type":"object"}`},
		"proto": {Type: registry.Protobuf, Text: "syntax = \"proto3\";\nmessage M { int32 a = 1; }"},
	} {
		id, err := c.Register(subject, want)
		if err != nil {
			t.Fatalf("%s: %v", subject, err)
		}
		got, err := c.ByID(id)
		if err != nil || got.Type != want.Type || got.Text != want.Text || fmt.Sprint(got.References) != fmt.Sprint(want.References) {
			t.Errorf("%s = %+v, %v, want %+v", subject, got, err, want)
		}
	}
	if err := c.Delete("inner"); !errors.Is(err, registry.ErrReferenced) {
		t.Errorf("delete of a referenced subject: %v", err)
	}
}

func TestClientErrors(t *testing.T) {
	s := registrytest.New(t, format.Checker{})
	c := newClient(t, s.Config())
	if _, err := c.Register("s", one); err != nil {
		t.Fatal(err)
	}
	wrongPassword := s.Config()
	wrongPassword.Password = "x"
	for _, tt := range []struct {
		name string
		do   func() error
		want error
	}{
		{"subject", func() error { _, err := c.Latest("none"); return err }, registry.ErrSubject},
		{"version", func() error { _, err := c.ByVersion("s", 2); return err }, registry.ErrVersion},
		{"version -1 is not the latest", func() error { _, err := c.ByVersion("s", -1); return err }, registry.ErrVersion},
		{"id", func() error { _, err := c.ByID(77); return err }, registry.ErrSchema},
		{"lookup", func() error { _, err := c.ID("s", two); return err }, registry.ErrSchema},
		{"lookup of no subject", func() error { _, err := c.ID("none", two); return err }, registry.ErrSubject},
		{"incompatible", func() error { _, err := c.Register("s", bad); return err }, registry.ErrIncompatible},
		{"incompatible, checked", func() error { return c.Compatible("s", bad) }, registry.ErrIncompatible},
		{"invalid", func() error { _, err := c.Register("n", registry.Schema{Text: "{"}); return err }, registry.ErrInvalid},
		{"credentials", func() error { _, err := newClient(t, wrongPassword).Latest("s"); return err }, registry.ErrUnavailable},
	} {
		if err := tt.do(); !errors.Is(err, tt.want) {
			t.Errorf("%s: err = %v, want %v", tt.name, err, tt.want)
		}
	}
}

// TestClientUnavailable meets answers that say nothing about schemas: none of them
// may look like one that does.
func TestClientUnavailable(t *testing.T) {
	stop := make(chan struct{})
	answers := map[string]http.HandlerFunc{
		"hangs":        func(_ http.ResponseWriter, r *http.Request) { <-stop },
		"aborts":       func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"no registry":  func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) },
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"empty object": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"overloaded": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusServiceUnavailable)
			fmt.Fprint(w, `{"error_code":50003,"message":"no leader"}`)
		},
		"id of five bytes": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"subject":"s","version":1,"id":4294967296,"schema":"\"int\""}`)
		},
		"too large": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"schema":"%s"}`, strings.Repeat("x", registry.MaxResponseBytes))
		},
	}
	for name, handler := range answers {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(handler)
			cfg := registry.ClientConfig{URL: s.URL}
			if name == "hangs" {
				cfg.Timeout = time.Millisecond
				t.Cleanup(func() { close(stop); s.Close() })
			} else {
				t.Cleanup(s.Close)
			}
			if _, err := newClient(t, cfg).Latest("s"); !errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrSubject) {
				t.Errorf("err = %v", err)
			}
		})
	}
	s := httptest.NewServer(nil)
	s.Close()
	_, err := newClient(t, registry.ClientConfig{URL: s.URL}).ByID(1)
	if !errors.Is(err, registry.ErrUnavailable) || !strings.Contains(err.Error(), s.URL) {
		t.Errorf("nobody listens: %v", err)
	}
}

// TestClientKeepsSchemas reads known ids without the registry, and does not ask
// for a missing one again and again.
func TestClientKeepsSchemas(t *testing.T) {
	s := registrytest.New(t, format.Checker{})
	cfg := s.Config()
	start := time.UnixMilli(1)
	cfg.Clock = clock.Fixed(start)
	c := newClient(t, cfg)
	id, err := c.Register("s", one)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := c.ByID(id); err != nil {
			t.Fatal(err)
		}
		if _, err := c.ByID(id + 1); !errors.Is(err, registry.ErrSchema) {
			t.Fatalf("missing id: %v", err)
		}
	}
	for _, asked := range []int32{id, id + 1} {
		if n := s.Requests("GET", fmt.Sprintf("/schemas/ids/%d", asked)); n != 1 {
			t.Errorf("id %d was asked for %d times", asked, n)
		}
	}
	s.SetDown(true)
	if _, err := c.ByID(id); err != nil {
		t.Errorf("a kept id without the registry: %v", err)
	}
	if _, err := c.ByID(id + 2); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("an unknown id without the registry: %v", err)
	}
	s.SetDown(false)
	if _, err := c.ByID(id + 2); !errors.Is(err, registry.ErrSchema) {
		t.Errorf("no answer must not be kept: %v", err)
	}
}

func TestParseURL(t *testing.T) {
	got, err := registry.ParseURL("https://me:s%40cret@host:8081/path/")
	if want := (registry.ClientConfig{URL: "https://host:8081/path", User: "me", Password: "s@cret"}); err != nil || got != want {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	for _, text := range []string{"", "host:8081", "ftp://me:secret@host", "http://", "http://me:secret@host/?a=b", "http://:secret@host", "http://me:secret@ho st", "http://me:secret@host:x"} {
		if _, err := registry.ParseURL(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: err = %v", text, err)
		}
	}
}
