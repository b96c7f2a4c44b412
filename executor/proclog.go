package executor

import (
	"strings"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// ProcessingLogSchema is the shape of the processing log: key format NONE, value
// format JSON.
var ProcessingLogSchema = types.Schema{Value: []types.Column{
	{Name: "QUERY", Type: types.String},
	{Name: "OPERATOR", Type: types.String},
	{Name: "KIND", Type: types.String},
	{Name: "TOPIC", Type: types.String},
	{Name: "PARTITION", Type: types.Integer},
	{Name: "OFFSET", Type: types.Bigint},
	{Name: "TIME", Type: types.Bigint},
	{Name: "CAUSE", Type: types.String},
	{Name: "RECORD", Type: types.Bytes},
}}

// LogEntry is a row of the processing log (DESIGN D10).
type LogEntry struct {
	Query    string
	Operator string
	// Kind is deserialization, timestamp, expression, serialization or table.
	Kind      string
	Topic     string
	Partition int32
	Offset    kafka.Offset
	TimeMs    int64 // row time
	Cause     string
	Record    []byte // original bytes, nil when there are none
}

func newLogEntry(query string, e op.Entry) LogEntry {
	return LogEntry{query, e.Operator, e.Kind, e.Topic, e.Partition, kafka.Offset(e.Offset), e.TimeMs, e.Cause.Error(), e.Record}
}

// row returns the entry's columns.
func (e LogEntry) row() []types.Value {
	record := types.NullValue
	if e.Record != nil {
		record = types.NewBytes(e.Record)
	}
	return []types.Value{
		types.NewString(e.Query), types.NewString(e.Operator), types.NewString(e.Kind), types.NewString(e.Topic),
		types.NewInteger(e.Partition), types.NewBigint(int64(e.Offset)), types.NewBigint(e.TimeMs), types.NewString(e.Cause), record,
	}
}

// report counts a bad row and stages its entry with the outputs of its task; that
// of a push query goes to its reader.
func (q *query) report(out *stage, e op.Entry) {
	q.errs.Add(1)
	entry := newLogEntry(q.plan.ID, e)
	if q.cfg.onEntry != nil {
		q.cfg.onEntry(entry)
	}
	if q.push != nil {
		q.push.bad(e)
		return
	}
	// What fails over the processing log itself would make entries without end.
	if tp := q.cfg.ProcessingLog; tp.Topic == "" || tp.Topic == e.Topic {
		return
	}
	value, err := encodeEntry(entry)
	if err != nil {
		q.warn("processing log entry", err)
		return
	}
	out.Builder(q.cfg.ProcessingLog).Append(kafka.Timestamp(q.cfg.Clock.Now().UnixMilli()), nil, value, nil)
}

// encodeEntry returns the value of an entry's record.
func encodeEntry(e LogEntry) ([]byte, error) {
	row, err := format.NewRow(plan.Format{Name: "JSON"}, ProcessingLogSchema.Value, format.Side{})
	if err != nil {
		panic(err) // the schema is ours
	}
	return row.Encode(e.row())
}

// strictProperties are the properties that make bad rows of a kind stop the
// query instead of leaving them out.
var strictProperties = map[string]string{
	op.KindDeserialization: "ksql.fail.on.deserialization.error",
	op.KindTimestamp:       "ksql.timestamp.throw.on.invalid",
}

// strict reports whether a bad row of a kind stops the query.
func (q *query) strict(kind string) bool {
	name, ok := strictProperties[kind]
	return ok && strings.EqualFold(q.plan.Properties[name], "true")
}
