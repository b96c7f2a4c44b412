package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// smallLimits make files roll and retire within a short load.
func smallLimits() Limits {
	return Limits{WALFileBytes: 4 << 10, WALMaxBytes: 16 << 10, SegmentBytes: 2 << 10, TailMaxBytes: 2 << 10}
}

func openTest(t *testing.T, fs vfs.FS, limits Limits) (*Broker, error) {
	t.Helper()
	return Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: limits})
}

func mustOpen(t *testing.T, fs vfs.FS, limits Limits) *Broker {
	t.Helper()
	b, err := openTest(t, fs, limits)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b
}

func mustClose(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// batchOf builds one sealed batch of the given values.
func batchOf(ts kafka.Timestamp, values ...string) []byte {
	var w kafka.BatchBuilder
	for _, v := range values {
		w.Append(ts, nil, []byte(v), nil)
	}
	w.Finish()
	return w.Bytes()
}

// crashesBeforeWrites returns mem with a hook that takes a crash clone before every
// write; crashes returns those so far.
func crashesBeforeWrites(mem *vfs.MemFS, seed uint64) (fs vfs.FS, crashes func() []*vfs.MemFS) {
	var mu sync.Mutex // guards all
	var all []*vfs.MemFS
	fs = vfs.WithHook(mem, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if vfs.IsWrite(op) {
			n := len(all)
			all = append(all, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (n % 3), RNG: rand.New(rand.NewPCG(seed, uint64(n)))}))
		}
		return nil
	})
	return fs, func() []*vfs.MemFS {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// commitWait is Commit with its answer.
func commitWait(b *Broker, c Commit) CommitResult {
	results := make(chan CommitResult, 1)
	b.Commit(c, func(r CommitResult) { results <- r })
	return <-results
}

// readAll returns the values of a topic-partition from offset from on, checking
// that offsets are contiguous.
func readAll(b *Broker, tp kafka.TopicPartition, from kafka.Offset) ([]string, error) {
	r, err := b.OpenReader(tp, from, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var values []string
	next := from
	for {
		chunk, err := r.Poll(512)
		if err != nil {
			return values, err
		}
		for rest := chunk.Batches; len(rest) > 0; {
			var batch kafka.Batch
			if batch, rest, err = kafka.NextBatch(rest); err != nil {
				return values, err
			}
			if !batch.CRCValid() {
				return values, errors.New("CRC mismatch")
			}
			recs := batch.Records(batch.Payload())
			for recs.Next() {
				if recs.Record().Offset < next {
					continue
				}
				if recs.Record().Offset != next {
					return values, fmt.Errorf("offset %d, expected %d", recs.Record().Offset, next)
				}
				next++
				values = append(values, string(recs.Record().Value))
			}
			if recs.Err() != nil {
				return values, recs.Err()
			}
		}
		if chunk.AtEnd {
			return values, nil
		}
	}
}

// model is what a load has been promised.
type model struct {
	mu      sync.Mutex
	topics  map[string]bool // created and acknowledged
	deleted map[string]bool // deletion asked for
	acked   map[kafka.TopicPartition][]string
	sent    map[kafka.TopicPartition][]string // acked plus what is in doubt, in order
	offset  kafka.Offset                      // acknowledged offset of group "g" on in-0
}

func newModel() *model {
	return &model{topics: map[string]bool{}, deleted: map[string]bool{},
		acked: map[kafka.TopicPartition][]string{}, sent: map[kafka.TopicPartition][]string{}}
}

func (m *model) clone() *model {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := newModel()
	for k, v := range m.topics {
		c.topics[k] = v
	}
	for k, v := range m.deleted {
		c.deleted[k] = v
	}
	for k, v := range m.acked {
		c.acked[k] = slices.Clone(v)
	}
	for k, v := range m.sent {
		c.sent[k] = slices.Clone(v)
	}
	c.offset = m.offset
	return c
}

var (
	tpA = kafka.TopicPartition{Topic: "a", Partition: 0}
	tpB = kafka.TopicPartition{Topic: "b", Partition: 1}
)

// load is a scripted load: topics come and go, commits append to two partitions
// and move an offset at once. Commit i writes "i" to a-0 and b-1 and commits
// offset i+1 of group g.
func load(b *Broker, m *model, commits int) error {
	for _, spec := range []TopicSpec{{Name: "a", Partitions: 1}, {Name: "b", Partitions: 2}} {
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
			return err
		}
		m.mu.Lock()
		m.topics[spec.Name] = true
		m.mu.Unlock()
	}
	for i := range commits {
		v := fmt.Sprintf("%04d-%0100d", i, i)
		m.mu.Lock()
		m.sent[tpA] = append(m.sent[tpA], v)
		m.sent[tpB] = append(m.sent[tpB], v)
		m.mu.Unlock()
		r := commitWait(b, Commit{
			Appends: []Append{{tpA, batchOf(kafka.Timestamp(i), v), 1}, {tpB, batchOf(kafka.Timestamp(i), v), 1}},
			Offsets: []GroupOffset{{"g", tpA, kafka.Offset(i + 1)}},
		})
		if r.Outcome != Committed {
			return r.Err
		}
		m.mu.Lock()
		m.acked[tpA] = append(m.acked[tpA], v)
		m.acked[tpB] = append(m.acked[tpB], v)
		m.offset = kafka.Offset(i + 1)
		m.mu.Unlock()
		if i%10 == 5 {
			if err := churn(b, m, fmt.Sprintf("t%d", i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// churn creates a topic, writes to it and deletes it.
func churn(b *Broker, m *model, name string) error {
	tp := kafka.TopicPartition{Topic: name}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: name}}, Appends: []Append{{tp, batchOf(1, "first"), 1}}}); err != nil {
		return err
	}
	m.mu.Lock()
	m.topics[name] = true
	m.mu.Unlock()
	m.mu.Lock()
	m.deleted[name] = true
	m.mu.Unlock()
	if err := b.Apply(Metadata{DeleteTopics: []string{name}}); err != nil {
		return err
	}
	m.mu.Lock()
	delete(m.topics, name)
	m.mu.Unlock()
	return nil
}

// check verifies a recovered broker against what was promised.
func (m *model) check(b *Broker) error {
	for name := range m.topics {
		if _, ok := b.Topic(name); !ok && !m.deleted[name] {
			return fmt.Errorf("topic %s is lost", name)
		}
	}
	var lengths []int
	for _, tp := range []kafka.TopicPartition{tpA, tpB} {
		if _, ok := b.Topic(tp.Topic); !ok {
			if len(m.acked[tp]) > 0 {
				return fmt.Errorf("topic of %s is lost", tp)
			}
			lengths = append(lengths, 0)
			continue
		}
		got, err := readAll(b, tp, 0)
		if err != nil {
			return fmt.Errorf("read %s: %w", tp, err)
		}
		if len(got) < len(m.acked[tp]) {
			return fmt.Errorf("%s has %d records, %d were acknowledged", tp, len(got), len(m.acked[tp]))
		}
		if len(got) > len(m.sent[tp]) || !slices.Equal(got, m.sent[tp][:len(got)]) {
			return fmt.Errorf("%s has other records than were sent", tp)
		}
		lengths = append(lengths, len(got))
	}
	offsets, err := b.Committed(context.Background(), "g", []kafka.TopicPartition{tpA})
	if err != nil {
		return err
	}
	if lengths[0] != lengths[1] || int(max(offsets[0], 0)) != lengths[0] {
		return fmt.Errorf("half a commit: a-0 has %d, b-1 has %d, offset is %d", lengths[0], lengths[1], offsets[0])
	}
	if offsets[0] < m.offset && m.offset > 0 {
		return fmt.Errorf("offset %d, acknowledged was %d", offsets[0], m.offset)
	}
	for _, name := range []string{"t5", "t15", "t25"} {
		if _, ok := b.Topic(name); ok {
			got, err := readAll(b, kafka.TopicPartition{Topic: name}, 0)
			if err != nil || !slices.Equal(got, []string{"first"}) {
				return fmt.Errorf("topic %s came without its record: %q, %v", name, got, err)
			}
		}
	}
	return nil
}

// reopen recovers a crashed file system, checks it, writes on, and recovers
// again.
func reopen(t *testing.T, fs *vfs.MemFS, m *model) error {
	b, err := openTest(t, fs, smallLimits())
	if err != nil {
		return fmt.Errorf("open: %w", err)
	}
	err = m.check(b)
	if err == nil && m.topics["a"] && m.topics["b"] {
		r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}})
		err = r.Err
	}
	if err := errors.Join(err, b.Close(context.Background())); err != nil {
		return err
	}
	b, err = openTest(t, fs, smallLimits())
	if err != nil {
		return fmt.Errorf("open again: %w", err)
	}
	if m.topics["a"] && m.topics["b"] {
		got, rerr := readAll(b, tpA, 0)
		if rerr != nil || len(got) == 0 || got[len(got)-1] != "after" {
			err = fmt.Errorf("record written after recovery is lost: %v", rerr)
		}
	}
	return errors.Join(err, b.Close(context.Background()))
}

