package engine

import (
	"encoding/base64"
	"encoding/json"
	"math"
	"strconv"

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
	b, err := json.Marshal(s)
	if err != nil { // cannot happen: every string marshals
		return append(dst, `""`...)
	}
	return append(dst, b...)
}
