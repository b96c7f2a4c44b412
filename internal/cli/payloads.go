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
	rd := reading{topic: topic, isolation: kgo.ReadCommitted(), place: map[int32]int64{0: 0}, options: consumeOptions{to: to, toEnd: true, retryTimeout: clientTimeout}}
	err := withAdmin(ctx, to, func(ctx context.Context, a *kadm.Client) error {
		ends, err := a.ListCommittedOffsets(ctx, topic)
		if err != nil {
			return refusal("read the schema registry", err, "")
		}
		at, ok := ends.Lookup(topic, 0)
		if !ok || at.Err != nil {
			return fmt.Errorf("no schema registry of a service answers under topic %s: give --service-id, or --schema-registry-url", topic)
		}
		rd.ends = consumeEnds{0: at.Offset}
		return nil
	})
	if err != nil || rd.ends[0] == 0 {
		return r, err
	}
	rd.each = func(rec *kgo.Record) error {
		var ev registry.Event
		if err := json.Unmarshal(rec.Value, &ev); err != nil {
			return fmt.Errorf("record at offset %d: %w", rec.Offset, err)
		}
		if err := r.Apply(ev); err != nil {
			return fmt.Errorf("record at offset %d: %w", rec.Offset, err)
		}
		return nil
	}
	if err := rd.open(); err != nil {
		return nil, err
	}
	defer rd.close()
	if err := rd.run(ctx); err != nil {
		return nil, fmt.Errorf("read the schema registry: %w", err)
	}
	return r, nil
}
