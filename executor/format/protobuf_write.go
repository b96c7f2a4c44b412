package format

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

var errProtoNull = errors.New("it is NULL, which a repeated protobuf field cannot hold")

// record appends the message of row i.
func (w *protoWriter) record(dst []byte, cols []*batch.Vector, i int32) (_ []byte, err error) {
	var oneofs uint64
	for k := range w.fields {
		o := &w.fields[k]
		v := cols[o.slot]
		if o.plain {
			dst = o.fast(dst, v, i)
			continue
		}
		if v.Rep == batch.RepDecimal && !v.IsNull(i) && o.leaf == leafDecimal {
			var mark int
			dst, mark = openBody(append(dst, o.tag...))
			dst = closeBody(appendInt128Decimal(dst, v.Dec[i], o.precision, v.Type.Scale), mark)
		} else if dst, err = o.append(dst, v.View(i)); err != nil {
			return dst, within(o.name, err)
		}
		if err := o.claim(&oneofs, v.IsNull(i)); err != nil {
			return dst, within(o.name, err)
		}
	}
	return dst, nil
}

// fast appends value i of a column whose values have no way to fail.
func (o *protoOut) fast(dst []byte, v *batch.Vector, i int32) []byte {
	if v.IsNull(i) {
		return dst
	}
	if v.Rep == batch.RepInt64 {
		if n := v.I64[i]; n != 0 || o.explicit {
			dst = binary.AppendUvarint(append(dst, o.tag...), uint64(n))
		}
		return dst
	}
	if b := v.Bytes(i); len(b) > 0 || o.explicit {
		dst = binary.AppendUvarint(append(dst, o.tag...), uint64(len(b)))
		dst = append(dst, b...)
	}
	return dst
}

// claim notes that a member of a oneof is written. Two of one are an error: a
// reader would see the last alone.
func (o *protoOut) claim(oneofs *uint64, null bool) error {
	if o.oneof == 0 || o.oneof > 64 || null {
		return nil
	}
	bit := uint64(1) << (o.oneof - 1)
	if *oneofs&bit != 0 {
		return errors.New("another member of its oneof has a value too")
	}
	*oneofs |= bit
	return nil
}

// message appends the message of some values.
func (w *protoWriter) message(dst []byte, values []types.Value) (_ []byte, err error) {
	var oneofs uint64
	for k := range w.fields {
		o := &w.fields[k]
		if dst, err = o.append(dst, values[o.slot]); err == nil {
			err = o.claim(&oneofs, values[o.slot].IsNull())
		}
		if err != nil {
			return dst, within("."+o.name, err)
		}
	}
	return dst, nil
}

// append appends a field with its tags. NULL is left out.
func (o *protoOut) append(dst []byte, v types.Value) ([]byte, error) {
	switch {
	case v.IsNull() && o.required:
		return dst, errors.New("it is NULL, but the schema requires the field")
	case v.IsNull():
		return dst, nil
	case o.parsed:
		key, err := o.parseKey(v.Str())
		if err != nil || o.zero(key) {
			return dst, err
		}
		return o.scalar(append(dst, o.tag...), key)
	case o.typ.Kind == types.KindMap:
		return o.entries(dst, v.Map())
	case o.typ.Kind == types.KindArray:
		return o.list(dst, v.Elems())
	case !o.explicit && o.zero(v):
		return dst, nil
	}
	return o.value(append(dst, o.tag...), v)
}

// parseKey reads a map's key out of its text.
func (o *protoOut) parseKey(s string) (types.Value, error) {
	if o.field.kind == protoreflect.BoolKind {
		if s != "true" && s != "false" {
			return types.NullValue, fmt.Errorf("%q is not a boolean key", clip(s))
		}
		return types.NewBoolean(s == "true"), nil
	}
	n, err := parseInteger(s, 64)
	return types.NewBigint(n), err
}

