package function

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// maxJSONDepth bounds the nesting of JSON text.
const maxJSONDepth = 1000

// jsonKind is the kind of a JSON value.
type jsonKind uint8

const (
	jsonNull jsonKind = iota
	jsonBool
	jsonNumber
	jsonString
	jsonArray
	jsonObject
)

// jsonNode is a JSON value. Members keep their order and numbers their digits.
type jsonNode struct {
	kind  jsonKind
	text  string // true, false, the number or the string
	keys  []string
	items []jsonNode
}

// parseFirstJSON reads one JSON value; what stands behind it does not matter.
func parseFirstJSON(s string) (jsonNode, error) {
	n, _, err := decodeJSON(s)
	return n, err
}

func decodeJSON(s string) (jsonNode, *json.Decoder, error) {
	d := json.NewDecoder(strings.NewReader(s))
	d.UseNumber()
	n, err := readJSON(d, 0)
	if err != nil {
		return jsonNode{}, nil, fmt.Errorf("text is not JSON: %w", err)
	}
	return n, d, nil
}

// parseJSON reads exactly one JSON value.
func parseJSON(s string) (jsonNode, error) {
	n, d, err := decodeJSON(s)
	if err != nil {
		return jsonNode{}, err
	}
	if _, err := d.Token(); err != io.EOF {
		return jsonNode{}, fmt.Errorf("text is not JSON: more text behind the value")
	}
	return n, nil
}

func readJSON(d *json.Decoder, depth int) (jsonNode, error) {
	if depth > maxJSONDepth {
		return jsonNode{}, fmt.Errorf("nesting is deeper than %d", maxJSONDepth)
	}
	t, err := d.Token()
	if err != nil {
		return jsonNode{}, err
	}
	switch t := t.(type) {
	case bool:
		if t {
			return jsonNode{kind: jsonBool, text: "true"}, nil
		}
		return jsonNode{kind: jsonBool, text: "false"}, nil
	case json.Number:
		return jsonNode{kind: jsonNumber, text: t.String()}, nil
	case string:
		return jsonNode{kind: jsonString, text: t}, nil
	case json.Delim:
		return readJSONItems(d, t, depth)
	}
	return jsonNode{kind: jsonNull, text: "null"}, nil
}

func readJSONItems(d *json.Decoder, open json.Delim, depth int) (jsonNode, error) {
	n := jsonNode{kind: jsonArray}
	if open == '{' {
		n.kind = jsonObject
	}
	for d.More() {
		key := ""
		if n.kind == jsonObject {
			t, err := d.Token()
			if err != nil {
				return n, err
			}
			key = t.(string)
		}
		item, err := readJSON(d, depth+1)
		if err != nil {
			return n, err
		}
		n.add(key, item)
	}
	_, err := d.Token()
	return n, err
}

// add appends an item. A member given again replaces the earlier one.
func (n *jsonNode) add(key string, item jsonNode) {
	if n.kind == jsonObject {
		for i, k := range n.keys {
			if k == key {
				n.items[i] = item
				return
			}
		}
		n.keys = append(n.keys, key)
	}
	n.items = append(n.items, item)
}

// append writes the value without white space.
func (n jsonNode) append(b []byte) []byte {
	switch n.kind {
	case jsonString:
		return appendJSONString(b, n.text)
	case jsonArray, jsonObject:
	default:
		return append(b, n.text...)
	}
	open, shut := byte('['), byte(']')
	if n.kind == jsonObject {
		open, shut = '{', '}'
	}
	b = append(b, open)
	for i, item := range n.items {
		if i > 0 {
			b = append(b, ',')
		}
		if n.kind == jsonObject {
			b = append(appendJSONString(b, n.keys[i]), ':')
		}
		b = item.append(b)
	}
	return append(b, shut)
}

// String returns the value as JSON text.
func (n jsonNode) String() string { return string(n.append(nil)) }

// plain returns a string without quotes, anything else as JSON text.
func (n jsonNode) plain() string {
	if n.kind == jsonString {
		return n.text
	}
	return n.String()
}

// appendJSONString escapes quotes, backslashes and control characters only.
func appendJSONString(b []byte, s string) []byte {
	const digits = "0123456789ABCDEF"
	b = append(b, '"')
	for _, r := range s {
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', byte(r))
		case r == '\n':
			b = append(b, '\\', 'n')
		case r == '\r':
			b = append(b, '\\', 'r')
		case r == '\t':
			b = append(b, '\\', 't')
		case r == '\b':
			b = append(b, '\\', 'b')
		case r == '\f':
			b = append(b, '\\', 'f')
		case r < 0x20:
			b = append(b, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
		default:
			b = append(b, string(r)...)
		}
	}
	return append(b, '"')
}
