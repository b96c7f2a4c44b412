package log

import (
	"errors"
	"fmt"
	"slices"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// Archive copies what the partitions have in log files up to number into their
// segments, durably but for the names of new files, and lets them read it from
// there. It runs in one goroutine at a time. roll says when a partition's
// segments are full.
func (s *Store) Archive(number uint64, partitions []*Partition, roll func(*Partition) Roll) error {
	for _, p := range partitions {
		created, err := p.archive(number, roll(p))
		if created {
			s.unsynced = append(s.unsynced, p.dir, s.topicDir(p.Topic))
		}
		if err != nil {
			return fmt.Errorf("archive partition %s: %w", p.text(), err)
		}
	}
	return nil
}

// Unarchived returns how many bytes Archive would copy from log files up to number.
func (s *Store) Unarchived(number uint64, partitions []*Partition) (bytes int64) {
	for _, p := range partitions {
		p.mu.RLock()
		for _, e := range p.entries {
			if e.at.File > number {
				break
			}
			if e.next > p.logStart {
				bytes += int64(e.size)
			}
		}
		p.mu.RUnlock()
	}
	return bytes
}

// SyncNames makes the names of new segments durable: before a checkpoint has
// them, also when Archive failed half-way. It runs in the archiver's goroutine.
func (s *Store) SyncNames() error {
	if len(s.unsynced) == 0 {
		return nil
	}
	if err := s.syncDirs(append(s.unsynced, s.topicsDir(), s.opts.Dir)); err != nil {
		return err
	}
	s.unsynced = nil
	return nil
}

func (s *Store) syncDirs(dirs []string) error {
	for _, dir := range dirs {
		// A topic deleted meanwhile has taken its directory along.
		if err := vfs.SyncDir(s.opts.FS, dir); err != nil && !vfs.IsNotExist(err) {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	return nil
}

// Roll says when a new segment is begun: Bytes is its size, Age the milliseconds
// that its records' timestamps may span. Seal begins one behind whatever is
// archived, so that all of it can be compacted.
type Roll struct {
	Bytes, Age int64
	Seal       bool
}

// archiver writes entries to the end of a partition's segments.
type archiver struct {
	p        *Partition
	roll     Roll
	segments []*segment // changed or new, in order
	log      vfs.File
	index    indexWriter
	indexed  int // entries of the current segment already in its index file
	created  bool
	buf      []byte
	entry    []byte // see memory
}

// archive copies the entries that stand in files up to number. Readers switch
// over when everything is durable.
func (p *Partition) archive(number uint64, roll Roll) (created bool, err error) {
	p.mu.RLock()
	n := 0
	for n < len(p.entries) && p.entries[n].at.File <= number {
		n++
	}
	entries := slices.Clone(p.entries[:n]) // those in memory may be evicted meanwhile
	pin(entries)
	defer unpin(entries)
	logStart := p.logStart
	a := &archiver{p: p, roll: roll}
	if k := len(p.segments); k > 0 && !p.segments[k-1].sealed {
		last := *p.segments[k-1]
		a.segments = []*segment{&last}
	}
	known := len(a.segments)
	p.mu.RUnlock()
	if n == 0 && !(roll.Seal && known > 0) {
		return false, nil
	}
	if known > 0 {
		sealed, err := p.checkNewest(a.segments[0])
		if err != nil {
			return false, err
		}
		if sealed { // what is gone on with is a new one
			a.segments, known = nil, 0
		}
	}
	for _, e := range entries {
		if e.next <= logStart {
			continue
		}
		if err := a.add(e); err != nil {
			if a.log != nil {
				err = errors.Join(err, a.log.Close())
			}
			return a.created, err
		}
	}
	if err := a.seal(); err != nil {
		return a.created, err
	}
	for i, s := range a.segments {
		s.sealed = roll.Seal || i < len(a.segments)-1
	}

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deleted {
		return a.created, nil
	}
	// Retention and compaction change the segments in this goroutine too, so that
	// the last one is still the one that was gone on with.
	keep := len(p.segments) - known
	p.segments = append(p.segments[:keep:keep], a.segments...)
	if n > 0 {
		p.archived = entries[n-1].next
		p.entries = append([]entry(nil), p.entries[n:]...)
		p.store.entries.Add(-int64(n))
	}
	return a.created, nil
}

// add appends one entry's batches.
func (a *archiver) add(e entry) error {
	data, err := a.p.entryBytes(e, e.base, Want{Bytes: e.size, AtLeastOne: true, Alloc: a.memory})
	if err != nil {
		return err
	}
	if len(a.segments) > 0 && a.current().next != e.base && a.current().next > 0 {
		// Records in between were deleted: within a segment offsets are contiguous.
		if err := a.seal(); err != nil {
			return err
		}
		a.begin(e.base)
	}
	for len(data) > 0 {
		b, rest, err := kafka.NextBatch(data)
		if err != nil {
			return err
		}
		if err := a.addBatch(b); err != nil {
			return err
		}
		data = rest
	}
	return nil
}

// memory returns the memory that entries are read into, one at a time.
func (a *archiver) memory(n int) []byte {
	if cap(a.entry) < n {
		a.entry = make([]byte, n)
	}
	return a.entry[:n]
}

// full reports whether a batch belongs into a new segment. A segment always takes
// its first batch.
func (a *archiver) full(b kafka.Batch) bool {
	s := a.current()
	size := s.size + int64(len(a.buf))
	if size == 0 {
		return false
	}
	old := a.roll.Age > 0 && s.firstTimestamp != kafka.NoTimestamp && int64(b.MaxTimestamp()-s.firstTimestamp) > a.roll.Age
	return old || size+int64(len(b)) > a.roll.Bytes
}

func (a *archiver) begin(base kafka.Offset) {
	a.segments = append(a.segments, &segment{base: base, maxTimestamp: kafka.NoTimestamp, firstTimestamp: kafka.NoTimestamp})
}

func (a *archiver) current() *segment { return a.segments[len(a.segments)-1] }

func (a *archiver) addBatch(b kafka.Batch) error {
	if len(a.segments) == 0 || a.full(b) {
		if err := a.seal(); err != nil {
			return err
		}
		a.begin(b.BaseOffset())
	}
	if a.log == nil {
		if err := a.openCurrent(); err != nil {
			return err
		}
	}
	s := a.current()
	a.index.add(b.BaseOffset(), b.MaxTimestamp(), s.size+int64(len(a.buf)), len(b))
	if s.size == 0 && len(a.buf) == 0 {
		s.firstTimestamp = b.MaxTimestamp()
	}
	a.buf = append(a.buf, b...)
	s.next = b.LastOffset() + 1
	s.maxTimestamp = max(s.maxTimestamp, b.MaxTimestamp())
	if len(a.buf) >= stepBytes {
		return a.flush()
	}
	return nil
}

func (a *archiver) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	s := a.current()
	a.p.store.giveWay()
	if _, err := a.log.WriteAt(a.buf, s.size); err != nil {
		return err
	}
	s.size += int64(len(a.buf))
	a.buf = a.buf[:0]
	return a.p.store.stepDone(a.log, s.size)
}

// openCurrent opens the current segment to go on behind its last byte.
func (a *archiver) openCurrent() error {
	fs, s := a.p.store.opts.FS, a.current()
	if err := fs.MkdirAll(a.p.dir, 0o755); err != nil {
		return err
	}
	f, err := fs.OpenReadWrite(fs.PathJoin(a.p.dir, s.name()), vfs.Category)
	if err != nil {
		return err
	}
	a.log = f
	a.created = a.created || s.size == 0
	a.index = indexWriter{maxBefore: s.maxTimestamp}
	a.indexed = s.indexEntries
	if s.size > 0 {
		a.index.last = s.size - 1 // about; the index is sparse anyway
	}
	return nil
}

// seal makes the current segment and its index durable and closes them.
func (a *archiver) seal() error {
	if a.log == nil {
		return nil
	}
	err := a.flush()
	if err == nil {
		a.p.store.giveWay()
		err = vfs.Sync(a.log)
	}
	err = errors.Join(err, a.log.Close())
	a.log = nil
	if err != nil {
		return err
	}
	s := a.current()
	if len(a.index.entries) == 0 {
		return nil
	}
	fs := a.p.store.opts.FS
	f, err := fs.OpenReadWrite(fs.PathJoin(a.p.dir, s.indexName()), vfs.Category)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(encodeIndex(a.index.entries), int64(a.indexed*indexEntryBytes))
	if err == nil {
		err = vfs.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.indexEntries = a.indexed + len(a.index.entries)
	return nil
}
