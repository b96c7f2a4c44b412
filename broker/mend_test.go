package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

var checkpointFiles = []string{"data/" + wal.CheckpointName, "data/" + wal.CheckpointCopyName}

// bothAre fails unless the two files of the checkpoint are the same.
func bothAre(t *testing.T, fs vfs.FS) {
	t.Helper()
	one, err := vfs.ReadFile(fs, checkpointFiles[0], 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	if two, err := vfs.ReadFile(fs, checkpointFiles[1], 64<<20); err != nil || !bytes.Equal(one, two) {
		t.Fatalf("the copy is another: %v", err)
	}
}

// spoil damages or, with nil, removes a file.
func spoil(t *testing.T, fs vfs.FS, path string, change func([]byte) []byte) {
	t.Helper()
	if change == nil {
		if err := errors.Join(fs.Remove(path), vfs.SyncDir(fs, fs.PathDir(path))); err != nil {
			t.Fatal(err)
		}
		return
	}
	good, err := vfs.ReadFile(fs, path, 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, fs, path, change(slices.Clone(good)))
}

// TestMend: one file of the checkpoint that is damaged or missing costs nothing, is
// told, by log dump too, is kept, and is whole again when the start is done.
func TestMend(t *testing.T) {
	for name, change := range map[string]func([]byte) []byte{
		"flipped": func(b []byte) []byte { b[len(b)/2] ^= 4; return b },
		"cut":     func(b []byte) []byte { return b[:len(b)/2] },
		"empty":   func([]byte) []byte { return nil },
		"zeros":   func(b []byte) []byte { clear(b); return b },
		"missing": nil,
	} {
		for i, path := range checkpointFiles {
			fs := vfs.NewMem()
			want, keys := everyKind(t, fs)
			bothAre(t, fs)
			spoil(t, fs, path, change)
			var bad []byte
			if change != nil {
				var err error
				if bad, err = vfs.ReadFile(fs, path, 64<<20); err != nil {
					t.Fatal(err)
				}
			}
			quiet := change == nil && i == 1 // as of a directory that never had a copy
			if d := dumpAll(t, fs, "data")["damage"]; (len(d) == 1) == quiet || len(d) > 1 {
				t.Errorf("%s, %s: log dump has %+v", path, name, d)
			}
			b, logged := openLogged(t, fs, cleanerLimits())
			told := strings.Contains(logged.String(), fs.PathBase(path)+" ") && strings.Contains(logged.String(), "written anew")
			if told == quiet || (b.Mended() == "") != quiet {
				t.Errorf("%s, %s: %q, logged %s", path, name, b.Mended(), logged)
			}
			if skipped := b.epoch > copyEpochs; skipped != (i == 0) {
				t.Errorf("%s, %s: the incarnation is %d", path, name, b.epoch)
			}
			bothAre(t, fs)
			kept, err := vfs.ReadFile(fs, "data/damaged/"+fs.PathBase(path), 64<<20)
			if change != nil && (err != nil || !bytes.Equal(kept, bad)) || change == nil && !vfs.IsNotExist(err) {
				t.Errorf("%s, %s: kept %d bytes, %v", path, name, len(kept), err)
			}
			mustClose(t, b)
			bothAre(t, fs)
			if noticed, err := damageOf(fs, want, keys); err != nil || noticed {
				t.Errorf("%s, %s: noticed %v, %v", path, name, noticed, err)
			}
			b, logged = openLogged(t, fs, cleanerLimits())
			if strings.Contains(logged.String(), "mended") || b.Mended() != "" {
				t.Errorf("%s, %s: the second start says %s", path, name, logged)
			}
			mustClose(t, b)
		}
	}
}

// TestBothDamaged: as without a copy, the start refuses, names both and changes
// nothing, and nobody takes the directory for a new one.
func TestBothDamaged(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }
	for name, changes := range map[string][2]func([]byte) []byte{"both damaged": {flip, flip}, "one missing": {nil, flip}, "the other missing": {flip, nil}} {
		fs := vfs.NewMem()
		archived(t, fs)
		for i, path := range checkpointFiles {
			spoil(t, fs, path, changes[i])
		}
		before := files(t, fs, "data")
		_, err := openTest(t, fs, smallLimits())
		if !errors.Is(err, wal.ErrCorrupt) || !strings.Contains(err.Error(), "checkpoint: ") || !strings.Contains(err.Error(), "checkpoint.copy: ") {
			t.Errorf("%s: %v", name, err)
		}
		if after := files(t, fs, "data"); !sameFiles(before, after) {
			t.Errorf("%s: something was changed", name)
		}
	}
}

