package broker

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// jumpy is a clock that a test sets. Its timers never fire.
type jumpy struct {
	clock.Clock
	mu sync.Mutex
	t  time.Time
}

func newJumpy() *jumpy {
	return &jumpy{Clock: clock.System, t: time.UnixMilli(1_700_000_000_000)}
}

func (c *jumpy) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *jumpy) NewTimer(time.Duration) *time.Timer { return c.Clock.NewTimer(1 << 62) }

func (c *jumpy) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// housekeep is what the keeper and the cleaner do when their timers fire.
func housekeep(b *Broker) {
	now := b.cfg.Clock.Now()
	b.steady.advance(b, kafka.Timestamp(now.UnixMilli()))
	b.expire(now)
	b.cleaner.pass(b.steady.now())
}

const year = 365 * 24 * time.Hour

// TestClockJumps: no jump of the clock deletes what is not old, or forgets a
// producer, whether it happens while the broker runs or while it does not.
func TestClockJumps(t *testing.T) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour, 10 * year, -10 * year, 0} {
		for _, restart := range []bool{false, true} {
			fs, c := vfs.NewMem(), newJumpy()
			open := func() *Broker {
				b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Clock: c})
				if err != nil {
					t.Fatal(err)
				}
				return b
			}
			b := open()
			spec := TopicSpec{Name: "a", Configs: map[string]string{"retention.ms": "86400000"}}
			if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
				t.Fatal(err)
			}
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(b.now(), "v"), 1}}}); r.Err != nil {
				t.Fatal(r.Err)
			}
			if restart {
				mustClose(t, b)
			}
			c.add(jump)
			if restart {
				b = open()
			}
			for range 100 {
				housekeep(b)
			}
			if first, _, _ := b.Bounds(tpA); first != 0 {
				t.Errorf("jump by %v, restart %v: the log starts at %d", jump, restart, first)
			}
			c.add(-jump)
			for range 10 {
				housekeep(b)
			}
			// Time that really passes is followed.
			for range 3 * 24 * 60 * 2 {
				c.add(30 * time.Second)
				housekeep(b)
			}
			if first, _, _ := b.Bounds(tpA); first != 1 {
				t.Errorf("jump by %v, restart %v: after three days the log starts at %d", jump, restart, first)
			}
			mustClose(t, b)
		}
	}
}

// TestInternalTopicsKeep: retention does not apply to internal topics.
func TestInternalTopicsKeep(t *testing.T) {
	c := newJumpy()
	b, err := Open(Config{Keys: testKeys, Dir: "data", FS: vfs.NewMem(), Clock: c})
	if err != nil {
		t.Fatal(err)
	}
	defer mustClose(t, b)
	spec := TopicSpec{Name: "a", Internal: true, Configs: map[string]string{"retention.ms": "1", "retention.bytes": "0"}}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}, Appends: []Append{{tpA, batchOf(1, "v"), 1}}}); err != nil {
		t.Fatal(err)
	}
	c.add(time.Minute)
	housekeep(b)
	if first, _, _ := b.Bounds(tpA); first != 0 {
		t.Fatalf("the log starts at %d", first)
	}
}

// TestDeletedRecordsStayDeleted: the log start offset is durable when the
// deletion is answered.
func TestDeletedRecordsStayDeleted(t *testing.T) {
	mem := vfs.NewCrashable()
	b := mustOpen(t, mem, smallLimits())
	if err := load(b, newModel(), 10); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRecords(tpA, 7); err != nil {
		t.Fatal(err)
	}
	if err := b.DeleteRecords(tpA, 11); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("records above the high watermark deleted: %v", err)
	}
	if err := b.DeleteRecords(tpA, 3); err != nil {
		t.Fatal(err)
	}
	b = mustOpen(t, mem.CrashClone(vfs.CrashCloneCfg{}), smallLimits())
	if first, stable, err := b.Bounds(tpA); err != nil || first != 7 || stable != 10 {
		t.Fatalf("after a crash [%d, %d), %v", first, stable, err)
	}
}

