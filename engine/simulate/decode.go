package simulate

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/sql"
)

// MaxAliases bounds the uses of YAML aliases in a file, which may nest, and
// MaxNesting how deep the lists and objects of a JSON file may.
const (
	MaxAliases = 10_000
	MaxNesting = 500
)

// FileError says what is wrong with a test file.
type FileError struct {
	File string
	Line int // from 1; 0 when the error is about the whole file
	Msg  string
}

// Error returns file:line: message.
func (e *FileError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Msg
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Msg)
}

// decoder reads the tree of a file. Its methods panic with *FileError, which
// Parse recovers.
type decoder struct {
	file    string
	lines   []string // of the file, without their ends
	aliases int
	read    func(path string) (string, error)
}

func (d *decoder) fail(n *yaml.Node, f string, args ...any) {
	line := 0
	if n != nil {
		line = n.Line
	}
	panic(&FileError{d.file, line, fmt.Sprintf(f, args...)})
}

// follow returns what an alias stands for.
func (d *decoder) follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		if d.aliases++; d.aliases > MaxAliases {
			d.fail(n, "more than %d uses of aliases", MaxAliases)
		}
		n = n.Alias
	}
	return n
}

// field is a field of an object and what reads it.
type field struct {
	name string
	read func(n *yaml.Node)
}

// fields reads an object whose fields are known. what names it in errors.
func (d *decoder) fields(n *yaml.Node, what string, known ...field) {
	d.members(n, what, func(key, value *yaml.Node) {
		i := slices.IndexFunc(known, func(f field) bool { return f.name == key.Value })
		if i < 0 {
			var names []string
			for _, f := range known {
				names = append(names, f.name)
			}
			hint := "the fields are " + strings.Join(names, ", ")
			if s := sql.DidYouMean(key.Value, names); s != "" {
				hint = s
			}
			d.fail(key, "unknown field %q in %s: %s", key.Value, what, hint)
		}
		known[i].read(value)
	})
}

// members walks an object in order, refusing duplicates.
func (d *decoder) members(n *yaml.Node, what string, yield func(key, value *yaml.Node)) {
	if n = d.follow(n); n.Kind != yaml.MappingNode {
		d.fail(n, "%s must be an object, got %s", what, nodeKind(n))
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := d.follow(n.Content[i])
		if key.Kind != yaml.ScalarNode {
			d.fail(key, "a field's name in %s must be text", what)
		}
		if key.Tag == "!!merge" {
			d.fail(key, "merge keys (<<) are not supported")
		}
		if seen[key.Value] {
			d.fail(key, "field %q of %s is given twice", key.Value, what)
		}
		seen[key.Value] = true
		yield(key, d.follow(n.Content[i+1]))
	}
}

// items walks a list.
func (d *decoder) items(n *yaml.Node, what string, yield func(n *yaml.Node)) {
	if n = d.follow(n); n.Kind != yaml.SequenceNode {
		d.fail(n, "%s must be a list, got %s", what, nodeKind(n))
	}
	for _, item := range n.Content {
		yield(d.follow(item))
	}
}

func nodeKind(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "an object"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "null"
	}
	return strconv.Quote(n.Value)
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// text reads a scalar that is not null.
func (d *decoder) text(n *yaml.Node, what string) string {
	if n = d.follow(n); n.Kind != yaml.ScalarNode || isNull(n) {
		d.fail(n, "%s must be text, got %s", what, nodeKind(n))
	}
	return n.Value
}

// number reads an integer of at least the least.
func (d *decoder) number(n *yaml.Node, what string, least int64) int64 {
	v, err := strconv.ParseInt(d.text(n, what), 10, 64)
	if err != nil || v < least {
		d.fail(n, "%s must be a whole number of at least %d, got %s", what, least, nodeKind(n))
	}
	return v
}

func (d *decoder) boolean(n *yaml.Node, what string) bool {
	switch d.text(n, what) {
	case "true":
		return true
	case "false":
		return false
	}
	d.fail(n, "%s must be true or false, got %s", what, nodeKind(n))
	return false
}

// tree parses the text of a file, JSON where its name says so.
func (d *decoder) tree(text string) *yaml.Node {
	if strings.HasSuffix(d.file, ".json") {
		return d.jsonTree([]byte(text))
	}
	dec := yaml.NewDecoder(strings.NewReader(text))
	var doc yaml.Node
	if err := dec.Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) {
			d.fail(nil, "the file is empty")
		}
		d.fail(nil, "not YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := dec.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		d.fail(nil, "a test file is one YAML document")
	}
	return d.follow(doc.Content[0])
}

// jsonTree makes the same nodes of JSON. YAML's own reading of JSON lacks pairs
// of \u escapes.
func (d *decoder) jsonTree(text []byte) *yaml.Node {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	root := d.jsonNode(dec, text, 0)
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		d.fail(&yaml.Node{Line: lineAt(text, dec.InputOffset())}, "a test file is one JSON object")
	}
	return root
}

func (d *decoder) jsonNode(dec *json.Decoder, text []byte, depth int) *yaml.Node {
	tok, err := dec.Token()
	n := &yaml.Node{Kind: yaml.ScalarNode, Line: lineAt(text, dec.InputOffset())}
	if err != nil {
		d.fail(n, "not JSON: %s", err)
	}
	switch v := tok.(type) {
	case json.Delim:
		if depth == MaxNesting {
			d.fail(n, "lists and objects are nested more than %d deep", MaxNesting)
		}
		n.Kind = yaml.SequenceNode
		if v == '{' {
			n.Kind = yaml.MappingNode
		}
		for dec.More() {
			n.Content = append(n.Content, d.jsonNode(dec, text, depth+1))
		}
		if _, err := dec.Token(); err != nil {
			d.fail(&yaml.Node{Line: lineAt(text, dec.InputOffset())}, "not JSON: %s", err)
		}
	case string:
		n.Tag, n.Value = "!!str", v
	case json.Number:
		n.Tag, n.Value = "!!int", v.String()
		if strings.ContainsAny(n.Value, ".eE") {
			n.Tag = "!!float"
		}
	case bool:
		n.Tag, n.Value = "!!bool", strconv.FormatBool(v)
	case nil:
		n.Tag, n.Value = "!!null", "null"
	}
	return n
}

// lineAt is the line, from 1, of an offset.
func lineAt(text []byte, offset int64) int {
	return 1 + bytes.Count(text[:min(int(offset), len(text))], []byte("\n"))
}
