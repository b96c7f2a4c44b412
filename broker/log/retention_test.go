package log

import (
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
)

// TestRetentionStopsAtOpenTransactions: neither age nor size removes what is at
// the last stable offset or above it.
func TestRetentionStopsAtOpenTransactions(t *testing.T) {
	for _, archived := range []bool{false, true} {
		o := newOracle(t, rand.New(rand.NewPCG(1, 1)))
		for range 10 {
			o.append(kafka.NoProducerID, false)
		}
		open := o.next
		o.append(7, true)
		for range 10 {
			o.append(kafka.NoProducerID, false)
		}
		if archived {
			o.archive(true)
		}
		for name, start := range map[string]kafka.Offset{
			"age":  o.p.Expired(1<<62, -1),
			"size": o.p.Expired(kafka.NoTimestamp, 0),
		} {
			if start > open || start == 0 && !archived {
				t.Errorf("archived %v, by %s: the log would start at %d, a transaction is open at %d", archived, name, start, open)
			}
		}
		o.end(7, true)
		if start := o.p.Expired(1<<62, -1); start != o.next {
			t.Errorf("archived %v: after the transaction the log would start at %d, not %d", archived, start, o.next)
		}
	}
}

// TestRollByTime: the timestamps of a segment's batches are no further apart
// than segment.ms, whatever its size.
func TestRollByTime(t *testing.T) {
	o := newOracle(t, rand.New(rand.NewPCG(2, 2)))
	for range 50 {
		o.now += 100
		o.append(kafka.NoProducerID, false)
	}
	roll := Roll{Bytes: 1 << 30, Age: 1000}
	if err := o.store.Archive(1, []*Partition{o.p}, func(*Partition) Roll { return roll }); err != nil {
		t.Fatal(err)
	}
	if n := len(o.p.segments); n < 4 || n > 6 {
		t.Fatalf("%d segments of 5 s with segment.ms of 1 s", n)
	}
	for _, s := range o.p.segments {
		if s.maxTimestamp-s.firstTimestamp > 1000 {
			t.Errorf("segment at %d spans %d ms", s.base, s.maxTimestamp-s.firstTimestamp)
		}
	}
	o.check(o.p)
}