// zero reports whether a value is what readers assume without it.
func (o *protoOut) zero(v types.Value) bool {
	switch v.Kind() {
	case types.KindString:
		if o.field.enum != nil {
			n, ok := o.field.enum.numbers[v.Str()]
			return ok && n == 0
		}
		return v.Str() == ""
	case types.KindBytes:
		return v.Str() == ""
	case types.KindDouble:
		return math.Float64bits(v.Float()) == 0 // -0.0 is not 0
	case types.KindBoolean, types.KindInteger, types.KindBigint:
		return v.Int() == 0
	}
	return false
}

func (o *protoOut) list(dst []byte, elems []types.Value) (_ []byte, err error) {
	if len(elems) == 0 {
		return dst, nil
	}
	mark := -1
	if o.packed != nil {
		dst, mark = openBody(append(dst, o.packed...))
	}
	for i, e := range elems {
		if mark < 0 {
			dst = append(dst, o.tag...)
		}
		if e.IsNull() {
			err = errProtoNull
		} else {
			dst, err = o.value(dst, e)
		}
		if err != nil {
			return dst, within(fmt.Sprintf("[%d]", i), err)
		}
	}
	if mark >= 0 {
		dst = closeBody(dst, mark)
	}
	return dst, nil
}

func (o *protoOut) entries(dst []byte, m *types.MapValue) (_ []byte, err error) {
	for i := range m.Keys {
		var mark int
		dst, mark = openBody(append(dst, o.tag...))
		pair := [2]types.Value{m.Keys[i], m.Values[i]}
		if dst, err = o.sub.message(dst, pair[:]); err != nil {
			return dst, err
		}
		dst = closeBody(dst, mark)
	}
	return dst, nil
}

// value appends a value behind its tag.
func (o *protoOut) value(dst []byte, v types.Value) (_ []byte, err error) {
	if o.sub == nil && o.leaf == leafNone {
		return o.scalar(dst, v)
	}
	dst, mark := openBody(dst)
	switch {
	case o.sub != nil:
		dst, err = o.sub.message(dst, v.Elems())
	case o.leaf == leafWrapper:
		if !o.zero(v) {
			dst, err = o.scalar(appendProtoTag(dst, 1, o.field.wire), v)
		}
	case o.leaf == leafDecimal:
		t := o.typ
		if t.Kind == types.KindArray {
			t = *t.Elem
		}
		dst, err = appendApdDecimal(dst, v.Decimal(), t, o.precision)
	default:
		dst = appendMoment(dst, o.leaf, v.Int())
	}
	return closeBody(dst, mark), err
}

// scalar appends the bits or the bytes of a value.
func (o *protoOut) scalar(dst []byte, v types.Value) ([]byte, error) {
	switch o.field.kind {
	case protoreflect.StringKind, protoreflect.BytesKind:
		dst = binary.AppendUvarint(dst, uint64(len(v.Str())))
		return append(dst, v.Str()...), nil
	case protoreflect.EnumKind:
		n, ok := o.field.enum.numbers[v.Str()]
		if !ok {
			return dst, fmt.Errorf("%q is not a value of enum %s", clip(v.Str()), o.field.enum.name)
		}
		return binary.AppendUvarint(dst, uint64(n)), nil
	case protoreflect.BoolKind:
		return append(dst, boolByte(v.Bool())), nil
	case protoreflect.FloatKind:
		return binary.LittleEndian.AppendUint32(dst, math.Float32bits(float32(v.Float()))), nil
	case protoreflect.DoubleKind:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float())), nil
	}
	return o.integer(dst, v.Int())
}

func (o *protoOut) integer(dst []byte, n int64) ([]byte, error) {
	switch o.field.kind {
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		if n != int64(uint32(n)) {
			return dst, fmt.Errorf("%d is out of range for protobuf %s", n, o.field.kind)
		}
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		if n != int64(int32(n)) {
			return dst, fmt.Errorf("%d is out of range for protobuf %s", n, o.field.kind)
		}
	}
	switch o.field.kind {
	case protoreflect.Sint32Kind, protoreflect.Sint64Kind:
		return binary.AppendVarint(dst, n), nil
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind:
		return binary.LittleEndian.AppendUint32(dst, uint32(n)), nil
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind:
		return binary.LittleEndian.AppendUint64(dst, uint64(n)), nil
	}
	return binary.AppendUvarint(dst, uint64(n)), nil
}
