package format

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func cols(ts ...types.Type) []types.Column {
	out := make([]types.Column, len(ts))
	for i, t := range ts {
		out[i] = types.Column{Name: string(rune('A' + i)), Type: t}
	}
	return out
}

// text shows values as topic JSON, for comparing.
func text(t *testing.T, cs []types.Column, vs []types.Value) string {
	t.Helper()
	var b []byte
	for i, v := range vs {
		var err error
		if b, err = AppendJSON(append(b, ' '), v, cs[i].Type); err != nil {
			t.Fatal(err)
		}
	}
	return string(b[1:])
}

func TestDecode(t *testing.T) {
	st := types.Struct(types.Field{Name: "X", Type: types.Integer}, types.Field{Name: "y", Type: types.String})
	for _, c := range []struct {
		name, format string
		unwrapped    bool
		cols         []types.Column
		in, want     string // want starting with "!" is a part of the error
	}{
		{"fields in any case, missing and extra", "JSON", false, cols(types.Integer, types.String), `{"z":[1,{"q":null}],"b":"x","a":5}`, `5 "x"`},
		{"missing is NULL", "JSON", false, cols(types.Integer, types.Double), `{}`, `null null`},
		{"exact name wins over a folded one", "JSON", false, cols(types.Integer), `{"A":1,"a":2}`, `1`},
		{"last of several folded names wins", "JSON", false, []types.Column{{Name: "AB", Type: types.Integer}}, `{"ab":1,"aB":2}`, `2`},
		{"quoted lower-case column matches exactly only", "JSON", false, []types.Column{{Name: "a", Type: types.Integer}}, `{"A":1}`, `null`},
		{"white space", "JSON", false, cols(types.Integer, types.Boolean), " { \"A\" :\n1 , \"B\":true }\t", `1 true`},
		{"escapes", "JSON", false, cols(types.String), `{"A":"a\"\u00e9\n\ud83d\ude00"}`, `"a\"é\n😀"`},
		{"numbers from strings", "JSON", false, cols(types.Integer, types.Bigint, types.Double, types.Decimal(4, 2)), `{"A":"7","B":"-9","C":"1e3","D":"1.5"}`, `7 -9 1000.0 1.50`},
		{"fractions truncate", "JSON", false, cols(types.Integer, types.Bigint), `{"A":1.9,"B":-1e3}`, `1 -1000`},
		{"integers wrap", "JSON", false, cols(types.Integer, types.Bigint), `{"A":4294967297,"B":18446744073709551617}`, `1 1`},
		{"fraction in a string is strict", "JSON", false, cols(types.Integer), `{"A":"1.5"}`, `!not an integer`},
		{"boolean takes no number", "JSON", false, cols(types.Boolean), `{"A":1}`, `!$.A: cannot read a number as BOOLEAN`},
		{"scalars become text", "JSON", false, cols(types.String, types.String, types.String), `{"A":1.50,"B":true,"C":{"x": [1, "a b"]}}`, `"1.50" "true" "{\"x\":[1,\"a b\"]}"`},
		{"array as text", "JSON", false, cols(types.String), `{"A":[1, "b",null]}`, `"[1, b, null]"`},
		{"decimal is exact", "JSON", false, cols(types.Decimal(4, 2)), `{"A":1.234}`, `!more than 2 digits`},
		{"decimal too large", "JSON", false, cols(types.Decimal(4, 2)), `{"A":100}`, `!too many digits`},
		{"decimal with zeros behind", "JSON", false, cols(types.Decimal(4, 2)), `{"A":1.2000}`, `1.20`},
		{"wide decimal", "JSON", false, cols(types.Decimal(50, 2)), `{"A":123456789012345678901234567890123456789012.5}`, `123456789012345678901234567890123456789012.50`},
		{"bytes", "JSON", false, cols(types.Bytes), `{"A":"AQI="}`, `"AQI="`},
		{"bad base64", "JSON", false, cols(types.Bytes), `{"A":"!"}`, `!not base64`},
		{"times are numbers", "JSON", false, cols(types.Time, types.Date, types.Timestamp), `{"A":1,"B":"2","C":3}`, `1 2 3`},
		{"nested", "JSON", false, cols(types.Array(st), types.Map(types.String, types.Bigint)), `{"A":[{"x":1,"Y":"no"},null],"B":{"k":5}}`, `[{"X":1,"y":null},null] {"k":5}`},
		{"path of a nested mismatch", "JSON", false, cols(types.Array(st)), `{"A":[{"x":1},{"x":true}]}`, `!$.A[1].X: cannot read a boolean as INTEGER`},
		{"malformed tail", "JSON", false, cols(types.Integer), `{"A":1,"Z":tru}`, `!unexpected`},
		{"bytes behind", "JSON", false, cols(types.Integer), `{"A":1} x`, `!expected the end`},
		{"leading zero", "JSON", false, cols(types.Integer), `{"A":01}`, `!unexpected`},
		{"control character", "JSON", false, cols(types.String), "{\"A\":\"\x01\"}", `!control character`},
		{"invalid UTF-8", "JSON", false, cols(types.String), "{\"A\":\"\xff\"}", `!UTF-8`},
		{"not an object", "JSON", false, cols(types.Integer), `[1]`, `!an object`},
		{"deep nesting", "JSON", false, cols(types.Integer), `{"Z":` + strings.Repeat("[", 1e5) + `}`, `!nests deeper`},
		{"unwrapped", "JSON", true, cols(types.String), `"x"`, `"x"`},
		{"unwrapped null", "JSON", true, cols(types.String), `null`, `null`},
		{"unwrapped array", "JSON", true, cols(types.Array(types.Integer)), `[1,2]`, `[1,2]`},
		{"empty payload", "JSON", false, cols(types.String), ``, `!unexpected end`},

		{"csv", "DELIMITED", false, cols(types.Integer, types.String, types.String), "1,\"a,\"\"b\",\r\nrest", `1 "a,\"b" null`},
		{"csv types", "DELIMITED", false, cols(types.Boolean, types.Double, types.Decimal(3, 1), types.Bytes, types.Date), "TRUE,1e7,2,AQI=,5", `true 1.0E7 2.0 "AQI=" 5`},
		{"csv count", "DELIMITED", false, cols(types.Integer), "1,2", `!unexpected field count: 1 columns, 2 fields`},
		{"csv open quote", "DELIMITED", false, cols(types.String), `"a`, `!not closed`},
		{"csv empty", "DELIMITED", false, cols(types.String), ``, `!empty payload`},
		{"csv number", "DELIMITED", false, cols(types.Integer), `x`, `!not an integer`},

		{"kafka int", "KAFKA", true, cols(types.Integer), "\xff\xff\xff\xfe", `-2`},
		{"kafka length", "KAFKA", true, cols(types.Bigint), "\x00\x00", `!2 bytes, expected 8`},
		{"kafka string", "KAFKA", true, cols(types.String), "é", `"é"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewRow(plan.Format{Name: c.format, Unwrapped: c.unwrapped}, c.cols, Side{})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time with guessed field names
				got, err := r.Decode([]byte(c.in))
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

func TestEncode(t *testing.T) {
	s, n := types.NewString, types.NullValue
	for _, c := range []struct {
		name   string
		format plan.Format
		cols   []types.Column
		in     []types.Value
		want   string // "-" for a null payload
	}{
		{"nulls are written", plan.Format{Name: "JSON"}, cols(types.Integer, types.String), []types.Value{n, n}, `{"A":null,"B":null}`},
		{"decimal has its scale", plan.Format{Name: "JSON"}, cols(types.Decimal(9, 4)), []types.Value{types.NewDecimal(apd.New(10, 0))}, `{"A":10.0000}`},
		{"doubles as Java", plan.Format{Name: "JSON"}, cols(types.Double, types.Double, types.Double), []types.Value{types.NewDouble(1), types.NewDouble(1.5e-7), types.NewDouble(12345678)}, `{"A":1.0,"B":1.5E-7,"C":1.2345678E7}`},
		{"not a number", plan.Format{Name: "JSON"}, cols(types.Double), []types.Value{types.NewDouble(math.NaN())}, `{"A":"NaN"}`},
		{"string escapes", plan.Format{Name: "JSON"}, cols(types.String), []types.Value{s("a\"\\\n\x01é</")}, `{"A":"a\"\\\n\u0001é</"}`},
		{"unwrapped NULL", plan.Format{Name: "JSON", Unwrapped: true}, cols(types.String), []types.Value{n}, `-`},
		{"csv quotes", plan.Format{Name: "DELIMITED"}, cols(types.String, types.Integer, types.String), []types.Value{s("a,b"), n, s("c\"d")}, `"a,b",,"c""d"`},
		{"csv tab", plan.Format{Name: "DELIMITED", Delimiter: "TAB"}, cols(types.Integer, types.Bytes), []types.Value{types.NewInteger(1), types.NewBytes([]byte{1, 2})}, "1\tAQI="},
		{"kafka bigint", plan.Format{Name: "KAFKA"}, cols(types.Bigint), []types.Value{types.NewBigint(-1)}, "\xff\xff\xff\xff\xff\xff\xff\xff"},
		{"kafka NULL", plan.Format{Name: "KAFKA"}, cols(types.Bigint), []types.Value{n}, "-"},
		{"none", plan.Format{Name: "NONE"}, nil, nil, "-"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := NewRow(c.format, c.cols, Side{})
			if err != nil {
				t.Fatal(err)
			}
			got, err := r.Encode(c.in)
			if err != nil {
				t.Fatal(err)
			}
			if c.want == "-" {
				if got != nil {
					t.Fatalf("got %q, want a null payload", got)
				}
			} else if string(got) != c.want {
				t.Fatalf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUnsupportedIsAnError(t *testing.T) {
	for _, c := range []struct {
		f    plan.Format
		cols []types.Column
		want string
	}{
		{plan.Format{Name: "XML"}, cols(types.Integer), "format XML is not supported"},
		{plan.Format{Name: "AVRO"}, cols(types.Integer), "needs a schema registry"},
		{plan.Format{Name: "KAFKA"}, cols(types.Integer, types.Integer), "takes one column"},
		{plan.Format{Name: "KAFKA"}, cols(types.Boolean), "cannot hold column A"},
		{plan.Format{Name: "DELIMITED"}, cols(types.Array(types.Integer)), "cannot hold column A"},
		{plan.Format{Name: "DELIMITED", Delimiter: "ab"}, cols(types.Integer), "delimiter"},
		{plan.Format{Name: "NONE"}, cols(types.Integer), "takes no columns"},
	} {
		if _, err := New(c.f, c.cols, Side{}); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error is %v, want %q", c.f.Name, err, c.want)
		}
	}
}

// genValue draws a value of a type.
func genValue(t *rapid.T, ty types.Type) types.Value {
	if rapid.IntRange(0, 5).Draw(t, "null") == 0 {
		return types.NullValue
	}
	switch ty.Kind {
	case types.KindBoolean:
		return types.NewBoolean(rapid.Bool().Draw(t, "b"))
	case types.KindInteger:
		return types.NewInteger(rapid.Int32().Draw(t, "i"))
	case types.KindBigint:
		return types.NewBigint(rapid.Int64().Draw(t, "l"))
	case types.KindDouble:
		return types.NewDouble(rapid.Float64().Draw(t, "d"))
	case types.KindDecimal:
		return types.NewDecimal(apd.New(rapid.Int64Range(-999999, 999999).Draw(t, "dec"), -ty.Scale))
	case types.KindString:
		return types.NewString(rapid.String().Draw(t, "s"))
	case types.KindBytes:
		return types.NewBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "by"))
	case types.KindArray:
		elems := make([]types.Value, rapid.IntRange(0, 3).Draw(t, "n"))
		for i := range elems {
			elems[i] = genValue(t, *ty.Elem)
		}
		return types.NewArray(elems)
	case types.KindStruct:
		fields := make([]types.Value, len(ty.Fields))
		for i, f := range ty.Fields {
			fields[i] = genValue(t, f.Type)
		}
		return types.NewStruct(fields)
	}
	m := new(types.MapValue)
	for _, k := range rapid.SliceOfNDistinct(rapid.String(), 0, 3, rapid.ID).Draw(t, "keys") {
		m.Keys, m.Values = append(m.Keys, types.NewString(k)), append(m.Values, genValue(t, *ty.Elem))
	}
	return types.NewMap(m)
}

func TestRoundTrips(t *testing.T) {
	flat := cols(types.Boolean, types.Integer, types.Bigint, types.Double, types.Decimal(8, 2), types.Decimal(60, 3), types.String, types.Bytes)
	nested := append(flat[:len(flat):len(flat)], types.Column{Name: "ARR", Type: types.Array(types.String)},
		types.Column{Name: "ST", Type: types.Struct(types.Field{Name: "F", Type: types.Decimal(9, 1)})})
	all := append(nested[:len(nested):len(nested)], types.Column{Name: "M", Type: types.Map(types.String, types.Array(types.Bigint))})
	sortable, err := NewSortable(nested)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(rt *rapid.T) {
		row := make([]types.Value, len(all))
		for i, c := range all {
			row[i] = genValue(rt, c.Type)
		}
		for _, f := range []string{"JSON", "BINARY"} {
			r, err := NewRow(plan.Format{Name: f}, all, Side{})
			if err != nil {
				rt.Fatal(err)
			}
			payload, err := r.Encode(row)
			if err != nil {
				rt.Fatal(err)
			}
			back, err := r.Decode(payload)
			if err != nil {
				rt.Fatalf("%s %q: %v", f, payload, err)
			}
			if got, want := text(t, all, back), text(t, all, row); got != want {
				rt.Fatalf("%s: got %s, want %s", f, got, want)
			}
		}
		key := sortable.AppendRow(nil, row[:len(nested)])
		back, err := sortable.DecodeRow(key)
		if err != nil {
			rt.Fatal(err)
		}
		if !bytes.Equal(sortable.AppendRow(nil, back), key) {
			rt.Fatal("sortable key does not round-trip")
		}
	})
}

func TestSortableOrder(t *testing.T) {
	for _, c := range []struct {
		t types.Type
		v []types.Value // ascending
	}{
		{types.Bigint, []types.Value{types.NullValue, types.NewBigint(math.MinInt64), types.NewBigint(-1), types.NewBigint(0), types.NewBigint(1 << 40)}},
		{types.Double, []types.Value{types.NewDouble(math.Inf(-1)), types.NewDouble(-2), types.NewDouble(-1e-9), types.NewDouble(0), types.NewDouble(3)}},
		{types.String, []types.Value{types.NewString(""), types.NewString("\x00"), types.NewString("\x00a"), types.NewString("a"), types.NewString("a\x00"), types.NewString("ab")}},
		{types.Decimal(5, 1), []types.Value{types.NewDecimal(apd.New(-11, -1)), types.NewDecimal(apd.New(-10, -1)), types.NewDecimal(apd.New(0, -1)), types.NewDecimal(apd.New(5, -1))}},
	} {
		s, _ := NewSortable(cols(c.t, types.Integer))
		var last []byte
		for _, v := range c.v {
			key := s.AppendRow(nil, []types.Value{v, types.NewInteger(-1)})
			if bytes.Compare(last, key) >= 0 {
				t.Fatalf("%s: %x is not above %x", c.t, key, last)
			}
			last = key
		}
	}
}

func TestWindowedKey(t *testing.T) {
	for _, w := range []*plan.WindowInfo{nil, {Kind: plan.Tumbling, SizeMs: 10}, {Kind: plan.Session}} {
		key := AppendWindow([]byte("k"), w, 20, 30)
		base, start, end, err := SplitWindow(key, w)
		if err != nil || string(base) != "k" || w != nil && (start != 20 || end != 30) {
			t.Fatalf("%v: %q %d %d %v", w, base, start, end, err)
		}
	}
	if _, _, _, err := SplitWindow([]byte("1234567"), &plan.WindowInfo{Kind: plan.Hopping, SizeMs: 1}); err == nil {
		t.Fatal("a short windowed key is accepted")
	}
}

// FuzzDecode feeds every decoder; what one accepts must encode again and read
// back the same.
func FuzzDecode(f *testing.F) {
	cs := cols(types.Integer, types.Double, types.Decimal(6, 2), types.String, types.Array(types.Boolean), types.Map(types.String, types.Bytes))
	for _, s := range []string{`{"a":1,"b":"2","c":3.25,"d":{"x":[]},"e":[true,null],"f":{"k":"AQ=="}}`, `{"A":1e400}`, `{"d":"\ud800"}`, "\x00\x02", `{"A`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"JSON", "BINARY"} {
			r, err := NewRow(plan.Format{Name: name}, cs, Side{})
			if err != nil {
				t.Fatal(err)
			}
			v, err := r.Decode(b)
			if err != nil {
				continue
			}
			out, err := r.Encode(v)
			if err != nil {
				continue // a wide exponent need not fit
			}
			back, err := r.Decode(out)
			if err != nil || text(t, cs, back) != text(t, cs, v) {
				t.Fatalf("%s: %q reads back as %v, %v", name, out, back, err)
			}
		}
	})
}

