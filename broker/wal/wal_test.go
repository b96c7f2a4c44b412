package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func testOptions(fs vfs.FS) Options {
	return Options{FS: fs, Dir: "wal", Logger: quiet, FileBytes: 1 << 20, MaxBytes: 8 << 20, QueueBytes: 1 << 20, FrameMaxBytes: 1 << 20, OnFull: func() {}}
}

var firstRoot = Root{FirstFile: 1, FirstSequence: 1}

// openTest opens a log and returns what it replayed: the events' bodies.
func openTest(t testing.TB, fs vfs.FS, opts Options, root Root) (*Log, []string, error) {
	t.Helper()
	if err := fs.MkdirAll("wal", 0o755); err != nil {
		t.Fatal(err)
	}
	var got []string
	l, err := Open(opts, root, func(_ uint64, entries []Entry) error {
		for _, e := range entries {
			got = append(got, string(e.Body)+string(e.Batches))
		}
		return nil
	})
	return l, got, err
}

// appendAll appends one frame per body and waits for all of them.
func appendAll(t testing.TB, l *Log, bodies ...string) []Position {
	t.Helper()
	positions := make([]Position, len(bodies))
	for i, body := range bodies {
		f := NewFrame(len(body))
		f.AddEvent(1, []byte(body), nil)
		errs := make(chan error, 1)
		l.Append(f, 0, func(p Position, err error) { positions[i] = p; errs <- err })
		if err := <-errs; err != nil {
			t.Fatal(err)
		}
	}
	return positions
}

func bodies(prefix string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("%s-%d-%s", prefix, i, bytes.Repeat([]byte{'x'}, i*7%50))
	}
	return out
}

