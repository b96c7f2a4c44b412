package broker

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"sync"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/s2"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// codecBatch returns a batch that says it holds payload compressed by a codec.
func codecBatch(codec int, payload []byte) []byte {
	b := kafka.Batch(append(goodBatch()[:kafka.BatchHeaderBytes], payload...))
	b.SetAttributes(int16(codec))
	b.Seal()
	return b
}

// squeeze writes n zero bytes through a compressor.
func squeeze(t *testing.T, n int, open func(io.Writer) (io.WriteCloser, error)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, err := open(&out)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for ; n > 0; n -= len(zeros) {
		if _, err := w.Write(zeros[:min(n, len(zeros))]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipWriter(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 9) }
func lz4Writer(w io.Writer) (io.WriteCloser, error)  { return lz4.NewWriter(w), nil }
func zstdWriter(w io.Writer) (io.WriteCloser, error) {
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
}

// bombMemoryBytes is what refusing a bomb may allocate.
const bombMemoryBytes = 96 << 20

// upTo is an expansion for one check at a time.
func upTo(n int) expansion { return expansion{n, new(sync.Mutex)} }

// TestDecompressionBombs: batches that expand, or say they do, are refused with
// bounded memory and the right code.
func TestDecompressionBombs(t *testing.T) {
	const huge = 64 << 20 // beyond 16 times max.message.bytes
	xerial := append([]byte{0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0}, 0, 0, 0, 1, 0, 0, 0, 1)
	xerialBlock := func(size uint32, block []byte) []byte {
		return append(binary.BigEndian.AppendUint32(append([]byte(nil), xerial...), size), block...)
	}
	claims := binary.AppendUvarint(nil, 1<<31)                             // the decoded length of a snappy block
	window := []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00} // a window of 2 GiB
	smallBlock := s2.EncodeSnappy(nil, make([]byte, 60<<10))
	var many []byte
	many = append(many, xerial...)
	for range 200 {
		many = append(binary.BigEndian.AppendUint32(many, uint32(len(smallBlock))), smallBlock...)
	}
	good := kafka.Batch(goodBatch()).Payload()
	compressed := func(codec int) []byte {
		b, err := log.Compress(nil, codec, good)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	garbage := []byte{1, 2, 3, 4, 5, 6, 7, 8}
	cases := []struct {
		name    string
		codec   int
		payload []byte
		want    error
	}{
		{"gzip", 1, squeeze(t, huge, gzipWriter), log.ErrTooLarge},
		{"lz4", 3, squeeze(t, huge, lz4Writer), log.ErrTooLarge},
		{"zstd", 4, squeeze(t, huge, zstdWriter), log.ErrTooLarge},
		{"zstd window of 2 GiB", 4, window, log.ErrTooLarge},
		{"snappy block of 2 GiB", 2, append(claims, 0), log.ErrTooLarge},
		{"snappy framed, block of 2 GiB", 2, xerialBlock(uint32(len(claims)+1), append(claims, 0)), log.ErrTooLarge},
		{"snappy framed, many blocks", 2, many, kerr.InvalidRecord},
		{"snappy framed, length beyond the end", 2, xerialBlock(1<<31, []byte{1}), kerr.InvalidRecord},
		{"snappy framed, header only", 2, xerial[:12], kerr.InvalidRecord},
		{"gzip and garbage", 1, append(compressed(1), garbage...), kerr.InvalidRecord},
		{"lz4 and garbage", 3, append(compressed(3), garbage...), kerr.InvalidRecord},
		{"zstd and garbage", 4, append(compressed(4), garbage...), kerr.InvalidRecord},
		{"gzip cut", 1, compressed(1)[:20], kerr.InvalidRecord},
		{"lz4 cut", 3, compressed(3)[:15], kerr.InvalidRecord},
		{"zstd cut", 4, compressed(4)[:10], kerr.InvalidRecord},
		{"snappy raw", 2, s2.EncodeSnappy(nil, good), nil},
		{"snappy framed", 2, compressed(2), nil},
		{"gzip 400 to 1", 1, squeeze(t, 8<<20, gzipWriter), kerr.InvalidRecord}, // read, and then no record
		{"zstd 400 to 1", 4, squeeze(t, 8<<20, zstdWriter), kerr.InvalidRecord},
		{"gzip good", 1, compressed(1), nil},
		{"lz4 good", 3, compressed(3), nil},
		{"zstd good", 4, compressed(4), nil},
	}
	for _, c := range cases {
		set := defaults()
		batch := codecBatch(c.codec, c.payload)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := checkBatch(batch, set, upTo(128<<20), 2000)
		runtime.ReadMemStats(&after)
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, err, c.want)
		}
		if got := after.TotalAlloc - before.TotalAlloc; got > bombMemoryBytes && !raceEnabled {
			t.Errorf("%s: %d bytes allocated", c.name, got)
		}
	}
}

// TestCompressesWell: records that are alike compress to a small fraction, and are
// no bomb.
func TestCompressesWell(t *testing.T) {
	var w kafka.BatchBuilder
	for i := range 5000 {
		w.Append(kafka.Timestamp(2000+i), nil, bytes.Repeat([]byte("ab"), 512), nil)
	}
	w.Finish()
	plain := kafka.Batch(w.Bytes())
	for codec := log.CodecGzip; codec <= log.CodecZstd; codec++ {
		b, err := log.WithCodec(nil, plain, codec, plain.Payload())
		if err != nil {
			t.Fatal(err)
		}
		set := defaults()
		set.afterMaxMs = 1 << 40
		c, _, err := checkBatch(b, set, upTo(128<<20), 2000)
		if err != nil || c.info.Offsets != 5000 {
			t.Errorf("codec %d, %d bytes of %d: %v", codec, len(b), len(plain), err)
		}
	}
}

// TestCompressionType: a topic's compression.type decides what is stored, and
// every codec is stored as sent without one.
func TestCompressionType(t *testing.T) {
	good := kafka.Batch(goodBatch())
	for codec := range codecNames {
		sent, err := log.WithCodec(nil, good, codec, good.Payload())
		if err != nil {
			t.Fatal(err)
		}
		for want, name := range append([]string{"producer"}, codecNames...) {
			want--
			if want < 0 {
				want = codec
			}
			set, err := parseSettings(map[string]string{"compression.type": name})
			if err != nil {
				t.Fatal(err)
			}
			c, _, err := checkBatch(append([]byte(nil), sent...), set, upTo(1<<20), 2000)
			if err != nil || c.batch.Codec() != want || !c.batch.CRCValid() {
				t.Fatalf("codec %d, topic %s: codec %d, %v", codec, name, c.batch.Codec(), err)
			}
			if payload, err := log.Payload(c.batch, 1<<20); err != nil || !bytes.Equal(payload, good.Payload()) {
				t.Fatalf("codec %d, topic %s: other records, %v", codec, name, err)
			}
			if name == "producer" && !bytes.Equal(c.batch, sent) {
				t.Fatalf("codec %d is not stored as sent", codec)
			}
		}
	}
}
