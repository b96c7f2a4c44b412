package format

import (
	"fmt"
	"strings"

	"github.com/twmb/avro"

	"github.com/millrace/millrace/executor/format/registry"
)

// avroKind is the kind of an Avro type.
type avroKind uint8

const (
	avroNull avroKind = iota
	avroBoolean
	avroInt
	avroLong
	avroFloat
	avroDouble
	avroBytes
	avroString
	avroRecord
	avroEnum
	avroFixed
	avroArray
	avroMap
	avroUnion
)

var avroKindNames = [...]string{"null", "boolean", "int", "long", "float", "double", "bytes", "string", "record", "enum", "fixed", "array", "map", "union"}

func (k avroKind) String() string { return avroKindNames[k] }

// avroType is a parsed Avro type. Names are resolved into pointers, so that a
// recursive schema is a graph with cycles.
type avroType struct {
	kind    avroKind
	name    string   // full name of a record, enum or fixed
	aliases []string // full names
	// logical is the logical type as Connect understands it: only those that
	// apply to the kind, from logicalType or from connect.name.
	logical          string
	precision, scale int // of decimal
	fields           []avroField
	items            *avroType // of an array, values of a map
	branches         []*avroType
	symbols          []string
	symbolDefault    string // for symbols that a reader does not know
	size             int    // of a fixed
	mapEntry         bool   // a record that stands for an entry of a map
	// leastBytes is what least answers once measured.
	leastBytes int
	measured   bool
}

// avroField is a field of a record.
type avroField struct {
	name    string
	aliases []string
	typ     *avroType
	// initial is the encoded default, nil where there is none.
	initial []byte
}

// nullable returns the other type of a union with null and its and null's branch
// numbers; ok is false for what is not such a union of two.
func (t *avroType) nullable() (inner *avroType, some, null int, ok bool) {
	if t.kind != avroUnion || len(t.branches) != 2 {
		return nil, 0, 0, false
	}
	for k, b := range t.branches {
		if b.kind == avroNull && t.branches[1-k].kind != avroNull {
			return t.branches[1-k], 1 - k, k, true
		}
	}
	return nil, 0, 0, false
}

// label names the type in messages.
func (t *avroType) label() string {
	switch {
	case t.name != "":
		return t.kind.String() + " " + t.name
	case t.logical != "":
		return t.kind.String() + " (" + t.logical + ")"
	}
	return t.kind.String()
}

// branchName is the name that Connect's AvroData gives a branch of a union.
func (t *avroType) branchName() string {
	if t.name != "" {
		return unqualified(t.name)
	}
	return t.kind.String()
}

// entry returns the key and value types of a record that is an entry of a map.
func (t *avroType) entry() (key, value *avroType, ok bool) {
	if t.kind != avroRecord || len(t.fields) != 2 || t.fields[0].name != "key" || t.fields[1].name != "value" {
		return nil, nil, false
	}
	return t.fields[0].typ, t.fields[1].typ, true
}

func unqualified(name string) string { return name[strings.LastIndexByte(name, '.')+1:] }

// The logical types that change what a value is.
const (
	avroDecimal     = "decimal"
	avroDate        = "date"
	avroTimeMillis  = "time-millis"
	avroStampMillis = "timestamp-millis"
)

// connectPrefix begins the names of Connect's logical types.
const connectPrefix = "org.apache.kafka.connect.data."

// maxAvroReferences bounds the schemas that one refers to, however indirectly.
const maxAvroReferences = 10 * registry.MaxReferences

// avroParser collects named types over a schema and those it refers to.
type avroParser struct {
	all   registry.Resolver
	cache avro.SchemaCache
	named map[string]*avroType
	done  map[string]bool // references that are parsed
}

// parseAvro parses a schema and checks it by the Avro specification.
func parseAvro(s registry.Schema, all registry.Resolver) (*avroType, error) {
	if s.Type != registry.Avro && s.Type != "" {
		return nil, fmt.Errorf("the schema is %s, not AVRO", s.Type)
	}
	return compiledAvro.get(s, func() (*avroType, error) {
		p := &avroParser{all: all, named: map[string]*avroType{}, done: map[string]bool{}}
		t, err := p.parse(s)
		if err == nil {
			t.measureAll(map[*avroType]bool{})
		}
		return t, err
	})
}

var compiledAvro compiledSchemas[*avroType]

// measureAll measures every type of a schema, which is not changed any more then
// and may be shared.
func (t *avroType) measureAll(seen map[*avroType]bool) {
	if t == nil || seen[t] {
		return
	}
	seen[t] = true
	t.least()
	t.items.measureAll(seen)
	for _, b := range t.branches {
		b.measureAll(seen)
	}
	for _, f := range t.fields {
		f.typ.measureAll(seen)
	}
}

