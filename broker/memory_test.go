package broker

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/lend"
	"github.com/millrace/millrace/internal/vfs"
)

// What is read of memory that has returned shows in every test.
func init() { lend.Poison = true }

// largeValue is a value that is known by its number and fills a frame in lent memory.
func largeValue(i int) string { return strings.Repeat(fmt.Sprintf("%07d.", i), 10_000) }

// checkLarge verifies runs of batches of one large value each, from number i on.
func checkLarge(t *testing.T, runs [][]byte, i int) (next int) {
	t.Helper()
	for _, batches := range runs {
		for len(batches) > 0 {
			b, rest, err := kafka.NextBatch(batches)
			if err != nil || !b.CRCValid() || !strings.Contains(string(b), largeValue(i)) {
				t.Errorf("record %d is not what was written: %v", i, err)
				return -1
			}
			batches = rest
			i++
		}
	}
	return i
}

// TestLentFrames: frames leave the memory while they are read. Readers that say when
// they are done see every byte until then, and those that never say so for good.
func TestLentFrames(t *testing.T) {
	const records = 60
	b := mustOpen(t, vfs.NewMem(), Limits{TailMaxBytes: 200_000}) // two records and a half
	createTopics(t, b, TopicSpec{Name: "a"})
	p := b.topics.partition(tpA)
	var readers sync.WaitGroup
	readers.Go(func() { // keeps everything
		r, err := b.OpenReader(tpA, 0, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Close()
		var kept [][]byte
		for next := kafka.Offset(0); next < records; {
			c, err := r.Poll(1 << 20)
			if err != nil {
				t.Error(err)
				return
			}
			if next = c.Next; len(c.Batches) > 0 {
				kept = append(kept, c.Batches)
			}
		}
		if n := checkLarge(t, kept, 0); n != records {
			t.Errorf("%d records", n)
		}
	})
	readers.Go(func() { // gives back what it has checked, a little later
		var pinned []*wal.Frame
		var runs [][]byte
		first := 0
		for next := kafka.Offset(0); next < records; {
			got, err := p.ReadMany(next, p.Bounds().HighWatermark, log.Want{
				Bytes: 100_000, AtLeastOne: true, Pinned: func(f *wal.Frame) { pinned = append(pinned, f) },
			})
			if err != nil {
				t.Error(err)
				return
			}
			runs, next = append(runs, got.Batches...), got.Next
			if len(runs) < 5 && next < records {
				continue
			}
			first = checkLarge(t, runs, first)
			for _, f := range pinned {
				f.Unpin()
			}
			runs, pinned = runs[:0], pinned[:0]
		}
		if first != records {
			t.Errorf("%d records", first)
		}
	})
	for i := range records {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(kafka.Timestamp(i), largeValue(i)), 1}}}); r.Outcome != Committed {
			t.Fatal(r.Err)
		}
	}
	readers.Wait()
}

// TestLentFetch: what a Fetch answers is as it was until it is sent, though the
// frames have left the memory by then.
func TestLentFetch(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{TailMaxBytes: 200_000})
	createTopics(t, b, TopicSpec{Name: "a"})
	commit := func(i int) {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(kafka.Timestamp(i), largeValue(i)), 1}}}); r.Outcome != Committed {
			t.Fatal(r.Err)
		}
	}
	commit(0)
	commit(1)
	var f fetch
	p := b.topics.partition(tpA)
	got, err := p.ReadMany(0, 2, log.Want{Bytes: 1 << 20, AtLeastOne: true, Alloc: f.alloc, Pinned: f.pinned})
	if err != nil || len(got.Batches) != 2 || len(f.memory.pinned) != 2 {
		t.Fatalf("%d runs in %d frames, %v", len(got.Batches), len(f.memory.pinned), err)
	}
	for i := 2; i < 8; i++ {
		commit(i)
	}
	checkLarge(t, got.Batches, 0)
	f.memory.release()
	if len(f.memory.pinned) != 0 {
		t.Error("frames are given back twice")
	}
	if string(got.Batches[0][:4]) != "\xdb\xdb\xdb\xdb" {
		t.Error("the memory of a frame that nobody needs has not returned")
	}
}
