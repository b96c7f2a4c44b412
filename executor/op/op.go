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
	// Record are the original bytes, nil when there are none.
	Record []byte
}

// report logs row i of b.
func (c *Context) report(operator, kind string, b *batch.Batch, i int32, cause error) {
	c.Report(Entry{Operator: operator, Kind: kind, Topic: b.Topic, Partition: b.Partition[i], Offset: b.Offset[i], TimeMs: b.Time[i], Cause: cause})
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
