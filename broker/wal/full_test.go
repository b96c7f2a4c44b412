package wal

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/millrace/millrace/internal/vfs"
)

// queued is a frame of one event for a group, or a barrier when body is empty.
// summed: it is batches with a known checksum instead.
type queued struct {
	body           string
	urgent, summed bool
}

// group appends all of a group before the first is answered, and returns the
// answers.
func (l *Log) group(t *testing.T, group ...queued) []error {
	t.Helper()
	errs := make([]error, len(group))
	answered := make(chan struct{}, len(group))
	l.mu.Lock() // the committer takes all of them at once
	for i, q := range group {
		r := request{done: func(_ Position, err error) { errs[i] = err; answered <- struct{}{} }}
		if q.body != "" {
			r.frame = NewFrame(len(q.body))
			r.frame.Urgent = q.urgent
			if q.summed {
				from := min(21, len(q.body))
				i := r.frame.AddBatches(TopicID{1}, 0, []byte(q.body))
				r.frame.Summed(i, from, crc32.Checksum([]byte(q.body[from:]), castagnoli))
			} else {
				r.frame.AddEvent(1, []byte(q.body), nil)
			}
		}
		l.queue = append(l.queue, r)
	}
	l.mu.Unlock()
	l.wake.Signal()
	for range group {
		<-answered
	}
	return errs
}

// TestFullDiskFrames fills the disk within groups of frames of random sizes: what
// was acknowledged is there after a crash, what was refused is not, whatever the
// crash keeps, also when shorter frames took the refused ones' place.
func TestFullDiskFrames(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		mem := vfs.NewCrashable()
		disk := vfs.WithCapacity(mem, 1<<40)
		opts := testOptions(disk)
		opts.FileBytes, opts.SpareBytes = 2<<10, 512
		l, _, err := openTest(t, disk, opts, firstRoot)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(vfs.SyncDir(mem, ""), l.MakeSpare()); err != nil {
			t.Fatal(err)
		}
		l.longest = []int{writeBytes, 64, 300}[seed%3] // no frame is long, all are, some
		l.Start(1)
		var acked []string
		number := 0
		for range 30 {
			if rng.IntN(2) == 0 {
				disk.SetCapacity(disk.Used() + int64(rng.IntN(400)))
			} else {
				disk.SetCapacity(1 << 40)
			}
			group := make([]queued, 1+rng.IntN(6))
			urgent := rng.IntN(3) * 3 // of 6
			for i := range group {
				if rng.IntN(5) > 0 {
					number++
					group[i] = queued{body: fmt.Sprintf("%d-%s", number, bytes.Repeat([]byte{'x'}, rng.IntN(150))), urgent: rng.IntN(6) < urgent}
				}
			}
			refused, undone := false, false // anything; a frame, whose caller says Resume
			for i, err := range l.group(t, group...) {
				switch {
				case err == nil && refused:
					t.Fatalf("seed %d: %q was written behind a refused frame", seed, group[i].body)
				case err == nil && group[i].body != "":
					acked = append(acked, group[i].body)
				case err != nil && !errors.Is(err, ErrDiskFull):
					t.Fatalf("seed %d: %v", seed, err)
				case err != nil:
					refused, undone = true, undone || group[i].body != ""
				}
			}
			if refused != undone {
				t.Fatalf("seed %d: only barriers were refused: nobody would say Resume", seed)
			}
			if refused {
				if errs := l.group(t, queued{body: "while refusing", urgent: true}); !errors.Is(errs[0], ErrDiskFull) {
					t.Fatalf("seed %d: a frame before Resume: %v", seed, errs[0])
				}
				l.Drain()
				l.Resume()
			}
			for _, keep := range []int{0, 50, 100} {
				clone := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: keep, RNG: rng})
				_, got, err := openTest(t, clone, testOptions(clone), firstRoot)
				if err != nil || !slices.Equal(got, acked) {
					t.Fatalf("seed %d, keeping %d%%: %d frames, %d were acknowledged, %v", seed, keep, len(got), len(acked), err)
				}
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUrgentFrames: on a full disk only urgent frames are written, into the
// spare, and the spare is made anew before anything else is written.
func TestUrgentFrames(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
	opts := testOptions(disk)
	opts.SpareBytes = 512
	l, _, err := openTest(t, disk, opts, firstRoot)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.MakeSpare(); err != nil {
		t.Fatal(err)
	}
	l.Start(1)
	appendAll(t, l, "before")
	disk.SetCapacity(disk.Used())
	try := func(body string, urgent bool, want error) {
		t.Helper()
		if err := l.group(t, queued{body: body, urgent: urgent})[0]; !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", body, err, want)
		} else if err != nil {
			l.Drain()
			l.Resume()
		}
	}
	try("refused", false, ErrDiskFull)
	try("urgent", true, nil)
	try("refused again", false, ErrDiskFull) // the room left in the spare is not for it
	try("urgent again", true, nil)
	disk.SetCapacity(disk.Used() + 600)
	try("there is room", false, nil)
	if _, err := disk.Stat(l.sparePath()); err != nil {
		t.Fatalf("no spare: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err := openTest(t, disk, testOptions(disk), firstRoot)
	if want := []string{"before", "urgent", "urgent again", "there is room"}; err != nil || !slices.Equal(got, want) {
		t.Fatalf("recovered %q, %v", got, err)
	}
}

// TestProbe: on a full disk one reservation finds out whether there is room; the
// others wait and share its answer.
func TestProbe(t *testing.T) {
	for _, room := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			disk := vfs.WithCapacity(vfs.NewMem(), 1<<40)
			l, _, err := openTest(t, disk, testOptions(disk), firstRoot)
			if err != nil {
				t.Fatal(err)
			}
			l.Start(1)
			write := func(reserved int64) (err error) {
				if err = l.group(t, queued{body: "frame"})[0]; err != nil {
					l.Drain()
					l.Resume()
				}
				l.Unreserve(reserved)
				return err
			}
			disk.SetCapacity(disk.Used())
			for err == nil {
				err = write(0)
			}
			if err := l.Reserve(10); err != nil {
				t.Fatal(err)
			}
			answers := make(chan error)
			for range 3 {
				go func() { answers <- l.Reserve(10) }() // ends when the probe is answered
			}
			synctest.Wait()
			select {
			case err := <-answers:
				t.Fatalf("answered before the probe: %v", err)
			default:
			}
			if room {
				disk.SetCapacity(1 << 40)
			}
			if err := write(10); (err == nil) != room {
				t.Fatal(err)
			}
			for range 3 {
				err := <-answers
				if room && err != nil || !room && !errors.Is(err, ErrDiskFull) {
					t.Errorf("room %v: %v", room, err)
				}
			}
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