// TestCrashAtEveryWrite takes crash clones before every operation of a scripted
// load that changes the file system, and recovers each.
func TestCrashAtEveryWrite(t *testing.T) {
	type crash struct {
		op    int
		what  string
		kept  string
		fs    *vfs.MemFS
		model *model
	}
	commits, every := 150, 1
	if testing.Short() {
		commits, every = 150, 5
	}
	var crashes []crash
	mem := vfs.NewCrashable()
	m := newModel()
	var mu sync.Mutex
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
		rng := rand.New(rand.NewPCG(1, uint64(ops)))
		for _, keep := range []int{0, 100, 50} {
			// The model is taken first: what is acknowledged between the two is
			// more than the model asks for.
			before := m.clone()
			crashes = append(crashes, crash{ops, fmt.Sprint(op.Kind, " ", op.Path), fmt.Sprintf("%d%%", keep),
				mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng}), before})
		}
		return nil
	})
	b := mustOpen(t, fs, smallLimits())
	if err := load(b, m, commits); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	mu.Lock()
	defer mu.Unlock()
	for _, c := range crashes {
		// The clone was taken after the model: records sent in between are in
		// order, but the model's list of them may be short.
		c.model.sent = m.sent
		if err := reopen(t, c.fs, c.model); err != nil {
			t.Fatalf("crash before operation %d (%s), keeping %s of unsynced data: %v", c.op, c.what, c.kept, err)
		}
	}
	t.Logf("%d crash points", len(crashes))
}