// TestEpochGrows: every start has a leader epoch of its own, also behind a crash
// during the start before.
func TestEpochGrows(t *testing.T) {
	mem := vfs.NewCrashable()
	b := mustOpen(t, mem, Limits{WALSpareBytes: 1})
	last := b.epoch
	for i := range 4 {
		if i%2 == 0 {
			mustClose(t, b)
		} else {
			mem = mem.CrashClone(vfs.CrashCloneCfg{})
		}
		b = mustOpen(t, mem, Limits{WALSpareBytes: 1})
		if b.epoch <= last {
			t.Fatalf("start %d has epoch %d, the one before had %d", i, b.epoch, last)
		}
		last = b.epoch
	}
}

// TestTimeLookups compares lookups by time, and of the largest timestamp, with a
// scan: over segments, log entries, deleted records, markers and compaction.
func TestTimeLookups(t *testing.T) {
	seeds(t, rounds(15), func(t *testing.T, seed uint64, rng *rand.Rand) {
		limits, value, segment := cleanerLimits(), []byte("value"), "1024"
		if seed%2 == 0 { // segments with many index entries
			limits.SegmentBytes, value, segment = 1<<20, make([]byte, 3000), "1048576"
		}
		b := mustOpen(t, vfs.NewMem(), limits)
		policy := []string{"delete", "compact"}[rng.IntN(2)]
		spec := TopicSpec{Name: "c", Configs: map[string]string{"cleanup.policy": policy, "min.cleanable.dirty.ratio": "0", "segment.bytes": segment}}
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
			t.Fatal(err)
		}
		n := 100 + rng.IntN(100)
		for i := range n {
			var w kafka.BatchBuilder
			for range 1 + rng.IntN(3) {
				w.Append(kafka.Timestamp(10*i+rng.IntN(30)), []byte{byte('a' + rng.IntN(20))}, value, nil)
			}
			w.Finish()
			if r := commitWait(b, Commit{Appends: []Append{{tpC, w.Bytes(), w.Records()}}}); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		p := b.topics.partition(tpC)
		b.cleaner.pass(b.now())
		if err := b.DeleteRecords(tpC, kafka.Offset(rng.IntN(n/2))); err != nil {
			t.Fatal(err)
		}
		bounds := p.Bounds()
		type rec struct {
			offset kafka.Offset
			ts     kafka.Timestamp
		}
		var all []rec
		r, err := b.OpenReader(tpC, bounds.LogStart, nil)
		if err != nil {
			t.Fatal(err)
		}
		for {
			chunk, err := r.Poll(1 << 20)
			if err != nil {
				t.Fatal(err)
			}
			for rest := chunk.Batches; len(rest) > 0; {
				var batch kafka.Batch
				if batch, rest, err = kafka.NextBatch(rest); err != nil {
					t.Fatal(err)
				}
				walk := batch.Records(batch.Payload())
				for walk.Next() {
					if walk.Record().Offset >= bounds.LogStart {
						all = append(all, rec{walk.Record().Offset, walk.Record().Timestamp})
					}
				}
			}
			if chunk.AtEnd {
				break
			}
		}
		r.Close()
		for range 50 {
			ts := kafka.Timestamp(rng.IntN(10*n + 300))
			want := rec{-1, kafka.NoTimestamp}
			for _, r := range all {
				if r.ts >= ts {
					want = r
					break
				}
			}
			at, found, err := p.OffsetForTime(ts, bounds.HighWatermark)
			if err != nil || at != want.offset || found != want.ts {
				t.Fatalf("time %d: offset %d at %d, %v, want %+v", ts, at, found, err, want)
			}
		}
		want := rec{-1, kafka.NoTimestamp}
		for _, r := range all {
			if r.ts > want.ts {
				want = r
			}
		}
		at, found, err := p.MaxTimestamp(bounds.HighWatermark)
		if err != nil || at != want.offset || found != want.ts {
			t.Fatalf("largest timestamp: offset %d at %d, %v, want %+v", at, found, err, want)
		}
	})
}
