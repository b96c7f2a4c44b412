package broker

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// dumpAll collects what Dump emits, by kind.
func dumpAll(t *testing.T, fs vfs.FS, path string) map[string][]DumpItem {
	t.Helper()
	items := map[string][]DumpItem{}
	err := Dump(fs, path, DumpOptions{Records: true, Keys: testKeys}, func(i DumpItem) error {
		if _, err := json.Marshal(i); err != nil {
			return err
		}
		items[i.Kind] = append(items[i.Kind], i)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return items
}

// TestDump: everything in a directory is shown, open or closed, and nothing is
// changed.
func TestDump(t *testing.T) {
	fs := vfs.NewMem()
	want, _ := everyKind(t, fs)
	before := map[string]string{}
	for _, path := range walk(t, fs, "data", "") {
		b, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		before[path] = string(b)
	}
	items := dumpAll(t, fs, "data")
	values := map[string]bool{}
	for _, i := range items["record"] {
		values[string(i.Record.Value)] = true
	}
	for _, v := range want {
		if !values[v] {
			t.Fatalf("value %.10s is not shown", v)
		}
	}
	for _, kind := range []string{"checkpoint", "topic", "partition", "segment", "log", "frame", "batch", "end"} {
		if len(items[kind]) == 0 {
			t.Errorf("no item of kind %s", kind)
		}
	}
	if len(items["damage"]) > 0 {
		t.Errorf("damage in a good directory: %+v", items["damage"])
	}
	for path, b := range before {
		if after, err := vfs.ReadFile(fs, path, 1<<20); err != nil || string(after) != b {
			t.Errorf("%s was changed: %v", path, err)
		}
	}
	if err := Dump(fs, "data/LOCK", DumpOptions{}, func(DumpItem) error { return nil }); err == nil {
		t.Error("a file of no known kind is dumped")
	}
}

// TestDumpDamage: damage is shown where it is, and what stands around it too.
func TestDumpDamage(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, Limits{})
	createTopics(t, b, TopicSpec{Name: "a"})
	for range 5 {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, strings.Repeat("v", 40)), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	if err := b.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	path := walk(t, fs, "data/wal", ".wal")[0]
	good, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	frames := dumpAll(t, fs, path)["frame"]
	bad := slices.Clone(good)
	at := *frames[2].Position
	bad[at+50] ^= 1
	if err := vfs.WriteFileAtomic(fs, path, bad); err != nil {
		t.Fatal(err)
	}
	items := dumpAll(t, fs, "data")
	if d := items["damage"]; len(items["frame"]) != len(frames)-1 || len(d) != 1 || *d[0].Position != at || !strings.Contains(d[0].Damage, "frames 3 to 3") {
		t.Fatalf("%d frames, damage %+v", len(items["frame"]), d)
	}
	// The last frame damaged, or cut off: nothing behind it shows that it was there,
	// but the checkpoint does.
	last := *frames[len(frames)-1].Position
	for what, b := range map[string][]byte{"damaged": slices.Concat(good[:last+50], []byte{good[last+50] ^ 1}, good[last+51:]), "cut off": good[:last]} {
		if err := vfs.WriteFileAtomic(fs, path, b); err != nil {
			t.Fatal(err)
		}
		if d := dumpAll(t, fs, "data")["damage"]; len(d) != 1 || !strings.Contains(d[0].Damage, "the log ends before frame 6, but frames below 7 were durable") {
			t.Fatalf("last frame %s: %+v", what, d)
		}
	}
	writeFile(t, fs, path, bad)
	if err := vfs.WriteFileAtomic(fs, "data/checkpoint", []byte("MILLRACE and no more")); err != nil {
		t.Fatal(err)
	}
	if d := dumpAll(t, fs, "data")["damage"]; len(d) != 2 || d[0].File != "data/checkpoint" {
		t.Fatalf("damage %+v", d)
	}
}
