package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/vfs"
)

// everyKind fills a data directory so that every kind of file is in it: log
// files, the spare, segments as archived and compacted, indexes, the checkpoint.
// It returns the values of a-0 and the newest values of c-0.
func everyKind(t *testing.T, fs vfs.FS) ([]string, map[string]int) {
	t.Helper()
	want := archived(t, fs)
	b := mustOpen(t, fs, cleanerLimits())
	m := &keyed{acked: map[string]int{}, sent: map[string]int{}}
	if err := keyedLoad(b, m, 60); err != nil {
		t.Fatal(err)
	}
	mustClose(t, b)
	return want, m.acked
}

// damageOf opens a directory and says whether damage is noticed; what is read
// without an error must be what was written.
func damageOf(fs vfs.FS, want []string, keys map[string]int) (noticed bool, err error) {
	isDamage := func(err error) bool { return isDamage(err) || errors.Is(err, wal.ErrVersion) }
	b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: cleanerLimits()})
	if err != nil {
		if isDamage(err) {
			return true, nil
		}
		return false, fmt.Errorf("open: %w", err)
	}
	defer func() { err = errors.Join(err, b.Close(context.Background())) }()
	got, rerr := readAll(b, tpA, 0)
	if rerr != nil && !isDamage(rerr) || !slices.Equal(got, want[:min(len(got), len(want))]) || rerr == nil && len(got) != len(want) {
		return false, fmt.Errorf("%d of %d records: %w", len(got), len(want), rerr)
	}
	newest, _, kerr := readKeyed(b)
	if kerr != nil && !isDamage(kerr) {
		return false, kerr
	}
	for key, v := range keys {
		if kerr == nil && newest[key] != v {
			return false, fmt.Errorf("key %s has %d, written was %d", key, newest[key], v)
		}
	}
	return rerr != nil || kerr != nil, nil
}

// TestFileFlips flips bits and blocks in files of every kind of a directory that
// was closed: what is wrong is noticed, never served, and never cut off.
func TestFileFlips(t *testing.T) {
	fs := vfs.NewMem()
	want, keys := everyKind(t, fs)
	paths := walk(t, fs, "data", "")
	seeds(t, rounds(2), func(t *testing.T, seed uint64, rng *rand.Rand) {
		noticed := map[string]int{}
		for _, path := range paths {
			good, err := vfs.ReadFile(fs, path, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 40 {
				if len(good) == 0 {
					break
				}
				bad := slices.Clone(good)
				at := rng.IntN(len(bad))
				if i%4 == 3 {
					clear(bad[at:min(at+4096, len(bad))])
				} else {
					bad[at] ^= 1 << rng.IntN(8)
				}
				clone := cloneDir(t, fs, paths)
				if err := vfs.WriteFileAtomic(clone, path, bad); err != nil {
					t.Fatal(err)
				}
				n, err := damageOf(clone, want, keys)
				if err != nil {
					t.Fatalf("seed %d: %s, byte %d of %d: %v", seed, path, at, len(good), err)
				}
				if n {
					noticed[fs.PathBase(path)]++
				}
			}
		}
		if noticed[wal.CheckpointName]+noticed[wal.CheckpointCopyName] > 0 {
			t.Error("a flip in one file of the checkpoint costs something")
		}
		if len(noticed) < 3 {
			t.Errorf("noticed in %v only", noticed)
		}
	})
}

// cloneDir copies files into a new file system.
func cloneDir(t *testing.T, fs vfs.FS, paths []string) vfs.FS {
	t.Helper()
	clone := vfs.NewMem()
	for _, path := range paths {
		b, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if err := clone.MkdirAll(clone.PathDir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFileAtomic(clone, path, b); err != nil {
			t.Fatal(err)
		}
	}
	return clone
}

// TestTornTail cuts the newest log file of a directory that was not closed at
// every byte of its last three commits, and puts zeros or garbage there: exactly
// the whole commits are there.
func TestTornTail(t *testing.T) {
	seeds(t, rounds(5), func(t *testing.T, seed uint64, rng *rand.Rand) {
		mem := vfs.NewCrashable()
		b := mustOpen(t, mem, Limits{WALSpareBytes: 1})
		createTopics(t, b, TopicSpec{Name: "a"})
		n := 4 + rng.IntN(8)
		var values []string
		var ends []int64
		path := walk(t, mem, "data/wal", ".wal")[0]
		for i := range n {
			values = append(values, fmt.Sprintf("%d-%0*d", i, 1+rng.IntN(120), i))
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, values[i]), 1}}}); r.Err != nil {
				t.Fatal(r.Err)
			}
			info, err := mem.Stat(path)
			if err != nil {
				t.Fatal(err)
			}
			ends = append(ends, info.Size())
		}
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		paths := walk(t, crashed, "data", "")
		whole, err := vfs.ReadFile(crashed, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		garbage := make([]byte, 512)
		for i := range garbage {
			garbage[i] = byte(rng.Uint32())
		}
		for cut := ends[n-4]; cut <= ends[n-1]; cut++ {
			tail := [][]byte{nil, make([]byte, 512), garbage}[rng.IntN(3)]
			fs := cloneDir(t, crashed, paths)
			if err := vfs.WriteFileAtomic(fs, path, append(slices.Clone(whole[:cut]), tail...)); err != nil {
				t.Fatal(err)
			}
			want := 0
			for want < n && ends[want] <= cut {
				want++
			}
			b := mustOpen(t, fs, Limits{WALSpareBytes: 1})
			got, err := readAll(b, tpA, 0)
			// A cut in a frame's last zeros takes nothing away when zeros follow.
			if err != nil || len(got) < want || len(got) > want+1 || !slices.Equal(got, values[:len(got)]) || len(got) > want && ends[want]-cut > 8 {
				t.Fatalf("cut at %d of %d: %d records, want %d, %v", cut, len(whole), len(got), want, err)
			}
			if r := commitWait(b, Commit{Appends: []Append{{tpA, batchOf(1, "after"), 1}}}); r.Err != nil || int(r.BaseOffsets[0]) != len(got) {
				t.Fatalf("cut at %d: next offset %+v", cut, r)
			}
			mustClose(t, b)
		}
	})
}

// TestDamageIsLoggedOnce: clients that ask again and again for what cannot be read
// do not fill the log.
func TestDamageIsLoggedOnce(t *testing.T) {
	fs := vfs.NewMem()
	archived(t, fs)
	for _, path := range walk(t, fs, "data", "") {
		b, err := vfs.ReadFile(fs, path, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, ".log") {
			b[100] ^= 1
			writeFile(t, fs, path, b)
		}
	}
	var logged bytes.Buffer
	b, err := Open(Config{Keys: testKeys, Dir: "data", FS: fs, Limits: cleanerLimits(), Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close(context.Background())
	ctx, cl := testCtx(t), client(t, serveOn(t, b))
	for range 5 {
		req := fetchOf(b.topics.get("a").id, 0)
		resp := ask[*kmsg.FetchResponse](t, ctx, cl, req)
		wantCode(t, "fetch of a damaged segment", resp.Topics[0].Partitions[0].ErrorCode, kerr.KafkaStorageError)
	}
	if err := b.Close(context.Background()); err != nil { // nothing is logged any more
		t.Fatal(err)
	}
	if n := strings.Count(logged.String(), "millrace topic delete-records"); n != 1 {
		t.Fatalf("logged %d times: %s", n, logged.String())
	}
}