// sameFiles compares everything but the lock.
func sameFiles(before, after map[string]string) bool {
	delete(before, "data/LOCK")
	delete(after, "data/LOCK")
	if len(before) != len(after) {
		return false
	}
	for path, content := range before {
		if after[path] != content {
			return false
		}
	}
	return true
}

// TestCrashThenDamage crashes around every save, with what it permits and with what a
// start removes, and then damages or removes either file: nothing that was
// acknowledged is lost.
func TestCrashThenDamage(t *testing.T) {
	type crash struct {
		what  string
		fs    *vfs.MemFS
		model *model
	}
	var mu sync.Mutex
	var crashes []crash
	mem := vfs.NewCrashable()
	m := newModel()
	fs := vfs.WithHook(mem, func(op vfs.Op) error {
		// A removal or a renaming is what a save permits.
		if !vfs.IsWrite(op) || !strings.Contains(op.Path, "checkpoint") && !strings.Contains(fmt.Sprint(op.Kind), "Re") {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		before := m.clone()
		n := len(crashes)
		crashes = append(crashes, crash{fmt.Sprint(op.Kind, " ", op.Path),
			mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50 * (n % 3), RNG: rand.New(rand.NewPCG(3, uint64(n)))}), before})
		return nil
	})
	b := mustOpen(t, fs, smallLimits())
	if err := load(b, m, 60); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	mustClose(t, mustOpen(t, fs, smallLimits()))
	flip := func(b []byte) []byte { b[len(b)-1] ^= 4; return b }
	pairs := 0
	step := 1
	if testing.Short() {
		step = 3
	}
	for i := 0; i < len(crashes); i += step {
		c := crashes[i]
		c.model.sent = m.sent
		if _, err := c.fs.Stat(checkpointFiles[1]); vfs.IsNotExist(err) {
			continue
		}
		pairs++
		path := checkpointFiles[0]
		if i/step%4 == 0 { // mostly the copy is read
			path = checkpointFiles[1]
		}
		change := flip
		if i/step%2 == 0 {
			change = nil
		}
		spoil(t, c.fs, path, change)
		if err := reopen(t, c.fs, c.model); err != nil {
			t.Fatalf("crash %d, before %s, then %s spoilt: %v", i, c.what, path, err)
		}
	}
	if pairs < 30/step {
		t.Fatalf("%d crashes of %d with two files", pairs, len(crashes))
	}
}

