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
	indexEntries int
}

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

func segmentName(base kafka.Offset) string { return fmt.Sprintf("%020d.log", base) }
func indexName(base kafka.Offset) string   { return fmt.Sprintf("%020d.index", base) }

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
func (s *segment) read(store *Store, dir string, from, upTo kafka.Offset, maxBytes int) (Run, error) {
	h, err := store.cache.acquire(dir, s)
	if err != nil {
		return Run{}, err
	}
	defer h.release()
	b, err := readBatches(h.readAt, h.floor(s, from), s.size, from, upTo, maxBytes)
	if err != nil {
		return Run{}, fmt.Errorf("segment %s: %w", h.name, err)
	}
	info, err := Inspect(b)
	if err != nil {
		return Run{}, fmt.Errorf("segment %s: %w", h.name, err)
	}
	return Run{Batches: b, Next: nextOffset(b), Plain: info.Plain}, nil
}

// readFull adapts a file to readAt.
func readFull(f vfs.File) readAt {
	return func(b []byte, at int64) error {
		n, err := f.ReadAt(b, at)
		if n == len(b) {
			return nil
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return err
	}
}

// loadIndex reads a segment's index, or rebuilds it from the batches when it is
// missing, short or damaged.
func loadIndex(fs vfs.FS, dir string, s *segment, read readAt) ([]indexEntry, error) {
	if index, ok := readIndex(fs, fs.PathJoin(dir, indexName(s.base)), s); ok {
		return index, nil
	}
	var w indexWriter
	next := s.base
	for at := int64(0); at < s.size; {
		var header [kafka.BatchHeaderBytes]byte
		if err := read(header[:], at); err != nil {
			return nil, err
		}
		size, err := headerSize(header[:])
		b := kafka.Batch(header[:])
		if err != nil || int64(size) > s.size-at || b.BaseOffset() != next || b.LastOffsetDelta() < 0 {
			return nil, fmt.Errorf("%w: batch of %d bytes at position %d of %s, offset %d, expected %d", ErrCorrupt, size, at, segmentName(s.base), b.BaseOffset(), next)
		}
		next = b.LastOffset() + 1
		w.add(b.BaseOffset(), b.MaxTimestamp(), at, size)
		at += int64(size)
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