func bidPayload() ([]types.Column, []byte) {
	cs := []types.Column{{Name: "AUCTION", Type: types.Bigint}, {Name: "BIDDER", Type: types.Bigint}, {Name: "PRICE", Type: types.Bigint},
		{Name: "CHANNEL", Type: types.String}, {Name: "URL", Type: types.String}, {Name: "DATETIME", Type: types.Bigint}, {Name: "EXTRA", Type: types.String}}
	return cs, []byte(`{"auction":1000123,"bidder":2001,"price":123456,"channel":"Apple","url":"https://www.nexmark.com/item.htm?query=1","dateTime":1600000000000,"extra":"` + strings.Repeat("x", 120) + `"}`)
}

func BenchmarkDecodeJSON(b *testing.B) {
	cs, payload := bidPayload()
	codec := newJSON(cs, false)
	vecs := make([]*batch.Vector, len(cs))
	for i, c := range cs {
		vecs[i] = batch.NewVector(c.Type, 1)
		vecs[i].Data = payload
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := codec.Decode(vecs, 0, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func TestJSONAllocatesNothing(t *testing.T) {
	cs, payload := bidPayload()
	codec := newJSON(cs, false)
	vecs := make([]*batch.Vector, len(cs))
	for i, c := range cs {
		vecs[i] = batch.NewVector(c.Type, 1)
		vecs[i].Data = payload
	}
	out := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() {
		if err := codec.Decode(vecs, 0, payload); err != nil {
			t.Fatal(err)
		}
		if _, _, err := codec.Append(out, vecs, 0); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Fatalf("%v allocations per record", n)
	}
}

func TestNullMapKey(t *testing.T) {
	m := types.NewMap(&types.MapValue{Keys: []types.Value{types.NewString("a"), types.NullValue}, Values: []types.Value{types.NewBigint(1), types.NullValue}})
	got, err := AppendJSON(nil, m, types.Map(types.String, types.Bigint))
	if err != nil || string(got) != `{"a":1,"null":null}` {
		t.Fatalf("got %s, %v", got, err)
	}
}
