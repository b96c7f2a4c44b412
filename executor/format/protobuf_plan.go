package format

import (
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/sql/types"
)

// protoReader is how one message is read into slots: the columns of a record,
// the fields of a STRUCT, or the key and value of a MAP.
type protoReader struct {
	shape   *protoMessage
	slots   []int32       // by field of the shape, -1 where nothing reads it
	clears  [][]int32     // by field: slots of other members of its oneof
	targets []protoTarget // by slot
	// blank are the slots' values in a message without fields.
	blank []types.Value
	bad   bool // a target has an error
}

// protoTarget is how a slot is read.
type protoTarget struct {
	field *protoField // nil when the message has none for it
	typ   types.Type
	how   protoHow
	leaf  protoLeaf
	inner *protoField  // the field of a wrapper
	elem  *protoTarget // of an ARRAY
	sub   *protoReader // of a STRUCT, or of a MAP's entries
	// absent is the value where the field is not in the payload.
	absent types.Value
	plain  bool  // a varint that is the number as it stands
	err    error // the field cannot be read as typ
}

// protoHow is how the bits or bytes of a value become one of SQL's.
type protoHow uint8

const (
	howMissing protoHow = iota
	howInt
	howDouble
	howBool
	howBytes
	howString
	howEnum
	howText // of a number or BOOLEAN, into a STRING
	howLeaf
	howList
	howMap
	howStruct
)

// protoPlanner builds the readers of one schema.
type protoPlanner struct{ shapes protoShapes }

// reader plans the reading of a message into named fields. What cannot be read
// is an error of its target, not of the reader: nobody may want it.
func (p *protoPlanner) reader(m protoreflect.MessageDescriptor, fields []types.Field) *protoReader {
	r := &protoReader{shape: p.shapes.of(m), targets: make([]protoTarget, len(fields)), blank: make([]types.Value, len(fields))}
	r.slots = make([]int32, m.Fields().Len())
	for i := range r.slots {
		r.slots[i] = -1
	}
	for slot, f := range fields {
		t := &r.targets[slot]
		t.typ = f.Type
		if fd := fieldFor(m, f.Name); fd != nil {
			*t = p.target(fd, f.Type)
			t.field = &r.shape.fields[fd.Index()]
			t.plain = t.how == howInt && t.leaf == leafNone && (fd.Kind() == protoreflect.Int64Kind || fd.Kind() == protoreflect.Uint64Kind)
			r.bad = r.bad || t.err != nil
			r.slots[fd.Index()] = int32(slot)
		}
		r.blank[slot] = t.absent
	}
	r.clears = oneofClears(m, r.slots)
	return r
}

// oneofClears lists per field the slots that lose their value when it comes.
func oneofClears(m protoreflect.MessageDescriptor, slots []int32) [][]int32 {
	var clears [][]int32
	for i := range m.Oneofs().Len() {
		members := m.Oneofs().Get(i).Fields()
		for j := range members.Len() {
			for k := range members.Len() {
				slot := slots[members.Get(k).Index()]
				if j == k || slot < 0 {
					continue
				}
				if clears == nil {
					clears = make([][]int32, len(slots))
				}
				at := members.Get(j).Index()
				clears[at] = append(clears[at], slot)
			}
		}
	}
	return clears
}

// target plans the reading of a field as a type.
func (p *protoPlanner) target(fd protoreflect.FieldDescriptor, t types.Type) protoTarget {
	mismatch := protoTarget{typ: t, err: fmt.Errorf("cannot read protobuf %s as %s", describeField(fd), t)}
	switch {
	case t.Kind == types.KindMap:
		return p.mapTarget(fd, t, mismatch)
	case t.Kind == types.KindArray:
		if !fd.IsList() {
			return mismatch
		}
		elem := p.single(fd, *t.Elem)
		elem.field = &p.shapes.of(fd.ContainingMessage()).fields[fd.Index()]
		return protoTarget{typ: t, how: howList, elem: &elem, absent: types.NewArray(nil), err: elem.err}
	case fd.IsList() || fd.IsMap():
		return mismatch
	}
	one := p.single(fd, t)
	one.absent = absentValue(fd, &one)
	return one
}

