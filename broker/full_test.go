package broker

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// TestDiskFull: appends are refused and leave nothing, reads and deletes go on,
// and appends go on when there is room.
func TestDiskFull(t *testing.T) {
	mem := vfs.NewCrashable()
	disk := vfs.WithCapacity(mem, 1<<40)
	b := mustOpen(t, disk, smallLimits())
	m := newModel()
	if err := load(b, m, 3); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(disk.Used())
	for i := range 5 {
		r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, fmt.Sprint("refused", i)), 1}}})
		if r.Outcome != Aborted || !errors.Is(r.Err, ErrDiskFull) || errors.Is(r.Err, ErrStorage) {
			t.Fatalf("commit %d on a full disk: %v, %v", i, r.Outcome, r.Err)
		}
	}
	if err := b.Err(); err != nil {
		t.Fatalf("fenced: %v", err)
	}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "new"}}}); !errors.Is(err, ErrDiskFull) {
		t.Fatalf("topic created on a full disk: %v", err)
	}
	if got, err := readAll(b, tpA, 0); err != nil || len(got) != 3 {
		t.Fatalf("readers must go on: %d records, %v", len(got), err)
	}
	if err := b.DeleteRecords(tpA, 2); err != nil {
		t.Fatalf("records are not deleted on a full disk: %v", err)
	}
	if err := b.Apply(Metadata{DeleteTopics: []string{"b"}}); err != nil {
		t.Fatalf("a topic is not deleted on a full disk: %v", err)
	}
	disk.SetCapacity(1 << 40)
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "new"}}}); err != nil {
		t.Fatalf("there is room again: %v", err)
	}
	if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}}); r.Outcome != Committed || r.BaseOffsets[0] != 3 {
		t.Fatalf("there is room again: %+v", r)
	}
	for name, open := range map[string]func() *Broker{
		"as it is":      func() *Broker { return b },
		"after a crash": func() *Broker { return mustOpen(t, mem.CrashClone(vfs.CrashCloneCfg{}), smallLimits()) },
		"all kept": func() *Broker {
			return mustOpen(t, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rand.New(rand.NewPCG(1, 1))}), smallLimits())
		},
	} {
		b := open()
		got, err := readAll(b, tpA, 2)
		if err != nil || len(got) != 2 || got[1] != "after" {
			t.Fatalf("%s: %q, %v", name, got, err)
		}
		if _, ok := b.Topic("b"); ok {
			t.Fatalf("%s: deleted topic is back", name)
		}
	}
}

// TestDiskFullIsToldOnce: a disk on which some appends fit and some do not is full,
// which is one line; that there is room is told when it lasts.
func TestDiskFullIsToldOnce(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	b, logged := openLogged(t, disk, smallLimits())
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "a"}}}); err != nil {
		t.Fatal(err)
	}
	// What the broker logs is read when the keeper, which logs too, is at rest.
	told := func() (full, room int) {
		err := b.keeper.do(func() error {
			full = strings.Count(logged.String(), "disk is full: appends are refused")
			room = strings.Count(logged.String(), "there is room on the disk again")
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return full, room
	}
	flap := func() {
		t.Helper()
		for range 10 {
			disk.SetCapacity(disk.Used())
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "v"), 1}}}); !errors.Is(r.Err, ErrDiskFull) {
				t.Fatalf("on a full disk: %+v", r)
			}
			disk.SetCapacity(1 << 40)
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "v"), 1}}}); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
	}
	flap()
	if full, room := told(); full != 1 || room != 0 {
		t.Fatalf("while it changes: full %d times, room %d times\n%s", full, room, logged)
	}
	b.wal.TellRoom() // something was refused before
	if _, room := told(); room != 0 {
		t.Fatal("room is told before it has lasted")
	}
	b.wal.TellRoom()
	b.wal.TellRoom()
	if full, room := told(); full != 1 || room != 1 {
		t.Fatalf("when it has lasted: full %d times, room %d times", full, room)
	}
	flap()
	if full, room := told(); full != 2 || room != 1 {
		t.Fatalf("the next time: full %d times, room %d times", full, room)
	}
}

