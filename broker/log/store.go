package log

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// Options configure a Store.
type Options struct {
	FS  vfs.FS
	Dir string
	// TailMaxBytes bounds the batches kept in memory, OpenFiles the segment
	// files held open.
	TailMaxBytes int64
	OpenFiles    int
	// DecompressedMaxBytes bounds one decompressed batch.
	DecompressedMaxBytes int
}

// Store is what the partitions of one data directory share.
type Store struct {
	opts    Options
	wal     *wal.Log
	cache   *fileCache
	entries atomic.Int64
	tail    tail
}

// NewStore returns a store. SetLog must be called before anything is read.
func NewStore(opts Options) *Store {
	return &Store{opts: opts, cache: newFileCache(opts.FS, opts.OpenFiles)}
}

// SetLog gives the store the log that its entries are read from.
func (s *Store) SetLog(l *wal.Log) { s.wal = l }

// Entries returns how many log entries the partitions point to.
func (s *Store) Entries() int { return int(s.entries.Load()) }

// Close closes the files that are open for reading.
func (s *Store) Close() { s.cache.closeAll() }

// NewPartition returns an empty partition.
func (s *Store) NewPartition(topic wal.TopicID, partition int32) *Partition {
	return &Partition{
		Topic: topic, Partition: partition, store: s,
		dir:  s.opts.FS.PathJoin(s.topicDir(topic), strconv.Itoa(int(partition))),
		open: map[kafka.ProducerID]kafka.Offset{},
	}
}

func (s *Store) topicsDir() string { return s.opts.FS.PathJoin(s.opts.Dir, "topics") }

func (s *Store) topicDir(topic wal.TopicID) string {
	return s.opts.FS.PathJoin(s.topicsDir(), hex.EncodeToString(topic[:]))
}

// RemoveTopic removes a deleted topic's files. The deletion must be durable.
func (s *Store) RemoveTopic(topic wal.TopicID, partitions []*Partition) error {
	for _, p := range partitions {
		for _, seg := range p.segments {
			s.cache.drop(s.opts.FS.PathJoin(p.dir, segmentName(seg.base)))
		}
	}
	if err := s.opts.FS.RemoveAll(s.topicDir(topic)); err != nil && !vfs.IsNotExist(err) {
		return fmt.Errorf("remove topic directory: %w", err)
	}
	return nil
}

// RemoveOrphans removes the directories of topics that are not known: a crash
// came between their deletion and the removal of their files.
func (s *Store) RemoveOrphans(known func(wal.TopicID) bool) error {
	names, err := s.opts.FS.List(s.topicsDir())
	if vfs.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, name := range names {
		var id wal.TopicID
		if n, err := hex.Decode(id[:], []byte(name)); err != nil || n != len(id) || len(name) != 2*len(id) || known(id) {
			continue
		}
		if err := s.RemoveTopic(id, nil); err != nil {
			return err
		}
	}
	return nil
}

// tail bounds the batches in memory: whole frames, first in first out.
type tail struct {
	mu     sync.Mutex // held while partitions are locked
	bytes  int64
	frames []tailFrame
}

type tailFrame struct {
	bytes int64
	parts []tailPart
}

type tailPart struct {
	p    *Partition
	base kafka.Offset
}

// Kept says that a frame's batches stay in memory, in the given partitions at
// the given base offsets, and drops the oldest frames above the budget.
func (s *Store) Kept(bytes int, parts []*Partition, bases []kafka.Offset) {
	f := tailFrame{bytes: int64(bytes), parts: make([]tailPart, len(parts))}
	for i, p := range parts {
		f.parts[i] = tailPart{p, bases[i]}
	}
	s.tail.mu.Lock()
	defer s.tail.mu.Unlock()
	s.tail.frames = append(s.tail.frames, f)
	s.tail.bytes += f.bytes
	for s.tail.bytes > s.opts.TailMaxBytes && len(s.tail.frames) > 0 {
		oldest := s.tail.frames[0]
		s.tail.frames[0] = tailFrame{}
		s.tail.frames = s.tail.frames[1:]
		s.tail.bytes -= oldest.bytes
		for _, part := range oldest.parts {
			part.p.evict(part.base)
		}
	}
}

