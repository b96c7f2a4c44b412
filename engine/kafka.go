package engine

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

const (
	// kafkaRequestTimeout bounds one exchange with the cluster, retries included.
	kafkaRequestTimeout = 30 * time.Second
	// kafkaRetryPause is the pause before the first retry of a retriable error; it
	// doubles up to kafkaRetryPauseMax.
	kafkaRetryPause    = 5 * time.Millisecond
	kafkaRetryPauseMax = 500 * time.Millisecond
	// topicsMaxAge is how long a description of a topic is believed.
	topicsMaxAge = time.Second
	// kafkaCommitMinDelay is the least time between two commits of a task: a
	// transaction over a network costs more than one on the local log (DESIGN D5).
	kafkaCommitMinDelay = 25 * time.Millisecond
)

// internalPrefix begins the names of topics that engines keep for themselves.
const internalPrefix = "_millrace-"

// kafkaCluster is a Kafka-compatible cluster as the log. It speaks the protocol
// through kgo's connections in requests of its own: what the executor moves are
// batch bytes already, and a commit must know which request it was that failed.
//
// Requests are pinned to the versions of Kafka 3.0. They name topics instead of
// topic IDs, and transactions follow the protocol before KIP-890's second part.
type kafkaCluster struct {
	client  *kgo.Client
	admin   *kadm.Client
	clock   clock.Clock
	watcher *watcher
	// command is the fenced writer of the command log (DESIGN D9), plain the
	// idempotent one of records outside transactions.
	command *kafkaTxn
	plain   *kafkaTxn

	plainMu sync.Mutex // held while plain writes

	mu     sync.Mutex // guards what follows
	topics map[string]cachedTopic
	fenced error
}

type cachedTopic struct {
	Topic
	leaders []int32 // by partition
	asked   time.Time
}

