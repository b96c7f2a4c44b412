package engine

import (
	"context"

	"github.com/millrace/millrace/broker"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
)

// embedded is the cluster that lives in this process.
type embedded struct{ broker *broker.Broker }

func (c embedded) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (executor.Reader, error) {
	r, err := c.broker.OpenReader(tp, from, wake)
	if err != nil {
		return nil, err
	}
	return embeddedReader{r}, nil
}

type embeddedReader struct{ *broker.Reader }

func (r embeddedReader) Poll(maxBytes int) (executor.Chunk, error) {
	c, err := r.Reader.Poll(maxBytes)
	return executor.Chunk(c), err
}

func (c embedded) Bounds(_ context.Context, tp kafka.TopicPartition) (first, stable kafka.Offset, err error) {
	return c.broker.Bounds(tp)
}

func (c embedded) Committed(ctx context.Context, group string, tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	return c.broker.Committed(ctx, group, tps)
}

func (c embedded) OpenTxn(_ context.Context, id string) (executor.Txn, error) {
	t, err := c.broker.OpenTxn(id)
	if err != nil {
		return nil, err
	}
	return embeddedTxn{t}, nil
}

type embeddedTxn struct{ *broker.Txn }

func (t embeddedTxn) Commit(req executor.CommitRequest, done func(executor.CommitResult)) {
	t.Txn.Commit(broker.Commit{Appends: toAppends(req.Appends), Offsets: toOffsets(req.Offsets)}, func(r broker.CommitResult) {
		done(executor.CommitResult{Outcome: executor.Outcome(r.Outcome), Err: r.Err, BaseOffsets: r.BaseOffsets})
	})
}

func toAppends(in []executor.PartitionBatches) []broker.Append {
	out := make([]broker.Append, len(in))
	for i, a := range in {
		out[i] = broker.Append(a)
	}
	return out
}

func toOffsets(in []executor.OffsetCommit) []broker.GroupOffset {
	out := make([]broker.GroupOffset, len(in))
	for i, o := range in {
		out[i] = broker.GroupOffset(o)
	}
	return out
}

func (c embedded) Topics() []Topic {
	var out []Topic
	for _, t := range c.broker.Topics() {
		out = append(out, toTopic(t))
	}
	return out
}

func (c embedded) Topic(name string) (Topic, bool) {
	t, ok := c.broker.Topic(name)
	return toTopic(t), ok
}

func toTopic(t broker.TopicInfo) Topic {
	return Topic{Name: t.Name, Partitions: t.Partitions, Replicas: 1, Internal: t.Internal, Configs: t.Configs}
}

func (c embedded) Apply(_ context.Context, ch change) error {
	m := broker.Metadata{DeleteTopics: ch.deleteTopics, Appends: toAppends(ch.appends), DeleteGroups: ch.deleteGroups, Offsets: toOffsets(ch.offsets)}
	for _, t := range ch.createTopics {
		m.CreateTopics = append(m.CreateTopics, broker.TopicSpec{Name: t.Name, Partitions: t.Partitions, Internal: t.Internal, Configs: t.Configs})
	}
	return c.broker.Apply(m)
}

func (c embedded) Append(ctx context.Context, tp kafka.TopicPartition, batches []byte, records int) (kafka.Offset, error) {
	result := make(chan broker.CommitResult, 1)
	c.broker.Commit(broker.Commit{Appends: []broker.Append{{TP: tp, Batches: batches, Records: records}}}, func(r broker.CommitResult) { result <- r })
	select {
	case r := <-result:
		if r.Outcome != broker.Committed {
			return 0, r.Err
		}
		return r.BaseOffsets[0], nil
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (c embedded) DeleteRecords(_ context.Context, tp kafka.TopicPartition, before kafka.Offset) error {
	return c.broker.DeleteRecords(tp, before)
}

func (c embedded) Err() error { return c.broker.Err() }

func (c embedded) Close(ctx context.Context) error { return c.broker.Close(ctx) }
