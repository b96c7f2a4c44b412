package format

import (
	"testing"

	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// readsBack checks that what a codec accepts it can write, and that it reads
// what it wrote as the same row.
func readsBack(t *testing.T, r *Row, cs []types.Column, payload []byte) {
	t.Helper()
	v, err := r.Decode(payload)
	if err != nil {
		return
	}
	out, err := r.Encode(v)
	if err != nil {
		t.Fatalf("%q: what was read as %s does not encode: %v", payload, text(t, cs, v), err)
	}
	if out == nil {
		for _, x := range v {
			if !x.IsNull() {
				t.Fatalf("%q: what was read as %s is written as nothing", payload, text(t, cs, v))
			}
		}
		return
	}
	back, err := r.Decode(out)
	if err != nil || text(t, cs, back) != text(t, cs, v) {
		t.Fatalf("%q, read as %s and written as %q, reads back as %v, %v", payload, text(t, cs, v), out, back, err)
	}
}

// jsonSeeds reach every type, and the ends of its values.
var jsonSeeds = []string{
	`{"a":true,"b":2,"c":"3","d":4.5e-3,"e":"6.78","f":-9e2,"g":{"x":[1,null]},"h":"AQ==","i":1,"j":-1,"k":0}`,
	`{"l":[["a",null],null,[]],"m":{"k":"AQ==","":null},"n":{"x":1,"Y":[1.5,"2"],"m":{"a":{"t":5}}},"o":[true,false]}`,
	`{"E":1e400,"D":1e-400,"b":2147483648,"G":"\ud800\u0000\"","A":"TRUE"} `, `{"a":1,"A":2,"b":null}`, `[1,2]`, `"x"`, `null`, `1e3`, "{\"g\":\"\xff\"}", `{"g":`,
}

// FuzzJSON feeds objects, and bare values to a column of every type.
func FuzzJSON(f *testing.F) {
	all := allTypes()
	for i, s := range jsonSeeds {
		f.Add([]byte(s), byte(i))
	}
	wrapped, err := NewRow(plan.Format{Name: "JSON"}, all, Side{})
	if err != nil {
		f.Fatal(err)
	}
	bare := make([]*Row, len(all))
	for i := range all {
		if bare[i], err = NewRow(plan.Format{Name: "JSON", Unwrapped: true}, all[i:i+1], Side{}); err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, column byte) {
		readsBack(t, wrapped, all, b)
		i := int(column) % len(all)
		readsBack(t, bare[i], all[i:i+1], b)
	})
}

// FuzzJSONSR feeds payloads behind a schema id, known or not.
func FuzzJSONSR(f *testing.F) {
	r := avroRegistry(f)
	all := allTypes()
	s, err := DeriveSchema(plan.Format{Name: "JSON_SR"}, all)
	if err != nil {
		f.Fatal(err)
	}
	register(f, r, "t-value", s)
	row, err := NewRow(plan.Format{Name: "JSON_SR"}, all, Side{Topic: "t", Schemas: r})
	if err != nil {
		f.Fatal(err)
	}
	for i, s := range jsonSeeds {
		f.Add(append([]byte{0, 0, 0, 0, byte(i)}, s...))
		f.Add(append([]byte{0, 0, 0, 0, 1}, s...))
	}
	f.Add([]byte{0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) { readsBack(t, row, all, b) })
}

// FuzzDelimited feeds records to columns of every type that it holds, with any
// delimiter.
func FuzzDelimited(f *testing.F) {
	text := cols(types.String, types.Integer, types.Bigint, types.Double, types.Decimal(8, 2), types.Decimal(60, 3), types.Boolean,
		types.Bytes, types.Time, types.Date, types.Timestamp)
	shapes := [][]types.Column{text, cols(types.Double, types.String), cols(types.Integer), cols(types.String)}
	rows := map[string][]*Row{} // by delimiter, those of every shape
	for _, s := range []struct{ payload, delimiter string }{
		{`a,1,2,3.5,4.25,5,true,AQ==,1,-1,0`, ""}, {`"a ""b"",",,,,,,,,,,` + "\r\n", ","}, {"x\t-1\t\t-0\t1e3\t1e-3\tT\t\t\t\t", "TAB"},
		{`-1,"#"`, ""}, {`1e3x" "`, "x"}, {`"1.5".1`, "."}, {`NaN,é`, ""}, {`"a`, "SPACE"}, {"1--", "-"},
	} {
		f.Add([]byte(s.payload), s.delimiter)
	}
	f.Fuzz(func(t *testing.T, b []byte, delimiter string) {
		if len(rows) > 300 { // more than there are delimiters: the rest are errors
			clear(rows)
		}
		if _, ok := rows[delimiter]; !ok {
			rows[delimiter] = nil
			for _, cs := range shapes {
				if r, err := NewRow(plan.Format{Name: "DELIMITED", Delimiter: delimiter}, cs, Side{}); err == nil {
					rows[delimiter] = append(rows[delimiter], r)
				}
			}
		}
		for i, r := range rows[delimiter] {
			readsBack(t, r, shapes[i], b)
		}
	})
}

// TestDelimitedScalars writes values whose text holds the delimiter, and an empty
// value in front.
func TestDelimitedScalars(t *testing.T) {
	cs := cols(types.Bytes, types.Double, types.Boolean)
	for delimiter, want := range map[string]string{"": ",-1.5,true", "-": `-"-1.5"-true`, ".": `."-1.5".true`, "r": `r-1.5r"true"`} {
		r, err := NewRow(plan.Format{Name: "DELIMITED", Delimiter: delimiter}, cs, Side{})
		if err != nil {
			t.Fatal(err)
		}
		got, err := r.Encode([]types.Value{types.NewBytes(nil), types.NewDouble(-1.5), types.NewBoolean(true)})
		if err != nil || string(got) != want {
			t.Errorf("delimiter %q: %s, %v, expected %s", delimiter, got, err, want)
		}
		back, err := r.Decode(got)
		if err != nil || back[1].Float() != -1.5 || !back[2].Bool() {
			t.Errorf("delimiter %q: %s reads back as %v, %v", delimiter, got, back, err)
		}
	}
	for _, delimiter := range []string{"\n", "\r", `"`, "ab", "é"} {
		if _, err := NewRow(plan.Format{Name: "DELIMITED", Delimiter: delimiter}, cs, Side{}); err == nil {
			t.Errorf("delimiter %q is accepted", delimiter)
		}
	}
}

// FuzzKafka feeds raw values to a column of each type.
func FuzzKafka(f *testing.F) {
	all := cols(types.Integer, types.Bigint, types.Double, types.String, types.Bytes)
	rows := make([]*Row, len(all))
	for i := range all {
		var err error
		if rows[i], err = NewRow(plan.Format{Name: "KAFKA"}, all[i:i+1], Side{}); err != nil {
			f.Fatal(err)
		}
	}
	for _, s := range []string{"", "\x00\x00\x00\x01", "\x7f\xf0\x00\x00\x00\x00\x00\x01", "\x80\x00\x00\x00\x00\x00\x00\x00", "text é", "\xff\xfe"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i, r := range rows {
			readsBack(t, r, all[i:i+1], b)
			if v, err := r.Decode(b); err == nil {
				out, err := r.Encode(v)
				if err != nil || string(out) != string(b) {
					t.Fatalf("%s: %x is written as %x, %v", all[i].Type, b, out, err)
				}
			}
		}
	})
}
