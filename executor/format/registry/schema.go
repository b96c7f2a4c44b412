package registry

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// Type is the language that a schema is written in.
type Type string

// The types of schema, as the registry's protocol names them.
const (
	Avro     Type = "AVRO"
	JSON     Type = "JSON" // JSON Schema
	Protobuf Type = "PROTOBUF"
)

// Schema is a schema as it is registered.
type Schema struct {
	Type       Type        `json:"schemaType"`
	Text       string      `json:"schema"`
	References []Reference `json:"references,omitempty"`
}

// Reference is a schema that another one uses under a name: an Avro full name, a
// JSON Schema $ref, a file that a protobuf schema imports.
type Reference struct {
	Name    string `json:"name"`
	Subject string `json:"subject"`
	Version int32  `json:"version"`
}

// Version is one version of a subject.
type Version struct {
	Subject string `json:"subject"`
	Version int32  `json:"version"` // from 1
	ID      int32  `json:"id"`      // of the schema, from 1
	Schema
}

// Subject is the subject of one side of a topic by TopicNameStrategy.
func Subject(topic string, key bool) string {
	if key {
		return topic + "-key"
	}
	return topic + "-value"
}

// normal returns the schema with insignificant white space removed, so that equal
// schemas have equal text.
func (s Schema) normal() Schema {
	if s.Type == "" {
		s.Type = Avro
	}
	s.Text = strings.TrimSpace(s.Text)
	if s.Type != Protobuf {
		var b bytes.Buffer
		if json.Compact(&b, []byte(s.Text)) == nil {
			s.Text = b.String()
		}
	}
	return s
}

// identity is the text by which two schemas are the same one.
func (s Schema) identity() string {
	id := string(s.Type) + "\x00" + s.Text
	for _, r := range s.References {
		id += fmt.Sprintf("\x00%s\x00%s\x00%d", r.Name, r.Subject, r.Version)
	}
	return id
}