// TestDeletionMakesRoom: what a deleted topic had in the log goes at once, however
// far the log is from its limit.
func TestDeletionMakesRoom(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	limits := smallLimits()
	limits.WALMaxBytes, limits.WALFileBytes = 1<<20, 16<<10
	b := mustOpen(t, disk, limits)
	for _, name := range []string{"kept", "large"} {
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: name}}}); err != nil {
			t.Fatal(err)
		}
	}
	kept, large := kafka.TopicPartition{Topic: "kept"}, kafka.TopicPartition{Topic: "large"}
	write := func(tp kafka.TopicPartition, n int) CommitResult {
		return commitWait(b, Commit{Appends: []Append{{tp, batchOf(1, string(make([]byte, n))), 1}}})
	}
	for range 40 {
		if r := write(large, 4000); r.Outcome != Committed {
			t.Fatal(r.Err)
		}
	}
	if r := write(kept, 10); r.Outcome != Committed {
		t.Fatal(r.Err)
	}
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(disk.Used())
	for { // what is left of the log's present file
		if r := write(kept, 1000); errors.Is(r.Err, ErrDiskFull) {
			break
		} else if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	full := disk.Used()
	if err := b.Apply(Metadata{DeleteTopics: []string{"large"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	if freed := full - disk.Used(); freed < 100_000 {
		t.Fatalf("%d bytes of 160,000 are free again", freed)
	}
	for range 20 {
		if r := write(kept, 1000); r.Outcome != Committed {
			t.Fatal(r.Err)
		}
	}
}

// TestStartOnFullDisk: a broker that stopped on a full disk starts on it, and
// can delete there.
func TestStartOnFullDisk(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	b := mustOpen(t, disk, smallLimits())
	if err := load(b, newModel(), 20); err != nil {
		t.Fatal(err)
	}
	disk.SetCapacity(disk.Used())
	n := 20 // a recycled log file takes some more
	for ; ; n++ {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "x"), 1}}}); errors.Is(r.Err, ErrDiskFull) {
			break
		} else if r.Err != nil || n > 1000 {
			t.Fatal(n, r.Err)
		}
	}
	if err := b.Close(context.Background()); err != nil && !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	b = mustOpen(t, disk, smallLimits())
	if got, err := readAll(b, tpA, 0); err != nil || len(got) != n {
		t.Fatalf("%d records of %d, %v", len(got), n, err)
	}
	if err := b.Apply(Metadata{DeleteTopics: []string{"b"}}); err != nil && !errors.Is(err, ErrDiskFull) {
		t.Fatal(err)
	}
	disk.SetCapacity(1 << 40)
	if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "x"), 1}}}); r.Outcome != Committed || int(r.BaseOffsets[0]) != n {
		t.Fatalf("there is room again: %+v", r)
	}
}

// stubborn writes numbered values to a-0, each again and again while it is
// refused, and calls onRefused then.
func stubborn(b *Broker, values []string, onRefused func()) error {
	for _, v := range values {
		for attempt := 0; ; attempt++ {
			r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}}})
			if r.Outcome == Committed {
				break
			}
			if r.Outcome != Aborted || !errors.Is(r.Err, ErrDiskFull) || attempt > 10_000_000 {
				return fmt.Errorf("commit of %s: %v, %w", v, r.Outcome, r.Err)
			}
			onRefused()
		}
	}
	return nil
}

// TestDiskFullAtEveryByte lets the disk be full at many sizes and gives it a few
// bytes more whenever a commit is refused: everything is there exactly once.
func TestDiskFullAtEveryByte(t *testing.T) {
	seeds(t, rounds(40), func(t *testing.T, seed uint64, rng *rand.Rand) {
		mem := vfs.NewCrashable()
		disk := vfs.WithCapacity(mem, 1<<40)
		b := mustOpen(t, disk, smallLimits())
		if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "a"}}}); err != nil {
			t.Fatal(err)
		}
		var values []string
		for i := range 60 {
			values = append(values, fmt.Sprintf("%d-%0*d", i, 1+rng.IntN(300), i))
		}
		room := disk.Used() + int64(rng.IntN(4000))
		disk.SetCapacity(room)
		refusals := 0
		var clones []*vfs.MemFS
		err := stubborn(b, values, func() {
			refusals++
			room += int64(rng.IntN(200))
			disk.SetCapacity(room)
			if refusals%20 == 0 {
				clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rng}))
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if refusals == 0 {
			t.Fatal("the disk was never full")
		}
		clones = append(clones, mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 100, RNG: rng}))
		for i, fs := range append([]*vfs.MemFS{nil}, clones...) {
			rb := b
			if fs != nil {
				rb = mustOpen(t, fs, smallLimits())
			}
			got, err := readAll(rb, tpA, 0)
			whole := i == 0 || i == len(clones)
			if err != nil || len(got) > len(values) || !slices.Equal(got, values[:len(got)]) || whole && len(got) != len(values) {
				t.Fatalf("state %d after %d refusals: %d of %d records, %v", i, refusals, len(got), len(values), err)
			}
		}
		disk.SetCapacity(1 << 40)
		mustClose(t, b)
	})
}

