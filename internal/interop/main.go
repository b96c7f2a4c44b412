package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/internal/interop/brokers"
)

// defaultTimeout bounds one scenario of one client. It is generous: a slow
// machine is no failure.
const defaultTimeout = 3 * time.Minute

type options struct {
	clients, scenarios  []string
	server, table, json string
	merge               string
	serverLog, cache    string
	kafka               bool
	timeout             time.Duration
	list                bool
}

func main() {
	var o options
	pflag.StringSliceVar(&o.clients, "clients", nil, "clients to run, default all")
	pflag.StringSliceVar(&o.scenarios, "scenarios", nil, "scenarios to run, default all")
	pflag.StringVar(&o.server, "server", "", "run against the broker at this address instead of one started here")
	pflag.BoolVar(&o.kafka, "kafka", false, "run against an Apache Kafka that is installed and started here, which tests the scenarios")
	pflag.StringVar(&o.table, "table", "", "rewrite the marked table in this file")
	pflag.StringVar(&o.json, "json", "", "write the results to this file")
	pflag.StringVar(&o.merge, "merge", "", "keep the results in this file of pairs that are not run now")
	pflag.StringVar(&o.serverLog, "server-log", "", "write what the server logs to this file")
	pflag.StringVar(&o.cache, "cache", "", "where clients are installed, default in the user's cache directory")
	pflag.DurationVar(&o.timeout, "timeout", defaultTimeout, "limit of one scenario of one client")
	pflag.BoolVar(&o.list, "list", false, "list scenarios and clients")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	failed, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "interop:", err)
		os.Exit(2)
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// run does what the options say and returns how many pairs failed.
func run(ctx context.Context, o options) (failed int, err error) {
	if o.list {
		list(os.Stdout)
		return 0, nil
	}
	chosenClients, err := choose("client", clients, o.clients, func(c *client) string { return c.name })
	if err != nil {
		return 0, err
	}
	chosenScenarios, err := choose("scenario", scenarios, o.scenarios, func(s *scenario) string { return s.name })
	if err != nil {
		return 0, err
	}
	root, err := brokers.ModuleRoot()
	if err != nil {
		return 0, err
	}
	cache, err := brokers.CacheDir(o.cache)
	if err != nil {
		return 0, err
	}
	temp, err := os.MkdirTemp("", "millrace-interop-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	t, err := newTarget(ctx, o, root, cache, temp)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, t.stop()) }()
	s, err := newSuite(t, root, cache, o.timeout)
	if err != nil {
		return 0, err
	}
	defer s.close()
	if o.merge != "" {
		if err := s.readJSON(o.merge); err != nil {
			return 0, err
		}
	}
	for _, c := range chosenClients {
		s.runClient(ctx, c, chosenScenarios)
	}
	fmt.Println(s.summary())
	if o.json != "" {
		if err := s.writeJSON(o.json); err != nil {
			return 0, err
		}
	}
	if o.table != "" {
		if err := s.rewriteTable(o.table); err != nil {
			return 0, err
		}
	}
	return s.count(statusFail), ctx.Err()
}

// choose returns the items that are named, or all.
func choose[T any](kind string, all []T, names []string, name func(T) string) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []T
	for _, n := range names {
		i := slices.IndexFunc(all, func(x T) bool { return name(x) == n })
		if i < 0 {
			var known []string
			for _, x := range all {
				known = append(known, name(x))
			}
			return nil, fmt.Errorf("no %s is called %s; there are %s", kind, n, strings.Join(known, ", "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}
