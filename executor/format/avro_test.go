package format

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// register adds a schema as the next version of a subject and returns its id.
func register(t testing.TB, r *registry.Registry, subject string, s registry.Schema) int32 {
	t.Helper()
	v, change, err := r.Propose(subject, s)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		if err := r.Apply(*change); err != nil {
			t.Fatal(err)
		}
	}
	return v.ID
}

func avroText(text string) registry.Schema { return registry.Schema{Type: registry.Avro, Text: text} }

// avroRegistry returns a registry whose subjects take any schema.
func avroRegistry(t testing.TB) *registry.Registry {
	t.Helper()
	r := registry.New(Checker{})
	change, err := r.ProposeLevel("", registry.None)
	if err == nil {
		err = r.Apply(*change)
	}
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// avroRow returns the row codec of columns whose derived schema is registered.
func avroRow(t testing.TB, r *registry.Registry, f plan.Format, cs []types.Column) *Row {
	t.Helper()
	f.Name = "AVRO"
	if f.SchemaID == 0 {
		s, err := DeriveSchema(f, cs)
		if err != nil {
			t.Fatal(err)
		}
		register(t, r, "t-value", s)
	}
	row, err := NewRow(f, cs, Side{Topic: "t", Schemas: r})
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func envelope(id int32, body string) []byte { return append(appendEnvelope(nil, id), body...) }

func TestAvroDecode(t *testing.T) {
	rec := func(fields string) string { return `{"type":"record","name":"R","fields":[` + fields + `]}` }
	one := func(typ string) string { return rec(`{"name":"a","type":` + typ + `}`) }
	st := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "y", Type: types.String})
	for _, c := range []struct {
		name, schema string
		unwrapped    bool
		cols         []types.Column
		in, want     string // want starting with "!" is a part of the error
	}{
		{"scalars", rec(`{"name":"a","type":"boolean"},{"name":"b","type":"int"},{"name":"c","type":"long"},{"name":"d","type":"double"},{"name":"e","type":"string"},{"name":"f","type":"bytes"}`), false,
			cols(types.Boolean, types.Integer, types.Bigint, types.Double, types.String, types.Bytes),
			"\x01\x03\x80\x01\x00\x00\x00\x00\x00\x00\xf8\x3f\x06abc\x04\x01\x02", `true -2 64 1.5 "abc" "AQI="`},
		{"missing and extra, order", rec(`{"name":"z","type":"string"},{"name":"b","type":"int"}`), false, cols(types.String, types.Integer), "\x02q\x04", `null 2`},
		{"exact name wins", rec(`{"name":"A","type":"int"},{"name":"a","type":"int"}`), false, cols(types.Integer), "\x02\x04", `1`},
		{"last folded name wins", rec(`{"name":"aB","type":"int"},{"name":"ab","type":"int"}`), false, []types.Column{{Name: "AB", Type: types.Integer}}, "\x02\x04", `2`},
		{"dots are underscores", rec(`{"name":"A_B","type":"int"}`), false, []types.Column{{Name: "A.B", Type: types.Integer}}, "\x02", `1`},
		{"null first", one(`["null","int"]`), false, cols(types.Integer), "\x02\x04", `2`},
		{"null last", one(`["int","null"]`), false, cols(types.Integer), "\x02", `null`},
		{"long form of a branch", one(`["null","int"]`), false, cols(types.Integer), "\x82\x00\x04", `2`},
		{"no such branch", one(`["null","int"]`), false, cols(types.Integer), "\x04\x04", `!$.A: there is no branch 2 of 2`},
		{"int as BIGINT, DOUBLE and STRING", rec(`{"name":"a","type":"int"},{"name":"b","type":"int"},{"name":"c","type":"int"}`), false, cols(types.Bigint, types.Double, types.String), "\x02\x04\x06", `1 2.0 "3"`},
		{"scalars as text", rec(`{"name":"a","type":"boolean"},{"name":"b","type":"float"},{"name":"c","type":"double"},{"name":"d","type":{"type":"enum","name":"E","symbols":["U","V"]}}`), false,
			cols(types.String, types.String, types.String, types.String), "\x01\xcd\xcc\xcc\x3d\x00\x00\x00\x00\x00\x00\xf0\x3f\x02", `"true" "0.1" "1.0" "V"`},
		{"long as INTEGER", one(`["null","long"]`), false, cols(types.Integer), "\x02\x02", `!$.A: cannot read long as INTEGER`},
		{"NULL of a wrong type", one(`["null","long"]`), false, cols(types.Integer), "\x00", `null`},
		{"bytes as STRING", one(`"bytes"`), false, cols(types.String), "\x02a", `!cannot read bytes as STRING`},
		{"micros as TIMESTAMP", one(`{"type":"long","logicalType":"timestamp-micros"}`), false, cols(types.Timestamp), "\x01", `-1`},
		{"micros as BIGINT", one(`{"type":"long","logicalType":"timestamp-micros"}`), false, cols(types.Bigint), "\x01", `-1`},
		{"dates", rec(`{"name":"a","type":{"type":"int","logicalType":"date"}},{"name":"b","type":{"type":"int","logicalType":"time-millis"}},{"name":"c","type":{"type":"long","logicalType":"timestamp-millis"}}`), false,
			cols(types.Date, types.Time, types.Timestamp), "\x02\x04\x06", `1 2 3`},
		{"decimal", one(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":1}`), false, cols(types.Decimal(9, 2)), "\x04\xff\x01", `-25.50`},
		{"decimal of no bytes", one(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":1}`), false, cols(types.Decimal(9, 2)), "\x00", `0.00`},
		{"decimal that loses a digit", one(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":3}`), false, cols(types.Decimal(9, 2)), "\x02\x01", `!more than 2 digits`},
		{"decimal too large", one(`{"type":"bytes","logicalType":"decimal","precision":9,"scale":0}`), false, cols(types.Decimal(3, 2)), "\x02\x0a", `!too many digits`},
		{"decimal of 17 bytes", one(`{"type":"bytes","logicalType":"decimal","precision":60}`), false, cols(types.Decimal(38, 0)), "\x22\x01" + strings.Repeat("\x00", 16), `!too many digits`},
		{"decimal of 17 bytes, most of them sign", one(`{"type":"bytes","logicalType":"decimal","precision":60}`), false, cols(types.Decimal(38, 0)), "\x22" + strings.Repeat("\xff", 16) + "\xfe", `-2`},
		{"decimal of too many bytes", one(`{"type":"bytes","logicalType":"decimal","precision":60}`), false, cols(types.Decimal(38, 0)), "\x84\x01\x01" + strings.Repeat("\x00", 65), `!too many digits`},
		{"fixed decimal", one(`{"type":"fixed","name":"F","size":3,"logicalType":"decimal","precision":5,"scale":2}`), false, cols(types.Decimal(50, 2)), "\xff\xff\xfe", `-0.02`},
		{"array in blocks", one(`{"type":"array","items":["null","int"]}`), false, cols(types.Array(types.Integer)), "\x02\x02\x02\x03\x06\x02\x04\x00\x00", `[1,2,null]`},
		{"map, last of equal keys", one(`{"type":"map","values":"int"}`), false, cols(types.Map(types.String, types.Integer)), "\x06\x02k\x02\x02j\x04\x02k\x06\x00", `{"k":3,"j":2}`},
		{"entries", one(`{"type":"array","items":{"type":"record","name":"M","fields":[{"name":"key","type":["null","int"]},{"name":"value","type":"double"}]}}`), false,
			cols(types.Map(types.String, types.Double)), "\x04\x02\x04\x00\x00\x00\x00\x00\x00\xf0\x3f\x00\x00\x00\x00\x00\x00\x00\xf0\x3f\x00", `{"2":1.0,"null":1.0}`},
		{"struct", one(`{"type":"record","name":"S","fields":[{"name":"q","type":"string"},{"name":"x","type":"int"}]}`), false, cols(st), "\x02?\x08", `{"X":4,"y":null}`},
		{"union of members", one(`["null","int","string"]`), false, cols(types.Struct(types.Field{Name: "INT", Type: types.Integer}, types.Field{Name: "STRING", Type: types.String})), "\x04\x02u", `{"INT":null,"STRING":"u"}`},
		{"union as one type", one(`["null","int","string"]`), false, cols(types.String), "\x02\x08", `"4"`},
		{"member without a field", one(`["null","int","string"]`), false, cols(types.Struct(types.Field{Name: "INT", Type: types.Integer})), "\x04\x02u", `{"INT":null}`},
		{"path of a nested mismatch", one(`{"type":"array","items":{"type":"record","name":"S","fields":[{"name":"x","type":"boolean"}]}}`), false, cols(types.Array(st)), "\x02\x01\x00", `!$.A[0].X: cannot read boolean as INTEGER`},
		{"recursive field not wanted", rec(`{"name":"n","type":["null","R"]},{"name":"a","type":"int"}`), false, cols(types.Integer), "\x02\x02\x00\x02\x04\x06", `3`},
		{"recursion too deep", rec(`{"name":"n","type":["null","R"]},{"name":"a","type":"int"}`), false, cols(types.Integer), strings.Repeat("\x02", 5000), `!nests deeper`},
		{"nullable root", `["null",` + one(`"int"`) + `]`, false, cols(types.Integer), "\x02\x04", `2`},
		{"null root", `["null",` + one(`"int"`) + `]`, false, cols(types.Integer), "\x00", `null`},
		{"root of several records", `[` + one(`"int"`) + `,{"type":"record","name":"B","fields":[{"name":"x","type":"int"}]}]`, false, []types.Column{{Name: "R", Type: types.Struct(types.Field{Name: "A", Type: types.Integer})}, {Name: "B", Type: st}}, "\x02\x04", `null {"X":2,"y":null}`},
		{"unwrapped", `"string"`, true, cols(types.String), "\x02x", `"x"`},
		{"unwrapped record", one(`"int"`), true, cols(types.Struct(types.Field{Name: "A", Type: types.Integer})), "\x02", `{"A":1}`},
		{"not a record", `"int"`, false, cols(types.Integer), "\x02", `!cannot read int as STRUCT`},
		{"bytes behind", one(`"int"`), false, cols(types.Integer), "\x02\x02", `!1 bytes behind`},
		{"too short", one(`"double"`), false, cols(types.Double), "\x02", `!ends too early`},
		{"length beyond the end", one(`"string"`), false, cols(types.String), "\x7ea", `!ends too early`},
		{"negative length", one(`"string"`), false, cols(types.String), "\x01", `!negative length`},
		{"length of 63 bits", one(`"string"`), false, cols(types.String), "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01", `!ends too early`},
		{"number too long", one(`"long"`), false, cols(types.Bigint), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", `!longer than 64 bits`},
		{"int of 33 bits", one(`"int"`), false, cols(types.Integer), "\xfe\xff\xff\xff\x1f", `!no int of 32 bits`},
		{"boolean of 2", one(`"boolean"`), false, cols(types.Boolean), "\x02", `!no boolean`},
		{"no such symbol", one(`{"type":"enum","name":"E","symbols":["U"]}`), false, cols(types.String), "\x02", `!no symbol 1`},
		{"not UTF-8", one(`"string"`), false, cols(types.String), "\x02\xff", `!not valid UTF-8`},
		{"more items than bytes", one(`{"type":"array","items":"int"}`), false, cols(types.Array(types.Integer)), "\xfe\xff\xff\xff\x0f\x00", `!ends too early`},
		{"smallest count", one(`{"type":"array","items":"null"}`), false, cols(types.Integer), "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", `!cannot read array`},
		{"too many nulls", rec(`{"name":"z","type":{"type":"array","items":"null"}},{"name":"a","type":"int"}`), false, cols(types.Integer), "\xfe\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00", `!too many values`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := avroRegistry(t)
			id := register(t, r, "s", avroText(c.schema))
			row := avroRow(t, r, plan.Format{Unwrapped: c.unwrapped}, c.cols)
			for range 2 { // the second time with a compiled reader
				got, err := row.Decode(envelope(id, c.in))
				switch {
				case strings.HasPrefix(c.want, "!"):
					if err == nil || !strings.Contains(err.Error(), c.want[1:]) {
						t.Fatalf("error is %v, want %q", err, c.want[1:])
					}
				case err != nil:
					t.Fatal(err)
				case text(t, c.cols, got) != c.want:
					t.Fatalf("got %s, want %s", text(t, c.cols, got), c.want)
				}
			}
		})
	}
}

// TestAvroZigzagBoundaries: each length's first and last numbers.
func TestAvroZigzagBoundaries(t *testing.T) {
	for shift := range 64 {
		for _, x := range []int64{1 << shift, 1<<shift - 1, -1 << shift, ^(1 << shift)} {
			b := binary.AppendVarint(nil, x)
			for _, pad := range []string{"", "\xff\xff\xff\xff\xff\xff\xff\xff"} {
				if got, at := zigzag(append(bytes.Clone(b), pad...), 0); got != x || at != len(b) {
					t.Fatalf("%d: got %d at %d", x, got, at)
				}
			}
		}
	}
}

func TestAvroEnvelope(t *testing.T) {
	r := avroRegistry(t)
	row := avroRow(t, r, plan.Format{}, cols(types.Integer))
	for in, want := range map[string]string{
		"":                     "does not begin with a schema id",
		"{\"a\":1}":            "does not begin with a schema id",
		"\x00\x00\x00\x00\x63": "no schema has id 99",
		"\x00\xff\x00\x00\x00": "out of range",
	} {
		if _, err := row.Decode([]byte(in)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error is %v, want %q", in, err, want)
		}
	}
}

// allTypes are columns of every SQL type, nested too.
func allTypes() []types.Column {
	st := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "y", Type: types.Array(types.Decimal(12, 3))},
		types.Field{Name: "M", Type: types.Map(types.String, types.Struct(types.Field{Name: "T", Type: types.Timestamp}))})
	return cols(types.Boolean, types.Integer, types.Bigint, types.Double, types.Decimal(8, 2), types.Decimal(60, 3), types.String, types.Bytes,
		types.Time, types.Date, types.Timestamp, types.Array(types.Array(types.String)), types.Map(types.String, types.Bytes), st, types.Array(types.Boolean))
}

// genAny is genValue for every type.
func genAny(t *rapid.T, ty types.Type) types.Value {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return types.NullValue
	}
	switch ty.Kind {
	case types.KindTime:
		return types.NewTime(rapid.Int32Range(0, 86_399_999).Draw(t, "time"))
	case types.KindDate:
		return types.NewDate(rapid.Int32().Draw(t, "date"))
	case types.KindTimestamp:
		return types.NewTimestamp(rapid.Int64().Draw(t, "stamp"))
	case types.KindArray:
		elems := make([]types.Value, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range elems {
			elems[i] = genAny(t, *ty.Elem)
		}
		return types.NewArray(elems)
	case types.KindStruct:
		fields := make([]types.Value, len(ty.Fields))
		for i, f := range ty.Fields {
			fields[i] = genAny(t, f.Type)
		}
		return types.NewStruct(fields)
	case types.KindMap:
		m := new(types.MapValue)
		for _, k := range rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID).Draw(t, "keys") {
			m.Keys, m.Values = append(m.Keys, types.NewString(k)), append(m.Values, genAny(t, *ty.Elem))
		}
		return types.NewMap(m)
	}
	for {
		if v := genValue(t, ty); !v.IsNull() {
			return v
		}
	}
}

func TestAvroRoundTrips(t *testing.T) {
	r := avroRegistry(t)
	all := allTypes()
	wrapped := avroRow(t, r, plan.Format{}, all)
	var single []*Row
	for i := range all {
		single = append(single, avroRow(t, r, plan.Format{Unwrapped: true}, all[i:i+1]))
	}
	rapid.Check(t, func(rt *rapid.T) {
		row := make([]types.Value, len(all))
		for i, c := range all {
			row[i] = genAny(rt, c.Type)
		}
		payload, err := wrapped.Encode(row)
		if err != nil {
			rt.Fatal(err)
		}
		back, err := wrapped.Decode(payload)
		if err != nil {
			rt.Fatalf("%x: %v", payload, err)
		}
		if got, want := text(t, all, back), text(t, all, row); got != want {
			rt.Fatalf("got %s, want %s", got, want)
		}
		// A part of the columns reads the same, and a payload cut off is an error
		// whatever is wanted.
		vecs := vectorsOf(all, payload)
		for k := range vecs {
			if rapid.Bool().Draw(rt, "unwanted") {
				vecs[k] = nil
			}
		}
		if err := wrapped.codec.Decode(vecs, 0, payload); err != nil {
			rt.Fatal(err)
		}
		for k, v := range vecs {
			if v != nil && text(t, all[k:k+1], []types.Value{v.Value(0)}) != text(t, all[k:k+1], row[k:k+1]) {
				rt.Fatalf("column %s differs among fewer columns", all[k].Name)
			}
		}
		cut := rapid.IntRange(0, len(payload)-1).Draw(rt, "cut")
		if err := wrapped.codec.Decode(vecs, 0, payload[:cut]); err == nil {
			rt.Fatalf("%x is enough of %x", payload[:cut], payload)
		}
		i := rapid.IntRange(0, len(all)-1).Draw(rt, "column")
		if payload, err = single[i].Encode(row[i : i+1]); err != nil {
			rt.Fatal(err)
		}
		if row[i].IsNull() {
			if payload != nil {
				rt.Fatalf("NULL is %x, want a null payload", payload)
			}
			return
		}
		if back, err = single[i].Decode(payload); err != nil {
			rt.Fatal(err)
		}
		if got, want := text(t, all[i:i+1], back), text(t, all[i:i+1], row[i:i+1]); got != want {
			rt.Fatalf("unwrapped: got %s, want %s", got, want)
		}
	})
}

func TestAvroWideDecimals(t *testing.T) {
	r := avroRegistry(t)
	for _, c := range []struct {
		t types.Type
		d string
	}{
		{types.Decimal(38, 0), strings.Repeat("9", 38)}, {types.Decimal(38, 0), "-" + strings.Repeat("9", 38)},
		{types.Decimal(76, 10), "-" + strings.Repeat("9", 66) + ".0123456789"}, {types.Decimal(76, 76), "0." + strings.Repeat("7", 76)},
		{types.Decimal(5, 2), "1.28"}, {types.Decimal(5, 2), "-1.28"}, {types.Decimal(5, 2), "-1.29"}, {types.Decimal(60, 2), "-1.28"}, {types.Decimal(60, 2), "-1.29"}, {types.Decimal(60, 2), "0.00"},
	} {
		d, _, err := apd.NewFromString(c.d)
		if err != nil {
			t.Fatal(err)
		}
		cs := cols(c.t)
		row := avroRow(t, r, plan.Format{}, cs)
		payload, err := row.Encode([]types.Value{types.NewDecimal(d)})
		if err != nil {
			t.Fatal(err)
		}
		back, err := row.Decode(payload)
		if err != nil || text(t, cs, back) != c.d {
			t.Fatalf("%s: got %v, %v", c.d, back, err)
		}
	}
}

func TestAvroZigzag(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		// Every length of number is as likely as every other one.
		x := int64(rapid.Uint64().Draw(rt, "bits") >> rapid.IntRange(0, 63).Draw(rt, "shift"))
		if rapid.Bool().Draw(rt, "negative") {
			x = ^x
		}
		pad := rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(rt, "pad")
		b := binary.AppendVarint(nil, x)
		got, at := zigzag(append(bytes.Clone(b), pad...), 0)
		if got != x || at != len(b) {
			rt.Fatalf("%d: got %d at %d", x, got, at)
		}
		for n := range b {
			if _, at := zigzag(b[:n], 0); at >= 0 {
				rt.Fatalf("%x: %d bytes are enough", b, n)
			}
		}
	})
}
