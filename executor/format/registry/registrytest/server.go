package registrytest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"

	"github.com/millrace/millrace/executor/format/registry"
)

// User and Password are what every request must come with.
const (
	User     = "sluice"
	Password = "g@te:7"
)

// Server is a registry behind a listener of its own.
type Server struct {
	*httptest.Server
	Registry *registry.Registry

	mu       sync.Mutex // guards what follows; handlers hold it
	down     bool
	requests map[string]int
}

// New starts a server, which ends with the test.
func New(t testing.TB, checker registry.Checker) *Server {
	s := &Server{Registry: registry.New(checker), requests: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /schemas/ids/{id}", s.byID)
	mux.HandleFunc("GET /schemas/ids/{id}/versions", s.uses)
	mux.HandleFunc("GET /subjects/{subject}/versions/{version}", s.version)
	mux.HandleFunc("POST /subjects/{subject}/versions", s.register)
	mux.HandleFunc("POST /subjects/{subject}", s.lookup)
	mux.HandleFunc("DELETE /subjects/{subject}", s.delete)
	mux.HandleFunc("POST /compatibility/subjects/{subject}/versions/{version}", s.compatible)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.down {
			panic(http.ErrAbortHandler) // closes the connection without an answer
		}
		s.requests[r.Method+" "+r.URL.Path]++
		if user, password, _ := r.BasicAuth(); user != User || password != Password {
			fail(w, http.StatusUnauthorized, 40101, errors.New("Unauthorized"))
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// Config is how to reach the server.
func (s *Server) Config() registry.ClientConfig {
	return registry.ClientConfig{URL: s.URL, User: User, Password: Password}
}

// SetDown makes the server close connections without an answer, or stop to.
func (s *Server) SetDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// Requests returns how many requests of a method came for a path.
func (s *Server) Requests(method, path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests[method+" "+path]
}

func (s *Server) byID(w http.ResponseWriter, r *http.Request) {
	schema, err := s.Registry.ByID(number(r.PathValue("id")))
	answer(w, schema, err)
}

func (s *Server) uses(w http.ResponseWriter, r *http.Request) {
	id := number(r.PathValue("id"))
	uses := []registry.Version{}
	for _, subject := range s.Registry.Subjects() {
		versions, err := s.Registry.Versions(subject)
		if err != nil {
			continue
		}
		for _, v := range versions {
			if v.ID == id {
				uses = append(uses, registry.Version{Subject: subject, Version: v.Version})
			}
		}
	}
	_, err := s.Registry.ByID(id)
	answer(w, uses, err)
}

func (s *Server) find(r *http.Request) (registry.Version, error) {
	if r.PathValue("version") == "latest" {
		return s.Registry.Latest(r.PathValue("subject"))
	}
	return s.Registry.ByVersion(r.PathValue("subject"), number(r.PathValue("version")))
}

func (s *Server) version(w http.ResponseWriter, r *http.Request) {
	v, err := s.find(r)
	answer(w, v, err)
}

func (s *Server) register(w http.ResponseWriter, r *http.Request) {
	schema, err := body(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	v, ev, err := s.Registry.Propose(r.PathValue("subject"), schema)
	if err == nil && ev != nil {
		err = s.Registry.Apply(*ev)
	}
	answer(w, map[string]int32{"id": v.ID}, err)
}

func (s *Server) lookup(w http.ResponseWriter, r *http.Request) {
	schema, err := body(r)
	if err != nil {
		answer(w, nil, err)
		return
	}
	v, err := s.Registry.Lookup(r.PathValue("subject"), schema)
	answer(w, v, err)
}

func (s *Server) delete(w http.ResponseWriter, r *http.Request) {
	ev, err := s.Registry.ProposeDelete(r.PathValue("subject"), 0)
	if err == nil {
		err = s.Registry.Apply(*ev)
	}
	answer(w, []int32{1}, err)
}

func (s *Server) compatible(w http.ResponseWriter, r *http.Request) {
	schema, err := body(r)
	if err == nil {
		_, err = s.find(r)
	}
	if err != nil {
		answer(w, nil, err)
		return
	}
	is := struct {
		Is       bool     `json:"is_compatible"`
		Messages []string `json:"messages"`
	}{Is: true}
	err = s.Registry.Compatible(r.PathValue("subject"), schema)
	if errors.Is(err, registry.ErrIncompatible) {
		is.Is, is.Messages, err = false, []string{err.Error()}, nil
	}
	answer(w, is, err)
}

func body(r *http.Request) (registry.Schema, error) {
	var schema registry.Schema
	text, err := io.ReadAll(io.LimitReader(r.Body, 2*registry.MaxSchemaBytes))
	if err == nil {
		err = json.Unmarshal(text, &schema)
	}
	return schema, err
}

func number(text string) int32 {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil {
		return 0
	}
	return int32(n)
}

// codes are the protocol's for the registry's errors.
var codes = map[error][2]int{
	registry.ErrSubject:      {http.StatusNotFound, 40401},
	registry.ErrVersion:      {http.StatusNotFound, 40402},
	registry.ErrSchema:       {http.StatusNotFound, 40403},
	registry.ErrIncompatible: {http.StatusConflict, 409},
	registry.ErrInvalid:      {http.StatusUnprocessableEntity, 42201},
	registry.ErrReferenced:   {http.StatusUnprocessableEntity, 42206},
}

func answer(w http.ResponseWriter, v any, err error) {
	if err == nil {
		write(w, http.StatusOK, v)
		return
	}
	for sentinel, code := range codes {
		if errors.Is(err, sentinel) {
			fail(w, code[0], code[1], err)
			return
		}
	}
	fail(w, http.StatusInternalServerError, 50001, err)
}

func fail(w http.ResponseWriter, status, code int, err error) {
	write(w, status, map[string]any{"error_code": code, "message": err.Error()})
}

func write(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/vnd.schemaregistry.v1+json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler)
	}
}
