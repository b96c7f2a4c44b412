package log

import (
	"container/list"
	"fmt"
	"sort"
	"sync"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// fileCache keeps the segment files that were read last open, at most max of
// them, together with their indexes.
type fileCache struct {
	fs  vfs.FS
	max int

	mu      sync.Mutex // a leaf lock, guards all below
	handles map[string]*handle
	lru     *list.List // of *handle, most recent first
}

// handle is an open segment file.
type handle struct {
	cache *fileCache
	name  string
	f     vfs.File
	elem  *list.Element
	refs  int  // guarded by fileCache.mu
	gone  bool // guarded by fileCache.mu: close when refs is 0

	loadMu sync.Mutex // guards index
	index  []indexEntry
	size   int64 // of the segment when index was loaded
}

func newFileCache(fs vfs.FS, max int) *fileCache {
	return &fileCache{fs: fs, max: max, handles: map[string]*handle{}, lru: list.New()}
}

// acquire opens a segment or takes it from the cache. release gives it back.
func (c *fileCache) acquire(dir string, s *segment) (*handle, error) {
	name := c.fs.PathJoin(dir, s.name())
	c.mu.Lock()
	h := c.handles[name]
	if h == nil {
		f, err := c.fs.Open(name)
		if err != nil {
			c.mu.Unlock()
			if vfs.IsNotExist(err) {
				return nil, errSegmentGone
			}
			return nil, fmt.Errorf("open segment: %w", err)
		}
		h = &handle{cache: c, name: name, f: f}
		h.elem = c.lru.PushFront(h)
		c.handles[name] = h
	} else {
		c.lru.MoveToFront(h.elem)
	}
	h.refs++
	closing := c.shrink()
	c.mu.Unlock()
	for _, h := range closing {
		h.close()
	}

	h.loadMu.Lock()
	defer h.loadMu.Unlock()
	if h.index == nil || h.size != s.size {
		index, err := loadIndex(c.fs, dir, s, readFull(h.f))
		if err != nil {
			h.release()
			return nil, err
		}
		h.index, h.size = index, s.size
	}
	return h, nil
}

// shrink forgets the handles used least until max are left, and returns those
// that nobody uses.
func (c *fileCache) shrink() (closing []*handle) {
	for c.lru.Len() > c.max {
		h := c.lru.Back().Value.(*handle)
		if c.forget(h) {
			closing = append(closing, h)
		}
	}
	return closing
}

func (c *fileCache) forget(h *handle) (idle bool) {
	c.lru.Remove(h.elem)
	delete(c.handles, h.name)
	h.gone = true
	return h.refs == 0
}

// drop forgets a file that is about to be removed.
func (c *fileCache) drop(name string) {
	c.mu.Lock()
	h := c.handles[name]
	idle := h != nil && c.forget(h)
	c.mu.Unlock()
	if idle {
		h.close()
	}
}

// closeAll forgets every file.
func (c *fileCache) closeAll() {
	c.mu.Lock()
	var closing []*handle
	for _, h := range c.handles {
		if c.forget(h) {
			closing = append(closing, h)
		}
	}
	c.mu.Unlock()
	for _, h := range closing {
		h.close()
	}
}

func (h *handle) release() {
	h.cache.mu.Lock()
	h.refs--
	last := h.gone && h.refs == 0
	h.cache.mu.Unlock()
	if last {
		h.close()
	}
}

// close closes a file that was opened for reading: its error says nothing about
// durable data.
func (h *handle) close() { h.f.Close() }

func (h *handle) readAt(b []byte, at int64) error { return readFull(h.f)(b, at) }

// floor returns the place of the last indexed batch that starts at or below the
// offset.
func (h *handle) floor(s *segment, offset kafka.Offset) place {
	h.loadMu.Lock()
	defer h.loadMu.Unlock()
	i := sort.Search(len(h.index), func(i int) bool { return h.index[i].base > offset })
	if i == 0 {
		return place{0, s.base}
	}
	return place{h.index[i-1].position, h.index[i-1].base}
}

// floorTime returns an offset at or before the first record with a timestamp of
// ts or later.
func (h *handle) floorTime(s *segment, ts kafka.Timestamp) kafka.Offset {
	h.loadMu.Lock()
	defer h.loadMu.Unlock()
	i := sort.Search(len(h.index), func(i int) bool { return h.index[i].maxBefore >= ts })
	if i == 0 {
		return s.base
	}
	return h.index[i-1].base
}
