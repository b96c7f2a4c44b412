package cli

import (
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

// recordWriter prints records; reader is nil where nothing is decoded.
type recordWriter struct {
	output string
	reader *engine.PayloadReader
}

func (r recordWriter) write(w io.Writer, rec *kgo.Record) error {
	if r.output == "text" {
		_, err := fmt.Fprintf(w, "%s\t%s\n", r.text(true, rec.Key), r.text(false, rec.Value))
		return err
	}
	line := consumedRecord{rec.Topic, rec.Partition, rec.Offset, rec.Timestamp.UnixMilli(), r.json(true, rec.Key), r.json(false, rec.Value), []consumedHeader{}}
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
	return textOf(b)
}

func (r recordWriter) json(key bool, b []byte) any {
	if r.reader != nil {
		if text, ok := r.reader.JSON(key, b); ok {
			return json.RawMessage(text)
		}
	}
	return payload(b)
}

func textOf(b []byte) string {
	if b == nil {
		return "null"
	}
	if utf8.Valid(b) {
		return string(b)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// payload returns bytes as JSON where they are JSON, as text where they are
// UTF-8, else as {"base64": ...}. Null stays null.
func payload(b []byte) any {
	switch {
	case b == nil:
		return nil
	case json.Valid(b):
		return json.RawMessage(b)
	case utf8.Valid(b):
		return string(b)
	}
	return map[string]string{"base64": base64.StdEncoding.EncodeToString(b)}
}
