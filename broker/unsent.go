package broker

import (
	"sync"
	"time"
)

// unsent bounds the records in Fetch responses that wait for their readers: peers
// that ask and do not read would take all memory otherwise. When there is no room
// the records are left out of the response, as if there were none yet, and the
// connection is not read for a moment; the client asks again.
type unsent struct {
	mu   sync.Mutex // a leaf lock, guards held and conn.unsent
	held int64
	all  int64
}

const (
	// unsentFreeBytes is what a connection may have unsent however much others do.
	unsentFreeBytes = 64 << 10
	// unsentPause is for how long a connection is not read when there was no room.
	unsentPause = 100 * time.Millisecond
	// unsentGone marks a connection that has ended.
	unsentGone = -1
)

// take counts n bytes of a connection, unless there is no room for them. One
// response always has room when nothing else is held.
func (u *unsent) take(c *conn, n int64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case c.unsent == unsentGone:
		return false
	case u.held == 0, u.held+n <= u.all, c.unsent+n <= unsentFreeBytes:
		u.held += n
		c.unsent += n
		return true
	}
	return false
}

// release gives back what was sent.
func (u *unsent) release(c *conn, n int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.unsent != unsentGone {
		u.held -= n
		c.unsent -= n
	}
}

// leave gives back what a connection that has ended never took.
func (u *unsent) leave(c *conn) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if c.unsent != unsentGone {
		u.held -= c.unsent
		c.unsent = unsentGone
	}
}

// hold counts a response's records as unsent, or leaves them out.
func (r *request) hold(f *fetchResponse) {
	n := int64(f.bytes())
	if n == 0 {
		return
	}
	if r.c.b.server.unsent.take(r.c, n) {
		r.held = n
		return
	}
	f.drop()
	r.c.mute(r.c.b.cfg.Clock.Now().Add(unsentPause))
}

// mute keeps the connection from being read until then.
func (c *conn) mute(until time.Time) {
	for {
		old := c.muted.Load()
		if old >= until.UnixNano() || c.muted.CompareAndSwap(old, until.UnixNano()) {
			return
		}
	}
}
