package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/millrace/millrace/executor/format/registry"
)

// The files beside google/protobuf's that schemas of the corpus import.
var protobufFiles = map[string]string{
	"confluent/meta.proto": `syntax = "proto3"; package confluent; import "google/protobuf/descriptor.proto";
message Meta { string doc = 1; map<string, string> params = 2; repeated string tags = 3; }
extend google.protobuf.FieldOptions { Meta field_meta = 1088; }`,
	"confluent/type/decimal.proto": `syntax = "proto3"; package confluent.type; message Decimal { bytes value = 1; uint32 precision = 2; int32 scale = 3; }`,
	"google/type/date.proto":       `syntax = "proto3"; package google.type; message Date { int32 year = 1; int32 month = 2; int32 day = 3; }`,
	"google/type/timeofday.proto":  `syntax = "proto3"; package google.type; message TimeOfDay { int32 hours = 1; int32 minutes = 2; int32 seconds = 3; int32 nanos = 4; }`,
}

// protobufSchema compiles a schema with its references.
func protobufSchema(s registry.Schema, all registry.Resolver) (protoreflect.FileDescriptor, error) {
	const main = "main.proto"
	files := map[string]string{}
	var collect func(name string, s registry.Schema) error
	collect = func(name string, s registry.Schema) error {
		text := s.Text
		// Derived schemas use the option without its import, as Confluent's do.
		if at := strings.Index(text, ";"); strings.Contains(text, "confluent.field_meta") && !strings.Contains(text, "confluent/meta.proto") {
			text = text[:at+1] + ` import "confluent/meta.proto";` + text[at+1:]
		}
		files[name] = text
		for _, ref := range s.References {
			v, err := all.ByVersion(ref.Subject, ref.Version)
			if err != nil {
				return err
			}
			if err := collect(ref.Name, v.Schema); err != nil {
				return err
			}
		}
		return nil
	}
	if err := collect(main, s); err != nil {
		return nil, err
	}
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(protocompile.ResolverFunc(func(path string) (protocompile.SearchResult, error) {
		text, ok := files[path]
		if !ok {
			text, ok = protobufFiles[path]
		}
		if !ok {
			return protocompile.SearchResult{}, fmt.Errorf("no file %s", path)
		}
		return protocompile.SearchResult{Source: strings.NewReader(text)}, nil
	}))}
	out, err := c.Compile(context.Background(), main)
	if err != nil {
		return nil, err
	}
	return out[0], nil
}

// encodeProtobuf writes JSON text as a message behind its index path. Of several
// messages it takes the one that fits best: that knows all of the text's fields
// and lacks the fewest.
func encodeProtobuf(s registry.Schema, all registry.Resolver, text json.RawMessage) ([]byte, error) {
	file, err := protobufSchema(s, all)
	if err != nil {
		return nil, err
	}
	spec, err := parseJSON(expandExponents(text))
	if err != nil {
		return nil, err
	}
	object, ok := spec.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("a protobuf message is an object, not %s", text)
	}
	best, least := []byte(nil), 0
	for i := range file.Messages().Len() {
		m := dynamicpb.NewMessage(file.Messages().Get(i))
		if fail := fillMessage(m, object); fail != nil {
			err = errors.Join(err, fail)
			continue
		}
		payload, fail := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if fail != nil {
			return nil, fail
		}
		if cost := misfit(m.Descriptor(), object); best == nil || cost < least {
			best, least = append(messagePath(i), payload...), cost
		}
	}
	if best == nil {
		return nil, fmt.Errorf("no message of the schema takes %s: %w", text, err)
	}
	return best, nil
}

// messagePath is the index path of a message that is not nested.
func messagePath(index int) []byte {
	if index == 0 {
		return []byte{0}
	}
	return binary.AppendVarint(binary.AppendVarint(nil, 1), int64(index))
}

// misfit counts fields that only one of the two has; unknown ones weigh more.
func misfit(m protoreflect.MessageDescriptor, object map[string]any) int {
	const unknown = 1000
	cost := m.Fields().Len()
	for name := range object {
		if fieldNamed(m, name) == nil {
			cost += unknown
		} else {
			cost--
		}
	}
	return cost
}

func fieldNamed(m protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if fd := m.Fields().ByName(protoreflect.Name(name)); fd != nil {
		return fd
	}
	for i := range m.Fields().Len() {
		if fd := m.Fields().Get(i); strings.EqualFold(string(fd.Name()), name) {
			return fd
		}
	}
	return nil
}

// decodeProtobuf reads a message behind its index path.
func decodeProtobuf(s registry.Schema, all registry.Resolver, payload []byte) (any, error) {
	file, err := protobufSchema(s, all)
	if err != nil {
		return nil, err
	}
	count, n := binary.Varint(payload)
	if n <= 0 {
		return nil, errors.New("no message index path")
	}
	payload = payload[n:]
	path := []int64{0}
	if count > 0 {
		path = path[:0]
	}
	for range count {
		index, n := binary.Varint(payload)
		if n <= 0 {
			return nil, errors.New("message index path is cut off")
		}
		path, payload = append(path, index), payload[n:]
	}
	var m protoreflect.MessageDescriptor
	messages := file.Messages()
	for _, index := range path {
		if index < 0 || index >= int64(messages.Len()) {
			return nil, fmt.Errorf("no message at %v", path)
		}
		m = messages.Get(int(index))
		messages = m.Messages()
	}
	msg := dynamicpb.NewMessage(m)
	if err := proto.Unmarshal(payload, msg); err != nil {
		return nil, err
	}
	return showMessage(msg, true)
}
