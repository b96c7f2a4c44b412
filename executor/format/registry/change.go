package registry

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Level is how far a new version of a subject may differ from earlier ones
// (Confluent Schema Registry, "Schema Evolution and Compatibility").
type Level string

// The levels. Backward: consumers with the new schema read what was written with
// the last one. Forward: the other way round. Transitive ones look at all
// versions, not at the last alone.
const (
	None               Level = "NONE"
	Backward           Level = "BACKWARD"
	BackwardTransitive Level = "BACKWARD_TRANSITIVE"
	Forward            Level = "FORWARD"
	ForwardTransitive  Level = "FORWARD_TRANSITIVE"
	Full               Level = "FULL"
	FullTransitive     Level = "FULL_TRANSITIVE"
)

// DefaultLevel holds where none is set.
const DefaultLevel = Backward

// Event is one change of a registry, as its owner's log keeps it. Exactly one
// field is set.
type Event struct {
	Add    *Version `json:"add,omitempty"`
	Delete *Delete  `json:"delete,omitempty"`
	Level  *SetAt   `json:"level,omitempty"`
}

// Delete takes away one version of a subject, or all when Version is 0. Their ids
// stay: records that carry them can still be read.
type Delete struct {
	Subject string `json:"subject"`
	Version int32  `json:"version,omitempty"`
}

// SetAt sets the level of a subject, or the default when Subject is empty.
type SetAt struct {
	Subject string `json:"subject,omitempty"`
	Level   Level  `json:"level"`
}

// Propose says what registering a schema under a subject would change: nil when
// the subject has it already, which v then is. Errors: ErrInvalid, and
// ErrIncompatible with the reasons.
func (r *Registry) Propose(subject string, s Schema) (v Version, change *Event, err error) {
	s = s.normal()
	if v, err := r.Lookup(subject, s); err == nil {
		return v, nil, nil
	}
	if err := r.check(s); err != nil {
		return Version{}, nil, err
	}
	if err := r.compatible(subject, s); err != nil {
		return Version{}, nil, err
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.subjects[subject]) >= MaxVersions {
		return Version{}, nil, fmt.Errorf("%w: subject %s has %d versions, the most there may be", ErrInvalid, subject, MaxVersions)
	}
	v = Version{Subject: subject, Version: int32(len(r.subjects[subject])) + 1, ID: r.ids[s.identity()], Schema: s}
	if v.ID == 0 {
		v.ID = r.nextID
	}
	return v, &Event{Add: &v}, nil
}

// Compatible says whether a schema can be registered under a subject. Errors are
// those of Propose.
func (r *Registry) Compatible(subject string, s Schema) error {
	_, _, err := r.Propose(subject, s)
	return err
}

// ProposeID is Propose with the id given, as replicating registries do. The id
// must be free or belong to this schema.
func (r *Registry) ProposeID(subject string, s Schema, id int32) (v Version, change *Event, err error) {
	s = s.normal()
	if have, err := r.ByID(id); err == nil && have.identity() != s.identity() {
		return Version{}, nil, fmt.Errorf("%w: id %d belongs to another schema", ErrInvalid, id)
	}
	if v, change, err = r.Propose(subject, s); change != nil {
		v.ID = id
		change.Add.ID = id
	}
	return v, change, err
}

func (r *Registry) check(s Schema) error {
	switch {
	case len(s.Text) > MaxSchemaBytes:
		return fmt.Errorf("%w: it has %d bytes, the most is %d", ErrInvalid, len(s.Text), MaxSchemaBytes)
	case len(s.References) > MaxReferences:
		return fmt.Errorf("%w: it has %d references, the most is %d", ErrInvalid, len(s.References), MaxReferences)
	}
	for _, ref := range s.References {
		if _, err := r.ByVersion(ref.Subject, ref.Version); err != nil {
			return fmt.Errorf("%w: reference %s: %w", ErrInvalid, ref.Name, err)
		}
	}
	if err := r.checker.Check(s, r); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return nil
}

// LevelOf returns the level that holds for a subject.
func (r *Registry) LevelOf(subject string) Level {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range []string{subject, ""} {
		if l := r.levels[s]; l != "" {
			return l
		}
	}
	return DefaultLevel
}

