package log

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
)

// A batch is encrypted where it is copied into a frame of the log, and decrypted
// where it leaves a Partition. In between, in memory, in log files and in
// segments, it is the same bytes:
//
//	 0        17    21           23        61
//	+--------+-----+------------+---------+-------------------------------+
//	| as it  | CRC | attributes | as it   | blob (package seal) of        |
//	| was    |     | codec 7    | was     | records, attributes i16, CRC  |
//	+--------+-----+------------+---------+-------------------------------+
//
// The CRC covers the encrypted bytes. The blob is bound to topic id, partition
// and the header from the attributes on, not to base offset and leader epoch,
// which are assigned later. Transaction markers are not encrypted: they say who
// committed or aborted and nothing else.

// CodecSealed marks an encrypted batch, in place of its codec. Clients never see
// it and may not send it.
const CodecSealed = 7

// sealedTailBytes are what is encrypted behind the records.
const sealedTailBytes = 6

// sealContext is what an encrypted batch is bound to; its header has the codec of
// an encrypted batch.
func sealContext(topic wal.TopicID, partition int32, b kafka.Batch) []byte {
	c := make([]byte, 0, 1+len(topic)+4+kafka.BatchHeaderBytes-guardedBytes)
	c = append(append(c, 'b'), topic[:]...)
	c = binary.BigEndian.AppendUint32(c, uint32(partition))
	return append(c, b[guardedBytes:kafka.BatchHeaderBytes]...)
}

// SealBatches appends batches, whose headers were checked, to dst, encrypted.
func SealBatches(dst []byte, topic wal.TopicID, partition int32, batches []byte, s *seal.Sealer) []byte {
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			// Inspect has walked the same bytes; plain ones must not be written.
			panic("log: batches to be encrypted were not inspected")
		}
		dst = sealBatch(dst, topic, partition, b, s)
		batches = rest
	}
	return dst
}

func sealBatch(dst []byte, topic wal.TopicID, partition int32, b kafka.Batch, s *seal.Sealer) []byte {
	if b.Control() {
		return append(dst, b...)
	}
	var tail [sealedTailBytes]byte
	binary.BigEndian.PutUint16(tail[:], uint16(b.Attributes()))
	binary.BigEndian.PutUint32(tail[2:], b.CRC())
	from := len(dst)
	dst = append(dst, b[:kafka.BatchHeaderBytes]...)
	head := kafka.Batch(dst[from:])
	head.SetAttributes(b.Attributes() | CodecSealed)
	dst = s.Seal(dst, sealContext(topic, partition, head), b.Payload(), tail[:])
	kafka.Batch(dst[from:]).Seal()
	return dst
}

// OpenBatch appends an encrypted batch to dst, which may not overlap it, as it
// was. Errors wrap seal.ErrUnknownKey or ErrCorrupt.
func OpenBatch(dst []byte, topic wal.TopicID, partition int32, b kafka.Batch, s *seal.Sealer) ([]byte, error) {
	from := len(dst)
	out, err := s.Open(append(dst, b[:kafka.BatchHeaderBytes]...), sealContext(topic, partition, b), b.Payload())
	if err == nil {
		var opened kafka.Batch
		if opened, err = finishOpen(out[from:]); err == nil {
			return out[:from+len(opened)], nil
		}
	}
	return dst, openError(b, err)
}

// openBatchInPlace returns an encrypted batch as it was, in its own memory, of
// which nothing else is left.
func openBatchInPlace(topic wal.TopicID, partition int32, b kafka.Batch, s *seal.Sealer) (kafka.Batch, error) {
	var head [kafka.BatchHeaderBytes]byte
	copy(head[:], b)
	plain, err := s.OpenInPlace(sealContext(topic, partition, b), b.Payload())
	if err != nil {
		return nil, openError(b, err)
	}
	// The blob's prefix, right before what it held, is shorter than a header: the
	// header takes its place and some of its own.
	at := len(b) - len(plain) - seal.TagBytes - kafka.BatchHeaderBytes
	copy(b[at:], head[:])
	opened, err := finishOpen(b[at : len(b)-seal.TagBytes])
	if err != nil {
		return nil, openError(kafka.Batch(head[:]), err)
	}
	return opened, nil
}

