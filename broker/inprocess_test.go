package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

func createTopics(t testing.TB, b *Broker, specs ...TopicSpec) {
	t.Helper()
	if err := b.Apply(Metadata{CreateTopics: specs}); err != nil {
		t.Fatal(err)
	}
}

func TestHandleIsFenced(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{})
	createTopics(t, b, TopicSpec{Name: "a"})
	first, err := b.OpenTxn("task-1")
	if err != nil {
		t.Fatal(err)
	}
	commit := func(tx *Txn, v string) CommitResult {
		results := make(chan CommitResult, 1)
		tx.Commit(Commit{Appends: []Append{{tpA, batchOf(1, v), 1}}, Offsets: []GroupOffset{{"q", tpA, 7}}}, func(r CommitResult) { results <- r })
		return <-results
	}
	if r := commit(first, "1"); r.Outcome != Committed || !slices.Equal(r.BaseOffsets, []kafka.Offset{0}) {
		t.Fatalf("%+v", r)
	}
	second, err := b.OpenTxn("task-1")
	if err != nil {
		t.Fatal(err)
	}
	if r := commit(first, "zombie"); r.Outcome != Fenced || !errors.Is(r.Err, ErrFenced) {
		t.Fatalf("%+v", r)
	}
	if r := commit(second, "2"); r.Outcome != Committed {
		t.Fatalf("%+v", r)
	}
	first.Close() // does not hurt the second
	if r := commit(second, "3"); r.Outcome != Committed {
		t.Fatalf("%+v", r)
	}
	second.Close()
	if r := commit(second, "closed"); r.Outcome != Fenced {
		t.Fatalf("%+v", r)
	}
	if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, []string{"1", "2", "3"}) {
		t.Fatalf("%q, %v", got, err)
	}
}

