package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// anyPartition leaves the choice to the partitioner.
const anyPartition = -1

var produceCodecs = map[string]kgo.CompressionCodec{
	"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
	"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
}

// check refuses options that cannot go together.
func (o *produceOptions) check() error {
	if _, ok := produceCodecs[o.codec]; !ok {
		return fmt.Errorf("--compression %s: expected %s", o.codec, strings.Join(slices.Sorted(maps.Keys(produceCodecs)), ", "))
	}
	if !o.raw && (o.separator != "" || o.null != "") {
		return errors.New("--key-separator and --null are for --raw: JSON lines have --key-field")
	}
	if o.raw && (o.keyField != "" || o.timestampField != "") {
		return errors.New("--key-field and --timestamp-field are for JSON lines, not for --raw")
	}
	for _, h := range o.headers {
		if name, _, ok := strings.Cut(h, "="); !ok || name == "" {
			return fmt.Errorf("--header %s: expected name=value", h)
		}
	}
	o.separator = keySeparator(o.separator)
	return nil
}

// keySeparator reads the value of --key-separator.
func keySeparator(text string) string { return strings.ReplaceAll(text, `\t`, "\t") }

// record makes a record of a line.
func (p *producer) record(line []byte) (*kgo.Record, error) {
	parse := p.jsonRecord
	if p.options.raw {
		parse = p.rawRecord
	}
	rec, err := parse(line)
	if err != nil {
		return nil, err
	}
	rec.Partition = max(p.options.partition, 0)
	for _, h := range p.options.headers {
		name, value, _ := strings.Cut(h, "=")
		rec.Headers = append(rec.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
	}
	return rec, nil
}

// rawRecord makes a record of any text.
func (p *producer) rawRecord(line []byte) (*kgo.Record, error) {
	bytesOf := func(b []byte) []byte {
		if p.options.null != "" && string(b) == p.options.null {
			return nil
		}
		return append([]byte{}, b...)
	}
	if p.options.separator == "" {
		return &kgo.Record{Value: bytesOf(line)}, nil
	}
	key, value, ok := bytes.Cut(line, []byte(p.options.separator))
	if !ok {
		return nil, fmt.Errorf("no key separator %q in %.60q", p.options.separator, line)
	}
	return &kgo.Record{Key: bytesOf(key), Value: bytesOf(value)}, nil
}

// jsonRecord makes a record of a JSON object.
func (p *producer) jsonRecord(line []byte) (*kgo.Record, error) {
	var fields map[string]json.RawMessage
	if len(line) == 0 || line[0] != '{' {
		return nil, fmt.Errorf("not a JSON object: %.60q", line)
	}
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, fmt.Errorf("not a JSON object: %w", err)
	}
	rec := &kgo.Record{Value: bytes.Clone(line)}
	if p.options.keyField != "" {
		raw, ok := fields[p.options.keyField]
		if !ok {
			return nil, fmt.Errorf("no key field %s (null is a key: {%q:null, ...})", p.options.keyField, p.options.keyField)
		}
		key, err := fieldText(raw)
		if err != nil {
			return nil, fmt.Errorf("key field %s: %w", p.options.keyField, err)
		}
		rec.Key = key
	}
	if p.options.timestampField != "" {
		var ms json.Number
		raw, ok := fields[p.options.timestampField]
		if !ok {
			return nil, fmt.Errorf("no timestamp field %s", p.options.timestampField)
		}
		if err := json.Unmarshal(raw, &ms); err != nil {
			return nil, fmt.Errorf("timestamp field %s: expected ms, got %s", p.options.timestampField, raw)
		}
		n, err := ms.Int64()
		if err != nil || n < 0 || n > maxDateMs {
			return nil, fmt.Errorf("timestamp field %s: expected ms from 0 to %d, got %s", p.options.timestampField, maxDateMs, raw)
		}
		rec.Timestamp = time.UnixMilli(n)
	}
	return rec, nil
}

// fieldText returns a field as plain text: a string's content, other JSON as it
// stands, nil for null.
func fieldText(raw json.RawMessage) ([]byte, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	if raw[0] != '"' {
		return bytes.Clone(raw), nil
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		return nil, err
	}
	return []byte(s), nil
}
