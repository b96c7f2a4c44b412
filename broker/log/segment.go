package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// errSegmentGone: the segment was deleted between look-up and read.
var errSegmentGone = errors.New("log: segment was deleted")

// segment is a file of batches. Its fields are guarded by Partition.mu and
// replaced, never changed: a reader that holds one keeps a consistent view.
type segment struct {
	base, next   kafka.Offset
	size         int64
	maxTimestamp kafka.Timestamp
	// firstTimestamp is the largest timestamp of the first batch: segment.ms
	// counts from it.
	firstTimestamp kafka.Timestamp
	indexEntries   int
	// generation is 0 as archived. A higher one was written by compaction: its
	// offsets have gaps and its batches have guards.
	generation uint64
	// sealed: nothing is added any more.
	sealed bool
}

func (s *segment) guarded() bool { return s.generation > 0 }

// indexEntry is one entry of a segment's sparse index.
type indexEntry struct {
	base      kafka.Offset
	position  int64
	maxBefore kafka.Timestamp
}

const (
	// indexIntervalBytes (index.interval.bytes) is the distance of index entries.
	indexIntervalBytes = 16 << 10
	indexEntryBytes    = 28
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

const (
	segmentSuffix = ".log"
	indexSuffix   = ".index"
)

// stem is the segment's file name without suffix.
func (s *segment) stem() string {
	if s.generation == 0 {
		return fmt.Sprintf("%020d", s.base)
	}
	return fmt.Sprintf("%020d-%d", s.base, s.generation)
}

func (s *segment) name() string      { return s.stem() + segmentSuffix }
func (s *segment) indexName() string { return s.stem() + indexSuffix }

// segmentFor returns the segment that holds offset, or the next one when the
// offset was removed by compaction.
func (p *Partition) segmentFor(offset kafka.Offset) *segment {
	i := sort.Search(len(p.segments), func(i int) bool { return p.segments[i].next > offset })
	if i == len(p.segments) {
		return nil
	}
	return p.segments[i]
}

// read is Partition.Read within one segment.
func (s *segment) read(store *Store, dir string, epochs []EpochStart, from, upTo kafka.Offset, want Want) (Run, error) {
	h, err := store.cache.acquire(dir, s)
	if err != nil {
		return Run{}, err
	}
	defer h.release()
	stored := stored{read: h.readAt, end: s.size, guarded: s.guarded(), epochs: epochs, sealed: store.opts.Sealer != nil}
	b, err := stored.batches(h.floor(s, from), from, upTo, want)
	if err != nil {
		return Run{}, fmt.Errorf("segment %s: %w", h.name, err)
	}
	if len(b) == 0 {
		return Run{Next: upTo, Plain: true}, nil // a gap up to there
	}
	info, err := Inspect(b)
	if err != nil {
		return Run{}, fmt.Errorf("segment %s: %w", h.name, err)
	}
	return Run{Batches: b, Next: nextOffset(b), Plain: info.Plain, owned: true}, nil
}

// readFull adapts a file to readAt.
func readFull(f vfs.File) readAt {
	return func(b []byte, at int64) error {
		n, err := f.ReadAt(b, at)
		if n == len(b) {
			return nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the file ends before position %d", ErrCorrupt, at+int64(len(b)))
		}
		return err
	}
}

// loadIndex reads a segment's index, or rebuilds it from the batches when it is
// missing, short or damaged.
func loadIndex(fs vfs.FS, dir string, s *segment, read readAt) ([]indexEntry, error) {
	if index, ok := readIndex(fs, fs.PathJoin(dir, s.indexName()), s); ok {
		return index, nil
	}
	var w indexWriter
	stored := stored{read: read, end: s.size, guarded: s.guarded()}
	for p := (place{0, s.base}); p.at < s.size; {
		b, size, err := stored.header(p)
		if err != nil {
			return nil, fmt.Errorf("segment %s: %w", s.name(), err)
		}
		w.add(b.BaseOffset(), b.MaxTimestamp(), p.at, size)
		p = place{p.at + int64(size), b.LastOffset() + 1}
	}
	return w.entries, nil
}

func readIndex(fs vfs.FS, name string, s *segment) ([]indexEntry, bool) {
	b, err := vfs.ReadFile(fs, name, s.size/indexIntervalBytes*indexEntryBytes*4+1<<20)
	if err != nil || len(b) < s.indexEntries*indexEntryBytes || s.indexEntries == 0 {
		return nil, false
	}
	index := make([]indexEntry, s.indexEntries)
	for i := range index {
		e := b[i*indexEntryBytes:]
		if binary.BigEndian.Uint32(e[24:]) != crc32.Checksum(e[:24], castagnoli) {
			return nil, false
		}
		index[i] = indexEntry{
			kafka.Offset(binary.BigEndian.Uint64(e)),
			int64(binary.BigEndian.Uint64(e[8:])),
			kafka.Timestamp(binary.BigEndian.Uint64(e[16:])),
		}
	}
	return index, true
}

// indexWriter makes a sparse index of batches that are added in order.
type indexWriter struct {
	entries   []indexEntry
	last      int64 // position of the last indexed batch
	maxBefore kafka.Timestamp
}

func (w *indexWriter) add(base kafka.Offset, maxTimestamp kafka.Timestamp, at int64, size int) {
	if at == 0 {
		w.maxBefore = kafka.NoTimestamp
	}
	if at == 0 || at-w.last >= indexIntervalBytes {
		w.entries = append(w.entries, indexEntry{base, at, w.maxBefore})
		w.last = at
	}
	w.maxBefore = max(w.maxBefore, maxTimestamp)
}

func encodeIndex(entries []indexEntry) []byte {
	b := make([]byte, 0, len(entries)*indexEntryBytes)
	for _, e := range entries {
		from := len(b)
		b = binary.BigEndian.AppendUint64(b, uint64(e.base))
		b = binary.BigEndian.AppendUint64(b, uint64(e.position))
		b = binary.BigEndian.AppendUint64(b, uint64(e.maxBefore))
		b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b[from:], castagnoli))
	}
	return b
}