func (p *avroParser) parse(s registry.Schema) (*avroType, error) {
	for _, ref := range s.References {
		key := fmt.Sprintf("%s\x00%d", ref.Subject, ref.Version)
		if p.done[key] {
			continue
		}
		if p.done[key] = true; len(p.done) > maxAvroReferences {
			return nil, fmt.Errorf("the schema refers to more than %d others", maxAvroReferences)
		}
		if p.all == nil {
			return nil, fmt.Errorf("reference %s: no registry to find it in", ref.Name)
		}
		v, err := p.all.ByVersion(ref.Subject, ref.Version)
		if err != nil {
			return nil, fmt.Errorf("reference %s: %w", ref.Name, err)
		}
		if _, err := p.parse(v.Schema); err != nil {
			return nil, fmt.Errorf("reference %s: %w", ref.Name, err)
		}
	}
	parsed, err := p.cache.Parse(mendAvro(s.Text))
	if err != nil {
		return nil, err
	}
	return p.build(parsed.Root(), "")
}

// build turns a node of the library's tree into a type. space is the namespace
// that names without one belong to.
func (p *avroParser) build(n *avro.SchemaNode, space string) (*avroType, error) {
	t := &avroType{}
	switch n.Type {
	case "null", "boolean", "int", "long", "float", "double", "bytes", "string":
		for k, name := range avroKindNames {
			if name == n.Type {
				t.kind = avroKind(k)
			}
		}
	case "record", "error":
		t.kind = avroRecord
		return t, p.record(t, n)
	case "enum":
		t.kind, t.symbols, t.symbolDefault = avroEnum, n.Symbols, n.EnumDefault
		p.define(t, n)
	case "fixed":
		t.kind, t.size = avroFixed, n.Size
		p.define(t, n)
	case "array", "map":
		t.kind = avroArray
		items := n.Items
		if n.Type == "map" {
			t.kind, items = avroMap, n.Values
		}
		var err error
		t.items, err = p.build(items, space)
		return t, err
	case "union":
		t.kind = avroUnion
		for k := range n.Branches {
			b, err := p.build(&n.Branches[k], space)
			if err != nil {
				return nil, err
			}
			t.branches = append(t.branches, b)
		}
	default:
		return p.lookup(n.Type, space)
	}
	t.setLogical(n)
	return t, nil
}

// lookup finds a named type.
func (p *avroParser) lookup(name, space string) (*avroType, error) {
	for _, full := range []string{qualify(name, space), name} {
		if t := p.named[full]; t != nil {
			return t, nil
		}
	}
	return nil, fmt.Errorf("type %s is not defined", clip(name))
}

func qualify(name, space string) string {
	if space == "" || strings.Contains(name, ".") {
		return name
	}
	return space + "." + name
}

// define names a type and makes it known.
func (p *avroParser) define(t *avroType, n *avro.SchemaNode) (space string) {
	t.name = qualify(n.Name, n.Namespace)
	if i := strings.LastIndexByte(t.name, '.'); i >= 0 {
		space = t.name[:i]
	}
	for _, a := range n.Aliases {
		t.aliases = append(t.aliases, qualify(a, space))
	}
	p.named[t.name] = t
	return space
}

func (p *avroParser) record(t *avroType, n *avro.SchemaNode) error {
	space := p.define(t, n)
	t.mapEntry = n.Props["connect.internal.type"] == "MapEntry" || t.name == "io.confluent.connect.avro.MapEntry"
	for k := range n.Fields {
		f := &n.Fields[k]
		typ, err := p.build(&f.Type, space)
		if err != nil {
			return err
		}
		field := avroField{name: f.Name, aliases: f.Aliases, typ: typ}
		if f.HasDefault {
			if field.initial, err = encodeInitial(f, typ); err != nil {
				return fmt.Errorf("default of field %s: %w", f.Name, err)
			}
		}
		t.fields = append(t.fields, field)
	}
	return nil
}

// encodeInitial encodes a field's default. The result is not nil.
func encodeInitial(f *avro.SchemaField, t *avroType) ([]byte, error) {
	if f.Default == nil {
		return t.nullBranch(), nil
	}
	schema, err := f.Type.Schema()
	if err != nil {
		return nil, err
	}
	return schema.AppendEncode([]byte{}, f.Default)
}

// setLogical keeps the logical types that Connect's AvroData reads, and those of
// finer units, which columns of a declared type may read.
func (t *avroType) setLogical(n *avro.SchemaNode) {
	name, connect := n.LogicalType, n.Props["connect.name"]
	switch t.kind {
	case avroInt:
		switch {
		case name == avroDate, connect == connectPrefix+"Date":
			t.logical = avroDate
		case name == avroTimeMillis, connect == connectPrefix+"Time":
			t.logical = avroTimeMillis
		}
	case avroLong:
		switch {
		case connect == connectPrefix+"Timestamp":
			t.logical = avroStampMillis
		case unitsPerMs[name] != 0:
			t.logical = name
		}
	case avroBytes, avroFixed:
		if name == avroDecimal {
			t.logical, t.precision, t.scale = avroDecimal, n.Precision, n.Scale
		}
	}
}

// unitsPerMs are the logical types on long, with what makes a millisecond.
var unitsPerMs = map[string]int64{
	avroStampMillis: 1, "timestamp-micros": 1e3, "timestamp-nanos": 1e6,
	"local-timestamp-millis": 1, "local-timestamp-micros": 1e3, "local-timestamp-nanos": 1e6, "time-micros": 1e3,
}