// mapTarget plans the reading of a MAP from a map field or from a list of
// messages with a key and a value.
func (p *protoPlanner) mapTarget(fd protoreflect.FieldDescriptor, t types.Type, mismatch protoTarget) protoTarget {
	if fd.Kind() != protoreflect.MessageKind || !fd.IsList() && !fd.IsMap() || t.Key.Kind != types.KindString {
		return mismatch
	}
	fields := fd.Message().Fields()
	if key := fields.ByName("key"); key == nil || fields.ByName("value") == nil || !keyText(key) {
		return mismatch
	}
	sub := p.reader(fd.Message(), []types.Field{{Name: "key", Type: *t.Key}, {Name: "value", Type: *t.Elem}})
	out := protoTarget{typ: t, how: howMap, sub: sub, absent: types.NewMap(new(types.MapValue))}
	for i := range sub.targets {
		if err := sub.targets[i].err; err != nil {
			out.err = err
		}
	}
	if value := &sub.targets[1]; out.err == nil && fd.IsMap() && sub.blank[1].IsNull() && value.field.sub != nil {
		// A map's value that is not there is an empty message, not none.
		if v, err := value.one(protoItem{}, nil, 0); err == nil {
			sub.blank[1] = v
		}
	}
	return out
}

// single plans the reading of one value of a field, or of one element.
func (p *protoPlanner) single(fd protoreflect.FieldDescriptor, t types.Type) protoTarget {
	out := protoTarget{typ: t}
	if t.Kind == types.KindStruct && fd.Kind() == protoreflect.MessageKind {
		out.how, out.sub = howStruct, p.reader(fd.Message(), t.Fields)
		for i, inner := range out.sub.targets {
			if inner.err != nil {
				out.err = within("."+t.Fields[i].Name, inner.err)
			}
		}
		return out
	}
	kind := fd.Kind()
	switch leaf := leafOf(fd); {
	case leaf == leafWrapper:
		shape := p.shapes.of(fd.Message())
		out.inner, out.leaf = &shape.fields[0], leaf
		kind = out.inner.kind
	case leaf == leafDecimal && t.Kind == types.KindDecimal, leaf == leafDate && t.Kind == types.KindDate,
		leaf == leafTime && t.Kind == types.KindTime, leaf == leafTimestamp && t.Kind == types.KindTimestamp:
		out.how, out.leaf = howLeaf, leaf
		return out
	}
	if out.how = howOf(kind, t.Kind); out.how == howMissing {
		out.err = fmt.Errorf("cannot read protobuf %s as %s", describeField(fd), t)
	}
	return out
}

// howOf pairs a scalar of protobuf with one of SQL, howMissing when they do not
// go together.
func howOf(k protoreflect.Kind, t types.Kind) protoHow {
	switch sql := scalarType(k).Kind; {
	case k == protoreflect.MessageKind || k == protoreflect.GroupKind:
		return howMissing
	case t == types.KindString:
		switch k {
		case protoreflect.StringKind:
			return howString
		case protoreflect.EnumKind:
			return howEnum
		case protoreflect.BytesKind:
			return howMissing
		}
		return howText
	case t == types.KindBytes && sql == t:
		return howBytes
	case t == types.KindBoolean && sql == t:
		return howBool
	case t == types.KindDouble && sql == t:
		return howDouble
	case t == types.KindBigint && (sql == t || sql == types.KindInteger),
		t == types.KindInteger && (sql == t || k == protoreflect.Uint32Kind || k == protoreflect.Fixed32Kind):
		return howInt
	}
	return howMissing
}

// absentValue is what a field that is not repeated reads as where it is not in
// the payload: NULL when the schema can tell, else the zero of its type. A
// default that a proto2 schema declares holds.
func absentValue(fd protoreflect.FieldDescriptor, t *protoTarget) types.Value {
	if t.err != nil || fd.HasPresence() && !fd.HasDefault() {
		return types.NullValue
	}
	var item protoItem
	switch d := fd.Default(); fd.Kind() {
	case protoreflect.StringKind:
		item.body = []byte(d.String())
	case protoreflect.BytesKind:
		item.body = d.Bytes()
	default:
		item.bits = defaultBits(fd.Kind(), d)
	}
	f := protoField{kind: fd.Kind(), wire: wireOf(fd.Kind())}
	if fd.Kind() == protoreflect.EnumKind {
		f.enum = newProtoEnum(fd.Enum())
	}
	zero := *t
	zero.field = &f
	v, err := zero.one(item, nil, 0)
	if err != nil {
		return types.NullValue
	}
	return v
}

func describeField(fd protoreflect.FieldDescriptor) string {
	name := fd.Kind().String()
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		name = "message " + string(fd.Message().FullName())
	case protoreflect.EnumKind:
		name = "enum " + string(fd.Enum().FullName())
	}
	switch {
	case fd.IsMap():
		return "map"
	case fd.IsList():
		return "repeated " + name
	}
	return name
}
