package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// changesCatalog reports whether a statement becomes a command.
func changesCatalog(stmt sql.Statement) bool {
	switch stmt.(type) {
	case *sql.CreateSource, *sql.CreateAs, *sql.InsertSelect, *sql.AlterSource, *sql.DropSource,
		*sql.CreateType, *sql.DropType, *sql.QueryControl:
		return true
	}
	return false
}

// plannedChange is a statement on its way to become a command. A nil command
// means that nothing is to be done.
type plannedChange struct {
	command *Command
	change  change
	// start is the query to start; resolve says where its sources begin.
	start *plan.Query
	// stop are the queries to end before the command, pause and resume those to
	// switch after it.
	stop, pause, resume []string
	// register and unregister are what the external schema registry is told, before
	// the command and after it.
	register   []registration
	unregister []string
	id         string // of the command: stream/`S`/create
	msg        string
	queryID    string
	warnings   []string
}

// changeCatalog executes a statement that changes the catalog.
func (s *Session) changeCatalog(ctx context.Context, st statement) (Result, error) {
	e := s.engine
	e.ddl.Lock()
	defer e.ddl.Unlock()
	p, err := s.planChange(e.view(), st)
	if err != nil {
		return nil, err
	}
	if p.command == nil {
		return &Done{Msg: p.msg, Warning: true}, nil
	}
	if p.start != nil {
		if err := s.startOffsets(ctx, &p); err != nil {
			return nil, err
		}
	}
	if err := e.registerExternal(p.register); err != nil {
		return nil, st.fail(sql.CodeSchema, st.stmt.Pos(), "", "%v", err)
	}
	for _, id := range p.stop {
		if err := e.exec.Stop(ctx, id); err != nil {
			return nil, fmt.Errorf("stop query %s: %w", id, err)
		}
	}
	sequence, err := e.commit(ctx, p.command, p.change)
	if err != nil {
		return nil, e.restart(p.stop, err)
	}
	if err := e.takeEffect(&p); err != nil {
		return nil, err
	}
	p.msg += e.unregisterExternal(p.unregister)
	return &Done{Msg: p.msg, Text: p.command.Text, Command: &CommandStatus{ID: p.id, Sequence: sequence, QueryID: p.queryID}, Warnings: p.warnings}, nil
}

// restart starts queries again whose end was not recorded, and returns why.
func (e *Engine) restart(ids []string, cause error) error {
	for _, id := range ids {
		if q := e.Catalog().Query(id); q != nil {
			if err := e.exec.Start(q.Plan, executor.StartOptions{Group: e.group(id), Paused: q.Paused}); err != nil {
				cause = fmt.Errorf("%w (and query %s did not start again: %v)", cause, id, err)
			}
		}
	}
	return cause
}

// takeEffect does what a recorded command says to the running queries.
func (e *Engine) takeEffect(p *plannedChange) error {
	if p.start != nil {
		if err := e.exec.Start(p.start, executor.StartOptions{Group: e.group(p.start.ID)}); err != nil {
			return fmt.Errorf("start query %s: %w", p.start.ID, err)
		}
	}
	for _, id := range p.pause {
		if err := e.exec.Pause(id); err != nil {
			return err
		}
	}
	for _, id := range p.resume {
		if err := e.exec.Resume(id); err != nil {
			return err
		}
	}
	return nil
}

// planChange plans a statement against a view; it changes nothing.
func (s *Session) planChange(v view, st statement) (plannedChange, error) {
	switch stmt := st.stmt.(type) {
	case *sql.DropSource:
		return s.dropSource(v, st, stmt)
	case *sql.DropType:
		return s.dropType(v, st, stmt)
	case *sql.QueryControl:
		return s.queryControl(v, st, stmt)
	}
	planned, perr := planner.Plan(s.env(v, st.text), st.stmt)
	if perr != nil {
		return plannedChange{}, wrap(perr, st)
	}
	text := st.text[st.stmt.Pos().Start:st.stmt.Pos().End] + ";"
	switch pl := planned.(type) {
	case *planner.Nothing:
		return plannedChange{msg: pl.Msg}, nil
	case *planner.AddType:
		return plannedChange{
			command: &Command{Kind: createType, Text: text, Name: pl.Name, Type: &pl.Type},
			id:      commandID("type", pl.Name, "create"), msg: "Registered custom type with name '" + pl.Name + "' and SQL type " + pl.Type.String(),
		}, nil
	case *planner.CreateSource:
		return s.complete(v, createSourceChange(pl, text), st)
	case *planner.CreateQuery:
		return s.complete(v, createQueryChange(pl, text), st)
	}
	return plannedChange{}, st.fail(sql.CodeInternal, st.stmt.Pos(), "", "unexpected plan %T", planned)
}

