package engine

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/planner/catalog"
)

const (
	// waitInterval is how often a wait looks again.
	waitInterval = time.Millisecond
	// readyTimeout bounds how long a pull query waits for a query that restores,
	// or that fails and restarts.
	readyTimeout = 30 * time.Second
)

// sleep returns after d, or with ctx's error when that ends first.
func (e *Engine) sleep(ctx context.Context, d time.Duration) error {
	timer := e.cfg.Clock.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WaitCaughtUp returns when a persistent query has committed everything that its
// inputs hold. A query that failed for good, or that has been failing for
// readyTimeout, is an error; a paused one never catches up.
func (e *Engine) WaitCaughtUp(ctx context.Context, queryID string) error {
	var failing time.Time // since when, zero while it runs
	for {
		done, err := e.CaughtUp(ctx, queryID)
		if err != nil || done {
			return err
		}
		status, err := e.exec.Status(queryID)
		switch now := e.cfg.Clock.Now(); {
		case err != nil:
			return err
		case status.State != executor.Failed:
			failing = time.Time{}
		case failing.IsZero():
			failing = now
		case now.Sub(failing) > readyTimeout:
			return fmt.Errorf("query %s has been failing for %s: %s", queryID, readyTimeout, status.Reason)
		}
		if err := e.sleep(ctx, waitInterval); err != nil {
			return err
		}
	}
}

// waitFor returns when a stream or table holds everything that follows from what
// the topics hold now: the queries that it comes from have caught up, those
// furthest upstream first. Paused queries are left out.
func (e *Engine) waitFor(ctx context.Context, cat *catalog.Catalog, source string) error {
	seen := map[string]bool{}
	var visit func(name string) error
	visit = func(name string) error {
		if seen[name] {
			return nil
		}
		seen[name] = true
		for _, id := range cat.Feeding(name) {
			q := cat.Query(id)
			for _, input := range q.Plan.Sources {
				if err := visit(input); err != nil {
					return err
				}
			}
			if q.Paused {
				continue
			}
			if err := e.WaitCaughtUp(ctx, id); err != nil {
				return err
			}
		}
		return nil
	}
	return visit(source)
}

// waitReady waits until a query's state is restored.
func (e *Engine) waitReady(ctx context.Context, queryID string) error {
	deadline, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for {
		status, err := e.exec.Status(queryID)
		if err != nil {
			return err
		}
		if status.State == executor.Failed && status.Fatal {
			return fmt.Errorf("query %s failed: %s", queryID, status.Reason)
		}
		if !status.Restoring {
			return nil
		}
		if err := e.sleep(deadline, waitInterval); err != nil {
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				return fmt.Errorf("query %s is still restoring its state after %s", queryID, readyTimeout)
			}
			return err
		}
	}
}
