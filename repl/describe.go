package repl

import "github.com/millrace/millrace/engine"

// sourceJSON is DESCRIBE ... EXTENDED in JSON output.
type sourceJSON struct {
	Name         string      `json:"name"`
	Type         string      `json:"type"`
	Topic        string      `json:"topic"`
	Partitions   int32       `json:"partitions"`
	Replicas     int32       `json:"replicas"`
	KeyFormat    string      `json:"keyFormat"`
	ValueFormat  string      `json:"valueFormat"`
	Timestamp    string      `json:"timestamp,omitempty"`
	WindowType   string      `json:"windowType,omitempty"`
	Fields       []fieldJSON `json:"fields"`
	WriteQueries []queryJSON `json:"writeQueries"`
	ReadQueries  []queryJSON `json:"readQueries"`
	Offsets      []groupJSON `json:"offsets"`

	Schemas   []engine.RegisteredSchema `json:"schemas,omitempty"`
	Statement string                    `json:"statement"`
}

type fieldJSON struct {
	Field string `json:"field"`
	Type  string `json:"type"`
	Mark  string `json:"mark,omitempty"`
}

type queryJSON struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	RowsIn   int64  `json:"rowsIn"`
	RowsOut  int64  `json:"rowsOut"`
	Late     int64  `json:"late"`
	Errors   int64  `json:"errors"`
	Restarts int    `json:"restarts"`
	Reason   string `json:"reason,omitempty"`
}

type groupJSON struct {
	Group      string          `json:"group"`
	Topic      string          `json:"topic"`
	Partitions []partitionJSON `json:"partitions"`
}

type partitionJSON struct {
	Partition      int32 `json:"partition"`
	LogStartOffset int64 `json:"logStartOffset"`
	LogEndOffset   int64 `json:"logEndOffset"`
	ConsumerOffset int64 `json:"consumerOffset"`
}

func sourceObject(d engine.SourceDescription) sourceJSON {
	s := d.Source
	out := sourceJSON{Name: s.Name, Type: string(s.Kind), Topic: s.Topic, Partitions: d.Partitions, Replicas: d.Replicas, KeyFormat: s.Key.Name,
		ValueFormat: s.Value.Name, Timestamp: s.TimestampColumnName(), Statement: s.Text,
		WriteQueries: queryObjects(d.WrittenBy), ReadQueries: queryObjects(d.ReadBy), Offsets: []groupJSON{}, Schemas: d.Schemas}
	if s.Windowed != nil {
		out.WindowType = string(s.Windowed.Kind)
	}
	for i := range s.Schema.Len() {
		c := s.Schema.Column(i)
		out.Fields = append(out.Fields, fieldJSON{c.Name, c.Type.String(), columnMark(s, i)})
	}
	for _, g := range d.Offsets {
		group := groupJSON{Group: g.Group, Topic: g.Topic}
		for _, p := range g.Partitions {
			group.Partitions = append(group.Partitions, partitionJSON{p.Partition, p.LogStart, p.End, p.ConsumerOffset})
		}
		out.Offsets = append(out.Offsets, group)
	}
	return out
}

func queryObjects(list []engine.QueryInfo) []queryJSON {
	out := []queryJSON{}
	for _, q := range list {
		s := q.Status
		out = append(out, queryJSON{q.ID, string(s.State), s.RowsIn, s.RowsOut, s.Late, s.Errors, s.Restarts, s.Reason})
	}
	return out
}
