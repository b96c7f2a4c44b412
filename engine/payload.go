package engine

import (
	"fmt"

	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner"
)

// SchemaTopic is the topic, of one partition, that holds the changes of a
// service's embedded schema registry, one registry.Event in JSON a record.
func SchemaTopic(serviceID string) string {
	return fmt.Sprintf(planner.InternalPrefix+"%s-schemas", serviceID)
}

// NewRegistry returns an empty schema registry that events can be applied to.
func NewRegistry() *registry.Registry { return registry.New(format.Checker{}) }

// PayloadReader renders payloads that begin with the id of a registered schema.
// It belongs to one goroutine.
type PayloadReader struct{ p *payloadPrinter }

// NewPayloadReader returns a reader for the records of a topic.
func NewPayloadReader(topic string, schemas format.Schemas) PayloadReader {
	return PayloadReader{newPayloadPrinter(topic, schemas)}
}

// JSON returns a payload as JSON; ok is false when it does not begin with the id
// of a schema, or cannot be read by it.
func (r PayloadReader) JSON(key bool, payload []byte) (text string, ok bool) {
	text, _, err := r.p.decode(key, payload)
	return text, err == nil
}
