package executor

import (
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// DriverConfig is what a Driver is made of.
type DriverConfig struct {
	// NowMs is the wall time that every record sees.
	NowMs int64
	// BatchRows is the largest number of rows per batch, for tests; 0 for the
	// executor's own.
	BatchRows int
}

// DriverRecord is a record pushed into or written by a Driver.
type DriverRecord struct {
	Topic     string
	Partition int32
	Timestamp kafka.Timestamp
	Key       []byte // nil for null
	Value     []byte // nil for null
	Headers   []kafka.Header
}

// LogEntry is a row of the processing log (DESIGN D10).
type LogEntry struct {
	Query     string
	Operator  string
	Kind      string // "deserialization", "expression", "aggregate", "serialization", "timestamp"
	Topic     string
	Partition int32
	Offset    kafka.Offset
	TimeMs    int64 // row time
	Cause     string
	Record    []byte // original bytes, nil when there are none
}

// Driver runs one query by hand: one record at a time, each with everything that
// it causes. All topics have one partition. It needs no log, no goroutine and no
// clock.
type Driver struct{}

// NewDriver builds the query's tasks.
func NewDriver(q *plan.Query, cfg DriverConfig) (*Driver, error) { return nil, errNotBuilt }

// Push appends a record to a source topic and runs the query until nothing is
// left to do, repartition topics included. An error is the query's failure.
func (d *Driver) Push(rec DriverRecord) error { return errNotBuilt }

// Take returns the records written to sinks since the last call, in order.
func (d *Driver) Take() []DriverRecord { return nil }

// Rows returns the rows of a transient query's result since the last call.
func (d *Driver) Rows() []Row { return nil }

// Errors returns the processing log's entries since the last call.
func (d *Driver) Errors() []LogEntry { return nil }
