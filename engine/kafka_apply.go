package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
)

// Apply makes a change in an order that leaves nothing half done to see. Topics
// are created first, which repeats without harm; then the command and the start
// offsets of its query are one transaction of a fenced writer; only then are
// topics and groups deleted. A crash in between leaves an empty topic or one that
// nobody reads, never a command without its topics.
func (c *kafkaCluster) Apply(ctx context.Context, ch change) error {
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	if err := c.Err(); err != nil {
		return err
	}
	created, err := c.createTopics(ctx, ch.createTopics)
	if err != nil {
		return errors.Join(err, c.deleteTopics(ctx, created))
	}
	if len(ch.appends) > 0 {
		if err := c.applyCommand(ctx, ch); err != nil {
			return errors.Join(err, c.deleteTopics(ctx, created))
		}
	}
	if err := c.deleteTopics(ctx, ch.deleteTopics); err != nil {
		return err
	}
	for _, group := range ch.deleteGroups {
		if _, err := c.admin.DeleteGroup(ctx, group); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return fmt.Errorf("delete group %s: %w", group, err)
		}
	}
	return nil
}

// applyCommand writes the command with the start offsets of its query.
func (c *kafkaCluster) applyCommand(ctx context.Context, ch change) error {
	result := c.command.commit(ctx, executor.CommitRequest{Appends: ch.appends, Offsets: ch.offsets})
	switch result.Outcome {
	case executor.Committed:
		return nil
	case executor.Fenced:
		err := fmt.Errorf("another engine of this service has taken over: %w", result.Err)
		c.mu.Lock()
		c.fenced = err
		c.mu.Unlock()
		return err
	case executor.Unknown:
		// Opening the writer anew settles it; then the log tells.
		if err := c.command.init(ctx); err != nil {
			return errors.Join(result.Err, err)
		}
		if there, err := c.endsWith(ctx, ch.appends[len(ch.appends)-1]); err != nil || there {
			return err
		}
	}
	return result.Err
}

// endsWith reports whether the last committed record of a topic-partition is that
// of an append of one record.
func (c *kafkaCluster) endsWith(ctx context.Context, a executor.PartitionBatches) (bool, error) {
	var want, got []byte
	err := chunkRecords(executor.Chunk{Batches: a.Batches}, 0, 1<<62, func(r *kafka.Record) error {
		want = bytes.Clone(r.Value)
		return nil
	})
	if err != nil {
		return false, err
	}
	first, stable, err := c.Bounds(ctx, a.TP)
	if err != nil {
		return false, err
	}
	err = eachRecord(c, a.TP, first, stable, func(r *kafka.Record) error {
		got = bytes.Clone(r.Value)
		return nil
	})
	return err == nil && bytes.Equal(got, want), err
}

// createTopics creates the topics that do not exist and returns those it created.
// One that exists with another number of partitions is an error.
func (c *kafkaCluster) createTopics(ctx context.Context, topics []Topic) (created []string, err error) {
	for _, t := range topics {
		configs := map[string]*string{}
		for _, k := range slices.Sorted(maps.Keys(t.Configs)) {
			configs[k] = kadm.StringPtr(t.Configs[k])
		}
		if t.Internal && configs["retention.ms"] == nil {
			configs["retention.ms"] = kadm.StringPtr("-1") // DESIGN D9
		}
		replicas := int16(-1)
		if t.Replicas > 0 {
			replicas = int16(t.Replicas)
		}
		resp, err := c.admin.CreateTopic(ctx, t.Partitions, replicas, configs, t.Name)
		c.forget(t.Name)
		switch {
		case err == nil:
			created = append(created, t.Name)
		case errors.Is(err, kerr.TopicAlreadyExists):
			if there, ok, err := c.topic(ctx, t.Name); err != nil || ok && there.Partitions != t.Partitions {
				return created, errors.Join(err, fmt.Errorf("create topic %s: it exists with %d partitions instead of %d", t.Name, there.Partitions, t.Partitions))
			}
		default:
			return created, fmt.Errorf("create topic %s: %w: %s", t.Name, err, resp.ErrMessage)
		}
	}
	return created, c.awaitTopics(ctx, created, true)
}

// awaitTopics waits until the cluster's metadata knows topics, or knows them no
// more.
func (c *kafkaCluster) awaitTopics(ctx context.Context, names []string, there bool) error {
	for _, name := range names {
		err := c.retry(ctx, []string{name}, func() error {
			c.forget(name)
			t, ok, err := c.topic(ctx, name)
			if err != nil {
				return err
			}
			if ok != there || there && slices.Min(t.leaders) < 0 {
				return kerr.LeaderNotAvailable // retried
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("topic %s does not settle: %w", name, err)
		}
	}
	return nil
}

func (c *kafkaCluster) deleteTopics(ctx context.Context, names []string) error {
	for _, name := range names {
		if _, err := c.admin.DeleteTopic(ctx, name); err != nil && !errors.Is(err, kerr.UnknownTopicOrPartition) {
			return fmt.Errorf("delete topic %s: %w", name, err)
		}
	}
	return c.awaitTopics(ctx, names, false)
}

// Append adds record batches to a topic-partition outside any transaction, once
// however often they are sent.
func (c *kafkaCluster) Append(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) (kafka.Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	c.plainMu.Lock()
	defer c.plainMu.Unlock()
	if c.plain.stale {
		if err := c.plain.init(ctx); err != nil {
			return 0, err
		}
	}
	bases, err := c.plain.produce(ctx, []executor.PartitionBatches{{TP: tp, Batches: batches, Records: records}})
	if err != nil {
		c.plain.stale = true
		return 0, err
	}
	return bases[0], nil
}

// DeleteRecords asks the cluster to drop what lies below an offset.
func (c *kafkaCluster) DeleteRecords(ctx context.Context, tp kafka.TopicPartition, before kafka.Offset) error {
	var offsets kadm.Offsets
	offsets.AddOffset(tp.Topic, tp.Partition, int64(before), -1)
	answers, err := c.admin.DeleteRecords(ctx, offsets)
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return fmt.Errorf("delete records of %s below %d: %w", tp, before, err)
	}
	return nil
}
