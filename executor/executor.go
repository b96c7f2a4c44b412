package executor

import (
	"context"
	"errors"

	"github.com/millrace/millrace/planner/plan"
)

// Executor runs queries on a pool of workers.
type Executor struct{ cfg Config }

var errNotBuilt = errors.New("executor: not built yet")

// New returns an executor with its workers started.
func New(cfg Config) (*Executor, error) { return nil, errNotBuilt }

// Close stops every query and the workers, and waits. Uncommitted work is
// dropped: it is done again at the next start.
func (e *Executor) Close() error { return errNotBuilt }

// Start builds a persistent query and runs it: state is restored first. The
// topics it uses exist. Errors: a plan that cannot be built.
func (e *Executor) Start(q *plan.Query, opts StartOptions) error { return errNotBuilt }

// Stop ends a query after a last commit and waits for it.
func (e *Executor) Stop(ctx context.Context, id string) error { return errNotBuilt }

// Pause commits and stops scheduling a query; offsets and state are kept.
func (e *Executor) Pause(id string) error { return errNotBuilt }

// Resume goes on with a paused query, and at once with a failed one.
func (e *Executor) Resume(id string) error { return errNotBuilt }

// Status returns a snapshot of a query.
func (e *Executor) Status(id string) (Status, error) { return Status{}, errNotBuilt }

// PushOptions say how a push query runs.
type PushOptions struct {
	// Earliest starts at the first readable offsets instead of the present end.
	Earliest bool
	// Bounded ends the query at the end that its inputs had when it started.
	Bounded bool
}

// Push is a running push query.
type Push struct{}

// Push starts a transient query. The caller closes it.
func (e *Executor) Push(ctx context.Context, q *plan.Query, opts PushOptions) (*Push, error) {
	return nil, errNotBuilt
}

// Next returns the rows that are ready, at least one, in order; it waits for
// them. It ends with io.EOF after the LIMIT or at the bound, with ErrSlowReader,
// with the query's failure, or with ctx's error. It is for one goroutine.
func (p *Push) Next(ctx context.Context) ([]Row, error) { return nil, errNotBuilt }

// Close ends the query. It is idempotent.
func (p *Push) Close() {}

// PullOptions say how a pull query reads.
type PullOptions struct {
	// WaitInputs waits until the table has consumed what its query's inputs held
	// when the call was made (millrace.pull.wait=inputs).
	WaitInputs bool
}

// Pull answers a pull query from committed state, or from a stream's topic up to
// its present end, calling yield for each row until the limit. An error of yield
// ends the pull and is returned.
func (e *Executor) Pull(ctx context.Context, p *plan.Pull, opts PullOptions, yield func(Row) error) error {
	return errNotBuilt
}
