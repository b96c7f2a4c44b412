package types

import (
	"encoding/json"
	"fmt"
	"strconv"
	"unicode/utf8"

	"github.com/cockroachdb/apd/v3"
)

// MarshalJSON returns the value without loss, for plans: null, or an object with
// one member whose name is the kind:
//
//	{"BOOLEAN":true}  {"INTEGER":1}  {"BIGINT":"1"}  {"DOUBLE":"1.5"}  {"DECIMAL":"1.50"}
//	{"STRING":"x"}  {"BYTES":"base64"}  {"TIME":1}  {"DATE":1}  {"TIMESTAMP":"1"}
//	{"ARRAY":[...]}  {"STRUCT":[...]}  {"MAP":[[key,value],...]}
//
// A STRING that is not UTF-8 is written as {"TEXT":"base64"}.
func (v Value) MarshalJSON() ([]byte, error) {
	var data any
	name := v.kind.String()
	switch v.kind {
	case KindNull:
		return []byte("null"), nil
	case KindBoolean:
		data = v.Bool()
	case KindInteger, KindTime, KindDate:
		data = v.num
	case KindBigint, KindTimestamp:
		data = strconv.FormatInt(v.num, 10)
	case KindDouble:
		data = strconv.FormatFloat(v.Float(), 'g', -1, 64)
	case KindDecimal:
		data = v.Decimal().Text('f')
	case KindString:
		data = v.str
		if !utf8.ValidString(v.str) {
			name, data = "TEXT", []byte(v.str)
		}
	case KindBytes:
		data = []byte(v.str)
	case KindArray, KindStruct:
		data = append([]Value{}, v.Elems()...)
	case KindMap:
		pairs := make([][2]Value, len(v.Map().Keys))
		for i, k := range v.Map().Keys {
			pairs[i] = [2]Value{k, v.Map().Values[i]}
		}
		data = pairs
	}
	return json.Marshal(map[string]any{name: data})
}

// UnmarshalJSON reads what MarshalJSON writes.
func (v *Value) UnmarshalJSON(text []byte) error {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return fmt.Errorf("value: %w", err)
	}
	if members == nil {
		*v = NullValue
		return nil
	}
	if len(members) != 1 {
		return fmt.Errorf("value: expected one member, got %d", len(members))
	}
	for name, data := range members {
		if err := v.unmarshal(name, data); err != nil {
			return fmt.Errorf("value of kind %s: %w", name, err)
		}
	}
	return nil
}

func (v *Value) unmarshal(name string, data json.RawMessage) error {
	switch name {
	case "BOOLEAN":
		return read(data, v, func(b bool) (Value, error) { return NewBoolean(b), nil })
	case "INTEGER":
		return read(data, v, func(n int32) (Value, error) { return NewInteger(n), nil })
	case "TIME":
		return read(data, v, func(n int32) (Value, error) { return NewTime(n), nil })
	case "DATE":
		return read(data, v, func(n int32) (Value, error) { return NewDate(n), nil })
	case "BIGINT", "TIMESTAMP":
		return read(data, v, func(s string) (Value, error) {
			n, err := strconv.ParseInt(s, 10, 64)
			if name == "TIMESTAMP" {
				return NewTimestamp(n), err
			}
			return NewBigint(n), err
		})
	case "DOUBLE":
		return read(data, v, func(s string) (Value, error) {
			f, err := strconv.ParseFloat(s, 64)
			return NewDouble(f), err
		})
	case "DECIMAL":
		return read(data, v, func(s string) (Value, error) {
			d, _, err := apd.NewFromString(s)
			return NewDecimal(d), err
		})
	case "STRING":
		return read(data, v, func(s string) (Value, error) { return NewString(s), nil })
	case "TEXT":
		return read(data, v, func(b []byte) (Value, error) { return NewString(string(b)), nil })
	case "BYTES":
		return read(data, v, func(b []byte) (Value, error) { return NewBytes(b), nil })
	case "ARRAY":
		return read(data, v, func(l []Value) (Value, error) { return NewArray(l), nil })
	case "STRUCT":
		return read(data, v, func(l []Value) (Value, error) { return NewStruct(l), nil })
	case "MAP":
		return read(data, v, func(pairs [][2]Value) (Value, error) {
			m := &MapValue{}
			for _, p := range pairs {
				m.Keys, m.Values = append(m.Keys, p[0]), append(m.Values, p[1])
			}
			return NewMap(m), nil
		})
	}
	return fmt.Errorf("unknown kind")
}

// read decodes data as a T and converts it.
func read[T any](data json.RawMessage, v *Value, convert func(T) (Value, error)) error {
	var x T
	if err := json.Unmarshal(data, &x); err != nil {
		return err
	}
	out, err := convert(x)
	if err != nil {
		return err
	}
	*v = out
	return nil
}
