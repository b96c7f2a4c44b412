package plan

import "github.com/millrace/millrace/sql/types"

// Aggregate folds rows by key into a table. The input is already keyed by the
// grouping expressions (Rekey before it when they are not the key). The output
// value columns are one per call.
//
// On a stream every input row gives one change per window it falls in. On a
// table a change is taken back from its old group (emitted) before it is added
// to its new one (emitted); a change within one group is one change.
type Aggregate struct {
	Calls []AggregateCall `json:"calls"`
	// Window is nil for an unwindowed aggregation.
	Window *Window `json:"window,omitempty"`
	// EmitFinal holds results back until their window closes.
	EmitFinal bool `json:"emitFinal,omitempty"`
	// ExpireFirst drops windows that stream time jumped over before emitting
	// them, as Kafka Streams does (millrace.emit.final.expire.first).
	ExpireFirst bool  `json:"expireFirst,omitempty"`
	Store       Store `json:"store"`
	// TableInput marks an aggregation of a table.
	TableInput bool `json:"tableInput,omitempty"`
}

// Kind returns "aggregate".
func (*Aggregate) Kind() string { return "aggregate" }

// AggregateCall is one aggregate function over expressions of the input row.
type AggregateCall struct {
	Function string  `json:"function"` // overload ID
	Args     []*Expr `json:"args"`
	// Filter is FILTER (WHERE ...), nil when absent.
	Filter *Expr      `json:"filter,omitempty"`
	Type   types.Type `json:"type"`
}

// Window says how rows fall into windows. All lengths are in ms of event time.
type Window struct {
	Kind WindowKind `json:"kind"`
	// SizeMs is the size of time windows, the inactivity gap of sessions.
	SizeMs    int64 `json:"sizeMs"`
	AdvanceMs int64 `json:"advanceMs,omitempty"` // time windows
	// GraceMs is how long after its end a window still takes late records: a
	// record is late when window end + grace <= stream time.
	GraceMs int64 `json:"graceMs"`
	// RetentionMs is how long a window is kept for queries, counted from its
	// start; at least size + grace.
	RetentionMs int64 `json:"retentionMs"`
}
