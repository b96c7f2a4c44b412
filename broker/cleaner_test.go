package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

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
		return 25 * n
	}
	return n
}

// seeds runs f for many seeds, or for MILLRACE_SEED alone, and prints how to run
// one that failed again.
func seeds(t *testing.T, n int, f func(t *testing.T, seed uint64, rng *rand.Rand)) {
	first := uint64(1)
	if s := os.Getenv("MILLRACE_SEED"); s != "" {
		v, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		first, n = v, 1
	}
	for seed := first; seed < first+uint64(n); seed++ {
		f(t, seed, rand.New(rand.NewPCG(seed, 0)))
		if t.Failed() {
			t.Fatalf("replay: MILLRACE_SEED=%d go test ./broker -run %s", seed, t.Name())
		}
	}
}

var tpC = kafka.TopicPartition{Topic: "c", Partition: 0}

// keyed is what a keyed load was promised: the newest acknowledged value of
// every key, and every value that was ever sent.
type keyed struct {
	mu    sync.Mutex
	acked map[string]int
	sent  map[string]int // newest value sent
	n     int            // records acknowledged
}

func (m *keyed) clone() *keyed {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &keyed{acked: maps.Clone(m.acked), sent: maps.Clone(m.sent), n: m.n}
}

func keyedBatch(ts kafka.Timestamp, key string, value int) []byte {
	var w kafka.BatchBuilder
	w.Append(ts, []byte(key), fmt.Appendf(nil, "%d-%040d", value, value), nil)
	w.Finish()
	return w.Bytes()
}

// cleanerLimits make compaction due at once.
func cleanerLimits() Limits {
	l := smallLimits()
	l.CleanerMinBytes, l.CleanerKeyMapBytes = 1, 1
	return l
}

// keyedLoad writes values 1 to n to few keys and compacts now and then.
func keyedLoad(b *Broker, m *keyed, n int) error {
	spec := TopicSpec{Name: "c", Configs: map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.bytes": "1024"}}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
		return err
	}
	for i := 1; i <= n; i++ {
		key := fmt.Sprintf("k%d", i*i%17)
		m.mu.Lock()
		m.sent[key] = i
		m.mu.Unlock()
		if r := commitWait(b, Commit{Appends: []Append{{tpC, keyedBatch(kafka.Timestamp(i), key, i), 1}}}); r.Outcome != Committed {
			return r.Err
		}
		m.mu.Lock()
		m.acked[key] = i
		m.n = i
		m.mu.Unlock()
		if i%25 == 0 {
			b.cleaner.pass(b.now())
		}
	}
	return nil
}

// readKeyed returns the newest value of every key, checking that offsets rise
// and that every record has the offset it was written at.
func readKeyed(b *Broker) (map[string]int, int, error) {
	r, err := b.OpenReader(tpC, 0, nil)
	if err != nil {
		return nil, 0, err
	}
	defer r.Close()
	newest := map[string]int{}
	last, records := kafka.Offset(-1), 0
	for {
		chunk, err := r.Poll(300)
		if err != nil {
			return nil, 0, err
		}
		for rest := chunk.Batches; len(rest) > 0; {
			var batch kafka.Batch
			if batch, rest, err = kafka.NextBatch(rest); err != nil {
				return nil, 0, err
			}
			walk := batch.Records(batch.Payload())
			for walk.Next() {
				rec := walk.Record()
				var v, again int
				if _, err := fmt.Sscanf(string(rec.Value), "%d-%d", &v, &again); err != nil || v != again {
					return nil, 0, fmt.Errorf("value %q", rec.Value)
				}
				if rec.Offset <= last {
					return nil, 0, fmt.Errorf("offset %d behind %d", rec.Offset, last)
				}
				last = rec.Offset
				records++
				newest[string(rec.Key)] = v
			}
		}
		if chunk.AtEnd {
			return newest, records, nil
		}
	}
}

