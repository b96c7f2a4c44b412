package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/millrace/millrace/internal/kafka"
)

// The codecs of a record batch.
const (
	CodecNone = iota
	CodecGzip
	CodecSnappy
	CodecLZ4
	CodecZstd
)

// ErrTooLarge: a batch decompresses to more than the limit.
var ErrTooLarge = errors.New("log: decompressed batch is too large")

// zstdWindowMaxBytes bounds the decoder's memory.
const zstdWindowMaxBytes = 8 << 20

// Payload returns a batch's records uncompressed: a view of the batch, or a new
// slice of at most maxBytes.
func Payload(b kafka.Batch, maxBytes int) ([]byte, error) {
	in := b.Payload()
	if b.Codec() == CodecNone {
		return in, nil
	}
	var out []byte
	var err error
	switch b.Codec() {
	case CodecGzip:
		out, err = gunzip(in, maxBytes)
	case CodecSnappy:
		out, err = unsnappy(in, maxBytes)
	case CodecLZ4:
		r := bytes.NewReader(in)
		if out, err = readLimited(lz4.NewReader(r), maxBytes); err == nil && r.Len() > 0 {
			err = fmt.Errorf("%d bytes behind the frame", r.Len())
		}
	case CodecZstd:
		out, err = unzstd(in, maxBytes)
	default:
		err = fmt.Errorf("codec %d does not exist", b.Codec())
	}
	if errors.Is(err, ErrTooLarge) {
		return nil, err
	}
	if err != nil {
		return nil, fmt.Errorf("%w: decompress: %w", kafka.ErrCorruptBatch, err)
	}
	return out, nil
}

// lz4Flags is where an LZ4 frame has its flags, behind the magic number, and
// lz4Independent the one that says that no block refers to another.
const (
	lz4Flags       = 4
	lz4Independent = 1 << 5
)

// LinkedLZ4 reports whether a batch is an LZ4 frame whose blocks may refer to those
// before. Kafka and its Java client read no such frame (KIP-57).
func LinkedLZ4(b kafka.Batch) bool {
	in := b.Payload()
	return b.Codec() == CodecLZ4 && len(in) > lz4Flags && in[lz4Flags]&lz4Independent == 0
}

// Uncompressed appends the batch to dst with its records uncompressed, sealed,
// with the same offsets.
func Uncompressed(dst []byte, b kafka.Batch, maxBytes int) ([]byte, error) {
	payload, err := Payload(b, maxBytes)
	if err != nil {
		return dst, err
	}
	from := len(dst)
	dst = append(dst, b[:kafka.BatchHeaderBytes]...)
	dst = append(dst, payload...)
	out := kafka.Batch(dst[from:])
	out.SetAttributes(b.Attributes() &^ kafka.AttrCodecMask)
	out.Seal()
	return dst, nil
}

func readLimited(r io.Reader, limit int) ([]byte, error) {
	var out bytes.Buffer
	_, err := out.ReadFrom(io.LimitReader(r, int64(limit)+1))
	if err == nil && out.Len() > limit {
		err = ErrTooLarge
	}
	return out.Bytes(), err
}

func gunzip(in []byte, limit int) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(in))
	if err != nil {
		return nil, err
	}
	return readLimited(r, limit)
}

// xerialMagic starts snappy data as Java clients frame it: magic, two version
// words, then blocks with their length before them.
var xerialMagic = []byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}

const xerialHeaderBytes = 16

func unsnappy(in []byte, limit int) ([]byte, error) {
	if !bytes.HasPrefix(in, xerialMagic) {
		return snappyBlock(nil, in, limit)
	}
	if len(in) < xerialHeaderBytes {
		return nil, io.ErrUnexpectedEOF
	}
	in = in[xerialHeaderBytes:]
	size := 0
	for rest := in; len(rest) > 0; {
		block, after, err := xerialBlock(rest)
		if err != nil {
			return nil, err
		}
		n, err := s2.DecodedLen(block)
		if err != nil {
			return nil, err
		}
		if size += n; size > limit {
			return nil, ErrTooLarge
		}
		rest = after
	}
	out := make([]byte, 0, size)
	for len(in) > 0 {
		block, after, err := xerialBlock(in)
		if err != nil {
			return nil, err
		}
		if out, err = snappyBlock(out, block, limit); err != nil {
			return nil, err
		}
		in = after
	}
	return out, nil
}

// xerialBlock splits the first block off framed snappy data.
func xerialBlock(in []byte) (block, rest []byte, err error) {
	if len(in) < 4 {
		return nil, nil, io.ErrUnexpectedEOF
	}
	n := binary.BigEndian.Uint32(in)
	if uint64(n) > uint64(len(in)-4) {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return in[4 : 4+n], in[4+n:], nil
}

// snappyBlock appends a block's content to dst.
func snappyBlock(dst, block []byte, limit int) ([]byte, error) {
	n, err := s2.DecodedLen(block)
	if err != nil {
		return nil, err
	}
	if n > limit-len(dst) {
		return nil, ErrTooLarge
	}
	from := len(dst)
	dst = slices.Grow(dst, n)[:from+n]
	out, err := s2.Decode(dst[from:], block)
	if err != nil {
		return nil, err
	}
	if len(out) != n {
		return nil, io.ErrUnexpectedEOF
	}
	return dst, nil
}

var zstdDecoders = sync.Pool{New: func() any {
	d, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(zstdWindowMaxBytes))
	if err != nil {
		return err
	}
	return d
}}

func unzstd(in []byte, limit int) ([]byte, error) {
	v := zstdDecoders.Get()
	d, ok := v.(*zstd.Decoder)
	if !ok {
		return nil, v.(error)
	}
	defer zstdDecoders.Put(d)
	if err := d.Reset(bytes.NewReader(in)); err != nil {
		return nil, err
	}
	out, err := readLimited(d, limit)
	if errors.Is(err, zstd.ErrWindowSizeExceeded) {
		err = ErrTooLarge
	}
	return out, err
}
