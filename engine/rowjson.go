package engine

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// AppendJSON appends a value as query results carry it over HTTP and in --output
// json: natural JSON, DECIMAL as a plain number, BYTES in base64, DATE, TIME and
// TIMESTAMP as ISO text. (Topics hold times as numbers; see executor/format.)
func AppendJSON(dst []byte, v types.Value, t types.Type) []byte {
	if v.IsNull() {
		return append(dst, "null"...)
	}
	switch v.Kind() {
	case types.KindBoolean:
		return strconv.AppendBool(dst, v.Bool())
	case types.KindInteger, types.KindBigint:
		return strconv.AppendInt(dst, v.Int(), 10)
	case types.KindDouble:
		return appendDouble(dst, v.Float())
	case types.KindDecimal:
		return append(dst, types.FormatText(v, t)...)
	case types.KindBytes:
		return append(append(append(dst, '"'), base64.StdEncoding.EncodeToString([]byte(v.Str()))...), '"')
	case types.KindArray:
		dst = append(dst, '[')
		for i, e := range v.Elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, e, *t.Elem)
		}
		return append(dst, ']')
	case types.KindStruct:
		dst = append(dst, '{')
		for i, e := range v.Elems() {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = append(appendText(dst, t.Fields[i].Name), ':')
			dst = AppendJSON(dst, e, t.Fields[i].Type)
		}
		return append(dst, '}')
	case types.KindMap:
		return appendMap(dst, v, t)
	}
	return appendText(dst, types.FormatText(v, t))
}

func appendMap(dst []byte, v types.Value, t types.Type) []byte {
	dst = append(dst, '{')
	m := v.Map()
	for i, k := range m.Keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendText(dst, types.FormatText(k, *t.Key)), ':')
		dst = AppendJSON(dst, m.Values[i], *t.Elem)
	}
	return append(dst, '}')
}

// appendDouble writes a DOUBLE as Java does, so that a whole number keeps its
// point; what JSON has no number for becomes text.
func appendDouble(dst []byte, f float64) []byte {
	text := types.FormatDouble(f)
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return appendText(dst, text)
	}
	return append(dst, text...)
}

// appendText appends a JSON string.
func appendText(dst []byte, s string) []byte {
	b, err := MarshalJSON(s)
	if err != nil { // cannot happen: every string marshals
		return append(dst, `""`...)
	}
	return append(dst, b...)
}

// MarshalJSON is json.Marshal without the escapes that HTML needs: statements and
// types hold < and >.
func MarshalJSON(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// ParseJSON reads a value of a type as AppendJSON writes it. Errors: text that is
// no value of the type.
func ParseJSON(text []byte, t types.Type) (types.Value, error) {
	if string(text) == "null" {
		return types.NullValue, nil
	}
	switch t.Kind {
	case types.KindBoolean:
		b, err := strconv.ParseBool(string(text))
		return types.NewBoolean(b), err
	case types.KindInteger:
		n, err := strconv.ParseInt(string(text), 10, 32)
		return types.NewInteger(int32(n)), err
	case types.KindBigint:
		n, err := strconv.ParseInt(string(text), 10, 64)
		return types.NewBigint(n), err
	case types.KindDouble:
		f, err := strconv.ParseFloat(strings.Trim(string(text), `"`), 64)
		return types.NewDouble(f), err
	case types.KindDecimal:
		d, err := types.ParseDecimal(string(text))
		if err != nil {
			return types.NullValue, err
		}
		return types.NewDecimal(d), nil
	case types.KindArray:
		return parseArray(text, t)
	case types.KindStruct:
		return parseStruct(text, t)
	case types.KindMap:
		return parseMap(text, t)
	}
	var s string
	if err := json.Unmarshal(text, &s); err != nil {
		return types.NullValue, err
	}
	switch t.Kind {
	case types.KindString:
		return types.NewString(s), nil
	case types.KindBytes:
		b, err := base64.StdEncoding.DecodeString(s)
		return types.NewBytes(b), err
	}
	return types.ParseDatetime(s, t.Kind)
}

func parseArray(text []byte, t types.Type) (types.Value, error) {
	var list []json.RawMessage
	if err := json.Unmarshal(text, &list); err != nil {
		return types.NullValue, err
	}
	elems := make([]types.Value, len(list))
	for i, e := range list {
		var err error
		if elems[i], err = ParseJSON(e, *t.Elem); err != nil {
			return types.NullValue, err
		}
	}
	return types.NewArray(elems), nil
}

func parseStruct(text []byte, t types.Type) (types.Value, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return types.NullValue, err
	}
	values := make([]types.Value, len(t.Fields))
	for i, f := range t.Fields {
		raw, ok := fields[f.Name]
		if !ok {
			continue
		}
		var err error
		if values[i], err = ParseJSON(raw, f.Type); err != nil {
			return types.NullValue, fmt.Errorf("field %s: %w", f.Name, err)
		}
	}
	return types.NewStruct(values), nil
}

// parseMap keeps the order of the keys.
func parseMap(text []byte, t types.Type) (types.Value, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return types.NullValue, fmt.Errorf("expected an object, got %.40s", text)
	}
	m := &types.MapValue{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return types.NullValue, err
		}
		key, err := types.Cast(types.NewString(name.(string)), types.String, *t.Key)
		if err != nil {
			return types.NullValue, err
		}
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return types.NullValue, err
		}
		value, err := ParseJSON(raw, *t.Elem)
		if err != nil {
			return types.NullValue, err
		}
		m.Keys, m.Values = append(m.Keys, key), append(m.Values, value)
	}
	return types.NewMap(m), nil
}
