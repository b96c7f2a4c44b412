// Command conformance runs a corpus of declarative SQL cases (statements, input
// records, expected output records, answers or rejection) through the planner and
// the executor's own task builder, or over HTTP through the real server, and
// reports what passes.
//
//	go run ./internal/conformance --corpus DIR [--results FILE] [--json]
//	    [--ratchet FILE] [--failing FILE] [--update] [--run SUBSTRING]
//	    [--live [--seed N]] [--bench-plan]
//
// With --live the cases with records run as one pipeline each: all queries at
// once on the embedded broker.
//
// The corpus is read in place and never copied. The ratchet is a committed list
// of hashes of case ids that pass; a listed case that fails is an error. The list
// of failing cases gives a reason for each case that does not pass: a case that
// fails without one is an error, and so is one that passes and is listed.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
)

// options are the command line.
type options struct {
	corpus, results, ratchet, failing, run string
	json, update, live                     bool
	seed                                   uint64
}

func main() {
	var o options
	flag.StringVar(&o.corpus, "corpus", os.Getenv("MILLRACE_CORPUS"), "folder of the cases")
	flag.StringVar(&o.results, "results", "", "file to write one JSON line per case to")
	flag.BoolVar(&o.json, "json", false, "print nothing but the summary")
	flag.StringVar(&o.ratchet, "ratchet", "", "file of hashes of the cases that must pass")
	flag.StringVar(&o.failing, "failing", "", "file of hashes of the cases that do not pass, with the reason")
	flag.BoolVar(&o.update, "update", false, "write the files of --ratchet and --failing instead of checking them")
	flag.StringVar(&o.run, "run", "", "only cases whose id contains this")
	flag.BoolVar(&o.live, "live", false, "run each case as one live pipeline on the embedded broker")
	flag.Uint64Var(&o.seed, "seed", 1, "of the sizes of batches with --live")
	bench := flag.Bool("bench-plan", false, "measure parsing and planning of the corpus's statements instead")
	flag.Parse()
	if o.corpus == "" {
		fmt.Fprintln(os.Stderr, "conformance: --corpus is required")
		os.Exit(2)
	}
	if err := start(o, *bench); err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

func start(o options, bench bool) error {
	cases, err := loadCorpus(o.corpus)
	if err != nil {
		return err
	}
	if o.run != "" {
		if o.update {
			return errors.New("--update needs a run of the whole corpus")
		}
		cases = slices.DeleteFunc(cases, func(c *testCase) bool { return !strings.Contains(c.ID, o.run) })
	}
	if bench {
		return benchPlan(cases)
	}
	return report(o, cases)
}
