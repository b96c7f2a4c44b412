package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strconv"
	"strings"

	"github.com/twmb/avro"

	"github.com/millrace/millrace/executor/format/registry"
)

// avroPayload is the codec of Avro: the library's generic values, turned into
// those of the corpus and back by the schema's tree.
var avroPayload = payloadCodec{
	encode: func(s registry.Schema, all registry.Resolver, text json.RawMessage) ([]byte, error) {
		schema, err := openAvro(s, all)
		if err != nil {
			return nil, err
		}
		v, err := parseJSON(text)
		if err != nil {
			return nil, err
		}
		if v, err = toAvro(schema.Root().ExpandReferences(), v); err != nil {
			return nil, err
		}
		return schema.Encode(v)
	},
	decode: func(s registry.Schema, all registry.Resolver, payload []byte) (any, error) {
		schema, err := openAvro(s, all)
		if err != nil {
			return nil, err
		}
		var v any
		rest, err := schema.Decode(payload, &v, avro.TaggedUnions())
		if err != nil {
			return nil, err
		}
		if len(rest) != 0 {
			return nil, fmt.Errorf("%d bytes behind the Avro value", len(rest))
		}
		return fromAvro(schema.Root().ExpandReferences(), v)
	},
}

// rawLogical are the logical types whose numbers are wanted as they stand.
var rawLogical = []string{
	"date", "time-millis", "time-micros", "timestamp-millis", "timestamp-micros", "timestamp-nanos",
	"local-timestamp-millis", "local-timestamp-micros", "local-timestamp-nanos", "uuid", "duration",
}

// openAvro parses a schema behind those that it refers to.
func openAvro(s registry.Schema, all registry.Resolver) (*avro.Schema, error) {
	cache := new(avro.SchemaCache)
	seen := map[registry.Reference]bool{}
	var parse func(s registry.Schema) (*avro.Schema, error)
	parse = func(s registry.Schema) (*avro.Schema, error) {
		for _, ref := range s.References {
			if seen[ref] {
				continue
			}
			seen[ref] = true
			v, err := all.ByVersion(ref.Subject, ref.Version)
			if err == nil {
				_, err = parse(v.Schema)
			}
			if err != nil {
				return nil, fmt.Errorf("reference %s: %w", ref.Name, err)
			}
		}
		var opts []avro.SchemaOpt
		for _, name := range rawLogical {
			opts = append(opts, avro.CustomType{LogicalType: name})
		}
		return cache.Parse(asJava(s.Text), opts...)
	}
	return parse(s)
}

// asJava makes a schema one that the library takes as Java's does: decimals get
// Connect's default precision, arrays and maps lose their names.
func asJava(text string) string {
	v, err := parseJSON([]byte(text))
	if err != nil {
		return text // the library says what is wrong
	}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, e := range v {
				walk(e)
			}
		case map[string]any:
			for _, e := range v {
				walk(e)
			}
			if v["logicalType"] == "decimal" && v["precision"] == nil {
				v["precision"] = 64
			}
			if v["type"] == "array" || v["type"] == "map" {
				delete(v, "name")
			}
		}
	}
	walk(v)
	out, err := json.Marshal(v)
	if err != nil {
		return text
	}
	return string(out)
}

// toAvro turns parsed JSON into what the library encodes.
func toAvro(n *avro.SchemaNode, v any) (any, error) {
	if v == nil && n.Type != "null" && n.Type != "union" {
		return nil, fmt.Errorf("null for Avro %s", n.Type)
	}
	switch n.Type {
	case "null":
		if v != nil {
			return nil, errors.New("a value for Avro null")
		}
		return nil, nil
	case "union":
		return toUnion(n, v)
	case "record", "error":
		return toRecord(n, v)
	case "array":
		return toList(n, v)
	case "map":
		object, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s for an Avro map", text(v))
		}
		out := map[string]any{}
		for k, e := range object {
			x, err := toAvro(n.Values, e)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k, err)
			}
			out[k] = x
		}
		return out, nil
	}
	return toScalar(n, v)
}

