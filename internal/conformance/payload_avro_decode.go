package main

import (
	"encoding/json"
	"fmt"
	"math/big"

	"github.com/twmb/avro"
)

// fromAvro turns a decoded value into one of the corpus.
func fromAvro(n *avro.SchemaNode, v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, string, []byte, float64:
		return v, nil
	case int32, int64:
		return json.Number(fmt.Sprint(v)), nil
	case float32:
		return float64(v), nil
	case *big.Rat:
		return json.Number(v.FloatString(n.Scale)), nil
	case []any:
		return fromList(n, v)
	case map[string]any:
		return fromObject(n, v)
	}
	return nil, fmt.Errorf("the library gives a %T for Avro %s", v, n.Type)
}

// fromList makes an object of a map's entries when all keys are strings.
func fromList(n *avro.SchemaNode, list []any) (any, error) {
	out := []any{}
	object := map[string]any{}
	entries := hasEntries(n) && n.Items.Props["connect.internal.type"] == "MapEntry"
	for _, e := range list {
		x, err := fromAvro(n.Items, e)
		if err != nil {
			return nil, err
		}
		out = append(out, x)
		if entries {
			pair := x.(map[string]any)
			key, ok := pair["key"].(string)
			entries = ok
			object[key] = pair["value"]
		}
	}
	if entries {
		return object, nil
	}
	return out, nil
}

// fromObject reads a record, a map, or a value of a union behind its tag.
func fromObject(n *avro.SchemaNode, v map[string]any) (any, error) {
	of := map[string]*avro.SchemaNode{}
	switch n.Type {
	case "union":
		for k := range n.Branches {
			b := &n.Branches[k]
			if x, ok := v[branchTag(b)]; ok {
				return fromAvro(b, x)
			}
		}
		return nil, fmt.Errorf("no branch for %s", text(v))
	case "map":
		for k := range v {
			of[k] = n.Values
		}
	default:
		for k := range n.Fields {
			of[n.Fields[k].Name] = &n.Fields[k].Type
		}
	}
	out := map[string]any{}
	for k, e := range v {
		x, err := fromAvro(of[k], e)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", k, err)
		}
		out[k] = x
	}
	return out, nil
}
