package simulate

import (
	"encoding/base64"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// readRecord reads an input or an expected record.
func (d *decoder) readRecord(n *yaml.Node, input bool) *record {
	r := &record{node: n}
	raw := func(to **string, what string) func(*yaml.Node) {
		return func(n *yaml.Node) { s := d.text(n, what); *to = &s }
	}
	known := []field{
		{"key", func(n *yaml.Node) { r.key = n }},
		{"value", func(n *yaml.Node) { r.value = n }},
		{"raw_key", raw(&r.rawKey, "raw_key")},
		{"raw_value", raw(&r.rawValue, "raw_value")},
		{"timestamp", func(n *yaml.Node) { r.timestamp = d.moment(n, "timestamp", input) }},
		{"headers", func(n *yaml.Node) { r.hasHeaders = true; r.headers = d.headers(n) }},
		{"window", func(n *yaml.Node) { r.window = d.readWindow(n) }},
	}
	what := "an expected record"
	if input {
		what = "an input"
		to := func(n *yaml.Node) {
			if r.to != "" {
				d.fail(n, "an input goes to one topic or source")
			}
			r.to = d.text(n, "topic")
		}
		known = append([]field{{"topic", to}, {"source", to}}, known...)
	}
	d.fields(n, what, known...)
	switch {
	case input && r.to == "":
		d.fail(n, "an input needs a topic or a source")
	case r.key != nil && r.rawKey != nil:
		d.fail(n, "%s has key or raw_key, not both", what)
	case r.value != nil && r.rawValue != nil:
		d.fail(n, "%s has value or raw_value, not both", what)
	case input && r.value == nil && r.rawValue == nil:
		d.fail(n, "an input needs a value (null for a tombstone) or a raw_value")
	}
	return r
}

func (d *decoder) headers(n *yaml.Node) (list []header) {
	d.items(n, "headers", func(n *yaml.Node) {
		var h header
		d.fields(n, "a header",
			field{"key", func(n *yaml.Node) { h.name = d.text(n, "key") }},
			field{"value", func(n *yaml.Node) {
				if !isNull(n) {
					h.value = []byte(d.text(n, "value"))
				}
			}},
			field{"base64", func(n *yaml.Node) {
				b, err := base64.StdEncoding.DecodeString(d.text(n, "base64"))
				if err != nil {
					d.fail(n, "base64: %s", err)
				}
				h.value = append([]byte{}, b...)
			}})
		if h.name == "" {
			d.fail(n, "a header needs a key")
		}
		list = append(list, h)
	})
	return list
}

func (d *decoder) readWindow(n *yaml.Node) *window {
	w := new(window)
	d.fields(n, "a window",
		field{"start", func(n *yaml.Node) { w.start = d.moment(n, "start", false) }},
		field{"end", func(n *yaml.Node) { w.end = d.moment(n, "end", false) }})
	if w.start == nil {
		d.fail(n, "a window needs a start")
	}
	return w
}

// expectations reads what topics or tables must hold: by name a list, or an
// object of the list and how it is compared.
func (d *decoder) expectations(n *yaml.Node, what, list string) (all []*expectation) {
	d.members(n, what, func(key, value *yaml.Node) {
		e := &expectation{name: key.Value, node: key, unordered: list == "rows"}
		read := func(n *yaml.Node) {
			d.items(n, list, func(n *yaml.Node) {
				if list == "rows" {
					e.rows = append(e.rows, n)
				} else {
					e.records = append(e.records, d.readRecord(n, false))
				}
			})
		}
		all = append(all, e)
		if value.Kind != yaml.MappingNode {
			read(value)
			return
		}
		given := false
		known := []field{
			{list, func(n *yaml.Node) { given = true; read(n) }},
			{"partial", func(n *yaml.Node) { e.partial = d.boolean(n, "partial") }},
		}
		if list == "records" {
			known = append(known, field{"unordered", func(n *yaml.Node) { e.unordered = d.boolean(n, "unordered") }})
		}
		d.fields(value, what+" of "+key.Value, known...)
		if !given {
			d.fail(value, "%s of %s has no %s", what, key.Value, list)
		}
	})
	return all
}

func (d *decoder) expectedError(n *yaml.Node) *expectedError {
	e := new(expectedError)
	if n.Kind == yaml.ScalarNode {
		e.text = d.text(n, "error")
		return e
	}
	d.fields(n, "error",
		field{"code", func(n *yaml.Node) { e.code = d.text(n, "code") }},
		field{"text", func(n *yaml.Node) { e.text = d.text(n, "text") }})
	if *e == (expectedError{}) {
		d.fail(n, "error needs a code or a text")
	}
	return e
}

func (d *decoder) expectedLog(n *yaml.Node) (list []*expectedEntry) {
	d.items(n, "processing_log", func(n *yaml.Node) {
		e := &expectedEntry{node: n}
		text := func(name string, to *string) field {
			return field{name, func(n *yaml.Node) { *to = d.text(n, name) }}
		}
		d.fields(n, "an entry of the processing log", text("query", &e.query), text("operator", &e.operator), text("kind", &e.kind),
			text("topic", &e.topic), text("cause", &e.cause), text("record", &e.record),
			field{"offset", func(n *yaml.Node) { e.offset = strconv.FormatInt(d.number(n, "offset", 0), 10) }})
		list = append(list, e)
	})
	return list
}