// toScalar reads scalars from their text too.
func toScalar(n *avro.SchemaNode, v any) (any, error) {
	var s string
	switch v := v.(type) {
	case string:
		s = v
	case json.Number:
		s = string(v)
	case bool:
		s = strconv.FormatBool(v)
	default:
		return nil, fmt.Errorf("%s for Avro %s", text(v), n.Type)
	}
	switch n.Type {
	case "boolean":
		return strconv.ParseBool(strings.ToLower(s))
	case "int", "long":
		bits := 64
		if n.Type == "int" {
			bits = 32
		}
		x, err := strconv.ParseInt(s, 10, bits)
		if err != nil {
			// 1.0 and 1e3 are whole numbers as well.
			r, ok := new(big.Rat).SetString(s)
			if !ok || !r.IsInt() || !r.Num().IsInt64() {
				return nil, err
			}
			x = r.Num().Int64()
		}
		return x, nil
	case "float", "double":
		return strconv.ParseFloat(s, 64)
	case "bytes", "fixed":
		if n.LogicalType == "decimal" {
			return toDecimal(n, s)
		}
		return base64.StdEncoding.DecodeString(s)
	}
	return s, nil // string, enum
}

func toDecimal(n *avro.SchemaNode, s string) (any, error) {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, fmt.Errorf("%q is no decimal", s)
	}
	scaled := new(big.Rat).Mul(r, new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n.Scale)), nil)))
	if !scaled.IsInt() || len(new(big.Int).Abs(scaled.Num()).String()) > n.Precision {
		return nil, fmt.Errorf("%s does not fit decimal(%d, %d)", s, n.Precision, n.Scale)
	}
	return r, nil
}

// toUnion takes the first branch that the JSON is natural for, else the first
// that takes it at all.
func toUnion(n *avro.SchemaNode, v any) (any, error) {
	var first error
	for _, natural := range []bool{true, false} {
		for k := range n.Branches {
			b := &n.Branches[k]
			if natural && !isNatural(b, v) {
				continue
			}
			x, err := toAvro(b, v)
			if err == nil && x == nil {
				return nil, nil
			}
			if err == nil {
				return map[string]any{branchTag(b): x}, nil
			}
			if first == nil && b.Type != "null" {
				first = err
			}
		}
	}
	if first == nil {
		first = fmt.Errorf("%s for an Avro union", text(v))
	}
	return nil, first
}

func isNatural(n *avro.SchemaNode, v any) bool {
	var kinds string
	switch v.(type) {
	case nil:
		kinds = "null"
	case bool:
		kinds = "boolean"
	case string:
		kinds = "string enum bytes fixed"
	case json.Number:
		kinds = "int long float double"
		if n.LogicalType == "decimal" {
			return true
		}
	case []any:
		kinds = "array"
	case map[string]any:
		kinds = "record map array"
	}
	return strings.Contains(" "+kinds+" ", " "+n.Type+" ")
}

// branchTag is the library's name of a branch.
func branchTag(n *avro.SchemaNode) string {
	switch n.Type {
	case "record", "error", "enum", "fixed":
		if n.Namespace != "" && !strings.Contains(n.Name, ".") {
			return n.Namespace + "." + n.Name
		}
		return n.Name
	}
	return n.Type
}

// toRecord finds fields by name in any case. Missing ones become null where that
// is allowed and otherwise their default; unknown ones are dropped.
func toRecord(n *avro.SchemaNode, v any) (any, error) {
	object, ok := v.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s for an Avro record", text(v))
	}
	out := map[string]any{}
	for k := range n.Fields {
		f := &n.Fields[k]
		e, given := object[f.Name]
		for name, x := range object {
			if !given && strings.EqualFold(name, f.Name) {
				e, given = x, true
			}
		}
		if e == nil && f.HasDefault && (!given || !allowsNull(&f.Type)) {
			continue // the library fills the default in
		}
		x, err := toAvro(&f.Type, e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name, err)
		}
		out[f.Name] = x
	}
	return out, nil
}

func allowsNull(n *avro.SchemaNode) bool {
	for k := range n.Branches {
		if n.Branches[k].Type == "null" {
			return true
		}
	}
	return n.Type == "null"
}

// toList takes an array, and for entries of a map an object too.
func toList(n *avro.SchemaNode, v any) (any, error) {
	list, ok := v.([]any)
	if object, isObject := v.(map[string]any); isObject && hasEntries(n) {
		ok = true
		for key, value := range object {
			list = append(list, map[string]any{"key": key, "value": value})
		}
	}
	if !ok {
		return nil, fmt.Errorf("%s for an Avro array", text(v))
	}
	out := []any{}
	for k, e := range list {
		x, err := toAvro(n.Items, e)
		if err != nil {
			return nil, fmt.Errorf("[%d]: %w", k, err)
		}
		out = append(out, x)
	}
	return out, nil
}

// hasEntries reports whether an array's items are pairs of a key and a value.
func hasEntries(n *avro.SchemaNode) bool {
	return n.Items.Type == "record" && len(n.Items.Fields) == 2 && n.Items.Fields[0].Name == "key" && n.Items.Fields[1].Name == "value"
}
