package nexmark

import (
	"context"
	"fmt"
	"strings"
	"syscall"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

// batchRecords is how many events are produced in one record batch.
const batchRecords = 1000

// Result is the outcome of one query.
type Result struct {
	Query           string  `json:"query"`
	Events          int64   `json:"events"`
	Seconds         float64 `json:"seconds"`
	CPUSeconds      float64 `json:"cpu_seconds"`
	EventsPerSecond float64 `json:"events_per_second"`
	Guarantee       string  `json:"guarantee"`
	PeakRSSBytes    int64   `json:"peak_rss_bytes"`
	OutputRecords   int64   `json:"output_records"`
}

var topics = [...]string{Person: "person", Auction: "auction", Bid: "bid"}

// Load creates the topics and the streams and fills them with events.
func Load(ctx context.Context, e *engine.Engine, events int64, rate int64, partitions int32) error {
	for _, name := range topics {
		if err := e.CreateTopic(ctx, name, partitions); err != nil {
			return err
		}
	}
	g := NewGenerator(1, rate)
	var builders [len(topics)]struct {
		w         kafka.BatchBuilder
		partition int32
	}
	flush := func(k Kind) error {
		b := &builders[k]
		b.w.Finish()
		if b.w.Records() == 0 {
			return nil
		}
		tp := kafka.TopicPartition{Topic: topics[k], Partition: b.partition}
		err := e.Produce(ctx, tp, b.w.Bytes(), b.w.Records())
		b.w = kafka.BatchBuilder{}
		b.partition = (b.partition + 1) % partitions
		return err
	}
	var event []byte
	for range events {
		var kind Kind
		var ts int64
		event, kind, ts = g.Next(event[:0])
		builders[kind].w.Append(kafka.Timestamp(ts), nil, event, nil)
		if builders[kind].w.Records() == batchRecords {
			if err := flush(kind); err != nil {
				return err
			}
		}
	}
	for k := range builders {
		if err := flush(Kind(k)); err != nil {
			return err
		}
	}
	return execute(ctx, e, Schema)
}

func execute(ctx context.Context, e *engine.Engine, script string) error {
	s := e.NewSession()
	if err := s.SetProperty("auto.offset.reset", "earliest"); err != nil {
		return err
	}
	return s.Execute(ctx, script, func(engine.Result) error { return nil })
}

// Run creates a query, waits for its last committed output and drops it again.
func Run(ctx context.Context, e *engine.Engine, clk clock.Clock, q Query) (Result, error) {
	r := Result{Query: q.Name, Guarantee: "exactly_once_v2"}
	for _, topic := range q.Reads {
		n, err := e.TopicRecords(ctx, topic)
		if err != nil {
			return r, err
		}
		r.Events += n
	}
	cpu := cpuSeconds()
	start := clk.Now()
	if err := execute(ctx, e, q.SQL); err != nil {
		return r, err
	}
	if err := wait(ctx, e, q); err != nil {
		return r, err
	}
	r.Seconds = clk.Now().Sub(start).Seconds()
	r.CPUSeconds = cpuSeconds() - cpu
	r.EventsPerSecond = float64(r.Events) / r.Seconds
	r.PeakRSSBytes = peakRSS()
	sink := strings.ToUpper(q.Sink)
	var err error
	if r.OutputRecords, err = e.TopicRecords(ctx, sink); err != nil {
		return r, err
	}
	kind := "STREAM"
	if strings.HasPrefix(q.SQL, "CREATE TABLE") {
		kind = "TABLE"
	}
	return r, execute(ctx, e, fmt.Sprintf("DROP %s %s DELETE TOPIC;", kind, q.Sink))
}

// wait returns when the query has committed everything that its inputs hold.
func wait(ctx context.Context, e *engine.Engine, q Query) error {
	src := e.Catalog().Source(strings.ToUpper(q.Sink))
	if src == nil {
		return fmt.Errorf("%s made no stream or table named %s", q.Name, q.Sink)
	}
	return e.WaitCaughtUp(ctx, src.QueryID)
}

// cpuSeconds is the CPU time of this process, user and system.
func cpuSeconds() float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return float64(u.Utime.Sec+u.Stime.Sec) + float64(u.Utime.Usec+u.Stime.Usec)/1e6
}

// peakRSS is the largest resident size of this process so far.
func peakRSS() int64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return u.Maxrss * 1024
}