func (m *keyed) check(b *Broker) error {
	if _, ok := b.Topic("c"); !ok {
		if m.n > 0 {
			return errors.New("topic c is lost")
		}
		return nil
	}
	got, _, err := readKeyed(b)
	if err != nil {
		return err
	}
	for key, v := range m.acked {
		if got[key] < v {
			return fmt.Errorf("key %s has %d, %d was acknowledged", key, got[key], v)
		}
	}
	return nil
}

// TestCompactionEndToEnd: the topic shrinks to about its keys, and everything is
// as it was after a restart.
func TestCompactionEndToEnd(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, cleanerLimits())
	m := &keyed{acked: map[string]int{}, sent: map[string]int{}}
	if err := keyedLoad(b, m, 500); err != nil {
		t.Fatal(err)
	}
	_, records, err := readKeyed(b)
	if err != nil || records > 2*17 {
		t.Fatalf("%d records stayed of 17 keys, %v", records, err)
	}
	if s := b.CleanerStats(); s.Rounds == 0 || s.Removed != int64(500-records) || s.BytesOut >= s.BytesIn || s.Failed != 0 {
		t.Fatalf("counters %+v", s)
	}
	mustClose(t, b)
	b = mustOpen(t, fs, cleanerLimits())
	if err := m.check(b); err != nil {
		t.Fatal(err)
	}
	if bounds := b.topics.partition(tpC).Bounds(); bounds.HighWatermark != 500 {
		t.Fatalf("high watermark %d", bounds.HighWatermark)
	}
}

// TestCompactionDue: the ratio, the lags and the least size decide.
func TestCompactionDue(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{})
	spec := TopicSpec{Name: "c", Configs: map[string]string{"cleanup.policy": "compact"}}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
		t.Fatal(err)
	}
	now := b.now()
	big := make([]byte, 900<<10)
	for i := range 2 {
		var w kafka.BatchBuilder
		w.Append(now-1000, []byte("k"), big, nil)
		w.Finish()
		if r := commitWait(b, Commit{Appends: []Append{{tpC, w.Bytes(), 1}}}); r.Err != nil {
			t.Fatal(i, r.Err)
		}
	}
	p := b.topics.partition(tpC)
	set, err := parseSettings(spec.Configs)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		change func(*settings)
		want   bool
	}{
		{"enough and all dirty", func(*settings) {}, true},
		{"too young", func(s *settings) { s.minLagMs = 5000 }, false},
		{"old enough", func(s *settings) { s.minLagMs = 500 }, true},
		{"must be by now", func(s *settings) { s.maxLagMs, s.dirtyRatio = 500, 2 }, true},
		{"ratio", func(s *settings) { s.dirtyRatio = 1.1 }, false},
	} {
		s := set
		c.change(&s)
		if got := b.cleaner.due(p, s, now); got != c.want {
			t.Errorf("%s: due %v", c.name, got)
		}
	}
	b.cleaner.pass(b.now())
	if d := p.Dirty(1<<63 - 1); d.Dirty != 0 || b.cleaner.due(p, set, now+1<<40) {
		t.Fatalf("dirty after compaction: %+v", d)
	}
}

// TestCrashDuringCompaction takes crash clones before every operation of a keyed
// load with compactions, recovers each, and crashes some of the recoveries.
func TestCrashDuringCompaction(t *testing.T) {
	seeds(t, rounds(1), crashDuringCompaction)
}

