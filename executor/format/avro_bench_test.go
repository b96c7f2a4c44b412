package format

import (
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/avro"

	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

func bidSchema(typ func(string) string) string {
	var b strings.Builder
	b.WriteString(`{"type":"record","name":"Bid","fields":[`)
	for i, f := range []string{"auction:long", "bidder:long", "price:long", "channel:string", "url:string", "dateTime:long", "extra:string"} {
		name, t, _ := strings.Cut(f, ":")
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`{"name":"` + name + `","type":` + typ(`"`+t+`"`) + `}`)
	}
	return b.String() + `]}`
}

func plainType(t string) string    { return t }
func nullableType(t string) string { return `["null",` + t + `]` }

// bidAvro returns the columns, a registry and a payload of a flat record.
func bidAvro(t testing.TB, schema string) (*registry.Registry, []types.Column, []byte) {
	t.Helper()
	cs, _ := bidPayload()
	r := avroRegistry(t)
	id := register(t, r, "bids", avroText(schema))
	out := appendEnvelope(nil, id)
	for _, v := range []any{int64(1000123), int64(2001), int64(123456), "Apple", "https://www.nexmark.com/item.htm?query=1", int64(1600000000000), strings.Repeat("x", 86)} {
		if strings.Contains(schema, "null") {
			out = append(out, 2)
		}
		switch v := v.(type) {
		case int64:
			out = binary.AppendVarint(out, v)
		case string:
			out = appendAvroBytes(out, v)
		}
	}
	return r, cs, out
}

func TestAvroAllocatesNothing(t *testing.T) {
	r, cs, payload := bidAvro(t, bidSchema(nullableType))
	cs = append(cs, types.Column{Name: "NONE", Type: types.Integer})
	s, err := DeriveSchema(plan.Format{Name: "AVRO"}, cs)
	if err != nil {
		t.Fatal(err)
	}
	register(t, r, "t-value", s)
	codec, err := New(plan.Format{Name: "AVRO"}, cs, Side{Topic: "t", Schemas: r})
	if err != nil {
		t.Fatal(err)
	}
	vecs := vectorsOf(cs, payload)
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

func benchmarkDecodeAvro(b *testing.B, schema string, want func(k int) bool) {
	r, cs, payload := bidAvro(b, schema)
	codec, err := New(plan.Format{Name: "AVRO"}, cs, Side{Topic: "t", Schemas: r})
	if err != nil {
		b.Fatal(err)
	}
	vecs := vectorsOf(cs, payload)
	for k := range vecs {
		if !want(k) {
			vecs[k] = nil
		}
	}
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	for b.Loop() {
		if err := codec.Decode(vecs, 0, payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecodeAvro(b *testing.B) {
	all := func(int) bool { return true }
	b.Run("plain", func(b *testing.B) { benchmarkDecodeAvro(b, bidSchema(plainType), all) })
	b.Run("nullable", func(b *testing.B) { benchmarkDecodeAvro(b, bidSchema(nullableType), all) })
	b.Run("two of seven", func(b *testing.B) {
		benchmarkDecodeAvro(b, bidSchema(nullableType), func(k int) bool { return k == 0 || k == 2 })
	})
	b.Run("library", func(b *testing.B) {
		_, _, payload := bidAvro(b, bidSchema(nullableType))
		s := avro.MustParse(bidSchema(nullableType))
		b.SetBytes(int64(len(payload)))
		b.ReportAllocs()
		for b.Loop() {
			var v any
			if _, err := s.Decode(payload[envelopeLen:], &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkAppendAvro(b *testing.B) {
	r, cs, payload := bidAvro(b, bidSchema(nullableType))
	s, err := DeriveSchema(plan.Format{Name: "AVRO"}, cs)
	if err != nil {
		b.Fatal(err)
	}
	register(b, r, "t-value", s)
	codec, err := New(plan.Format{Name: "AVRO"}, cs, Side{Topic: "t", Schemas: r})
	if err != nil {
		b.Fatal(err)
	}
	vecs := vectorsOf(cs, payload)
	if err := codec.Decode(vecs, 0, payload); err != nil {
		b.Fatal(err)
	}
	out := make([]byte, 0, 1024)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := codec.Append(out, vecs, 0); err != nil {
			b.Fatal(err)
		}
	}
}
