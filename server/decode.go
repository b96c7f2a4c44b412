package server

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql"
	"github.com/millrace/millrace/sql/types"
)

// entityJSON holds the fields of every entity that a client shows; entity writes
// them.
type entityJSON struct {
	Type          string `json:"@type"`
	StatementText string `json:"statementText"`
	Message       string `json:"message"`
	TopicName     string `json:"topicName"`
	Subject       string `json:"subject"`
	ID            int32  `json:"id"`
	Exists        bool   `json:"exists"`
	CommandID     string `json:"commandId"`
	QueryID       string `json:"queryId"`
	Sequence      int64  `json:"commandSequenceNumber"`
	Status        struct {
		Message string `json:"message"`
		QueryID string `json:"queryId"`
	} `json:"commandStatus"`
	Warnings []struct {
		Message string `json:"message"`
	} `json:"warnings"`
	Streams []sourceJSON `json:"streams"`
	Tables  []sourceJSON `json:"tables"`
	Topics  []struct {
		Name      string  `json:"name"`
		Replicas  []int32 `json:"replicaInfo"`
		Consumers int32   `json:"consumerCount"`
		Groups    int32   `json:"consumerGroupCount"`
	} `json:"topics"`
	Queries            []queryJSON           `json:"queries"`
	QueryDescriptions  []queryJSON           `json:"queryDescriptions"`
	QueryDescription   queryJSON             `json:"queryDescription"`
	Functions          json.RawMessage       `json:"functions"`
	Name               string                `json:"name"`
	Category           string                `json:"category"`
	Description        string                `json:"description"`
	FunctionType       string                `json:"type"`
	Properties         []propertyJSON        `json:"properties"`
	Overwritten        []string              `json:"overwrittenProperties"`
	Types              map[string]schemaJSON `json:"types"`
	Variables          []engine.Variable     `json:"variables"`
	SourceDescription  *sourceJSON           `json:"sourceDescription"`
	SourceDescriptions []sourceJSON          `json:"sourceDescriptions"`
}

type propertyJSON struct {
	Name        string `json:"name"`
	Value       string `json:"value"`
	Description string `json:"description"`
}

type queryJSON struct {
	ID            string          `json:"id"`
	QueryString   string          `json:"queryString"`
	StatementText string          `json:"statementText"`
	Sinks         []string        `json:"sinks"`
	SinkTopics    []string        `json:"sinkKafkaTopics"`
	Sources       []string        `json:"sources"`
	QueryType     string          `json:"queryType"`
	State         string          `json:"state"`
	ExecutionPlan string          `json:"executionPlan"`
	Statistics    queryStatistics `json:"statistics"`
}

func (q queryJSON) info() engine.QueryInfo {
	info := engine.QueryInfo{ID: q.ID, Text: q.QueryString + q.StatementText, Push: q.QueryType == typePush, Sources: q.Sources}
	if len(q.Sinks) > 0 {
		info.SinkName = q.Sinks[0]
	}
	if len(q.SinkTopics) > 0 {
		info.SinkTopic = q.SinkTopics[0]
	}
	s := q.Statistics
	info.Status = executor.Status{ID: q.ID, State: executor.State(q.State), RowsIn: s.RowsIn, RowsOut: s.RowsOut, Late: s.Late, Errors: s.Errors,
		Restarts: s.Restarts, Reason: s.Reason}
	return info
}

func queryInfos(list []queryJSON) []engine.QueryInfo {
	var out []engine.QueryInfo
	for _, q := range list {
		out = append(out, q.info())
	}
	return out
}

