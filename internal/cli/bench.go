package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/millrace/millrace/bench/nexmark"
	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
)

type nexmarkOptions struct {
	queries, data string
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
		RunE:    func(c *cobra.Command, _ []string) error { return runNexmark(c.Context(), std, o) },
	}
	n.Flags().StringVar(&o.queries, "queries", strings.Join(names, ","), "queries to run")
	n.Flags().Int64Var(&o.events, "events", 1_000_000, "events to generate; 46 of 50 are bids")
	n.Flags().Int32Var(&o.partitions, "partitions", 2, "partitions of each topic")
	n.Flags().Int64Var(&o.rate, "event-rate", 10_000, "events per second of event time")
	n.Flags().StringVar(&o.data, "data", "", "data directory, a temporary one by default")
	n.Flags().BoolVar(&o.json, "json", true, "print JSON lines")
	c.AddCommand(n)
	return c
}

func runNexmark(ctx context.Context, std Stdio, o nexmarkOptions) (err error) {
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
	if o.data == "" {
		if o.data, err = os.MkdirTemp("", "millrace-nexmark-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.data)) }()
	}
	e, err := engine.Open(engine.Config{Dir: o.data, Logger: quietLogger(std.Err)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, e.Close(context.Background())) }()
	if err := nexmark.Load(ctx, e, o.events, o.rate, o.partitions); err != nil {
		return err
	}
	for _, q := range queries {
		r, err := nexmark.Run(ctx, e, clock.System, q)
		if err != nil {
			return fmt.Errorf("%s: %w", q.Name, err)
		}
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		fmt.Fprintln(std.Out, string(line))
	}
	return nil
}
