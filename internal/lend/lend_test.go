package lend

import "testing"

func init() { Poison = true }

// TestBytes: what is lent has the size that was asked for, at most a quarter more
// room, and goes back to where it came from.
func TestBytes(t *testing.T) {
	for n := 0; n <= MaxBytes+1; n = n + 1 + n/13 {
		b := Bytes(n)
		if len(b) != n {
			t.Fatalf("%d bytes, want %d", len(b), n)
		}
		pool, size := class(n)
		if pool == nil {
			if n > MinBytes-MinBytes/8 && n <= MaxBytes {
				t.Fatalf("%d bytes are not lent", n)
			}
			continue
		}
		if size < n || size > n+n/4+1 || cap(b) != size {
			t.Fatalf("%d bytes come with room for %d, lent with %d", n, cap(b), size)
		}
		if again, full := class(size); again != pool || full != size {
			t.Fatalf("%d bytes come from one pool and return to another", n)
		}
		if n < 1<<20 {
			Return(b)
		}
	}
}

// TestPools: sizes next to each other do not share a pool, and none is left out.
func TestPools(t *testing.T) {
	seen := map[any]int{}
	for n := MinBytes; n <= MaxBytes; n += 512 {
		pool, size := class(n)
		if was, ok := seen[pool]; ok && was != size {
			t.Fatalf("a pool holds %d and %d bytes", was, size)
		}
		seen[pool] = size
	}
	if len(seen) != poolCount {
		t.Errorf("%d pools are used, there are %d", len(seen), poolCount)
	}
}

// TestReturn: memory of other sizes is left to the collector, and what was returned
// cannot be read as it was.
func TestReturn(t *testing.T) {
	Return(nil)
	Return(make([]byte, 10_000))
	if b := Bytes(10_000); cap(b) != 10_240 {
		t.Errorf("room for %d", cap(b))
	}
	b := Bytes(MinBytes)
	copy(b, "records")
	Return(b[:4])
	if string(b[:7]) == "records" {
		t.Error("returned memory was not poisoned")
	}
}
