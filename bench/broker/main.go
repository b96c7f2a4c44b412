package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

type options struct {
	libs, servers string
	client, only  string
	rounds, bytes int
	rate          int
	latency       time.Duration
	small         bool
	shape         string
	limits        bool
	connections   int
	partitions    int
	fill          int
}

func main() {
	var o options
	flag.StringVar(&o.libs, "kafka-libs", "", "folder with the jars of Apache Kafka; without it only millrace runs")
	flag.StringVar(&o.servers, "servers", "millrace,millrace-memory,kafka,kafka-flush", "which to compare; NAME=BINARY is another build of millrace")
	flag.StringVar(&o.only, "only", "", "produce, fetch or latency: leave the other figures out (fetch still writes first)")
	flag.StringVar(&o.client, "client", "go", "go (franz-go) or java (Kafka's own, which needs --kafka-libs)")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds over all servers; figures are medians")
	flag.IntVar(&o.bytes, "bytes", 128<<20, "bytes of values per run")
	flag.IntVar(&o.rate, "rate", 1000, "records per second of the latency run")
	flag.DurationVar(&o.latency, "latency", 5*time.Second, "length of the latency run")
	flag.BoolVar(&o.small, "quick", false, "one shape only")
	flag.StringVar(&o.shape, "shape", "", "one shape only: bytes of a record, partitions and producers, as in 100,1,1")
	flag.BoolVar(&o.limits, "limits", false, "measure start, recovery, idle connections and partitions instead")
	flag.IntVar(&o.connections, "connections", 10_000, "idle connections of --limits")
	flag.IntVar(&o.partitions, "partitions", 10_000, "topic-partitions of --limits")
	flag.IntVar(&o.fill, "fill", 10<<30, "bytes written before the kill of --limits")
	flag.Parse()
	if !slices.Contains([]string{"", "produce", "fetch", "latency"}, o.only) {
		fmt.Fprintf(os.Stderr, "bench/broker: --only %q\n", o.only)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench/broker:", err)
		os.Exit(1)
	}
}

// shapes are the cells of the comparison.
func (o options) shapes() ([]shape, error) {
	if o.small {
		o.shape = "100,1,1"
	}
	if o.shape != "" {
		var s shape
		if _, err := fmt.Sscanf(o.shape, "%d,%d,%d", &s.recordBytes, &s.partitions, &s.producers); err != nil || min(s.recordBytes, s.partitions, s.producers) < 1 {
			return nil, fmt.Errorf("--shape %q: bytes, partitions and producers are expected, as in 100,1,1", o.shape)
		}
		return []shape{s}, nil
	}
	var list []shape
	for _, size := range []int{100, 1000} {
		for _, partitions := range []int{1, 16} {
			for _, producers := range []int{1, 16} {
				list = append(list, shape{size, partitions, producers})
			}
		}
	}
	return list, nil
}

func run(ctx context.Context, o options) (err error) {
	dir, err := os.MkdirTemp("", "bench-broker-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // after the servers have stopped
	if o.limits {
		return limits(ctx, o, dir)
	}
	shapes, err := o.shapes()
	if err != nil {
		return err
	}
	targets, err := startAll(ctx, o, dir)
	defer func() {
		for _, t := range targets {
			err = errors.Join(err, t.stop())
		}
	}()
	if err != nil {
		return err
	}
	fmt.Printf("%s/%s, %d processors, %s, client: %s; medians of %d rounds, %d MiB of values a run, latency at %d records/s\n",
		runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), o.client, o.rounds, o.bytes>>20, o.rate)
	for _, s := range shapes {
		runs := map[string][]figures{}
		for range o.rounds {
			for _, t := range targets {
				f, err := measure(ctx, t, s, o)
				if err != nil {
					return err
				}
				runs[t.name] = append(runs[t.name], f)
			}
		}
		report(s, targets, runs)
	}
	return nil
}

// build makes the server that is measured.
func build(ctx context.Context, dir string) (string, error) {
	binary := filepath.Join(dir, "millrace")
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return binary, nil
}

// startAll starts the servers that were asked for.
func startAll(ctx context.Context, o options, dir string) (targets []*target, err error) {
	binary, err := build(ctx, dir)
	if err != nil {
		return nil, err
	}
	one := "1"
	for _, name := range strings.Split(o.servers, ",") {
		var t *target
		other, path, isOther := strings.Cut(name, "=")
		switch {
		case isOther:
			t, err = startMillrace(ctx, other, path, dir)
		case name == "millrace":
			t, err = startMillrace(ctx, name, binary, dir)
		case name == "millrace-memory":
			t, err = startInMemory(ctx, name, binary)
		case o.libs == "" && strings.HasPrefix(name, "kafka"):
			fmt.Printf("SKIP %s: no --kafka-libs\n", name)
			continue
		case name == "kafka":
			t, err = startKafka(ctx, name, o.libs, dir, nil)
		case name == "kafka-flush":
			t, err = startKafka(ctx, name, o.libs, dir, map[string]*string{"flush.messages": &one})
		default:
			err = fmt.Errorf("unknown server %q", name)
		}
		if err != nil {
			return targets, err
		}
		targets = append(targets, t)
	}
	return targets, nil
}

// report prints one shape.
func report(s shape, targets []*target, runs map[string][]figures) {
	fmt.Printf("\n%s\n%-18s %14s %14s %14s %14s %10s %10s\n", s, "", "produce/s", "per CPU s", "fetch/s", "per CPU s", "p50", "p99")
	for _, t := range targets {
		list := runs[t.name]
		fmt.Printf("%-18s %14.0f %14.0f %14.0f %14.0f %10s %10s\n", t.name,
			median(list, func(f figures) float64 { return f.produced }), median(list, func(f figures) float64 { return f.producedCPU }),
			median(list, func(f figures) float64 { return f.fetched }), median(list, func(f figures) float64 { return f.fetchedCPU }),
			time.Duration(median(list, func(f figures) float64 { return float64(f.p50) })).Round(10*time.Microsecond),
			time.Duration(median(list, func(f figures) float64 { return float64(f.p99) })).Round(10*time.Microsecond))
	}
}

func median(list []figures, of func(figures) float64) float64 {
	values := make([]float64, len(list))
	for i, f := range list {
		values[i] = of(f)
	}
	slices.Sort(values)
	return values[len(values)/2]
}
