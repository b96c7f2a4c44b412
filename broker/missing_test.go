package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// openLogged opens a directory and returns what it logs.
func openLogged(t *testing.T, fs vfs.FS, limits Limits) (*Broker, *bytes.Buffer) {
	t.Helper()
	logged := &bytes.Buffer{}
	b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: limits, Logger: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.Close(context.Background()) })
	return b, logged
}

// TestMissingSegment takes away and cuts short every segment in turn: the start
// says what is missing, what it held cannot be read and says so, everything else
// can, what is appended later does not hide it, and when the file is back
// everything is.
func TestMissingSegment(t *testing.T) {
	fs := vfs.NewMem()
	want := archived(t, fs)
	paths := walk(t, fs, "data", "")
	for _, path := range walk(t, fs, "data/topics", ".log") {
		good, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, left := range []int{-1, 0, len(good) / 2} {
			name := fmt.Sprintf("%s of %d bytes, %d left", path, len(good), left)
			clone := cloneDir(t, fs, paths)
			if left < 0 {
				err = clone.Remove(path)
			} else {
				err = vfs.WriteFileAtomic(clone, path, good[:left])
			}
			if err != nil {
				t.Fatal(err)
			}
			b, logged := openLogged(t, clone, smallLimits())
			var lost log.SegmentInfo
			for _, s := range b.topics.partition(tpA).Info().Segments {
				if strings.Contains(path, s.Stem) {
					lost = s
				}
			}
			if lost.Size == 0 {
				t.Fatalf("%s: no segment", name)
			}
			for _, part := range []string{"partition=a-0", path, fmt.Sprintf("offsets %d to %d", lost.Base, lost.Next-1), "put the files back"} {
				if !strings.Contains(logged.String(), part) {
					t.Errorf("%s: no %q in %s", name, part, logged.String())
				}
			}
			for i := range 120 {
				if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(kafka.Timestamp(i), fmt.Sprintf("%0100d", i)), 1}}}); r.Err != nil {
					t.Fatalf("%s: %v", name, r.Err)
				}
			}
			mustClose(t, b)
			b, logged = openLogged(t, clone, smallLimits())
			if !strings.Contains(logged.String(), path) {
				t.Errorf("%s: not noticed by the second start: %s", name, logged.String())
			}
			if _, err := readAll(b, tpA, lost.Next-1); !errors.Is(err, log.ErrCorrupt) {
				t.Errorf("%s: read of what is missing: %v", name, err)
			}
			if got, err := readAll(b, tpA, lost.Next); err != nil || !slices.Equal(got[:len(want)-int(lost.Next)], want[lost.Next:]) {
				t.Errorf("%s: read behind it: %d records, %v", name, len(got), err)
			}
			if _, _, err := b.OffsetForTime(tpA, kafka.Timestamp(lost.Next-1)); !errors.Is(err, log.ErrCorrupt) {
				t.Errorf("%s: look for a time: %v", name, err)
			}
			mustClose(t, b)
			writeFile(t, clone, path, good)
			b = mustOpen(t, clone, smallLimits())
			if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got[:len(want)], want) || len(got) != len(want)+120 {
				t.Errorf("%s: put back: %d records, %v", name, len(got), err)
			}
			mustClose(t, b)
		}
	}
}

// TestMissingIsStorageError: a client is told so, and the log is, once.
func TestMissingIsStorageError(t *testing.T) {
	fs := vfs.NewMem()
	archived(t, fs)
	if err := fs.RemoveAll("data/topics"); err != nil {
		t.Fatal(err)
	}
	b, logged := openLogged(t, fs, smallLimits())
	ctx, cl := testCtx(t), client(t, serveOn(t, b))
	for range 3 {
		resp := ask[*kmsg.FetchResponse](t, ctx, cl, fetchOf(b.topics.get("a").id, 0))
		wantCode(t, "fetch of a missing segment", resp.Topics[0].Partitions[0].ErrorCode, kerr.KafkaStorageError)
	}
	mustClose(t, b)
	if n := strings.Count(logged.String(), "files of a partition are missing"); n != 1 {
		t.Errorf("the start says it %d times: %s", n, logged.String())
	}
	if n := strings.Count(logged.String(), "a partition is damaged"); n != 1 {
		t.Errorf("reads say it %d times: %s", n, logged.String())
	}
}

// TestMissingBelowLogStart: what retention removed is not missing, although the
// checkpoint of before still names it.
func TestMissingBelowLogStart(t *testing.T) {
	fs := vfs.NewMem()
	archived(t, fs)
	b, _ := openLogged(t, fs, smallLimits())
	if err := b.raiseLogStart(b.topics.partition(tpA), 150); err != nil {
		t.Fatal(err)
	}
	if err := b.keeper.do(b.keeper.removeFiles); err != nil {
		t.Fatal(err)
	}
	crashed := cloneDir(t, fs, walk(t, fs, "data", "")) // as a kill leaves it
	if len(walk(t, crashed, "data/topics", ".log")) > 10 {
		t.Fatal("nothing was removed")
	}
	_, logged := openLogged(t, crashed, smallLimits())
	if strings.Contains(logged.String(), "missing") {
		t.Errorf("%s", logged.String())
	}
}

