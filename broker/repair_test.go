package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// repairAll repairs a directory and returns what was wrong.
func repairAll(b *Broker, acceptLoss bool) (all []PartitionDamage, err error) {
	err = b.Repair(acceptLoss, func(d PartitionDamage) error {
		all = append(all, d)
		return nil
	})
	return all, err
}

// wounded is a directory of 200 records in a-0 of which one batch of one segment
// is damaged and another segment is missing. It returns the path and the content
// of the damaged one, and which records are left.
func wounded(t *testing.T, fs vfs.FS) (path string, bad []byte, left []string) {
	t.Helper()
	want := archived(t, fs)
	b := mustOpen(t, fs, smallLimits())
	segments := b.topics.partition(tpA).Info().Segments
	mustClose(t, b)
	damaged, missing := segments[1], segments[3]
	for _, p := range walk(t, fs, "data/topics", ".log") {
		switch {
		case strings.Contains(p, damaged.Stem):
			good, err := vfs.ReadFile(fs, p, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			path, bad = p, slices.Clone(good)
			bad[80] ^= 1 // in the first batch
			writeFile(t, fs, p, bad)
		case strings.Contains(p, missing.Stem):
			if err := errors.Join(fs.Remove(p), vfs.SyncDir(fs, fs.PathDir(p))); err != nil {
				t.Fatal(err)
			}
		}
	}
	left = slices.Concat(want[:damaged.Base], want[damaged.Base+1:missing.Base], want[missing.Next:])
	return path, bad, left
}

// readLeft is readAll of a partition whose offsets have gaps.
func readLeft(b *Broker, tp kafka.TopicPartition) ([]string, error) {
	r, err := b.OpenReader(tp, 0, nil)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	var values []string
	for {
		chunk, err := r.Poll(512)
		if err != nil || chunk.AtEnd && len(chunk.Batches) == 0 {
			return values, err
		}
		for rest := chunk.Batches; len(rest) > 0; {
			var batch kafka.Batch
			if batch, rest, err = kafka.NextBatch(rest); err != nil {
				return values, err
			}
			for recs := batch.Records(batch.Payload()); recs.Next(); {
				values = append(values, string(recs.Record().Value))
			}
		}
	}
}

// TestRepair: nothing happens without accepting the loss; with it, everything but
// what is named can be read, by this start and the next, and the damaged file is
// there as it was.
func TestRepair(t *testing.T) {
	fs := vfs.NewMem()
	path, bad, left := wounded(t, fs)
	b, _ := openLogged(t, fs, smallLimits())
	found, err := repairAll(b, false)
	if err != nil || len(found) != 1 || found[0].Repaired || found[0].TP != tpA || len(found[0].Segments) != 2 {
		t.Fatalf("%+v, %v", found, err)
	}
	if _, err := readLeft(b, tpA); !errors.Is(err, log.ErrCorrupt) {
		t.Fatalf("readable without a repair: %v", err)
	}
	done, err := repairAll(b, true)
	if err != nil || len(done) != 1 || !done[0].Repaired || len(done[0].Aside) != 1 {
		t.Fatalf("%+v, %v", done, err)
	}
	for range 2 {
		if got, err := readLeft(b, tpA); err != nil || !slices.Equal(got, left) {
			t.Fatalf("%d records, want %d, %v", len(got), len(left), err)
		}
		if again, err := repairAll(b, true); err != nil || len(again) > 0 {
			t.Fatalf("still damaged: %+v, %v", again, err)
		}
		mustClose(t, b)
		b = mustOpen(t, fs, smallLimits())
	}
	if _, err := fs.Stat(path); !vfs.IsNotExist(err) {
		t.Errorf("the damaged segment is still in use: %v", err)
	}
	if aside, err := vfs.ReadFile(fs, done[0].Aside[0], 1<<20); err != nil || !bytes.Equal(aside, bad) {
		t.Errorf("what was set aside is not what was there: %v", err)
	}
	asideItems := 0
	err = Dump(fs, "data", DumpOptions{Keys: testKeys}, func(i DumpItem) error {
		if i.Kind == "aside" {
			asideItems++
		}
		if i.Damage != "" {
			t.Errorf("log dump finds damage: %+v", i)
		}
		return nil
	})
	if err != nil || asideItems != 1 {
		t.Errorf("log dump: %d items, %v", asideItems, err)
	}
	if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}}); r.Err != nil || r.BaseOffsets[0] != 200 {
		t.Errorf("append after a repair: %+v", r)
	}
}

// TestRepairMissing: of a segment whose file is missing nothing is set aside, and no
// directory made for it.
func TestRepairMissing(t *testing.T) {
	fs := vfs.NewMem()
	path, bad, left := wounded(t, fs)
	bad[80] ^= 1
	writeFile(t, fs, path, bad) // whole again, so that only the missing one is left
	b := mustOpen(t, fs, smallLimits())
	done, err := repairAll(b, true)
	if err != nil || len(done) != 1 || !done[0].Repaired || len(done[0].Segments) != 1 || len(done[0].Aside) > 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := fs.Stat("data/damaged"); !vfs.IsNotExist(err) {
		t.Errorf("a directory without files was made: %v", err)
	}
	if got, err := readLeft(b, tpA); err != nil || len(got) != len(left)+1 {
		t.Errorf("%d records, want %d, %v", len(got), len(left)+1, err)
	}
	mustClose(t, b)
}

