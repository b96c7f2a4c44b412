package engine

import (
	"context"
	"fmt"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/plan"
)

// CreateTopic creates a topic. A topic of the name must not exist.
func (e *Engine) CreateTopic(ctx context.Context, name string, partitions int32) error {
	if err := e.cluster.Apply(ctx, change{createTopics: []Topic{{Name: name, Partitions: partitions, Replicas: 1}}}); err != nil {
		return fmt.Errorf("create topic %s: %w", name, err)
	}
	return nil
}

// Produce appends whole, sealed record batches to a topic-partition, durably.
func (e *Engine) Produce(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) error {
	if _, err := e.cluster.Append(ctx, tp, batches, records); err != nil {
		return fmt.Errorf("produce to %s: %w", tp, err)
	}
	return nil
}

// TopicPartitions returns the partition count of a topic.
func (e *Engine) TopicPartitions(topic string) (int32, error) { return e.partitions(topic) }

// EachRecord calls f for the records that a topic holds now, partition by
// partition, those of a partition in order. A record is valid during the call
// only. An error of f ends the walk and is returned.
func (e *Engine) EachRecord(ctx context.Context, topic string, f func(partition int32, r *kafka.Record) error) error {
	n, err := e.partitions(topic)
	if err != nil {
		return err
	}
	for i := range n {
		tp := kafka.TopicPartition{Topic: topic, Partition: i}
		first, stable, err := e.cluster.Bounds(ctx, tp)
		if err != nil {
			return err
		}
		err = eachRecord(e.cluster, tp, first, stable, func(r *kafka.Record) error { return f(i, r) })
		if err != nil {
			return err
		}
	}
	return nil
}

// TopicRecords returns how many offsets a topic's partitions hold.
func (e *Engine) TopicRecords(ctx context.Context, topic string) (int64, error) {
	t, ok := e.cluster.Topic(topic)
	if !ok {
		return 0, fmt.Errorf("topic %s does not exist", topic)
	}
	var n int64
	for i := range t.Partitions {
		first, stable, err := e.cluster.Bounds(ctx, kafka.TopicPartition{Topic: topic, Partition: i})
		if err != nil {
			return 0, err
		}
		n += int64(stable - first)
	}
	return n, nil
}

// CaughtUp reports whether a persistent query has committed everything that its
// inputs hold now, its own repartition topics included. A query that failed for
// good is an error; one that restarts has not caught up.
func (e *Engine) CaughtUp(ctx context.Context, queryID string) (bool, error) {
	q := e.Catalog().Query(queryID)
	if q == nil {
		return false, fmt.Errorf("query %s does not exist", queryID)
	}
	// Sub-plans are in topological order: once one has caught up, what it wrote
	// is the end that the next one must reach.
	for _, topic := range readTopics(q.Plan) {
		t, ok := e.cluster.Topic(topic)
		if !ok {
			return false, fmt.Errorf("topic %s does not exist", topic)
		}
		var ends []executor.OffsetCommit
		for i := range t.Partitions {
			tp := kafka.TopicPartition{Topic: topic, Partition: i}
			_, stable, err := e.cluster.Bounds(ctx, tp)
			if err != nil {
				return false, err
			}
			ends = append(ends, executor.OffsetCommit{TP: tp, Next: stable})
		}
		status, err := e.exec.Status(queryID)
		if err != nil {
			return false, err
		}
		if status.State == executor.Failed && status.Fatal {
			return false, fmt.Errorf("query %s failed: %s", queryID, status.Reason)
		}
		if status.State == executor.Failed || status.Restoring || !status.ConsumedTo(ends) {
			return false, nil
		}
	}
	return true, nil
}

// readTopics returns every topic that a plan reads, those of earlier sub-plans
// first.
func readTopics(q *plan.Query) []string {
	var topics []string
	for _, sub := range q.SubPlans {
		for _, n := range sub.Nodes {
			switch op := n.Op.(type) {
			case *plan.Source:
				topics = append(topics, op.Topic)
			case *plan.RepartitionSource:
				topics = append(topics, op.Topic)
			}
		}
	}
	return topics
}
