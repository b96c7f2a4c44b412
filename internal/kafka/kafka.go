package kafka

import "fmt"

// Offset is the position of a record in a topic-partition. A variable named
// next... is exclusive, one named last... is inclusive.
type Offset int64

// Timestamp is event time in milliseconds since the Unix epoch.
type Timestamp int64

// NoTimestamp marks a record or batch without a timestamp.
const NoTimestamp Timestamp = -1

// ProducerID identifies an idempotent or transactional producer.
type ProducerID int64

// NoProducerID marks a batch that no idempotent producer wrote.
const NoProducerID ProducerID = -1

// Epoch is a producer epoch: a higher one fences the lower.
type Epoch int16

// TopicPartition names one partition of one topic.
type TopicPartition struct {
	Topic     string
	Partition int32
}

// String returns "topic-partition", as Kafka's tools print it.
func (tp TopicPartition) String() string { return fmt.Sprintf("%s-%d", tp.Topic, tp.Partition) }

// Header is one record header. A nil Value is a null value, which differs from
// an empty one.
type Header struct {
	Key   string
	Value []byte
}

// Record is one key-value as a walker yields it. Key and Value are nil for
// null; they are views into the batch and live as long as its bytes.
type Record struct {
	Offset    Offset
	Timestamp Timestamp
	Key       []byte
	Value     []byte
	// RawHeaders is the encoded header section, starting at the header count.
	// ParseHeaders decodes it.
	RawHeaders []byte
}