// complete refuses a query that the executor cannot build, before anything of it
// is recorded, and adds the schemas that its records will have.
func (s *Session) complete(v view, p plannedChange, st statement) (plannedChange, error) {
	if p.start != nil {
		if _, err := executor.NewDriver(p.start, executor.DriverConfig{Schemas: v.schemas}); err != nil {
			return plannedChange{}, st.fail(sql.CodeUnsupported, st.stmt.Pos(), "", "%v", err)
		}
	}
	src, written := p.command.Source, p.command.Kind == createQuery
	if src == nil {
		src = v.catalog.Source(p.start.SinkName) // INSERT INTO ... SELECT
	}
	if err := v.schemas.register(src, written); err != nil {
		return plannedChange{}, st.fail(sql.CodeSchema, st.stmt.Pos(), "", "%v", err)
	}
	v.schemas.take(&p)
	return p, nil
}

func commandID(kind, entity, action string) string {
	return kind + "/" + types.QuoteName(entity) + "/" + action
}

func createSourceChange(pl *planner.CreateSource, text string) plannedChange {
	action, done := "create", " created"
	if pl.Altered {
		action, done = "alter", " altered"
	}
	p := plannedChange{
		command: &Command{Kind: createSource, Text: text, Source: pl.Source, Query: pl.Query},
		id:      commandID(pl.Source.Kind.Word(), pl.Source.Name, action),
		msg:     map[catalog.Kind]string{catalog.Stream: "Stream", catalog.Table: "Table"}[pl.Source.Kind] + done,
	}
	p.warnings = pl.Warnings
	if len(pl.Notes) > 0 {
		p.msg += ". Left out of its schema: " + strings.Join(pl.Notes, "; ")
	}
	if pl.Topic != nil {
		p.change.createTopics = append(p.change.createTopics, toTopicSpec(*pl.Topic))
	}
	if pl.Query != nil {
		p.start = pl.Query
	}
	return p
}

func createQueryChange(pl *planner.CreateQuery, text string) plannedChange {
	p := plannedChange{
		command: &Command{Kind: createQuery, Text: text, Source: pl.Source, Query: pl.Query},
		start:   pl.Query, queryID: pl.Query.ID,
		id:  commandID("stream", pl.Query.SinkName, "create"),
		msg: "Created query with ID " + pl.Query.ID,
	}
	if pl.Source != nil {
		p.id = commandID(pl.Source.Kind.Word(), pl.Source.Name, "create")
	}
	for _, t := range pl.Topics {
		p.change.createTopics = append(p.change.createTopics, toTopicSpec(t))
	}
	if pl.Replaces != "" {
		p.stop = []string{pl.Replaces}
	}
	return p
}

func toTopicSpec(t planner.TopicSpec) Topic {
	return Topic{Name: t.Name, Partitions: t.Partitions, Replicas: int32(t.Replicas), Internal: t.Internal, Configs: t.Configs}
}

// startOffsets resolves where a new query begins to read and puts the offsets
// into the change, so that they are committed with the command. A replaced query
// goes on where it was.
func (s *Session) startOffsets(ctx context.Context, p *plannedChange) error {
	e := s.engine
	p.change.createTopics = slices.DeleteFunc(p.change.createTopics, func(t Topic) bool {
		_, exists := e.cluster.Topic(t.Name)
		return exists
	})
	if len(p.stop) > 0 {
		return nil
	}
	earliest := s.property("auto.offset.reset") == "earliest" || p.command.Kind == createSource
	for _, r := range p.start.Readers() {
		t, ok := e.cluster.Topic(r.Topic)
		if !ok {
			continue // created with the command: it starts at 0
		}
		for i := range t.Partitions {
			tp := kafka.TopicPartition{Topic: r.Topic, Partition: i}
			first, stable, err := e.cluster.Bounds(ctx, tp)
			if err != nil {
				return fmt.Errorf("start offset of %s: %w", tp, err)
			}
			next := stable
			if earliest || r.Table {
				// A table is read from its beginning under every policy: later rows
				// alone are not the table.
				next = first
			}
			p.change.offsets = append(p.change.offsets, executor.OffsetCommit{Group: r.Group(e.group(p.start.ID)), TP: tp, Next: next})
		}
	}
	return nil
}
