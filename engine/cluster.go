package engine

import (
	"context"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/internal/kafka"
)

// cluster is the log that an engine runs over: the embedded broker, or a Kafka
// cluster. Beside the executor's seam it administers topics and appends for the
// engine itself.
type cluster interface {
	executor.Log
	// Topics lists all topics by name.
	Topics() []Topic
	// Topic describes one topic.
	Topic(name string) (Topic, bool)
	// Apply makes all of a change, durably, or none of it.
	Apply(ctx context.Context, c change) error
	// Append adds record batches to one topic-partition, durably, and returns
	// the offset of the first record.
	Append(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) (kafka.Offset, error)
	// DeleteRecords makes the records below an offset unreadable and frees them.
	DeleteRecords(ctx context.Context, tp kafka.TopicPartition, before kafka.Offset) error
	// Err says why nothing can be written any more, nil while all is well.
	Err() error
	// Close ends the connection, or the broker.
	Close(ctx context.Context) error
}

// Topic describes a topic.
type Topic struct {
	Name       string
	Partitions int32
	Replicas   int32
	Internal   bool
	Configs    map[string]string
}

// change is a set of effects that happen together.
type change struct {
	createTopics []Topic
	deleteTopics []string
	// appends are records of the command log.
	appends []executor.PartitionBatches
	// schemas are the changes of the schema registry, which come with a command.
	schemas []registry.Event
	// offsets are the start offsets of a query.
	offsets      []executor.OffsetCommit
	deleteGroups []string
}
