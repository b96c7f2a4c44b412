package broker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// reencryptAll encrypts a directory anew with the first key.
func reencryptAll(b *Broker) (all []Reencrypted, err error) {
	_, err = b.Reencrypt(func(r Reencrypted) error {
		all = append(all, r)
		return nil
	})
	return all, errors.Join(err, b.Close(context.Background()))
}

// keysIn returns the ids of keys that batches of a directory are encrypted with,
// or "none", and what log dump cannot show with the test's keys.
func keysIn(t *testing.T, fs vfs.FS) (ids []string, locked int) {
	t.Helper()
	for _, items := range dumpAll(t, fs, "data") {
		for _, i := range items {
			if i.Locked != "" {
				locked++
			}
			if i.Batch == nil || i.Batch.Marker != "" || i.Batch.Count == 0 {
				continue
			}
			id := i.Batch.KeyID
			if id == "" {
				id = "none"
			}
			if !slices.Contains(ids, id) {
				ids = append(ids, id)
			}
		}
	}
	return ids, locked
}

// TestReencrypt: segments and the log of a directory that was plain, or encrypted
// with another key, need the new key only, a start without the old one says so, and
// everything is there, compacted topics included.
func TestReencrypt(t *testing.T) {
	two, both := parseKeys(keyTwo), parseKeys(keyTwo, keyOne)
	for name, before := range map[string]*seal.Keys{"plain": nil, "old key": parseKeys(keyOne)} {
		fs := vfs.NewMem()
		withKeys(t, before)
		want, keys := everyKind(t, fs)
		testKeys = both
		b := mustOpen(t, fs, cleanerLimits())
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "new"), 1}}}); r.Err != nil {
			t.Fatal(r.Err)
		}
		want = append(want, "new")
		mustClose(t, b)
		if ids, _ := keysIn(t, fs); len(ids) != 2 {
			t.Fatalf("%s: keys %v before", name, ids)
		}
		done, err := reencryptAll(mustOpen(t, fs, cleanerLimits()))
		if err != nil || len(done) != 2 || done[0].Segments == 0 || done[0].Bytes == 0 {
			t.Fatalf("%s: %+v, %v", name, done, err)
		}
		testKeys = two
		ids, locked := keysIn(t, fs)
		if len(ids) != 1 || ids[0] != two.First().String() || locked > 0 {
			t.Errorf("%s: keys %v, %d things locked", name, ids, locked)
		}
		for path, content := range files(t, fs, "data") {
			if before == nil && strings.Contains(content, strings.Repeat("x", 100)) {
				t.Errorf("%s: %s is readable", name, path)
			}
		}
		b, logged := openLogged(t, fs, cleanerLimits())
		if before != nil && !strings.Contains(logged.String(), "not needed any more") {
			t.Errorf("%s: %s", name, logged.String())
		}
		if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d records of %d, %v", name, len(got), len(want), err)
		}
		newest, _, err := readKeyed(b)
		for key, v := range keys {
			if newest[key] != v {
				t.Errorf("%s: key %s has %d, written was %d, %v", name, key, newest[key], v, err)
			}
		}
		if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}}); r.Err != nil || int(r.BaseOffsets[0]) != len(want) {
			t.Errorf("%s: append afterwards: %+v", name, r)
		}
		mustClose(t, b)
		if done, err := reencryptAll(mustOpen(t, fs, cleanerLimits())); err != nil || len(done) > 0 {
			t.Errorf("%s: a second time: %+v, %v", name, done, err)
		}
		// Now there is nothing at all to do, and another key needs no new log.
		for _, step := range []struct {
			keys *seal.Keys
			anew int
		}{{two, 0}, {both, 0}, {parseKeys(keyOne, keyTwo), 2}, {parseKeys(keyOne), 0}} {
			testKeys = step.keys
			b, partitions := mustOpen(t, fs, cleanerLimits()), 0
			newLog, err := b.Reencrypt(func(Reencrypted) error { partitions++; return nil })
			if err != nil || newLog || partitions != step.anew {
				t.Errorf("%s: with an empty log: %d partitions, new log %v, %v", name, partitions, newLog, err)
			}
			if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, append(want, "after")) {
				t.Errorf("%s: with an empty log: %d records of %d, %v", name, len(got), len(want)+1, err)
			}
			mustClose(t, b)
		}
	}
}