// TestMissingCompacted: a compacted partition of which a file is missing is left
// alone, and the directory is not fenced.
func TestMissingCompacted(t *testing.T) {
	for _, cut := range []bool{false, true} {
		fs := vfs.NewMem()
		everyKind(t, fs)
		b, _ := openLogged(t, fs, cleanerLimits())
		id := b.topics.get("c").id
		mustClose(t, b)
		path := walk(t, fs, fmt.Sprintf("data/topics/%x", id[:]), ".log")[0]
		good, err := vfs.ReadFile(fs, path, 1<<20)
		if err == nil && cut {
			err = vfs.WriteFileAtomic(fs, path, good[:len(good)/2])
		} else if err == nil {
			err = fs.Remove(path)
		}
		if err != nil {
			t.Fatal(err)
		}
		b, logged := openLogged(t, fs, cleanerLimits())
		for i := range 30 {
			if r := commitWait(b, Commit{Appends: []Append{{tpC, keyedBatch(1, "k", i), 1}}}); r.Err != nil {
				t.Fatal(r.Err)
			}
		}
		b.cleaner.pass(b.now())
		if err := b.Err(); err != nil {
			t.Errorf("cut %v: fenced: %v", cut, err)
		}
		mustClose(t, b)
		if !strings.Contains(logged.String(), "cannot be compacted until the next start") {
			t.Errorf("cut %v: %s", cut, logged.String())
		}
	}
}

// TestNewestSegmentLost takes away, or cuts short, the newest segment under a running
// broker: archiving goes on in a new one and leaves what is left as it is, says so
// once, and other partitions are not disturbed. What is gone is what a start finds,
// and put back it is readable.
func TestNewestSegmentLost(t *testing.T) {
	for _, left := range []int{-1, 0, 300} {
		name := fmt.Sprintf("%d bytes left", left)
		fs := vfs.NewMem()
		limits := smallLimits()
		limits.SegmentBytes, limits.OpenFiles = 64<<10, 1
		b, logged := openLogged(t, fs, limits)
		if err := load(b, newModel(), 100); err != nil { // a-0 and b-1
			t.Fatal(err)
		}
		if err := b.keeper.do(b.keeper.work); err != nil {
			t.Fatal(err)
		}
		segments := b.topics.partition(tpA).Info().Segments
		lost := segments[len(segments)-1]
		if lost.Sealed || lost.Size < 1000 {
			t.Fatalf("%s: %+v", name, lost)
		}
		id := b.topics.get("a").id
		path := fmt.Sprintf("data/topics/%x/0/%s.log", id[:], lost.Stem)
		good, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if left < 0 {
			err = fs.Remove(path)
		} else {
			err = vfs.WriteFileAtomic(fs, path, good[:left])
		}
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			v := fmt.Sprintf("more %0100d", i)
			r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}, {tpB, batchOf(1, v), 1}}})
			if r.Err != nil {
				t.Fatalf("%s: %v", name, r.Err)
			}
		}
		if err := b.keeper.do(b.keeper.work); err != nil {
			t.Fatal(err)
		}
		behind := b.topics.partition(tpA).Info().Segments[len(segments):]
		if len(behind) == 0 || behind[0].Base != lost.Next {
			t.Fatalf("%s: went on with %+v behind %+v", name, behind, lost)
		}
		if now, err := vfs.ReadFile(fs, path, 1<<20); left < 0 && !vfs.IsNotExist(err) || left >= 0 && (err != nil || len(now) != left) {
			t.Errorf("%s: now %d bytes, %v", name, len(now), err)
		}
		check := func(b *Broker, whole bool) {
			t.Helper()
			if got, err := readAll(b, tpB, 0); err != nil || len(got) != 300 {
				t.Errorf("%s: the other partition: %d records, %v", name, len(got), err)
			}
			if got, err := readAll(b, tpA, lost.Next); err != nil || len(got) != 300-int(lost.Next) {
				t.Errorf("%s: behind: %d records, %v", name, len(got), err)
			}
			if got, err := readAll(b, tpA, lost.Next-1); whole && (err != nil || len(got) != 301-int(lost.Next)) || !whole && !errors.Is(err, log.ErrCorrupt) {
				t.Errorf("%s: what is gone: %d records, %v", name, len(got), err)
			}
		}
		check(b, false)
		mustClose(t, b)
		said := logged.String()
		if strings.Count(said, "files of a partition are missing") != 1 || !strings.Contains(said, path) || !strings.Contains(said, "partition=a-0") {
			t.Errorf("%s: %s", name, said)
		}
		b, logged = openLogged(t, fs, limits)
		if !strings.Contains(logged.String(), path) {
			t.Errorf("%s: not found by the next start: %s", name, logged)
		}
		check(b, false)
		mustClose(t, b)
		writeFile(t, fs, path, good)
		b = mustOpen(t, fs, limits)
		check(b, true)
		mustClose(t, b)
	}
}
