package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/catalog"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
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
	registry.Avro:     avroPayload,
	registry.JSON:     {encodeJSONSchema, decodeJSONSchema},
	registry.Protobuf: {encodeProtobuf, decodeProtobuf},
}

// payloads writes and reads keys and values by the formats of a source.
type payloads struct{ all *registry.Registry }

// sideOf returns the format and columns of a source's key or value.
func sideOf(src *catalog.Source, key bool) (plan.Format, []types.Column) {
	if key {
		return src.Key, src.Schema.Key
	}
	return src.Value, src.BodyColumns()
}

// encode writes the JSON text of a key or value, null for null.
func (p payloads) encode(src *catalog.Source, key bool, text json.RawMessage) ([]byte, error) {
	f, cols := sideOf(src, key)
	if len(text) == 0 || string(text) == "null" {
		return nil, nil
	}
	if f.Name == "PROTOBUF_NOSR" {
		s, err := derived(f, cols)
		if err != nil {
			return nil, err
		}
		b, err := payloadCodecs[registry.Protobuf].encode(s, p.all, text)
		if err != nil {
			return nil, err
		}
		return b[1:], nil // without the index path [0]
	}
	if schemaTypes[f.Name] == "" || f.Name == "JSON" {
		return encodeSide(f, cols, text)
	}
	v, err := p.all.Latest(registry.Subject(src.Topic, key))
	if err != nil {
		return nil, err
	}
	codec, ok := payloadCodecs[v.Type]
	if !ok {
		return nil, fmt.Errorf("schema type %s is not available", v.Type)
	}
	b, err := codec.encode(v.Schema, p.all, text)
	if err != nil {
		return nil, err
	}
	return append(binary.BigEndian.AppendUint32([]byte{0}, uint32(v.ID)), b...), nil
}

// decode reads a payload that is not null by the schema that it was written by.
func (p payloads) decode(src *catalog.Source, key bool, payload []byte) (any, error) {
	f, cols := sideOf(src, key)
	if f.Name == "PROTOBUF_NOSR" {
		s, err := derived(f, cols)
		if err != nil {
			return nil, err
		}
		return payloadCodecs[registry.Protobuf].decode(s, p.all, append([]byte{0}, payload...))
	}
	if schemaTypes[f.Name] == "" {
		return nil, fmt.Errorf("format %s is not available", f.Name)
	}
	if len(payload) < 5 || payload[0] != 0 {
		return nil, fmt.Errorf("%q has no schema id", payload)
	}
	s, err := p.all.ByID(int32(binary.BigEndian.Uint32(payload[1:])))
	if err != nil {
		return nil, err
	}
	codec, ok := payloadCodecs[s.Type]
	if !ok {
		return nil, fmt.Errorf("schema type %s is not available", s.Type)
	}
	return codec.decode(s, p.all, payload[5:])
}
