package engine

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/format/registry"
)

// With an external registry nothing can be written in one piece with a command.
// The order makes up for it:
//
//	plan            looks up and checks, changes nothing
//	register        the registry has the schemas; again is the same
//	record command  the statement is true
//	delete subjects of topics that were dropped
//
// A failure before the command leaves at most schemas that nobody uses, which the
// next try finds registered. A failure behind it leaves subjects of a topic that is
// gone, which the statement reports.

var errExternalSchemas = errors.New("the engine uses an external schema registry: change it there")

// registration is a schema that a statement writes a subject's records with.
type registration struct {
	subject string
	schema  registry.Schema
}

// externalSchemas is an external registry as a statement sees it.
type externalSchemas struct {
	client  *registry.Client
	added   []registration // since the last take
	dropped []string       // since the last take
	// pending are the subjects that statements of the view change, by name: what
	// each adds last, or nil when it was dropped.
	pending map[string]*registry.Schema
}

// ByID implements format.Schemas.
func (v *externalSchemas) ByID(id int32) (registry.Schema, error) { return v.client.ByID(id) }

// ID implements format.Schemas.
func (v *externalSchemas) ID(subject string, s registry.Schema) (int32, error) {
	return v.client.ID(subject, s)
}

// ByVersion implements registry.Resolver.
func (v *externalSchemas) ByVersion(subject string, version int32) (registry.Version, error) {
	return v.client.ByVersion(subject, version)
}

// Has implements registryReader.
func (v *externalSchemas) Has(subject string, id int32) (bool, error) {
	return v.client.Has(subject, id)
}

// Latest implements registryReader. A schema that is only planned has no id and no
// version yet.
func (v *externalSchemas) Latest(subject string) (registry.Version, error) {
	s, ok := v.pending[subject]
	switch {
	case !ok:
		return v.client.Latest(subject)
	case s == nil:
		return registry.Version{}, fmt.Errorf("%w: %s", registry.ErrSubject, subject)
	}
	return registry.Version{Subject: subject, Schema: *s}, nil
}

// Compatible implements statementSchemas. The registry is not asked about a subject
// that was dropped: it would hold the schema against versions that are to go.
func (v *externalSchemas) Compatible(subject string, s registry.Schema) error {
	if pending, ok := v.pending[subject]; ok && pending == nil {
		return nil
	}
	return v.client.Compatible(subject, s)
}

func (v *externalSchemas) add(subject string, s registry.Schema) error {
	if err := v.Compatible(subject, s); err != nil {
		return err
	}
	v.added = append(v.added, registration{subject, s})
	v.set(subject, &s)
	return nil
}

func (v *externalSchemas) drop(subject string) error {
	_, err := v.Latest(subject)
	if errors.Is(err, registry.ErrSubject) {
		return nil
	}
	if err != nil {
		return err
	}
	v.dropped = append(v.dropped, subject)
	v.set(subject, nil)
	return nil
}

func (v *externalSchemas) set(subject string, s *registry.Schema) {
	if v.pending == nil {
		v.pending = map[string]*registry.Schema{}
	}
	v.pending[subject] = s
}

func (v *externalSchemas) take(p *plannedChange) {
	p.register, p.unregister = v.added, v.dropped
	v.added, v.dropped = nil, nil
}

// registerExternal registers schemas with the external registry.
func (e *Engine) registerExternal(all []registration) error {
	for _, r := range all {
		if _, err := e.client.Register(r.subject, r.schema); err != nil {
			return fmt.Errorf("could not register the schema of %s: %w", r.subject, err)
		}
	}
	return nil
}

// unregisterExternal deletes subjects of the external registry. What fails is said
// in a sentence for the user, "" when nothing does.
func (e *Engine) unregisterExternal(subjects []string) string {
	var said string
	for _, subject := range subjects {
		if err := e.client.Delete(subject); err != nil && !errors.Is(err, registry.ErrSubject) {
			e.cfg.Logger.Error("subject of a dropped topic was not deleted", "subject", subject, "err", err)
			said += fmt.Sprintf(" Subject %s of the schema registry was not deleted: %v.", subject, err)
		}
	}
	return said
}
