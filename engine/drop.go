package engine

import (
	"errors"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
)

// dropSource plans DROP STREAM and DROP TABLE.
func (s *Session) dropSource(v view, st statement, stmt *sql.DropSource) (plannedChange, error) {
	name := stmt.Name.Name
	src := v.catalog.Source(name)
	if src == nil {
		if stmt.IfExists {
			return plannedChange{msg: "Source " + name + " does not exist."}, nil
		}
		return plannedChange{}, st.fail(sql.CodeUnknownSource, stmt.Name.Span, suggestSource(v.catalog, name), "Source %s does not exist", name)
	}
	if (src.Kind == catalog.Table) != (stmt.Kind == sql.Table) {
		return plannedChange{}, st.fail(sql.CodeKind, stmt.Name.Span, "write DROP "+string(src.Kind), "Incompatible data source type is %s, but statement was DROP %s", src.Kind, strings.ToUpper(stmt.Kind.String()))
	}
	if s.engine.systemSource(src) {
		return plannedChange{}, st.fail(sql.CodeReadOnly, stmt.Name.Span, "", "Cannot drop %s: it is the stream over the processing log", name)
	}
	if src.ReadOnly && stmt.DeleteTopic {
		return plannedChange{}, st.fail(sql.CodeReadOnly, stmt.Span, "leave DELETE TOPIC out", "Cannot delete the topic of read-only source %s", name)
	}
	own := func(id string) bool { return id == src.QueryID }
	readers := slices.DeleteFunc(v.catalog.ReadBy(name), func(id string) bool { return own(id) && src.ReadOnly })
	writers := slices.DeleteFunc(v.catalog.WrittenBy(name), own)
	if len(readers)+len(writers) > 0 {
		return plannedChange{}, st.fail(sql.CodeInUse, stmt.Name.Span, "TERMINATE them first",
			"Cannot drop %s. The following queries read from this source: [%s]. The following queries write into this source: [%s]. You need to terminate them before dropping %s",
			name, strings.Join(readers, ", "), strings.Join(writers, ", "), name)
	}
	p := plannedChange{
		command: &Command{Kind: dropSource, Text: st.text[stmt.Span.Start:stmt.Span.End] + ";", Name: name},
		id:      commandID(src.Kind.Word(), name, "drop"),
		msg:     "Source " + "`" + name + "`" + " (topic: " + src.Topic + ") was dropped.",
	}
	if q := v.catalog.Query(src.QueryID); q != nil {
		p.endQuery(s.engine, v, q)
	}
	if stmt.DeleteTopic {
		for _, other := range v.catalog.Sources() {
			if other.Topic == src.Topic && other.Name != name {
				return plannedChange{}, st.fail(sql.CodeInUse, stmt.Name.Span, "DROP it first, or leave DELETE TOPIC out", "Cannot delete topic %s: %s reads it too", src.Topic, other.Name)
			}
		}
		p.change.deleteTopics = append(p.change.deleteTopics, src.Topic)
		for _, key := range []bool{true, false} {
			if err := v.schemas.drop(registry.Subject(src.Topic, key)); err != nil {
				return plannedChange{}, st.fail(dropCode(err), stmt.Name.Span, "", "Cannot delete topic %s: %v", src.Topic, err)
			}
		}
		v.schemas.take(&p)
	}
	return p, nil
}

// dropCode is the code of an error about the subjects of a topic that is dropped.
func dropCode(err error) sql.Code {
	if errors.Is(err, registry.ErrUnavailable) {
		return sql.CodeSchema
	}
	return sql.CodeInUse
}

// endQuery adds the end of a query and of its internal topics to a change.
func (p *plannedChange) endQuery(e *Engine, v view, q *catalog.Query) {
	p.command.QueryIDs = append(p.command.QueryIDs, q.ID)
	p.stop = append(p.stop, q.ID)
	for _, topic := range internalTopics(q.Plan) {
		if n, ok := v.topics[topic]; ok && n > 0 {
			p.change.deleteTopics = append(p.change.deleteTopics, topic)
		} else if _, ok := e.cluster.Topic(topic); ok {
			p.change.deleteTopics = append(p.change.deleteTopics, topic)
		}
	}
	p.change.deleteGroups = append(p.change.deleteGroups, q.Plan.ReaderGroups(e.group(q.ID))...)
}