// fullLoad runs idempotent and transactional clients over a disk that fills up
// again and again, and checks that every acknowledged record is there once.
func fullLoad(t *testing.T, b *Broker, addr string, cycles int, fill, free func()) {
	t.Helper()
	ctx := testCtx(t)
	const producers = 3
	var wg sync.WaitGroup
	stop := make(chan struct{})
	errs := make(chan error, producers+1)
	acked := make([][]string, producers)
	progress := make(chan struct{})
	for p := range producers {
		cl := client(t, addr, kgo.DefaultProduceTopic("full"), kgo.RecordRetries(1<<30), kgo.MetadataMinAge(10*time.Millisecond), kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }), kgo.ProducerBatchMaxBytes(8<<10))
		wg.Go(func() { // ends with stop, or an error
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				v := fmt.Sprintf("%d-%d-%0200d", p, i, i)
				if err := cl.ProduceSync(ctx, &kgo.Record{Value: []byte(v)}).FirstErr(); err != nil {
					errs <- fmt.Errorf("producer %d: %w", p, err)
					return
				}
				acked[p] = append(acked[p], v)
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	for range cycles {
		fill()
		free()
		for range 3 * producers {
			select {
			case <-progress:
			case err := <-errs:
				t.Fatal(err)
			}
		}
	}
	close(stop)
	wg.Wait()
	select {
	case err := <-errs:
		t.Fatal(err)
	default:
	}
	counts := map[string]int{}
	for _, v := range readValues(t, b, "full") {
		counts[v]++
	}
	total := 0
	for _, list := range acked {
		total += len(list)
		for _, v := range list {
			if counts[v] != 1 {
				t.Fatalf("acknowledged %.10s is there %d times", v, counts[v])
			}
		}
	}
	if len(counts) != total {
		t.Fatalf("%d records, %d were acknowledged", len(counts), total)
	}
	t.Logf("%d records over %d cycles", total, cycles)
}

// waitRefused reads until a commit to the topic "probe" is refused.
func waitRefused(t *testing.T, b *Broker) {
	t.Helper()
	tp := kafka.TopicPartition{Topic: "probe"}
	for range 1_000_000 {
		if r := commitWait(b, Commit{Appends: []Append{{tp, batchOf(1, string(make([]byte, 512))), 1}}}); errors.Is(r.Err, ErrDiskFull) {
			return
		} else if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	t.Fatal("the disk does not fill up")
}

// makeProbe makes the topics of fullLoad.
func makeProbe(t *testing.T, b *Broker) {
	t.Helper()
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "full"}, {Name: "probe"}}}); err != nil {
		t.Fatal(err)
	}
}

// TestDiskFullClients fills a simulated disk under clients.
func TestDiskFullClients(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	b := mustOpen(t, disk, Limits{WALFileBytes: 64 << 10, WALMaxBytes: 512 << 10, SegmentBytes: 64 << 10})
	addr := serveOn(t, b)
	makeProbe(t, b)
	fullLoad(t, b, addr, rounds(10),
		func() { disk.SetCapacity(disk.Used() + 20<<10); waitRefused(t, b) },
		func() {
			if err := b.Apply(Metadata{DeleteTopics: []string{"probe"}}); err != nil {
				t.Error(err)
			}
			disk.SetCapacity(1 << 40)
			// A write that began before there was room takes what came behind it along.
			err := ErrDiskFull
			for range 1_000_000 {
				if !errors.Is(err, ErrDiskFull) {
					break
				}
				err = b.Apply(Metadata{CreateTopics: []TopicSpec{{Name: "probe"}}})
			}
			if err != nil {
				t.Error(err)
			}
		})
}

