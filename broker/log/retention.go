package log

import (
	"fmt"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// Expired returns the log start offset that retention asks for: whole segments
// and entries go while their largest timestamp is below keepFrom, or while more
// than maxBytes remain without them. A negative maxBytes and NoTimestamp mean no
// limit. It never passes the last stable offset.
func (p *Partition) Expired(keepFrom kafka.Timestamp, maxBytes int64) kafka.Offset {
	total := p.Size()
	p.mu.RLock()
	defer p.mu.RUnlock()
	start := p.logStart
	stable := p.bounds().LastStable
	goes := func(next kafka.Offset, size int64, maxTimestamp kafka.Timestamp) bool {
		if next <= start {
			return true
		}
		old := keepFrom != kafka.NoTimestamp && maxTimestamp < keepFrom
		large := maxBytes >= 0 && total-size >= maxBytes
		if next > stable || !old && !large {
			return false
		}
		start = next
		total -= size
		return true
	}
	for _, s := range p.segments {
		if !goes(s.next, s.size, s.maxTimestamp) {
			return start
		}
	}
	for _, e := range p.entries {
		if !goes(e.next, int64(e.size), e.maxTimestamp) {
			return start
		}
	}
	return start
}

// RemoveExpired removes the segments that are wholly below the log start
// offset, which must be durable. It is called by the archiver's goroutine.
func (p *Partition) RemoveExpired() error {
	p.mu.Lock()
	n := 0
	for n < len(p.segments) && p.segments[n].next <= p.logStart {
		n++
	}
	gone := p.segments[:n:n]
	p.segments = append([]*segment(nil), p.segments[n:]...)
	p.mu.Unlock()
	fs := p.store.opts.FS
	for _, s := range gone {
		if err := p.store.removeSegment(fs.PathJoin(p.dir, s.stem())); err != nil {
			return err
		}
	}
	return nil
}

// removeSegment removes a segment's file and its index; stem is their path
// without suffix.
func (s *Store) removeSegment(stem string) error {
	s.cache.drop(stem + segmentSuffix)
	for _, suffix := range []string{segmentSuffix, indexSuffix} {
		if err := s.opts.FS.Remove(stem + suffix); err != nil && !vfs.IsNotExist(err) {
			return fmt.Errorf("remove segment: %w", err)
		}
	}
	return nil
}

// HasExpired reports whether RemoveExpired has something to do.
func (p *Partition) HasExpired() bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.segments) > 0 && p.segments[0].next <= p.logStart
}
