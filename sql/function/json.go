package function

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

func jsonFunctions() []*Function {
	const category = "JSON"
	return []*Function{
		fn("EXTRACTJSONFIELD", category, "The value at a path such as $.a[0][\"b\"], NULL when there is none.", over("json STRING, path STRING", "STRING", extractJSON)),
		fn("IS_JSON_STRING", category, "Whether a text is JSON.", over("value STRING", "BOOLEAN", boolean(func(a []types.Value) bool {
			if a[0].IsNull() {
				return false
			}
			_, err := parseJSON(a[0].Str())
			return err == nil
		})).nullable()),
		fn("JSON_ARRAY_CONTAINS", category, "Whether a JSON array has an element of the same type and value.",
			over("json STRING, value T", "BOOLEAN", boolean(jsonArrayContains)).nullable()),
		fn("JSON_ARRAY_LENGTH", category, "Length of a JSON array, NULL for anything else.", overJSON("INTEGER", func(n jsonNode) types.Value {
			if n.kind != jsonArray {
				return types.NullValue
			}
			return types.NewInteger(int32(len(n.items)))
		})),
		fn("JSON_CONCAT", category, "JSON objects merged, or other values put into one array.", over("json STRING, more STRING...", "STRING", jsonConcat)),
		fn("JSON_ITEMS", category, "The elements of a JSON array as texts.", overJSON("ARRAY<STRING>", func(n jsonNode) types.Value {
			if n.kind != jsonArray {
				return types.NullValue
			}
			var list []types.Value
			for _, item := range n.items {
				list = append(list, types.NewString(item.String()))
			}
			return types.NewArray(list)
		})),
		fn("JSON_KEYS", category, "The keys of a JSON object.", overJSON("ARRAY<STRING>", func(n jsonNode) types.Value {
			if n.kind != jsonObject {
				return types.NullValue
			}
			return arrayOf(n.keys, types.NewString)
		})),
		fn("JSON_RECORDS", category, "The members of a JSON object as a MAP of texts.", overJSON("MAP<STRING, STRING>", func(n jsonNode) types.Value {
			if n.kind != jsonObject {
				return types.NullValue
			}
			m := newMap()
			for i, k := range n.keys {
				m.put(types.NewString(k), types.NewString(n.items[i].plain()))
			}
			return m.value()
		})),
		fn("TO_JSON_STRING", category, "A value as JSON text.", overEnv("value T", "STRING", func(env *Env, a []types.Value) (types.Value, error) {
			t := argType(env, 0)
			return types.NewString(string(appendJSON(nil, a[0], &t))), nil
		}).nullable()),
	}
}

// overJSON describes an overload that takes a JSON text.
func overJSON(ret string, f func(jsonNode) types.Value) *Overload {
	return over("json STRING", ret, func(a []types.Value) (types.Value, error) {
		n, err := parseJSON(a[0].Str())
		if err != nil {
			return types.NullValue, err
		}
		return f(n), nil
	})
}

func extractJSON(a []types.Value) (types.Value, error) {
	steps, err := parseJSONPath(a[1].Str())
	if err != nil {
		return types.NullValue, err
	}
	n, err := parseFirstJSON(a[0].Str())
	if err != nil {
		return types.NullValue, err
	}
	for _, s := range steps {
		i := s.index
		if s.name != nil {
			i = -1
			if n.kind == jsonObject {
				i = slices.Index(n.keys, *s.name)
			}
		} else if n.kind != jsonArray {
			i = -1
		}
		if i < 0 || i >= len(n.items) {
			return types.NullValue, nil
		}
		n = n.items[i]
	}
	return types.NewString(n.plain()), nil
}

// jsonStep goes to a member when name is set, else to an element.
type jsonStep struct {
	name  *string
	index int
}

// parseJSONPath reads $ {.name | [n] | ["name"]}.
func parseJSONPath(path string) ([]jsonStep, error) {
	bad := func() ([]jsonStep, error) { return nil, fmt.Errorf("%q is not a JSON path", path) }
	rest, ok := strings.CutPrefix(path, "$")
	if !ok {
		return bad()
	}
	var steps []jsonStep
	for rest != "" {
		switch {
		case rest[0] == '.':
			n := 1
			for n < len(rest) && (isWordByte(rest[n]) || rest[n] == ':' || rest[n] == '@' || rest[n] >= 0x80) {
				n++
			}
			if n == 1 {
				return bad()
			}
			name := rest[1:n]
			steps, rest = append(steps, jsonStep{name: &name}), rest[n:]
		case strings.HasPrefix(rest, `["`):
			name, after, ok := quotedSegment(rest[2:])
			if !ok || !strings.HasPrefix(after, "]") {
				return bad()
			}
			steps, rest = append(steps, jsonStep{name: &name}), after[1:]
		case rest[0] == '[':
			inner, after, ok := strings.Cut(rest[1:], "]")
			if !ok || inner == "" {
				return bad()
			}
			step := jsonStep{}
			if n, err := strconv.ParseUint(inner, 10, 31); err == nil {
				step.index = int(n)
			} else if strings.IndexFunc(inner, func(r rune) bool { return r < 0x80 && !isWordByte(byte(r)) }) < 0 {
				step.name = &inner
			} else {
				return bad()
			}
			steps, rest = append(steps, step), after
		default:
			return bad()
		}
	}
	return steps, nil
}

func isWordByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
}

// quotedSegment reads up to a closing quote; \" and \\ are escapes.
func quotedSegment(s string) (name, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && (s[i+1] == '"' || s[i+1] == '\\'):
			i++
			b.WriteByte(s[i])
		case s[i] == '"':
			return b.String(), s[i+1:], true
		default:
			b.WriteByte(s[i])
		}
	}
	return "", "", false
}

func jsonArrayContains(a []types.Value) bool {
	if a[0].IsNull() {
		return false
	}
	n, err := parseJSON(a[0].Str())
	if err != nil || n.kind != jsonArray {
		return false
	}
	return slices.ContainsFunc(n.items, func(item jsonNode) bool { return jsonEquals(item, a[1]) })
}

// jsonEquals compares with the JSON type that stands for the value's type: a
// whole number is not a DOUBLE.
func jsonEquals(n jsonNode, v types.Value) bool {
	whole := n.kind == jsonNumber && !strings.ContainsAny(n.text, ".eE")
	switch v.Kind() {
	case types.KindNull:
		return n.kind == jsonNull
	case types.KindBoolean:
		return n.kind == jsonBool && (n.text == "true") == v.Bool()
	case types.KindInteger, types.KindBigint:
		return whole && n.text == strconv.FormatInt(v.Int(), 10)
	case types.KindDouble:
		f, err := strconv.ParseFloat(n.text, 64)
		return n.kind == jsonNumber && !whole && err == nil && f == v.Float()
	case types.KindDecimal:
		d, err := types.ParseDecimal(n.text)
		return n.kind == jsonNumber && !whole && err == nil && d.Cmp(v.Decimal()) == 0
	case types.KindString:
		return n.kind == jsonString && n.text == v.Str()
	}
	return false
}

func jsonConcat(a []types.Value) (types.Value, error) {
	objects := true
	var nodes []jsonNode
	for _, v := range a {
		n, err := parseJSON(v.Str())
		if err != nil {
			return types.NullValue, err
		}
		objects = objects && n.kind == jsonObject
		nodes = append(nodes, n)
	}
	out := jsonNode{kind: jsonArray}
	if objects {
		out.kind = jsonObject
	}
	for _, n := range nodes {
		if !objects && n.kind != jsonArray {
			out.add("", n)
			continue
		}
		for i, item := range n.items {
			key := ""
			if objects {
				key = n.keys[i]
			}
			out.add(key, item)
		}
	}
	return types.NewString(out.String()), nil
}

// appendJSON writes a value of type t. Members are sorted by name.
func appendJSON(b []byte, v types.Value, t *types.Type) []byte {
	switch v.Kind() {
	case types.KindArray:
		b = append(b, '[')
		for i, e := range v.Elems() {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, e, t.Elem)
		}
		return append(b, ']')
	case types.KindMap:
		return appendMembers(b, len(v.Map().Keys), func(i int) string { return types.FormatText(v.Map().Keys[i], types.String) },
			func(b []byte, i int) []byte { return appendJSON(b, v.Map().Values[i], t.Elem) })
	case types.KindStruct:
		return appendMembers(b, len(v.Elems()), func(i int) string { return t.Fields[i].Name },
			func(b []byte, i int) []byte { return appendJSON(b, v.Elems()[i], &t.Fields[i].Type) })
	case types.KindString:
		return appendJSONString(b, v.Str())
	case types.KindBytes, types.KindTime, types.KindDate, types.KindTimestamp:
		b = append(b, '"')
		return append(types.AppendText(b, v, t), '"')
	}
	return types.AppendText(b, v, t)
}

func appendMembers(b []byte, n int, name func(int) string, value func([]byte, int) []byte) []byte {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int { return types.CompareStrings(name(i), name(j)) })
	b = append(b, '{')
	for k, i := range order {
		if k > 0 {
			b = append(b, ',')
		}
		b = append(appendJSONString(b, name(i)), ':')
		b = value(b, i)
	}
	return append(b, '}')
}
