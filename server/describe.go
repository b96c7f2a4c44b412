package server

import (
	"fmt"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/sql/types"
)

func sourceListEntity(r *engine.SourceList) object {
	list := []any{}
	for _, s := range r.Sources {
		list = append(list, object{"type": string(s.Kind), "name": s.Name, "topic": s.Topic, "keyFormat": s.Key.Name,
			"valueFormat": s.Value.Name, "isWindowed": s.Windowed != nil})
	}
	if r.Kind == catalog.Table {
		return withType("tables", object{"tables": list})
	}
	return withType("streams", object{"streams": list})
}

func queriesEntity(r *engine.QueryList) object {
	list := []any{}
	for _, q := range r.Queries {
		if r.Extended {
			list = append(list, queryDescription(q))
		} else {
			list = append(list, runningQuery(q))
		}
	}
	if r.Extended {
		return withType("query_descriptions", object{"queryDescriptions": list})
	}
	return withType("queries", object{"queries": list})
}

func runningQuery(q engine.QueryInfo) object {
	sinks, topics := []string{}, []string{}
	if q.SinkName != "" {
		sinks = append(sinks, q.SinkName)
	}
	if q.SinkTopic != "" {
		topics = append(topics, q.SinkTopic)
	}
	return object{"queryString": q.Text, "sinks": sinks, "sinkKafkaTopics": topics, "id": q.ID,
		"statusCount": object{string(q.Status.State): 1}, "queryType": queryType(q), "state": string(q.Status.State),
		"statistics": statistics(q.Status)}
}

// statistics are counters beside ksqlDB's fields.
func statistics(s executor.Status) queryStatistics {
	return queryStatistics{RowsIn: s.RowsIn, RowsOut: s.RowsOut, Late: s.Late, Errors: s.Errors, Restarts: s.Restarts, Reason: s.Reason}
}

// queryStatistics is the JSON of a query's counters.
type queryStatistics struct {
	RowsIn   int64  `json:"rowsIn"`
	RowsOut  int64  `json:"rowsOut"`
	Late     int64  `json:"late"`
	Errors   int64  `json:"errors"`
	Restarts int    `json:"restarts"`
	Reason   string `json:"reason,omitempty"`
}

func queryType(q engine.QueryInfo) string {
	if q.Push {
		return "PUSH"
	}
	return "PERSISTENT"
}

func queryDescription(q engine.QueryInfo) object {
	sinks, topics := []string{}, []string{}
	if q.SinkName != "" {
		sinks = append(sinks, q.SinkName)
	}
	if q.SinkTopic != "" {
		topics = append(topics, q.SinkTopic)
	}
	sources := q.Sources
	if sources == nil {
		sources = []string{}
	}
	overridden := q.Properties
	if overridden == nil {
		overridden = map[string]string{}
	}
	errs := []any{}
	if q.Status.Reason != "" {
		errs = append(errs, object{"timestamp": 0, "errorMessage": q.Status.Reason, "type": "UNKNOWN"})
	}
	d := object{"id": q.ID, "statementText": q.Text, "sources": sources, "sinks": sinks, "sinkKafkaTopics": topics, "topology": "", "executionPlan": "",
		"overriddenProperties": overridden, "ksqlHostQueryStatus": object{}, "queryType": queryType(q), "queryErrors": errs,
		"tasksMetadata": []any{}, "state": string(q.Status.State), "windowType": nil, "fields": []any{},
		"statistics": statistics(q.Status)}
	if q.Status.State == "" {
		d["state"] = string(executor.Running)
	}
	if q.Plan != nil {
		d["executionPlan"] = q.Explain()
		d["consumerGroupId"] = q.Group
		d["fields"] = fieldInfos(q.Plan.Result, nil)
		if q.Plan.Windowed != nil {
			d["windowType"] = string(q.Plan.Windowed.Kind)
		}
	}
	return d
}

func descriptionsEntity(r *engine.SourceDescriptions) object {
	list := []any{}
	for _, d := range r.Sources {
		list = append(list, sourceDescription(d, r.Extended))
	}
	if r.One {
		return withType("sourceDescription", object{"sourceDescription": list[0]})
	}
	return withType("source_descriptions", object{"sourceDescriptions": list})
}

