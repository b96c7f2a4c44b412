package simulate

import (
	"encoding/base64"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/millrace/millrace/sql/types"
)

// DoubleTolerance is the relative difference up to which two DOUBLEs are equal to a
// test: a sum in another order differs in its last digits.
const DoubleTolerance = 1e-9

// value reads a node as a value of a type. what names it in errors.
func (d *decoder) value(n *yaml.Node, t types.Type, what string) types.Value {
	if n = d.follow(n); isNull(n) {
		return types.NullValue
	}
	switch t.Kind {
	case types.KindArray:
		elems := []types.Value{}
		d.items(n, what, func(n *yaml.Node) { elems = append(elems, d.value(n, *t.Elem, what)) })
		return types.NewArray(elems)
	case types.KindMap:
		m := new(types.MapValue)
		d.members(n, what, func(key, value *yaml.Node) {
			m.Keys = append(m.Keys, d.scalar(key, *t.Key, what))
			m.Values = append(m.Values, d.value(value, *t.Elem, what))
		})
		return types.NewMap(m)
	case types.KindStruct:
		cols := make([]types.Column, len(t.Fields))
		for i, f := range t.Fields {
			cols[i] = types.Column(f)
		}
		values, _ := d.columns(n, cols, what)
		return types.NewStruct(values)
	}
	return d.scalar(n, t, what)
}

// scalar reads text, a number or a boolean: numbers and times are not rounded.
func (d *decoder) scalar(n *yaml.Node, t types.Type, what string) types.Value {
	if n.Kind != yaml.ScalarNode {
		d.fail(n, "%s must be a value of %s, got %s", what, t, nodeKind(n))
	}
	v, ok := types.NullValue, false
	switch t.Kind {
	case types.KindString:
		return types.NewString(n.Value)
	case types.KindBoolean:
		v, ok = types.NewBoolean(n.Value == "true"), n.Value == "true" || n.Value == "false"
	case types.KindInteger:
		i, err := strconv.ParseInt(n.Value, 10, 32)
		v, ok = types.NewInteger(int32(i)), err == nil
	case types.KindBigint:
		i, err := strconv.ParseInt(n.Value, 10, 64)
		v, ok = types.NewBigint(i), err == nil
	case types.KindDouble:
		text := n.Value
		if lower := strings.ToLower(text); strings.HasSuffix(lower, ".inf") || lower == ".nan" {
			text = strings.Replace(lower, ".", "", 1) // as YAML writes them
		}
		f, err := strconv.ParseFloat(text, 64)
		v, ok = types.NewDouble(f), err == nil
	case types.KindDecimal:
		if dec, err := types.ParseDecimal(n.Value); err == nil {
			var cerr error
			v, cerr = types.Coerce(types.NewDecimal(dec), types.Null, t)
			ok = cerr == nil
		}
	case types.KindBytes:
		b, err := base64.StdEncoding.DecodeString(n.Value)
		v, ok = types.NewBytes(b), err == nil
	default:
		var err error
		v, err = datetime(n, t.Kind)
		ok = err == nil
	}
	if !ok {
		d.fail(n, "%s must be a value of %s, got %s", what, t, nodeKind(n))
	}
	return v
}

// datetime reads ISO text, or the number that a topic holds: ms, or days.
func datetime(n *yaml.Node, k types.Kind) (types.Value, error) {
	if i, err := strconv.ParseInt(n.Value, 10, 64); err == nil && n.Tag == "!!int" {
		switch {
		case k == types.KindTimestamp:
			return types.NewTimestamp(i), nil
		case k == types.KindDate && i == int64(int32(i)):
			return types.NewDate(int32(i)), nil
		case k == types.KindTime && i >= 0 && i < 86_400_000:
			return types.NewTime(int32(i)), nil
		}
	}
	return types.ParseDatetime(n.Value, k)
}

// columns reads an object by column names, in any case unless two differ by case
// only. given marks the columns that are there.
func (d *decoder) columns(n *yaml.Node, cols []types.Column, what string) (values []types.Value, given []bool) {
	values, given = make([]types.Value, len(cols)), make([]bool, len(cols))
	d.members(n, what, func(key, value *yaml.Node) {
		i := findColumn(cols, key.Value)
		if i < 0 {
			names := make([]string, len(cols))
			for i, c := range cols {
				names[i] = c.Name
			}
			d.fail(key, "%s has no column %s; it has %s", what, key.Value, strings.Join(names, ", "))
		}
		if given[i] {
			d.fail(key, "column %s is given twice", cols[i].Name)
		}
		given[i] = true
		values[i] = d.value(value, cols[i].Type, cols[i].Name)
	})
	return values, given
}

func findColumn(cols []types.Column, name string) int {
	if i := slices.IndexFunc(cols, func(c types.Column) bool { return c.Name == name }); i >= 0 {
		return i
	}
	return slices.IndexFunc(cols, func(c types.Column) bool { return strings.EqualFold(c.Name, name) })
}

// equal compares values as tests do: DOUBLEs within DoubleTolerance.
func equal(a, b types.Value) bool {
	if a.IsNull() || b.IsNull() || a.Kind() != b.Kind() {
		return a.IsNull() && b.IsNull()
	}
	switch a.Kind() {
	case types.KindDouble:
		x, y := a.Float(), b.Float()
		return x == y || math.IsNaN(x) && math.IsNaN(y) || math.Abs(x-y) <= DoubleTolerance*max(math.Abs(x), math.Abs(y)) && !math.IsInf(x-y, 0)
	case types.KindArray, types.KindStruct:
		x, y := a.Elems(), b.Elems()
		if len(x) != len(y) {
			return false
		}
		for i := range x {
			if !equal(x[i], y[i]) {
				return false
			}
		}
		return true
	case types.KindMap:
		return equalMaps(a.Map(), b.Map())
	}
	return types.Equal(a, b)
}

// equalMaps does not mind the order of entries.
func equalMaps(a, b *types.MapValue) bool {
	if len(a.Keys) != len(b.Keys) {
		return false
	}
	at := make(map[string]types.Value, len(a.Keys)) // keys are STRING in practice
	for i, k := range a.Keys {
		at[k.String()] = a.Values[i]
	}
	for i, k := range b.Keys {
		if v, ok := at[k.String()]; !ok || !equal(v, b.Values[i]) {
			return false
		}
	}
	return true
}
