package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// fillMessage sets a message's fields from an object. Unknown fields are dropped
// and nulls left out.
func fillMessage(m protoreflect.Message, object map[string]any) error {
	for name, x := range object {
		fd := fieldNamed(m.Descriptor(), name)
		if fd == nil || x == nil {
			continue
		}
		if err := fillField(m, fd, x); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func fillField(m protoreflect.Message, fd protoreflect.FieldDescriptor, x any) error {
	object, isObject := x.(map[string]any)
	switch {
	case fd.IsMap():
		if !isObject {
			return fmt.Errorf("%s is not a map", text(x))
		}
		entries := m.Mutable(fd).Map()
		for k, e := range object {
			key, err := makeValue(fd.MapKey(), k, entries.NewValue)
			if err != nil {
				return err
			}
			value, err := makeValue(fd.MapValue(), e, entries.NewValue)
			if err != nil {
				return err
			}
			entries.Set(key.MapKey(), value)
		}
		return nil
	case fd.IsList():
		list := m.Mutable(fd).List()
		elems, ok := x.([]any)
		if isObject { // a MAP as a list of entries, equal in every run
			for _, k := range slices.Sorted(maps.Keys(object)) {
				elems = append(elems, map[string]any{"key": k, "value": object[k]})
			}
		} else if !ok {
			return fmt.Errorf("%s is not a list", text(x))
		}
		for _, e := range elems {
			v, err := makeValue(fd, e, list.NewElement)
			if err != nil {
				return err
			}
			list.Append(v)
		}
		return nil
	}
	v, err := makeValue(fd, x, func() protoreflect.Value { return m.NewField(fd) })
	if err == nil {
		m.Set(fd, v)
	}
	return err
}

// makeValue makes one value of a field's type.
func makeValue(fd protoreflect.FieldDescriptor, x any, fresh func() protoreflect.Value) (protoreflect.Value, error) {
	if x == nil {
		return protoreflect.Value{}, fmt.Errorf("null where protobuf has no place for it")
	}
	if fd.Kind() == protoreflect.MessageKind {
		v := fresh()
		return v, fillValue(v.Message(), fd, x)
	}
	s := scalarText(x)
	switch fd.Kind() {
	case protoreflect.BoolKind:
		b, err := strconv.ParseBool(strings.ToLower(s))
		return protoreflect.ValueOfBool(b), err
	case protoreflect.StringKind:
		return protoreflect.ValueOfString(s), nil
	case protoreflect.BytesKind:
		b, err := base64.StdEncoding.DecodeString(s)
		return protoreflect.ValueOfBytes(b), err
	case protoreflect.FloatKind:
		f, err := strconv.ParseFloat(s, 32)
		return protoreflect.ValueOfFloat32(float32(f)), err
	case protoreflect.DoubleKind:
		f, err := strconv.ParseFloat(s, 64)
		return protoreflect.ValueOfFloat64(f), err
	case protoreflect.EnumKind:
		v := fd.Enum().Values().ByName(protoreflect.Name(s))
		if v == nil {
			return protoreflect.Value{}, fmt.Errorf("enum %s has no %s", fd.Enum().FullName(), s)
		}
		return protoreflect.ValueOfEnum(v.Number()), nil
	case protoreflect.Int32Kind, protoreflect.Sint32Kind, protoreflect.Sfixed32Kind:
		n, err := strconv.ParseInt(s, 10, 32)
		return protoreflect.ValueOfInt32(int32(n)), err
	case protoreflect.Uint32Kind, protoreflect.Fixed32Kind:
		n, err := strconv.ParseUint(s, 10, 32)
		return protoreflect.ValueOfUint32(uint32(n)), err
	case protoreflect.Uint64Kind, protoreflect.Fixed64Kind:
		n, err := strconv.ParseUint(s, 10, 64)
		return protoreflect.ValueOfUint64(n), err
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return protoreflect.ValueOfInt64(n), err
}

func scalarText(x any) string {
	switch x := x.(type) {
	case string:
		return x
	case json.Number:
		return string(x)
	}
	return text(x)
}

// fillValue sets a message: one of those that stand for a SQL value, or a
// record.
func fillValue(m protoreflect.Message, fd protoreflect.FieldDescriptor, x any) error {
	part := func(name string, n int64) error {
		return fillMessage(m, map[string]any{name: json.Number(strconv.FormatInt(n, 10))})
	}
	number := func() (int64, error) { return strconv.ParseInt(scalarText(x), 10, 64) }
	switch m.Descriptor().FullName() {
	case "confluent.type.Decimal":
		return fillDecimal(m, fd, scalarText(x))
	case "google.type.Date":
		days, err := number()
		if err != nil {
			return err
		}
		d := time.Unix(days*86400, 0).UTC()
		return firstError(part("year", int64(d.Year())), part("month", int64(d.Month())), part("day", int64(d.Day())))
	case "google.type.TimeOfDay":
		ms, err := number()
		return firstError(err, part("hours", ms/3600_000), part("minutes", ms/60_000%60), part("seconds", ms/1000%60), part("nanos", ms%1000*1000_000))
	case "google.protobuf.Timestamp":
		ms, err := number()
		t := time.UnixMilli(ms)
		return firstError(err, part("seconds", t.Unix()), part("nanos", int64(t.Nanosecond())))
	}
	if isWrapper(m.Descriptor()) {
		return fillMessage(m, map[string]any{"value": x})
	}
	object, ok := x.(map[string]any)
	if !ok {
		return fmt.Errorf("%s is not an object", text(x))
	}
	return fillMessage(m, object)
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func isWrapper(m protoreflect.MessageDescriptor) bool {
	return m.ParentFile().Path() == "google/protobuf/wrappers.proto"
}

// decimalParam returns precision or scale out of a field's option, -1 for none.
func decimalParam(fd protoreflect.FieldDescriptor, name string) int {
	n := -1
	fd.Options().ProtoReflect().Range(func(x protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if x.FullName() == "confluent.field_meta" {
			p := v.Message().Get(x.Message().Fields().ByName("params")).Map().Get(protoreflect.ValueOfString(name).MapKey())
			if p.IsValid() {
				if k, err := strconv.Atoi(p.String()); err == nil {
					n = k
				}
			}
		}
		return true
	})
	return n
}

func fillDecimal(m protoreflect.Message, fd protoreflect.FieldDescriptor, s string) error {
	u, have, ok := unscaled(s)
	if !ok {
		return fmt.Errorf("%q is not a decimal", s)
	}
	precision, scale := decimalParam(fd, "precision"), decimalParam(fd, "scale")
	if scale < 0 {
		scale = have
	}
	for ; have < scale; have++ {
		u.Mul(u, big.NewInt(10))
	}
	for ; have > scale; have-- {
		rem := new(big.Int)
		if u.QuoRem(u, big.NewInt(10), rem); rem.Sign() != 0 {
			return fmt.Errorf("%s has more than %d digits behind the point", s, scale)
		}
	}
	if precision >= 0 && len(new(big.Int).Abs(u).String()) > precision && u.Sign() != 0 {
		return fmt.Errorf("%s has more than %d digits", s, precision)
	}
	width := u.BitLen()/8 + 1
	if u.Sign() < 0 {
		u.Add(u, new(big.Int).Lsh(big.NewInt(1), uint(8*width)))
	}
	fields := m.Descriptor().Fields()
	m.Set(fields.ByName("value"), protoreflect.ValueOfBytes(u.FillBytes(make([]byte, width))))
	m.Set(fields.ByName("scale"), protoreflect.ValueOfInt32(int32(scale)))
	if precision >= 0 {
		m.Set(fields.ByName("precision"), protoreflect.ValueOfUint32(uint32(precision)))
	}
	return nil
}

// showMessage returns all fields of a message: absent ones are their default, or
// nil where the schema can tell. top says of the payload's own.
func showMessage(m protoreflect.Message, top bool) (any, error) {
	out := map[string]any{}
	for i := range m.Descriptor().Fields().Len() {
		fd := m.Descriptor().Fields().Get(i)
		v, err := showField(m, fd)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", fd.Name(), err)
		}
		if b, ok := v.([]byte); ok && top && len(b) == 0 {
			v = nil
		}
		out[string(fd.Name())] = v
	}
	return out, nil
}

func showField(m protoreflect.Message, fd protoreflect.FieldDescriptor) (any, error) {
	switch {
	case fd.IsMap():
		out := map[string]any{}
		var fail error
		m.Get(fd).Map().Range(func(k protoreflect.MapKey, v protoreflect.Value) bool {
			out[k.String()], fail = showValue(fd.MapValue(), v)
			return fail == nil
		})
		return out, fail
	case fd.IsList():
		list := m.Get(fd).List()
		if isEntry(fd) {
			return showEntries(fd.Message(), list)
		}
		out := make([]any, list.Len())
		for i := range out {
			var err error
			if out[i], err = showValue(fd, list.Get(i)); err != nil {
				return nil, err
			}
		}
		return out, nil
	case fd.HasPresence() && !m.Has(fd):
		return nil, nil
	}
	return showValue(fd, m.Get(fd))
}

// isEntry reports whether a list stands for a MAP.
func isEntry(fd protoreflect.FieldDescriptor) bool {
	if fd.Kind() != protoreflect.MessageKind || !strings.HasSuffix(string(fd.Message().Name()), "Entry") {
		return false
	}
	fields := fd.Message().Fields()
	return fields.Len() == 2 && fields.Get(0).Name() == "key" && fields.Get(1).Name() == "value"
}

func showEntries(entry protoreflect.MessageDescriptor, list protoreflect.List) (any, error) {
	out := map[string]any{}
	for i := range list.Len() {
		key, err := showField(list.Get(i).Message(), entry.Fields().Get(0))
		if err != nil {
			return nil, err
		}
		if key == nil {
			key = "null"
		}
		if out[fmt.Sprint(key)], err = showField(list.Get(i).Message(), entry.Fields().Get(1)); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func showValue(fd protoreflect.FieldDescriptor, v protoreflect.Value) (any, error) {
	switch fd.Kind() {
	case protoreflect.MessageKind, protoreflect.GroupKind:
		return showNested(v.Message())
	case protoreflect.BoolKind:
		return v.Bool(), nil
	case protoreflect.StringKind:
		return v.String(), nil
	case protoreflect.BytesKind:
		return v.Bytes(), nil
	case protoreflect.FloatKind, protoreflect.DoubleKind:
		return v.Float(), nil
	case protoreflect.EnumKind:
		if name := fd.Enum().Values().ByNumber(v.Enum()); name != nil {
			return string(name.Name()), nil
		}
		return nil, fmt.Errorf("enum %s has no number %d", fd.Enum().FullName(), v.Enum())
	}
	return json.Number(fmt.Sprint(v.Interface())), nil
}

func showNested(m protoreflect.Message) (any, error) {
	part := func(name protoreflect.Name) int64 { return m.Get(m.Descriptor().Fields().ByName(name)).Int() }
	number := func(n int64) (any, error) { return json.Number(strconv.FormatInt(n, 10)), nil }
	switch m.Descriptor().FullName() {
	case "confluent.type.Decimal":
		b := m.Get(m.Descriptor().Fields().ByName("value")).Bytes()
		u := new(big.Int).SetBytes(b)
		if len(b) > 0 && b[0] >= 0x80 {
			u.Sub(u, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
		}
		return json.Number(plainDecimal(u, int(part("scale")))), nil
	case "google.type.Date":
		return number(time.Date(int(part("year")), time.Month(part("month")), int(part("day")), 0, 0, 0, 0, time.UTC).Unix() / 86400)
	case "google.type.TimeOfDay":
		return number((part("hours")*60+part("minutes"))*60_000 + part("seconds")*1000 + part("nanos")/1000_000)
	case "google.protobuf.Timestamp":
		return number(part("seconds")*1000 + part("nanos")/1000_000)
	}
	if isWrapper(m.Descriptor()) {
		fd := m.Descriptor().Fields().ByName("value")
		return showValue(fd, m.Get(fd))
	}
	return showMessage(m, false)
}

// plainDecimal writes an unscaled number with its digits behind the point.
func plainDecimal(u *big.Int, scale int) string {
	digits := new(big.Int).Abs(u).String()
	if scale > 0 {
		if len(digits) <= scale {
			digits = strings.Repeat("0", scale-len(digits)+1) + digits
		}
		digits = digits[:len(digits)-scale] + "." + digits[len(digits)-scale:]
	}
	if u.Sign() < 0 {
		return "-" + digits
	}
	return digits
}
