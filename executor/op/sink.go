package op

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Sink writes rows to a topic that users read (plan.Sink).
type Sink struct {
	id         string
	topic      string
	partitions int32
	windowed   *plan.WindowInfo
	key, value format.Codec
	rowTime    *timeColumn
	keyBuf     []byte
}

// NewSink returns the writer of a topic.
func NewSink(id string, p *plan.Sink, schema *types.Schema, windowed *plan.WindowInfo, partitions int32, schemas format.Schemas) (*Sink, error) {
	key, err := format.New(p.Key, schema.Key, format.Side{Topic: p.Topic, Key: true, Schemas: schemas})
	if err != nil {
		return nil, fatal(id, fmt.Errorf("key: %w", err))
	}
	value, err := format.New(p.Value, schema.Value, format.Side{Topic: p.Topic, Schemas: schemas})
	if err != nil {
		return nil, fatal(id, fmt.Errorf("value: %w", err))
	}
	s := &Sink{id: id, topic: p.Topic, partitions: partitions, windowed: windowed, key: key, value: value}
	if p.Timestamp != nil {
		if s.rowTime, err = newTimeColumn(p.Timestamp, schema); err != nil {
			return nil, fatal(id, err)
		}
	}
	return s, nil
}

// Process writes a record per row; deletes and rows without a value are
// tombstones. A row that cannot be written is dropped and logged.
func (s *Sink) Process(c *Context, b *batch.Batch) error {
	for _, i := range b.Sel {
		if b.OpAt(i) == batch.UpdateBefore {
			continue
		}
		if kind, err := s.write(c, b, i); err != nil {
			if errors.Is(err, registry.ErrUnavailable) {
				return err // the row is good: the query tries again
			}
			c.report(s.id, kind, b, i, err, effectRowOut)
		}
	}
	return nil
}

func (s *Sink) write(c *Context, b *batch.Batch, i int32) (kind string, err error) {
	null := b.ValueNull.Get(i) || b.OpAt(i) == batch.Delete
	time := b.Time[i]
	if s.rowTime != nil && !null {
		if time, err = s.rowTime.at(&c.Context, b, i); err == nil && time < 0 {
			err = errNegativeTime
		}
		if err != nil {
			return KindTimestamp, err
		}
	}
	keyNull := b.KeyNull.Get(i)
	key := s.keyBuf[:0]
	if !keyNull {
		if key, keyNull, err = s.key.Append(key, b.Cols[:b.Keys], i); err != nil {
			return KindSerialization, fmt.Errorf("key: %w", err)
		}
		s.keyBuf = key
	}
	partition := b.Partition[i] % s.partitions
	if !keyNull {
		partition = kafka.Partition(key, s.partitions)
		if s.windowed != nil {
			key = format.AppendWindow(key, s.windowed, b.WindowStart[i], b.WindowEnd[i])
			s.keyBuf = key
		}
	}
	w := c.Out.Builder(kafka.TopicPartition{Topic: s.topic, Partition: partition})
	w.BeginRecord(kafka.Timestamp(time))
	if keyNull {
		w.NullField()
	} else {
		w.BeginField()
		w.SetBuffer(append(w.Buffer(), key...))
		w.EndField()
	}
	if err := s.writeValue(w, b, i, null); err != nil {
		w.AbortRecord()
		return KindSerialization, fmt.Errorf("value: %w", err)
	}
	w.EndRecordRaw(b.RawHeaders(i))
	if w.OpenBytes() >= MaxBatchBytes {
		w.Finish()
	}
	return "", nil
}

func (s *Sink) writeValue(w *kafka.BatchBuilder, b *batch.Batch, i int32, null bool) error {
	if null {
		w.NullField()
		return nil
	}
	mark := w.Len()
	w.BeginField()
	buf, null, err := s.value.Append(w.Buffer(), b.Cols[b.Keys:], i)
	if err != nil {
		return err
	}
	if null {
		w.SetBuffer(buf[:mark])
		w.NullField()
		return nil
	}
	w.SetBuffer(buf)
	w.EndField()
	return nil
}
