package wal

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// loaded is LoadCheckpointFile of the first file in the current directory.
func loaded(fsys vfs.FS, sealer *seal.Sealer) (Root, []byte, []seal.KeyID, error) {
	c, err := LoadCheckpointFile(fsys, CheckpointName, sealer)
	return c.Root, c.State, c.Keys, err
}

// put writes both files of the checkpoint, nil for none.
func put(t *testing.T, one, two []byte) vfs.FS {
	t.Helper()
	fsys := vfs.NewMem()
	for name, b := range map[string][]byte{CheckpointName: one, CheckpointCopyName: two} {
		if b == nil {
			continue
		}
		if err := vfs.WriteFileAtomic(fsys, name, b); err != nil {
			t.Fatal(err)
		}
	}
	return fsys
}

// TestCheckpointPair goes through what the two files can be: which one is read, what
// is said of the other, and what is refused.
func TestCheckpointPair(t *testing.T) {
	sealer := testSealer(t, "1")
	root := Root{FirstFile: 3, FirstSequence: 9, Synced: 12, Epoch: 4}
	newer := root
	newer.Synced = 15
	b1, b0 := encodeCheckpoint(newer, []byte("new"), Sealing{}), encodeCheckpoint(root, []byte("old"), Sealing{})
	locked := encodeCheckpoint(root, []byte("old"), Sealing{sealer, []seal.KeyID{sealer.Keys().First()}})
	damage := func(b []byte, at int) []byte {
		b = slices.Clone(b)
		b[at] ^= 0x40
		return b
	}
	future := func(b []byte) []byte {
		b = slices.Clone(b)
		b[11] = FormatVersion + 1
		return b
	}
	const last = checkpointHeaderBytes + 3
	for name, c := range map[string]struct {
		one, two []byte
		state    string // "" for an error
		fromCopy bool
		whole    bool
		damage   error // nil for none
		err      error
	}{
		"whole":                          {b1, b1, "new", false, true, nil, nil},
		"older copy":                     {b1, b0, "new", false, false, nil, nil},
		"newer copy":                     {b0, b1, "old", false, false, nil, nil},
		"no copy":                        {b1, nil, "new", false, false, nil, nil},
		"damaged copy":                   {b1, damage(b1, last), "new", false, false, ErrCorrupt, nil},
		"cut copy":                       {b1, b1[:10], "new", false, false, ErrCorrupt, nil},
		"empty copy":                     {b1, []byte{}, "new", false, false, ErrCorrupt, nil},
		"damaged":                        {damage(b1, last), b1, "new", true, false, ErrCorrupt, nil},
		"damaged, older copy":            {damage(b1, last), b0, "old", true, false, ErrCorrupt, nil},
		"version damaged":                {future(b1), b1, "new", true, false, ErrCorrupt, nil},
		"version of the copy damaged":    {b1, future(b1), "new", false, false, ErrCorrupt, nil},
		"empty":                          {[]byte{}, b1, "new", true, false, ErrCorrupt, nil},
		"zeros":                          {make([]byte, len(b1)), b1, "new", true, false, ErrCorrupt, nil},
		"missing":                        {nil, b1, "new", true, false, fs.ErrNotExist, nil},
		"both missing":                   {nil, nil, "", false, false, nil, fs.ErrNotExist},
		"both damaged":                   {damage(b1, last), damage(b1, last), "", false, false, nil, ErrCorrupt},
		"missing, damaged copy":          {nil, damage(b1, last), "", false, false, nil, ErrCorrupt},
		"damaged, no copy":               {damage(b1, last), nil, "", false, false, nil, ErrCorrupt},
		"newer version":                  {future(b1), future(b1), "", false, false, nil, ErrVersion},
		"newer version, older copy":      {future(b1), b0, "", false, false, nil, ErrVersion},
		"newer version, no copy":         {future(b1), nil, "", false, false, nil, ErrVersion},
		"copy of a newer version":        {b1, future(b0), "", false, false, nil, ErrVersion},
		"damaged, copy of newer version": {damage(b1, last), future(b0), "", false, false, nil, ErrVersion},
		"encrypted":                      {locked, b0, "", false, false, nil, ErrSealed},
		"damaged, encrypted copy":        {damage(locked, last), locked, "", false, false, nil, ErrSealed},
	} {
		fsys := put(t, c.one, c.two)
		got, err := LoadCheckpoint(fsys, "", nil)
		if c.err != nil {
			if !errors.Is(err, c.err) || vfs.IsNotExist(err) != (c.err == fs.ErrNotExist) {
				t.Errorf("%s: %v", name, err)
			}
			if c.err == ErrCorrupt && (!strings.Contains(err.Error(), CheckpointName+": ") || !strings.Contains(err.Error(), CheckpointCopyName+": ")) {
				t.Errorf("%s: does not name both: %v", name, err)
			}
			if c.err == ErrSealed && len(got.Keys) != 1 {
				t.Errorf("%s: keys %v", name, got.Keys)
			}
			continue
		}
		if err != nil || string(got.State) != c.state || got.Root.FromCopy != c.fromCopy || got.Whole != c.whole || !errors.Is(got.Damage, c.damage) {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if got.Older != (name == "newer copy") {
			t.Errorf("%s: older: %v", name, got.Older)
		}
		if err := got.WriteOther(fsys, ""); err != nil {
			t.Fatal(err)
		}
		if again, err := LoadCheckpoint(fsys, "", nil); err != nil || !again.Whole || again.Root.FromCopy || string(again.State) != c.state {
			t.Errorf("%s: written anew: %+v, %v", name, again, err)
		}
	}
}

// TestCheckpointAnyFlip: no single bit of either file costs anything.
func TestCheckpointAnyFlip(t *testing.T) {
	root := Root{FirstFile: 3, FirstSequence: 9, Synced: 12, Epoch: 4}
	sealer := testSealer(t, "1")
	for _, how := range []Sealing{{}, {sealer, []seal.KeyID{sealer.Keys().First()}}} {
		good := encodeCheckpoint(root, []byte("state"), how)
		for i := range len(good) * 8 {
			bad := slices.Clone(good)
			bad[i/8] ^= 1 << (i % 8)
			for _, fsys := range []vfs.FS{put(t, bad, good), put(t, good, bad)} {
				c, err := LoadCheckpoint(fsys, "", sealer)
				c.Root.FromCopy = false
				if err != nil || c.Whole || c.Root != root || string(c.State) != "state" {
					t.Fatalf("bit %d: %+v, %v", i, c, err)
				}
			}
		}
	}
}

// TestCheckpointNotGiven: a file that the disk does not give is as one that is
// damaged; one that somebody else owns is not.
func TestCheckpointNotGiven(t *testing.T) {
	b := encodeCheckpoint(Root{FirstFile: 1, FirstSequence: 1}, []byte("state"), Sealing{})
	for name, c := range map[string]struct {
		cause error
		ok    bool
	}{"bad sector": {syscall.EIO, true}, "damaged file system": {errors.New("structure needs cleaning"), true}, "permission": {syscall.EACCES, false}} {
		fsys := vfs.WithHook(put(t, b, b), func(op vfs.Op) error {
			if strings.HasSuffix(op.Path, CheckpointName) && !vfs.IsWrite(op) {
				return &fs.PathError{Op: "read", Path: op.Path, Err: c.cause}
			}
			return nil
		})
		got, err := LoadCheckpoint(fsys, "", nil)
		if c.ok && (err != nil || !got.Root.FromCopy || !errors.Is(got.Damage, c.cause)) || !c.ok && !errors.Is(err, c.cause) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// TestSaveOrder: the copy is written when the checkpoint is durable, and an error of
// either is one of the save.
func TestSaveOrder(t *testing.T) {
	for _, name := range []string{CheckpointName, CheckpointCopyName} {
		mem := vfs.NewCrashable()
		save := func(fsys vfs.FS, synced uint64) error {
			return SaveCheckpoint(fsys, "", Root{FirstFile: 1, FirstSequence: 1, Synced: synced}, fmt.Appendf(nil, "%d", synced), Sealing{})
		}
		if err := save(mem, 1); err != nil {
			t.Fatal(err)
		}
		fails := vfs.WithHook(mem, func(op vfs.Op) error {
			if vfs.IsWrite(op) && op.Path == name+".tmp" {
				return syscall.EIO
			}
			return nil
		})
		if err := save(fails, 2); !errors.Is(err, syscall.EIO) || !strings.Contains(err.Error(), "write "+name) {
			t.Errorf("%s: %v", name, err)
		}
		crashed := mem.CrashClone(vfs.CrashCloneCfg{})
		one, err := vfs.ReadFile(crashed, CheckpointName, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		two, err := vfs.ReadFile(crashed, CheckpointCopyName, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if same := bytes.Equal(one, two); same != (name == CheckpointName) || !bytes.HasSuffix(two, []byte("1")) {
			t.Errorf("%s: after a failed save: %q and %q", name, one, two)
		}
	}
}

// TestRootFromCopy: what a copy says of the log is believed if the log has its first
// file and no frame of an incarnation that the copy does not know.
func TestRootFromCopy(t *testing.T) {
	whole, _ := logBytes(t, bodies("frame", 3)) // of incarnation 1
	for name, c := range map[string]struct {
		root Root
		log  bool
		ok   bool
	}{
		"right":                     {Root{FirstFile: 1, FirstSequence: 1, Epoch: 1, FromCopy: true}, true, true},
		"of an earlier incarnation": {Root{FirstFile: 1, FirstSequence: 1, Epoch: 0, FromCopy: true}, true, false},
		"of a log that is gone":     {Root{FirstFile: 1, FirstSequence: 1, Epoch: 1, FromCopy: true}, false, false},
		"of a log that was retired": {Root{FirstFile: 2, FirstSequence: 4, Epoch: 1, FromCopy: true}, true, false},
		"not a copy":                {Root{FirstFile: 1, FirstSequence: 1}, true, true},
		"not a copy, no file":       {Root{FirstFile: 1, FirstSequence: 1}, false, true},
	} {
		fsys := vfs.NewMem()
		if c.log {
			fsys = fileSystem(t, 1, whole)
		}
		l, _, err := openTest(t, fsys, testOptions(fsys), c.root)
		if c.ok != (err == nil) || !c.ok && (!errors.Is(err, ErrCorrupt) || !strings.Contains(err.Error(), CheckpointCopyName)) {
			t.Errorf("%s: %v", name, err)
		}
		if names, lerr := fsys.List("wal"); lerr != nil || !c.ok && !c.log && len(names) > 0 {
			t.Errorf("%s: refused, and made %v, %v", name, names, lerr)
		}
		if err == nil {
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// TestRetiredFilesStay: a start keeps the files that the checkpoint does not name
// until it is told that the copy does not either.
func TestRetiredFilesStay(t *testing.T) {
	whole, _ := logBytes(t, bodies("frame", 3))
	fsys := fileSystem(t, 1, whole)
	for number := range uint64(5) {
		if err := vfs.WriteFileAtomic(fsys, fileName(fsys, "wal", number+2), whole); err != nil {
			t.Fatal(err)
		}
	}
	l, _, err := openTest(t, fsys, testOptions(fsys), Root{FirstFile: 6, FirstSequence: 20})
	if err != nil {
		t.Fatal(err)
	}
	before, err := fsys.List("wal")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.RemoveRetired(); err != nil {
		t.Fatal(err)
	}
	after, err := fsys.List("wal")
	if err != nil || len(before) != 6 || len(after) != 1+freeFilesMax {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}
