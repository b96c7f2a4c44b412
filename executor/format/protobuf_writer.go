package format

import (
	"fmt"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/sql/types"
)

// protoWriter writes one message from the columns of a record, the fields of a
// STRUCT, or the key and value of a MAP, by the fields of a schema.
type protoWriter struct{ fields []protoOut } // by field number

// protoOut is how a field is written.
type protoOut struct {
	name  string
	slot  int
	typ   types.Type
	field protoField // that is written: a wrapper's inner one for leafWrapper
	leaf  protoLeaf
	tag   []byte // of one value
	// packed is the tag of a packed list, nil when its values stand one by one.
	packed []byte
	// explicit says that a value is written even when it is a zero.
	explicit bool
	required bool
	oneof    int // 1 + index of the oneof that it belongs to, 0 for none
	// precision of a Decimal, 0 when the schema does not say it.
	precision int32
	sub       *protoWriter // of a STRUCT or of a MAP's entries
	parsed    bool         // the STRING key of a map whose keys are no strings
	plain     bool         // fast writes it
}

// newProtoWriter plans the writing of fields into a message. Every field must
// have its own in the message; fields of the message that are left over are
// not written, so that readers see their defaults.
func newProtoWriter(m protoreflect.MessageDescriptor, fields []types.Field) (*protoWriter, error) {
	w := &protoWriter{}
	shapes := protoShapes{}
	taken := map[protoreflect.FieldNumber]bool{}
	for slot, f := range fields {
		fd := fieldFor(m, f.Name)
		if fd == nil || taken[fd.Number()] {
			return nil, fmt.Errorf("message %s has no field for %s", m.FullName(), types.QuoteName(f.Name))
		}
		taken[fd.Number()] = true
		o, err := newProtoOut(shapes, fd, f.Type)
		if err != nil {
			return nil, within(f.Name, err)
		}
		o.slot, o.plain = slot, o.isPlain()
		w.fields = append(w.fields, o)
	}
	for i := range m.Fields().Len() {
		if fd := m.Fields().Get(i); fd.Cardinality() == protoreflect.Required && !taken[fd.Number()] {
			return nil, fmt.Errorf("message %s requires field %s, which nothing is written to", m.FullName(), fd.Name())
		}
	}
	slices.SortFunc(w.fields, func(a, b protoOut) int { return int(a.field.number) - int(b.field.number) })
	for i := range w.fields {
		if o := &w.fields[i]; o.leaf == leafWrapper {
			o.field = shapes.of(fieldFor(m, fields[o.slot].Name).Message()).fields[0]
		}
	}
	return w, nil
}

func newProtoOut(shapes protoShapes, fd protoreflect.FieldDescriptor, t types.Type) (protoOut, error) {
	o := protoOut{name: string(fd.Name()), typ: t, field: shapes.of(fd.ContainingMessage()).fields[fd.Index()], leaf: leafOf(fd)}
	o.tag = appendProtoTag(nil, o.field.number, o.field.wire)
	o.explicit = fd.HasPresence() || fd.IsList()
	o.required = fd.Cardinality() == protoreflect.Required
	if one := fd.ContainingOneof(); one != nil && !one.IsSynthetic() {
		o.oneof = one.Index() + 1
	}
	if fd.IsPacked() {
		o.packed = appendProtoTag(nil, o.field.number, wireBytes)
	}
	mismatch := fmt.Errorf("cannot write %s as protobuf %s", t, describeField(fd))
	one := t
	switch {
	case t.Kind == types.KindMap:
		p := protoPlanner{shapes}
		if m := p.mapTarget(fd, t, protoTarget{err: mismatch}); m.err != nil {
			return o, mismatch
		}
		var err error
		o.sub, err = newProtoWriter(fd.Message(), []types.Field{{Name: "key", Type: *t.Key}, {Name: "value", Type: *t.Elem}})
		return o, err
	case fd.IsMap() || fd.IsList() != (t.Kind == types.KindArray):
		return o, mismatch
	case t.Kind == types.KindArray:
		one = *t.Elem
	}
	if one.Kind == types.KindStruct && fd.Kind() == protoreflect.MessageKind {
		var err error
		o.leaf = leafNone
		o.sub, err = newProtoWriter(fd.Message(), one.Fields)
		return o, err
	}
	return o, o.checkScalar(fd, one, mismatch)
}

// checkScalar finds out whether a field takes values of a type.
func (o *protoOut) checkScalar(fd protoreflect.FieldDescriptor, t types.Type, mismatch error) error {
	kind := fd.Kind()
	switch o.leaf {
	case leafDecimal:
		if d, err := decimalOf(fd); err == nil && metaParam(fd, "precision") != "" {
			o.precision = d.Precision
		}
		if t.Kind == types.KindDecimal {
			return nil
		}
		return mismatch
	case leafDate, leafTime, leafTimestamp:
		want := map[protoLeaf]types.Kind{leafDate: types.KindDate, leafTime: types.KindTime, leafTimestamp: types.KindTimestamp}
		if t.Kind == want[o.leaf] {
			return nil
		}
		return mismatch
	case leafWrapper:
		kind = wrapped(fd).Kind()
	}
	switch howOf(kind, t.Kind) {
	case howText:
		if o.parsed = fd.ContainingMessage().IsMapEntry() && fd.Number() == 1; !o.parsed {
			return mismatch
		}
	case howMissing:
		return mismatch
	}
	return nil
}

// isPlain reports whether fast can write the field.
func (o *protoOut) isPlain() bool {
	if o.leaf != leafNone || o.required || o.oneof > 0 || o.field.list {
		return false
	}
	switch o.field.kind {
	case protoreflect.Int64Kind, protoreflect.Uint64Kind, protoreflect.Int32Kind:
		return o.typ.Kind == types.KindInteger || o.typ.Kind == types.KindBigint && o.field.kind != protoreflect.Int32Kind
	}
	return o.field.kind == protoreflect.StringKind || o.field.kind == protoreflect.BytesKind
}
