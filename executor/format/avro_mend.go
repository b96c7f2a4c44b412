package format

import (
	"encoding/json"
	"strconv"
	"strings"
)

// defaultPrecision is what Connect's AvroData takes for a decimal that does not
// say its precision.
const defaultPrecision = 64

// mendAvro returns the text of a schema with what Java's parser lets pass and the
// library does not: decimals without a precision get the default one, those that
// are invalid lose their logical type, as the specification says, and arrays and
// maps lose names, which mean nothing there.
func mendAvro(text string) string {
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil || d.More() || !mendSchema(v) {
		return text // the parser says what is wrong
	}
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(out)
}

// mendSchema mends a parsed schema in place and reports whether it changed.
func mendSchema(v any) (changed bool) {
	switch v := v.(type) {
	case []any:
		for _, branch := range v {
			changed = mendSchema(branch) || changed
		}
	case map[string]any:
		if fields, ok := v["fields"].([]any); ok {
			for _, f := range fields {
				if f, ok := f.(map[string]any); ok {
					changed = mendSchema(f["type"]) || changed
				}
			}
		}
		for _, inner := range []string{"items", "values"} {
			changed = mendSchema(v[inner]) || changed
		}
		switch v["type"] {
		case "array", "map":
			for _, name := range []string{"name", "namespace", "aliases"} {
				if _, ok := v[name]; ok {
					delete(v, name)
					changed = true
				}
			}
		case "bytes", "fixed":
			changed = mendDecimal(v) || changed
		}
	}
	return changed
}

func mendDecimal(v map[string]any) (changed bool) {
	if v["logicalType"] != avroDecimal {
		return false
	}
	if _, ok := v["precision"]; !ok {
		v["precision"], changed = json.Number(strconv.Itoa(defaultPrecision)), true
	}
	if !validDecimal(v["precision"], v["scale"]) {
		delete(v, "logicalType")
		changed = true
	}
	return changed
}

// validDecimal reports whether 1 <= precision and 0 <= scale <= precision.
func validDecimal(precision, scale any) bool {
	whole := func(v any) int64 {
		if n, ok := v.(json.Number); ok {
			if x, err := n.Int64(); err == nil {
				return x
			}
		}
		return -1
	}
	places := int64(0)
	if scale != nil {
		places = whole(scale)
	}
	digits := whole(precision)
	return digits >= 1 && places >= 0 && places <= digits
}
