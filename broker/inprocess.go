package broker

import (
	"errors"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
)

// The errors that callers tell apart with errors.Is.
var (
	// ErrUnknownTopic: no such topic or partition.
	ErrUnknownTopic = errors.New("broker: unknown topic or partition")
	// ErrTopicExists: a topic of this name exists.
	ErrTopicExists = errors.New("broker: topic exists")
	// ErrInvalid: the request itself is wrong (name, count, configuration).
	ErrInvalid = errors.New("broker: invalid request")
	// ErrOffsetOutOfRange: below the log start offset or above the high watermark.
	ErrOffsetOutOfRange = errors.New("broker: offset out of range")
	// ErrFenced: another handle of the same id was opened.
	ErrFenced = errors.New("broker: fenced by a newer handle")
	// ErrClosed: the broker was closed.
	ErrClosed = errors.New("broker: closed")
	// ErrStorage: the data directory is fenced after a failed write or sync.
	ErrStorage = wal.ErrFenced
	// ErrDiskFull: nothing happened, because the disk is full; it works again when
	// there is room.
	ErrDiskFull = wal.ErrDiskFull
)

// TopicID identifies a topic for ever: a topic that is deleted and created
// again has another one.
type TopicID = wal.TopicID

// TopicInfo describes one topic. Configs holds what was set, not the defaults;
// it is shared and must not be changed.
type TopicInfo struct {
	ID         TopicID
	Name       string
	Partitions int32
	Internal   bool
	Configs    map[string]string
}

// Append is what a commit adds to one topic-partition: whole, uncompressed,
// sealed record batches with base offset 0. Records is their record count over
// all batches.
type Append struct {
	TP      kafka.TopicPartition
	Batches []byte
	Records int
}

// Commit is everything that becomes durable and visible at once. The buffers
// belong to the broker until done was called.
type Commit struct {
	Appends []Append
	Offsets []GroupOffset
	// Fence, when set, must be the newest handle of its id, or the outcome is
	// Fenced. Txn.Commit sets it.
	Fence *Txn
}

// Outcome is what became of a commit.
type Outcome uint8

// The outcomes of a commit, in the order of executor.Outcome.
const (
	// Committed: everything is durable and visible.
	Committed Outcome = iota
	// Aborted: nothing happened and nothing will.
	Aborted
	// Fenced: another handle of the same id was opened.
	Fenced
	// Unknown: a write or sync failed for another reason than a full disk; only a restart tells what is on disk.
	Unknown
)

// String returns the outcome's name.
func (o Outcome) String() string {
	return [...]string{"committed", "aborted", "fenced", "unknown"}[o]
}

// CommitResult is the answer to a commit. BaseOffsets holds the offset of the
// first record of each append, when Committed.
type CommitResult struct {
	Outcome     Outcome
	Err         error
	BaseOffsets []kafka.Offset
}

// TopicSpec is a topic to be created.
type TopicSpec struct {
	Name string
	// Partitions is the partition count; 0 means num.partitions.
	Partitions int32
	// Internal topics refuse produce, delete, alter and DeleteRecords from the
	// wire.
	Internal bool
	Configs  map[string]string
}

// GroupOffset is the next offset that a group reads from a topic-partition.
type GroupOffset struct {
	Group string
	TP    kafka.TopicPartition
	Next  kafka.Offset
}

// Metadata is a set of changes that Apply makes in one atomic frame. Topics are
// deleted first, then created; appends and offsets may name created topics.
type Metadata struct {
	DeleteTopics []string
	CreateTopics []TopicSpec
	Appends      []Append
	Offsets      []GroupOffset
	// DeleteGroups forgets the committed offsets of engine-owned groups.
	DeleteGroups []string
}

// Chunk is a run of record batches from one topic-partition.
type Chunk struct {
	// Batches are whole, uncompressed record batches with their CRCs checked or
	// sealed by this process. The first may start below the offset asked for.
	// Control batches and aborted data are left out. Read only.
	Batches []byte
	// Next is the offset to go on from.
	Next kafka.Offset
	// AtEnd says that no committed record stood behind this chunk.
	AtEnd bool
	// Release gives the bytes back; nil when there is nothing to do.
	Release func()
}
