package server

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/sql"
)

// errWrongEndpoint is the answer to a query on POST /ksql.
var errWrongEndpoint = errors.New("SELECT and PRINT statements are answered by POST /query-stream")

// ksql answers POST /ksql: every statement is validated against a sandbox before
// the first one is executed.
func (s *Server) ksql(w http.ResponseWriter, r *http.Request) {
	var body struct {
		KSQL             string         `json:"ksql"`
		Properties       map[string]any `json:"streamsProperties"`
		SessionVariables map[string]any `json:"sessionVariables"`
		CommandSequence  *int64         `json:"commandSequenceNumber"`
	}
	if !readBody(w, r, &body) {
		return
	}
	session, ok := s.session(w, body.Properties, body.SessionVariables)
	if !ok {
		return
	}
	if strings.TrimSpace(body.KSQL) == "" {
		badRequest(w, "the request has no statement")
		return
	}
	if body.CommandSequence != nil && *body.CommandSequence > s.engine.CommandSequence() {
		// Statements answer when they have taken effect: a later number was never
		// given out, and waiting does not help.
		writeError(w, http.StatusServiceUnavailable, errorBody{Type: "generic_error", Code: 50301,
			Message: fmt.Sprintf("no command of sequence number %d: the last one is %d", *body.CommandSequence, s.engine.CommandSequence())})
		return
	}
	if countQueries(body.KSQL) > 0 {
		writeError(w, http.StatusBadRequest, errorBody{Type: "statement_error", Code: 40002, Message: errWrongEndpoint.Error(), Statement: &body.KSQL, Entities: &[]any{}})
		return
	}
	if err := session.Validate(body.KSQL); err != nil {
		status, e := statementError(err, body.KSQL, nil)
		writeError(w, status, e)
		return
	}
	entities := []any{}
	texts := statementTexts(body.KSQL)
	err := session.Execute(r.Context(), body.KSQL, func(result engine.Result) error {
		if e := entity(result); e != nil {
			if e["statementText"] == "" {
				e["statementText"] = texts[0]
			}
			entities = append(entities, e)
		}
		texts = texts[1:]
		return nil
	})
	if err != nil {
		status, e := statementError(err, body.KSQL, entities)
		writeError(w, status, e)
		return
	}
	writeJSON(w, http.StatusOK, entities)
}

// statementTexts returns the statements of a script as they were typed, each with
// its semicolon. There is one for each result.
func statementTexts(script string) []string {
	spans, rest := sql.Split(script)
	var texts []string
	for _, span := range append(spans, rest) {
		if text := strings.TrimSpace(script[span.Start:span.End]); text != "" {
			texts = append(texts, strings.TrimSuffix(text, ";")+";")
		}
	}
	return texts
}

// countQueries returns how many SELECT and PRINT statements a script holds.
func countQueries(script string) int {
	n := 0
	spans, rest := sql.Split(script)
	for _, span := range append(spans, rest) {
		for _, tok := range sql.Scan(script[span.Start:span.End]) {
			if tok.Kind == sql.TokComment {
				continue
			}
			if word := strings.ToUpper(tok.Word); word == "SELECT" || word == "PRINT" {
				n++
			}
			break
		}
	}
	return n
}

// object is a JSON object of an answer.
type object = map[string]any

func withType(kind string, fields object) object {
	fields["@type"] = kind
	fields["warnings"] = []any{}
	if _, ok := fields["statementText"]; !ok {
		fields["statementText"] = ""
	}
	return fields
}

