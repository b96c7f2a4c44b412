package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
)

// shape is one cell of the comparison.
type shape struct {
	recordBytes, partitions, producers int
}

func (s shape) String() string {
	return fmt.Sprintf("%d B, %d partitions, %d producers", s.recordBytes, s.partitions, s.producers)
}

// figures is what one run of one shape showed.
type figures struct {
	produced, fetched       float64 // records per second
	producedCPU, fetchedCPU float64 // records per second of the server's CPU time
	p50, p99                time.Duration
}

// payloads are values that differ, so that nothing can be shared by chance.
func payloads(size int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, 2))
	list := make([][]byte, 1024)
	for i := range list {
		list[i] = make([]byte, size)
		for j := range list[i] {
			list[i][j] = 'a' + byte(rnd.IntN(26))
		}
	}
	return list
}

// producerOptions are those of an ordinary client: acks=all, idempotent, no
// compression.
func producerOptions(addr, topic string, linger time.Duration) []kgo.Opt {
	return []kgo.Opt{
		kgo.SeedBrokers(addr), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(linger), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.UniformBytesPartitioner(64<<10, false, true, nil)),
		kgo.MaxBufferedRecords(50_000), kgo.DisableClientMetrics(),
	}
}

// produceAll writes records as fast as the server takes them.
func produceAll(ctx context.Context, addr, topic string, s shape, records int) error {
	values := payloads(s.recordBytes)
	errs := make(chan error, s.producers)
	for p := range s.producers {
		go func() { errs <- produceSome(ctx, addr, topic, values, records/s.producers, p) }()
	}
	var err error
	for range s.producers {
		err = errors.Join(err, <-errs)
	}
	return err
}

func produceSome(ctx context.Context, addr, topic string, values [][]byte, records, seed int) error {
	cl, err := kgo.NewClient(producerOptions(addr, topic, 5*time.Millisecond)...)
	if err != nil {
		return err
	}
	defer cl.Close()
	var failed atomic.Pointer[error]
	acknowledged := func(_ *kgo.Record, err error) {
		if err != nil {
			failed.CompareAndSwap(nil, &err)
		}
	}
	for i := range records {
		cl.Produce(ctx, &kgo.Record{Value: values[(seed+i)%len(values)]}, acknowledged)
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if err := failed.Load(); err != nil {
		return *err
	}
	return nil
}

// fetchAll reads a topic from its beginning.
func fetchAll(ctx context.Context, addr, topic string, records int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer cl.Close()
	for n := 0; n < records; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return err
		}
		n += fetches.NumRecords()
	}
	return nil
}

// latencies sends records at a rate, each by itself, and returns how long the
// acknowledgements took, sorted.
func latencies(ctx context.Context, addr, topic string, s shape, rate int, duration time.Duration) ([]time.Duration, error) {
	values := payloads(s.recordBytes)
	var mu sync.Mutex
	var all []time.Duration
	var failure error
	errs := make(chan error, s.producers)
	for range s.producers {
		go func() {
			cl, err := kgo.NewClient(producerOptions(addr, topic, 0)...)
			if err != nil {
				errs <- err
				return
			}
			defer cl.Close()
			pause := time.Duration(s.producers) * time.Second / time.Duration(rate)
			begin := clock.System.Now()
			for i := 0; clock.System.Now().Sub(begin) < duration; i++ {
				sent := clock.System.Now()
				cl.Produce(ctx, &kgo.Record{Value: values[i%len(values)]}, func(_ *kgo.Record, err error) {
					took := clock.System.Now().Sub(sent)
					mu.Lock()
					defer mu.Unlock()
					all, failure = append(all, took), errors.Join(failure, err)
				})
				<-clock.System.NewTimer(begin.Add(time.Duration(i+1) * pause).Sub(clock.System.Now())).C
			}
			errs <- cl.Flush(ctx)
		}()
	}
	var err error
	for range s.producers {
		err = errors.Join(err, <-errs)
	}
	slices.Sort(all)
	return all, errors.Join(err, failure)
}

// fetchPasses is how often a topic is read: once takes less of the server's time
// than can be told from its clock, which has steps of 10 ms.
const fetchPasses = 8

