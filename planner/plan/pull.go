package plan

import "github.com/millrace/millrace/sql/types"

// Pull is the plan of a pull query: a lookup, a range or a scan of a
// materialised table, or a bounded read of a stream's topic.
type Pull struct {
	// QueryID and Store name the state to read; QueryID is empty for a stream.
	QueryID string `json:"queryId,omitempty"`
	Store   string `json:"store,omitempty"`
	// Stream is the source to read from its beginning to its present end.
	Stream *Source `json:"stream,omitempty"`
	// Input is the schema of the rows read, before Filter and Columns.
	Input    Schema      `json:"input"`
	Windowed *WindowInfo `json:"windowed,omitempty"`
	// Keys are the key rows to look up; nil means scan everything.
	Keys [][]types.Value `json:"keys,omitempty"`
	// Bounds limit the window start and end of time-windowed lookups.
	Bounds WindowBounds `json:"bounds"`
	// Filter is the whole WHERE clause, applied to every row read; nil for none.
	Filter *Expr `json:"filter,omitempty"`
	// Columns are the result's expressions over the input row.
	Columns []*Expr        `json:"columns"`
	Names   []types.Column `json:"names"`
	// KeyColumns marks result columns that are of a table's key, the bounds of its
	// window included. A stream's result has none.
	KeyColumns []bool `json:"keyColumns"`
	Limit      int64  `json:"limit"` // -1 for none
}

// WindowBounds are inclusive limits in ms; unset limits are the ends of int64.
type WindowBounds struct {
	StartMin, StartMax int64
	EndMin, EndMax     int64
}
