// Package latency measures how long a record takes from a producer's send to a
// read-committed consumer of a filter query's output, over the Kafka protocol on
// loopback, at a given rate.
package latency

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/vfs"
)

// Result holds latencies in ms. The fsync figures are of 4 KiB appends to a
// recycled file in the same directory, measured just before.
type Result struct {
	Events     int     `json:"events"`
	Rate       int     `json:"rate"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
	MaxMs      float64 `json:"max_ms"`
	FsyncP50Ms float64 `json:"fsync_p50_ms"`
	FsyncP99Ms float64 `json:"fsync_p99_ms"`
}

const schema = `
CREATE STREAM latency_in (n BIGINT, sent BIGINT) WITH (KAFKA_TOPIC='latency_in', VALUE_FORMAT='JSON', PARTITIONS=1);
CREATE STREAM latency_out AS SELECT n, sent FROM latency_in WHERE n >= 0 EMIT CHANGES;
`

// outTopic is the sink's topic.
const outTopic = "LATENCY_OUT"

// Run measures events records at rate per second.
func Run(ctx context.Context, e *engine.Engine, clk clock.Clock, dir string, events, rate int) (Result, error) {
	r := Result{Events: events, Rate: rate}
	fsyncs, err := fsyncTimes(clk, dir)
	if err != nil {
		return r, err
	}
	r.FsyncP50Ms, r.FsyncP99Ms = quantile(fsyncs, 0.5), quantile(fsyncs, 0.99)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return r, err
	}
	go e.Serve(l) //nolint:errcheck // ends with the engine, which reports why
	if err := e.NewSession().Execute(ctx, schema, func(engine.Result) error { return nil }); err != nil {
		return r, err
	}
	seed := kgo.SeedBrokers(l.Addr().String())
	producer, err := kgo.NewClient(seed, kgo.DefaultProduceTopic("latency_in"), kgo.ProducerLinger(0))
	if err != nil {
		return r, err
	}
	defer producer.Close()
	consumer, err := kgo.NewClient(seed, kgo.ConsumeTopics(outTopic), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		return r, err
	}
	defer consumer.Close()
	failed := make(chan error, 1)
	go func() { failed <- produce(ctx, producer, clk, events, rate) }()
	latencies, err := consume(ctx, consumer, clk, events)
	if err != nil {
		return r, err
	}
	if err := <-failed; err != nil {
		return r, err
	}
	r.P50Ms, r.P99Ms, r.MaxMs = quantile(latencies, 0.5), quantile(latencies, 0.99), quantile(latencies, 1)
	return r, nil
}

// produce sends records evenly spaced.
func produce(ctx context.Context, cl *kgo.Client, clk clock.Clock, events, rate int) error {
	start := clk.Now()
	var failure error
	for n := range events {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(rate))
		if wait := due.Sub(clk.Now()); wait > 0 {
			timer := clk.NewTimer(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		value := `{"N":` + strconv.Itoa(n) + `,"SENT":` + strconv.FormatInt(clk.Now().UnixNano(), 10) + `}`
		cl.Produce(ctx, &kgo.Record{Value: []byte(value)}, func(_ *kgo.Record, err error) {
			if err != nil {
				failure = err
			}
		})
	}
	return errors.Join(cl.Flush(ctx), failure)
}

// consume returns the latency of each record in ms.
func consume(ctx context.Context, cl *kgo.Client, clk clock.Clock, events int) ([]float64, error) {
	var latencies []float64
	for len(latencies) < events {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, err
		}
		now := clk.Now().UnixNano()
		for it := fetches.RecordIter(); !it.Done(); {
			var v struct{ N, SENT int64 }
			if err := json.Unmarshal(it.Next().Value, &v); err != nil {
				return nil, err
			}
			if v.N != int64(len(latencies)) {
				return nil, fmt.Errorf("record %d came where %d was due", v.N, len(latencies))
			}
			latencies = append(latencies, float64(now-v.SENT)/1e6)
		}
	}
	return latencies, nil
}

// fsyncTimes measures write + sync of 4 KiB in dir, in ms.
func fsyncTimes(clk clock.Clock, dir string) (_ []float64, err error) {
	const rounds = 200
	fsys := vfs.Default
	name := filepath.Join(dir, "fsync.probe")
	f, err := fsys.OpenReadWrite(name, vfs.Category)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close(), fsys.Remove(name)) }()
	block := make([]byte, 4096)
	var times []float64
	for i := range 2 * rounds {
		start := clk.Now()
		if _, err := f.WriteAt(block, int64(i%rounds)*4096); err != nil {
			return nil, err
		}
		if err := f.SyncData(); err != nil {
			return nil, err
		}
		if i >= rounds { // the second round overwrites, as a recycled log does
			times = append(times, float64(clk.Now().Sub(start))/1e6)
		}
	}
	return times, nil
}

// quantile sorts values and returns the q-th of them.
func quantile(values []float64, q float64) float64 {
	slices.Sort(values)
	if len(values) == 0 {
		return 0
	}
	return values[min(int(q*float64(len(values))), len(values)-1)]
}
