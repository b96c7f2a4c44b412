package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/millrace/millrace/internal/clock"
)

// pollPause is how long the runner waits before it asks again for what takes a
// broker a moment.
const pollPause = 100 * time.Millisecond

type options struct {
	seed               uint64
	random             int
	kafka, ours, cache string
	verbose            bool
}

func main() {
	var o options
	pflag.Uint64Var(&o.seed, "seed", 0, "seed of the random requests, 0 draws one")
	pflag.IntVar(&o.random, "random", 1000, "random requests at each level of versions")
	pflag.StringVar(&o.kafka, "kafka", "", "compare with the broker at this address instead of a Kafka started here")
	pflag.StringVar(&o.ours, "ours", "", "compare the broker at this address instead of one started here")
	pflag.StringVar(&o.cache, "cache", "", "where Kafka is installed, default in the user's cache directory")
	pflag.BoolVar(&o.verbose, "verbose", false, "print every request")
	pflag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	unexplained, err := run(ctx, o)
	switch {
	case errors.Is(err, errUnavailable):
		fmt.Println("SKIP differential:", err)
	case err != nil:
		fmt.Fprintln(os.Stderr, "differential:", err)
		os.Exit(2)
	case unexplained > 0:
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (unexplained int, err error) {
	root, err := moduleRoot()
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
	if o.kafka == "" {
		cache := o.cache
		if cache == "" {
			user, err := os.UserCacheDir()
			if err != nil {
				return 0, err
			}
			cache = filepath.Join(user, "millrace-interop")
		}
		p, err := startKafka(ctx, root, cache, temp)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		o.kafka = p.addr
	}
	if o.ours == "" {
		p, err := startOurs(ctx, root, temp)
		if err != nil {
			return 0, err
		}
		defer func() { err = errors.Join(err, p.stop()) }()
		o.ours = p.addr
	}
	if o.seed == 0 {
		o.seed = uint64(clock.System.Now().UnixNano())
	}
	fmt.Println("seed", o.seed)
	c := &comparison{theirs: newSide("kafka", o.kafka), ours: newSide("millrace", o.ours), rules: r, verbose: o.verbose, counts: map[int16]int{},
		found: map[string]*finding{}}
	if err := c.run(ctx, o); err != nil {
		return 0, err
	}
	return c.report(), nil
}

// moduleRoot returns the folder of the main module's go.mod.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "internal", "interop", "differential", "accepted.txt")); err == nil {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside the project", dir)
		}
	}
}
