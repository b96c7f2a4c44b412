package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	"github.com/millrace/millrace/executor/format/registry"
)

const protobufRows = "application/vnd.ksql.v1+protobuf"

// compareProto sends the queries of a case again, for rows as protobuf messages,
// when the case says what these are.
func (r *restRunner) compareProto(ctx context.Context) error {
	var queries []string
	for _, text := range r.c.Statements {
		if strings.HasPrefix(text, "SELECT ") {
			queries = append(queries, text)
		}
	}
	for _, want := range r.c.Responses {
		if want.QueryProto == nil {
			continue
		}
		if len(queries) == 0 {
			return fmt.Errorf("more answers in protobuf are expected than there are queries")
		}
		got, err := r.readQuery(ctx, queries[0], protobufRows, nil)
		if err != nil {
			return err
		}
		if err := compareProtoRows(want.QueryProto, got.rows); err != nil {
			return fmt.Errorf("%s as protobuf: %w", queries[0], err)
		}
		queries = queries[1:]
	}
	return nil
}

// compareProtoRows compares the schema and, in any order, the messages; expected
// ones are in protobuf's text form.
func compareProtoRows(want []json.RawMessage, got []any) error {
	if len(want) != len(got) {
		return fmt.Errorf("%d elements, expected %d: %s", len(got), len(want), text(got))
	}
	var message protoreflect.MessageDescriptor // equal messages have the same one
	var expected, actual []proto.Message
	for i := range want {
		var w struct {
			Header *struct {
				ProtoSchema string `json:"protoSchema"`
			} `json:"header"`
			Row string `json:"row"`
		}
		if err := json.Unmarshal(want[i], &w); err != nil {
			return err
		}
		g, _ := got[i].(map[string]any)
		if w.Header != nil {
			header, _ := g["header"].(map[string]any)
			schema, _ := header["protoSchema"].(string)
			if schema != w.Header.ProtoSchema {
				return fmt.Errorf("schema %q, expected %q", schema, w.Header.ProtoSchema)
			}
			file, err := protobufSchema(registry.Schema{Type: registry.Protobuf, Text: schema}, nil)
			if err != nil {
				return err
			}
			message = file.Messages().Get(0)
			continue
		}
		row, _ := g["row"].(map[string]any)
		if row == nil || message == nil {
			if strings.Contains(string(want[i]), "finalMessage") {
				continue
			}
			return fmt.Errorf("element %d is %s, expected %s", i, text(got[i]), want[i])
		}
		a, e, err := protoRow(message, row, w.Row)
		if err != nil {
			return err
		}
		actual, expected = append(actual, a), append(expected, e)
	}
	for _, e := range expected {
		at := slices.IndexFunc(actual, func(a proto.Message) bool { return proto.Equal(a, e) })
		if at < 0 {
			return fmt.Errorf("no row %s among %v", e, actual)
		}
		actual = slices.Delete(actual, at, at+1)
	}
	return nil
}

func protoRow(message protoreflect.MessageDescriptor, row map[string]any, want string) (got, expected proto.Message, err error) {
	encoded, _ := row["protobufBytes"].(string)
	b, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, nil, err
	}
	a, e := dynamicpb.NewMessage(message), dynamicpb.NewMessage(message)
	if err := proto.Unmarshal(b, a); err != nil {
		return nil, nil, err
	}
	if err := prototext.Unmarshal([]byte(want), e); err != nil {
		return nil, nil, err
	}
	sortEntries(a)
	sortEntries(e)
	return a, e, nil
}

// sortEntries puts the entries of maps, which have no order, into one.
func sortEntries(m *dynamicpb.Message) {
	m.Range(func(fd protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if !fd.IsList() || fd.Message() == nil || !strings.HasSuffix(string(fd.Message().Name()), "Entry") {
			return true
		}
		list := v.List()
		entries := make([]protoreflect.Value, list.Len())
		for i := range entries {
			entries[i] = list.Get(i)
		}
		slices.SortFunc(entries, func(x, y protoreflect.Value) int {
			key := fd.Message().Fields().ByNumber(1)
			return strings.Compare(x.Message().Get(key).String(), y.Message().Get(key).String())
		})
		for i, entry := range entries {
			list.Set(i, entry)
		}
		return true
	})
}