// TestReencryptRefuses: without a key, over damage, and when somebody appended.
func TestReencryptRefuses(t *testing.T) {
	withKeys(t, nil)
	fs := vfs.NewMem()
	want := archived(t, fs)
	b := mustOpen(t, fs, smallLimits())
	if _, err := b.Reencrypt(nil); !errors.Is(err, ErrInvalid) {
		t.Errorf("without a key: %v", err)
	}
	mustClose(t, b)
	testKeys = parseKeys(keyOne)
	b = mustOpen(t, fs, smallLimits())
	if newLog, err := b.Reencrypt(func(Reencrypted) error { return nil }); err != nil || !newLog {
		t.Fatal(newLog, err)
	}
	if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "meanwhile"), 1}}}); r.Err != nil {
		t.Fatal(r.Err)
	}
	if err := b.Close(context.Background()); err == nil || !strings.Contains(err.Error(), "appended meanwhile") {
		t.Errorf("closed over an append: %v", err)
	}
	b = mustOpen(t, fs, smallLimits())
	if got, err := readAll(b, tpA, 0); err != nil || !slices.Equal(got, append(want, "meanwhile")) {
		t.Errorf("%d records, %v", len(got), err)
	}
	mustClose(t, b)

	fs = vfs.NewMem()
	testKeys = nil
	wounded(t, fs)
	testKeys = parseKeys(keyOne)
	if _, err := reencryptAll(mustOpen(t, fs, smallLimits())); !isDamage(err) {
		t.Errorf("over damage: %v", err)
	}
}

// TestCrashDuringReencrypt crashes before every write: all records are there, and
// the rest can be done.
func TestCrashDuringReencrypt(t *testing.T) {
	withKeys(t, parseKeys(keyOne))
	mem := vfs.NewCrashable()
	want := archived(t, mem)
	testKeys = parseKeys(keyTwo, keyOne)
	fs, taken := crashesBeforeWrites(mem, 9)
	if _, err := reencryptAll(mustOpen(t, fs, smallLimits())); err != nil {
		t.Fatal(err)
	}
	crashes := taken()
	step := 1
	if testing.Short() {
		step = 7
	}
	for i := 0; i < len(crashes); i += step {
		if err := afterReencryptCrash(t, crashes[i], want); err != nil {
			t.Fatalf("crash before write %d of %d: %v", i, len(crashes), err)
		}
	}
	if len(crashes) < 100 {
		t.Fatalf("%d crashes", len(crashes))
	}
}

func afterReencryptCrash(t *testing.T, fs vfs.FS, want []string) error {
	testKeys = parseKeys(keyTwo, keyOne)
	b, err := openTest(t, fs, smallLimits())
	if err != nil {
		return err
	}
	got, err := readAll(b, tpA, 0)
	if err != nil || !slices.Equal(got, want) {
		return errors.Join(fmt.Errorf("%d records, want %d: %w", len(got), len(want), err), b.Close(context.Background()))
	}
	if _, err := reencryptAll(b); err != nil {
		return fmt.Errorf("again: %w", err)
	}
	testKeys = parseKeys(keyTwo)
	if b, err = openTest(t, fs, smallLimits()); err != nil {
		return fmt.Errorf("without the old key: %w", err)
	}
	if got, err = readAll(b, tpA, 0); err != nil || !slices.Equal(got, want) {
		err = fmt.Errorf("without the old key: %d records: %w", len(got), err)
	}
	return errors.Join(err, b.Close(context.Background()))
}