func TestCommitIsRefused(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{FrameMaxBytes: 1 << 20})
	createTopics(t, b, TopicSpec{Name: "a"})
	two := append(batchOf(1, "x"), batchOf(1, "y", "z")...)
	cases := map[string]Commit{
		"unknown topic":     {Appends: []Append{{tpA, batchOf(1, "x"), 1}, {kafka.TopicPartition{Topic: "no"}, batchOf(1, "x"), 1}}},
		"unknown partition": {Appends: []Append{{kafka.TopicPartition{Topic: "a", Partition: 1}, batchOf(1, "x"), 1}}},
		"negative":          {Appends: []Append{{kafka.TopicPartition{Topic: "a", Partition: -1}, batchOf(1, "x"), 1}}},
		"wrong count":       {Appends: []Append{{tpA, two, 2}}},
		"cut short":         {Appends: []Append{{tpA, two[:len(two)-1], 3}}},
		"too large":         {Appends: []Append{{tpA, batchOf(1, strings.Repeat("x", 2<<20)), 1}}},
	}
	for name, c := range cases {
		if r := commitWait(b, c); r.Outcome != Aborted || r.Err == nil {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if got, err := readAll(b, tpA, 0); err != nil || len(got) != 0 {
		t.Fatalf("a refused commit left %q, %v", got, err)
	}
	r := commitWait(b, Commit{Appends: []Append{{tpA, two, 3}, {tpA, nil, 0}, {tpA, batchOf(1, "w"), 1}}})
	if r.Outcome != Committed || !slices.Equal(r.BaseOffsets, []kafka.Offset{0, -1, 3}) {
		t.Fatalf("%+v", r)
	}
	mustClose(t, b)
	if r := commitWait(b, Commit{}); r.Outcome != Aborted || !errors.Is(r.Err, ErrClosed) {
		t.Fatalf("after Close: %+v", r)
	}
}

// TestReader: an empty chunk at the end proves the end, wake announces more, and
// bytes in memory are not copied.
func TestReader(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{})
	createTopics(t, b, TopicSpec{Name: "a"})
	var woken atomic.Int32
	r, err := b.OpenReader(tpA, 0, func() { woken.Add(1) })
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if c, err := r.Poll(1 << 20); err != nil || len(c.Batches) != 0 || !c.AtEnd || c.Next != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
	large := batchOf(1, strings.Repeat("x", gatherTestBytes))
	if res := commitWait(b, Commit{Appends: []Append{{tpA, large, 1}}}); res.Outcome != Committed {
		t.Fatal(res)
	}
	if woken.Load() == 0 {
		t.Fatal("not woken")
	}
	c, err := r.Poll(1 << 20)
	if err != nil || c.Next != 1 || !c.AtEnd {
		t.Fatalf("%+v, %v", c.Next, err)
	}
	other, err := b.OpenReader(tpA, 0, nil)
	if err != nil {
		t.Fatal(err)
	}
	c2, err := other.Poll(1 << 20)
	if err != nil || testKeys == nil && &c.Batches[0] != &c2.Batches[0] {
		t.Fatal("two readers do not share the tail's bytes")
	}
	if _, err := b.OpenReader(tpA, 2, nil); !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("from beyond the end: %v", err)
	}
	if err := b.Apply(Metadata{DeleteTopics: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Poll(1 << 20); !errors.Is(err, ErrUnknownTopic) {
		t.Fatalf("deleted topic: %v", err)
	}
}

const gatherTestBytes = 40 << 10

// TestApplyIsAtomic: one bad part and nothing happens.
func TestApplyIsAtomic(t *testing.T) {
	b := mustOpen(t, vfs.NewMem(), Limits{MaxPartitions: 10})
	createTopics(t, b, TopicSpec{Name: "old"})
	oldInfo, _ := b.Topic("old")
	good := TopicSpec{Name: "new", Partitions: 2}
	cases := map[string]Metadata{
		"exists":       {CreateTopics: []TopicSpec{good, {Name: "old"}}},
		"twice":        {CreateTopics: []TopicSpec{good, good}},
		"name":         {CreateTopics: []TopicSpec{good, {Name: "a/b"}}},
		"collides":     {CreateTopics: []TopicSpec{good, {Name: "x"}}, DeleteTopics: []string{"nope"}},
		"config":       {CreateTopics: []TopicSpec{good, {Name: "x", Configs: map[string]string{"retention.ms": "soon"}}}},
		"config name":  {CreateTopics: []TopicSpec{good, {Name: "x", Configs: map[string]string{"retention": "1"}}}},
		"partitions":   {CreateTopics: []TopicSpec{good, {Name: "x", Partitions: 11}}},
		"negative":     {CreateTopics: []TopicSpec{good, {Name: "x", Partitions: -1}}},
		"append":       {CreateTopics: []TopicSpec{good}, Appends: []Append{{kafka.TopicPartition{Topic: "new", Partition: 2}, batchOf(1, "x"), 1}}},
		"append batch": {CreateTopics: []TopicSpec{good}, Appends: []Append{{kafka.TopicPartition{Topic: "new"}, []byte("no"), 1}}},
		"gone":         {CreateTopics: []TopicSpec{good}, DeleteTopics: []string{"old"}, Appends: []Append{{kafka.TopicPartition{Topic: "old"}, batchOf(1, "x"), 1}}},
	}
	for name, m := range cases {
		if err := b.Apply(m); err == nil {
			t.Errorf("%s: no error", name)
		}
		if _, ok := b.Topic("new"); ok {
			t.Fatalf("%s: half of it happened", name)
		}
	}
	// Everything at once: a topic is replaced, written to, and read from a start.
	tp := kafka.TopicPartition{Topic: "old"}
	err := b.Apply(Metadata{
		DeleteTopics: []string{"old"}, CreateTopics: []TopicSpec{{Name: "old"}},
		Appends: []Append{{tp, batchOf(1, "first"), 1}}, Offsets: []GroupOffset{{"q1", tp, 1}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := b.Topic("old"); info.ID == oldInfo.ID {
		t.Fatal("a topic that was made again has its old id")
	}
	if got, err := readAll(b, tp, 0); err != nil || !slices.Equal(got, []string{"first"}) {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := b.Committed(context.Background(), "q1", []kafka.TopicPartition{tp, tpA}); err != nil || !slices.Equal(got, []kafka.Offset{1, -1}) {
		t.Fatalf("%v, %v", got, err)
	}
}

// TestLogModel compares a partition that lives in memory, log files and
// segments with a slice, over restarts.
func TestLogModel(t *testing.T) {
	fs := vfs.NewCrashable()
	rng := rand.New(rand.NewPCG(7, 7))
	limits := smallLimits()
	b := mustOpen(t, fs, limits)
	createTopics(t, b, TopicSpec{Name: "a"})
	var want []string
	var times []kafka.Timestamp
	start := 0
	for step := range 400 {
		switch k := rng.IntN(40); {
		case k == 0:
			mustClose(t, b)
			b = mustOpen(t, fs, limits)
		case k == 1 && len(want) > start:
			start += rng.IntN(len(want)-start) / 4
			if err := b.DeleteRecords(tpA, kafka.Offset(start)); err != nil {
				t.Fatal(err)
			}
		default:
			n := 1 + rng.IntN(5)
			values := make([]string, n)
			for i := range values {
				values[i] = fmt.Sprintf("%d-%d-%s", step, i, strings.Repeat("v", rng.IntN(60)))
				times = append(times, kafka.Timestamp(step))
			}
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(kafka.Timestamp(step), values...), n}}}); r.Outcome != Committed || int(r.BaseOffsets[0]) != len(want) {
				t.Fatalf("step %d: %+v", step, r)
			}
			want = append(want, values...)
		}
		from := start + rng.IntN(len(want)-start+1)
		if got, err := readAll(b, tpA, kafka.Offset(from)); err != nil || !slices.Equal(got, want[from:]) {
			t.Fatalf("step %d: from %d: %d records of %d, %v", step, from, len(got), len(want)-from, err)
		}
		ts := kafka.Timestamp(rng.IntN(step + 2))
		at := slices.IndexFunc(times[start:], func(x kafka.Timestamp) bool { return x >= ts })
		if at >= 0 {
			at += start
		}
		if got, _, err := b.OffsetForTime(tpA, ts); err != nil || int(got) != at {
			t.Fatalf("step %d: time %d is at %d, expected %d, %v", step, ts, got, at, err)
		}
	}
	if _, err := readAll(b, tpA, kafka.Offset(start-1)); start > 0 && !errors.Is(err, ErrOffsetOutOfRange) {
		t.Fatalf("below the log start: %v", err)
	}
}

// walk returns the files below dir whose name ends in suffix.
func walk(t *testing.T, fs vfs.FS, dir, suffix string) []string {
	t.Helper()
	names, err := fs.List(dir)
	if err != nil {
		return nil
	}
	slices.Sort(names)
	var found []string
	for _, name := range names {
		path := fs.PathJoin(dir, name)
		if info, err := fs.Stat(path); err == nil && info.IsDir() {
			found = append(found, walk(t, fs, path, suffix)...)
		} else if strings.HasSuffix(name, suffix) {
			found = append(found, path)
		}
	}
	return found
}

// archived fills a topic so that segments exist and returns the values.
func archived(t *testing.T, fs vfs.FS) []string {
	t.Helper()
	b := mustOpen(t, fs, smallLimits())
	createTopics(t, b, TopicSpec{Name: "a"})
	var want []string
	for i := range 200 {
		want = append(want, fmt.Sprintf("%03d-%s", i, strings.Repeat("x", 100)))
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(kafka.Timestamp(i), want[i]), 1}}}); r.Outcome != Committed {
			t.Fatal(r.Err)
		}
	}
	mustClose(t, b)
	if n := len(walk(t, fs, "data/topics", ".log")); n < 3 {
		t.Fatalf("%d segments", n)
	}
	return want
}

