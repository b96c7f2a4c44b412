package format

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// connectPrecision is the precision of decimals whose schema does not say it.
const connectPrecision = 64

// errNoFields says that a message has nothing with a SQL type.
var errNoFields = errors.New("it has no field with a SQL type")

// protoInferrer reads columns out of a message.
type protoInferrer struct {
	verbatim bool // names as they stand, not in upper case
	open     []protoreflect.FullName
	fields   int // met so far
	dropped  []string
}

// inferProto returns the columns of the message that f.SchemaName picks, or of
// the first one, as KSQL does.
func inferProto(f plan.Format, side Side, s registry.Schema) (Inferred, error) {
	file, err := compileProto(s, side.Schemas)
	if err != nil {
		return Inferred{}, err
	}
	m, _, err := findMessage(file, f.SchemaName)
	if err != nil {
		return Inferred{}, err
	}
	n := &protoInferrer{verbatim: f.SchemaID != 0}
	t, err := n.message(m, "")
	if err != nil {
		return Inferred{}, fmt.Errorf("message %s: %w", m.FullName(), err)
	}
	return topColumns(f, side, t, n.dropped)
}

// errEndless stops an inference as a whole.
type errEndless struct{ why string }

func (e errEndless) Error() string { return e.why }

// message returns the STRUCT of a message's fields in the order of their
// declaration. Fields without a SQL type are dropped.
func (n *protoInferrer) message(m protoreflect.MessageDescriptor, path string) (types.Type, error) {
	if slices.Contains(n.open, m.FullName()) {
		return types.Null, errEndless{fmt.Sprintf("message %s is recursive, which no SQL type can be", m.FullName())}
	}
	if len(n.open) >= maxProtoDepth {
		return types.Null, errEndless{fmt.Sprintf("messages nest deeper than %d", maxProtoDepth)}
	}
	n.open = append(n.open, m.FullName())
	defer func() { n.open = n.open[:len(n.open)-1] }()
	var fields []types.Field
	for i := range m.Fields().Len() {
		fd := m.Fields().Get(i)
		at := path + string(fd.Name())
		if n.fields++; n.fields > maxProtoFields {
			return types.Null, errEndless{fmt.Sprintf("there are more than %d fields", maxProtoFields)}
		}
		t, err := n.field(fd, at)
		var endless errEndless
		if errors.As(err, &endless) {
			return types.Null, err
		}
		if err == nil && n.hidden(m, fd) {
			err = errors.New("another field has the same name in upper case")
		}
		if err != nil {
			n.dropped = append(n.dropped, at+": "+err.Error())
			continue
		}
		fields = append(fields, types.Field{Name: n.name(fd), Type: t})
	}
	if len(fields) == 0 {
		return types.Null, errNoFields
	}
	return types.Struct(fields...), nil
}

func (n *protoInferrer) name(fd protoreflect.FieldDescriptor) string {
	if n.verbatim {
		return string(fd.Name())
	}
	return strings.ToUpper(string(fd.Name()))
}

// hidden reports whether a reader would take another field for the column.
func (n *protoInferrer) hidden(m protoreflect.MessageDescriptor, fd protoreflect.FieldDescriptor) bool {
	return fieldFor(m, n.name(fd)) != fd
}

// fieldFor returns the field that a column reads: the one of its very name, or
// the last whose name is it in upper case. nil when there is none.
func fieldFor(m protoreflect.MessageDescriptor, column string) protoreflect.FieldDescriptor {
	if fd := m.Fields().ByName(protoreflect.Name(column)); fd != nil {
		return fd
	}
	for i := m.Fields().Len() - 1; i >= 0; i-- {
		if fd := m.Fields().Get(i); strings.ToUpper(string(fd.Name())) == column {
			return fd
		}
	}
	return nil
}

// field returns the SQL type of a field.
func (n *protoInferrer) field(fd protoreflect.FieldDescriptor, path string) (types.Type, error) {
	if _, value, ok := entryOf(fd); ok {
		elem, err := n.field(value, path+".value")
		return types.Map(types.String, elem), err
	}
	t, err := n.single(fd, path)
	if err == nil && fd.IsList() {
		t = types.Array(t)
	}
	return t, err
}

// entryOf returns the key and value of a map field, or of a list of messages
// that stands for one: Connect writes MAP as a list of messages named ...Entry.
func entryOf(fd protoreflect.FieldDescriptor) (key, value protoreflect.FieldDescriptor, ok bool) {
	if fd.IsMap() {
		return fd.MapKey(), fd.MapValue(), true
	}
	if !fd.IsList() || fd.Kind() != protoreflect.MessageKind || !strings.HasSuffix(string(fd.Message().Name()), "Entry") {
		return nil, nil, false
	}
	fields := fd.Message().Fields()
	if fields.Len() != 2 || fields.Get(0).Name() != "key" || fields.Get(1).Name() != "value" {
		return nil, nil, false
	}
	key, value = fields.Get(0), fields.Get(1)
	return key, value, !key.IsList() && !key.IsMap() && keyText(key)
}

// keyText reports whether a field can be the STRING key of a MAP.
func keyText(fd protoreflect.FieldDescriptor) bool {
	switch fd.Kind() {
	case protoreflect.GroupKind, protoreflect.BytesKind, protoreflect.FloatKind, protoreflect.DoubleKind:
		return false
	case protoreflect.MessageKind:
		leaf := leafOf(fd)
		return leaf == leafWrapper && keyText(wrapped(fd))
	}
	return true
}

// single returns the SQL type of a field that is not repeated, or of one
// element.
func (n *protoInferrer) single(fd protoreflect.FieldDescriptor, path string) (types.Type, error) {
	switch fd.Kind() {
	case protoreflect.GroupKind:
		return types.Null, errors.New("groups have no SQL type")
	case protoreflect.MessageKind:
		switch leafOf(fd) {
		case leafWrapper:
			return scalarType(wrapped(fd).Kind()), nil
		case leafDecimal:
			return decimalOf(fd)
		case leafDate:
			return types.Date, nil
		case leafTime:
			return types.Time, nil
		case leafTimestamp:
			return types.Timestamp, nil
		}
		return n.message(fd.Message(), path+".")
	}
	return scalarType(fd.Kind()), nil
}

func scalarType(k protoreflect.Kind) types.Type {
	switch k {
	case protoreflect.BoolKind:
		return types.Boolean
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		return types.Integer
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return types.Double
	case protoreflect.StringKind, protoreflect.EnumKind:
		return types.String
	case protoreflect.BytesKind:
		return types.Bytes
	}
	return types.Bigint // unsigned ones of 32 bits too
}

// decimalOf returns the DECIMAL of a confluent.type.Decimal field.
func decimalOf(fd protoreflect.FieldDescriptor) (types.Type, error) {
	number := func(name string, missing int32) int32 {
		if n, err := strconv.ParseInt(metaParam(fd, name), 10, 32); err == nil {
			return int32(n)
		}
		return missing
	}
	t := types.Decimal(number("precision", connectPrecision), number("scale", 0))
	return t, types.CheckDecimal(t)
}
