package cli

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/engine"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
)

// openPayloads returns what decodes payloads with registered schemas: those of an
// external registry, or of the embedded one, whose topic is read to its end.
// Schemas that are registered later are not known.
func openPayloads(ctx context.Context, topic string, o consumeOptions) (*engine.PayloadReader, error) {
	var schemas format.Schemas
	if o.registry != "" {
		cfg, err := readRegistryURL(o.registry)
		if err != nil {
			return nil, err
		}
		if schemas, err = registry.NewClient(cfg); err != nil {
			return nil, err
		}
	} else {
		embedded, err := readSchemas(ctx, o.to, engine.SchemaTopic(o.service))
		if err != nil {
			return nil, err
		}
		schemas = embedded
	}
	r := engine.NewPayloadReader(topic, schemas)
	return &r, nil
}

// readSchemas rebuilds the embedded schema registry from its topic.
func readSchemas(ctx context.Context, to cluster, topic string) (*registry.Registry, error) {
	r := engine.NewRegistry()
	end := int64(0)
	err := withAdmin(ctx, to, func(ctx context.Context, a *kadm.Client) error {
		ends, err := a.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return err
		}
		at, ok := ends.Lookup(topic, 0)
		if !ok || at.Err != nil {
			return fmt.Errorf("no schema registry of a service answers under topic %s: give --service-id, or --schema-registry-url", topic)
		}
		end = at.Offset
		return nil
	})
	if err != nil || end == 0 {
		return r, err
	}
	cl, err := kafkaClient(to, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	for next := int64(0); next < end; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err(); err != nil {
			return nil, fmt.Errorf("read the schema registry: %w", err)
		}
		for it := fetches.RecordIter(); !it.Done(); {
			rec := it.Next()
			next = rec.Offset + 1
			if rec.Attrs.IsControl() {
				continue
			}
			var ev registry.Event
			if err := json.Unmarshal(rec.Value, &ev); err != nil {
				return nil, fmt.Errorf("read the schema registry: record at offset %d: %w", rec.Offset, err)
			}
			if err := r.Apply(ev); err != nil {
				return nil, fmt.Errorf("read the schema registry: record at offset %d: %w", rec.Offset, err)
			}
		}
	}
	return r, nil
}
