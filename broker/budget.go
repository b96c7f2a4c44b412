package broker

import (
	"cmp"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/millrace/millrace/internal/clock"
)

// budget bounds the request bytes that all connections hold. Large requests leave a
// part of it to small ones, so that however many of them there are, clients can ask
// for metadata, commit and beat. When some wait, those that do not come on meanwhile
// are cut: a peer that sends half a request would else keep the others waiting until
// its time is up, again and again.
type budget struct {
	clock   clock.Clock
	stalled time.Duration

	mu      sync.Mutex // a leaf lock, guards the fields below
	room    *sync.Cond
	left    int64
	all     int64
	spare   *hold // the one request that may pass the budget
	reading map[*hold]struct{}
	watched bool // look is going to run
}

const (
	// smallShare: one part of so many is for small requests.
	smallShare = 4
	// stalledBytes must come of a request in Limits.StalledTimeout while others wait.
	stalledBytes = 64 << 10
)

// hold is what one request in reading has taken.
type hold struct {
	large bool
	cut   func(bytes int64)
	read  atomic.Int64 // bytes that have come

	// Guarded by budget.mu.
	bytes int64
	wants int64 // waits for so many more
	seen  int64 // what had come when the budget looked, or unseen
}

// unseen: the budget has not looked since the request has begun or waited.
const unseen = -1

func (g *budget) init(l Limits, c clock.Clock) {
	g.left, g.all = l.InFlightMaxBytes, l.InFlightMaxBytes
	g.clock, g.stalled = c, l.StalledTimeout
	g.room = sync.NewCond(&g.mu)
	g.reading = map[*hold]struct{}{}
}

// take waits until n more bytes are left for a request. Requests take bytes as
// they arrive, so several may wait for each other: one at a time may pass the
// budget, until it is read.
func (g *budget) take(h *hold, n int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if _, ok := g.reading[h]; !ok {
		g.reading[h] = struct{}{}
		h.seen = unseen
	}
	for !g.fits(h, n) && g.spare != h {
		if g.spare == nil && h.bytes > 0 {
			g.spare = h
			break
		}
		h.wants = n
		g.watch()
		g.room.Wait()
		h.wants, h.seen = 0, unseen
	}
	g.left -= n
	h.bytes += n
}

// fits reports whether n bytes are left for a request. When nobody has any, all fits.
func (g *budget) fits(h *hold, n int64) bool {
	left := g.left
	if h.large {
		left -= g.all / smallShare
	}
	return n <= left || g.left >= g.all
}

// end says that a request is read; undo gives back what it took.
func (g *budget) end(h *hold, undo bool) {
	g.mu.Lock()
	delete(g.reading, h)
	if g.spare == h {
		g.spare = nil
	}
	if undo {
		g.left += h.bytes
	}
	g.mu.Unlock()
	g.room.Broadcast()
}

// give gives back what a request has taken that is answered.
func (g *budget) give(n int64) {
	g.mu.Lock()
	g.left += n
	g.mu.Unlock()
	g.room.Broadcast()
}

// watch has look run in a while, which compares what has come until then.
func (g *budget) watch() {
	if g.watched {
		return
	}
	g.watched = true
	for h := range g.reading {
		h.seen = h.read.Load()
	}
	g.clock.AfterFunc(g.stalled, g.look)
}

// look cuts requests that have not come on, those that hold most first, until there
// would be room for all that wait.
func (g *budget) look() {
	g.mu.Lock()
	g.watched = false
	var wanted int64
	var stalled []*hold
	for h := range g.reading {
		wanted += h.wants
		if h.wants == 0 && h.seen != unseen && h.read.Load()-h.seen < stalledBytes {
			stalled = append(stalled, h)
		}
	}
	if wanted > 0 {
		g.watch()
	}
	slices.SortFunc(stalled, func(a, b *hold) int { return cmp.Compare(b.bytes, a.bytes) })
	cut := make([]func(), 0, len(stalled))
	for _, h := range stalled {
		if wanted <= 0 {
			break
		}
		bytes := h.bytes
		wanted -= bytes
		cut = append(cut, func() { h.cut(bytes) })
	}
	g.mu.Unlock()
	for _, f := range cut {
		f()
	}
}
