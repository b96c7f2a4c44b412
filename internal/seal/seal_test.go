package seal

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
)

func testKey(b byte) string {
	return hex.EncodeToString(bytes.Repeat([]byte{b}, KeyBytes))
}

func mustParse(t testing.TB, lines ...string) *Keys {
	t.Helper()
	k, err := ParseKeys(strings.Join(lines, "\n"))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func mustSealer(t testing.TB, lines ...string) *Sealer {
	t.Helper()
	s, err := NewSealer(mustParse(t, lines...))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestParseKeys: every form of a key is the same key; what is wrong is named by
// its line and not shown.
func TestParseKeys(t *testing.T) {
	raw := make([]byte, KeyBytes)
	for i := range raw {
		raw[i] = byte(200 + i)
	}
	want := mustParse(t, hex.EncodeToString(raw)).First()
	for _, text := range []string{
		strings.ToUpper(hex.EncodeToString(raw)), base64.StdEncoding.EncodeToString(raw), base64.RawStdEncoding.EncodeToString(raw),
		base64.URLEncoding.EncodeToString(raw), base64.RawURLEncoding.EncodeToString(raw),
		"# comment\r\n\r\n  " + hex.EncodeToString(raw) + " \r\n",
	} {
		k, err := ParseKeys(text)
		if err != nil || k.First() != want || len(k.IDs()) != 1 {
			t.Errorf("%q: %v", text, err)
		}
	}
	two := mustParse(t, testKey(2), "", testKey(1))
	if ids := two.IDs(); len(ids) != 2 || ids[0] != two.First() || ids[0] == ids[1] || !two.Has(ids[1]) || two.Has(want) {
		t.Errorf("two keys: %v", ids)
	}
	var many []string
	for i := range KeysMax + 1 {
		many = append(many, testKey(byte(i)))
	}
	for text, want := range map[string]string{
		"":                                         "none given",
		"\n# nothing\n":                            "none given",
		testKey(1)[:62]:                            "line 1: expected 32 bytes",
		testKey(1) + "00":                          "line 1: expected 32 bytes",
		strings.Repeat("g", 64):                    "line 1: expected 32 bytes",
		testKey(1) + "\n\nsecret":                  "line 3: expected 32 bytes",
		testKey(1) + "\n" + testKey(1):             "line 2: key",
		strings.Join(many, "\n"):                   "more than 64",
		base64.StdEncoding.EncodeToString(nil):     "none given",
		base64.StdEncoding.EncodeToString(raw[1:]): "line 1: expected 32 bytes",
	} {
		_, err := ParseKeys(text)
		if !errors.Is(err, ErrKeys) || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), testKey(1)) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// TestBlob: what is sealed comes back, from another sealer with the key too, and
// nothing of it can be read; parts are joined.
func TestBlob(t *testing.T) {
	s := mustSealer(t, testKey(1))
	for _, plain := range [][]byte{nil, []byte("x"), bytes.Repeat([]byte("a long text "), 10_000)} {
		blob := s.Seal([]byte("head"), []byte("context"), plain, []byte("tail"))
		if !bytes.HasPrefix(blob, []byte("head")) || len(blob) != 4+Overhead+len(plain)+4 || bytes.Contains(blob, []byte("tail")) {
			t.Fatalf("blob of %d bytes: %d bytes", len(plain), len(blob))
		}
		for _, reader := range []*Sealer{s, mustSealer(t, testKey(1)), mustSealer(t, testKey(2), testKey(1))} {
			got, err := reader.Open([]byte("before "), []byte("context"), blob[4:])
			if err != nil || string(got) != "before "+string(plain)+"tail" {
				t.Fatalf("%q, %v", got, err)
			}
		}
		if id, err := KeyOf(blob[4:]); err != nil || id != s.Keys().First() {
			t.Fatal(id, err)
		}
		if _, err := mustSealer(t, testKey(2)).Open(nil, []byte("context"), blob[4:]); !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), s.Keys().First().String()) {
			t.Fatalf("another key: %v", err)
		}
	}
}

// TestBlobDamage: every bit counts, and so do the length and the context.
func TestBlobDamage(t *testing.T) {
	s := mustSealer(t, testKey(1))
	context := []byte("context")
	blob := s.Seal(nil, context, []byte("what is sealed"))
	refuse := func(what string, at int, context, blob []byte) {
		t.Helper()
		got, err := s.Open(nil, context, blob)
		if got != nil || !errors.Is(err, ErrOpen) && !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("%s at %d: %q, %v", what, at, got, err)
		}
	}
	for i := range len(blob) * 8 {
		bad := slices.Clone(blob)
		bad[i/8] ^= 1 << (i % 8)
		refuse("flip", i, context, bad)
	}
	for n := range blob {
		refuse("cut", n, context, blob[:n])
	}
	refuse("longer", 0, context, append(slices.Clone(blob), 0))
	refuse("no context", 0, nil, blob)
	for i := range context {
		bad := slices.Clone(context)
		bad[i] ^= 1
		refuse("context", i, bad, blob)
	}
}

// TestNonces: no two blobs have salt and counter alike, whoever makes them at once
// and whichever sealer of the same key does.
func TestNonces(t *testing.T) {
	seen := map[[saltBytes + 8]byte]bool{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range 4 {
		s := mustSealer(t, testKey(1))
		for range 4 {
			wg.Go(func() {
				for range 500 {
					blob := s.Seal(nil, nil, []byte("same"))
					mu.Lock()
					seen[[saltBytes + 8]byte(blob[9:prefixBytes])] = true
					mu.Unlock()
				}
			})
		}
	}
	wg.Wait()
	if len(seen) != 4*4*500 {
		t.Errorf("%d nonces of %d blobs", len(seen), 4*4*500)
	}
}

// TestManyRuns: more runs than are kept can be read.
func TestManyRuns(t *testing.T) {
	s := mustSealer(t, testKey(1))
	var blobs [][]byte
	for range runsMax + 50 {
		blobs = append(blobs, mustSealer(t, testKey(1)).Seal(nil, nil, []byte("x")))
	}
	for range 2 {
		for i, blob := range blobs {
			if got, err := s.Open(nil, nil, blob); err != nil || string(got) != "x" {
				t.Fatal(i, err)
			}
			if len(s.runs) > runsMax {
				t.Fatalf("%d ciphers are kept", len(s.runs))
			}
		}
	}
}

func BenchmarkSeal(b *testing.B) {
	s := mustSealer(b, testKey(1))
	for _, n := range []int{128, 16 << 10, 1 << 20} {
		plain, dst, out := make([]byte, n), []byte(nil), []byte(nil)
		b.Run(byteSize(n)+"/seal", func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				dst = s.Seal(dst[:0], []byte("context"), plain)
			}
		})
		b.Run(byteSize(n)+"/open", func(b *testing.B) {
			b.SetBytes(int64(n))
			b.ReportAllocs()
			for b.Loop() {
				var err error
				if out, err = s.Open(out[:0], []byte("context"), dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func byteSize(n int) string {
	if n < 1<<10 {
		return "128B"
	}
	return map[int]string{16 << 10: "16KiB", 1 << 20: "1MiB"}[n]
}
