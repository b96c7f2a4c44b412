package repl

import (
	"context"

	"github.com/millrace/millrace/engine"
)

// Backend runs the statements of a session: *engine.Session in process, *Remote
// over HTTP.
type Backend interface {
	// Execute runs the statements of a script in order and gives each result to
	// yield; it stops at the first error.
	Execute(ctx context.Context, script string, yield func(engine.Result) error) error
}
