package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime/pprof"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench/latency"
	"github.com/millrace/millrace/bench/nexmark"
	"github.com/millrace/millrace/bench/startup"
	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
)

type nexmarkOptions struct {
	queries, data string
	profile       string
	keyFile       string
	events, rate  int64
	partitions    int32
	json          bool
}

func newBench(std Stdio) *cobra.Command {
	c := &cobra.Command{Use: "bench", Short: "Run benchmarks",
		RunE: func(c *cobra.Command, args []string) error { return needSubcommand(c, args) }}
	var o nexmarkOptions
	var names []string
	for _, q := range nexmark.Queries {
		names = append(names, q.Name)
	}
	n := &cobra.Command{
		Use: "nexmark", Short: "Run Nexmark queries over generated events", Args: noArgs,
		Long: `Generate seeded Nexmark events as JSON into topics of an embedded engine, then time
each query from its CREATE to its last committed output, exactly once. One JSON
line per query. Queries: ` + strings.Join(names, ", ") + ".",
		Example: "  millrace bench nexmark --queries q0,q1,q2,q12 --events 2000000 --partitions 2",
		RunE: func(c *cobra.Command, _ []string) error {
			if err := atLeast(c, "events", "partitions", "event-rate"); err != nil {
				return err
			}
			return runNexmark(c.Context(), std, o)
		},
	}
	n.Flags().StringVar(&o.queries, "queries", strings.Join(names, ","), "queries to run")
	n.Flags().Int64Var(&o.events, "events", 1_000_000, "events to generate; 46 of 50 are bids")
	n.Flags().Int32Var(&o.partitions, "partitions", 2, "partitions of each topic")
	n.Flags().Int64Var(&o.rate, "event-rate", 10_000, "events per second of event time")
	n.Flags().StringVar(&o.data, "data", "", "data directory, a temporary one by default")
	addEncryptionFlag(n, &o.keyFile)
	n.Flags().StringVar(&o.profile, "cpuprofile", "", "file to write a CPU profile of the queries to (go tool pprof)")
	n.Flags().BoolVar(&o.json, "json", true, "print one JSON line per query; --json=false prints text")
	c.AddCommand(n, newLatencyBench(std), newStartupBench(std))
	return c
}

// startProfile profiles the CPU into a file until stop is called; "" profiles
// nothing.
func startProfile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close() // a profile that is cut short does not open: pprof says so
	}, nil
}

func newLatencyBench(std Stdio) *cobra.Command {
	var events, rate int
	var data, keyFile string
	c := &cobra.Command{
		Use: "latency", Short: "Measure produce-to-committed-result latency", Args: noArgs,
		Long: `Produce records at a fixed rate over the Kafka protocol, filter them with a
persistent query, and measure until a read-committed consumer has each result. One
JSON line, with the time of a 4 KiB write + fsync in the same directory beside it.`,
		Example: "  millrace bench latency --rate 1000 --events 10000",
		RunE: func(c *cobra.Command, _ []string) error {
			ctx, stop := interruptible(c.Context())
			defer stop()
			if err := atLeast(c, "events", "rate"); err != nil {
				return err
			}
			return withBenchEngine(std, data, keyFile, func(e *engine.Engine, dir string) error {
				r, err := latency.Run(ctx, e, clock.System, dir, events, rate)
				if err != nil {
					return err
				}
				return printJSON(std, r)
			})
		},
	}
	c.Flags().IntVar(&events, "events", 10_000, "records to produce")
	c.Flags().IntVar(&rate, "rate", 1000, "records per second")
	addEncryptionFlag(c, &keyFile)
	c.Flags().StringVar(&data, "data", "", "data directory, a temporary one by default")
	return c
}

func newStartupBench(std Stdio) *cobra.Command {
	var runs, queries int
	c := &cobra.Command{
		Use: "startup", Short: "Measure start-up time and idle memory of this binary", Args: noArgs,
		Example: "  millrace bench startup --runs 9 --queries 10",
		RunE: func(c *cobra.Command, _ []string) (err error) {
			ctx, stop := interruptible(c.Context())
			defer stop()
			if err := atLeast(c, "runs"); err != nil {
				return err
			}
			self, err := os.Executable()
			if err != nil {
				return err
			}
			dir, err := os.MkdirTemp("", "millrace-startup-")
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
			r, err := startup.Run(ctx, clock.System, self, dir, runs, queries)
			if err != nil {
				return err
			}
			return printJSON(std, r)
		},
	}
	c.Flags().IntVar(&runs, "runs", 9, "runs whose medians are printed")
	c.Flags().IntVar(&queries, "queries", 10, "idle queries of the server whose memory is read")
	return c
}

// atLeast refuses numbers below 1 in flags.
func atLeast(c *cobra.Command, flags ...string) error {
	for _, name := range flags {
		text := c.Flags().Lookup(name).Value.String()
		if n, err := strconv.ParseInt(text, 10, 64); err != nil || n < 1 {
			return fmt.Errorf("--%s %s: expected 1 or more", name, text)
		}
	}
	return nil
}

func printJSON(std Stdio, v any) error {
	line, err := json.Marshal(v)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.Out, string(line))
	return err
}

// withBenchEngine runs f with an engine in data, or in a temporary directory.
func withBenchEngine(std Stdio, data, keyFile string, f func(e *engine.Engine, dir string) error) (err error) {
	if data == "" {
		if data, err = os.MkdirTemp("", "millrace-bench-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(data)) }()
	}
	keys, err := readKeys(keyFile)
	if err != nil {
		return err
	}
	e, err := openEngine(engine.Config{Dir: data, Logger: quietLogger(std.Err), Broker: broker.Config{Keys: keys}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.Background())) }()
	return f(e, data)
}

func runNexmark(ctx context.Context, std Stdio, o nexmarkOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	var queries []nexmark.Query
	for _, name := range strings.Split(o.queries, ",") {
		q, ok := nexmark.Find(strings.TrimSpace(name))
		if !ok {
			return fmt.Errorf("unknown query %q (millrace bench nexmark --help)", name)
		}
		queries = append(queries, q)
	}
	return withBenchEngine(std, o.data, o.keyFile, func(e *engine.Engine, _ string) error {
		if err := nexmark.Load(ctx, e, o.events, o.rate, o.partitions); err != nil {
			return err
		}
		stop, err := startProfile(o.profile)
		if err != nil {
			return err
		}
		defer stop()
		for _, q := range queries {
			r, err := nexmark.Run(ctx, e, clock.System, q)
			if err != nil {
				return fmt.Errorf("%s: %w", q.Name, err)
			}
			if !o.json {
				fmt.Fprintf(std.Out, "%-4s %9d events in %7.3f s: %9.0f events/s, %9.0f per CPU second, %d results\n",
					r.Query, r.Events, r.Seconds, r.EventsPerSecond, float64(r.Events)/r.CPUSeconds, r.OutputRecords)
				continue
			}
			if err := printJSON(std, r); err != nil {
				return err
			}
		}
		return nil
	})
}
