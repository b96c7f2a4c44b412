package cli

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/engine"
)

// consumedRecord is a record as --output json prints it.
type consumedRecord struct {
	Topic     string           `json:"topic"`
	Partition int32            `json:"partition"`
	Offset    int64            `json:"offset"`
	Timestamp int64            `json:"timestamp"`
	Key       any              `json:"key"`
	Value     any              `json:"value"`
	Headers   []consumedHeader `json:"headers"`
}

type consumedHeader struct {
	Key   string `json:"key"`
	Value any    `json:"value"`
}

// recordWriter prints records; reader is nil where nothing is decoded. null is what
// stands for null in text, "" for nothing in raw lines.
type recordWriter struct {
	output          string
	raw             bool
	separator, null string
	reader          *engine.PayloadReader
	stamps          *timestamps
}

func (r recordWriter) write(ctx context.Context, w io.Writer, rec *kgo.Record) error {
	if r.raw {
		line, err := r.line(rec)
		if err != nil {
			return fmt.Errorf("%s-%d at offset %d: %w", rec.Topic, rec.Partition, rec.Offset, err)
		}
		_, err = w.Write(line)
		return err
	}
	if r.output == "text" {
		_, err := fmt.Fprintf(w, "%s\t%s\n", r.text(true, rec.Key), r.text(false, rec.Value))
		return err
	}
	ms, err := r.stamps.of(ctx, rec)
	if err != nil {
		return err
	}
	line := consumedRecord{rec.Topic, rec.Partition, rec.Offset, ms, r.json(true, rec.Key), r.json(false, rec.Value), []consumedHeader{}}
	for _, h := range rec.Headers {
		line.Headers = append(line.Headers, consumedHeader{h.Key, payload(h.Value)})
	}
	b, err := json.Marshal(line)
	if err != nil {
		return err
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

func (r recordWriter) text(key bool, b []byte) string {
	if r.reader != nil {
		if text, ok := r.reader.JSON(key, b); ok {
			return text
		}
	}
	switch {
	case b == nil:
		return r.null
	case utf8.Valid(b):
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

func (r recordWriter) json(key bool, b []byte) any {
	if r.reader != nil {
		if text, ok := r.reader.JSON(key, b); ok {
			return json.RawMessage(text)
		}
	}
	return payload(b)
}

// payload returns bytes as JSON where they are JSON, as text where they are
// UTF-8, else as {"base64": ...}. Only null is null: the text null is a string.
func payload(b []byte) any {
	switch {
	case b == nil:
		return nil
	case json.Valid(b) && string(bytes.TrimSpace(b)) != "null":
		return json.RawMessage(b)
	case utf8.Valid(b):
		return string(b)
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
}