func sourceDescription(d engine.SourceDescription, extended bool) object {
	s := d.Source
	read, write := []any{}, []any{}
	for _, q := range d.ReadBy {
		read = append(read, runningQuery(q))
	}
	for _, q := range d.WrittenBy {
		write = append(write, runningQuery(q))
	}
	out := object{"name": s.Name, "windowType": nil, "readQueries": read, "writeQueries": write, "fields": fieldInfos(s.Schema, s.Headers),
		"type": string(s.Kind), "timestamp": s.TimestampColumnName(), "statistics": "", "errorStats": "", "extended": extended,
		"keyFormat": s.Key.Name, "valueFormat": s.Value.Name, "topic": s.Topic, "partitions": 0, "replication": 0, "statement": s.Text,
		"queryOffsetSummaries": []any{}, "sourceConstraints": []any{}, "clusterStatistics": []any{}, "clusterErrorStats": []any{}}
	if s.Windowed != nil {
		out["windowType"] = string(s.Windowed.Kind)
	}
	if extended {
		out["partitions"], out["replication"] = d.Partitions, d.Replicas
		out["statistics"], out["errorStats"] = statisticsText(d)
		constraints := []string{}
		for _, q := range d.ReadBy {
			if q.SinkName != "" && q.SinkName != s.Name {
				constraints = append(constraints, q.SinkName)
			}
		}
		out["sourceConstraints"] = constraints
		out["queryOffsetSummaries"] = offsetSummaries(d.Offsets)
		if len(d.Schemas) > 0 {
			out["schemas"] = d.Schemas // beside ksqlDB's fields
		}
	}
	return out
}

// statisticsText sums up the queries that write a source, as ksqlDB's deprecated
// fields do in text.
func statisticsText(d engine.SourceDescription) (statistics, errorStats string) {
	var in, out, late, errs int64
	for _, q := range d.WrittenBy {
		in, out, late, errs = in+q.Status.RowsIn, out+q.Status.RowsOut, late+q.Status.Late, errs+q.Status.Errors
	}
	return fmt.Sprintf("rows-in: %d  rows-out: %d  late: %d", in, out, late), fmt.Sprintf("errors: %d", errs)
}

func offsetSummaries(list []engine.GroupOffsets) []any {
	out := []any{}
	for _, g := range list {
		offsets := []any{}
		for _, p := range g.Partitions {
			offsets = append(offsets, object{"partition": p.Partition, "logStartOffset": p.LogStart, "logEndOffset": p.End, "consumerOffset": p.ConsumerOffset})
		}
		out = append(out, object{"groupId": g.Group, "topicSummaries": []any{object{"kafkaTopic": g.Topic, "offsets": offsets}}})
	}
	return out
}

func fieldInfos(s types.Schema, headers []string) []any {
	out := []any{}
	for i := range s.Len() {
		c := s.Column(i)
		f := object{"name": c.Name, "schema": schemaInfo(c.Type)}
		if i < len(s.Key) {
			f["type"] = "KEY"
		}
		if headers != nil && headers[i] != "" {
			f["type"] = "HEADER"
			if headers[i] != "*" {
				f["headerKey"] = headers[i][1:]
			}
		}
		out = append(out, f)
	}
	return out
}

// schemaInfo is the JSON of a type.
func schemaInfo(t types.Type) object {
	out := object{"type": t.Kind.String(), "fields": nil, "memberSchema": nil}
	switch t.Kind {
	case types.KindDecimal:
		out["parameters"] = object{"precision": t.Precision, "scale": t.Scale}
	case types.KindArray, types.KindMap:
		out["memberSchema"] = schemaInfo(*t.Elem)
	case types.KindStruct:
		fields := []any{}
		for _, f := range t.Fields {
			fields = append(fields, object{"name": f.Name, "schema": schemaInfo(f.Type)})
		}
		out["fields"] = fields
	}
	return out
}