// sourceJSON is a source in a list or a description of one.
type sourceJSON struct {
	Name         string      `json:"name"`
	Type         string      `json:"type"`
	Topic        string      `json:"topic"`
	KeyFormat    string      `json:"keyFormat"`
	ValueFormat  string      `json:"valueFormat"`
	IsWindowed   bool        `json:"isWindowed"`
	WindowType   string      `json:"windowType"`
	Fields       []fieldJSON `json:"fields"`
	Timestamp    string      `json:"timestamp"`
	Partitions   int32       `json:"partitions"`
	Replication  int32       `json:"replication"`
	Extended     bool        `json:"extended"`
	Statement    string      `json:"statement"`
	ReadQueries  []queryJSON `json:"readQueries"`
	WriteQueries []queryJSON `json:"writeQueries"`

	Schemas []engine.RegisteredSchema `json:"schemas"`

	Offsets []struct {
		GroupID string `json:"groupId"`
		Topics  []struct {
			Topic   string `json:"kafkaTopic"`
			Offsets []struct {
				Partition int32 `json:"partition"`
				Start     int64 `json:"logStartOffset"`
				End       int64 `json:"logEndOffset"`
				Consumer  int64 `json:"consumerOffset"`
			} `json:"offsets"`
		} `json:"topicSummaries"`
	} `json:"queryOffsetSummaries"`
}

func (j sourceJSON) source() (*catalog.Source, error) {
	s := &catalog.Source{Name: j.Name, Kind: catalog.Kind(j.Type), Topic: j.Topic, Text: j.Statement,
		Key: plan.Format{Name: j.KeyFormat}, Value: plan.Format{Name: j.ValueFormat}}
	if j.IsWindowed || j.WindowType != "" {
		s.Windowed = &plan.WindowInfo{Kind: plan.WindowKind(j.WindowType)}
	}
	for i, f := range j.Fields {
		t, err := f.Schema.typ()
		if err != nil {
			return nil, fmt.Errorf("field %s of %s: %w", f.Name, j.Name, err)
		}
		c, header := types.Column{Name: f.Name, Type: t}, ""
		switch f.Type {
		case "KEY":
			s.Schema.Key = append(s.Schema.Key, c)
		case "HEADER":
			if header = "*"; f.HeaderKey != "" {
				header = "=" + f.HeaderKey
			}
			fallthrough
		default:
			s.Schema.Value = append(s.Schema.Value, c)
		}
		s.Headers = append(s.Headers, header)
		if f.Name == j.Timestamp {
			s.Timestamp = &plan.TimestampColumn{Column: i}
		}
	}
	return s, nil
}

func (j sourceJSON) description() (engine.SourceDescription, error) {
	s, err := j.source()
	d := engine.SourceDescription{Source: s, Partitions: j.Partitions, Replicas: j.Replication,
		ReadBy: queryInfos(j.ReadQueries), WrittenBy: queryInfos(j.WriteQueries), Schemas: j.Schemas}
	for _, g := range j.Offsets {
		for _, t := range g.Topics {
			group := engine.GroupOffsets{Group: g.GroupID, Topic: t.Topic}
			for _, o := range t.Offsets {
				group.Partitions = append(group.Partitions, engine.PartitionOffsets{Partition: o.Partition, LogStart: o.Start, End: o.End, ConsumerOffset: o.Consumer})
			}
			d.Offsets = append(d.Offsets, group)
		}
	}
	return d, err
}

type fieldJSON struct {
	Name      string     `json:"name"`
	Schema    schemaJSON `json:"schema"`
	Type      string     `json:"type"`
	HeaderKey string     `json:"headerKey"`
}

// schemaJSON is the JSON of a type; schemaInfo writes it.
type schemaJSON struct {
	Type         string      `json:"type"`
	Fields       []fieldJSON `json:"fields"`
	MemberSchema *schemaJSON `json:"memberSchema"`
	Parameters   struct {
		Precision int32 `json:"precision"`
		Scale     int32 `json:"scale"`
	} `json:"parameters"`
}

