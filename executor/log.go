package executor

import (
	"context"

	"github.com/millrace/millrace/internal/kafka"
)

// Log is the seam between the engine and the log. It moves batch bytes, never
// records (DESIGN D1). Implementations: the embedded broker in process, franz-go
// against any Kafka-compatible cluster, and a fake in tests. Methods are safe for
// concurrent use.
type Log interface {
	// OpenReader reads a topic-partition from offset from on, committed data
	// only. wake is called, from any goroutine and without blocking, whenever
	// Poll may return more than it did last; it may be called too often, never
	// too rarely.
	OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (Reader, error)
	// Bounds returns the first readable offset and the last stable offset.
	Bounds(ctx context.Context, tp kafka.TopicPartition) (first, stable kafka.Offset, err error)
	// Committed returns the offsets committed for a group, -1 where there is
	// none; only what no open transaction may still change (require_stable).
	Committed(ctx context.Context, group string, tps []kafka.TopicPartition) ([]kafka.Offset, error)
	// OpenTxn returns the handle through which the unit named id commits. A
	// second OpenTxn of the same id fences the first.
	OpenTxn(ctx context.Context, id string) (Txn, error)
}

// Reader reads one topic-partition in order. It belongs to one task.
type Reader interface {
	// Poll returns whole record batches, at least one when there is any, about
	// maxBytes at most, and never blocks. An empty chunk with AtEnd set proves
	// that the partition was at its end when Poll was called; an empty chunk
	// without it means that the answer is not known yet.
	Poll(maxBytes int) (Chunk, error)
	// Close releases the reader. Chunks stay valid until released.
	Close()
}

// Chunk is a run of record batches from one topic-partition.
type Chunk struct {
	// Batches are whole, uncompressed record batches with their CRCs checked.
	// The first may start below the offset asked for: skip its early records.
	// Control batches and aborted data are left out.
	Batches []byte
	// Next is the offset to go on from.
	Next kafka.Offset
	// AtEnd says that no committed record stood behind this chunk.
	AtEnd bool
	// Release gives the bytes back; nil when there is nothing to do. Views into
	// Batches die with it.
	Release func()
}

// PartitionBatches is what a commit appends to one topic-partition: whole,
// uncompressed record batches with base offsets to be assigned.
type PartitionBatches struct {
	TP      kafka.TopicPartition
	Batches []byte
	Records int
}

// OffsetCommit is the next offset that a group reads from a topic-partition.
type OffsetCommit struct {
	Group string
	TP    kafka.TopicPartition
	Next  kafka.Offset
}

// CommitRequest is everything that one commit makes visible at once. Outputs,
// repartition records and changelog records are all appends. The buffers belong
// to the callee until done was called.
type CommitRequest struct {
	Appends []PartitionBatches
	Offsets []OffsetCommit
}

// Outcome is what became of a commit.
type Outcome uint8

// The outcomes of a commit.
const (
	// Committed: everything is durable and visible.
	Committed Outcome = iota
	// Aborted: nothing happened and nothing will; the work may be done again.
	Aborted
	// Fenced: another owner took over; the task must stop.
	Fenced
	// Unknown: it may or may not have happened. Reopen the transaction and read
	// the committed offsets to find out.
	Unknown
)

// String returns the outcome's name.
func (o Outcome) String() string {
	return [...]string{"committed", "aborted", "fenced", "unknown"}[o]
}

// CommitResult is the answer to a commit. Err says why when it is not
// Committed. BaseOffsets holds the offset of the first record of each append.
type CommitResult struct {
	Outcome     Outcome
	Err         error
	BaseOffsets []kafka.Offset
}

// Txn commits for one unit (a task on the embedded broker, a worker on a
// cluster). One commit is in flight at a time.
type Txn interface {
	// Commit starts a commit and returns at once; done is called exactly once,
	// from any goroutine, with the result.
	Commit(req CommitRequest, done func(CommitResult))
	// Close gives the handle up; an unfinished commit has the outcome Unknown.
	Close()
}
