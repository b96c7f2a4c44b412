package seal

import (
	"bytes"
	"errors"
	"testing"

	"github.com/millrace/millrace/internal/vfs"
)

// FuzzOpen: no bytes make Open panic, or open as what nobody sealed; what is sealed
// opens to the same with its context, with no other, and not when a byte differs.
func FuzzOpen(f *testing.F) {
	s := fuzzSealer(f)
	good := s.Seal(nil, []byte("context"), []byte("plain"))
	f.Add(good, []byte("context"), []byte("plain"), 0)
	f.Add(good[:len(good)-1], []byte("context"), []byte{}, 3)
	f.Add(good[:Overhead-1], []byte{}, []byte("x"), 70)
	f.Add([]byte{}, []byte{}, bytes.Repeat([]byte("long"), 5000), -1)
	other := append([]byte(nil), good...)
	other[1] ^= 1 // another key
	f.Add(other, []byte("context"), []byte("plain"), 9)
	f.Fuzz(func(t *testing.T, blob, context, plain []byte, at int) {
		before := bytes.Clone(blob)
		if out, err := s.Open([]byte("head"), context, blob); err == nil {
			// A worker's seed is sealed by another process, with the same key.
			if string(context) != "context" || string(out) != "headplain" || len(blob) != len(good) {
				t.Fatalf("%x with %q opened to %q", blob, context, out)
			}
		} else if !errors.Is(err, ErrOpen) && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("an error that nobody knows: %v", err)
		}
		if !bytes.Equal(blob, before) {
			t.Fatal("Open changed the blob")
		}
		if id, err := KeyOf(blob); err == nil && len(blob) < Overhead {
			t.Fatalf("%d bytes have key %s", len(blob), id)
		}

		sealed := s.Seal([]byte("dst"), context, plain[:len(plain)/2], plain[len(plain)/2:])
		if !bytes.HasPrefix(sealed, []byte("dst")) || len(sealed) != 3+Overhead+len(plain) {
			t.Fatalf("%d bytes are sealed to %d", len(plain), len(sealed)-3)
		}
		sealed = sealed[3:]
		if out, err := s.Open(nil, context, sealed); err != nil || !bytes.Equal(out, plain) {
			t.Fatalf("does not open to what was sealed: %v", err)
		}
		if _, err := s.Open(nil, append(bytes.Clone(context), 0), sealed); !errors.Is(err, ErrOpen) {
			t.Fatalf("with another context: %v", err)
		}
		flipped := bytes.Clone(sealed)
		flipped[uint(at)%uint(len(flipped))] ^= 1 << (uint(at) % 8)
		if out, err := s.Open(nil, context, flipped); err == nil {
			t.Fatalf("with a bit flipped at %d: %q", uint(at)%uint(len(flipped)), out)
		}
		if out, err := s.OpenInPlace(context, sealed); err != nil || !bytes.Equal(out, plain) {
			t.Fatalf("does not open in place: %v", err)
		}
	})
}

func fuzzSealer(f *testing.F) *Sealer {
	f.Helper()
	keys, err := ParseKeys("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		f.Fatal(err)
	}
	s, err := NewSealer(keys)
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// FuzzFiles: a file of any bytes opens to something or to an error, and what is
// written through Files is read back, and is not what is on the disk.
func FuzzFiles(f *testing.F) {
	keys, err := ParseKeys("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f")
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte{}, 0)
	f.Add(bytes.Repeat([]byte("a page of a table "), 4000), 17)
	f.Add([]byte(fileMagic+"\x00\x00\x00\x01and not much more than a head of sixty-four bytes, or so"), 63)
	f.Fuzz(func(t *testing.T, content []byte, cut int) {
		below := vfs.NewMem()
		files := NewFiles(below, keys)
		if err := vfs.WriteFileAtomic(below, "hostile", content); err != nil {
			t.Fatal(err)
		}
		if b, err := vfs.ReadFile(files, "hostile", 1<<30); err == nil && len(b) > max(0, len(content)-fileHeaderBytes) {
			t.Fatalf("%d bytes came out of %d", len(b), len(content))
		}
		if _, err := files.Check(""); err != nil {
			t.Fatal(err)
		}
		w, err := files.Create("written", vfs.Category)
		if err != nil {
			t.Fatal(err)
		}
		cut = int(uint(cut) % uint(len(content)+1))
		for _, part := range [][]byte{content[:cut], content[cut:]} {
			if _, err := w.Write(bytes.Clone(part)); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if b, err := vfs.ReadFile(files, "written", 1<<30); err != nil || !bytes.Equal(b, content) {
			t.Fatalf("%d bytes of %d are read back, %v", len(b), len(content), err)
		}
		stored, err := vfs.ReadFile(below, "written", 1<<30)
		if err != nil || len(content) >= 16 && bytes.Contains(stored, content) {
			t.Fatalf("stored as it was, %v", err)
		}
	})
}