func (s schemaJSON) typ() (types.Type, error) {
	switch s.Type {
	case "DECIMAL":
		return types.Type{Kind: types.KindDecimal, Precision: s.Parameters.Precision, Scale: s.Parameters.Scale}, nil
	case "ARRAY", "MAP":
		if s.MemberSchema == nil {
			return types.Null, fmt.Errorf("%s without memberSchema", s.Type)
		}
		elem, err := s.MemberSchema.typ()
		if err != nil {
			return types.Null, err
		}
		if s.Type == "ARRAY" {
			return types.Type{Kind: types.KindArray, Elem: &elem}, nil
		}
		key := types.String
		return types.Type{Kind: types.KindMap, Key: &key, Elem: &elem}, nil
	case "STRUCT":
		t := types.Type{Kind: types.KindStruct}
		for _, f := range s.Fields {
			ft, err := f.Schema.typ()
			if err != nil {
				return types.Null, err
			}
			t.Fields = append(t.Fields, types.Field{Name: f.Name, Type: ft})
		}
		return t, nil
	}
	return types.ParseType(s.Type)
}

// DecodeEntity turns an element of the answer to POST /ksql back into the result
// that it was made of, as far as it is shown. Errors: JSON that is none of the
// entities of rest.md section 5.
func DecodeEntity(text []byte) (engine.Result, error) {
	var e entityJSON
	if err := json.Unmarshal(text, &e); err != nil {
		return nil, fmt.Errorf("decode the server's answer: %w", err)
	}
	switch e.Type {
	case "currentStatus":
		done := &engine.Done{Msg: e.Status.Message, Text: e.StatementText, Command: &engine.CommandStatus{ID: e.CommandID, Sequence: e.Sequence, QueryID: e.Status.QueryID}}
		for _, w := range e.Warnings {
			done.Warnings = append(done.Warnings, w.Message)
		}
		return done, nil
	case "terminate_query":
		return &engine.Done{Msg: "Query terminated.", Terminated: e.QueryID}, nil
	case "warning_entity":
		return &engine.Done{Msg: e.Message, Warning: true}, nil
	case "streams":
		return sourceList(catalog.Stream, e.Streams)
	case "tables":
		return sourceList(catalog.Table, e.Tables)
	case "assert_topic", "assert_schema":
		return &engine.Assertion{Topic: e.TopicName, Subject: e.Subject, ID: e.ID, Exists: e.Exists}, nil
	case "kafka_topics", "kafka_topics_extended":
		out := &engine.TopicList{Extended: e.Type == "kafka_topics_extended"}
		for _, t := range e.Topics {
			topic := engine.TopicInfo{Topic: engine.Topic{Name: t.Name, Partitions: int32(len(t.Replicas))}, Consumers: t.Consumers, Groups: t.Groups}
			if len(t.Replicas) > 0 {
				topic.Replicas = t.Replicas[0]
			}
			out.Topics = append(out.Topics, topic)
		}
		return out, nil
	case "queries":
		return &engine.QueryList{Queries: queryInfos(e.Queries)}, nil
	case "query_descriptions":
		return &engine.QueryList{Queries: queryInfos(e.QueryDescriptions), Extended: true}, nil
	case "queryDescription":
		return &engine.Explanation{Query: e.QueryDescription.info(), Plan: e.QueryDescription.ExecutionPlan}, nil
	case "variables":
		return &engine.VariableList{Variables: e.Variables}, nil
	case "properties":
		out := &engine.PropertyList{}
		for _, p := range e.Properties {
			out.Properties = append(out.Properties, engine.PropertyInfo{Name: p.Name, Value: p.Value, Overridden: slices.Contains(e.Overwritten, p.Name), Doc: p.Description})
		}
		return out, nil
	case "function_names", "describe_function":
		return functions(&e)
	case "type_list":
		return typeList(e.Types)
	case "sourceDescription", "source_descriptions":
		return descriptions(&e)
	}
	return nil, fmt.Errorf("the server answered with a %q, which this client does not know", e.Type)
}

