package kafka

import "testing"

// BenchmarkRecords walks a batch of 1,000 records of 100 bytes.
func BenchmarkRecords(b *testing.B) {
	var w BatchBuilder
	value := make([]byte, 100)
	for i := range 1000 {
		w.Append(Timestamp(1_700_000_000_000+i), nil, value, nil)
	}
	w.Finish()
	batch := Batch(w.Bytes())
	b.SetBytes(int64(len(batch)))
	for b.Loop() {
		n := 0
		r := batch.Records(batch.Payload())
		for r.Next() {
			n += len(r.Record().Value)
		}
		if r.Err() != nil || n != 100_000 {
			b.Fatal(n, r.Err())
		}
	}
}