// compatible holds a schema against earlier versions by the subject's level.
func (r *Registry) compatible(subject string, s Schema) error {
	level := r.LevelOf(subject)
	versions, err := r.Versions(subject)
	if err != nil || level == None {
		return nil
	}
	if level == Backward || level == Forward || level == Full {
		versions = versions[len(versions)-1:]
	}
	for _, old := range slices.Backward(versions) {
		if err := r.against(level, old, s); err != nil {
			return err
		}
	}
	return nil
}

func (r *Registry) against(level Level, old Version, s Schema) error {
	if old.Type != s.Type {
		return fmt.Errorf("%w: %s version %d is %s, not %s", ErrIncompatible, old.Subject, old.Version, old.Type, s.Type)
	}
	pairs := [][2]Schema{{s, old.Schema}, {old.Schema, s}} // reader, writer
	switch level {
	case Backward, BackwardTransitive:
		pairs = pairs[:1]
	case Forward, ForwardTransitive:
		pairs = pairs[1:]
	}
	for _, p := range pairs {
		why, err := r.checker.Incompatible(p[0], p[1], r)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		if len(why) > 0 {
			return fmt.Errorf("%w with version %d of %s (%s): %s", ErrIncompatible, old.Version, old.Subject, level, strings.Join(why, "; "))
		}
	}
	return nil
}

// ProposeDelete says what deleting a version of a subject, or all of them when
// version is 0, would change.
func (r *Registry) ProposeDelete(subject string, version int32) (*Event, error) {
	if version != 0 {
		if _, err := r.ByVersion(subject, version); err != nil {
			return nil, err
		}
	} else if _, err := r.Latest(subject); err != nil {
		return nil, err
	}
	if by := r.referencedBy(subject, version); by != "" {
		return nil, fmt.Errorf("%w: %s uses %s", ErrReferenced, by, subject)
	}
	return &Event{Delete: &Delete{subject, version}}, nil
}

// referencedBy returns a subject whose versions refer to a version of another
// one, or "".
func (r *Registry) referencedBy(subject string, version int32) string {
	for _, name := range r.Subjects() {
		versions, err := r.Versions(name)
		if err != nil || name == subject {
			continue
		}
		for _, v := range versions {
			for _, ref := range v.References {
				if ref.Subject == subject && (version == 0 || ref.Version == version) {
					return name
				}
			}
		}
	}
	return ""
}

// ProposeLevel says what setting the level of a subject, or the default when
// subject is empty, would change.
func (r *Registry) ProposeLevel(subject string, level Level) (*Event, error) {
	switch level {
	case None, Backward, BackwardTransitive, Forward, ForwardTransitive, Full, FullTransitive:
		return &Event{Level: &SetAt{subject, level}}, nil
	}
	return nil, fmt.Errorf("compatibility level %q is not one of NONE, BACKWARD, BACKWARD_TRANSITIVE, FORWARD, FORWARD_TRANSITIVE, FULL, FULL_TRANSITIVE", level)
}

// Apply makes a change. It fails only for an event that no Propose returned.
func (r *Registry) Apply(e Event) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case e.Add != nil:
		v := *e.Add
		if v.ID < 1 || int(v.Version) != len(r.subjects[v.Subject])+1 {
			return fmt.Errorf("registry: version %d of %s with id %d does not follow", v.Version, v.Subject, v.ID)
		}
		r.subjects[v.Subject] = append(r.subjects[v.Subject], v)
		r.byID[v.ID] = v.Schema
		if _, ok := r.ids[v.identity()]; !ok {
			r.ids[v.identity()] = v.ID
		}
		for r.has(r.nextID) { // ids that were given from outside may lie ahead
			r.nextID++
		}
	case e.Delete != nil:
		for i := range r.subjects[e.Delete.Subject] {
			if e.Delete.Version == 0 || int(e.Delete.Version) == i+1 {
				// Readers may hold the old slice: versions are replaced as a whole.
				versions := slices.Clone(r.subjects[e.Delete.Subject])
				versions[i].ID = 0
				r.subjects[e.Delete.Subject] = versions
			}
		}
	case e.Level != nil:
		r.levels[e.Level.Subject] = e.Level.Level
	default:
		return errors.New("registry: event of an unknown kind")
	}
	return nil
}