func crashDuringCompaction(t *testing.T, seed uint64, _ *rand.Rand) {
	type crash struct {
		op, keep int
		fs       *vfs.MemFS
		model    *keyed
	}
	every := 1
	if testing.Short() {
		every = 9
	}
	mem := vfs.NewCrashable()
	m := &keyed{acked: map[string]int{}, sent: map[string]int{}}
	var mu sync.Mutex
	var crashes []crash
	ops := 0
	fs := vfs.WithHook(mem, func(op vfs.Op) error {
		if !vfs.IsWrite(op) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if ops++; ops%every != 0 {
			return nil
		}
		keep := []int{0, 50, 100}[(ops/every+int(seed))%3]
		before := m.clone()
		rng := rand.New(rand.NewPCG(seed, uint64(ops)))
		crashes = append(crashes, crash{ops, keep, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}), before})
		return nil
	})
	b := mustOpen(t, fs, cleanerLimits())
	if err := keyedLoad(b, m, 300); err != nil {
		t.Fatal(err)
	}
	stats := b.CleanerStats()
	mustClose(t, b)
	if stats.Rounds < 5 || stats.Failed > 0 {
		t.Fatalf("compaction did not run: %+v", stats)
	}
	mu.Lock()
	defer mu.Unlock()
	again := 0
	for i, c := range crashes {
		var second []*vfs.MemFS
		var writes sync.Mutex // the keeper's goroutine writes too
		clone := vfs.WithHook(c.fs, func(op vfs.Op) error {
			writes.Lock()
			defer writes.Unlock()
			if i%7 == 0 && vfs.IsWrite(op) {
				second = append(second, c.fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: c.keep, RNG: rand.New(rand.NewPCG(4, uint64(i)))}))
			}
			return nil
		})
		if err := c.model.recover(clone); err != nil {
			t.Fatalf("crash before operation %d, keeping %d%%: %v", c.op, c.keep, err)
		}
		for k, fs := range second {
			again++
			if err := c.model.recover(fs); err != nil {
				t.Fatalf("crash before operation %d, keeping %d%%, and before operation %d of the recovery: %v", c.op, c.keep, k, err)
			}
		}
	}
	t.Logf("%d crash points, %d during recovery", len(crashes), again)
}

// recover opens a crashed file system, checks it, compacts and checks again.
func (m *keyed) recover(fs vfs.FS) error {
	b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: cleanerLimits()})
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = m.check(b)
	if err == nil {
		b.cleaner.pass(b.now() + 3_600_000)
		err = m.check(b)
	}
	return errors.Join(err, b.Close(context.Background()))
}

// TestFailEveryWriteOfCompaction fails every operation of a keyed load with
// compactions in turn, as a broken or as a full disk: what was acknowledged is
// there after a restart, and a full disk fences nothing.
func TestFailEveryWriteOfCompaction(t *testing.T) {
	step := 3
	if testing.Short() {
		step = 17
	}
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC} {
		for n := 1; ; n += step {
			mem := vfs.NewCrashable()
			var mu sync.Mutex
			ops, failed, synced := 0, false, false
			fs := vfs.WithHook(mem, func(op vfs.Op) error {
				mu.Lock()
				defer mu.Unlock()
				if !vfs.IsWrite(op) {
					return nil
				}
				if ops++; ops >= n && !failed {
					failed, synced = true, vfs.IsSync(op)
					return errno
				}
				return nil
			})
			m := &keyed{acked: map[string]int{}, sent: map[string]int{}}
			b, err := openTest(t, fs, cleanerLimits())
			if err == nil {
				err = keyedLoad(b, m, 120)
				if err != nil && !errors.Is(err, ErrStorage) && !errors.Is(err, ErrDiskFull) {
					t.Fatalf("%v at operation %d: %v", errno, n, err)
				}
				mu.Lock()
				full := errno == syscall.ENOSPC && !synced
				mu.Unlock()
				if full && errors.Is(b.Err(), ErrStorage) && !removing(b.Err()) {
					t.Fatalf("%v at operation %d fences: %v", errno, n, b.Err())
				}
				if err := b.Close(context.Background()); err != nil && !failed {
					t.Fatal(err)
				}
			}
			mu.Lock()
			done := !failed
			mu.Unlock()
			for _, keep := range []int{0, 100} {
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rand.New(rand.NewPCG(6, uint64(n)))})
				if err := m.clone().recover(clone); err != nil {
					t.Fatalf("%v at operation %d, keeping %d%%: %v", errno, n, keep, err)
				}
			}
			if done {
				t.Logf("%v: %d operations", errno, n)
				break
			}
		}
	}
}

// removing reports whether an error is about a removal, which needs no room: no
// disk says ENOSPC there.
func removing(err error) bool { return strings.Contains(err.Error(), "remove") }
