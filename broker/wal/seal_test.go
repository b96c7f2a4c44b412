package wal

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

func testSealer(t *testing.T, digits ...string) *seal.Sealer {
	t.Helper()
	var lines []string
	for _, d := range digits {
		lines = append(lines, strings.Repeat(d, 2*seal.KeyBytes))
	}
	k, err := seal.ParseKeys(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.NewSealer(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestSealedEvents: events are encrypted and come back, next to plain ones; one of
// another kind, a changed one and one without its key do not.
func TestSealedEvents(t *testing.T) {
	s := testSealer(t, "1")
	f := NewFrame(0)
	f.AddEvent(3, []byte("a readable event"), s)
	f.AddBatches(TopicID{1}, 2, []byte("batches"))
	f.AddEvent(4, []byte("plain"), nil)
	f.AddEvent(5, nil, s)
	i := f.AddBatchesBy(TopicID{1}, 3, func(dst []byte) []byte { return append(dst, "encoded"...) })
	if string(f.Batches(i)) != "encoded" || bytes.Contains(f.buf, []byte("readable")) {
		t.Fatalf("%q", f.buf)
	}
	payload := f.buf[frameHeaderBytes:]
	for _, reader := range []*seal.Sealer{s, testSealer(t, "2", "1")} {
		entries, err := parseEntries(payload, Position{}, reader)
		if err != nil || len(entries) != 5 {
			t.Fatal(entries, err)
		}
		for i, want := range []string{"a readable event", "", "plain", "", ""} {
			if e := entries[i]; e.Locked != nil || string(e.Body) != want {
				t.Errorf("entry %d: %q, %v", i, e.Body, e.Locked)
			}
		}
		if string(entries[1].Batches) != "batches" || string(entries[4].Batches) != "encoded" || entries[4].Partition != 3 {
			t.Errorf("%+v", entries)
		}
	}
	for _, reader := range []*seal.Sealer{nil, testSealer(t, "2")} {
		entries, err := parseEntries(payload, Position{}, reader)
		if err != nil || !errors.Is(entries[0].Locked, seal.ErrUnknownKey) || entries[0].Body != nil || entries[2].Locked != nil {
			t.Fatalf("%+v, %v", entries, err)
		}
	}
	for _, at := range []int{0, entryHeaderBytes + 40} { // the kind; the ciphertext
		bad := slices.Clone(payload)
		bad[at] ^= 4
		entries, err := parseEntries(bad, Position{}, s)
		if err != nil || !errors.Is(entries[0].Locked, ErrCorrupt) {
			t.Errorf("flip at %d: %v, %v", at, entries[0].Locked, err)
		}
	}
	for flags := byte(2); flags != 0; flags <<= 1 {
		bad := slices.Clone(payload)
		bad[1] = flags
		if _, err := parseEntries(bad, Position{}, s); !errors.Is(err, ErrVersion) {
			t.Errorf("flags %x: %v", flags, err)
		}
	}
}

// TestSealedRecovery: the log replays with its key, and says so without.
func TestSealedRecovery(t *testing.T) {
	fs := vfs.NewMem()
	if err := fs.MkdirAll("wal", 0o755); err != nil {
		t.Fatal(err)
	}
	opts := testOptions(fs)
	opts.Sealer = testSealer(t, "1")
	root := Root{FirstFile: 1, FirstSequence: 1}
	l, err := Open(opts, root, nil)
	if err != nil {
		t.Fatal(err)
	}
	l.Start(1)
	for _, body := range []string{"one", "two"} {
		f := NewFrame(0)
		f.AddEvent(7, []byte(body), opts.Sealer)
		done := make(chan error, 1)
		l.Append(f, 0, func(_ Position, err error) { done <- err })
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sealer *seal.Sealer
		want   int
	}{{testSealer(t, "2", "1"), 2}, {testSealer(t, "2"), 0}, {nil, 0}} {
		var got []string
		opts.Sealer = c.sealer
		l, err := Open(opts, root, func(_ uint64, entries []Entry) error {
			got = append(got, string(entries[0].Body))
			return nil
		})
		if len(got) != c.want || c.want > 0 && (err != nil || got[1] != "two") || c.want == 0 && !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("%q, %v", got, err)
		}
		if err == nil {
			if err := l.Close(); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// TestSealedCheckpoint: an encrypted checkpoint needs its key, names the keys of
// the directory, and takes no change.
func TestSealedCheckpoint(t *testing.T) {
	fs := vfs.NewMem()
	s := testSealer(t, "1")
	root := Root{FirstFile: 3, FirstSequence: 9, Synced: 12, Clean: true, Epoch: 4}
	keys := []seal.KeyID{s.Keys().First(), {1, 2, 3}}
	if err := SaveCheckpoint(fs, "", root, []byte("readable state"), Sealing{s, keys}); err != nil {
		t.Fatal(err)
	}
	got, state, listed, err := loaded(fs, testSealer(t, "2", "1"))
	if err != nil || got != root || string(state) != "readable state" || !slices.Equal(listed, keys) {
		t.Fatal(got, state, listed, err)
	}
	if _, _, listed, err := loaded(fs, nil); !errors.Is(err, ErrSealed) || !slices.Equal(listed, keys) || !strings.Contains(err.Error(), keys[0].String()) {
		t.Fatal(listed, err)
	}
	if _, _, listed, err := loaded(fs, testSealer(t, "2")); !errors.Is(err, seal.ErrUnknownKey) || !slices.Equal(listed, keys) {
		t.Fatal(listed, err)
	}
	good, err := vfs.ReadFile(fs, CheckpointName, 1<<20)
	if err != nil || bytes.Contains(good, []byte("readable")) {
		t.Fatal(err)
	}
	for i := checkpointHeaderBytes; i < len(good); i++ {
		bad := slices.Clone(good)
		bad[i] ^= 1
		if err := vfs.WriteFileAtomic(fs, CheckpointName, bad); err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := loaded(fs, s); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("flip at %d: %v", i, err)
		}
		// The same with the checksum made right: the tag notices, key list included.
		body, _, err := openCheckpoint(bad[checkpointHeaderBytes:], s)
		if body != nil || !errors.Is(err, ErrCorrupt) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("flip at %d behind the checksum: %v", i, err)
		}
	}
	for n := range len(good) - checkpointHeaderBytes {
		if _, _, err := openCheckpoint(good[checkpointHeaderBytes:][:n], s); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: %v", n, err)
		}
	}
}
