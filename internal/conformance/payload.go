package main

import (
	"encoding/json"

	"github.com/millrace/millrace/executor/format/registry"
)

// payloadCodec writes inputs and reads outputs of one type of registered schema.
// It is made of general libraries and shares no code with the engine's own
// codecs, so that an error of theirs cannot hide itself.
type payloadCodec struct {
	// encode writes JSON text by a schema, by the rules of the corpus: field
	// names matched in any case, unknown fields dropped, missing ones null or
	// their default, scalars read from text, BYTES from base64, DECIMAL within
	// precision and scale.
	encode func(s registry.Schema, all registry.Resolver, text json.RawMessage) ([]byte, error)
	// decode reads a payload into nil, bool, string, json.Number (integers and
	// exact decimals), float64, []byte, []any and map[string]any. Times, dates and
	// timestamps are integers (ms, days, ms).
	decode func(s registry.Schema, all registry.Resolver, payload []byte) (any, error)
}

// payloadCodecs are the codecs by type of schema. The payloads are without the
// schema id, those of protobuf with the index path of the message.
var payloadCodecs = map[registry.Type]payloadCodec{
	registry.Avro: avroPayload,
}