// openKafka connects to a cluster and fences other engines of the service.
func openKafka(ctx context.Context, cfg Config) (_ *kafkaCluster, err error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(cfg.Bootstrap...), kgo.ClientID("millrace-"+cfg.ServiceID),
		kgo.MaxVersions(kversion.V3_0_0()), kgo.RetryTimeout(kafkaRequestTimeout))
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", strings.Join(cfg.Bootstrap, ","), err)
	}
	c := &kafkaCluster{client: client, admin: kadm.NewClient(client), clock: cfg.Clock, topics: map[string]cachedTopic{}}
	c.watcher = newWatcher(c)
	defer func() {
		if err != nil {
			err = errors.Join(err, c.Close(ctx))
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	if err := client.Ping(ctx); err != nil {
		return nil, fmt.Errorf("no broker of %s answers: %w", strings.Join(cfg.Bootstrap, ","), err)
	}
	if c.command, err = c.openTxn(ctx, cfg.ServiceID+"-commands"); err != nil {
		return nil, fmt.Errorf("open the command log's writer: %w", err)
	}
	if c.plain, err = c.openTxn(ctx, ""); err != nil {
		return nil, err
	}
	return c, nil
}

// Topics lists all topics by name. When the cluster does not answer it lists
// those last seen.
func (c *kafkaCluster) Topics() []Topic {
	ctx, cancel := context.WithTimeout(context.Background(), kafkaRequestTimeout)
	defer cancel()
	if list, err := c.describe(ctx, nil); err == nil {
		c.mu.Lock()
		clear(c.topics)
		c.mu.Unlock()
		for i := range list {
			c.remember(&list[i])
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Topic
	for _, name := range slices.Sorted(maps.Keys(c.topics)) {
		out = append(out, c.topics[name].Topic)
	}
	return out
}

// describe asks the cluster for topics, all when none is named. It asks each
// time: a client's own copy of the metadata is seconds old.
func (c *kafkaCluster) describe(ctx context.Context, names []string) ([]kmsg.MetadataResponseTopic, error) {
	req := kmsg.NewPtrMetadataRequest()
	for _, name := range names {
		t := kmsg.NewMetadataRequestTopic()
		t.Topic = kmsg.StringPtr(name)
		req.Topics = append(req.Topics, t)
	}
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	return resp.Topics, nil
}

// remember keeps a topic's description; false says that it does not exist.
func (c *kafkaCluster) remember(d *kmsg.MetadataResponseTopic) (cachedTopic, bool) {
	if d.ErrorCode != 0 || d.Topic == nil || len(d.Partitions) == 0 {
		return cachedTopic{}, false
	}
	t := cachedTopic{asked: c.clock.Now(), leaders: make([]int32, len(d.Partitions))}
	t.Topic = Topic{Name: *d.Topic, Partitions: int32(len(d.Partitions)), Internal: d.IsInternal || strings.HasPrefix(*d.Topic, internalPrefix)}
	for _, p := range d.Partitions {
		if p.Partition < 0 || int(p.Partition) >= len(t.leaders) {
			return cachedTopic{}, false
		}
		t.leaders[p.Partition] = p.Leader
		t.Replicas = int32(len(p.Replicas))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topics[t.Name] = t
	return t, true
}

// Topic describes one topic.
func (c *kafkaCluster) Topic(name string) (Topic, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), kafkaRequestTimeout)
	defer cancel()
	t, ok, _ := c.topic(ctx, name)
	return t.Topic, ok
}

// topic asks the cluster unless it was asked a moment ago. On an error the answer
// is what was known.
func (c *kafkaCluster) topic(ctx context.Context, name string) (cachedTopic, bool, error) {
	c.mu.Lock()
	t, ok := c.topics[name]
	c.mu.Unlock()
	if ok && c.clock.Now().Sub(t.asked) < topicsMaxAge {
		return t, true, nil
	}
	list, err := c.describe(ctx, []string{name})
	if err != nil {
		return t, ok, fmt.Errorf("describe topic %s: %w", name, err)
	}
	c.forget(name)
	if len(list) == 0 {
		return cachedTopic{}, false, nil
	}
	t, ok = c.remember(&list[0])
	return t, ok, nil
}

func (c *kafkaCluster) forget(names ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, name := range names {
		delete(c.topics, name)
	}
}

// leader returns the broker that leads a topic-partition.
func (c *kafkaCluster) leader(ctx context.Context, tp kafka.TopicPartition) (*kgo.Broker, error) {
	t, ok, err := c.topic(ctx, tp.Topic)
	switch {
	case err != nil:
		return nil, err
	case !ok || tp.Partition < 0 || int(tp.Partition) >= len(t.leaders):
		return nil, fmt.Errorf("%s: %w", tp, kerr.UnknownTopicOrPartition)
	case t.leaders[tp.Partition] < 0:
		return nil, fmt.Errorf("%s: %w", tp, kerr.LeaderNotAvailable)
	}
	return c.client.Broker(int(t.leaders[tp.Partition])), nil
}

// retry calls f until it succeeds, fails for good or ctx ends. A stale view of the
// topics is dropped between two tries.
func (c *kafkaCluster) retry(ctx context.Context, topics []string, f func() error) error {
	for pause := kafkaRetryPause; ; pause = min(2*pause, kafkaRetryPauseMax) {
		err := f()
		if err == nil || !kerr.IsRetriable(err) {
			return err
		}
		c.forget(topics...)
		timer := c.clock.NewTimer(pause)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, ctx.Err())
		}
	}
}

// Bounds returns the first readable offset and the last stable offset.
func (c *kafkaCluster) Bounds(ctx context.Context, tp kafka.TopicPartition) (first, stable kafka.Offset, err error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	offsets := [2]kafka.Offset{}
	for i, at := range [2]int64{earliestOffset, latestOffset} {
		err = c.retry(ctx, []string{tp.Topic}, func() error {
			got, err := c.listOffsets(ctx, []kafka.TopicPartition{tp}, at)
			if err == nil && got[tp].err != nil {
				err = got[tp].err
			}
			offsets[i] = got[tp].offset
			return err
		})
		if err != nil {
			return 0, 0, fmt.Errorf("bounds of %s: %w", tp, err)
		}
	}
	return offsets[0], offsets[1], nil
}

