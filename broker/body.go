package broker

import (
	"io"
	"math/bits"
	"sync"
)

const (
	// readStepBytes is how much is allocated for a request before any of its
	// bytes have arrived; loginStepBytes the same before the login.
	readStepBytes  = 4 << 10
	loginStepBytes = 1 << 10
	// lentMinBits and lentMaxBits are the sizes of lent bodies as powers of two:
	// 8 KiB to 16 MiB. Smaller ones are not worth it, larger ones are rare.
	lentMinBits, lentMaxBits = 13, 24
)

// bodies lends memory for the bodies of Produce requests: a body is copied into a
// frame of the log and is of no use afterwards, and new memory has to be cleared.
var bodies [lentMaxBits - lentMinBits + 1]sync.Pool

// lentClass returns the pool for bodies of size bytes, nil when they are not lent,
// and the size that all have in it.
func lentClass(size int) (*sync.Pool, int) {
	n := bits.Len(uint(size - 1))
	if n < lentMinBits || n > lentMaxBits {
		return nil, size
	}
	return &bodies[n-lentMinBits], 1 << n
}

// newBody returns size bytes with any content.
func newBody(size int, lent bool) []byte {
	if pool, full := lentClass(size); pool != nil && lent {
		if b, ok := pool.Get().(*[]byte); ok {
			return (*b)[:size]
		}
		return make([]byte, size, full)
	}
	return make([]byte, size)
}

// returnBody gives a body of newBody back. Nothing may refer to it any more.
func returnBody(b []byte) {
	if pool, full := lentClass(cap(b)); pool != nil && cap(b) == full {
		if poisonBodies {
			b = b[:full]
			for i := range b {
				b[i] = 0xdb
			}
		}
		pool.Put(&b)
	}
}

// poisonBodies: tests have it set, so that a reference that is kept too long is
// noticed.
var poisonBodies bool

// readBody reads the n bytes of a request into a buffer that grows as they
// arrive, and takes them from the budget as it grows: what a peer claims costs
// nothing. It begins with as much as the connection has once sent. Every step must
// come in time.
func (c *conn) readBody(n int, lent bool) (_ []byte, err error) {
	step := max(readStepBytes, c.proven)
	if c.peer == nil {
		step = loginStepBytes
	}
	budget := &c.b.server.budget
	var hold hold
	budget.take(&hold, frameMinBytes)
	defer func() { budget.end(&hold, err != nil) }()
	var buf []byte
	for at := 0; at < n; {
		if at == len(buf) {
			size := min(n, max(step, 2*at))
			budget.take(&hold, int64(size-at))
			grown := newBody(size, lent)
			copy(grown, buf)
			if lent {
				returnBody(buf)
			}
			buf = grown
		}
		if c.r.Buffered() < len(buf)-at {
			if err := c.nc.SetReadDeadline(c.deadline(c.b.cfg.Limits.RequestTimeout)); err != nil {
				return nil, err
			}
		}
		m, err := io.ReadFull(c.r, buf[at:])
		if at += m; err != nil {
			return nil, err
		}
	}
	c.proven = max(c.proven, min(n, provenMaxBytes))
	return buf, nil
}

// provenMaxBytes bounds the first step of a connection that has sent a large
// request before. A peer that claims so much again and stalls is cut when its step
// is late, and has to send it anew before it can hold as much.
const provenMaxBytes = 16 << 20
