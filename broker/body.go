package broker

import (
	"io"
	"log/slog"
	"sync/atomic"

	"github.com/millrace/millrace/internal/lend"
)

const (
	// readStepBytes is how much is allocated for a request before any of its
	// bytes have arrived; loginStepBytes the same before the login.
	readStepBytes  = 4 << 10
	loginStepBytes = 1 << 10
)

// readBody reads the n bytes of a request into a buffer that grows as they
// arrive, and takes them from the budget as it grows: what a peer claims costs
// nothing. It begins with as much as the connection has once sent. Every step must
// come in time.
func (c *conn) readBody(n int, lent bool) (_ []byte, err error) {
	alloc := func(n int) []byte { return make([]byte, n) }
	if lent {
		alloc = lend.Bytes
	}
	step := max(readStepBytes, c.proven)
	if c.peer == nil {
		step = loginStepBytes
	}
	budget := &c.b.server.budget
	h := &hold{large: n > c.b.cfg.Limits.SmallRequestMaxBytes, cut: c.cutStalled}
	budget.take(h, frameMinBytes)
	defer func() { budget.end(h, err != nil) }()
	from := counted{c.r, &h.read}
	var buf []byte
	for at := 0; at < n; {
		if at == len(buf) {
			size := min(n, max(step, 2*at))
			budget.take(h, int64(size-at))
			grown := alloc(size)
			copy(grown, buf)
			if lent {
				lend.Return(buf)
			}
			buf = grown
		}
		if c.r.Buffered() < len(buf)-at {
			if err := c.nc.SetReadDeadline(c.deadline(c.b.cfg.Limits.RequestTimeout)); err != nil {
				return nil, err
			}
		}
		m, err := io.ReadFull(from, buf[at:])
		if at += m; err != nil {
			return nil, err
		}
	}
	c.proven = max(c.proven, min(n, provenMaxBytes))
	return buf, nil
}

// counted counts what is read.
type counted struct {
	io.Reader
	bytes *atomic.Int64
}

func (c counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.bytes.Add(int64(n))
	return n, err
}

// provenMaxBytes bounds the first step of a connection that has sent a large
// request before. A peer that claims so much again and stalls is cut when its step
// is late, and has to send it anew before it can hold as much.
const provenMaxBytes = 16 << 20

// cutStalled ends a connection whose request does not come on while others wait for
// the memory it holds.
func (c *conn) cutStalled(bytes int64) {
	c.b.server.tell(slog.LevelWarn, "connection cut: its request does not come on, and others wait for the memory it holds (queued.max.request.bytes)",
		"listener", c.from.Name, "remote", c.raw.RemoteAddr(), "bytes", bytes)
	c.close()
}
