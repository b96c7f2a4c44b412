package op

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/internal/kafka"
)

// Port takes batches. The batch and its columns are shared: they are read only,
// and die when Process returns. An error stops the query.
type Port interface {
	Process(c *Context, b *batch.Batch) error
}

// Context is what a run of a task lends its operators.
type Context struct {
	expr.Context
	// Report takes a row for the processing log.
	Report func(Entry)
	// Out lends the builders that sinks write to.
	Out Output
	// Late counts rows that came after their window had closed.
	Late *int64
}

// Output lends the staged record batches of a commit.
type Output interface {
	// Builder returns the builder of a topic-partition.
	Builder(tp kafka.TopicPartition) *kafka.BatchBuilder
}

// Kinds of entries of the processing log.
const (
	KindDeserialization = "deserialization"
	KindTimestamp       = "timestamp"
	KindExpression      = "expression"
	KindSerialization   = "serialization"
	KindTable           = "table"
)

// Entry is a bad row for the processing log.
type Entry struct {
	Operator  string
	Kind      string
	Topic     string
	Partition int32
	Offset    int64
	TimeMs    int64
	Cause     error
	// Effect says what became of the record: "column Q is NULL", "row left out".
	Effect string
	// Record are the original bytes, nil when there are none.
	Record []byte
}

// Effects of bad rows that more than one operator reports.
const (
	effectRecordOut = "record left out"
	effectRowOut    = "row left out"
)

// report logs row i of b; effect says what becomes of it.
func (c *Context) report(operator, kind string, b *batch.Batch, i int32, cause error, effect string) {
	c.Report(Entry{Operator: operator, Kind: kind, Topic: b.Topic, Partition: b.Partition[i], Offset: b.Offset[i], TimeMs: b.Time[i], Cause: cause, Effect: effect})
}

// reportFailed logs the rows that an expression failed on. The rows that a change
// takes back were logged when they came.
func (c *Context) reportFailed(operator string, b *batch.Batch, failed []expr.Failure, effect func(expr.Failure) string) {
	for _, x := range failed {
		if !b.OpAt(x.Row).Retracts() {
			c.report(operator, KindExpression, b, x.Row, x.Err, effect(x))
		}
	}
}

// EffectOnColumn says what a failed expression makes of its column.
func EffectOnColumn(x expr.Failure, name string) string {
	if x.Noted {
		return "the call is NULL in column " + name
	}
	return "column " + name + " is NULL"
}

// EffectOnFilter says what a failed condition makes of its row.
func EffectOnFilter(x expr.Failure) string {
	if x.Noted {
		return "the call is NULL in the condition"
	}
	return effectRowOut
}

// emit passes a batch on and takes back what the operators below borrowed.
func emit(c *Context, next Port, b *batch.Batch) error {
	if len(b.Sel) == 0 {
		return nil
	}
	mark := c.Scratch.Mark()
	err := next.Process(c, b)
	c.Scratch.Release(mark)
	return err
}

// Tee passes batches to several ports in order.
type Tee []Port

// Process passes the batch to every port.
func (t Tee) Process(c *Context, b *batch.Batch) error {
	for _, p := range t {
		if err := emit(c, p, b); err != nil {
			return err
		}
	}
	return nil
}

// fatal wraps an error that stops the query with the operator's name.
func fatal(operator string, err error) error { return fmt.Errorf("%s: %w", operator, err) }
