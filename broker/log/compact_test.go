package log

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// rounds is how often a randomised test runs: few with -short, n in a usual run,
// many times as much with MILLRACE_TIER=N.
func rounds(n int) int {
	switch {
	case testing.Short():
		return max(1, n/5)
	case os.Getenv("MILLRACE_TIER") == "N":
		return 50 * n
	}
	return n
}

// seeds runs f for many seeds, or for MILLRACE_SEED alone, and prints how to run
// one that failed again.
func seeds(t *testing.T, n int, f func(t *testing.T, rng *rand.Rand)) {
	first := uint64(1)
	if s := os.Getenv("MILLRACE_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = v, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		f(t, rand.New(rand.NewPCG(seed, 0)))
		if t.Failed() {
			t.Fatalf("replay: MILLRACE_SEED=%d go test ./broker/log -run %s", seed, t.Name())
		}
	}
}

// TestCompactionOracle runs random loads of plain, idempotent and transactional
// batches of all codecs with compactions in between.
func TestCompactionOracle(t *testing.T) {
	seeds(t, rounds(25), func(t *testing.T, rng *rand.Rand) {
		o := newOracle(t, rng)
		for range 400 {
			o.now += kafka.Timestamp(rng.IntN(20))
			pid := kafka.ProducerID(rng.IntN(4))
			switch k := rng.IntN(100); {
			case k < 40:
				o.append(kafka.NoProducerID, false)
			case k < 50:
				o.append(pid+10, false)
			case k < 75:
				o.append(pid, true)
			case k < 92 && o.open[pid]:
				o.end(pid, rng.IntN(3) > 0)
			case k < 94:
				o.archive(rng.IntN(2) == 0)
			case k < 96:
				o.compact()
				o.check(o.p)
			case k == 96:
				delete(o.active, pid)
			case k == 97:
				o.now += 500
			}
		}
		for pid := range o.open {
			o.end(pid, true)
		}
		o.compact()
		o.now += 5000
		o.append(kafka.NoProducerID, false)
		o.compact()
		o.check(o.p)
		o.checkActive()
		o.checkAborted()
		o.reload()
	})
}

// TestLeaderEpochChecked: no checksum covers a batch's leader epoch, so it is
// compared with the partition's.
func TestLeaderEpochChecked(t *testing.T) {
	o := newOracle(t, rand.New(rand.NewPCG(3, 3)))
	for range 20 {
		o.append(kafka.NoProducerID, false)
	}
	o.archive(true)
	name := o.fs.PathJoin(o.p.dir, o.p.segments[0].name())
	content, err := vfs.ReadFile(o.fs, name, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	kafka.Batch(content).SetLeaderEpoch(2)
	if err := vfs.WriteFileAtomic(o.fs, name, content); err != nil {
		t.Fatal(err)
	}
	if _, err := o.p.Read(0, o.next, 1<<20); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a batch of another leader epoch: %v", err)
	}
}

// TestLostRecordsNoticed: a partition whose checkpoint counts more records than
// there are does not open.
func TestLostRecordsNoticed(t *testing.T) {
	o := newOracle(t, rand.New(rand.NewPCG(4, 4)))
	o.append(kafka.NoProducerID, false)
	o.archive(true)
	o.append(kafka.NoProducerID, false) // in a log file that is not replayed
	var e wal.Encoder
	o.p.Encode(&e)
	p := o.store.NewPartition(wal.TopicID{1}, 0)
	if p.Decode(&wal.Decoder{Buf: e.Buf}, true); !errors.Is(p.CheckRestored(), ErrCorrupt) {
		t.Fatalf("lost records: %v", p.CheckRestored())
	}
}

// TestDecodeBeforeCompaction reads a partition as checkpoints of version 2 have
// it: byte for byte what that version wrote.
func TestDecodeBeforeCompaction(t *testing.T) {
	old := []byte{
		4, 20, 24, // log start 2, archived 10, next 12
		1, 2, 0, // epochs: 1 from 0
		1, 14, 22, // open transactions: producer 7 from 11
		1, 6, 8, 10, // aborted: producer 3, [4, 5]
		1, 0, 20, 0xc8, 0x01, 0x80, 0x01, 1, // segment: [0, 10), 100 bytes, largest timestamp 64, 1 index entry
	}
	p := newOracle(t, rand.New(rand.NewPCG(5, 5))).p
	d := wal.Decoder{Buf: old}
	if p.Decode(&d, false); d.Err != nil || len(d.Buf) != 0 {
		t.Fatal(d.Err, d.Buf)
	}
	want := &segment{next: 10, size: 100, maxTimestamp: 64, firstTimestamp: kafka.NoTimestamp, indexEntries: 1}
	if len(p.segments) != 1 || *p.segments[0] != *want || p.logStart != 2 || p.archived != 10 || p.next != 12 || p.cleanedTo != 0 || p.open[7] != 11 || p.aborted[0] != (AbortedTxn{3, 4, 5}) {
		t.Fatalf("%+v, segment %+v", p.Info(), p.segments)
	}
	var e wal.Encoder
	p.Encode(&e)
	if now := append(append([]byte(nil), old...), 1, 0, 0, 0); !bytes.Equal(e.Buf, now) { // first timestamp -1, generation 0, not sealed; compacted to 0
		t.Fatalf("version 3 writes\n%v, want\n%v", e.Buf, now)
	}
}

// TestCompactedSegmentFlips flips bits of compacted segments, their guards and
// batch heads included: reads return the same bytes or ErrCorrupt.
func TestCompactedSegmentFlips(t *testing.T) {
	seeds(t, rounds(2), func(t *testing.T, rng *rand.Rand) {
		o := newOracle(t, rng)
		for range 60 {
			o.append(kafka.ProducerID(rng.IntN(3)-1), false)
		}
		o.compact()
		o.append(-1, false)
		read := func() (all []byte, err error) {
			for from := kafka.Offset(0); from < o.next; {
				run, err := o.p.Read(from, o.next, 200)
				if err != nil {
					return nil, err
				}
				all = append(all, run.Batches...)
				from = run.Next
			}
			return all, nil
		}
		want, err := read()
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range o.p.segments {
			for _, name := range []string{s.name(), s.indexName()} {
				o.flips(o.fs.PathJoin(o.p.dir, name), want, read)
			}
		}
	})
}

// flips flips every bit of a file's bytes in turn, or one of each in short runs.
func (o *oracle) flips(name string, want []byte, read func() ([]byte, error)) {
	content, err := vfs.ReadFile(o.fs, name, 1<<20)
	if err != nil {
		o.t.Fatal(err)
	}
	for i := range content {
		bad := append([]byte(nil), content...)
		bad[i] ^= 1 << o.rng.IntN(8)
		o.store.cache.closeAll()
		if err := vfs.WriteFileAtomic(o.fs, name, bad); err != nil {
			o.t.Fatal(err)
		}
		got, err := read()
		if err != nil && !errors.Is(err, ErrCorrupt) || err == nil && !bytes.Equal(got, want) {
			o.t.Fatalf("flip in byte %d of %s: %d bytes instead of %d, %v", i, name, len(got), len(want), err)
		}
	}
	o.store.cache.closeAll()
	if err := vfs.WriteFileAtomic(o.fs, name, content); err != nil {
		o.t.Fatal(err)
	}
}