// entity maps a result to the JSON of rest.md section 5; nil for statements that
// contribute none.
func entity(result engine.Result) object {
	switch r := result.(type) {
	case *engine.Done:
		return doneEntity(r)
	case *engine.SourceList:
		return sourceListEntity(r)
	case *engine.Assertion:
		return assertionEntity(r)
	case *engine.TopicList:
		return topicsEntity(r)
	case *engine.QueryList:
		return queriesEntity(r)
	case *engine.FunctionList:
		list := []any{}
		for _, f := range r.Functions {
			list = append(list, object{"name": f.Name, "type": f.Class, "category": f.Category})
		}
		return withType("function_names", object{"functions": list})
	case *engine.FunctionDescription:
		return functionEntity(r.Function)
	case *engine.PropertyList:
		return propertiesEntity(r)
	case *engine.TypeList:
		list := object{}
		for _, t := range r.Types {
			list[t.Name] = schemaInfo(t.Type)
		}
		return withType("type_list", object{"types": list})
	case *engine.VariableList:
		list := []any{}
		for _, v := range r.Variables {
			list = append(list, object{"name": v.Name, "value": v.Value})
		}
		return withType("variables", object{"variables": list})
	case *engine.SourceDescriptions:
		return descriptionsEntity(r)
	case *engine.Explanation:
		d := queryDescription(r.Query)
		d["executionPlan"] = r.Plan
		return withType("queryDescription", object{"statementText": r.Query.Text, "queryDescription": d})
	}
	return withType("generic", object{"message": fmt.Sprintf("%T", result)})
}

func doneEntity(r *engine.Done) object {
	switch {
	case r.Terminated != "":
		return withType("terminate_query", object{"queryId": r.Terminated, "wasTerminated": true})
	case r.Warning:
		return withType("warning_entity", object{"message": r.Msg})
	case r.Command == nil:
		return nil
	}
	var queryID any
	if r.Command.QueryID != "" {
		queryID = r.Command.QueryID
	}
	o := withType("currentStatus", object{
		"statementText": r.Text, "commandId": r.Command.ID, "commandSequenceNumber": r.Command.Sequence,
		"commandStatus": object{"status": "SUCCESS", "message": r.Msg, "queryId": queryID},
	})
	list := []any{}
	for _, text := range r.Warnings {
		list = append(list, object{"message": text})
	}
	o["warnings"] = list
	return o
}

func assertionEntity(r *engine.Assertion) object {
	if r.Topic != "" {
		return withType("assert_topic", object{"topicName": r.Topic, "exists": r.Exists})
	}
	o := object{"subject": nil, "id": nil, "exists": r.Exists}
	if r.Subject != "" {
		o["subject"] = r.Subject
	}
	if r.ID != 0 {
		o["id"] = r.ID
	}
	return withType("assert_schema", o)
}

func topicsEntity(r *engine.TopicList) object {
	list := []any{}
	for _, t := range r.Topics {
		replicas := make([]int32, t.Partitions)
		for i := range replicas {
			replicas[i] = t.Replicas
		}
		o := object{"name": t.Name, "replicaInfo": replicas}
		if r.Extended {
			o["consumerCount"], o["consumerGroupCount"] = t.Consumers, t.Groups
		}
		list = append(list, o)
	}
	if r.Extended {
		return withType("kafka_topics_extended", object{"topics": list})
	}
	return withType("kafka_topics", object{"topics": list})
}

func propertiesEntity(r *engine.PropertyList) object {
	list, overwritten, defaults := []any{}, []string{}, []string{}
	for _, p := range r.Properties {
		list = append(list, object{"name": p.Name, "value": p.Value, "scope": "KSQL", "editable": true, "level": "QUERY", "description": p.Doc})
		if p.Overridden {
			overwritten = append(overwritten, p.Name)
		} else {
			defaults = append(defaults, p.Name)
		}
	}
	return withType("properties", object{"properties": list, "overwrittenProperties": overwritten, "defaultProperties": defaults})
}

func functionEntity(f engine.FunctionInfo) object {
	signatures := []any{}
	for _, sig := range f.Signatures {
		args := []any{}
		for _, a := range sig.Arguments {
			args = append(args, object{"name": a.Name, "type": a.Type, "description": a.Description, "isVariadic": a.Variadic})
		}
		signatures = append(signatures, object{"arguments": args, "returnType": sig.ReturnType, "description": f.Description})
	}
	return withType("describe_function", object{"name": f.Name, "category": f.Category, "description": f.Description, "author": "millrace", "version": "", "path": "internal",
		"functions": signatures, "type": f.Class})
}
