package batch

import (
	"math/big"
	"testing"

	"github.com/apache/arrow/go/v15/arrow/array"
	"github.com/apache/arrow/go/v15/arrow/memory"
	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"

	"github.com/millrace/millrace/sql/types"
)

func genInt128(t *rapid.T, label string) Int128 {
	a := Int128{rapid.Int64().Draw(t, label+"Hi"), rapid.Uint64().Draw(t, label+"Lo")}
	if rapid.Bool().Draw(t, label+"Small") {
		return FromInt64(a.Hi)
	}
	return a
}

func TestInt128AgainstBig(t *testing.T) {
	fits := func(v *big.Int) bool { return v.BitLen() <= 127 }
	rapid.Check(t, func(t *rapid.T) {
		a, b := genInt128(t, "a"), genInt128(t, "b")
		if a.Hi == -1<<63 || b.Hi == -1<<63 {
			t.Skip() // beyond 38 digits anyway
		}
		x, y := a.Big(), b.Big()
		check := func(name string, got Int128, ok bool, want *big.Int) {
			if ok != fits(want) && want.BitLen() != 127+1 || ok && got.Big().Cmp(want) != 0 {
				t.Fatalf("%s(%s, %s) = %s, %v; want %s", name, x, y, got.Big(), ok, want)
			}
		}
		r, ok := a.Add(b)
		check("add", r, ok, new(big.Int).Add(x, y))
		r, ok = a.Sub(b)
		check("sub", r, ok, new(big.Int).Sub(x, y))
		r, ok = a.Mul(b)
		check("mul", r, ok, new(big.Int).Mul(x, y))
		if got := a.Cmp(b); got != x.Cmp(y) {
			t.Fatalf("cmp(%s, %s) = %d", x, y, got)
		}
		scale := rapid.IntRange(0, 38).Draw(t, "scale")
		d := apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(x), int32(-scale))
		if got, want := string(a.AppendDecimal(nil, scale)), d.Text('f'); got != want {
			t.Fatalf("text of %s scale %d = %s, want %s", x, scale, got, want)
		}
		if back, ok := FromApd(a.Apd(int32(scale)), int32(scale)); !ok || back != a {
			t.Fatalf("apd round trip of %s = %s, %v", x, back.Big(), ok)
		}
	})
}

func TestVectorKeepsNullsAcrossReset(t *testing.T) {
	var s Scratch
	v := s.Vector(types.Bigint, 3)
	v.I64[0], v.I64[2] = 1, 3
	v.SetNull(1)
	if v.IsNull(0) || !v.IsNull(1) || v.IsNull(2) {
		t.Fatal("validity is wrong")
	}
	s.Reset()
	if w := s.Vector(types.Timestamp, 100); w != v || w.IsNull(1) {
		t.Fatal("a reset vector is not reused, or remembers a NULL")
	}
}

func TestRecordCopiesEverything(t *testing.T) {
	mem := memory.NewCheckedAllocator(memory.DefaultAllocator)
	defer mem.AssertSize(t, 0)
	schema := types.Schema{
		Key: []types.Column{{Name: "K", Type: types.String}},
		Value: []types.Column{
			{Name: "I", Type: types.Integer}, {Name: "D", Type: types.Decimal(5, 2)}, {Name: "B", Type: types.Boolean},
			{Name: "A", Type: types.Array(types.Bigint)}, {Name: "M", Type: types.Map(types.String, types.Double)},
			{Name: "S", Type: types.Struct(types.Field{Name: "X", Type: types.Bytes})},
		},
	}
	var s Scratch
	b := s.Batch(&schema, false)
	row := []types.Value{
		types.NewString("k"), types.NewInteger(7), types.NewDecimal(apd.New(150, -2)), types.NewBoolean(true),
		types.NewArray([]types.Value{types.NewBigint(1), types.NullValue}),
		types.NewMap(&types.MapValue{Keys: []types.Value{types.NewString("a")}, Values: []types.Value{types.NewDouble(0.5)}}),
		types.NewStruct([]types.Value{types.NewBytes([]byte{1})}),
	}
	for n := range 3 {
		i := b.Append(0, 0, int64(n), Insert)
		for c, v := range row {
			if n == 1 {
				v = types.NullValue
			}
			if !b.Cols[c].Set(i, v) {
				t.Fatalf("column %d does not take %v", c, v)
			}
		}
	}
	b.Sel = []int32{0, 1}
	rec, err := b.Record(mem, []string{"K", "I", "D", "B", "A", "M", "S"})
	if err != nil {
		t.Fatal(err)
	}
	defer rec.Release()
	if rec.NumRows() != 2 || rec.Column(0).(*array.String).Value(0) != "k" || rec.Column(1).(*array.Int32).Value(0) != 7 {
		t.Fatalf("record is %v", rec)
	}
	if got := rec.Column(2).ValueStr(0); got != "1.5" && got != "1.50" {
		t.Fatalf("decimal is %s", got)
	}
	for c := range row {
		if !rec.Column(c).IsNull(1) || rec.Column(c).IsNull(0) {
			t.Fatalf("column %d: NULLs are wrong", c)
		}
	}
}
