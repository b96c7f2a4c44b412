package log

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/millrace/millrace/internal/kafka"
)

// xerialBlockBytes is the block size of Java clients' snappy framing.
const xerialBlockBytes = 32 << 10

// Compress appends a batch's records, compressed with a codec, to dst. Snappy is
// framed as Java clients frame it, which every client reads.
func Compress(dst []byte, codec int, records []byte) ([]byte, error) {
	switch codec {
	case CodecNone:
		return append(dst, records...), nil
	case CodecSnappy:
		return xerial(dst, records), nil
	case CodecGzip:
		return writeThrough(dst, records, func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) })
	case CodecLZ4:
		return writeThrough(dst, records, func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) })
	case CodecZstd:
		v := zstdEncoders.Get()
		e, ok := v.(*zstd.Encoder)
		if !ok {
			return nil, fmt.Errorf("compress: %w", v.(error))
		}
		defer zstdEncoders.Put(e)
		return e.EncodeAll(records, dst), nil
	}
	return nil, fmt.Errorf("%w: codec %d does not exist", kafka.ErrCorruptBatch, codec)
}

var zstdEncoders = sync.Pool{New: func() any {
	e, err := zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(zstdWindowMaxBytes/8))
	if err != nil {
		return err
	}
	return e
}}

func xerial(dst, records []byte) []byte {
	dst = append(dst, xerialMagic...)
	dst = append(dst, 0, 0, 0, 1, 0, 0, 0, 1) // version and lowest version that reads it
	for len(records) > 0 {
		n := min(len(records), xerialBlockBytes)
		block := s2.EncodeSnappy(nil, records[:n])
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(block)))
		dst = append(dst, block...)
		records = records[n:]
	}
	return dst
}

func writeThrough(dst, records []byte, open func(io.Writer) io.WriteCloser) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	w := open(buf)
	if _, err := w.Write(records); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("compress: %w", err)
	}
	return buf.Bytes(), nil
}

// WithCodec appends the batch to dst with its records, which are given
// uncompressed, compressed by another codec: sealed, with the same offsets.
func WithCodec(dst []byte, b kafka.Batch, codec int, records []byte) ([]byte, error) {
	from := len(dst)
	dst, err := Compress(append(dst, b[:kafka.BatchHeaderBytes]...), codec, records)
	if err != nil {
		return nil, err
	}
	out := kafka.Batch(dst[from:])
	out.SetAttributes(b.Attributes()&^kafka.AttrCodecMask | int16(codec))
	out.Seal()
	return dst, nil
}
