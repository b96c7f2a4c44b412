package executor

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/internal/clock"
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
	// Log is used instead of a fresh one, for tests of restarts and faults.
	Log *MemLog
	// State is a state store on disk, nil for none.
	State *state.Backend
	// Schemas is the schema registry, nil for none.
	Schemas format.Schemas
	// StateMemory bounds the stores' memory; 0 for the executor's default.
	StateMemory int64
}

// DriverRecord is a record pushed into or written by a Driver.
type DriverRecord struct {
	Topic     string
	Partition int32 // always 0
	Timestamp kafka.Timestamp
	Key       []byte // nil for null
	Value     []byte // nil for null
	Headers   []kafka.Header
}

// Driver runs one query by hand: records in, and everything that they cause. All
// topics have one partition. It has no goroutine and no timer, and wall time
// stands still.
type Driver struct {
	log     *MemLog
	cfg     *Config
	q       *query
	w       worker
	sinks   []kafka.TopicPartition
	taken   map[kafka.TopicPartition]kafka.Offset
	rows    []Row
	entries []LogEntry
	failed  error
}

// driverGroup is the consumer group of a driver's query.
const driverGroup = "driver"

// maxDriverSteps ends a driver whose query never comes to rest.
const maxDriverSteps = 100_000_000

// NewDriver builds the query's tasks.
func NewDriver(p *plan.Query, cfg DriverConfig) (*Driver, error) {
	d := &Driver{log: cfg.Log, taken: map[kafka.TopicPartition]kafka.Offset{}}
	if d.log == nil {
		d.log = new(MemLog)
	}
	var err error
	d.cfg, err = Config{
		Log:            d.log,
		Partitions:     func(string) (int32, error) { return 1, nil },
		Clock:          clock.Fixed(time.UnixMilli(cfg.NowMs)),
		CommitMinDelay: -1,
		CommitInterval: time.Hour,
		PushBuffer:     1 << 30,
		batchRows:      cfg.BatchRows,
		State:          cfg.State,
		StateMemory:    cfg.StateMemory,
		Schemas:        cfg.Schemas,
		onEntry:        func(e LogEntry) { d.entries = append(d.entries, e) },
	}.withDefaults()
	if err != nil {
		return nil, err
	}
	d.q = newQuery(p, d.cfg, driverGroup, driverGroup)
	d.q.wake = func(t *task) { t.sched.woken = true }
	if p.Transient {
		d.q.push = &Push{q: d.q, ready: make(chan struct{}, 1)}
	}
	if err := d.q.build(); err != nil {
		return nil, fmt.Errorf("query %s: %w", p.ID, err)
	}
	for s := range p.SubPlans {
		for i := range p.SubPlans[s].Nodes {
			if o, ok := p.SubPlans[s].Nodes[i].Op.(*plan.Sink); ok {
				tp := kafka.TopicPartition{Topic: o.Topic}
				d.sinks = append(d.sinks, tp)
				_, d.taken[tp], _ = d.log.Bounds(context.Background(), tp)
			}
		}
	}
	return d, d.drain()
}

// Push appends a record to a source topic and runs the query until nothing is
// left to do, repartition topics included. An error is the query's failure.
func (d *Driver) Push(rec DriverRecord) error {
	if err := d.Append(rec); err != nil {
		return err
	}
	return d.Drain()
}

// Append appends records without running the query.
func (d *Driver) Append(recs ...DriverRecord) error {
	for _, rec := range recs {
		var w kafka.BatchBuilder
		w.Append(rec.Timestamp, rec.Key, rec.Value, rec.Headers)
		w.Finish()
		if _, err := d.log.Append(kafka.TopicPartition{Topic: rec.Topic}, w.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// Drain runs the query until nothing is left to do.
func (d *Driver) Drain() error {
	if d.failed == nil {
		d.failed = d.drain()
	}
	return d.failed
}

func (d *Driver) drain() error {
	steps := 0
	for busy := true; busy; {
		busy = false
		for _, t := range d.q.tasks {
			for more := true; more; {
				t.sched.woken = false
				v, err := t.step(&d.w)
				if err != nil {
					return err
				}
				more = v.again || t.sched.woken
				busy = busy || more
				if steps++; steps > maxDriverSteps {
					return errors.New("the query does not come to rest")
				}
			}
		}
	}
	if p := d.q.push; p != nil {
		d.rows = append(d.rows, p.rows...)
		p.rows = nil
	}
	return nil
}

// Take returns the records written to sinks since the last call, in order per
// topic.
func (d *Driver) Take() ([]DriverRecord, error) {
	var out []DriverRecord
	for _, tp := range d.sinks {
		recs, err := d.log.RecordsFrom(tp, d.taken[tp])
		if err != nil {
			return nil, err
		}
		for _, r := range recs {
			headers, err := kafka.ParseHeaders(r.RawHeaders, op.MaxHeaders)
			if err != nil {
				return nil, err
			}
			out = append(out, DriverRecord{Topic: tp.Topic, Timestamp: r.Timestamp, Key: r.Key, Value: r.Value, Headers: headers})
			d.taken[tp] = r.Offset + 1
		}
	}
	return out, nil
}

// Rows returns the rows of a transient query's result since the last call.
func (d *Driver) Rows() []Row {
	rows := d.rows
	d.rows = nil
	return rows
}

// Errors returns the processing log's entries since the last call.
func (d *Driver) Errors() []LogEntry {
	entries := d.entries
	d.entries = nil
	return entries
}

// Late returns the number of rows that came after their window had closed.
func (d *Driver) Late() int64 { return d.q.late.Load() }