// TestSegmentCorruption flips bytes of segments and indexes: never are other
// bytes served than were written.
func TestSegmentCorruption(t *testing.T) {
	fs := vfs.NewMem()
	want := archived(t, fs)
	rng := rand.New(rand.NewPCG(5, 5))
	detected := 0
	for _, path := range append(walk(t, fs, "data/topics", ".log"), walk(t, fs, "data/topics", ".index")...) {
		good, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			bad := slices.Clone(good)
			bad[rng.IntN(len(bad))] ^= byte(1 << rng.IntN(8))
			if err := vfs.WriteFileAtomic(fs, path, bad); err != nil {
				t.Fatal(err)
			}
			b := mustOpen(t, fs, smallLimits())
			got, err := readAll(b, tpA, 0)
			switch {
			case errors.Is(err, log.ErrCorrupt):
				detected++
			case err != nil:
				t.Fatalf("%s: %v", path, err)
			case !slices.Equal(got, want):
				t.Fatalf("%s: wrong records were served", path)
			}
			if !slices.Equal(got, want[:len(got)]) {
				t.Fatalf("%s: wrong records before the error", path)
			}
			mustClose(t, b)
		}
		if err := vfs.WriteFileAtomic(fs, path, good); err != nil {
			t.Fatal(err)
		}
	}
	if detected == 0 {
		t.Fatal("no flip was noticed")
	}
	for _, path := range walk(t, fs, "data/topics", ".index") {
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := readAll(mustOpen(t, fs, smallLimits()), tpA, 0); err != nil || !slices.Equal(got, want) {
		t.Fatalf("without indexes: %d records, %v", len(got), err)
	}
}