// What ListOffsets answers instead of a timestamp.
const (
	latestOffset   = -1 // with readCommitted: the last stable offset
	earliestOffset = -2
)

// readCommitted is the isolation level of everything that is read.
const readCommitted = 1

type listedOffset struct {
	offset kafka.Offset
	err    error
}

// listOffsets asks for the earliest or the last stable offset of topic-partitions.
func (c *kafkaCluster) listOffsets(ctx context.Context, tps []kafka.TopicPartition, at int64) (map[kafka.TopicPartition]listedOffset, error) {
	req := kmsg.NewPtrListOffsetsRequest()
	req.ReplicaID, req.IsolationLevel = -1, readCommitted
	byTopic(tps, func(topic string, partitions []int32) {
		t := kmsg.NewListOffsetsRequestTopic()
		t.Topic = topic
		for _, n := range partitions {
			p := kmsg.NewListOffsetsRequestTopicPartition()
			p.Partition, p.Timestamp = n, at
			t.Partitions = append(t.Partitions, p)
		}
		req.Topics = append(req.Topics, t)
	})
	resp, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, err
	}
	out := make(map[kafka.TopicPartition]listedOffset, len(tps))
	for _, tp := range tps {
		out[tp] = listedOffset{err: kerr.UnknownTopicOrPartition}
	}
	for _, t := range resp.Topics {
		for _, p := range t.Partitions {
			out[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = listedOffset{kafka.Offset(p.Offset), kerr.ErrorForCode(p.ErrorCode)}
		}
	}
	return out, nil
}

// byTopic calls f for every topic of a list with its partitions, in order.
func byTopic(tps []kafka.TopicPartition, f func(topic string, partitions []int32)) {
	partitions := map[string][]int32{}
	for _, tp := range tps {
		partitions[tp.Topic] = append(partitions[tp.Topic], tp.Partition)
	}
	for _, topic := range slices.Sorted(maps.Keys(partitions)) {
		f(topic, partitions[topic])
	}
}

// Committed returns the offsets committed for a group, -1 where there is none. It
// waits for transactions that may still change them (require_stable, KIP-447).
func (c *kafkaCluster) Committed(ctx context.Context, group string, tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	out := make([]kafka.Offset, len(tps))
	err := c.retry(ctx, nil, func() error {
		req := kmsg.NewPtrOffsetFetchRequest()
		req.Group, req.RequireStable = group, true
		byTopic(tps, func(topic string, partitions []int32) {
			t := kmsg.NewOffsetFetchRequestTopic()
			t.Topic, t.Partitions = topic, partitions
			req.Topics = append(req.Topics, t)
		})
		resp, err := req.RequestWith(ctx, c.client)
		if err != nil {
			return err
		}
		// A group that never committed anything need not exist.
		if err := kerr.ErrorForCode(resp.ErrorCode); err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
			return err
		}
		at := map[kafka.TopicPartition]kafka.Offset{}
		for _, t := range resp.Topics {
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					return err
				}
				at[kafka.TopicPartition{Topic: t.Topic, Partition: p.Partition}] = kafka.Offset(p.Offset)
			}
		}
		for i, tp := range tps {
			out[i] = -1
			if o, ok := at[tp]; ok {
				out[i] = o
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("offsets of group %s: %w", group, err)
	}
	return out, nil
}

// OpenReader reads committed records of a topic-partition from an offset on.
func (c *kafkaCluster) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (executor.Reader, error) {
	return newKafkaReader(c, tp, from, wake), nil
}

// OpenTxn returns a transactional writer; it fences the one opened before.
func (c *kafkaCluster) OpenTxn(ctx context.Context, id string) (executor.Txn, error) {
	ctx, cancel := context.WithTimeout(ctx, kafkaRequestTimeout)
	defer cancel()
	return c.openTxn(ctx, id)
}

// Err says why nothing can be written any more.
func (c *kafkaCluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fenced
}

// Close ends the connections. It is idempotent.
func (c *kafkaCluster) Close(context.Context) error {
	c.watcher.close()
	c.client.Close()
	return nil
}