// Archive copies what the partitions have in log files up to number into their
// segments, durably, and lets them read it from there. It runs in one goroutine
// at a time. segmentBytes returns a partition's segment size.
func (s *Store) Archive(number uint64, partitions []*Partition, segmentBytes func(*Partition) int64) error {
	var dirs []string
	for _, p := range partitions {
		created, err := p.archive(number, segmentBytes(p))
		if err != nil {
			return fmt.Errorf("archive partition %x-%d: %w", p.Topic, p.Partition, err)
		}
		if created {
			dirs = append(dirs, p.dir, s.topicDir(p.Topic))
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	for _, dir := range append(dirs, s.topicsDir(), s.opts.Dir) {
		// A topic deleted meanwhile has taken its directory along.
		if err := vfs.SyncDir(s.opts.FS, dir); err != nil && !vfs.IsNotExist(err) {
			return fmt.Errorf("sync directory: %w", err)
		}
	}
	return nil
}

// archiver writes entries to the end of a partition's segments.
type archiver struct {
	p        *Partition
	limit    int64
	segments []*segment // changed or new, in order
	log      vfs.File
	index    indexWriter
	indexed  int // entries of the current segment already in its index file
	created  bool
	buf      []byte
}

// archive copies the entries that stand in files up to number. Readers switch
// over when everything is durable.
func (p *Partition) archive(number uint64, limit int64) (created bool, err error) {
	p.mu.RLock()
	n := 0
	for n < len(p.entries) && p.entries[n].at.File <= number {
		n++
	}
	entries := p.entries[:n:n]
	logStart := p.logStart
	a := &archiver{p: p, limit: limit}
	if k := len(p.segments); k > 0 {
		last := *p.segments[k-1]
		a.segments = []*segment{&last}
	}
	known := len(a.segments)
	p.mu.RUnlock()
	if n == 0 {
		return false, nil
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

	p.mu.Lock()
	defer p.mu.Unlock()
	if p.deleted {
		return a.created, nil
	}
	if known > 0 {
		// Retention may have removed the last segment meanwhile; it runs in the
		// same goroutine, so it has not.
		p.segments = append(p.segments[:len(p.segments)-1:len(p.segments)-1], a.segments...)
	} else {
		p.segments = a.segments
	}
	p.archived = entries[n-1].next
	p.entries = append([]entry(nil), p.entries[n:]...)
	p.store.entries.Add(-int64(n))
	return a.created, nil
}

// add appends one entry's batches.
func (a *archiver) add(e entry) error {
	data := e.data
	if data == nil {
		b, err := a.p.entryBytes(e, e.base, e.size)
		if err != nil {
			return err
		}
		data = b
	}
	if len(a.segments) > 0 && a.current().next != e.base && a.current().next > 0 {
		// Records in between were deleted: within a segment offsets are contiguous.
		if err := a.seal(); err != nil {
			return err
		}
		a.segments = append(a.segments, &segment{base: e.base, maxTimestamp: kafka.NoTimestamp})
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

func (a *archiver) current() *segment { return a.segments[len(a.segments)-1] }

func (a *archiver) addBatch(b kafka.Batch) error {
	if len(a.segments) == 0 || a.current().size+int64(len(a.buf)+len(b)) > a.limit && a.current().size+int64(len(a.buf)) > 0 {
		if err := a.seal(); err != nil {
			return err
		}
		a.segments = append(a.segments, &segment{base: b.BaseOffset(), maxTimestamp: kafka.NoTimestamp})
	}
	if a.log == nil {
		if err := a.openCurrent(); err != nil {
			return err
		}
	}
	s := a.current()
	a.index.add(b.BaseOffset(), b.MaxTimestamp(), s.size+int64(len(a.buf)), len(b))
	a.buf = append(a.buf, b...)
	s.next = b.LastOffset() + 1
	s.maxTimestamp = max(s.maxTimestamp, b.MaxTimestamp())
	if len(a.buf) >= archiveBufferBytes {
		return a.flush()
	}
	return nil
}

// archiveBufferBytes are written to a segment at once.
const archiveBufferBytes = 1 << 20

func (a *archiver) flush() error {
	if len(a.buf) == 0 {
		return nil
	}
	s := a.current()
	if _, err := a.log.WriteAt(a.buf, s.size); err != nil {
		return err
	}
	s.size += int64(len(a.buf))
	a.buf = a.buf[:0]
	return nil
}

// openCurrent opens the current segment to go on behind its last byte.
func (a *archiver) openCurrent() error {
	fs, s := a.p.store.opts.FS, a.current()
	if err := fs.MkdirAll(a.p.dir, 0o755); err != nil {
		return err
	}
	f, err := fs.OpenReadWrite(fs.PathJoin(a.p.dir, segmentName(s.base)), vfs.Category)
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
		err = a.log.Sync()
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
	f, err := fs.OpenReadWrite(fs.PathJoin(a.p.dir, indexName(s.base)), vfs.Category)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(encodeIndex(a.index.entries), int64(a.indexed*indexEntryBytes))
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	s.indexEntries = a.indexed + len(a.index.entries)
	return nil
}
