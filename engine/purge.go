package engine

import (
	"context"
	"time"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
)

// purgeInterval is how often repartition topics are purged.
const purgeInterval = 10 * time.Second

// purge deletes the records of repartition topics that their queries have read
// and committed: nothing else reads them, and without it they would grow for ever
// (DESIGN D8). It runs until the engine is closed.
func (e *Engine) purge(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for e.sleep(ctx, purgeInterval) == nil {
		for _, q := range e.Catalog().Queries() {
			if err := e.purgeQuery(ctx, q); err != nil && ctx.Err() == nil {
				e.cfg.Logger.Warn("repartition topics not purged", "query", q.ID, "err", err)
			}
		}
	}
}

// purgeQuery purges the repartition topics of one query.
func (e *Engine) purgeQuery(ctx context.Context, q *catalog.Query) error {
	for _, sub := range q.Plan.SubPlans {
		for _, n := range sub.Nodes {
			src, ok := n.Op.(*plan.RepartitionSource)
			if !ok {
				continue
			}
			if err := e.purgeTopic(ctx, src.Topic, e.group(q.ID)); err != nil {
				return err
			}
		}
	}
	return nil
}

// purgeTopic deletes the records of a topic below the offsets that a group
// committed.
func (e *Engine) purgeTopic(ctx context.Context, topic, group string) error {
	t, ok := e.cluster.Topic(topic)
	if !ok {
		return nil // the query was dropped
	}
	tps := make([]kafka.TopicPartition, t.Partitions)
	for i := range tps {
		tps[i] = kafka.TopicPartition{Topic: topic, Partition: int32(i)}
	}
	committed, err := e.cluster.Committed(ctx, group, tps)
	if err != nil {
		return err
	}
	for i, next := range committed {
		first, _, err := e.cluster.Bounds(ctx, tps[i])
		if err != nil {
			return err
		}
		if next > first {
			if err := e.cluster.DeleteRecords(ctx, tps[i], next); err != nil {
				return err
			}
		}
	}
	return nil
}
