package broker

import "testing"

func init() { poisonBodies = true }

// TestBodies: a lent body has the size that was asked for, whatever was in its
// memory, and only bodies of the pools' sizes go back.
func TestBodies(t *testing.T) {
	for _, size := range []int{0, 1, 4096, 4097, 8192, 8193, 100_000, 1 << 20, 1<<20 + 1, 2 << 20, 16 << 20, 16<<20 + 1} {
		for range 3 {
			b := newBody(size, true)
			if len(b) != size {
				t.Fatalf("%d bytes, want %d", len(b), size)
			}
			if pool, full := lentClass(cap(b)); pool != nil && full != cap(b) {
				t.Fatalf("a body of %d bytes has room for %d, its pool holds %d", size, cap(b), full)
			}
			returnBody(b)
		}
	}
	returnBody(make([]byte, 10_000)) // not of any pool
	if b := newBody(10_000, true); cap(b) != 16<<10 {
		t.Fatalf("room for %d", cap(b))
	}
}
