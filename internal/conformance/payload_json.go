package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor/format/registry"
)

// encodeJSONSchema writes JSON by a JSON Schema: fields in any case, unknown ones
// dropped, missing ones null, scalars where the schema has strings as text.
func encodeJSONSchema(s registry.Schema, _ registry.Resolver, text json.RawMessage) ([]byte, error) {
	v, err := parseJSON(expandExponents(text))
	if err != nil {
		return nil, err
	}
	var schema any
	if err := json.Unmarshal([]byte(s.Text), &schema); err != nil {
		return nil, err
	}
	v, err = fitJSON(schema, v)
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func fitJSON(schema, v any) (any, error) {
	o, _ := schema.(map[string]any)
	if v == nil || o == nil {
		return v, nil
	}
	if branch := nonNull(o); branch != nil {
		return fitJSON(branch, v)
	}
	switch jsonSchemaType(o) {
	case "object":
		in, ok := v.(map[string]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an object", text(v))
		}
		return fitObject(o, in)
	case "array":
		in, ok := v.([]any)
		if !ok {
			return nil, fmt.Errorf("%s is not an array", text(v))
		}
		for i := range in {
			x, err := fitJSON(o["items"], in[i])
			if err != nil {
				return nil, err
			}
			in[i] = x
		}
		return in, nil
	case "integer", "number":
		if s, ok := v.(string); ok {
			return json.Number(s), nil
		}
	case "string":
		switch x := v.(type) {
		case json.Number:
			return string(x), nil
		case bool:
			return fmt.Sprint(x), nil
		}
	case "boolean":
		if s, ok := v.(string); ok {
			return strings.EqualFold(s, "true"), nil
		}
	}
	return v, nil
}

func fitObject(o, in map[string]any) (any, error) {
	props, ok := o["properties"].(map[string]any)
	if !ok {
		for k := range in {
			x, err := fitJSON(o["additionalProperties"], in[k])
			if err != nil {
				return nil, err
			}
			in[k] = x
		}
		return in, nil
	}
	out := map[string]any{}
	for name, sub := range props {
		out[name] = nil
		for k, x := range in {
			if !strings.EqualFold(k, name) {
				continue
			}
			fit, err := fitJSON(sub, x)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			out[name] = fit
		}
	}
	return out, nil
}

// nonNull returns the branch of a union with null that is not null.
func nonNull(o map[string]any) any {
	for _, union := range []string{"oneOf", "anyOf"} {
		branches, _ := o[union].([]any)
		for _, b := range branches {
			if m, ok := b.(map[string]any); ok && m["type"] != "null" {
				return m
			}
		}
	}
	return nil
}

func jsonSchemaType(o map[string]any) string {
	switch t := o["type"].(type) {
	case string:
		return t
	case []any:
		if i := slices.IndexFunc(t, func(x any) bool { return x != "null" }); i >= 0 {
			s, _ := t[i].(string)
			return s
		}
	}
	return ""
}

// decodeJSONSchema reads JSON; numbers that are neither integers nor decimals by
// the schema are binary doubles.
func decodeJSONSchema(s registry.Schema, _ registry.Resolver, payload []byte) (any, error) {
	v, err := parseJSON(payload)
	if err != nil {
		return nil, err
	}
	var schema any
	if err := json.Unmarshal([]byte(s.Text), &schema); err != nil {
		return nil, err
	}
	return readJSON(schema, v), nil
}

func readJSON(schema, v any) any {
	o, _ := schema.(map[string]any)
	if branch := nonNull(o); branch != nil {
		return readJSON(branch, v)
	}
	switch x := v.(type) {
	case map[string]any:
		props, _ := o["properties"].(map[string]any)
		for k := range x {
			sub, ok := props[k]
			if !ok {
				sub = o["additionalProperties"]
			}
			x[k] = readJSON(sub, x[k])
		}
	case []any:
		for i := range x {
			x[i] = readJSON(o["items"], x[i])
		}
	case json.Number:
		if jsonSchemaType(o) == "number" && !strings.HasSuffix(fmt.Sprint(o["title"]), "Decimal") {
			if f, err := x.Float64(); err == nil {
				return f
			}
		}
	}
	return v
}
