package broker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

// retiredSince fills a directory and returns a checkpoint of it that names log files
// which are gone.
func retiredSince(t *testing.T, fs vfs.FS) (old []byte) {
	t.Helper()
	b := mustOpen(t, fs, smallLimits())
	createTopics(t, b, TopicSpec{Name: "a"})
	old, err := vfs.ReadFile(fs, checkpointFiles[0], 64<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 200 {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, fmt.Sprintf("%0500d", i)), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	mustClose(t, b)
	if _, err := fs.Stat("data/wal/0000000000000001.wal"); !vfs.IsNotExist(err) {
		t.Fatalf("the first log file is still there: %v", err)
	}
	return old
}

// TestDumpRefused: where a start refuses, log dump shows damage and promises nothing;
// and the start says that the copy alone is good when it is, which is then so.
func TestDumpRefused(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)/2] ^= 4; return b }
	for _, keys := range []string{"", keyOne} {
		withKeys(t, nil)
		if keys != "" {
			withKeys(t, parseKeys(keys))
		}
		mem := vfs.NewMem()
		old := retiredSince(t, mem)
		toOld := func([]byte) []byte { return old }
		keep := func(b []byte) []byte { return b }
		for name, c := range map[string]struct {
			one, two  func([]byte) []byte // nil removes
			dump      string
			copyAlone bool
		}{
			"none":                  {nil, nil, "the checkpoint is missing", false},
			"old, good copy":        {toOld, keep, "log file 1 is missing", true},
			"both old":              {toOld, toOld, "log file 1 is missing", false},
			"old, no copy":          {toOld, nil, "log file 1 is missing", false},
			"flipped, old copy":     {flip, toOld, "log file 1 is missing", false},
			"missing, old copy":     {nil, toOld, "log file 1 is missing", false},
			"old, flipped copy":     {toOld, flip, "log file 1 is missing", false},
			"old, copy of less log": {toOld, keep, "log file 1 is missing", false},
		} {
			fs := cloneDir(t, mem, walk(t, mem, "data", ""))
			spoil(t, fs, checkpointFiles[0], c.one)
			spoil(t, fs, checkpointFiles[1], c.two)
			if strings.HasSuffix(name, "of less log") {
				logs := walk(t, fs, "data/wal", ".wal")
				for _, path := range logs {
					spoil(t, fs, path, func(b []byte) []byte { clear(b); return b })
				}
			}
			_, err := openTest(t, fs, smallLimits())
			if err == nil || strings.Contains(err.Error(), "is of an older state than") != c.copyAlone {
				t.Errorf("%s: the start says %v", name, err)
			}
			found := false
			items := dumpAll(t, fs, "data")
			for _, list := range items {
				for _, i := range list {
					found = found || strings.Contains(i.Damage, c.dump)
					if strings.Contains(i.Text+i.Damage, "the next start") {
						t.Errorf("%s: log dump promises %+v", name, i)
					}
				}
			}
			if !found && !strings.HasSuffix(name, "of less log") || len(items["damage"]) == 0 {
				t.Errorf("%s: log dump shows %+v", name, items["damage"])
			}
			if !c.copyAlone {
				continue
			}
			spoil(t, fs, checkpointFiles[0], nil)
			b := mustOpen(t, fs, smallLimits())
			if got := b.Mended(); !strings.Contains(got, "nothing lost") {
				t.Errorf("%s: the start from the copy says %q", name, got)
			}
			mustClose(t, b)
		}
	}
}

// TestDumpLockedDamage: a damaged checkpoint is damage, also when the key of its copy
// is not given.
func TestDumpLockedDamage(t *testing.T) {
	withKeys(t, parseKeys(keyOne))
	fs := vfs.NewMem()
	retiredSince(t, fs)
	spoil(t, fs, checkpointFiles[0], func(b []byte) []byte { b[len(b)/2] ^= 4; return b })
	for _, keys := range []string{"", keyTwo} {
		testKeys = nil
		if keys != "" {
			testKeys = parseKeys(keys)
		}
		items := dumpAll(t, fs, "data")
		if d := items["damage"]; len(d) != 1 || d[0].File != "data/"+wal.CheckpointName {
			t.Errorf("damage %+v", d)
		}
		locked := items["checkpoint"]
		if len(locked) != 1 || locked[0].Locked == "" || strings.Contains(locked[0].Locked, "corrupt") {
			t.Errorf("checkpoint %+v", locked)
		}
	}
}

// TestOldIncarnation: an older checkpoint over a log that is all there is refused when
// later incarnations wrote to it: theirs would be used again, and what the next one
// acknowledges could not be told from what was there before.
func TestOldIncarnation(t *testing.T) {
	withKeys(t, nil)
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{})
	createTopics(t, b, TopicSpec{Name: "a"})
	old, err := vfs.ReadFile(fs, checkpointFiles[0], 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, fmt.Sprint(i)), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		mustClose(t, b)
		b = mustOpen(t, fs, Limits{})
	}
	mustClose(t, b)
	writeFile(t, fs, checkpointFiles[0], old)
	if _, err := openTest(t, fs, Limits{}); !isDamage(err) || !strings.Contains(err.Error(), "is of an older state than") {
		t.Fatal(err)
	}
	spoil(t, fs, checkpointFiles[0], nil)
	mustClose(t, mustOpen(t, fs, Limits{}))
}
