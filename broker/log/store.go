package log

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
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
	// Sealer encrypts and decrypts batches, nil for neither.
	Sealer *seal.Sealer
	// OnLack, unless nil, is told of a file that was found to lack something when it
	// was to be gone on with: once of each. It is called without locks, by Archive.
	OnLack func(*Partition, Lack)
}

// Store is what the partitions of one data directory share.
type Store struct {
	opts    Options
	wal     *wal.Log
	cache   *fileCache
	entries atomic.Int64
	tail    tail
	// unsynced are directories with new names that are not durable yet; only the
	// archiver's goroutine touches it.
	unsynced []string
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
			s.cache.drop(s.opts.FS.PathJoin(p.dir, seg.name()))
		}
	}
	if err := s.opts.FS.RemoveAll(s.topicDir(topic)); err != nil && !vfs.IsNotExist(err) {
		return fmt.Errorf("remove topic directory: %w", err)
	}
	return nil
}

// RemoveOrphans removes what a crash left behind: the directories of topics that
// are not known, and in those that are, files that are no segment of the
// checkpoint: an archive pass or a compaction that did not become part of it, or
// segments that it replaced. known returns a topic's partitions.
func (s *Store) RemoveOrphans(known func(wal.TopicID) ([]*Partition, bool)) error {
	names, err := s.opts.FS.List(s.topicsDir())
	if vfs.IsNotExist(err) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list topics: %w", err)
	}
	for _, name := range names {
		var id wal.TopicID
		if n, err := hex.Decode(id[:], []byte(name)); err != nil || n != len(id) || len(name) != 2*len(id) {
			continue
		}
		parts, ok := known(id)
		if ok {
			err = s.removeStrayFiles(id, parts)
		} else {
			err = s.RemoveTopic(id, nil)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// removeStrayFiles removes segments and indexes that the checkpoint does not
// name from a topic's directories.
func (s *Store) removeStrayFiles(topic wal.TopicID, parts []*Partition) error {
	fs := s.opts.FS
	dirs, err := fs.List(s.topicDir(topic))
	if err != nil {
		return fmt.Errorf("list topic directory: %w", err)
	}
	for _, dir := range dirs {
		n, err := strconv.Atoi(dir)
		if err != nil || n < 0 || n >= len(parts) {
			continue
		}
		p := parts[n]
		live := map[string]bool{}
		for _, seg := range p.segments {
			live[seg.name()], live[seg.indexName()] = true, true
		}
		names, err := fs.List(p.dir)
		if err != nil {
			return fmt.Errorf("list partition directory: %w", err)
		}
		for _, name := range names {
			if live[name] || !strings.HasSuffix(name, segmentSuffix) && !strings.HasSuffix(name, indexSuffix) {
				continue
			}
			if err := fs.Remove(fs.PathJoin(p.dir, name)); err != nil {
				return fmt.Errorf("remove stray file: %w", err)
			}
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
	frame *wal.Frame
	bytes int64
	parts []tailPart
}

type tailPart struct {
	p    *Partition
	base kafka.Offset
}

// Kept says that a frame's batches stay in memory, in the given partitions at
// the given base offsets, and drops the oldest frames above the budget. It takes
// the frame's first pin over.
func (s *Store) Kept(frame *wal.Frame, parts []*Partition, bases []kafka.Offset) {
	f := tailFrame{frame: frame, bytes: int64(frame.Len()), parts: make([]tailPart, len(parts))}
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
		oldest.frame.Unpin()
	}
}
