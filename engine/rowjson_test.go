package engine

import (
	"math"
	"testing"

	"github.com/millrace/millrace/sql/types"
)

// TestJSONRoundTrip writes values as JSON and reads them back.
func TestJSONRoundTrip(t *testing.T) {
	decimal, err := types.ParseDecimal("-12.50")
	if err != nil {
		t.Fatal(err)
	}
	point := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "a \"q\"", Type: types.String})
	key := types.String
	elem := types.Array(types.Bigint)
	aMap := types.Type{Kind: types.KindMap, Key: &key, Elem: &elem}
	for _, c := range []struct {
		v    types.Value
		t    types.Type
		json string
	}{
		{types.NullValue, types.String, `null`},
		{types.NewBoolean(true), types.Boolean, `true`},
		{types.NewInteger(math.MinInt32), types.Integer, `-2147483648`},
		{types.NewBigint(math.MaxInt64), types.Bigint, `9223372036854775807`},
		{types.NewDouble(2), types.Double, `2.0`},
		{types.NewDouble(1e300), types.Double, `1.0E300`},
		{types.NewDouble(math.Inf(-1)), types.Double, `"-Infinity"`},
		{types.NewDecimal(decimal), types.Type{Kind: types.KindDecimal, Precision: 6, Scale: 2}, `-12.50`},
		{types.NewString("<ü\n\"&>"), types.String, `"<ü\n\"&>"`},
		{types.NewString(""), types.String, `""`},
		{types.NewBytes([]byte{0, 255}), types.Bytes, `"AP8="`},
		{types.NewDate(18671), types.Date, `"2021-02-13"`},
		{types.NewTime(45296000), types.Time, `"12:34:56"`},
		{types.NewTimestamp(-1), types.Timestamp, `"1969-12-31T23:59:59.999"`},
		{types.NewArray([]types.Value{types.NullValue, types.NewBigint(1)}), elem, `[null,1]`},
		{types.NewArray(nil), elem, `[]`},
		{types.NewStruct([]types.Value{types.NullValue, types.NewString("y")}), point, `{"X":null,"a \"q\"":"y"}`},
		{types.NewMap(&types.MapValue{Keys: []types.Value{types.NewString("z"), types.NewString("a")},
			Values: []types.Value{types.NullValue, types.NewArray([]types.Value{types.NewBigint(2)})}}), aMap, `{"z":null,"a":[2]}`},
	} {
		text := AppendJSON(nil, c.v, c.t)
		if string(text) != c.json {
			t.Errorf("%s: %s, expected %s", c.t, text, c.json)
		}
		back, err := ParseJSON(text, c.t)
		if err != nil || string(AppendJSON(nil, back, c.t)) != c.json || back.IsNull() != c.v.IsNull() {
			t.Errorf("%s %s: read as %v, %v", c.t, text, back, err)
		}
	}
}

func TestParseJSONRefuses(t *testing.T) {
	key := types.String
	for _, c := range []struct {
		text string
		t    types.Type
	}{
		{`3000000000`, types.Integer}, {`1.5`, types.Bigint}, {`"x"`, types.Integer}, {`1`, types.String}, {`"no base 64!"`, types.Bytes},
		{`"2020-13-01"`, types.Date}, {`{}`, types.Array(types.Bigint)}, {`[1`, types.Array(types.Bigint)}, {`["x"]`, types.Array(types.Bigint)},
		{`[]`, types.Struct(types.Field{Name: "X", Type: types.Integer})}, {`{"X":"y"}`, types.Struct(types.Field{Name: "X", Type: types.Integer})},
		{`[]`, types.Type{Kind: types.KindMap, Key: &key, Elem: &key}}, {`{"a":1}`, types.Type{Kind: types.KindMap, Key: &key, Elem: &key}},
		{``, types.Boolean}, {`"yes"`, types.Boolean}, {`"x"`, types.Double},
	} {
		if v, err := ParseJSON([]byte(c.text), c.t); err == nil {
			t.Errorf("%s %s was read as %v", c.t, c.text, v)
		}
	}
}