// logBytes writes bodies to a new log and returns the file's bytes and where
// its frames start.
func logBytes(t testing.TB, in []string) ([]byte, []Position) {
	t.Helper()
	fs := vfs.NewMem()
	l, _, err := openTest(t, fs, testOptions(fs), firstRoot)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(1)
	positions := appendAll(t, l, in...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := vfs.ReadFile(fs, fileName(fs, "wal", 1), 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return b, positions
}

// fileSystem returns a file system with one log file of the given bytes.
func fileSystem(t testing.TB, number uint64, b []byte) *vfs.MemFS {
	t.Helper()
	fs := vfs.NewMem()
	if err := fs.MkdirAll("wal", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create(fileName(fs, "wal", number), vfs.Category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(slices.Clone(b)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	return fs
}

// complete returns how many frames end at or before n.
func complete(positions []Position, total, n int) int {
	k := 0
	for i := range positions {
		end := total
		if i+1 < len(positions) {
			end = int(positions[i+1].Offset)
		}
		if end <= n {
			k++
		}
	}
	return k
}

// TestTornWrite cuts the log at every byte of its last frames, with nothing,
// zeros or garbage behind the cut: exactly the whole frames come back, and the
// log goes on.
func TestTornWrite(t *testing.T) {
	in := bodies("frame", 6)
	whole, positions := logBytes(t, in)
	rng := rand.New(rand.NewPCG(1, 1))
	garbage := make([]byte, 4096)
	for i := range garbage {
		garbage[i] = byte(rng.Uint32())
	}
	for n := int(positions[3].Offset); n <= len(whole); n++ {
		for name, tail := range map[string][]byte{"nothing": nil, "zeros": make([]byte, 4096), "garbage": garbage} {
			want := complete(positions, len(whole), n)
			fs := fileSystem(t, 1, append(slices.Clone(whole[:n]), tail...))
			l, got, err := openTest(t, fs, testOptions(fs), firstRoot)
			if err != nil {
				t.Fatalf("cut at %d, then %s: %v", n, name, err)
			}
			// A cut within a frame's padding takes nothing away.
			padding := want < len(in) && n >= int(positions[want].Offset)+frameHeaderBytes+entryHeaderBytes+len(in[want])
			if len(got) != want && !(padding && len(got) == want+1) || !slices.Equal(got, in[:len(got)]) {
				t.Fatalf("cut at %d, then %s: recovered %d frames, expected %d", n, name, len(got), want)
			}
			l.Start(2)
			appendAll(t, l, "after")
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
			_, again, err := openTest(t, fs, testOptions(fs), firstRoot)
			if err != nil || !slices.Equal(again, append(slices.Clone(in[:len(got)]), "after")) {
				t.Fatalf("cut at %d, then %s: after going on: %d frames, %v", n, name, len(again), err)
			}
		}
	}
}

// TestCorruptionBelowDurablePoint flips every byte of an early frame: later
// frames prove that it was durable, so the log must not open, and must not be
// changed.
func TestCorruptionBelowDurablePoint(t *testing.T) {
	in := bodies("frame", 6)
	whole, positions := logBytes(t, in)
	for n := int(positions[2].Offset); n < int(positions[3].Offset); n++ {
		bad := slices.Clone(whole)
		bad[n] ^= 0x40
		fs := fileSystem(t, 1, bad)
		logged, opts := &bytes.Buffer{}, testOptions(fs)
		opts.Logger = slog.New(slog.NewTextHandler(logged, nil))
		_, got, err := openTest(t, fs, opts, firstRoot)
		if strings.Contains(logged.String(), "was cut off") {
			t.Fatalf("flip at %d: %s, and then %v", n, logged, err)
		}
		if n >= int(positions[2].Offset)+frameHeaderBytes+entryHeaderBytes+len(in[2]) {
			if err != nil || len(got) != 6 { // padding
				t.Fatalf("flip at %d: %v", n, err)
			}
			continue
		}
		if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrVersion) {
			t.Fatalf("flip at %d: recovered %d frames, error %v", n, len(got), err)
		}
		if after, rerr := vfs.ReadFile(fs, fileName(fs, "wal", 1), 1<<20); rerr != nil || !bytes.Equal(after, bad) {
			t.Fatalf("flip at %d: the file was changed: %v", n, rerr)
		}
	}
	// The last frame: only the checkpoint can tell.
	bad := slices.Clone(whole)
	bad[positions[5].Offset+frameHeaderBytes+9] ^= 1
	root := firstRoot
	for synced, wantFrames := range map[uint64]int{0: 5, 7: 0} {
		fs := fileSystem(t, 1, bad)
		logged, opts := &bytes.Buffer{}, testOptions(fs)
		opts.Logger = slog.New(slog.NewTextHandler(logged, nil))
		root.Synced = synced
		_, got, err := openTest(t, fs, opts, root)
		if told := strings.Contains(logged.String(), "was cut off"); told != (synced == 0) {
			t.Errorf("frames below %d were durable: %s, and then %v", synced, logged, err)
		}
		if synced == 0 && (err != nil || len(got) != wantFrames) {
			t.Fatalf("unproved last frame: %d frames, %v", len(got), err)
		}
		if synced > 0 && !errors.Is(err, ErrCorrupt) {
			t.Fatalf("the checkpoint knows better: %v", err)
		}
	}
}

// TestLongFrames: frames that take several writes, with all remainders to a page
// and to the alignment, come back whole.
func TestLongFrames(t *testing.T) {
	fs := vfs.NewMem()
	opts := testOptions(fs)
	opts.FileBytes, opts.MaxBytes = 1<<30, 1<<32
	l, _, err := openTest(t, fs, opts, firstRoot)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(1)
	var in []string
	for i := range 40 {
		n := writeBytes/2 - 100 + i*i*i*13
		if i%3 == 0 {
			n = 10 + i
		}
		in = append(in, strings.Repeat(string(rune('a'+i%26)), n)+strconv.Itoa(i))
	}
	// In groups: a long frame comes behind shorter ones that are not written yet.
	for rest := in; len(rest) > 0; {
		group := make([]queued, min(len(rest), 1+len(rest)%7))
		for i := range group {
			group[i].body, group[i].summed = rest[i], len(rest[i])%2 == 0
		}
		if err := errors.Join(l.group(t, group...)...); err != nil {
			t.Fatal(err)
		}
		rest = rest[len(group):]
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err := openTest(t, fs, opts, firstRoot)
	if err != nil || !slices.Equal(got, in) {
		t.Fatalf("recovered %d frames of %d, %v", len(got), len(in), err)
	}
}

// TestDrop: batches that are taken out of a frame leave no trace, and the others
// keep their index.
func TestDrop(t *testing.T) {
	for mask := range 16 {
		fs := vfs.NewMem()
		l, _, err := openTest(t, fs, testOptions(fs), firstRoot)
		if err != nil {
			t.Fatal(err)
		}
		l.Start(1)
		f := NewFrame(0)
		all := []string{"one", "number two", "3", "the fourth"}
		for i, b := range all {
			if f.AddBatches(TopicID{}, int32(i), []byte(b)) != i {
				t.Fatal("indexes count up")
			}
		}
		f.AddEvent(1, []byte("event"), nil)
		var want []string
		for i, b := range all {
			if mask>>i&1 == 1 {
				f.Drop(i)
			} else {
				want = append(want, b)
			}
		}
		for i, b := range all {
			if mask>>i&1 == 0 && string(f.Batches(i)) != b {
				t.Fatalf("without %04b: batches %d are %q", mask, i, f.Batches(i))
			}
		}
		answered := make(chan error, 1)
		l.Append(f, 0, func(_ Position, err error) { answered <- err })
		if err := errors.Join(<-answered, l.Close()); err != nil {
			t.Fatal(err)
		}
		_, got, err := openTest(t, fs, testOptions(fs), firstRoot)
		if want = append(want, "event"); err != nil || !slices.Equal(got, want) {
			t.Fatalf("without %04b: recovered %q, %v", mask, got, err)
		}
	}
}

// TestRecycledFile: the frames of a file's former life are valid in everything
// but the file number, and must not come back.
func TestRecycledFile(t *testing.T) {
	in := bodies("old", 6)
	whole, _ := logBytes(t, in)
	// As file 2 with the same sequences: only the file number gives it away.
	fs := fileSystem(t, 2, whole)
	l, got, err := openTest(t, fs, testOptions(fs), Root{FirstFile: 2, FirstSequence: 1})
	if err != nil || len(got) != 0 {
		t.Fatalf("recovered %d frames of a former life, %v", len(got), err)
	}
	l.Start(2)
	appendAll(t, l, in[0]) // the same length as the first old frame
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err = openTest(t, fs, testOptions(fs), Root{FirstFile: 2, FirstSequence: 1})
	if err != nil || !slices.Equal(got, in[:1]) {
		t.Fatalf("recovered %q, %v", got, err)
	}
}

// TestStaleFrameOfEarlierIncarnation: a group of frames was written but not
// synced; a crash loses the first of them and keeps the second. A new frame of
// the same size must not bring the second back.
func TestStaleFrameOfEarlierIncarnation(t *testing.T) {
	whole, positions := logBytes(t, []string{"a", "b", "c"})
	torn := slices.Clone(whole)
	clear(torn[positions[1].Offset:positions[2].Offset])
	// Frames b and c were one unsynced group: c's synced field says so.
	f := NewFrame(1)
	f.AddEvent(1, []byte("c"), nil)
	f.seal(header{epoch: 1, file: 1, sequence: 3, synced: 2})
	copy(torn[positions[2].Offset:], f.buf)
	fs := fileSystem(t, 1, torn)
	l, got, err := openTest(t, fs, testOptions(fs), firstRoot)
	if err != nil || !slices.Equal(got, []string{"a"}) {
		t.Fatalf("recovered %q, %v", got, err)
	}
	l.Start(2)
	appendAll(t, l, "B")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, got, err = openTest(t, fs, testOptions(fs), firstRoot); err != nil || !slices.Equal(got, []string{"a", "B"}) {
		t.Fatalf("recovered %q, %v", got, err)
	}
}

// TestRotateRetireRecycle: files roll, retire and come back under new names; a
// reader of a retired file is told so; a missing file is corruption.
func TestRotateRetireRecycle(t *testing.T) {
	fs := vfs.NewMem()
	opts := testOptions(fs)
	opts.FileBytes = 512
	l, _, err := openTest(t, fs, opts, firstRoot)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(1)
	in := bodies("frame", 60)
	positions := appendAll(t, l, in[:30]...)
	sealed, _ := l.Sealed()
	if len(sealed) < 4 {
		t.Fatalf("%d sealed files", len(sealed))
	}
	root := l.RootWithout(sealed[2])
	for _, n := range sealed[:3] {
		if err := l.Retire(n); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Retire(sealed[4]); err == nil {
		t.Fatal("a file retired out of order")
	}
	if err := l.ReadAt(make([]byte, 8), positions[0]); !errors.Is(err, ErrRetired) {
		t.Fatalf("read of a retired file: %v", err)
	}
	appendAll(t, l, in[30:]...)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, got, err := openTest(t, fs, opts, root)
	if err != nil || len(got) == 0 || !slices.Equal(got, in[60-len(got):]) {
		t.Fatalf("recovered %d frames, %v", len(got), err)
	}
	if err := fs.Remove(fileName(fs, "wal", root.FirstFile+1)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := openTest(t, fs, opts, root); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("a missing file: %v", err)
	}
}

// TestRecoverySyncs: frames found in the page cache are made durable before
// anybody may see them.
func TestRecoverySyncs(t *testing.T) {
	whole, _ := logBytes(t, bodies("frame", 3))
	synced := false
	fs := vfs.WithHook(fileSystem(t, 1, whole), func(op vfs.Op) error {
		synced = synced || vfs.IsSync(op) && op.Path == "wal/0000000000000001.wal"
		return nil
	})
	if _, _, err := openTest(t, fs, testOptions(fs), firstRoot); err != nil || !synced {
		t.Fatalf("synced %v, %v", synced, err)
	}
}

// TestCheckpoint: flips, a newer version and foreign files are told apart.
func TestCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	root := Root{FirstFile: 3, FirstSequence: 9, Synced: 12, Clean: true, Epoch: 4}
	if err := SaveCheckpoint(fs, "", root, []byte("state"), Sealing{}); err != nil {
		t.Fatal(err)
	}
	got, state, _, err := loaded(fs, nil)
	if err != nil || got != root || string(state) != "state" {
		t.Fatalf("%+v %q %v", got, state, err)
	}
	good, err := vfs.ReadFile(fs, CheckpointName, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		bad := slices.Clone(good)
		bad[i] ^= 0x01
		if err := vfs.WriteFileAtomic(fs, CheckpointName, bad); err != nil {
			t.Fatal(err)
		}
		_, _, _, err := loaded(fs, nil)
		reserved := i >= 12 && i < 16
		if (err == nil) != reserved {
			t.Fatalf("flip at %d: %v", i, err)
		}
	}
	bad := slices.Clone(good)
	bad[11] = FormatVersion + 1
	if err := vfs.WriteFileAtomic(fs, CheckpointName, bad); err != nil {
		t.Fatal(err)
	}
	if _, _, _, err := loaded(fs, nil); !errors.Is(err, ErrVersion) {
		t.Fatalf("newer version: %v", err)
	}
}

// FuzzRecovery feeds any bytes as a log file: recovery ends, and what it
// accepts it accepts again, with the same result.
func FuzzRecovery(f *testing.F) {
	whole, positions := logBytes(f, bodies("frame", 4))
	f.Add(whole)
	f.Add(whole[:positions[2].Offset+17])
	flipped := slices.Clone(whole)
	flipped[positions[1].Offset+9] ^= 0xff
	f.Add(flipped)
	f.Fuzz(func(t *testing.T, b []byte) {
		fs := fileSystem(t, 1, b)
		l, got, err := openTest(t, fs, testOptions(fs), firstRoot)
		if err != nil {
			return
		}
		l.Start(2)
		appendAll(t, l, "after")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		_, again, err := openTest(t, fs, testOptions(fs), firstRoot)
		if err != nil || !slices.Equal(again, append(got, "after")) {
			t.Fatalf("first %d frames, then %d, %v", len(got), len(again), err)
		}
	})
}

func BenchmarkCommit4KiB(b *testing.B) {
	dir := b.TempDir()
	opts := testOptions(vfs.Default)
	opts.Dir, opts.FileBytes, opts.MaxBytes = dir, 64<<20, 1<<40
	l, err := Open(opts, firstRoot, nil)
	if err != nil {
		b.Fatal(err)
	}
	l.Start(1)
	body := make([]byte, 4096)
	done := make(chan error, 1)
	b.SetBytes(4096)
	b.ReportAllocs()
	for b.Loop() {
		f := NewFrame(len(body))
		f.AddEvent(1, body, nil)
		l.Append(f, 0, func(_ Position, err error) { done <- err })
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
