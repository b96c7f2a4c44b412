package executor

import (
	"errors"

	"github.com/millrace/millrace/internal/kafka"
)

// Errors that callers match.
var (
	// ErrUnknownQuery: no query of that ID is started.
	ErrUnknownQuery = errors.New("executor: unknown query")
	// ErrSlowReader ends a push query whose buffer stayed full.
	ErrSlowReader = errors.New("executor: the reader of the push query is too slow")
	// ErrClosed: the executor or the result was closed.
	ErrClosed = errors.New("executor: closed")
)

// State is what a query is doing.
//
//	Running --Pause--> Paused --Resume--> Running
//	Running --failure--> Error --back-off passed--> Running
//	Running --Fenced or a fatal row error--> Error (for good, until Stop and Start)
type State string

// The states of a query.
const (
	Running State = "RUNNING"
	Paused  State = "PAUSED"
	Failed  State = "ERROR"
)

// Status is a snapshot of a query.
type Status struct {
	ID     string
	State  State
	Reason string // why State is Failed
	// Fatal says that the query does not restart by itself.
	Fatal    bool
	Restarts int
	// Restoring says that some task still reads its changelogs.
	Restoring bool
	// Positions are the next offsets to read, as committed.
	Positions []OffsetCommit
	// RowsIn, RowsOut count records of the query's sources consumed and of its
	// result produced, not what it hands to itself; Late counts rows that came
	// after their window closed; Errors counts rows of the table in DESIGN D10.
	RowsIn, RowsOut, Late, Errors int64
}

// ConsumedTo reports whether everything below the given offsets was committed.
func (s Status) ConsumedTo(next []OffsetCommit) bool {
	want := make(map[kafka.TopicPartition]kafka.Offset, len(next))
	for _, n := range next {
		want[n.TP] = n.Next
	}
	for _, p := range s.Positions {
		if p.Next < want[p.TP] {
			return false
		}
	}
	return true
}
