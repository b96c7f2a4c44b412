// Package lend lends large pieces of memory for a while. New memory has to be
// cleared, and memory that is given up to be collected; what is lent again needs
// neither.
package lend

import (
	"math/bits"
	"sync"
)

const (
	// MinBytes and MaxBytes bound what is lent: less is not worth it, more is rare.
	MinBytes = 8 << 10
	MaxBytes = 16 << 20
	// steps is how many sizes there are between one power of two and the next: at
	// most a fourth is lent in vain.
	stepBits  = 2
	steps     = 1 << stepBits
	minShift  = 13 - 1 - stepBits // of MinBytes: bits below the step
	poolCount = (24-13)*steps + 1
)

// pools hold the memory of one size each, the smallest first.
var pools [poolCount]sync.Pool

// class returns the pool for n bytes and the size that all memory in it has; nil
// when n bytes are not lent.
func class(n int) (*sync.Pool, int) {
	if n > MaxBytes || n <= MinBytes-MinBytes/(2*steps) {
		return nil, n
	}
	shift := bits.Len(uint(n-1)) - 1 - stepBits
	step := (n - 1) >> shift // from steps to 2*steps-1
	i := (shift-minShift)*steps + step - (2*steps - 1)
	return &pools[i], (step + 1) << shift
}

// Bytes returns n bytes with any content.
func Bytes(n int) []byte {
	pool, size := class(n)
	if pool == nil {
		return make([]byte, n)
	}
	if b, ok := pool.Get().(*[]byte); ok {
		return (*b)[:n]
	}
	return make([]byte, n, size)
}

// Return gives memory back. Nothing may refer to it any more. Memory that is not
// from Bytes, or was grown since, is no harm.
func Return(b []byte) {
	pool, size := class(cap(b))
	if pool == nil || cap(b) != size {
		return
	}
	if Poison {
		b = b[:size]
		for i := range b {
			b[i] = 0xdb
		}
	}
	pool.Put(&b)
}

// Poison overwrites what is returned. Tests set it before anything is lent, so that
// a reference that is kept too long is noticed.
var Poison bool
