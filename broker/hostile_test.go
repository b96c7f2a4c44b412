package broker

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"net"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// frameOf builds a request frame whose size field says size.
func frameOf(size int32, key, version int16, body []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(size))
	b = binary.BigEndian.AppendUint16(b, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = binary.BigEndian.AppendUint32(b, 7)
	return append(b, body...)
}

// sendRaw sends bytes on a new connection and reads until the broker closes it
// or half a second has passed without an answer.
func sendRaw(t *testing.T, addr string, b []byte) (answer []byte, closed bool) {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if _, err := nc.Write(b); err != nil {
		return nil, true
	}
	if err := nc.SetReadDeadline(time.Now().Add(500 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	answer, err = io.ReadAll(nc)
	return answer, !errors.Is(err, errTimeout(err))
}

// errTimeout returns err when it is a time-out, so that errors.Is matches.
func errTimeout(err error) error {
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return err
	}
	return errors.ErrUnsupported
}

// TestHostileFrames: no frame costs memory that was not sent, and none ends the
// process.
func TestHostileFrames(t *testing.T) {
	_, addr := serveTest(t, Limits{})
	client := []byte{0, 1, 'c'}
	var before, after runtime.MemStats
	cases := map[string][]byte{
		"unknown key":          frameOf(14, 999, 0, append(client, 0, 0, 0)),
		"negative key":         frameOf(14, -1, 0, append(client, 0, 0, 0)),
		"size 0":               frameOf(0, 18, 0, nil),
		"size 0 alone":         {0, 0, 0, 0},
		"largest size alone":   {0x7f, 0xff, 0xff, 0xff},
		"negative size alone":  {0xff, 0xff, 0xff, 0xff},
		"negative size":        frameOf(-1, 18, 0, nil),
		"smallest size":        frameOf(math.MinInt32, 18, 0, nil),
		"largest size":         frameOf(math.MaxInt32, 18, 0, nil),
		"one above small":      frameOf(1<<20+1, 3, 9, client),
		"one above produce":    frameOf(100<<20+1, 0, 9, client),
		"version too high":     frameOf(11, 3, 99, client),
		"version negative":     frameOf(11, 3, -1, client),
		"produce 0":            frameOf(13, 0, 0, append(client, 0, 0)),
		"huge array, flexible": frameOf(20, 3, 9, append(client, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0)),
		"huge array":           frameOf(15, 3, 1, append(client, 0x7f, 0xff, 0xff, 0xff)),
		"huge client id":       frameOf(11, 3, 1, []byte{0x7f, 0xff, 'c'}),
		"many header tags":     frameOf(17, 3, 9, append(client, 0xff, 0xff, 0xff, 0xff, 0x0f, 0)),
		"produce, many topics": frameOf(22, 0, 3, append(client, 0xff, 0xff, 0, 1, 0, 0, 0, 0, 0x7f, 0xff, 0xff)),
		"TLS hello":            {0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3, 0, 0, 0},
		"HTTP":                 []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"fetch as a replica":   frameOf(int32(8+3+len(fetchAs(3))), 1, 4, append(client, fetchAs(3)...)),
	}
	runtime.ReadMemStats(&before)
	for name, b := range cases {
		if answer, closed := sendRaw(t, addr, b); !closed || len(answer) != 0 {
			t.Errorf("%s: closed %v, answer %x", name, closed, answer)
		}
	}
	// A large frame of which nothing comes costs one step.
	for range 20 {
		nc, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		if _, err := nc.Write(frameOf(100<<20, 0, 9, append(client, 0))); err != nil {
			t.Fatal(err)
		}
	}
	sendRaw(t, addr, frameOf(11, 18, 0, client)) // the frames before it were read
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 32<<20 {
		t.Errorf("hostile frames made the process allocate %d bytes", grown)
	}
	// An unknown version of ApiVersions is answered in version 0.
	answer, closed := sendRaw(t, addr, frameOf(13, 18, 99, append(client, 0, 0)))
	if closed || len(answer) < 10 || int16(binary.BigEndian.Uint16(answer[8:])) != kerr.UnsupportedVersion.Code {
		t.Errorf("ApiVersions 99: closed %v, answer %x", closed, answer)
	}
}

func fetchAs(replica int32) []byte {
	req := kmsg.NewFetchRequest()
	req.Version, req.ReplicaID = 4, replica
	return req.AppendTo(nil)
}

// TestEveryTruncation sends every prefix of a request of every key: the broker
// answers nothing and lives.
func TestEveryTruncation(t *testing.T) {
	b, _ := serveTest(t, Limits{})
	for key, a := range apis {
		for version := a.min; version <= a.max; version++ {
			req := kmsg.RequestForKey(key)
			req.SetVersion(version)
			whole := req.AppendTo(nil)
			for n := range whole {
				if err := decodeOnly(b, key, version, whole[:n]); err == nil && n < len(whole)-1 && !trailingDefault(whole[n:]) {
					t.Errorf("key %d version %d: %d of %d bytes decode", key, version, n, len(whole))
				}
			}
			if err := decodeOnly(b, key, version, whole); err != nil {
				t.Errorf("key %d version %d: %v", key, version, err)
			}
		}
	}
}

// trailingDefault reports whether what is missing cannot be told from the end of
// an older request.
func trailingDefault(rest []byte) bool { return len(bytes.Trim(rest, "\x00")) == 0 }

func decodeOnly(b *Broker, key, version int16, body []byte) error {
	req := kmsg.RequestForKey(key)
	req.SetVersion(version)
	rq := &request{key: key, version: version, flexible: req.IsFlexible()}
	return (&conn{b: b}).decode(req, rq, body)
}

// goodBatch is a batch as a client sends it.
func goodBatch() []byte { return batchOf(1000, "one", "two", "three") }

func defaults() settings {
	s, err := parseSettings(nil)
	if err != nil {
		panic(err)
	}
	return s
}

// TestBatchChecks has one row per rule.
func TestBatchChecks(t *testing.T) {
	compacted, err := parseSettings(map[string]string{"cleanup.policy": "compact", "message.timestamp.before.max.ms": "100"})
	if err != nil {
		t.Fatal(err)
	}
	change := func(f func(b kafka.Batch)) []byte {
		b := kafka.Batch(goodBatch())
		f(b)
		b.Seal()
		return b
	}
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	if _, err := z.Write(make([]byte, 256<<20)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	compressed := func(codec int16, payload []byte) []byte {
		b := kafka.Batch(append(goodBatch()[:kafka.BatchHeaderBytes], payload...))
		b.SetAttributes(codec)
		b.Seal()
		return b
	}
	flipped := goodBatch()
	flipped[len(flipped)-1] ^= 1
	old := goodBatch()
	old[16] = 1
	cases := []struct {
		name  string
		bytes []byte
		set   settings
		want  error
	}{
		{"good", goodBatch(), defaults(), nil},
		{"empty", nil, defaults(), kerr.InvalidRecord},
		{"cut short", goodBatch()[:70], defaults(), kerr.InvalidRecord},
		{"two batches", append(goodBatch(), goodBatch()...), defaults(), kerr.InvalidRecord},
		{"magic 1", old, defaults(), kerr.UnsupportedForMessageFormat},
		{"flipped", flipped, defaults(), kerr.CorruptMessage},
		{"count 0", change(func(b kafka.Batch) { binary.BigEndian.PutUint32(b[57:], 0) }), defaults(), kerr.InvalidRecord},
		{"count 4", change(func(b kafka.Batch) {
			binary.BigEndian.PutUint32(b[57:], 4)
			binary.BigEndian.PutUint32(b[23:], 3)
		}), defaults(), kerr.InvalidRecord},
		{"count 2", change(func(b kafka.Batch) {
			binary.BigEndian.PutUint32(b[57:], 2)
			binary.BigEndian.PutUint32(b[23:], 1)
		}), defaults(), kerr.InvalidRecord},
		{"last offset delta", change(func(b kafka.Batch) { binary.BigEndian.PutUint32(b[23:], 9) }), defaults(), kerr.InvalidRecord},
		{"control", change(func(b kafka.Batch) { b.SetAttributes(kafka.AttrControl) }), defaults(), kerr.InvalidRecord},
		{"delete horizon", change(func(b kafka.Batch) { b.SetAttributes(kafka.AttrDeleteHorizon) }), defaults(), kerr.InvalidRecord},
		{"log append time", change(func(b kafka.Batch) { b.SetAttributes(kafka.AttrLogAppendTime) }), defaults(), kerr.InvalidTimestamp},
		{"codec 5", change(func(b kafka.Batch) { b.SetAttributes(5) }), defaults(), kerr.UnsupportedCompressionType},
		{"transactional without producer", change(func(b kafka.Batch) { b.SetAttributes(kafka.AttrTransactional) }), defaults(), kerr.InvalidRecord},
		{"producer without sequence", change(func(b kafka.Batch) { binary.BigEndian.PutUint64(b[43:], 5) }), defaults(), kerr.InvalidRecord},
		{"negative producer", change(func(b kafka.Batch) { binary.BigEndian.PutUint64(b[43:], 1<<63) }), defaults(), kerr.InvalidRecord},
		{"gzip garbage", compressed(1, []byte("garbage")), defaults(), kerr.InvalidRecord},
		{"snappy garbage", compressed(2, []byte{0xff, 0xff, 0xff, 0xff, 0x0f, 1}), defaults(), log.ErrTooLarge},
		{"lz4 garbage", compressed(3, []byte("garbage")), defaults(), kerr.InvalidRecord},
		{"zstd garbage", compressed(4, []byte("garbage")), defaults(), kerr.InvalidRecord},
		{"gzip bomb", compressed(1, bomb.Bytes()), defaults(), log.ErrTooLarge},
		{"no key, compacted", goodBatch(), compacted, kerr.InvalidRecord},
		{"too large", batchOf(1, string(make([]byte, 2<<20))), defaults(), kerr.MessageTooLarge},
	}
	for _, c := range cases {
		_, _, err := checkBatch(c.bytes, c.set, upTo(128<<20), 2000)
		if c.want == nil && err != nil || c.want != nil && !errors.Is(err, c.want) {
			t.Errorf("%s: %v, expected %v", c.name, err, c.want)
		}
	}
	// The largest timestamp is put right, and the batch sealed again.
	wrong := change(func(b kafka.Batch) { b.SetMaxTimestamp(5) })
	c, _, err := checkBatch(wrong, defaults(), upTo(1<<20), 2000)
	if err != nil || c.batch.MaxTimestamp() != 1000 || !c.batch.CRCValid() {
		t.Errorf("largest timestamp %d, %v", c.batch.MaxTimestamp(), err)
	}
}

// FuzzCheckBatch: a batch that passes can be walked by any reader.
func FuzzCheckBatch(f *testing.F) {
	f.Add(goodBatch(), uint8(0))
	f.Add(goodBatch()[:80], uint8(0))
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	w.Write(kafka.Batch(goodBatch()).Payload())
	w.Close()
	f.Add(append(goodBatch()[:kafka.BatchHeaderBytes], z.Bytes()...), uint8(1))
	f.Fuzz(func(t *testing.T, b []byte, codec uint8) {
		if len(b) >= kafka.BatchHeaderBytes { // get past the checksum
			kafka.Batch(b).SetAttributes(int16(codec))
			b[16] = 2
			kafka.Batch(b).Seal()
		}
		c, _, err := checkBatch(b, defaults(), upTo(1<<20), 2000)
		if err != nil {
			return
		}
		payload, err := log.Payload(c.batch, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		recs := c.batch.Records(payload)
		for ; recs.Next(); n++ {
			if _, err := kafka.ParseHeaders(recs.Record().RawHeaders, recordHeadersMax); err != nil {
				t.Fatal(err)
			}
		}
		if recs.Err() != nil || n != int(c.batch.Count()) || int64(n) != c.info.Offsets {
			t.Fatalf("%d of %d records, %v", n, c.batch.Count(), recs.Err())
		}
	})
}

// FuzzDecode: no request body makes the decoder panic, or allocate more than eight
// times its bytes and a MiB.
func FuzzDecode(f *testing.F) {
	b := &Broker{cfg: Config{}.withDefaults()}
	for key, a := range apis {
		req := kmsg.RequestForKey(key)
		req.SetVersion(a.max)
		f.Add(key, a.max, req.AppendTo(nil))
	}
	f.Fuzz(func(t *testing.T, key, version int16, body []byte) {
		a := apis[key]
		if a == nil || version < a.min || version > a.max {
			return
		}
		req := kmsg.RequestForKey(key)
		req.SetVersion(version)
		rq := &request{key: key, version: version, flexible: req.IsFlexible()}
		c := &conn{b: b}
		before := allocated()
		_ = c.decode(req, rq, body) // any verdict is good
		if grown := allocated() - before; grown > uint64(8*len(body)+1<<20) {
			t.Errorf("%s version %d: %d bytes for a request of %d", kmsg.NameForKey(key), version, grown, len(body))
		}
	})
}

// allocated returns how many bytes the process has allocated on its heap so far,
// to within the size of a span; it does not stop the world as ReadMemStats does.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// An LZ4 frame whose blocks may refer to one another is written anew: Java's client
// reads no such frame. Any other is stored as it came.
func TestLinkedLZ4IsWrittenAnew(t *testing.T) {
	plain := kafka.Batch(goodBatch())
	whole, err := log.WithCodec(nil, plain, log.CodecLZ4, plain.Payload())
	if err != nil {
		t.Fatal(err)
	}
	c, _, err := checkBatch(whole, defaults(), upTo(1<<20), 2000)
	if err != nil || log.LinkedLZ4(c.batch) || !bytes.Equal(c.batch, whole) {
		t.Fatalf("independent blocks: changed, %v", err)
	}
	linked := kafka.Batch(bytes.Clone(whole))
	header := linked.Payload()[4:7]
	if !bytes.Equal(header, []byte{0x64, 0x70, 0xb9}) { // flags, block size, their check sum
		t.Fatalf("the frame begins with %x", header)
	}
	copy(header, []byte{0x44, 0x70, 0x1d})
	linked.Seal()
	if !log.LinkedLZ4(linked) {
		t.Fatal("the frame does not say that its blocks are linked")
	}
	c, _, err = checkBatch(linked, defaults(), upTo(1<<20), 2000)
	if err != nil || log.LinkedLZ4(c.batch) || c.batch.Codec() != log.CodecLZ4 || !c.batch.CRCValid() {
		t.Fatalf("linked blocks: codec %d, %v", c.batch.Codec(), err)
	}
	if got, err := log.Payload(c.batch, 1<<20); err != nil || !bytes.Equal(got, plain.Payload()) {
		t.Fatalf("other records, %v", err)
	}
}
