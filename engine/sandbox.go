package engine

import (
	"context"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql"
)

// Sandbox plans scripts against a catalog and topics of its own, with no log and
// no running query: what a test runner needs to drive plans by hand.
type Sandbox struct {
	session *Session
	view    view
	topics  *sandboxTopics
	schemas *embeddedSchemas // what view.schemas stands on
}

// Step is what one statement of a script asks for. Statements that only change
// the session give no step.
type Step struct {
	Text    string
	Command *Command        // a change of the catalog
	Insert  *planner.Insert // INSERT VALUES
	Select  planner.Planned // SELECT: *planner.PushQuery or *planner.PullQuery
}

// sandboxTopics is the part of a cluster that planning asks.
type sandboxTopics struct {
	cluster
	partitions map[string]int32
}

func (t *sandboxTopics) Topic(name string) (Topic, bool) {
	n, ok := t.partitions[name]
	return Topic{Name: name, Partitions: n, Replicas: 1}, ok
}

// NewSandbox returns an empty sandbox.
func NewSandbox(serviceID string) *Sandbox {
	topics := &sandboxTopics{partitions: map[string]int32{}}
	e := &Engine{cfg: Config{ServiceID: serviceID}.withDefaults(), cluster: topics, schemas: NewRegistry()}
	schemas := &embeddedSchemas{Registry: e.schemas}
	v := e.view()
	v.schemas = &schemaView{schemas}
	return &Sandbox{session: e.NewSession(), topics: topics, schemas: schemas, view: v}
}

// AddTopic makes a topic exist.
func (s *Sandbox) AddTopic(name string, partitions int32) { s.topics.partitions[name] = partitions }

// Topic returns the partition count of a topic.
func (s *Sandbox) Topic(name string) (int32, bool) {
	n, ok := s.topics.partitions[name]
	return n, ok
}

// Schemas returns the schema registry after the statements so far.
func (s *Sandbox) Schemas() *registry.Registry { return s.schemas.Registry }

// AddSchema registers a schema under a subject, with the id given or, when that
// is 0, the next one. It returns the id.
func (s *Sandbox) AddSchema(subject string, schema registry.Schema, id int32) (int32, error) {
	r := s.schemas.Registry
	propose := r.Propose
	if id != 0 {
		propose = func(subject string, schema registry.Schema) (registry.Version, *registry.Event, error) {
			return r.ProposeID(subject, schema, id)
		}
	}
	v, ev, err := propose(subject, schema)
	if err != nil || ev == nil {
		return v.ID, err
	}
	return v.ID, s.schemas.change(*ev)
}

// SetCompatibility sets the level that all subjects are held to.
func (s *Sandbox) SetCompatibility(level registry.Level) error {
	ev, err := s.schemas.ProposeLevel("", level)
	if err != nil {
		return err
	}
	return s.schemas.change(*ev)
}

// RegisterDeclared registers the schemas that a CREATE STREAM or TABLE with columns
// would register, as far as the statement can be planned, and makes nothing else.
func (s *Sandbox) RegisterDeclared(stmt *sql.CreateSource) error {
	planned, perr := planner.Plan(s.session.env(s.view, ""), stmt)
	if create, ok := planned.(*planner.CreateSource); perr == nil && ok {
		return s.view.schemas.register(create.Source, false)
	}
	return nil // the statement itself will say why
}

// RegisterInserted registers the schemas that INSERT VALUES into a source writes
// with, as far as they are not there.
func (s *Sandbox) RegisterInserted(src *catalog.Source) error {
	if !format.HasSchemas(src.Key) && !format.HasSchemas(src.Value) {
		return nil
	}
	return s.view.schemas.registerInserted(src)
}

// SetProperty sets a session property; an unknown one is an error.
func (s *Sandbox) SetProperty(name, value string) error { return s.session.SetProperty(name, value) }

// SetVariable sets a variable as DEFINE does.
func (s *Sandbox) SetVariable(name, value string) { s.session.SetVariable(name, value) }

// Property returns a session property's value.
func (s *Sandbox) Property(name string) string { return s.session.property(name) }

// Catalog returns the catalog after the statements so far.
func (s *Sandbox) Catalog() *catalog.Catalog { return s.view.catalog }

// Execute plans the statements of a script one by one and gives each step to
// yield after its effect on catalog and topics.
func (s *Sandbox) Execute(script string, yield func(Step) error) error {
	pieces, err := splitScript(script)
	if err != nil {
		return err
	}
	for _, piece := range pieces {
		st, err := s.session.parse(script, piece)
		if err != nil {
			return err
		}
		step, err := s.step(st)
		if err != nil {
			return err
		}
		if step == nil {
			continue
		}
		if err := yield(*step); err != nil {
			return err
		}
	}
	return nil
}

func (s *Sandbox) step(st statement) (*Step, error) {
	pos := st.stmt.Pos()
	step := &Step{Text: st.text[pos.Start:pos.End]}
	switch st.stmt.(type) {
	case *sql.InsertValues, *sql.Select:
		planned, err := planner.Plan(s.session.env(s.view, st.text), st.stmt)
		if err != nil {
			return nil, wrap(err, st)
		}
		if insert, ok := planned.(*planner.Insert); ok {
			step.Insert = insert
		} else {
			step.Select = planned
		}
		return step, nil
	case *sql.Set, *sql.Unset, *sql.Define, *sql.Undefine:
		_, err := s.session.run(context.Background(), st)
		return nil, err
	}
	if !changesCatalog(st.stmt) {
		return nil, st.fail(sql.CodeUnsupported, pos, "", "this statement has no effect in a sandbox")
	}
	p, err := s.session.planChange(s.view, st)
	if err != nil || p.command == nil {
		return nil, err
	}
	next, applyErr := applyCommand(s.view.catalog, p.command)
	if applyErr != nil {
		return nil, applyErr
	}
	s.view = view{catalog: next, nextID: s.view.nextID + 1, schemas: s.view.schemas}
	for _, t := range p.change.createTopics {
		s.topics.partitions[t.Name] = t.Partitions
	}
	for _, name := range p.change.deleteTopics {
		delete(s.topics.partitions, name)
	}
	step.Command = p.command
	return step, nil
}
