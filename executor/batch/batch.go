package batch

import "github.com/millrace/millrace/sql/types"

// MaxRows is the number of rows after which a batch is passed on. One row more
// may stand in it, so that a before row is never parted from its after row.
const MaxRows = 1024

// MaxBytes is the number of input bytes after which a batch is passed on.
const MaxBytes = 256 << 10

// Op is what a row does to the table that it belongs to.
type Op uint8

// The operations. Rows of a stream are inserts.
const (
	Insert Op = iota
	UpdateBefore
	UpdateAfter
	Delete
)

// String returns the name of the operation.
func (o Op) String() string {
	return [...]string{"insert", "update_before", "update_after", "delete"}[o]
}

// Retracts reports whether the row takes an earlier one back.
func (o Op) Retracts() bool { return o == UpdateBefore || o == Delete }

// Batch is a run of rows in columns.
type Batch struct {
	// Topic is the topic that the rows came from, for the processing log.
	Topic string
	// Cols are the columns, key columns first.
	Cols []*Vector
	// Keys is the number of key columns.
	Keys int
	// Rows is the number of rows held, selected or not.
	Rows int
	// Sel holds the numbers of the selected rows, ascending.
	Sel []int32
	// Time is the row time in ms; Partition and Offset say where the record
	// that caused the row stands.
	Time      []int64
	Partition []int32
	Offset    []int64
	// Op is nil when all rows are inserts.
	Op []Op
	// KeyNull and ValueNull mark rows without a key or value; nil for none.
	KeyNull, ValueNull Bitmap
	// WindowStart and WindowEnd are nil when keys have no window.
	WindowStart, WindowEnd []int64
	// Headers views the raw header sections in HeaderData; nil for none.
	Headers    []View
	HeaderData []byte
}

// OpAt returns the operation of row i.
func (b *Batch) OpAt(i int32) Op {
	if b.Op == nil {
		return Insert
	}
	return b.Op[i]
}

// RawHeaders returns the encoded header section of row i: a zero count when it
// has none.
func (b *Batch) RawHeaders(i int32) []byte {
	if b.Headers == nil || b.Headers[i].Len == 0 {
		return noHeaders
	}
	v := b.Headers[i]
	return b.HeaderData[v.Off : v.Off+v.Len]
}

var noHeaders = []byte{0}

// Value returns the value of column c in row i. It owns its bytes.
func (b *Batch) Value(c int, i int32) types.Value { return b.Cols[c].Value(i) }

// SelectAll selects all rows.
func (b *Batch) SelectAll() { b.Sel = Range(0, b.Rows) }

// identity is 0, 1, 2, ...: every unbroken selection is a slice of it.
var identity = func() []int32 {
	s := make([]int32, 8*MaxRows)
	for i := range s {
		s[i] = int32(i)
	}
	return s
}()

// MaxBatchRows is the number of rows that a batch can hold at all.
const MaxBatchRows = 8 * MaxRows

// Range returns the selection from, from+1, ..., next-1. It must not be written
// to.
func Range(from, next int) []int32 { return identity[from:next:next] }
