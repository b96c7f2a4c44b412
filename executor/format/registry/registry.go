package registry

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
)

// Errors of the registry. The messages are followed by what they are about.
var (
	ErrSubject      = errors.New("Subject not found")   // 40401
	ErrVersion      = errors.New("Version not found")   // 40402
	ErrSchema       = errors.New("Schema not found")    // 40403
	ErrIncompatible = errors.New("Schema incompatible") // 409
	ErrInvalid      = errors.New("Invalid schema")      // 42201
	ErrReferenced   = errors.New("Schema is referenced by others")
	// ErrUnavailable is a Client's: the registry gave no answer, or none that says
	// anything about schemas. Trying again may help.
	ErrUnavailable = errors.New("Schema registry unavailable")
)

// Limits of what is kept.
const (
	MaxSchemaBytes = 1 << 20
	MaxReferences  = 100
	MaxVersions    = 10_000 // of a subject
)

// Checker knows the languages of schemas.
type Checker interface {
	// Check parses a schema. An error says what is wrong with it.
	Check(s Schema, all Resolver) error
	// Incompatible returns why a reader with one schema cannot read what a writer
	// with the other one wrote, nothing when it can.
	Incompatible(reader, writer Schema, all Resolver) ([]string, error)
}

// Resolver finds the schemas that references name.
type Resolver interface {
	// ByVersion returns a version of a subject.
	ByVersion(subject string, version int32) (Version, error)
}

// Registry holds the schemas. All methods may be called concurrently; changes
// are for one owner, who calls Propose and Apply one after the other.
type Registry struct {
	checker Checker

	mu       sync.RWMutex // guards what follows; taken by leaves only
	byID     map[int32]Schema
	ids      map[string]int32     // by identity
	subjects map[string][]Version // by version; deleted ones have id 0
	levels   map[string]Level     // "" is the default's
	nextID   int32                // the least one that is free
}

// New returns an empty registry.
func New(checker Checker) *Registry {
	return &Registry{checker: checker, byID: map[int32]Schema{}, ids: map[string]int32{}, subjects: map[string][]Version{}, levels: map[string]Level{}, nextID: 1}
}

// ByID returns the schema with an id: ErrSchema when there is none.
func (r *Registry) ByID(id int32) (Schema, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	s, ok := r.byID[id]
	if !ok {
		return Schema{}, fmt.Errorf("%w: no schema has id %d", ErrSchema, id)
	}
	return s, nil
}

// has reports whether an id is taken; the lock is held.
func (r *Registry) has(id int32) bool {
	_, ok := r.byID[id]
	return ok
}

// ByVersion returns a version of a subject: ErrSubject or ErrVersion when there
// is none.
func (r *Registry) ByVersion(subject string, version int32) (Version, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	versions := r.subjects[subject]
	if !alive(versions) {
		return Version{}, fmt.Errorf("%w: %s", ErrSubject, subject)
	}
	if version < 1 || int(version) > len(versions) || versions[version-1].ID == 0 {
		return Version{}, fmt.Errorf("%w: %s has no version %d", ErrVersion, subject, version)
	}
	return versions[version-1], nil
}

// Latest returns the last version of a subject: ErrSubject when there is none.
func (r *Registry) Latest(subject string) (Version, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	v, ok := latest(r.subjects[subject])
	if !ok {
		return Version{}, fmt.Errorf("%w: %s", ErrSubject, subject)
	}
	return v, nil
}

// Lookup returns the version under which a subject has this very schema:
// ErrSubject or ErrSchema when it has not.
func (r *Registry) Lookup(subject string, s Schema) (Version, error) {
	want := s.normal().identity()
	r.mu.RLock()
	defer r.mu.RUnlock()
	versions := r.subjects[subject]
	if !alive(versions) {
		return Version{}, fmt.Errorf("%w: %s", ErrSubject, subject)
	}
	for _, v := range slices.Backward(versions) {
		if v.ID != 0 && v.identity() == want {
			return v, nil
		}
	}
	return Version{}, fmt.Errorf("%w: %s has no such version", ErrSchema, subject)
}

// ID returns the id under which a subject has this very schema.
func (r *Registry) ID(subject string, s Schema) (int32, error) {
	v, err := r.Lookup(subject, s)
	return v.ID, err
}

// Has reports whether a version of a subject has an id.
func (r *Registry) Has(subject string, id int32) (bool, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return id != 0 && slices.ContainsFunc(r.subjects[subject], func(v Version) bool { return v.ID == id }), nil
}

// Subjects returns the subjects that have a version, in order.
func (r *Registry) Subjects() []string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	names := slices.Sorted(maps.Keys(r.subjects))
	return slices.DeleteFunc(names, func(n string) bool { return !alive(r.subjects[n]) })
}

// Versions returns the versions of a subject in order: ErrSubject when there is
// none.
func (r *Registry) Versions(subject string) ([]Version, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := slices.DeleteFunc(slices.Clone(r.subjects[subject]), func(v Version) bool { return v.ID == 0 })
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %s", ErrSubject, subject)
	}
	return out, nil
}

func latest(versions []Version) (Version, bool) {
	for _, v := range slices.Backward(versions) {
		if v.ID != 0 {
			return v, true
		}
	}
	return Version{}, false
}

func alive(versions []Version) bool {
	_, ok := latest(versions)
	return ok
}

// Clone returns a copy that changes apart from the original.
func (r *Registry) Clone() *Registry {
	r.mu.RLock()
	defer r.mu.RUnlock()
	c := &Registry{checker: r.checker, byID: maps.Clone(r.byID), ids: maps.Clone(r.ids), subjects: maps.Clone(r.subjects), levels: maps.Clone(r.levels), nextID: r.nextID}
	for name, versions := range c.subjects {
		c.subjects[name] = slices.Clip(versions) // an append to either copies
	}
	return c
}
