package op

import (
	"errors"
	"fmt"
	"strings"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

var errNegativeTime = errors.New("timestamp is negative")

// MaxHeaders is the number of headers that a record may have when a plan reads
// them.
const MaxHeaders = expr.MaxHeaders

// Decoder turns the records of one topic-partition into rows (plan.Source).
// Rows whose record cannot be read are left out and reported with the row
// before which they stood, so that they are logged when that place is passed.
type Decoder struct {
	id       string
	topic    string
	schema   *types.Schema
	windowed *plan.WindowInfo
	key      format.Codec
	value    format.Codec
	needed   []bool
	headers  []string
	clean    bool // strings of a clean payload are clean
	rowTime  *timeColumn

	keyCols, valueCols []*batch.Vector
	valueAt            []int // column numbers of the value's columns
}

// Bad is a record that gave no row.
type Bad struct {
	Before int // number of the row that follows
	Entry  Entry
}

// NewDecoder builds the decoder of a source.
func NewDecoder(id string, p *plan.Source, schema *types.Schema, windowed *plan.WindowInfo, schemas format.Schemas) (*Decoder, error) {
	d := &Decoder{id: id, topic: p.Topic, schema: schema, windowed: windowed, headers: p.Headers, needed: p.Needed}
	if windowed != nil && windowed.Kind != plan.Session && windowed.SizeMs <= 0 {
		return nil, fatal(id, fmt.Errorf("window size of topic %s is not known", p.Topic))
	}
	var value []types.Column
	for k := range schema.Len() {
		if k >= len(schema.Key) && d.header(k) == "" {
			value = append(value, schema.Column(k))
			d.valueAt = append(d.valueAt, k)
		}
	}
	var err error
	if d.key, err = format.New(p.Key, schema.Key, format.Side{Topic: p.Topic, Key: true, Schemas: schemas}); err != nil {
		return nil, fatal(id, fmt.Errorf("key: %w", err))
	}
	if d.value, err = format.New(p.Value, value, format.Side{Topic: p.Topic, Schemas: schemas}); err != nil {
		return nil, fatal(id, fmt.Errorf("value: %w", err))
	}
	d.clean = strings.EqualFold(p.Value.Name, "JSON")
	if p.Timestamp != nil {
		if d.rowTime, err = newTimeColumn(p.Timestamp, schema); err != nil {
			return nil, fatal(id, err)
		}
	}
	return d, nil
}

func (d *Decoder) header(k int) string {
	if k < len(d.headers) {
		return d.headers[k]
	}
	return ""
}

// Begin readies an empty batch for up to rows records out of the fetched bytes.
func (d *Decoder) Begin(b *batch.Batch, partition int32, fetched []byte, rows int) {
	b.Reset(d.schema, d.windowed != nil)
	b.Topic = d.topic
	b.Grow(rows)
	d.keyCols, d.valueCols = b.Cols[:b.Keys], d.valueCols[:0]
	for k, v := range b.Cols {
		v.Data = fetched
		if k >= b.Keys && v.Rep == batch.RepBytes && v.Type.Kind == types.KindString {
			v.Clean = d.clean
		}
	}
	for _, k := range d.valueAt {
		v := b.Cols[k]
		if d.needed != nil && !d.needed[k] {
			v.SetAllNull()
			v = nil
		}
		d.valueCols = append(d.valueCols, v)
	}
}

// Decode appends the row of one record, or returns why there is none.
func (d *Decoder) Decode(c *expr.Context, b *batch.Batch, partition int32, r *kafka.Record) *Entry {
	i := b.Append(int64(r.Timestamp), partition, int64(r.Offset), batch.Insert)
	kind, record, err := d.decode(c, b, i, r)
	if err == nil {
		return nil
	}
	b.Unappend()
	return &Entry{
		Operator: d.id, Kind: kind, Topic: d.topic, Partition: partition, Offset: int64(r.Offset),
		TimeMs: int64(r.Timestamp), Cause: err, Effect: effectRecordOut, Record: append([]byte(nil), record...),
	}
}

func (d *Decoder) decode(c *expr.Context, b *batch.Batch, i int32, r *kafka.Record) (kind string, record []byte, err error) {
	switch {
	case r.Key == nil:
		b.SetKeyNull(i)
	default:
		base, start, end, err := format.SplitWindow(r.Key, d.windowed)
		if err == nil {
			err = d.key.Decode(d.keyCols, i, base)
		}
		if err != nil {
			return KindDeserialization, r.Key, fmt.Errorf("key: %w", err)
		}
		if d.windowed != nil {
			b.WindowStart[i], b.WindowEnd[i] = start, end
		}
	}
	if r.Value == nil {
		b.SetValueNull(i)
	} else if err := d.value.Decode(d.valueCols, i, r.Value); err != nil {
		return KindDeserialization, r.Value, fmt.Errorf("value: %w", err)
	}
	b.SetHeaders(i, r.RawHeaders)
	if d.headers != nil {
		if err := d.decodeHeaders(b, i, r.RawHeaders); err != nil {
			return KindDeserialization, r.Value, fmt.Errorf("headers: %w", err)
		}
	}
	if d.rowTime != nil && r.Value != nil {
		if b.Time[i], err = d.rowTime.at(c, b, i); err != nil {
			return KindTimestamp, r.Value, err
		}
	}
	if b.Time[i] < 0 {
		return KindTimestamp, r.Value, errNegativeTime
	}
	return "", nil, nil
}

// decodeHeaders fills the header columns of row i.
func (d *Decoder) decodeHeaders(b *batch.Batch, i int32, raw []byte) error {
	hs, err := kafka.ParseHeaders(raw, MaxHeaders)
	if err != nil {
		return err
	}
	for k, want := range d.headers {
		switch {
		case want == "*":
			all := make([]types.Value, len(hs))
			for n, h := range hs {
				all[n] = types.NewStruct([]types.Value{types.NewString(h.Key), bytesOrNull(h.Value)})
			}
			b.Cols[k].Set(i, types.NewArray(all))
		case strings.HasPrefix(want, "="):
			v := types.NullValue
			for _, h := range hs {
				if h.Key == want[1:] {
					v = bytesOrNull(h.Value)
				}
			}
			b.Cols[k].Set(i, v)
		}
	}
	return nil
}

func bytesOrNull(b []byte) types.Value {
	if b == nil {
		return types.NullValue
	}
	return types.NewBytes(b)
}

// timeColumn reads event time from a column.
type timeColumn struct {
	column int
	parse  *expr.Expr // of a STRING column, nil otherwise
}

// newTimeColumn compiles the reading of a timestamp column: BIGINT and TIMESTAMP
// hold ms, a STRING is parsed by its pattern.
func newTimeColumn(p *plan.TimestampColumn, schema *types.Schema) (*timeColumn, error) {
	if p.Column < 0 || p.Column >= schema.Len() {
		return nil, fmt.Errorf("timestamp column %d of %d", p.Column, schema.Len())
	}
	col := schema.Column(p.Column)
	switch col.Type.Kind {
	case types.KindBigint, types.KindTimestamp:
		if p.Format != "" {
			return nil, fmt.Errorf("timestamp column %s of type %s takes no format", col.Name, col.Type)
		}
		return &timeColumn{column: p.Column}, nil
	case types.KindString:
		if p.Format == "" {
			return nil, fmt.Errorf("timestamp column %s of type STRING needs a format", col.Name)
		}
		pattern := types.NewString(p.Format)
		e, err := expr.Compile(&plan.Expr{Op: plan.OpCall, Name: parseTimestampID, Type: types.Timestamp, Args: []*plan.Expr{
			{Op: plan.OpColumn, Column: p.Column, Type: col.Type},
			{Op: plan.OpLiteral, Value: &pattern, Type: types.String},
		}}, schema)
		if err != nil {
			return nil, fmt.Errorf("timestamp column %s: %w", col.Name, err)
		}
		return &timeColumn{p.Column, e}, nil
	}
	return nil, fmt.Errorf("timestamp column %s has type %s", col.Name, col.Type)
}

// parseTimestampID is the function that reads a STRING timestamp column.
const parseTimestampID = "PARSE_TIMESTAMP(STRING, STRING)"

var errNullTime = errors.New("timestamp column is NULL")

// at returns the event time of row i in ms.
func (t *timeColumn) at(c *expr.Context, b *batch.Batch, i int32) (int64, error) {
	v := b.Cols[t.column]
	if t.parse != nil && !v.IsNull(i) {
		mark := c.Scratch.Mark()
		defer c.Scratch.Release(mark)
		parsed, failed := t.parse.Eval(c, b, batch.Range(int(i), int(i)+1))
		if len(failed) > 0 {
			return 0, failed[0].Err
		}
		v = parsed
	}
	if v.IsNull(i) {
		return 0, errNullTime
	}
	return v.I64[i], nil
}