// measure runs one shape against one server, with a topic of its own.
func measure(ctx context.Context, t *target, s shape, o options) (f figures, err error) {
	topic := fmt.Sprintf("bench-%d-%d-%d-%d", s.recordBytes, s.partitions, s.producers, clock.System.Now().UnixNano())
	if err := t.createTopic(ctx, topic, s.partitions); err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, t.deleteTopic(ctx, topic)) }()
	records := max(o.bytes/s.recordBytes, 1)
	if o.only != "latency" {
		if f.produced, f.producedCPU, err = t.timed(ctx, records, func() (time.Duration, error) { return o.produce(ctx, t.addr, topic, s, records) }); err != nil {
			return f, fmt.Errorf("produce to %s: %w", t.name, err)
		}
	}
	written := records / s.producers * s.producers
	if o.only == "" || o.only == "fetch" {
		fetch := func() (took time.Duration, err error) {
			for range fetchPasses {
				once, err := o.fetch(ctx, t.addr, topic, s, written)
				if err != nil {
					return 0, err
				}
				took += once
			}
			return took, nil
		}
		if f.fetched, f.fetchedCPU, err = t.timed(ctx, fetchPasses*written, fetch); err != nil {
			return f, fmt.Errorf("fetch from %s: %w", t.name, err)
		}
	}
	if o.only == "" || o.only == "latency" {
		// Else the acknowledgements of one wait for what another left to write.
		if err := exec.CommandContext(ctx, "sync").Run(); err != nil {
			return f, fmt.Errorf("sync: %w", err)
		}
		took, err := latencies(ctx, t.addr, topic, s, o.rate, o.latency)
		if err != nil {
			return f, fmt.Errorf("latency of %s: %w", t.name, err)
		}
		f.p50, f.p99 = took[len(took)/2], took[len(took)*99/100]
	}
	return f, nil
}

// produce writes all records with the client that was asked for, and returns how
// long it took.
func (o options) produce(ctx context.Context, addr, topic string, s shape, records int) (time.Duration, error) {
	if o.client == "java" {
		return o.java(ctx, "produce", addr, topic, s, records)
	}
	began := clock.System.Now()
	err := produceAll(ctx, addr, topic, s, records)
	return clock.System.Now().Sub(began), err
}

func (o options) fetch(ctx context.Context, addr, topic string, s shape, records int) (time.Duration, error) {
	if o.client == "java" {
		return o.java(ctx, "fetch", addr, topic, s, records)
	}
	began := clock.System.Now()
	err := fetchAll(ctx, addr, topic, records)
	return clock.System.Now().Sub(began), err
}

// java runs Perf.java, which says itself how long it took: the start of its JVM
// does not count.
func (o options) java(ctx context.Context, what, addr, topic string, s shape, records int) (time.Duration, error) {
	cmd := exec.CommandContext(ctx, "java", "-cp", filepath.Join(o.libs, "*"), "bench/broker/Perf.java", what, addr, topic,
		strconv.Itoa(records), strconv.Itoa(s.recordBytes), strconv.Itoa(s.producers))
	cmd.Stderr = io.Discard // slf4j tells that nobody listens to it
	out, err := cmd.Output()
	if err != nil {
		return 0, fmt.Errorf("Perf.java %s: %w", what, err)
	}
	seconds, err := strconv.ParseFloat(strings.TrimSpace(string(out)), 64)
	return time.Duration(seconds * float64(time.Second)), err
}

// timed returns records per second, of the time that work says it took and of the
// server's CPU time. That counts what the server still does behind the work, so
// that neither produce is spared it nor what is measured next burdened with it.
func (t *target) timed(ctx context.Context, records int, work func() (time.Duration, error)) (perSecond, perCPU float64, err error) {
	before, err := t.cpu()
	if err != nil {
		return 0, 0, err
	}
	took, err := work()
	if err != nil {
		return 0, 0, err
	}
	after, err := t.settled(ctx)
	if err != nil {
		return 0, 0, err
	}
	used := max(after-before, 10*time.Millisecond)
	return float64(records) / took.Seconds(), float64(records) / used.Seconds(), nil
}