// internalTopics returns the changelog and repartition topics of a plan.
func internalTopics(q *plan.Query) []string {
	var topics []string
	add := func(stores ...plan.Store) {
		for _, st := range stores {
			if st.Changelog != "" {
				topics = append(topics, st.Changelog)
			}
		}
	}
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			switch op := n.Op.(type) {
			case *plan.Repartition:
				topics = append(topics, op.Topic)
			case *plan.Aggregate:
				add(op.Store)
			case *plan.StreamStreamJoin:
				add(op.LeftStore, op.RightStore)
			case *plan.StreamTableJoin:
				add(op.Store)
			case *plan.TableTableJoin:
				add(op.LeftStore, op.RightStore)
			case *plan.ForeignKeyJoin:
				add(op.LeftStore, op.RightStore)
			case *plan.Sink:
				if op.Store != nil {
					add(*op.Store)
				}
			case *plan.Source:
				if op.Store != nil {
					add(*op.Store)
				}
			}
		}
	}
	return topics
}

func (s *Session) dropType(v view, st statement, stmt *sql.DropType) (plannedChange, error) {
	name := stmt.Name.Name
	if _, ok := v.catalog.Type(name); !ok {
		if stmt.IfExists {
			return plannedChange{msg: "Type '" + name + "' does not exist"}, nil
		}
		return plannedChange{}, st.fail(sql.CodeUnknownType, stmt.Name.Span, sql.DidYouMean(name, v.catalog.TypeNames()), "Type %s does not exist", name)
	}
	return plannedChange{
		command: &Command{Kind: dropType, Text: st.text[stmt.Span.Start:stmt.Span.End] + ";", Name: name},
		id:      commandID("type", name, "drop"), msg: "Dropped type '" + name + "'",
	}, nil
}

// keepsSource reports whether a query, by its id, keeps a source table, with which
// it goes.
func keepsSource(id string) bool { return strings.HasPrefix(id, "CST_") }

// queryControl plans TERMINATE, PAUSE and RESUME.
func (s *Session) queryControl(v view, st statement, stmt *sql.QueryControl) (plannedChange, error) {
	var queries []*catalog.Query
	if stmt.All { // persistent queries only, as in ksqlDB
		for _, q := range v.catalog.Queries() {
			if !keepsSource(q.ID) {
				queries = append(queries, q)
			}
		}
		if len(queries) == 0 {
			return plannedChange{msg: "No queries to act on." + s.engine.pushesGoOn()}, nil
		}
	} else {
		q, err := s.findQuery(v, st, stmt.QueryID)
		if err != nil {
			return plannedChange{}, err
		}
		if keepsSource(q.ID) {
			return plannedChange{}, st.fail(sql.CodeUnsupported, stmt.QueryID.Span, "DROP the source table to end it", "Cannot terminate, pause or resume %s: it keeps a source table", q.ID)
		}
		queries = []*catalog.Query{q}
	}
	p := plannedChange{command: &Command{Text: st.text[stmt.Span.Start:stmt.Span.End] + ";"}}
	entity, action := "ALL", "execute"
	if !stmt.All {
		entity = queries[0].ID
		action = map[sql.ControlAction]string{sql.Terminate: "execute", sql.Pause: "execute", sql.Resume: "execute"}[stmt.Action]
	}
	switch stmt.Action {
	case sql.Terminate:
		p.command.Kind, p.msg, p.id = terminateKind, "Query terminated.", "terminate/"+entity+"/"+action
		if stmt.All {
			p.msg += s.engine.pushesGoOn()
		}
		for _, q := range queries {
			p.endQuery(s.engine, v, q)
		}
		return p, nil
	case sql.Pause:
		p.command.Kind, p.msg, p.id = pauseKind, "Query paused.", "pause/"+entity+"/"+action
		for _, q := range queries {
			p.pause = append(p.pause, q.ID)
		}
		p.command.QueryIDs = p.pause
	case sql.Resume:
		p.command.Kind, p.msg, p.id = resumeKind, "Query resumed.", "resume/"+entity+"/"+action
		for _, q := range queries {
			p.resume = append(p.resume, q.ID)
		}
		p.command.QueryIDs = p.resume
	}
	return p, nil
}

// findQuery returns a persistent query by its id, which is upper case however it
// was typed.
func (s *Session) findQuery(v view, st statement, id sql.Ident) (*catalog.Query, error) {
	for _, name := range []string{id.Name, strings.ToUpper(id.Name)} {
		if q := v.catalog.Query(name); q != nil {
			return q, nil
		}
	}
	var ids []string
	for _, q := range v.catalog.Queries() {
		ids = append(ids, q.ID)
	}
	hint := sql.DidYouMean(strings.ToUpper(id.Name), ids)
	if hint == "" {
		hint = "SHOW QUERIES lists them"
	}
	return nil, st.fail(sql.CodeUnknownQuery, id.Span, hint, "Unknown queryId: %s", id.Name)
}

func suggestSource(cat *catalog.Catalog, name string) string {
	var names []string
	for _, src := range cat.Sources() {
		names = append(names, src.Name)
	}
	return sql.DidYouMean(name, names)
}
