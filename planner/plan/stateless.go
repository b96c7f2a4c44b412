package plan

// Filter keeps the rows for which Predicate is true. A stream row with a null
// value is dropped. On a table a row that stops matching becomes a delete, and
// one that never matched is left out.
type Filter struct {
	Predicate *Expr `json:"predicate"`
}

// Kind returns "filter".
func (*Filter) Kind() string { return "filter" }

// Project computes the value columns; Key lists the input key columns kept, in
// output order (renaming is in the schema). A stream row with a null value passes
// unchanged.
type Project struct {
	Key   []int   `json:"key"`
	Value []*Expr `json:"value"`
	// Windowed keys keep their window.
}

// Kind returns "project".
func (*Project) Kind() string { return "project" }

// Rekey replaces the key of a stream by the values of expressions (PARTITION BY,
// GROUP BY, a join column) and the value by columns of the input.
type Rekey struct {
	Key   []*Expr `json:"key"`
	Value []*Expr `json:"value"`
	// DropNull drops a row when any key expression is NULL or fails (GROUP BY,
	// joins); otherwise the component is NULL (PARTITION BY).
	DropNull bool `json:"dropNull,omitempty"`
}

// Kind returns "rekey".
func (*Rekey) Kind() string { return "rekey" }

// Flatten applies table functions: one output row per element, shorter results
// padded with NULL. Value columns of the output are the input's value columns
// followed by one column per call.
type Flatten struct {
	Calls []*Expr `json:"calls"`
}

// Kind returns "flatten".
func (*Flatten) Kind() string { return "flatten" }

// Repartition ends a sub-plan: rows go to the partition of their key in an
// internal topic, in a private binary form.
type Repartition struct {
	Topic string `json:"topic"`
	// CoPartitionWith names a source topic of the query whose key format decides
	// the partition, so that rows meet those that others wrote there; empty when
	// only repartition topics meet.
	CoPartitionWith []string `json:"coPartitionWith,omitempty"`
}

// Kind returns "repartition".
func (*Repartition) Kind() string { return "repartition" }

// Sink ends a sub-plan: rows are written to a topic that users read.
type Sink struct {
	Name  string `json:"name"`
	Topic string `json:"topic"`
	Key   Format `json:"key"`
	Value Format `json:"value"`
	// Timestamp is the column that gives the record's timestamp, nil for row
	// time.
	Timestamp *TimestampColumn `json:"timestamp,omitempty"`
	// Store materialises the result for pull queries when no earlier store of
	// the plan holds it, else nil.
	Store *Store `json:"store,omitempty"`
}

// Kind returns "sink".
func (*Sink) Kind() string { return "sink" }

// Result ends a transient query: rows go to the client.
type Result struct {
	// Columns are the numbers of the input columns shown, pseudo columns
	// included.
	Columns []int `json:"columns"`
	// KeyOf holds, by position in Columns, the key or window column that a
	// position shows: a deleted row still has it.
	KeyOf map[int]int `json:"keyOf,omitempty"`
	// Limit is the number of rows after which the query ends, -1 for none.
	Limit int64 `json:"limit"`
}

// Kind returns "result".
func (*Result) Kind() string { return "result" }
