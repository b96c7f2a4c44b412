package executor

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// Row is a row of a result. Values own their bytes.
type Row struct {
	// Op is Insert for streams and new rows, UpdateAfter for changed ones,
	// Delete for deleted ones, whose value columns are NULL.
	Op     batch.Op
	Values []types.Value
	// Time is the row time in ms.
	Time int64
}

// Deleted reports whether the row is a table's deletion.
func (r Row) Deleted() bool { return r.Op == batch.Delete }
