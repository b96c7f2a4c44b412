package wal

import (
	"hash/crc32"
	"math/rand/v2"
	"testing"
)

// TestJoinCRC: the joined checksum of two pieces is that of the whole.
func TestJoinCRC(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 2000 {
		whole := make([]byte, rnd.IntN(1+i*40))
		for j := range whole {
			whole[j] = byte(rnd.Uint32())
		}
		cut := rnd.IntN(len(whole) + 1)
		first, second := crc32.Checksum(whole[:cut], castagnoli), crc32.Checksum(whole[cut:], castagnoli)
		if got, want := joinCRC(first, second, len(whole)-cut), crc32.Checksum(whole, castagnoli); got != want {
			t.Fatalf("%d bytes cut at %d: %08x, want %08x", len(whole), cut, got, want)
		}
	}
	// The longest that a frame can be: x^8n is x^(8n mod the order of x).
	const long = 1<<31 - 1
	zeros := make([]byte, 1<<20)
	want := uint32(0x12345678)
	for left := long; left > 0; left -= min(left, len(zeros)) {
		want = crc32.Update(want, castagnoli, zeros[:min(left, len(zeros))])
	}
	sum := uint32(0)
	for left := long; left > 0; left -= min(left, len(zeros)) {
		sum = crc32.Update(sum, castagnoli, zeros[:min(left, len(zeros))])
	}
	if got := joinCRC(0x12345678, sum, long); got != want {
		t.Fatalf("%d zeros: %08x, want %08x", long, got, want)
	}
}

// TestSummed: a frame whose parts have known checksums is the same as one that is
// read, whatever was added before and behind them and taken out, and comes back.
func TestSummed(t *testing.T) {
	rnd, spared := rand.New(rand.NewPCG(3, 4)), 0
	for range 300 {
		read, known := NewFrame(0), NewFrame(0)
		for range 1 + rnd.IntN(5) {
			batches := make([]byte, rnd.IntN(4*summedBytesMin))
			for j := range batches {
				batches[j] = byte(rnd.Uint32())
			}
			from := min(21, len(batches))
			read.AddBatches(TopicID{1}, 2, batches)
			i := known.AddBatches(TopicID{1}, 2, batches)
			if rnd.IntN(4) > 0 {
				known.Summed(i, from, crc32.Checksum(batches[from:], castagnoli))
			}
			if rnd.IntN(4) == 0 {
				read.Drop(i)
				known.Drop(i)
			}
			if rnd.IntN(2) == 0 {
				read.AddEvent(9, batches[:from], nil)
				known.AddEvent(9, batches[:from], nil)
			}
		}
		h := header{epoch: 1, file: 2, sequence: 3, synced: 4}
		read.seal(h)
		known.seal(h)
		if string(read.buf) != string(known.buf) {
			t.Fatal("the frames differ")
		}
		spared += len(known.buf) - known.unsummed()
	}
	if spared == 0 {
		t.Fatal("everything was read")
	}
}

// BenchmarkJoinCRC shows from where on joining is cheaper than reading.
func BenchmarkJoinCRC(b *testing.B) {
	for b.Loop() {
		joinCRC(1, 2, 123_457)
	}
}
