package format

import (
	"encoding/base64"
	"fmt"
	"math"
	"strconv"

	"github.com/cockroachdb/apd/v3"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// appendJSONColumn appends value i of a vector, which is not NULL.
func appendJSONColumn(dst []byte, v *batch.Vector, i int32) ([]byte, error) {
	switch v.Rep {
	case batch.RepInt64:
		return strconv.AppendInt(dst, v.I64[i], 10), nil
	case batch.RepFloat64:
		return appendJSONDouble(dst, v.F64[i]), nil
	case batch.RepBool:
		return strconv.AppendBool(dst, v.Bits.Get(i)), nil
	case batch.RepDecimal:
		return v.Dec[i].AppendDecimal(dst, int(v.Type.Scale)), nil
	case batch.RepBytes:
		if v.Type.Kind == types.KindBytes {
			dst = append(dst, '"')
			dst = base64.StdEncoding.AppendEncode(dst, v.Bytes(i))
			return append(dst, '"'), nil
		}
		if v.Clean {
			dst = append(dst, '"')
			dst = append(dst, v.Bytes(i)...)
			return append(dst, '"'), nil
		}
		return appendJSONString(dst, v.Bytes(i)), nil
	}
	return AppendJSON(dst, v.Boxed[i], v.Type)
}

// AppendJSON appends a value of type t in the JSON of topic payloads: dates and
// times as numbers, decimals as plain numbers, BYTES in base64.
func AppendJSON(dst []byte, v types.Value, t types.Type) ([]byte, error) {
	if v.IsNull() {
		return append(dst, "null"...), nil
	}
	switch t.Kind {
	case types.KindBoolean:
		return strconv.AppendBool(dst, v.Bool()), nil
	case types.KindInteger, types.KindBigint, types.KindTime, types.KindDate, types.KindTimestamp:
		return strconv.AppendInt(dst, v.Int(), 10), nil
	case types.KindDouble:
		return appendJSONDouble(dst, v.Float()), nil
	case types.KindDecimal:
		return appendDecimal(dst, v.Decimal(), t)
	case types.KindString:
		return appendJSONString(dst, []byte(v.Str())), nil
	case types.KindBytes:
		dst = append(dst, '"')
		dst = base64.StdEncoding.AppendEncode(dst, []byte(v.Str()))
		return append(dst, '"'), nil
	case types.KindArray:
		return appendJSONArray(dst, v, t)
	case types.KindMap:
		return appendJSONMap(dst, v, t)
	case types.KindStruct:
		return appendJSONStruct(dst, v, t)
	}
	return dst, fmt.Errorf("type %s has no JSON form", t)
}

func appendJSONArray(dst []byte, v types.Value, t types.Type) (_ []byte, err error) {
	dst = append(dst, '[')
	for i, e := range v.Elems() {
		if i > 0 {
			dst = append(dst, ',')
		}
		if dst, err = AppendJSON(dst, e, *t.Elem); err != nil {
			return dst, err
		}
	}
	return append(dst, ']'), nil
}

// appendJSONMap writes a NULL key, which JSON has no form for, as "null".
func appendJSONMap(dst []byte, v types.Value, t types.Type) (_ []byte, err error) {
	if t.Key.Kind != types.KindString {
		return dst, fmt.Errorf("JSON maps have STRING keys, not %s", t.Key)
	}
	dst = append(dst, '{')
	for i, k := range v.Map().Keys {
		if i > 0 {
			dst = append(dst, ',')
		}
		if k.IsNull() {
			dst = append(dst, `"null":`...)
		} else {
			dst = append(appendJSONString(dst, []byte(k.Str())), ':')
		}
		if dst, err = AppendJSON(dst, v.Map().Values[i], *t.Elem); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

func appendJSONStruct(dst []byte, v types.Value, t types.Type) (_ []byte, err error) {
	dst = append(dst, '{')
	for i, e := range v.Elems() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendJSONString(dst, []byte(t.Fields[i].Name)), ':')
		if dst, err = AppendJSON(dst, e, t.Fields[i].Type); err != nil {
			return dst, err
		}
	}
	return append(dst, '}'), nil
}

// appendDecimal appends a DECIMAL in plain form with the type's scale.
func appendDecimal(dst []byte, d *apd.Decimal, t types.Type) ([]byte, error) {
	if -d.Exponent != t.Scale {
		fit, err := fitDecimal(d, t)
		if err != nil {
			return dst, err
		}
		d = fit
	}
	return d.Append(dst, 'f'), nil
}

// appendJSONDouble quotes what JSON has no number for.
func appendJSONDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		dst = append(dst, '"')
		return append(types.AppendDouble(dst, f), '"')
	}
	return types.AppendDouble(dst, f)
}

const hexDigits = "0123456789ABCDEF"

// appendJSONString appends s quoted, with the escapes that JSON demands and no
// more.
func appendJSONString(dst, s []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i, c := range s {
		if c >= 0x20 && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[from:i]...)
		from = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}
