package format

import (
	"fmt"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/format/registry"
)

// incompatibleProto holds a reader's schema against a writer's by the rules of
// Confluent's Schema Registry for protobuf: names of fields may change, numbers
// and what stands on the wire may not.
func incompatibleProto(reader, writer registry.Schema, all registry.Resolver) ([]string, error) {
	r, err := compileProto(reader, all)
	if err != nil {
		return nil, fmt.Errorf("the reader's schema: %w", err)
	}
	w, err := compileProto(writer, all)
	if err != nil {
		return nil, fmt.Errorf("the writer's schema: %w", err)
	}
	c := &protoCompat{seen: map[[2]protoreflect.FullName]bool{}}
	if r.Package() != w.Package() {
		c.add("the package was %q and is %q", w.Package(), r.Package())
	}
	c.messages(r.Messages(), w.Messages())
	return c.why, nil
}

type protoCompat struct {
	why  []string
	seen map[[2]protoreflect.FullName]bool // pairs compared, or being so
}

func (c *protoCompat) add(format string, args ...any) {
	c.why = append(c.why, fmt.Sprintf(format, args...))
}

func (c *protoCompat) messages(r, w protoreflect.MessageDescriptors) {
	for i := range w.Len() {
		old := w.Get(i)
		if isEntry(old) {
			continue
		}
		if now := r.ByName(old.Name()); now == nil {
			c.add("message %s was removed", old.FullName())
		} else {
			c.message(now, old)
		}
	}
}

// isEntry reports whether a message only serves a map field.
func isEntry(m protoreflect.MessageDescriptor) bool {
	return m.IsMapEntry() || strings.HasSuffix(string(m.Name()), "Entry") && m.Fields().Len() == 2 &&
		m.Fields().Get(0).Name() == "key" && m.Fields().Get(1).Name() == "value"
}

func (c *protoCompat) message(r, w protoreflect.MessageDescriptor) {
	pair := [2]protoreflect.FullName{r.FullName(), w.FullName()}
	if c.seen[pair] {
		return
	}
	c.seen[pair] = true
	for i := range w.Fields().Len() {
		old := w.Fields().Get(i)
		now := r.Fields().ByNumber(old.Number())
		switch {
		case now != nil:
			c.field(now, old)
		case old.Cardinality() == protoreflect.Required:
			c.add("required field %s of number %d was removed", old.FullName(), old.Number())
		case realOneof(old) != nil && r.Oneofs().ByName(realOneof(old).Name()) != nil:
			c.add("field %s of number %d was removed from its oneof", old.FullName(), old.Number())
		}
	}
	for i := range r.Fields().Len() {
		now := r.Fields().Get(i)
		if now.Cardinality() == protoreflect.Required && w.Fields().ByNumber(now.Number()) == nil {
			c.add("required field %s of number %d was added", now.FullName(), now.Number())
		}
	}
	c.oneofs(r, w)
	c.messages(r.Messages(), w.Messages())
}

// realOneof returns the oneof that a field was declared in, nil for none.
func realOneof(fd protoreflect.FieldDescriptor) protoreflect.OneofDescriptor {
	if o := fd.ContainingOneof(); o != nil && !o.IsSynthetic() {
		return o
	}
	return nil
}

// oneofs looks for fields that were free and now exclude one another.
func (c *protoCompat) oneofs(r, w protoreflect.MessageDescriptor) {
	for i := range r.Oneofs().Len() {
		o := r.Oneofs().Get(i)
		if o.IsSynthetic() {
			continue
		}
		moved, members := 0, 0
		for j := range o.Fields().Len() {
			old := w.Fields().ByNumber(o.Fields().Get(j).Number())
			switch {
			case old == nil:
			case realOneof(old) == nil:
				moved++
			default:
				members++
			}
		}
		switch {
		case moved > 1:
			c.add("%d fields were moved into oneof %s", moved, o.FullName())
		case moved == 1 && members > 0:
			c.add("a field was moved into oneof %s, which has others already", o.FullName())
		}
	}
}

// field compares two fields of one number.
func (c *protoCompat) field(r, w protoreflect.FieldDescriptor) {
	rk, rv, rmap := entryOf(r)
	wk, wv, wmap := entryOf(w)
	switch {
	case rmap && wmap:
		c.field(rk, wk)
		c.field(rv, wv)
	case rmap != wmap:
		c.add("field %s of number %d was %s and is %s", w.FullName(), w.Number(), describeKind(w, wmap), describeKind(r, rmap))
	case isMessage(r) != isMessage(w) || wireGroupOf(r) != wireGroupOf(w):
		c.add("field %s of number %d was %s and is %s", w.FullName(), w.Number(), describeField(w), describeField(r))
	case isMessage(r):
		if localName(r.Message()) != localName(w.Message()) {
			c.add("field %s of number %d was %s and is %s", w.FullName(), w.Number(), describeField(w), describeField(r))
			return
		}
		c.message(r.Message(), w.Message())
	case r.IsList() != w.IsList() && wireOf(r.Kind()) != wireBytes:
		c.add("field %s of number %d was %s and is %s", w.FullName(), w.Number(), describeField(w), describeField(r))
	}
}

func describeKind(fd protoreflect.FieldDescriptor, isMap bool) string {
	if isMap {
		return "map"
	}
	return describeField(fd)
}

func isMessage(fd protoreflect.FieldDescriptor) bool {
	return fd.Kind() == protoreflect.MessageKind || fd.Kind() == protoreflect.GroupKind
}

// localName is a message's name inside its package.
func localName(m protoreflect.MessageDescriptor) string {
	return strings.TrimPrefix(string(m.FullName()), string(m.ParentFile().Package())+".")
}

// wireGroupOf tells apart what cannot be read as one another (protobuf.dev,
// "Updating A Message Type").
func wireGroupOf(fd protoreflect.FieldDescriptor) string {
	switch fd.Kind() {
	case protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.Uint32Kind, protoreflect.Uint64Kind, protoreflect.BoolKind, protoreflect.EnumKind:
		return "number"
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return "zig-zag number"
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return "32 bits"
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return "64 bits"
	case protoreflect.StringKind, protoreflect.BytesKind:
		return "bytes"
	}
	return fd.Kind().String()
}
