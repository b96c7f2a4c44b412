package kafka

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestBuilderRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type rec struct {
			ts         Timestamp
			key, value []byte
			headers    []Header
		}
		field := func(name string) []byte {
			switch rapid.IntRange(0, 4).Draw(t, name+" kind") {
			case 0:
				return nil
			case 1:
				return []byte{}
			case 2: // longer than the two-byte length placeholder allows
				return bytes.Repeat([]byte{'x'}, rapid.IntRange(8000, 20000).Draw(t, name+" size"))
			default:
				return rapid.SliceOfN(rapid.Byte(), 0, 200).Draw(t, name)
			}
		}
		recs := rapid.SliceOfN(rapid.Custom(func(*rapid.T) rec {
			r := rec{ts: Timestamp(rapid.Int64Range(0, 1<<45).Draw(t, "ts")), key: field("key"), value: field("value")}
			if rapid.Bool().Draw(t, "headers") {
				r.headers = []Header{{Key: "a", Value: nil}, {Key: "", Value: []byte{}}, {Key: "b", Value: []byte("v")}}
			}
			return r
		}), 1, 20).Draw(t, "records")

		var w BatchBuilder
		for i, r := range recs {
			w.Append(r.ts, r.key, r.value, r.headers)
			if i%7 == 6 {
				w.Finish()
			}
		}
		w.Finish()
		if w.Records() != len(recs) {
			t.Fatalf("Records() = %d, want %d", w.Records(), len(recs))
		}
		rest := w.Bytes()
		i := 0
		for len(rest) > 0 {
			var b Batch
			var err error
			if b, rest, err = NextBatch(rest); err != nil {
				t.Fatal(err)
			}
			if !b.CRCValid() {
				t.Fatal("CRC does not match")
			}
			walk := b.Records(b.Payload())
			for walk.Next() {
				got, want := walk.Record(), recs[i]
				if got.Timestamp != want.ts || !sameBytes(got.Key, want.key) || !sameBytes(got.Value, want.value) {
					t.Fatalf("record %d: got %v, want %v", i, got, want)
				}
				headers, err := ParseHeaders(got.RawHeaders, 10)
				if err != nil || len(headers) != len(want.headers) {
					t.Fatalf("record %d headers: %v, %v", i, headers, err)
				}
				for h := range headers {
					if headers[h].Key != want.headers[h].Key || !sameBytes(headers[h].Value, want.headers[h].Value) {
						t.Fatalf("record %d header %d: %v", i, h, headers[h])
					}
				}
				i++
			}
			if err := walk.Err(); err != nil {
				t.Fatal(err)
			}
		}
		if i != len(recs) {
			t.Fatalf("walked %d records, want %d", i, len(recs))
		}
	})
}

// sameBytes is equality that tells null from empty.
func sameBytes(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

// TestDeleteHorizon: a horizon stands in place of the base timestamp, and the
// records' deltas count from it, as for any client that does not know of it.
func TestDeleteHorizon(t *testing.T) {
	var w BatchBuilder
	w.Append(1000, []byte("k"), nil, nil)
	w.Finish()
	b := Batch(w.Bytes())
	if _, ok := b.DeleteHorizon(); ok {
		t.Fatal("a batch without horizon has one")
	}
	b.SetAttributes(AttrDeleteHorizon)
	b.SetBaseTimestamp(5000)
	b.Seal()
	if h, ok := b.DeleteHorizon(); !ok || h != 5000 || !b.CRCValid() {
		t.Fatalf("horizon %d, %v", h, ok)
	}
	walk := b.Records(b.Payload())
	if !walk.Next() || walk.Record().Timestamp != 5000 {
		t.Fatalf("a delta of 0 from the horizon is %d", walk.Record().Timestamp)
	}
}

func TestAbortRecord(t *testing.T) {
	var w BatchBuilder
	w.BeginRecord(5)
	w.NullField()
	w.AbortRecord()
	w.Finish()
	if w.Len() != 0 {
		t.Fatalf("an aborted first record leaves %d bytes", w.Len())
	}
	w.Append(1, nil, []byte("kept"), nil)
	w.BeginRecord(2)
	w.BeginField()
	w.AbortRecord()
	w.Finish()
	b, rest, err := NextBatch(w.Bytes())
	if err != nil || rest != nil || b.Count() != 1 || !b.CRCValid() {
		t.Fatalf("batch after an aborted record: count %d, err %v", b.Count(), err)
	}
}

// Expected values: Kafka's own UtilsTest.testMurmur2 publishes these pairs.
func TestMurmur2(t *testing.T) {
	for key, want := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
		"abc": 479470107,
	} {
		if got := int32(murmur2([]byte(key))); got != want {
			t.Errorf("murmur2(%q) = %d, want %d", key, got, want)
		}
	}
}

