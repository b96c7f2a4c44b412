package executor

import (
	"github.com/millrace/millrace/executor/batch"
)

// worker is what a goroutine of the pool, or a driver, lends the task that it
// runs.
type worker struct {
	scratch batch.Scratch
	free    []*batch.Batch
}

// maxFreeBatches is the number of decoded batches that a worker keeps.
const maxFreeBatches = 64

// batch lends a batch for decoded rows; it may outlive the run.
func (w *worker) batch() *batch.Batch {
	if n := len(w.free); n > 0 {
		b := w.free[n-1]
		w.free = w.free[:n-1]
		return b
	}
	return new(batch.Batch)
}

// giveBatch takes a batch back, possibly another worker's.
func (w *worker) giveBatch(b *batch.Batch) {
	if len(w.free) < maxFreeBatches {
		w.free = append(w.free, b)
	}
}