// TestOldCopy puts back every copy that there ever was, from a directory that was
// filled, compacted, started again and again, encrypted anew and emptied, and damages
// the checkpoint: the start refuses and changes nothing, or everything is right. So a
// copy that an older program left behind, or that somebody took from a backup, is
// never taken for what it is not.
func TestOldCopy(t *testing.T) {
	withKeys(t, nil)
	mem := vfs.NewMem()
	var mu sync.Mutex
	var copies []string
	fs := vfs.WithHook(mem, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if b, err := vfs.ReadFile(mem, checkpointFiles[1], 64<<20); err == nil && vfs.IsWrite(op) && !slices.Contains(copies, string(b)) {
			copies = append(copies, string(b))
		}
		return nil
	})
	refused, right := 0, 0
	try := func(want []string, keys map[string]int) {
		t.Helper()
		mu.Lock()
		all := slices.Clone(copies)
		mu.Unlock()
		paths := walk(t, mem, "data", "")
		for i, content := range all {
			clone := cloneDir(t, mem, paths)
			writeFile(t, clone, checkpointFiles[1], []byte(content))
			spoil(t, clone, checkpointFiles[0], func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
			before := files(t, clone, "data")
			b, err := openTest(t, clone, cleanerLimits())
			if err != nil {
				if !isDamage(err) || !sameFiles(before, files(t, clone, "data")) {
					t.Fatalf("copy %d of %d: refused with a change, or for another reason: %v", i, len(all), err)
				}
				refused++
				continue
			}
			mustClose(t, b)
			if noticed, err := damageOf(clone, want, keys); noticed || err != nil {
				t.Fatalf("copy %d of %d was taken for the truth: %v, %v", i, len(all), noticed, err)
			}
			right++
		}
	}
	want, keys := everyKind(t, fs)
	try(want, keys)
	// A start that only compacts leaves no frame.
	b := mustOpen(t, fs, cleanerLimits())
	b.cleaner.pass(b.now())
	mustClose(t, b)
	try(want, keys)
	if right == 0 || refused == 0 {
		t.Fatalf("%d copies were right, %d refused", right, refused)
	}
	// A new log, with nothing in it, and another behind records of the last one.
	testKeys = parseKeys(keyOne)
	for range 2 {
		b = mustOpen(t, fs, cleanerLimits())
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "more"), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		want = append(want, "more")
		if _, err := reencryptAll(b); err != nil {
			t.Fatal(err)
		}
		bothAre(t, mem)
		try(want, keys)
	}
	t.Logf("%d copies: %d were right, %d refused", len(copies), right, refused)
}

// TestCopyOfTheLastSave: with an empty log, which nothing proves to be whole, the
// copy is good.
func TestCopyOfTheLastSave(t *testing.T) {
	withKeys(t, parseKeys(keyOne))
	fs := vfs.NewMem()
	want, keys := everyKind(t, fs)
	if _, err := reencryptAll(mustOpen(t, fs, cleanerLimits())); err != nil {
		t.Fatal(err)
	}
	spoil(t, fs, checkpointFiles[0], nil)
	if noticed, err := damageOf(fs, want, keys); noticed || err != nil {
		t.Fatal(noticed, err)
	}
}

// TestNoRoomForTheCopy: a save of which the copy does not fit permits nothing, and the
// next one that does goes on.
func TestNoRoomForTheCopy(t *testing.T) {
	var mu sync.Mutex
	on := false
	mem := vfs.NewCrashable()
	fs := vfs.WithHook(mem, func(op vfs.Op) error {
		mu.Lock()
		defer mu.Unlock()
		if on && vfs.IsWrite(op) && !vfs.IsSync(op) && strings.Contains(op.Path, wal.CheckpointCopyName) {
			return syscall.ENOSPC
		}
		return nil
	})
	limits := smallLimits()
	b := mustOpen(t, fs, limits)
	createTopics(t, b, TopicSpec{Name: "a"})
	mu.Lock()
	on = true
	mu.Unlock()
	var want []string
	for i := 0; ; i++ {
		v := fmt.Sprintf("%0500d", i)
		r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, v), 1}}})
		if errors.Is(r.Err, ErrDiskFull) {
			break
		}
		if r.Err != nil || i > 1000 {
			t.Fatalf("%d records, %v", i, r.Err)
		}
		want = append(want, v)
	}
	for _, path := range checkpointFiles {
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		spoil(t, crashed, path, nil)
		b := mustOpen(t, crashed, limits)
		if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("without %s: %d records of %d, %v", path, len(got), len(want), err)
		}
		mustClose(t, b)
	}
	mu.Lock()
	on = false
	mu.Unlock()
	b.keeper.poke()
	if err := b.keeper.do(b.keeper.work); err != nil {
		t.Fatal(err)
	}
	b.wal.SetBehindFull(false)
	if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}}); r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	bothAre(t, mem)
}
