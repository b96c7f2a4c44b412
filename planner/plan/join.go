package plan

// JoinKind is inner, left, right or full.
type JoinKind string

// The join kinds.
const (
	Inner JoinKind = "inner"
	Left  JoinKind = "left"
	Right JoinKind = "right"
	Full  JoinKind = "full"
)

// A join node has two inputs, left and right, keyed alike. Its output key is the
// join key; its value columns are the left input's value columns followed by the
// right input's, each side NULL where it is missing.

// StreamStreamJoin joins two streams within a time bound: right.ts in [left.ts -
// BeforeMs, left.ts + AfterMs].
type StreamStreamJoin struct {
	Join     JoinKind `json:"join"`
	BeforeMs int64    `json:"beforeMs"`
	AfterMs  int64    `json:"afterMs"`
	// GraceMs is how long an unmatched outer row waits after its bound passed.
	GraceMs int64 `json:"graceMs"`
	// EagerOuter pads unmatched outer rows at once and emits a later match as a
	// second row: KSQL without an explicit GRACE.
	EagerOuter bool  `json:"eagerOuter,omitempty"`
	LeftStore  Store `json:"leftStore"`
	RightStore Store `json:"rightStore"`
}

// Kind returns "stream-stream join".
func (*StreamStreamJoin) Kind() string { return "stream-stream join" }

// StreamTableJoin looks each stream row (left input) up in a table (right
// input), which must carry a store of its own. Kinds: inner, left.
type StreamTableJoin struct {
	Join  JoinKind `json:"join"`
	Store Store    `json:"store"` // of the right input's rows
}

// Kind returns "stream-table join".
func (*StreamTableJoin) Kind() string { return "stream-table join" }

// TableTableJoin joins two tables on their keys; every change of either side
// gives a change of the result.
type TableTableJoin struct {
	Join       JoinKind `json:"join"`
	LeftStore  Store    `json:"leftStore"`
	RightStore Store    `json:"rightStore"`
}

// Kind returns "table-table join".
func (*TableTableJoin) Kind() string { return "table-table join" }

// ForeignKeyJoin joins a table (left input) with another one's primary key.
// ForeignKey is evaluated on the left row. Kinds: inner, left. The output keeps
// the left key.
type ForeignKeyJoin struct {
	Join       JoinKind `json:"join"`
	ForeignKey *Expr    `json:"foreignKey"`
	LeftStore  Store    `json:"leftStore"`
	RightStore Store    `json:"rightStore"`
}

// Kind returns "foreign-key join".
func (*ForeignKeyJoin) Kind() string { return "foreign-key join" }