// finishOpen makes a batch out of an encrypted one's header and what was encrypted.
func finishOpen(b []byte) (kafka.Batch, error) {
	n := len(b) - sealedTailBytes
	if n < kafka.BatchHeaderBytes {
		return nil, seal.ErrOpen
	}
	opened := kafka.Batch(b[:n:n])
	opened.SetAttributes(int16(binary.BigEndian.Uint16(b[n:])))
	// The checksum is the one that came with the batch: whoever reads it checks the
	// whole way.
	copy(opened[crcAt:], b[n+2:])
	binary.BigEndian.PutUint32(opened[lengthAt:], uint32(n-lengthAt-4))
	return opened, nil
}

func openError(b kafka.Batch, err error) error {
	if errors.Is(err, seal.ErrOpen) {
		err = fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
}

// Where a batch has its length, which counts what follows it, and its checksum.
const (
	lengthAt = 8
	crcAt    = 17
)

// opened returns a run with its batches decrypted, as it is when there is nothing
// to decrypt: in place when nobody else has its memory.
func (p *Partition) opened(run Run, want Want) (Run, error) {
	s := p.store.opts.Sealer
	if s == nil || len(run.Batches) == 0 {
		return run, nil
	}
	out := run.Batches[:0]
	if !run.owned {
		out = want.alloc(len(run.Batches))[:0]
	}
	run.Plain = true
	for rest := run.Batches; len(rest) > 0; {
		b, after, err := kafka.NextBatch(rest)
		if err != nil {
			return Run{}, err
		}
		from := len(out)
		switch {
		case b.Codec() != CodecSealed:
			out = append(out, b...)
		case run.owned:
			if b, err = openBatchInPlace(p.Topic, p.Partition, b, s); err == nil {
				out = append(out, b...) // to the front: it overlaps nothing that is still read
			}
		default:
			out, err = OpenBatch(out, p.Topic, p.Partition, b, s)
		}
		if err != nil {
			return Run{}, fmt.Errorf("partition %s: %w", p.text(), err)
		}
		run.Plain = run.Plain && kafka.Batch(out[from:]).Attributes()&notPlain == 0
		rest = after
	}
	run.Batches, run.owned = out[:len(out):len(out)], true
	return run, nil
}

// KeyOf returns the id of the key that encrypted a batch, ok false for a batch
// that is not encrypted.
func KeyOf(b kafka.Batch) (id seal.KeyID, ok bool, err error) {
	if b.Codec() != CodecSealed {
		return id, false, nil
	}
	if id, err = seal.KeyOf(b.Payload()); err != nil {
		err = fmt.Errorf("%w: batch at offset %d: %w", ErrCorrupt, b.BaseOffset(), err)
	}
	return id, true, err
}

// CheckKeys reports, by an error that wraps seal.ErrUnknownKey, whether a batch of
// the partition's segments was encrypted with a key that was not given. It reads
// all of them.
func (p *Partition) CheckKeys() error {
	p.mu.RLock()
	segments, epochs := p.segments, p.epochs
	p.mu.RUnlock()
	for _, s := range segments {
		for from := s.base; from < s.next; {
			run, err := s.read(p.store, p.dir, epochs, from, s.next, Want{Bytes: compactReadBytes, AtLeastOne: true})
			if errors.Is(err, errSegmentGone) {
				break // of a topic that was deleted behind the checkpoint
			}
			if err != nil {
				return err
			}
			if err := CheckKeys(run.Batches, p.store.opts.Sealer); err != nil {
				return fmt.Errorf("segment %s: %w", s.name(), err)
			}
			from = run.Next
		}
	}
	return nil
}

// CheckKeys is Partition.CheckKeys for batches.
func CheckKeys(batches []byte, s *seal.Sealer) error {
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			return err
		}
		id, sealed, err := KeyOf(b)
		switch {
		case err != nil:
			return err
		case sealed && s == nil || sealed && !s.Keys().Has(id):
			return fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), &seal.UnknownKeyError{ID: id})
		}
		batches = rest
	}
	return nil
}

// AddTo adds batches, whose headers were checked, to a frame, encrypted when the
// data directory is, and returns the entry's index.
func (p *Partition) AddTo(f *wal.Frame, batches []byte) int {
	s := p.store.opts.Sealer
	if s == nil {
		return f.AddBatches(p.Topic, p.Partition, batches)
	}
	return f.AddBatchesBy(p.Topic, p.Partition, func(dst []byte) []byte {
		return SealBatches(dst, p.Topic, p.Partition, batches, s)
	})
}