func FuzzRecords(f *testing.F) {
	var w BatchBuilder
	w.Append(1, []byte("k"), []byte("v"), []Header{{Key: "h", Value: []byte("x")}})
	w.Append(2, nil, nil, nil)
	w.Finish()
	f.Add(w.Bytes())
	f.Add(w.Bytes()[:w.Len()-3])
	f.Add([]byte(strings.Repeat("\x00", BatchHeaderBytes)))
	f.Fuzz(func(t *testing.T, data []byte) {
		for len(data) > 0 {
			b, rest, err := NextBatch(data)
			if err != nil {
				return
			}
			n := int32(0)
			walk := b.Records(b.Payload())
			for walk.Next() {
				n++
				_, _ = ParseHeaders(walk.Record().RawHeaders, 100)
			}
			if walk.Err() == nil && n != b.Count() && b.Count() >= 0 {
				t.Fatalf("walked %d of %d records without an error", n, b.Count())
			}
			data = rest
		}
	})
}

// TestShortRecords compares the walk's two ways over records that are whole and
// over damaged ones: the short one takes only what the long one takes, with the
// same result, and every whole record with small numbers.
func TestShortRecords(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	random := func(n int) []byte {
		if n < 0 {
			return nil
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		return b
	}
	sizes := []int{-1, 0, 1, 2, 31, 63, 64, 65, 127, 8190, 8191, 8192, 20_000}
	for range 20_000 {
		var w BatchBuilder
		key, value := sizes[rng.IntN(len(sizes))], sizes[rng.IntN(len(sizes))]
		var headers []Header
		if rng.IntN(3) == 0 {
			headers = []Header{{Key: "h", Value: random(sizes[rng.IntN(4)])}}
		}
		w.Append(7, nil, []byte("first"), nil)
		w.Append(Timestamp(7+rng.IntN(1<<rng.IntN(14))), random(key), random(value), headers)
		w.Finish()
		batch := Batch(w.Bytes())
		payload := batch.Payload()
		whole := rng.IntN(2) == 0
		if !whole {
			payload = slices.Clone(payload)
			if rng.IntN(2) == 0 {
				payload = payload[:rng.IntN(len(payload)+1)]
			}
			for range 1 + rng.IntN(3) {
				if len(payload) > 0 {
					payload[rng.IntN(min(len(payload), 24))] = byte(rng.Uint32())
				}
			}
		}
		short, long := batch.Records(payload), batch.Records(payload)
		for range 2 {
			took, valid := short.short(), long.long()
			if took && !valid {
				t.Fatalf("payload %x: the short way takes what the long one says is %v", payload, long.Err())
			}
			if !took {
				if whole && len(short.rest) < 8000 {
					t.Fatalf("payload %x: not taken", payload)
				}
				break
			}
			if !reflect.DeepEqual(short.rec, long.rec) || len(short.rest) != len(long.rest) {
				t.Fatalf("payload %x: %+v, want %+v", payload, short.rec, long.rec)
			}
		}
	}
}
