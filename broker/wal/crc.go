package wal

import "hash/crc32"

// xPowers are x^(2^k) modulo the CRC-32C polynomial, bit-reversed as the checksum
// is, up to the bits of the longest frame.
var xPowers = func() (t [3 + 32]uint32) {
	t[0] = 1 << 30
	for k := 1; k < len(t); k++ {
		t[k] = mulCRC(t[k-1], t[k-1])
	}
	return t
}()

// mulCRC multiplies two polynomials modulo that of CRC-32C.
func mulCRC(a, b uint32) (product uint32) {
	for bit := uint32(1 << 31); a != 0; bit >>= 1 {
		if a&bit != 0 {
			product ^= b
			a &^= bit
		}
		b = b>>1 ^ crc32.Castagnoli&-(b&1)
	}
	return product
}

// joinCRC returns the CRC-32C of what has the checksum first, followed by n bytes
// that have the checksum second: the bytes themselves are not read. The first
// checksum is multiplied by x^8n (M. Adler, crc32_combine of zlib).
func joinCRC(first, second uint32, n int) uint32 {
	for k := 3; n > 0; k++ {
		if n&1 != 0 {
			first = mulCRC(xPowers[k], first)
		}
		n >>= 1
	}
	return first ^ second
}
