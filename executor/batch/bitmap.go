package batch

// Bitmap holds one bit per row, least significant first, as Arrow does. A nil
// Bitmap has no bit set.
type Bitmap []uint64

// Get returns bit i.
func (b Bitmap) Get(i int32) bool {
	return b != nil && b[uint32(i)>>6]>>(uint32(i)&63)&1 != 0
}

// Set sets bit i.
func (b Bitmap) Set(i int32) { b[uint32(i)>>6] |= 1 << (uint32(i) & 63) }

// Clear clears bit i.
func (b Bitmap) Clear(i int32) { b[uint32(i)>>6] &^= 1 << (uint32(i) & 63) }

// Put sets bit i to v without a branch.
func (b Bitmap) Put(i int32, v bool) {
	w, s := uint32(i)>>6, uint32(i)&63
	b[w] = b[w]&^(1<<s) | bit(v)<<s
}

func bit(v bool) uint64 {
	if v {
		return 1
	}
	return 0
}

// Words returns the number of words for n bits.
func Words(n int) int { return (n + 63) / 64 }

// grow returns a bitmap of n bits, reusing b's memory, all bits set to fill.
func grow(b Bitmap, n int, fill bool) Bitmap {
	w := Words(n)
	if cap(b) < w {
		b = make(Bitmap, w, max(w, Words(min(2*n, MaxRows+64))))
	}
	b = b[:w]
	word := uint64(0)
	if fill {
		word = ^uint64(0)
	}
	for i := range b {
		b[i] = word
	}
	return b
}

// resize returns b with n bits; bits beyond the old size are set to fill.
func resize(b Bitmap, n int, fill bool) Bitmap {
	word := uint64(0)
	if fill {
		word = ^uint64(0)
	}
	for len(b) < Words(n) {
		b = append(b, word)
	}
	return b
}
