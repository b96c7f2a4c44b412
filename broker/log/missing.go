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
	fs := p.store.opts.FS
	for i, s := range p.segments {
		if s.next <= p.logStart || s.size == 0 {
			continue
		}
		l := Lack{fs.PathJoin(p.dir, s.name()), s.base, s.next, s.size, -1}
		info, err := fs.Stat(l.Path)
		if err != nil && !vfs.IsNotExist(err) {
			return nil, fmt.Errorf("look for a segment: %w", err)
		}
		if err == nil {
			l.Found = info.Size()
		}
		if l.Found >= l.Bytes {
			continue
		}
		lacks = append(lacks, l)
		sealed := *s
		sealed.sealed = true
		p.segments[i] = &sealed
	}
	return lacks, nil
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