// TestNoCheckpoint: without the checkpoint a directory with segments is not a new
// one, even if its log is gone, too: a start would remove the segments.
func TestNoCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	archived(t, fs)
	before := walk(t, fs, "data/topics", ".log")
	if err := errors.Join(fs.Remove("data/checkpoint"), fs.Remove("data/checkpoint.copy")); err != nil {
		t.Fatal(err)
	}
	refused := func(holds string) {
		t.Helper()
		_, err := openTest(t, fs, smallLimits())
		if !errors.Is(err, ErrNoCheckpoint) || !errors.Is(err, wal.ErrCorrupt) || !strings.Contains(err.Error(), holds) {
			t.Fatalf("%v, expected %q", err, holds)
		}
		if after := walk(t, fs, "data/topics", ".log"); len(before) == 0 || !slices.Equal(before, after) {
			t.Fatalf("segments %v, before %v", after, before)
		}
	}
	refused("log files (wal/)")
	for _, path := range walk(t, fs, "data/wal", "") {
		if err := fs.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	refused("segments (topics/)")
}

// TestRepairTwice: files of the same name are set aside side by side.
func TestRepairTwice(t *testing.T) {
	fs := vfs.NewMem()
	wounded(t, fs)
	b := mustOpen(t, fs, smallLimits())
	p := b.topics.partition(tpA)
	stem := strings.TrimSuffix(walk(t, fs, "data/topics", ".log")[0], ".log")
	var names []string
	for range 3 {
		aside, err := b.setAside(p, stem)
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, aside...)
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != 3 {
		t.Fatal(names)
	}
}

// TestRepairLeavesTheEngineAlone: a topic of the engine is named, not repaired.
func TestRepairLeavesTheEngineAlone(t *testing.T) {
	fs := vfs.NewMem()
	wounded(t, fs)
	b := mustOpen(t, fs, smallLimits())
	b.topics.get("a").internal = true
	done, err := repairAll(b, true)
	if err != nil || len(done) != 1 || done[0].Repaired || !done[0].Internal {
		t.Fatalf("%+v, %v", done, err)
	}
	if _, err := readLeft(b, tpA); !errors.Is(err, log.ErrCorrupt) {
		t.Fatal(err)
	}
}

// TestRepairNotTheLog: a directory whose log is damaged is not repaired, and not
// changed.
func TestRepairNotTheLog(t *testing.T) {
	fs := vfs.NewMem()
	b := mustOpen(t, fs, smallLimits())
	createTopics(t, b, TopicSpec{Name: "a"})
	for range 5 {
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "v"), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	mustClose(t, b)
	path := walk(t, fs, "data/wal", ".wal")[0]
	bad, err := vfs.ReadFile(fs, path, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	bad[200] ^= 1
	writeFile(t, fs, path, bad)
	if _, err := openTest(t, fs, smallLimits()); !errors.Is(err, wal.ErrCorrupt) {
		t.Fatalf("a damaged log was opened: %v", err)
	}
}

// TestCrashDuringRepair crashes before every write of a repair: the partition is
// as damaged as before or repaired, the damaged file is in its place or set aside,
// and the repair can be done again.
func TestCrashDuringRepair(t *testing.T) {
	mem := vfs.NewCrashable()
	_, bad, left := wounded(t, mem)
	fs, taken := crashesBeforeWrites(mem, 7)
	b := mustOpen(t, fs, smallLimits())
	if _, err := repairAll(b, true); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	crashes := taken()
	repaired := 0
	for i, crashed := range crashes {
		if err := afterRepairCrash(t, crashed, bad, left, &repaired); err != nil {
			t.Fatalf("crash before write %d of %d: %v", i, len(crashes), err)
		}
	}
	if len(crashes) < 30 || repaired == 0 || repaired == len(crashes) {
		t.Fatalf("%d crashes, %d of them with the repair done", len(crashes), repaired)
	}
}

func afterRepairCrash(t *testing.T, fs vfs.FS, bad []byte, left []string, repaired *int) error {
	kept := func() bool {
		return slices.ContainsFunc(walk(t, fs, "data", ""), func(path string) bool {
			b, err := vfs.ReadFile(fs, path, 64<<20)
			return err == nil && bytes.Equal(b, bad)
		})
	}
	if !kept() {
		return errors.New("the damaged segment is gone")
	}
	b, err := openTest(t, fs, smallLimits())
	if err != nil {
		return err
	}
	defer b.Close(context.Background())
	if !kept() {
		return errors.New("the start removed the damaged segment")
	}
	if _, err := readLeft(b, tpA); err == nil {
		*repaired++
	} else if !errors.Is(err, log.ErrCorrupt) {
		return err
	}
	if _, err := repairAll(b, true); err != nil {
		return fmt.Errorf("repair again: %w", err)
	}
	if got, err := readLeft(b, tpA); err != nil || !slices.Equal(got, left) {
		return fmt.Errorf("%d records, want %d: %w", len(got), len(left), err)
	}
	if !kept() {
		return errors.New("the repair removed the damaged segment")
	}
	return nil
}
