package seal

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// TestFiles: what is written in any pieces is read at any place, and nothing of it
// is on disk; sizes are those of the content.
func TestFiles(t *testing.T) {
	mem := vfs.NewMem()
	fs := NewFiles(mem, mustParse(t, testKey(1)))
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 20 {
		content := make([]byte, rng.IntN(300_000))
		for i := range content {
			content[i] = byte(i % 7)
		}
		f, err := fs.Create("f", vfs.Category)
		if err != nil {
			t.Fatal(err)
		}
		for rest := content; len(rest) > 0; {
			n := min(len(rest), 1+rng.IntN(100_000))
			piece := slices.Clone(rest[:n])
			if m, err := f.Write(piece); err != nil || m != n || !bytes.Equal(piece, rest[:n]) {
				t.Fatal(m, err)
			}
			rest = rest[n:]
		}
		if err := errors.Join(vfs.Sync(f), f.Close()); err != nil {
			t.Fatal(err)
		}
		stored, err := vfs.ReadFile(mem, "f", 1<<20)
		if err != nil || len(stored) != fileHeaderBytes+len(content) || len(content) > 100 && bytes.Contains(stored, content[len(content)/2:][:40]) {
			t.Fatalf("round %d: %d bytes on disk of %d, %v", round, len(stored), len(content), err)
		}
		got, err := vfs.ReadFile(fs, "f", 1<<20)
		if err != nil || !bytes.Equal(got, content) {
			t.Fatalf("round %d: %v", round, err)
		}
		if info, err := fs.Stat("f"); err != nil || info.Size() != int64(len(content)) {
			t.Fatal(info, err)
		}
		if f, err = fs.Open("f"); err != nil {
			t.Fatal(err)
		}
		for range 50 {
			at := rng.IntN(len(content) + 10)
			b := make([]byte, rng.IntN(200))
			n, err := f.ReadAt(b, int64(at))
			want := content[min(at, len(content)):min(at+len(b), len(content))]
			if !bytes.Equal(b[:n], want) || n < len(b) && !errors.Is(err, io.EOF) || n == len(b) && n > 0 && err != nil {
				t.Fatalf("%d bytes at %d of %d: %d, %v", len(b), at, len(content), n, err)
			}
		}
		if info, err := f.Stat(); err != nil || info.Size() != int64(len(content)) {
			t.Fatal(info, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestKeystreams: two files with the same content have nothing in common, also when
// one takes the name of the other, or of a recycled file.
func TestKeystreams(t *testing.T) {
	mem := vfs.NewMem()
	fs := NewFiles(mem, mustParse(t, testKey(1)))
	zeros := make([]byte, 4096)
	seen := map[string]bool{}
	write := func(f vfs.File, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write(zeros); err != nil {
			t.Fatal(err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := vfs.ReadFile(mem, "f", 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for at := fileHeaderBytes; at < len(b); at += 16 {
			if block := string(b[at : at+16]); seen[block] {
				t.Fatalf("block at %d comes twice", at)
			} else {
				seen[block] = true
			}
		}
	}
	write(fs.Create("f", vfs.Category))
	write(fs.Create("f", vfs.Category))
	if err := fs.Rename("f", "old"); err != nil {
		t.Fatal(err)
	}
	write(fs.ReuseForWrite("old", "f", vfs.Category))
	if _, err := mem.Stat("old"); !vfs.IsNotExist(err) {
		t.Fatal("the old file is there")
	}
}

// TestWrittenOnce: whatever could use a keystream twice is refused.
func TestWrittenOnce(t *testing.T) {
	fail := false
	mem := vfs.NewMem()
	fs := NewFiles(vfs.WithHook(mem, func(op vfs.Op) error {
		if fail && vfs.IsWrite(op) {
			return syscall.EIO
		}
		return nil
	}), mustParse(t, testKey(1)))
	f, err := fs.Create("f", vfs.Category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, ErrAppendOnly) {
		t.Fatal(err)
	}
	if _, err := fs.OpenReadWrite("f", vfs.Category); !errors.Is(err, ErrAppendOnly) {
		t.Fatal(err)
	}
	if _, err := f.Write([]byte("x")); err != nil {
		t.Fatal(err)
	}
	fail = true
	if _, err := f.Write([]byte("y")); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fail = false
	if _, err := f.Write([]byte("z")); !errors.Is(err, ErrAppendOnly) {
		t.Fatalf("a write behind one that failed: %v", err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err = fs.Open("f"); err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.Write([]byte("z")); !errors.Is(err, ErrAppendOnly) {
		t.Fatal(err)
	}
	if fs.Unwrap() != nil || f.Fd() != ^uintptr(0) {
		t.Fatal("there is a way around")
	}
}

// TestFullDisk: what did not fit is written behind what did when there is room.
func TestFullDisk(t *testing.T) {
	disk := vfs.WithCapacity(vfs.NewMem(), fileHeaderBytes+1000)
	fs := NewFiles(disk, mustParse(t, testKey(1)))
	f, err := fs.Create("f", vfs.Category)
	if err != nil {
		t.Fatal(err)
	}
	content := bytes.Repeat([]byte("0123456789"), 20_000)
	n, err := f.Write(content)
	if n != 1000 || !vfs.IsFull(err) {
		t.Fatal(n, err)
	}
	disk.SetCapacity(1 << 30)
	if _, err := f.Write(content[n:]); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if got, err := vfs.ReadFile(fs, "f", 1<<20); err != nil || !bytes.Equal(got, content) {
		t.Fatal(len(got), err)
	}
}

// TestHeads: a file that is plain, damaged, cut or of another key is told from one
// that can be read.
func TestHeads(t *testing.T) {
	mem := vfs.NewMem()
	fs := NewFiles(mem, mustParse(t, testKey(1)))
	if reason, err := fs.Check("none"); reason != nil || err != nil {
		t.Fatal(reason, err)
	}
	if err := mem.MkdirAll("d/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := fs.Create("d/f", vfs.Category)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	good, err := vfs.ReadFile(mem, "d/f", 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	flipped := slices.Clone(good)
	flipped[30] ^= 1
	newer := slices.Clone(good)
	newer[11]++
	for name, c := range map[string]struct {
		content          []byte
		readable, reason bool
	}{
		"good": {good, true, false}, "plain": {bytes.Repeat([]byte("plain "), 30), false, true}, "flipped": {flipped, false, true}, "newer": {newer, false, true},
		// What a crash leaves of a file that was never synced is no reason.
		"empty": {nil, false, false}, "cut": {good[:40], false, false}, "zeros": {make([]byte, 100), false, false},
	} {
		if err := vfs.WriteFileAtomic(mem, "d/f", c.content); err != nil {
			t.Fatal(err)
		}
		f, err := fs.Open("d/f")
		if (err == nil) != c.readable || err != nil && !errors.Is(err, vfs.ErrCorrupt) {
			t.Errorf("%s: open: %v", name, err)
		}
		if err == nil {
			f.Close()
		}
		if reason, err := fs.Check("d"); err != nil || (reason != nil) != c.reason {
			t.Errorf("%s: %v, %v", name, reason, err)
		}
	}
	if err := vfs.WriteFileAtomic(mem, "d/f", good); err != nil {
		t.Fatal(err)
	}
	other := NewFiles(mem, mustParse(t, testKey(2)))
	if reason, err := other.Check("d"); err != nil || !errors.Is(reason, ErrUnknownKey) {
		t.Errorf("another key: %v, %v", reason, err)
	}
	if reason, err := NewFiles(mem, mustParse(t, testKey(2), testKey(1))).Check("d"); err != nil || reason != nil {
		t.Errorf("two keys: %v, %v", reason, err)
	}
}
