package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
)

// testCase is one case of the corpus.
type testCase struct {
	ID                string          `json:"id"`
	Kind              string          `json:"kind"`
	Excluded          *string         `json:"excluded"`
	Properties        map[string]any  `json:"properties"`
	Topics            []topicSpec     `json:"topics"`
	Statements        []string        `json:"statements"`
	Inputs            []record        `json:"inputs"`
	Outputs           []record        `json:"outputs"`
	ExpectedException *exception      `json:"expectedException"`
	Post              *postConditions `json:"post"`
	Replay            []replayedQuery `json:"replay"`

	// The rest is for cases over HTTP.
	Responses       []response `json:"responses"`
	InputConditions struct {
		WaitForActivePushQuery bool `json:"waitForActivePushQuery"`
	} `json:"inputConditions"`
	OutputConditions struct {
		VerifyOrder bool `json:"verifyOrder"`
	} `json:"outputConditions"`
}

// response is the expected answer to one statement: one of the three.
type response struct {
	Admin      json.RawMessage   `json:"admin"`
	Query      []json.RawMessage `json:"query"`
	QueryProto []json.RawMessage `json:"queryProto"`
}

type topicSpec struct {
	Name       string `json:"name"`
	Partitions int32  `json:"partitions"`
	sideSchemas
}

// sideSchemas are the schemas of a topic: text is a JSON value for AVRO and JSON
// Schema, a string for protobuf.
type sideSchemas struct {
	KeyFormat             string            `json:"keyFormat"`
	KeySchema             json.RawMessage   `json:"keySchema"`
	KeySchemaID           int32             `json:"keySchemaId"`
	KeySchemaReferences   []schemaReference `json:"keySchemaReferences"`
	ValueFormat           string            `json:"valueFormat"`
	ValueSchema           json.RawMessage   `json:"valueSchema"`
	ValueSchemaID         int32             `json:"valueSchemaId"`
	ValueSchemaReferences []schemaReference `json:"valueSchemaReferences"`
}

type schemaReference struct {
	Name   string          `json:"name"`
	Schema json.RawMessage `json:"schema"`
}

// record is an input or expected output. Key and Value keep their JSON text, so
// that 1, 1.0 and 1.00 stay different.
type record struct {
	Topic     string          `json:"topic"`
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Timestamp *int64          `json:"timestamp"`
	Window    *window         `json:"window"`
	Headers   []header        `json:"headers"`
}

type window struct {
	Start int64  `json:"start"`
	End   int64  `json:"end"`
	Type  string `json:"type"`
}

type header struct {
	Key   string  `json:"key"`
	Value *string `json:"value"`
}

type exception struct {
	Category string `json:"category"`
	Message  string `json:"message"`
	Status   *int   `json:"status"`
}

type postConditions struct {
	Sources        []postSource `json:"sources"`
	TopicBlacklist string       `json:"topicBlacklist"`
}

type postSource struct {
	Name      string `json:"name"`
	Type      string `json:"type"`
	Schema    string `json:"schema"`
	KeyFormat *struct {
		Format     string `json:"format"`
		WindowType string `json:"windowType"`
		WindowSize *int64 `json:"windowSize"`
	} `json:"keyFormat"`
	ValueFormat string `json:"valueFormat"`
}

type replayedQuery struct {
	Sources    []string `json:"sources"`
	FromInputs bool     `json:"fromInputs"`
	FromLog    []string `json:"fromLog"`
}

// loadCorpus reads every case file of a folder.
func loadCorpus(dir string) ([]*testCase, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	sort.Strings(files)
	var cases []*testCase
	for _, file := range files {
		if filepath.Base(file) == "index.json" {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		var content struct {
			Cases []*testCase `json:"cases"`
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		if err := d.Decode(&content); err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		cases = append(cases, content.Cases...)
	}
	if len(cases) == 0 {
		return nil, fmt.Errorf("no cases in %s", dir)
	}
	return cases, nil
}
