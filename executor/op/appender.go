package op

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// appender collects output rows and passes them on in batches of MaxRows. A
// change's two rows are never parted.
type appender struct {
	next     Port
	schema   *types.Schema
	windowed bool

	c *Context
	b *batch.Batch
}

// begin starts the output of one input batch.
func (a *appender) begin(c *Context, topic string) {
	a.c = c
	a.b = c.Scratch.Batch(a.schema, a.windowed)
	a.b.Topic = topic
}

// row appends a row with the position and the headers of row i of in, the record
// that causes it; its values are unset.
func (a *appender) row(in *batch.Batch, i int32, time int64, op batch.Op) int32 {
	o := a.b.Append(time, in.Partition[i], in.Offset[i], op)
	if in.Headers != nil {
		a.b.SetHeaders(o, in.RawHeaders(i))
	}
	return o
}

// window sets the window of output row o.
func (a *appender) window(o int32, start, end int64) {
	if a.b.WindowStart != nil {
		a.b.WindowStart[o], a.b.WindowEnd[o] = start, end
	}
}

// copyWindow copies the window of row i.
func (a *appender) copyWindow(o int32, in *batch.Batch, i int32) {
	if in.WindowStart != nil {
		a.window(o, in.WindowStart[i], in.WindowEnd[i])
	}
}

// copyKey copies the key columns of row i and whether the key is null.
func (a *appender) copyKey(o int32, in *batch.Batch, i int32) {
	for k := range a.b.Keys {
		a.b.Cols[k].Copy(o, in.Cols[k], i)
	}
	if in.KeyNull.Get(i) {
		a.b.SetKeyNull(o)
	}
}

// flush passes a full batch on. It is called between changes only.
func (a *appender) flush() error {
	if a.b.Rows < batch.MaxRows {
		return nil
	}
	return a.end()
}

// end passes on what is left.
func (a *appender) end() error {
	if a.b.Rows == 0 {
		return nil
	}
	a.b.SelectAll()
	err := emit(a.c, a.next, a.b)
	topic := a.b.Topic
	a.b.Reset(a.schema, a.windowed)
	a.b.Topic = topic
	return err
}
