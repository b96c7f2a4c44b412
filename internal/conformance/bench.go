package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/internal/clock"
)

// benchRounds is how often a case is planned; the fastest round counts, as the
// others also measure the collector and the neighbours.
const benchRounds = 5

// benchPlan prints how long parsing and planning take per statement that
// succeeds, against the catalog that the statements before it made.
func benchPlan(cases []*testCase) error {
	var times []time.Duration
	statements := 0
	for _, c := range cases {
		if c.Excluded != nil || c.Kind != "qtt" || c.ExpectedException != nil {
			continue
		}
		var best []time.Duration
		for round := range benchRounds {
			took := planCase(c)
			if round == 0 {
				best = took
			}
			for i := range min(len(best), len(took)) {
				best[i] = min(best[i], took[i])
			}
		}
		statements += len(best)
		times = append(times, best...)
	}
	if len(times) == 0 {
		return fmt.Errorf("no statements to plan")
	}
	slices.Sort(times)
	at := func(p float64) time.Duration { return times[int(p*float64(len(times)-1))] }
	fmt.Printf("parse and plan: %d statements, median %s, p90 %s, p99 %s, max %s\n", statements, at(0.5), at(0.9), at(0.99), at(1))
	return nil
}

// planCase returns the time of each statement, those before the first that fails.
func planCase(c *testCase) (took []time.Duration) {
	r := &runner{c: c, sandbox: engine.NewSandbox("some.ksql.service.id")}
	r.registered = r.sandbox.Schemas
	if r.setProperties() != nil || (&setup{c, r.sandbox, defaultPartitions}).run() != nil {
		return nil
	}
	for _, text := range c.Statements {
		start := clock.System.Now()
		if r.sandbox.Execute(text, func(engine.Step) error { return nil }) != nil {
			return took
		}
		took = append(took, clock.System.Now().Sub(start))
	}
	return took
}
