package engine

import (
	"errors"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
)

// registryReader is what the engine asks of a registry outside statements.
type registryReader interface {
	format.Schemas
	// Latest returns the last version of a subject.
	Latest(subject string) (registry.Version, error)
	// Has reports whether a version of a subject has an id.
	Has(subject string, id int32) (bool, error)
}

// statementSchemas is a registry as a statement sees and changes it. Planning
// collects changes; nobody else sees them before take hands them over.
type statementSchemas interface {
	registryReader
	// Compatible says whether a schema could be added to a subject.
	Compatible(subject string, s registry.Schema) error
	// add registers a schema unless the subject has it.
	add(subject string, s registry.Schema) error
	// drop deletes a subject, if there is one.
	drop(subject string) error
	// take moves the changes since the last call into p.
	take(p *plannedChange)
}

// registry returns the registry that the engine uses: the embedded one, or the
// client of an external one.
func (e *Engine) registry() registryReader {
	if e.client != nil {
		return e.client
	}
	return e.schemas
}

// newSchemaView returns the registry for one statement, or one sandbox.
func (e *Engine) newSchemaView() *schemaView {
	if e.client != nil {
		return &schemaView{&externalSchemas{client: e.client}}
	}
	return &schemaView{&embeddedSchemas{Registry: e.schemas}}
}

// embeddedSchemas is the embedded registry as a statement sees it. Its changes are
// events, which are recorded in one write with the statement's command.
type embeddedSchemas struct {
	*registry.Registry
	own    bool // the registry is a copy of the statement's own
	events []registry.Event
}

func (v *embeddedSchemas) add(subject string, s registry.Schema) error {
	_, ev, err := v.Propose(subject, s)
	if err != nil || ev == nil {
		return err
	}
	return v.change(*ev)
}

func (v *embeddedSchemas) drop(subject string) error {
	ev, err := v.ProposeDelete(subject, 0)
	if errors.Is(err, registry.ErrSubject) {
		return nil
	}
	if err != nil {
		return err
	}
	return v.change(*ev)
}

func (v *embeddedSchemas) take(p *plannedChange) {
	p.change.schemas, v.events = v.events, nil
}

func (v *embeddedSchemas) change(ev registry.Event) error {
	if !v.own {
		v.Registry, v.own = v.Clone(), true
	}
	v.events = append(v.events, ev)
	return v.Apply(ev)
}
