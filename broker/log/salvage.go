package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"

	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

// Gap is a run of offsets, From to Next (exclusive), of which nothing can be read.
type Gap struct {
	From, Next kafka.Offset
	Reason     error
}

// Damage is what cannot be read of a segment, which holds offsets Base to Next
// (exclusive).
type Damage struct {
	Path       string
	Base, Next kafka.Offset
	Gaps       []Gap
}

// salvage reads a segment past its damage.
//
// Behind a batch that cannot be read, the next one is looked for at places that
// are known without it: the entries of the index, each of which has a checksum,
// and the end that the checkpoint has. In between, the damaged batch's own length
// is believed when the headers from there on form an unbroken chain of offsets
// that ends exactly at the next such place. Nothing is searched for byte by byte:
// records may hold what looks like a batch.
type salvage struct {
	p       *Partition
	segment *segment
	stored  stored
	anchors []place // in order, the end of the segment last
	// keep and lose are called in the order of offsets.
	keep func(kafka.Batch) error
	lose func(Gap) error
	buf  []byte
	open []byte
}

// salvage calls keep for every batch of a segment that is whole, as it is stored,
// and lose for what is between them. Errors are theirs, of a file that cannot be
// opened though it is there, and seal.ErrUnknownKey.
func (p *Partition) salvage(s *segment, keep func(kafka.Batch) error, lose func(Gap) error) (err error) {
	fs := p.store.opts.FS
	f, err := fs.Open(fs.PathJoin(p.dir, s.name()))
	if vfs.IsNotExist(err) {
		return lose(Gap{s.base, s.next, errors.New("the file is missing")})
	}
	if err != nil {
		return fmt.Errorf("open segment: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	v := &salvage{
		p: p, segment: s, keep: keep, lose: lose, anchors: p.anchors(s),
		stored: stored{read: readFull(f), end: s.size, guarded: s.guarded(), epochs: p.epochStarts()},
	}
	return v.run()
}

func (v *salvage) run() error {
	s := v.segment
	for at := (place{0, s.base}); at.at < s.size; {
		b, err := v.batch(at)
		if err == nil {
			if err := v.keep(b); err != nil {
				return err
			}
			at = place{at.at + v.stored.guard() + int64(len(b)), b.LastOffset() + 1}
			continue
		}
		if errors.Is(err, seal.ErrUnknownKey) {
			return err
		}
		next := v.resume(at)
		if err := v.lose(Gap{at.base, next.base, err}); err != nil {
			return err
		}
		at = next
	}
	return nil
}

// batch reads the batch at a place and checks all that can be checked of it. The
// result is valid until the next call.
func (v *salvage) batch(at place) (kafka.Batch, error) {
	_, total, err := v.stored.header(at)
	if err != nil {
		return nil, err
	}
	if cap(v.buf) < total {
		v.buf = make([]byte, total)
	}
	if err := v.stored.read(v.buf[:total], at.at); err != nil {
		return nil, err
	}
	b := kafka.Batch(v.buf[v.stored.guard():total])
	switch {
	case !b.CRCValid():
		return nil, fmt.Errorf("%w: batch at position %d: checksum mismatch", ErrCorrupt, at.at)
	case b.LastOffset() >= v.segment.next:
		return nil, fmt.Errorf("%w: batch at position %d ends at offset %d, the segment at %d", ErrCorrupt, at.at, b.LastOffset(), v.segment.next-1)
	case b.Codec() != CodecSealed:
		return b, nil
	case v.p.store.opts.Sealer == nil:
		return nil, fmt.Errorf("%w: batch at position %d is encrypted, the data directory is not", ErrCorrupt, at.at)
	}
	v.open, err = OpenBatch(v.open[:0], v.p.Topic, v.p.Partition, b, v.p.store.opts.Sealer)
	return b, err
}

// resume returns the place to go on from behind what cannot be read at a place.
func (v *salvage) resume(at place) place {
	anchor := v.anchors[len(v.anchors)-1]
	for _, a := range v.anchors {
		if a.at > at.at && a.base > at.base {
			anchor = a
			break
		}
	}
	if next, ok := v.hop(at, anchor); ok {
		return next
	}
	return anchor
}

// hop goes over the batch at a place by its length, when a chain of batches leads
// from there to the anchor.
func (v *salvage) hop(at, anchor place) (place, bool) {
	b, err := v.peek(at.at)
	if err != nil {
		return place{}, false
	}
	size, err := headerSize(b)
	next := place{at: at.at + v.stored.guard() + int64(size)}
	if err != nil || next.at >= anchor.at {
		return place{}, false
	}
	if b, err = v.peek(next.at); err != nil || b.BaseOffset() <= at.base {
		return place{}, false
	}
	next.base = b.BaseOffset()
	p := next
	for p.at < anchor.at {
		b, total, err := v.stored.header(p)
		if err != nil {
			return place{}, false
		}
		p = place{p.at + int64(total), b.LastOffset() + 1}
	}
	return next, p.at == anchor.at && (p.base == anchor.base || v.segment.guarded() && p.base < anchor.base)
}

// peek reads what stands where a batch's header should, unchecked.
func (v *salvage) peek(at int64) (kafka.Batch, error) {
	head := make([]byte, kafka.BatchHeaderBytes)
	if at += v.stored.guard(); at+int64(len(head)) > v.stored.end {
		return nil, fmt.Errorf("%w: no header at position %d", ErrCorrupt, at)
	}
	return head, v.stored.read(head, at)
}

// anchors returns where batches of a segment are known to begin, by its index,
// and its end.
func (p *Partition) anchors(s *segment) (anchors []place) {
	fs := p.store.opts.FS
	end := place{s.size, s.next}
	index, err := vfs.ReadFile(fs, fs.PathJoin(p.dir, s.indexName()), math.MaxInt32)
	if err != nil {
		return []place{end} // the index is derived, and may be missing
	}
	last := place{0, s.base}
	for i := 0; i < s.indexEntries && (i+1)*indexEntryBytes <= len(index); i++ {
		e := index[i*indexEntryBytes : (i+1)*indexEntryBytes]
		if binary.BigEndian.Uint32(e[24:]) != crc32.Checksum(e[:24], castagnoli) {
			continue
		}
		a := place{int64(binary.BigEndian.Uint64(e[8:])), kafka.Offset(binary.BigEndian.Uint64(e))}
		if a.at > last.at && a.base > last.base && a.at < end.at && a.base < end.base {
			anchors, last = append(anchors, a), a
		}
	}
	return append(anchors, end)
}