// TestRetention: only where set, whole segments, and files go.
func TestRetention(t *testing.T) {
	fs := vfs.NewMem()
	archived(t, fs)
	b := mustOpen(t, fs, smallLimits())
	b.expire(b.cfg.Clock.Now())
	if first, _, _ := b.Bounds(tpA); first != 0 {
		t.Fatalf("a topic without retention begins at %d", first)
	}
	info, _ := b.Topic("a")
	c := newChange(64)
	if err := b.submitWait(c, func() error {
		b.stage(c, &configsSet{info.ID, map[string]string{"retention.bytes": "8000"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.expire(b.cfg.Clock.Now())
	first, stable, _ := b.Bounds(tpA)
	if first < 100 || first >= stable || stable != 200 {
		t.Fatalf("retention by size left [%d, %d)", first, stable)
	}
	mustClose(t, b)
	b = mustOpen(t, fs, smallLimits())
	if again, _, _ := b.Bounds(tpA); again != first {
		t.Fatalf("after a restart the log starts at %d, not %d", again, first)
	}
	c = newChange(64)
	if err := b.submitWait(c, func() error {
		b.stage(c, &configsSet{info.ID, map[string]string{"retention.ms": "1000"}})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	b.expire(b.cfg.Clock.Now())
	if first, _, _ := b.Bounds(tpA); first != 200 {
		t.Fatalf("retention by time left [%d, 200)", first)
	}
}

// TestDirectory: what Open refuses, it names.
func TestDirectory(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{})
	if _, err := openTest(t, fs, Limits{}); err == nil || !strings.Contains(err.Error(), "in use") || !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("second Open: %v", err)
	}
	id := b.ClusterID()
	mustClose(t, b)
	mustClose(t, b) // twice
	b = mustOpen(t, fs, Limits{})
	if b.ClusterID() != id {
		t.Fatal("the cluster id has changed")
	}
	createTopics(t, b, TopicSpec{Name: "a"})
	mustClose(t, b)
	good, err := vfs.ReadFile(fs, "data/checkpoint", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	newer := slices.Clone(good)
	newer[11] = wal.FormatVersion + 1
	for _, name := range []string{wal.CheckpointName, wal.CheckpointCopyName} {
		if err := vfs.WriteFileAtomic(fs, "data/"+name, newer); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openTest(t, fs, Limits{}); !errors.Is(err, wal.ErrVersion) {
		t.Fatalf("a newer format: %v", err)
	}
	if err := errors.Join(fs.Remove("data/checkpoint"), fs.Remove("data/checkpoint.copy")); err != nil {
		t.Fatal(err)
	}
	if _, err := openTest(t, fs, Limits{}); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("no checkpoint: %v", err)
	}
}

// BenchmarkCommit commits 64 KiB of batches with an offset, on disk.
func BenchmarkCommit(b *testing.B) {
	br, err := Open(Config{Keys: testKeys, Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close(context.Background())
	createTopics(b, br, TopicSpec{Name: "a"})
	batch := batchOf(1, strings.Repeat("x", 64<<10))
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	i := kafka.Offset(0)
	for b.Loop() {
		i++
		if r := commitWait(br, Commit{Appends: []Append{{tpA, batch, 1}}, Offsets: []GroupOffset{{"g", tpA, i}}}); r.Outcome != Committed {
			b.Fatal(r.Err)
		}
	}
}

// BenchmarkReadTail reads from memory.
func BenchmarkReadTail(b *testing.B) {
	br, err := Open(Config{Keys: testKeys, Dir: "data", FS: vfs.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close(context.Background())
	createTopics(b, br, TopicSpec{Name: "a"})
	batch := batchOf(1, strings.Repeat("x", 64<<10))
	commitWait(br, Commit{Appends: []Append{{tpA, batch, 1}}})
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		r := Reader{b: br, p: br.topics.partition(tpA)}
		if c, err := r.Poll(1 << 20); err != nil || len(c.Batches) == 0 {
			b.Fatal(err)
		}
	}
}
