package cli

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
)

// checkRaw refuses what does not go with --raw, and texts that would make lines from
// which `millrace produce --raw` could not tell what they were.
func (o *consumeOptions) checkRaw() error {
	o.separator = keySeparator(o.separator)
	switch {
	case o.raw && (o.output != "text" || o.decode):
		return errors.New("--raw prints bytes as they are: it does not go with --output json and --decode")
	case !o.raw && o.separator != "":
		return errors.New("--key-separator is for --raw: other text has a tab between key and value")
	case o.null != "" && o.output != "text":
		return errors.New("--null is for text: null is null in JSON")
	case o.raw && strings.ContainsAny(o.separator+o.null, "\r\n"):
		return errors.New("--key-separator and --null must not hold line ends")
	case o.raw && o.separator != "" && strings.Index(o.null+o.separator, o.separator) != len(o.null):
		return fmt.Errorf("--null %s and --key-separator %s: a null key would not be told from the separator", o.null, o.separator)
	}
	return nil
}

// line returns a record as --raw prints it: what `millrace produce --raw` makes the
// same key and value of. Without a separator it is the value alone.
func (r recordWriter) line(rec *kgo.Record) ([]byte, error) {
	value, err := r.bytes("value", rec.Value)
	if err != nil {
		return nil, err
	}
	var line []byte
	if r.separator != "" {
		key, err := r.bytes("key", rec.Key)
		if err != nil {
			return nil, err
		}
		line = append(append(line, key...), r.separator...)
		if bytes.Index(line, []byte(r.separator)) != len(key) {
			return nil, fmt.Errorf("its key holds the --key-separator %q: give another", r.separator)
		}
	}
	line = append(line, value...)
	if bytes.IndexByte(line, '\n') >= 0 || bytes.HasSuffix(line, []byte{'\r'}) {
		return nil, errors.New("it holds a line end, which --raw cannot print so that it is read again: --output json can")
	}
	return append(line, '\n'), nil
}

// bytes returns a key or value as --raw prints it.
func (r recordWriter) bytes(what string, b []byte) ([]byte, error) {
	switch {
	case b == nil && r.null == "":
		return nil, fmt.Errorf("its %s is null: give --null TEXT, a text that stands for it", what)
	case b != nil && r.null != "" && string(b) == r.null:
		return nil, fmt.Errorf("its %s is the text %q, which stands for null: give --null another", what, r.null)
	case b == nil:
		return []byte(r.null), nil
	}
	return b, nil
}