func sourceList(kind catalog.Kind, list []sourceJSON) (engine.Result, error) {
	out := &engine.SourceList{Kind: kind}
	for _, j := range list {
		s, err := j.source()
		if err != nil {
			return nil, err
		}
		out.Sources = append(out.Sources, s)
	}
	return out, nil
}

func descriptions(e *entityJSON) (engine.Result, error) {
	out := &engine.SourceDescriptions{}
	list := e.SourceDescriptions
	if e.SourceDescription != nil {
		out.One, list = true, []sourceJSON{*e.SourceDescription}
	}
	for _, j := range list {
		d, err := j.description()
		if err != nil {
			return nil, err
		}
		out.Sources, out.Extended = append(out.Sources, d), j.Extended
	}
	return out, nil
}

func typeList(list map[string]schemaJSON) (engine.Result, error) {
	out := &engine.TypeList{}
	for name, s := range list {
		t, err := s.typ()
		if err != nil {
			return nil, fmt.Errorf("type %s: %w", name, err)
		}
		out.Types = append(out.Types, types.Column{Name: name, Type: t})
	}
	slices.SortFunc(out.Types, func(a, b types.Column) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func functions(e *entityJSON) (engine.Result, error) {
	if e.Type == "function_names" {
		var names []struct{ Name, Type, Category string }
		if err := json.Unmarshal(e.Functions, &names); err != nil {
			return nil, fmt.Errorf("decode the server's functions: %w", err)
		}
		out := &engine.FunctionList{}
		for _, f := range names {
			out.Functions = append(out.Functions, engine.FunctionInfo{Name: f.Name, Class: f.Type, Category: f.Category})
		}
		return out, nil
	}
	var signatures []struct {
		Arguments []struct {
			Name, Type, Description string
			IsVariadic              bool
		}
		ReturnType string
	}
	if err := json.Unmarshal(e.Functions, &signatures); err != nil {
		return nil, fmt.Errorf("decode the server's function: %w", err)
	}
	f := engine.FunctionInfo{Name: e.Name, Class: e.FunctionType, Category: e.Category, Description: e.Description}
	for _, s := range signatures {
		sig := engine.FunctionSignature{ReturnType: s.ReturnType}
		for _, a := range s.Arguments {
			sig.Arguments = append(sig.Arguments, engine.FunctionArgument{Name: a.Name, Type: a.Type, Description: a.Description, Variadic: a.IsVariadic})
		}
		f.Signatures = append(f.Signatures, sig)
	}
	return &engine.FunctionDescription{Function: f}, nil
}

// DecodeError turns the body of an error back into the error: a
// *engine.StatementError where the server says what it is about. text is what was
// sent; shown and base are the script that it was cut from and where, so that the
// excerpt is that of the script.
func DecodeError(body []byte, text, shown string, base int) error {
	var e errorBody
	if err := json.Unmarshal(body, &e); err != nil || e.Message == "" {
		return fmt.Errorf("the server answered: %.200s", body)
	}
	if e.Detail == nil {
		return fmt.Errorf("%s", strings.TrimRight(e.Message, "\n"))
	}
	d := e.Detail
	origin := sql.Origin{}
	if d.Text != text { // a variable changed the text
		origin.Lines = strings.Count(shown[:base], "\n")
		shown, base = d.Text, 0
	}
	span := func(start, end int) sql.Span {
		if start == 0 && end == 0 {
			return sql.Span{}
		}
		return sql.Span{Start: start + base, End: end + base}
	}
	err := &sql.Error{Code: sql.Code(e.SQLCode), Msg: d.Message, Hint: d.Hint, Span: span(d.Start, d.End)}
	for _, n := range d.Notes {
		err.Notes = append(err.Notes, sql.Note{Msg: n.Message, Span: span(n.Start, n.End)})
	}
	return &engine.StatementError{Err: err, Text: shown, Origin: origin}
}