// TestDeletedTopicMakesRoom fills a disk with two topics, of which the one that is
// not deleted has more in the log than the small reserve holds, in its first file
// too: the other one's room comes back.
func TestDeletedTopicMakesRoom(t *testing.T) {
	const capacity = 1 << 20
	disk := vfs.WithCapacity(vfs.NewMem(), capacity)
	b := mustOpen(t, disk, Limits{WALFileBytes: 64 << 10, WALMaxBytes: 4 << 20, WALSpareBytes: 4 << 10, SegmentBytes: 64 << 10})
	makeProbe(t, b)
	small := kafka.TopicPartition{Topic: "full"}
	for range 40 {
		if r := commitWait(b, Commit{Appends: []Append{{small, batchOf(1, string(make([]byte, 512))), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	waitRefused(t, b)
	if err := b.Apply(Metadata{DeleteTopics: []string{"probe"}}); err != nil {
		t.Fatal(err)
	}
	// The room comes back in the background.
	appended := 0
	for try := 0; appended < capacity/2/600; try++ {
		r := commitWait(b, Commit{Appends: []Append{{small, batchOf(1, string(make([]byte, 512))), 1}}})
		if r.Err == nil {
			appended++
		} else if !errors.Is(r.Err, ErrDiskFull) || try == 1_000_000 {
			t.Fatalf("%d records: %v", appended, r.Err)
		}
	}
	if got := len(readValues(t, b, "full")); got != 40+appended {
		t.Errorf("%d records of %d", got, 40+appended)
	}
}

// TestRefusalsUnderClients refuses every few writes of the log as a full disk
// does, under clients that produce, commit and abort transactions, with their
// offsets, and retry: nothing is lost, doubled or torn, and nothing stays open.
func TestRefusalsUnderClients(t *testing.T) {
	seeds(t, rounds(3), func(t *testing.T, seed uint64, rng *rand.Rand) {
		var mu sync.Mutex
		on, refused := false, 0
		mem := vfs.NewCrashable()
		fs := vfs.WithHook(mem, func(op vfs.Op) error {
			mu.Lock()
			defer mu.Unlock()
			if on && vfs.IsWrite(op) && !vfs.IsSync(op) && rng.IntN(6) == 0 {
				refused++
				return syscall.ENOSPC
			}
			return nil
		})
		limits := smallLimits()
		if testKeys != nil {
			// Frames are larger: a log of that size would retire files all the time,
			// and rarely be able to.
			limits.WALFileBytes, limits.WALMaxBytes = 2*limits.WALFileBytes, 2*limits.WALMaxBytes
		}
		b := mustOpen(t, fs, limits)
		addr := serveOn(t, b)
		createTopics(t, b, TopicSpec{Name: "p"}, TopicSpec{Name: "x"}, TopicSpec{Name: "y"})
		mu.Lock()
		on = true
		mu.Unlock()
		m := &clientModel{}
		retry := []kgo.Opt{kgo.RetryBackoffFn(func(int) time.Duration { return time.Millisecond }), kgo.MetadataMinAge(10 * time.Millisecond), kgo.RequestRetries(1 << 20)}
		if err := clientLoad(testCtx(t), addr, m, 20, retry...); err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		on = false
		if refused < 5 {
			t.Errorf("%d writes were refused", refused)
		}
		mu.Unlock()
		for name, b := range map[string]*Broker{"as it is": b, "after a crash": mustOpen(t, mem.CrashClone(vfs.CrashCloneCfg{}), smallLimits())} {
			if err := errors.Join(m.check(b), b.settled()); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if x := readValues(t, b, "x"); len(x) != len(m.committed) {
				t.Fatalf("%s: %d values, %d were committed", name, len(x), len(m.committed))
			}
			if p := readValues(t, b, "p"); len(p) != len(m.acked) {
				t.Fatalf("%s: %d records, %d were acknowledged", name, len(p), len(m.acked))
			}
		}
		if err := b.Err(); err != nil {
			t.Fatal(err)
		}
	})
}
