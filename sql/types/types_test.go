package types

import (
	"encoding/json"
	"errors"
	"math"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

func dec(t *testing.T, s string) Value {
	t.Helper()
	d, _, err := apd.NewFromString(s)
	if err != nil {
		t.Fatal(err)
	}
	return NewDecimal(d)
}

func typ(t *testing.T, s string) Type {
	t.Helper()
	out, err := ParseType(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestTypeText(t *testing.T) {
	for _, s := range []string{
		"INTEGER", "DECIMAL(76, 0)", "ARRAY<MAP<STRING, STRUCT<`A` INTEGER, `b ``c` DECIMAL(4, 2)>>>", "STRUCT<>", "NULL",
	} {
		text, err := json.Marshal(typ(t, s))
		if err != nil {
			t.Fatal(err)
		}
		var back Type
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatal(err)
		}
		if back.String() != s || !back.Equal(typ(t, s)) {
			t.Errorf("%s came back as %s", s, back)
		}
	}
	if got := typ(t, "struct<a int, b varchar>").String(); got != "STRUCT<`A` INTEGER, `B` STRING>" {
		t.Errorf("got %s", got)
	}
	for _, s := range []string{"", "FOO", "ARRAY", "ARRAY<", "MAP<INT>", "DECIMAL(0, 0)", "DECIMAL(77, 0)", "DECIMAL(2, 3)", "INT x", "STRUCT<`a INT>"} {
		if got, err := ParseType(s); err == nil {
			t.Errorf("%q was read as %s", s, got)
		}
	}
}

func TestCast(t *testing.T) {
	const fails = "!"
	str, i, big, dbl := NewString, NewInteger, NewBigint, NewDouble
	for _, c := range []struct {
		v        Value
		from, to string
		want     string
	}{
		{NullValue, "INTEGER", "STRING", "null"},
		{NewBoolean(true), "BOOLEAN", "STRING", "true"},
		{NewBoolean(true), "BOOLEAN", "INTEGER", fails},
		{i(5), "INTEGER", "BIGINT", "5"},
		{i(-5), "INTEGER", "DOUBLE", "-5.0"},
		{i(5), "INTEGER", "DECIMAL(3, 1)", "5.0"},
		{i(500), "INTEGER", "DECIMAL(3, 1)", fails},
		{i(5), "INTEGER", "BOOLEAN", fails},
		{big(2147483648), "BIGINT", "INTEGER", "-2147483648"},
		{big(math.MinInt64), "BIGINT", "DECIMAL(19, 0)", "-9223372036854775808"},
		{dec(t, "-2.99"), "DECIMAL(3, 2)", "INTEGER", "-2"},
		{dec(t, "4294967297.5"), "DECIMAL(11, 1)", "INTEGER", "1"},
		{dec(t, "2.345"), "DECIMAL(4, 3)", "DECIMAL(3, 2)", "2.35"},
		{dec(t, "-2.345"), "DECIMAL(4, 3)", "DECIMAL(3, 2)", "-2.35"},
		{dec(t, "99.95"), "DECIMAL(4, 2)", "DECIMAL(3, 1)", fails},
		{dec(t, "1.10"), "DECIMAL(3, 2)", "STRING", "1.10"},
		{dec(t, "1.10"), "DECIMAL(3, 2)", "DOUBLE", "1.1"},
		{dbl(1e20), "DOUBLE", "INTEGER", "2147483647"},
		{dbl(-1e20), "DOUBLE", "BIGINT", "-9223372036854775808"},
		{dbl(math.NaN()), "DOUBLE", "BIGINT", "0"},
		{dbl(-1.9), "DOUBLE", "INTEGER", "-1"},
		{dbl(0.99), "DOUBLE", "DECIMAL(2, 1)", "1.0"},
		{dbl(math.Inf(1)), "DOUBLE", "DECIMAL(2, 1)", fails},
		{dbl(1e300), "DOUBLE", "DECIMAL(20, 1)", fails},
		{dbl(1e7), "DOUBLE", "STRING", "1.0E7"},
		{str(" -12 "), "STRING", "INTEGER", "-12"},
		{str("2147483648"), "STRING", "INTEGER", fails},
		{str("1.0"), "STRING", "BIGINT", fails},
		{str("1e3"), "STRING", "DOUBLE", "1000.0"},
		{str("NaN"), "STRING", "DOUBLE", fails},
		{str("Infinity"), "STRING", "DOUBLE", fails},
		{str("1e999"), "STRING", "DOUBLE", fails},
		{str("0x10"), "STRING", "DOUBLE", fails},
		{str(" 0.95"), "STRING", "DECIMAL(2, 1)", "1.0"},
		{str("1e-999999999"), "STRING", "DECIMAL(2, 1)", fails},
		{str("1e999999999"), "STRING", "DECIMAL(2, 1)", fails},
		{str("x"), "STRING", "DECIMAL(2, 1)", fails},
		{str("Ye"), "STRING", "BOOLEAN", "true"},
		{str("nope"), "STRING", "BOOLEAN", "false"},
		{str("AQI="), "STRING", "BYTES", "AQI="},
		{str("?"), "STRING", "BYTES", fails},
		{NewBytes([]byte{1}), "BYTES", "STRING", fails},
		{str("13:25:07.125"), "STRING", "TIME", "13:25:07"},
		{str("13:25"), "STRING", "TIME", "13:25"},
		{str("25:00"), "STRING", "TIME", fails},
		{str("2024-02-29"), "STRING", "DATE", "2024-02-29"},
		{str("2023-02-29"), "STRING", "DATE", fails},
		{str("2023"), "STRING", "DATE", "2023-01-01"},
		{str("2022-04-28T21:44:47.943"), "STRING", "TIMESTAMP", "2022-04-28T21:44:47.943"},
		{str("2022-04-28T21:44:47.943Z"), "STRING", "TIMESTAMP", "2022-04-28T21:44:47.943"},
		{str("2022-04-28T21:44+02:30"), "STRING", "TIMESTAMP", "2022-04-28T19:14:00.000"},
		{str("2022-04T21"), "STRING", "TIMESTAMP", fails},
		{str("2023-12-31T24"), "STRING", "TIMESTAMP", "2024-01-01T00:00:00.000"},
		{str("2023-12-31T24:00:00.000"), "STRING", "TIMESTAMP", "2024-01-01T00:00:00.000"},
		{str("2023-12-31T24:00:00.001"), "STRING", "TIMESTAMP", fails},
		{str("2023-12-31T24:01"), "STRING", "TIMESTAMP", fails},
		{str("2023-12-31T25"), "STRING", "TIMESTAMP", fails},
		{str("24:00"), "STRING", "TIME", fails},
		{str("1969-12-31T23:59:59.999"), "STRING", "TIMESTAMP", "1969-12-31T23:59:59.999"},
		{str("0001-01-01"), "STRING", "TIMESTAMP", "0001-01-01T00:00:00.000"},
		{NewDate(-1), "DATE", "TIMESTAMP", "1969-12-31T00:00:00.000"},
		{NewTimestamp(-1), "TIMESTAMP", "DATE", "1969-12-31"},
		{NewTimestamp(-1000), "TIMESTAMP", "TIME", "23:59:59"},
		{NewTime(1), "TIME", "TIMESTAMP", fails},
		{NewTime(3600_000), "TIME", "STRING", "01:00"},
		{NewArray([]Value{big(1), NullValue}), "ARRAY<BIGINT>", "ARRAY<STRING>", "[1, null]"},
		{NewArray([]Value{str("x")}), "ARRAY<STRING>", "ARRAY<INTEGER>", fails},
		{NewArray([]Value{str("x"), NullValue}), "ARRAY<STRING>", "STRING", "[x, null]"},
		{NewMap(&MapValue{[]Value{str("k")}, []Value{big(1 << 31)}}), "MAP<STRING, BIGINT>", "MAP<STRING, INTEGER>", "{k=-2147483648}"},
		{NewStruct([]Value{i(1), i(3), NullValue}), "STRUCT<F0 INT, F1 INT, F2 INT>", "STRUCT<F1 STRING, F3 STRING>", "{F1=3, F3=null}"},
		{NewStruct([]Value{i(1), i(3), NullValue}), "STRUCT<F0 INT, F1 INT, F2 INT>", "STRING", "Struct{F0=1,F1=3}"},
		{str("x"), "STRING", "ARRAY<INT>", fails},
	} {
		from, to := typ(t, c.from), typ(t, c.to)
		got, err := Cast(c.v, from, to)
		text := FormatText(got, to)
		if err != nil {
			text = fails
		}
		if text != c.want {
			t.Errorf("CAST(%s %s AS %s) = %s (%v), want %s", c.v, from, to, text, err, c.want)
		}
		if err == nil && !CanCast(from, to) {
			t.Errorf("CanCast(%s, %s) is false for a cast that works", from, to)
		}
	}
}

// TestCanCast pins the matrix: rows from, columns to, in the order of the kinds.
func TestCanCast(t *testing.T) {
	all := []Type{Boolean, Integer, Bigint, Double, Decimal(4, 2), String, Bytes, Time, Date, Timestamp}
	want := []string{
		"X----X----",
		"-XXXXX----",
		"-XXXXX----",
		"-XXXXX----",
		"-XXXXX----",
		"XXXXXXXXXX",
		"------X---",
		"-----X-X--",
		"-----X--XX",
		"-----X-XXX",
	}
	for i, from := range all {
		row := make([]byte, len(all))
		for j, to := range all {
			row[j] = '-'
			if CanCast(from, to) {
				row[j] = 'X'
			}
		}
		if string(row) != want[i] {
			t.Errorf("%-13s %s, want %s", from, row, want[i])
		}
	}
}

func TestArithmetic(t *testing.T) {
	for _, c := range []struct {
		op       Op
		a, b     string
		ta, tb   string
		want     string
		wantType string
		err      error
	}{
		{Add, "10.01", "5.1", "DECIMAL(4, 2)", "DECIMAL(2, 1)", "15.11", "DECIMAL(5, 2)", nil},
		{Mul, "10.1", "-2.0", "DECIMAL(3, 1)", "DECIMAL(2, 1)", "-20.20", "DECIMAL(6, 2)", nil},
		{Mul, "0.0", "-2.0", "DECIMAL(2, 1)", "DECIMAL(2, 1)", "0.00", "DECIMAL(5, 2)", nil},
		{Div, "1.0", "4.0", "DECIMAL(2, 1)", "DECIMAL(2, 1)", "0.250000", "DECIMAL(8, 6)", nil},
		{Div, "1.0", "3.0", "DECIMAL(2, 1)", "DECIMAL(2, 1)", "", "DECIMAL(8, 6)", ErrInexact},
		{Div, "1.0", "0.0", "DECIMAL(2, 1)", "DECIMAL(2, 1)", "", "DECIMAL(8, 6)", ErrDivisionByZero},
		{Mod, "-10.1", "2.0", "DECIMAL(3, 1)", "DECIMAL(2, 1)", "-0.1", "DECIMAL(2, 1)", nil},
		{Mod, "1", "0", "INTEGER", "INTEGER", "", "INTEGER", ErrDivisionByZero},
		{Div, "-7", "2", "INTEGER", "INTEGER", "-3", "INTEGER", nil},
		{Add, "2147483647", "1", "INTEGER", "INTEGER", "-2147483648", "INTEGER", nil},
		{Add, "2147483647", "1", "INTEGER", "BIGINT", "2147483648", "BIGINT", nil},
		{Add, "1", "0.5", "INTEGER", "DECIMAL(2, 1)", "1.5", "DECIMAL(12, 1)", nil},
		{Div, "1", "0", "DOUBLE", "DECIMAL(2, 1)", "Infinity", "DOUBLE", nil},
		{Div, "-9223372036854775808", "-1", "BIGINT", "BIGINT", "-9223372036854775808", "BIGINT", nil},
	} {
		ta, tb := typ(t, c.ta), typ(t, c.tb)
		a, err := Cast(NewString(c.a), String, ta)
		if err != nil {
			t.Fatal(err)
		}
		b, err := Cast(NewString(c.b), String, tb)
		if err != nil {
			t.Fatal(err)
		}
		rt, err := ArithmeticType(c.op, ta, tb)
		if err != nil || rt.String() != c.wantType {
			t.Fatalf("%s %c %s has type %s (%v), want %s", ta, c.op, tb, rt, err, c.wantType)
		}
		got, err := Arithmetic(c.op, a, b, rt)
		if !errors.Is(err, c.err) || err == nil && got.String() != c.want {
			t.Errorf("%s %c %s = %s (%v), want %s (%v)", c.a, c.op, c.b, got, err, c.want, c.err)
		}
	}
	for _, bad := range [][2]Type{{Boolean, Integer}, {String, Integer}, {Decimal(70, 0), Decimal(70, 0)}} {
		if got, err := ArithmeticType(Mul, bad[0], bad[1]); err == nil {
			t.Errorf("%s * %s has type %s", bad[0], bad[1], got)
		}
	}
	if got, err := Arithmetic(Add, NullValue, NewInteger(1), Integer); err != nil || !got.IsNull() {
		t.Errorf("NULL + 1 = %s, %v", got, err)
	}
}

func TestCompare(t *testing.T) {
	ordered := [][]Value{
		{NewBoolean(false), NewBoolean(true)},
		{NewDouble(math.Inf(-1)), NewInteger(-1), NewDouble(-0.5), NewBigint(0), dec(t, "0.5"), NewInteger(1), NewDouble(math.Inf(1)), NewDouble(math.NaN())},
		{NewString(""), NewString("A"), NewString("AB"), NewString("B"), NewString("é"), NewString("😀"), NewString("\uE000"), NewString("\uFFFD")},
		{NewBytes(nil), NewBytes([]byte{1}), NewBytes([]byte{0xff})},
		{NewDate(0), NewTimestamp(1), NewDate(1)},
		{NewArray(nil), NewArray([]Value{NullValue}), NewArray([]Value{NewInteger(1)}), NewArray([]Value{NewInteger(1), NullValue})},
	}
	for _, list := range ordered {
		for i, a := range list {
			for j, b := range list {
				want := 0
				if i < j {
					want = -1
				} else if i > j {
					want = 1
				}
				if got := Compare(a, b); got != want {
					t.Errorf("Compare(%s, %s) = %d, want %d", a, b, got, want)
				}
				if Equal(a, b) != (want == 0) {
					t.Errorf("Equal(%s, %s) is wrong", a, b)
				}
			}
		}
	}
	m1 := NewMap(&MapValue{[]Value{NewString("a"), NewString("b")}, []Value{NewInteger(1), NullValue}})
	m2 := NewMap(&MapValue{[]Value{NewString("b"), NewString("a")}, []Value{NullValue, NewInteger(1)}})
	if !Equal(m1, m2) || Equal(m1, NullValue) || !Equal(dec(t, "1.0"), dec(t, "1.00")) {
		t.Error("Equal is wrong")
	}
}

func TestCommonType(t *testing.T) {
	lit := func(s string) Typed { v := NewString(s); return Typed{String, &v} }
	num := func(n int32) Typed { v := NewInteger(n); return Typed{Integer, &v} }
	of := func(s string) Typed { return Typed{Type: typ(t, s)} }
	for _, c := range []struct {
		list []Typed
		want string
	}{
		{[]Typed{of("NULL"), of("INTEGER"), of("BIGINT")}, "BIGINT"},
		{[]Typed{of("NULL"), of("NULL")}, "NULL"},
		{[]Typed{of("INTEGER"), of("DECIMAL(4, 2)")}, "DECIMAL(12, 2)"},
		{[]Typed{of("DECIMAL(4, 2)"), of("DOUBLE")}, "DOUBLE"},
		{[]Typed{of("INTEGER"), lit("100")}, "INTEGER"},
		{[]Typed{of("INTEGER"), lit("3e2")}, "DECIMAL(10, 0)"},
		{[]Typed{of("INTEGER"), lit("x")}, ""},
		{[]Typed{of("INTEGER"), of("STRING")}, ""},
		{[]Typed{lit("x"), num(1)}, "STRING"},
		{[]Typed{lit("x"), of("INTEGER")}, ""},
		{[]Typed{of("BOOLEAN"), lit("tr")}, "BOOLEAN"},
		{[]Typed{of("BOOLEAN"), lit("2")}, ""},
		{[]Typed{of("TIMESTAMP"), of("STRING")}, "TIMESTAMP"},
		{[]Typed{of("STRUCT<A INT>"), of("STRUCT<B INT, A BIGINT>")}, "STRUCT<`A` BIGINT, `B` INTEGER>"},
		{[]Typed{of("ARRAY<INT>"), of("ARRAY<DOUBLE>")}, "ARRAY<DOUBLE>"},
		{[]Typed{of("ARRAY<INT>"), of("ARRAY<STRING>")}, ""},
		{[]Typed{of("MAP<STRING, INT>"), of("MAP<STRING, BIGINT>")}, "MAP<STRING, BIGINT>"},
	} {
		got, _, err := CommonType(c.list)
		if err != nil && c.want != "" || err == nil && got.String() != c.want {
			t.Errorf("common type of %v is %s (%v), want %s", c.list, got, err, c.want)
		}
	}
}

func TestCoerceLiteral(t *testing.T) {
	const fails = "!"
	for _, c := range []struct {
		v        Value
		from, to string
		want     string
	}{
		{NewString("No"), "STRING", "BOOLEAN", "false"},
		{NewString("maybe"), "STRING", "BOOLEAN", fails},
		{NewString("1.50"), "STRING", "DECIMAL(3, 1)", "1.5"},
		{NewString("1.55"), "STRING", "DECIMAL(3, 1)", fails},
		{NewString("7"), "STRING", "BIGINT", "7"},
		{NewInteger(7), "INTEGER", "STRING", "7"},
		{NewInteger(7), "INTEGER", "DOUBLE", "7.0"},
		{NewBigint(7), "BIGINT", "INTEGER", fails},
		{NewDouble(7), "DOUBLE", "BIGINT", fails},
		{dec(t, "7.10"), "DECIMAL(3, 2)", "DECIMAL(2, 1)", "7.1"},
		{dec(t, "7.11"), "DECIMAL(3, 2)", "DECIMAL(2, 1)", fails},
		{NewInteger(1), "INTEGER", "BOOLEAN", fails},
		{NewArray([]Value{NewString("1")}), "ARRAY<STRING>", "ARRAY<INT>", "[1]"},
		{NewStruct([]Value{NewInteger(1)}), "STRUCT<B INT>", "STRUCT<A INT, B STRING>", "{A=null, B=1}"},
		{NewStruct([]Value{NewInteger(1)}), "STRUCT<C INT>", "STRUCT<A INT, B STRING>", fails},
		{NullValue, "NULL", "INTEGER", "null"},
	} {
		to := typ(t, c.to)
		got, err := CoerceLiteral(c.v, typ(t, c.from), to)
		text := FormatText(got, to)
		if err != nil {
			text = fails
		}
		if text != c.want {
			t.Errorf("%s to %s gives %s (%v), want %s", c.v, to, text, err, c.want)
		}
	}
}

func TestFormatDouble(t *testing.T) {
	for f, want := range map[float64]string{
		0: "0.0", 1: "1.0", -1.5: "-1.5", 1e7: "1.0E7", 9999999: "9999999.0", 1e-3: "0.001", 9.99e-4: "9.99E-4", 4.9e-324: "4.9E-324",
		1.7976931348623157e308: "1.7976931348623157E308", 1e23: "1.0E23", 123456789: "1.23456789E8", math.Inf(-1): "-Infinity",
	} {
		if got := FormatDouble(f); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestDecimalLiteral(t *testing.T) {
	for s, want := range map[string]string{
		"1.50": "DECIMAL(3, 2)", "0.005": "DECIMAL(4, 3)", "0.5": "DECIMAL(2, 1)", "1": "DECIMAL(1, 0)", "100": "DECIMAL(3, 0)",
		"0.0": "DECIMAL(2, 1)", "1e2": "DECIMAL(3, 0)", "-0.0": "DECIMAL(2, 1)", "0001.10": "DECIMAL(3, 2)",
	} {
		if _, got, err := DecimalLiteral(dec(t, s).Decimal()); err != nil || got.String() != want {
			t.Errorf("%s is a %s (%v), want %s", s, got, err, want)
		}
	}
}

// TestCivilDate walks over days of every kind of year.
func TestCivilDate(t *testing.T) {
	for d := int64(-800_000); d < 800_000; d += 97 {
		y, m, day := CivilDate(d)
		if DaysOf(y, m, day) != d || day < 1 || day > DaysInMonth(y, m) {
			t.Fatalf("day %d is %d-%d-%d, which is day %d", d, y, m, day, DaysOf(y, m, day))
		}
	}
	for days, want := range map[int64]string{0: "1970-01-01", -1: "1969-12-31", 19782: "2024-02-29", -719162: "0001-01-01", 2932897: "+10000-01-01"} {
		if got := FormatDate(days); got != want {
			t.Errorf("day %d is %s, want %s", days, got, want)
		}
	}
}

func TestValueJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := genValue(t, 3)
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		var back Value
		if err := json.Unmarshal(text, &back); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		again, err := json.Marshal(back)
		if err != nil || string(again) != string(text) || back.Kind() != v.Kind() || !Equal(v, back) {
			t.Fatalf("%s came back as %s (%v)", text, again, err)
		}
	})
	for _, s := range []string{`1`, `{}`, `{"INTEGER":1,"DATE":2}`, `{"FOO":1}`, `{"INTEGER":"x"}`, `{"DECIMAL":"x"}`} {
		var v Value
		if err := json.Unmarshal([]byte(s), &v); err == nil {
			t.Errorf("%s was read as %s", s, v)
		}
	}
}

func genValue(t *rapid.T, depth int) Value {
	kinds := 11
	if depth > 0 {
		kinds = 14
	}
	list := func() []Value {
		out := make([]Value, rapid.IntRange(0, 3).Draw(t, "len"))
		for i := range out {
			out[i] = genValue(t, depth-1)
		}
		return out
	}
	switch Kind(rapid.IntRange(0, kinds-1).Draw(t, "kind")) {
	case KindBoolean:
		return NewBoolean(rapid.Bool().Draw(t, "b"))
	case KindInteger:
		return NewInteger(rapid.Int32().Draw(t, "i"))
	case KindBigint:
		return NewBigint(rapid.Int64().Draw(t, "i"))
	case KindDouble:
		return NewDouble(rapid.Float64().Draw(t, "f"))
	case KindDecimal:
		return NewDecimal(apd.New(rapid.Int64().Draw(t, "d"), -rapid.Int32Range(0, 10).Draw(t, "s")))
	case KindString:
		return NewString(string(rapid.SliceOf(rapid.Byte()).Draw(t, "s")))
	case KindBytes:
		return NewBytes(rapid.SliceOf(rapid.Byte()).Draw(t, "s"))
	case KindTime:
		return NewTime(rapid.Int32().Draw(t, "i"))
	case KindDate:
		return NewDate(rapid.Int32().Draw(t, "i"))
	case KindTimestamp:
		return NewTimestamp(rapid.Int64().Draw(t, "i"))
	case KindArray:
		return NewArray(list())
	case KindStruct:
		return NewStruct(list())
	case KindMap:
		m := &MapValue{}
		for i, v := range list() {
			m.Keys, m.Values = append(m.Keys, NewInteger(int32(i))), append(m.Values, v)
		}
		return NewMap(m)
	}
	return NullValue
}

func TestAllocations(t *testing.T) {
	a, b := NewString("some text that is long"), NewString("some text that is longer")
	if n := testing.AllocsPerRun(100, func() {
		if Compare(a, b) >= 0 || Equal(a, b) {
			t.Fatal("wrong order")
		}
		if _, err := Cast(NewInteger(5), Integer, Bigint); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}
