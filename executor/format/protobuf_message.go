package format

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// findMessage returns the message that a name picks, the first one when name is
// empty, with its index path.
func findMessage(f protoreflect.FileDescriptor, name string) (protoreflect.MessageDescriptor, []int, error) {
	if f.Messages().Len() == 0 {
		return nil, nil, errors.New("the schema defines no message")
	}
	if name == "" {
		return f.Messages().Get(0), []int{0}, nil
	}
	full := protoreflect.FullName(name)
	for _, want := range []protoreflect.FullName{full, f.Package() + "." + full} {
		if m, path := messageNamed(f.Messages(), want, nil); m != nil {
			return m, path, nil
		}
	}
	return nil, nil, fmt.Errorf("the schema defines no message %s", name)
}

func messageNamed(ms protoreflect.MessageDescriptors, name protoreflect.FullName, path []int) (protoreflect.MessageDescriptor, []int) {
	index := 0
	for i := range ms.Len() {
		m := ms.Get(i)
		if m.IsMapEntry() {
			continue // it stands in no text, and index paths do not count it
		}
		at := append(path[:len(path):len(path)], index)
		index++
		if m.FullName() == name {
			return m, at
		}
		if found, where := messageNamed(m.Messages(), name, at); found != nil {
			return found, where
		}
	}
	return nil, nil
}

// messageAt returns the message at an index path.
func messageAt(f protoreflect.FileDescriptor, path []int) (protoreflect.MessageDescriptor, error) {
	var m protoreflect.MessageDescriptor
	ms := f.Messages()
	for _, want := range path {
		m = nil
		for i, index := 0, 0; i < ms.Len(); i++ {
			if ms.Get(i).IsMapEntry() {
				continue
			}
			if index == want {
				m = ms.Get(i)
				break
			}
			index++
		}
		if m == nil {
			return nil, fmt.Errorf("the schema has no message with index path %v", path)
		}
		ms = m.Messages()
	}
	return m, nil
}

// metaParam returns a parameter of a field's confluent.field_meta option, ""
// when it has none.
func metaParam(fd protoreflect.FieldDescriptor, name string) string {
	options := fd.Options()
	if options == nil {
		return ""
	}
	value := ""
	options.ProtoReflect().Range(func(x protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if x.FullName() != "confluent.field_meta" {
			return true
		}
		params := x.Message().Fields().ByName("params")
		if params == nil || !params.IsMap() {
			return false
		}
		if p := v.Message().Get(params).Map().Get(protoreflect.ValueOfString(name).MapKey()); p.IsValid() {
			value = p.String()
		}
		return false
	})
	return value
}
