package engine

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/planner"
)

// commandTopic is the partition that holds the command log.
func (e *Engine) commandTopic() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: fmt.Sprintf(planner.InternalPrefix+"%s-commands", e.cfg.ServiceID)}
}

// ProcessingLogTopic is the topic of the processing log.
func (e *Engine) ProcessingLogTopic() string {
	return fmt.Sprintf(planner.InternalPrefix+"%s-processing-log", e.cfg.ServiceID)
}

func (e *Engine) processingLog() kafka.TopicPartition {
	return kafka.TopicPartition{Topic: e.ProcessingLogTopic()}
}

// CommandSequence is the offset of the last command, -1 when there is none.
func (e *Engine) CommandSequence() int64 { return e.nextID.Load() - 1 }

// createSystemTopics makes the engine's own topics at the first start.
func (e *Engine) createSystemTopics(ctx context.Context) error {
	var missing []Topic
	for _, name := range []string{e.commandTopic().Topic, e.ProcessingLogTopic(), e.schemaTopic().Topic} {
		if _, ok := e.cluster.Topic(name); !ok {
			missing = append(missing, Topic{Name: name, Partitions: 1, Internal: true})
		}
	}
	if len(missing) == 0 {
		return nil
	}
	if err := e.cluster.Apply(ctx, change{createTopics: missing}); err != nil {
		return fmt.Errorf("create system topics: %w", err)
	}
	return nil
}

// replay rebuilds the catalog from the command log. A command that cannot be
// replayed is reported and skipped; one of a newer version stops the start.
func (e *Engine) replay(ctx context.Context) error {
	tp := e.commandTopic()
	first, stable, err := e.cluster.Bounds(ctx, tp)
	if err != nil {
		return fmt.Errorf("read command log: %w", err)
	}
	e.nextID.Store(int64(stable))
	return eachRecord(e.cluster, tp, first, stable, func(r *kafka.Record) error {
		c, err := decodeCommand(r.Value)
		if err != nil {
			return fmt.Errorf("command log offset %d: %w", r.Offset, err)
		}
		next, err := applyCommand(e.Catalog(), c)
		if err != nil {
			e.cfg.Logger.Error("command skipped at replay", "offset", r.Offset, "text", c.Text, "err", err)
			return nil
		}
		e.catalog.Store(next)
		return nil
	})
}

// eachRecord calls f for the records of [from, until) in order.
func eachRecord(log executor.Log, tp kafka.TopicPartition, from, until kafka.Offset, f func(*kafka.Record) error) error {
	if from >= until {
		return nil
	}
	wake := make(chan struct{}, 1)
	reader, err := log.OpenReader(tp, from, func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return fmt.Errorf("read %s: %w", tp, err)
	}
	defer reader.Close()
	for from < until {
		chunk, err := reader.Poll(pollBytes)
		if err != nil {
			return fmt.Errorf("read %s: %w", tp, err)
		}
		err = chunkRecords(chunk, from, until, f)
		if chunk.Release != nil {
			chunk.Release()
		}
		if err != nil {
			return err
		}
		if chunk.AtEnd && len(chunk.Batches) == 0 {
			return nil
		}
		if len(chunk.Batches) == 0 && chunk.Next == from {
			<-wake // the answer is on its way; it may be an error
		}
		from = chunk.Next
	}
	return nil
}

// pollBytes is what the engine's own readers ask for at a time.
const pollBytes = 1 << 20

// chunkRecords calls f for the records of a chunk in [from, until).
func chunkRecords(chunk executor.Chunk, from, until kafka.Offset, f func(*kafka.Record) error) error {
	for rest := chunk.Batches; len(rest) > 0; {
		b, next, err := kafka.NextBatch(rest)
		if err != nil {
			return err
		}
		rest = next
		records := b.Records(b.Payload())
		for records.Next() {
			r := records.Record()
			if r.Offset < from || r.Offset >= until {
				continue
			}
			if err := f(r); err != nil {
				return err
			}
		}
		if err := records.Err(); err != nil {
			return err
		}
	}
	return nil
}

// commit appends a command with its other effects in one write and makes it the
// catalog. Called with ddl held.
func (e *Engine) commit(ctx context.Context, c *Command, ch change) (sequence int64, err error) {
	next, err := applyCommand(e.Catalog(), c)
	if err != nil {
		return 0, err
	}
	c.Version = commandVersion
	c.TimeMs = e.cfg.Clock.Now().UnixMilli()
	value, err := json.Marshal(c)
	if err != nil {
		return 0, fmt.Errorf("encode command: %w", err)
	}
	var w kafka.BatchBuilder
	w.Append(kafka.Timestamp(c.TimeMs), nil, value, nil)
	w.Finish()
	ch.appends = append(ch.appends, executor.PartitionBatches{TP: e.commandTopic(), Batches: w.Bytes(), Records: 1})
	if len(ch.schemas) > 0 {
		batch, err := e.schemaBatch(ch.schemas)
		if err != nil {
			return 0, err
		}
		ch.appends = append(ch.appends, batch)
	}
	if err := e.cluster.Apply(ctx, ch); err != nil {
		return 0, err
	}
	if err := e.applySchemas(ch.schemas); err != nil {
		return 0, err
	}
	e.catalog.Store(next)
	return e.nextID.Add(1) - 1, nil
}
