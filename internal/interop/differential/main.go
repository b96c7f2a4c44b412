package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/interop/brokers"
)

// pollPause is how long the runner waits before it asks again for what takes a
// broker a moment.
const pollPause = 100 * time.Millisecond

type options struct {
	seed       uint64
	random     int
	sets       []string
	cache, log string
	verbose    bool
}

func main() {
	var o options
	pflag.Uint64Var(&o.seed, "seed", 0, "seed of the random requests, 0 draws one")
	pflag.IntVar(&o.random, "random", 1000, "random requests of each set of keys at each level of versions")
	pflag.StringSliceVar(&o.sets, "set", nil, "draw random requests of these sets of keys only")
	pflag.StringVar(&o.log, "log", "", "write what the brokers log to this file")
	pflag.StringVar(&o.cache, "cache", "", "where Kafka is installed, default in the user's cache directory")
	pflag.BoolVar(&o.verbose, "verbose", false, "print every request")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	unexplained, err := run(ctx, o)
	switch {
	case errors.Is(err, brokers.ErrUnavailable):
		fmt.Println("SKIP differential:", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(2)
	case unexplained > 0:
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (unexplained int, err error) {
	if err := checkSets(o.sets); err != nil {
		return 0, err
	}
	root, err := brokers.ModuleRoot()
	if err != nil {
		return 0, err
	}
	r, err := readRules(filepath.Join(root, "internal", "interop", "differential", "accepted.txt"))
	if err != nil {
		return 0, err
	}
	temp, err := os.MkdirTemp("", "millrace-differential-")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	cache, err := brokers.CacheDir(o.cache)
	if err != nil {
		return 0, err
	}
	kafkaDir, ownDir := filepath.Join(temp, "kafka"), filepath.Join(temp, "millrace")
	if err := errors.Join(os.Mkdir(kafkaDir, 0o700), os.Mkdir(ownDir, 0o700)); err != nil {
		return 0, err
	}
	log := io.Discard
	if o.log != "" {
		f, err := os.Create(o.log)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, f.Close()) }()
		log = f
	}
	// Records have times of long ago, and our log never loses any to time.
	kafka, err := brokers.StartKafka(ctx, root, cache, kafkaDir, log, "log.retention.ms=-1")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, kafka.Stop()) }()
	ours, err := brokers.StartMillrace(ctx, root, ownDir, log)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, ours.Stop()) }()
	if o.seed == 0 {
		o.seed = uint64(clock.System.Now().UnixNano())
	}
	fmt.Println("seed", o.seed)
	c := &comparison{theirs: newSide("kafka", kafka.Addr), ours: newSide("millrace", ours.Addr), rules: r, verbose: o.verbose, counts: map[int16]int{},
		found: map[string]*finding{}}
	if err := c.run(ctx, o); err != nil {
		return 0, err
	}
	return c.report(), nil
}