// TestFailEveryWrite fails every operation in turn: the error says that the
// directory is fenced, or that the disk is full when that was the cause, and a
// restart recovers everything that was acknowledged.
func TestFailEveryWrite(t *testing.T) {
	t.Run("EIO", func(t *testing.T) { failEveryWrite(t, syscall.EIO) })
	t.Run("ENOSPC", func(t *testing.T) { failEveryWrite(t, syscall.ENOSPC) })
}

func failEveryWrite(t *testing.T, errno syscall.Errno) {
	for n, step := 1, 1; ; n += step {
		mem := vfs.NewCrashable()
		var mu sync.Mutex
		ops, failed := 0, false
		fs := vfs.WithHook(mem, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if !vfs.IsWrite(op) {
				return nil
			}
			if ops++; ops >= n && !failed {
				failed = true
				return errno
			}
			return nil
		})
		m := newModel()
		b, err := openTest(t, fs, smallLimits())
		if err == nil {
			err = load(b, m, 100)
			fenced := errors.Is(err, ErrStorage)
			if err != nil && !fenced && !(errno == syscall.ENOSPC && errors.Is(err, ErrDiskFull)) {
				t.Fatalf("operation %d failed: error is %v", n, err)
			}
			if fenced != errors.Is(b.Err(), ErrStorage) && err != nil {
				t.Fatalf("operation %d failed, Err is %v", n, b.Err())
			}
			if cerr := b.Close(context.Background()); fenced && cerr == nil {
				t.Fatalf("operation %d failed, Close says nothing", n)
			}
		}
		mu.Lock()
		done := !failed
		mu.Unlock()
		if done {
			t.Logf("%d operations", n-1)
			return
		}
		for _, keep := range []int{0, 100} {
			clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rand.New(rand.NewPCG(2, uint64(n)))})
			if err := reopen(t, clone, m.clone()); err != nil {
				t.Fatalf("operation %d failed, keeping %d%%: %v", n, keep, err)
			}
		}
		if testing.Short() {
			step = 7
		}
	}
}
