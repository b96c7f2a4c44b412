package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// Lack is a segment of the checkpoint whose file is not there, or shorter than
// what counts of it.
type Lack struct {
	Path string
	// Base to Next (exclusive) are the offsets that it held.
	Base, Next kafka.Offset
	// Bytes is how much the checkpoint counts, Found how much is there, -1 for no
	// file.
	Bytes, Found int64
}

// String says what is wrong with the file.
func (l Lack) String() string {
	if l.Found < 0 {
		return fmt.Sprintf("%s with offsets %d to %d is missing", l.Path, l.Base, l.Next-1)
	}
	return fmt.Sprintf("%s with offsets %d to %d has %d of %d bytes", l.Path, l.Base, l.Next-1, l.Found, l.Bytes)
}

// CheckFiles compares the segments with the files that are there: one look at
// each. It runs at a start, when the log was replayed, so that what the log start
// offset has passed, or a deletion removed, is not missed. The newest segment,
// when its file lacks something, is not gone on with: what is written behind its
// end would hide that.
func (p *Partition) CheckFiles() (lacks []Lack, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, s := range p.segments {
		if s.next <= p.logStart {
			continue
		}
		l, short, err := p.lackOf(s)
		if err != nil {
			return nil, err
		}
		if !short {
			continue
		}
		lacks = append(lacks, l)
		sealed := *s
		sealed.sealed = true
		p.segments[i] = &sealed
	}
	return lacks, nil
}

// lackOf looks whether a segment's file lacks something.
func (p *Partition) lackOf(s *segment) (l Lack, lacks bool, err error) {
	if s.size == 0 {
		return l, false, nil
	}
	fs := p.store.opts.FS
	l = Lack{fs.PathJoin(p.dir, s.name()), s.base, s.next, s.size, -1}
	info, err := fs.Stat(l.Path)
	if err != nil && !vfs.IsNotExist(err) {
		return l, false, fmt.Errorf("look for a segment: %w", err)
	}
	if err == nil {
		l.Found = info.Size()
	}
	return l, l.Found < l.Bytes, nil
}

// checkNewest is CheckFiles of the segment that archiving would go on with, before it
// does: somebody may have removed its file, or cut it short, under a running server.
// It reports whether the segment was sealed for that.
func (p *Partition) checkNewest(s *segment) (sealed bool, err error) {
	l, lacks, err := p.lackOf(s)
	if err != nil || !lacks {
		return false, err
	}
	p.mu.Lock()
	// Retention and compaction change the segments in this goroutine too.
	last := *s
	last.sealed = true
	p.segments[len(p.segments)-1] = &last
	expired := s.next <= p.logStart || p.deleted
	p.mu.Unlock()
	if !expired && p.store.opts.OnLack != nil {
		p.store.opts.OnLack(p, l)
	}
	return true, nil
}

// gone tells a segment that retention or compaction has removed meanwhile, for
// which errSegmentGone stays, from one that should be there.
func (p *Partition) gone(s *segment, err error) error {
	if !errors.Is(err, errSegmentGone) {
		return err
	}
	p.mu.RLock()
	defer p.mu.RUnlock()
	if p.deleted || !slices.Contains(p.segments, s) {
		return err
	}
	path := p.store.opts.FS.PathJoin(p.dir, s.name())
	return fmt.Errorf("%w: the segment %s with offsets %d to %d is missing", ErrCorrupt, path, s.base, s.next-1)
}
