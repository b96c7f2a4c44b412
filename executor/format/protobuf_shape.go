package format

import (
	"errors"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// protoMessage is what a message's fields are on the wire. Recursive messages
// make cycles of them.
type protoMessage struct {
	fields []protoField
	low    []uint16 // by field number, index + 1; 0 for none
	sparse map[uint32]uint16
}

// protoField is one of them.
type protoField struct {
	name   string
	number uint32
	kind   protoreflect.Kind
	wire   uint8 // of one value
	list   bool
	utf8   bool          // a string that must be valid
	sub    *protoMessage // of a message or of a map's entry
	enum   *protoEnum
}

// protoEnum are the names and numbers of an enum.
type protoEnum struct {
	name    string
	closed  bool // unknown numbers are as if they were not there
	names   map[int32]string
	numbers map[string]int32
}

// lowNumbers is how many field numbers are looked up in an array.
const lowNumbers = 256

// protoShapes makes the shapes of one schema's messages, each once.
type protoShapes map[protoreflect.FullName]*protoMessage

func (s protoShapes) of(m protoreflect.MessageDescriptor) *protoMessage {
	if have := s[m.FullName()]; have != nil {
		return have
	}
	fields := m.Fields()
	shape := &protoMessage{fields: make([]protoField, fields.Len())}
	s[m.FullName()] = shape
	for i := range fields.Len() {
		fd := fields.Get(i)
		f := &shape.fields[i]
		*f = protoField{name: string(fd.Name()), number: uint32(fd.Number()), kind: fd.Kind(), wire: wireOf(fd.Kind()), list: fd.IsList() || fd.IsMap()}
		f.utf8 = fd.Kind() == protoreflect.StringKind && fd.ParentFile().Syntax() != protoreflect.Proto2
		switch fd.Kind() {
		case protoreflect.MessageKind:
			f.sub = s.of(fd.Message())
		case protoreflect.EnumKind:
			f.enum = newProtoEnum(fd.Enum())
		}
		shape.index(f.number, uint16(i+1))
	}
	return shape
}

func (m *protoMessage) index(number uint32, at uint16) {
	if number >= lowNumbers {
		if m.sparse == nil {
			m.sparse = map[uint32]uint16{}
		}
		m.sparse[number] = at
		return
	}
	for uint32(len(m.low)) <= number {
		m.low = append(m.low, 0)
	}
	m.low[number] = at
}

// find returns the index of a field, -1 for none.
func (m *protoMessage) find(number uint32) int {
	if number < uint32(len(m.low)) {
		return int(m.low[number]) - 1
	}
	return int(m.sparse[number]) - 1
}

func newProtoEnum(e protoreflect.EnumDescriptor) *protoEnum {
	out := &protoEnum{name: string(e.Name()), closed: e.IsClosed(), names: map[int32]string{}, numbers: map[string]int32{}}
	for i := range e.Values().Len() {
		v := e.Values().Get(i)
		out.numbers[string(v.Name())] = int32(v.Number())
		if _, alias := out.names[int32(v.Number())]; !alias {
			out.names[int32(v.Number())] = string(v.Name())
		}
	}
	return out
}

func wireOf(k protoreflect.Kind) uint8 {
	switch k {
	case protoreflect.StringKind, protoreflect.BytesKind, protoreflect.MessageKind:
		return wireBytes
	case protoreflect.Fixed32Kind, protoreflect.Sfixed32Kind, protoreflect.FloatKind:
		return wireFixed32
	case protoreflect.Fixed64Kind, protoreflect.Sfixed64Kind, protoreflect.DoubleKind:
		return wireFixed64
	case protoreflect.GroupKind:
		return wireGroup
	}
	return wireVarint
}

// takes reports whether a value of a wire type belongs to the field; otherwise
// it is passed over like that of an unknown field. Numbers of a list may be
// packed or not, whatever the schema says.
func (f *protoField) takes(wire uint8) bool {
	return wire == f.wire || f.list && wire == wireBytes && f.wire != wireGroup
}

// pass checks a value that nobody wants and returns its length.
func (m *protoMessage) pass(field int, number uint32, wire uint8, b []byte, depth int) (int, error) {
	if field < 0 || wire != wireBytes || !m.fields[field].takes(wire) {
		return skipValue(b, number, wire, depth)
	}
	body, n, err := takeBody(b)
	if err != nil {
		return 0, err
	}
	f := &m.fields[field]
	switch {
	case f.sub != nil:
		err = f.sub.check(body, depth+1)
	case f.wire != wireBytes:
		err = eachPacked(body, f.wire, func(uint64) error { return nil })
	case f.utf8 && !utf8.Valid(body):
		err = errProtoUTF8
	}
	if err != nil {
		return 0, within("."+f.name, err)
	}
	return n, nil
}

var errProtoUTF8 = errors.New("string is not valid UTF-8")

// check validates a whole message.
func (m *protoMessage) check(b []byte, depth int) error {
	if depth > MaxNesting {
		return errProtoDeep
	}
	for len(b) > 0 {
		number, wire, n, err := takeTag(b)
		if err != nil {
			return err
		}
		b = b[n:]
		if n, err = m.pass(m.find(number), number, wire, b, depth); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// eachPacked calls do with the bits of every number of a packed list.
func eachPacked(body []byte, wire uint8, do func(bits uint64) error) error {
	for len(body) > 0 {
		bits, _, n, err := takeScalar(body, wire)
		if err != nil {
			return err
		}
		if err := do(bits); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}
