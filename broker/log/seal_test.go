package log

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millrace/millrace/broker/wal"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/seal"
	"github.com/millrace/millrace/internal/vfs"
)

const (
	sealKey  = "1111111111111111111111111111111111111111111111111111111111111111"
	otherKey = "2222222222222222222222222222222222222222222222222222222222222222"
)

func newSealer(t testing.TB, keys string) *seal.Sealer {
	t.Helper()
	k, err := seal.ParseKeys(keys)
	if err != nil {
		t.Fatal(err)
	}
	s, err := seal.NewSealer(k)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealTestBatch(codec int, values ...string) kafka.Batch {
	var w kafka.BatchBuilder
	for i, v := range values {
		w.Append(kafka.Timestamp(100+i), []byte("key"), []byte(v), []kafka.Header{{Key: "h", Value: []byte(v)}})
	}
	w.FinishAs(kafka.AttrTransactional, 7, 1, 3)
	b, err := WithCodec(nil, w.Bytes(), codec, kafka.Batch(w.Bytes()).Payload())
	if err != nil {
		panic(err)
	}
	return b
}

// TestSealBatches: a batch of any codec comes back as it was, also when its base
// offset and leader epoch were assigned in between; what the log reads of a header
// is in the clear, what clients wrote is not; markers stay as they are.
func TestSealBatches(t *testing.T) {
	s := newSealer(t, sealKey)
	topic := wal.TopicID{9}
	for codec := CodecNone; codec <= CodecZstd; codec++ {
		b := sealTestBatch(codec, "a distinctive value", "", "another")
		run := slices.Concat(b, NewMarker(7, 1, true, 0, 100), b)
		got := SealBatches([]byte("before"), topic, 3, run, s)[len("before"):]
		if bytes.Contains(got, []byte("distinctive")) {
			t.Fatalf("codec %d: a value is readable", codec)
		}
		Assign(got, 50, 8)
		Assign(run, 50, 8)
		for i := range 3 {
			sealed, rest, err := kafka.NextBatch(got)
			if err != nil {
				t.Fatal(err)
			}
			plain, after, err := kafka.NextBatch(run)
			if err != nil {
				t.Fatal(err)
			}
			got, run = rest, after
			if !sealed.CRCValid() || sealed.LastOffset() != plain.LastOffset() || sealed.MaxTimestamp() != plain.MaxTimestamp() ||
				sealed.ProducerID() != 7 || sealed.BaseSequence() != plain.BaseSequence() || !sealed.Transactional() {
				t.Fatalf("codec %d: header %x", codec, sealed[:kafka.BatchHeaderBytes])
			}
			if i == 1 {
				if !bytes.Equal(sealed, plain) {
					t.Fatal("a marker was changed")
				}
				continue
			}
			if sealed.Codec() != CodecSealed {
				t.Fatalf("codec %d", sealed.Codec())
			}
			opened, err := OpenBatch(nil, topic, 3, sealed, s)
			if err != nil || !bytes.Equal(opened, plain) {
				t.Fatalf("codec %d: %v\n%x\n%x", codec, err, opened, plain)
			}
		}
	}
}

// TestOpened: a run of plain and encrypted batches of any size is decrypted the same
// in memory of its own and in place, and nobody else's memory is touched.
func TestOpened(t *testing.T) {
	s := newSealer(t, sealKey)
	store := NewStore(Options{FS: vfs.NewMem(), Dir: "d", Sealer: s})
	p := store.NewPartition(wal.TopicID{9}, 3)
	rng := rand.New(rand.NewPCG(1, 1))
	for round := range 200 {
		var plain, sealed []byte
		isPlain := true
		for range 1 + rng.IntN(5) {
			codec := rng.IntN(5)
			b := sealTestBatch(codec, strings.Repeat("x", rng.IntN(200)))
			isPlain = false // it is transactional
			plain = append(plain, b...)
			if rng.IntN(3) == 0 {
				sealed = append(sealed, b...)
				continue
			}
			sealed = SealBatches(sealed, p.Topic, p.Partition, b, s)
		}
		before := slices.Clone(sealed)
		got, err := p.opened(Run{Batches: sealed}, Want{})
		if err != nil || !bytes.Equal(got.Batches, plain) || got.Plain != isPlain || !bytes.Equal(sealed, before) {
			t.Fatalf("round %d: %v", round, err)
		}
		sealed = append(sealed, "behind"...)
		got, err = p.opened(Run{Batches: sealed[:len(before)], owned: true}, Want{Alloc: func(int) []byte { panic("memory is taken") }})
		if err != nil || !bytes.Equal(got.Batches, plain) || string(sealed[len(before):]) != "behind" {
			t.Fatalf("round %d: in place: %v", round, err)
		}
	}
	bad := SealBatches(nil, p.Topic, p.Partition, sealTestBatch(CodecNone, "value"), s)
	bad[len(bad)-1] ^= 1
	kafka.Batch(bad).Seal()
	for _, owned := range []bool{false, true} {
		if got, err := p.opened(Run{Batches: slices.Clone(bad), owned: owned}, Want{}); !errors.Is(err, ErrCorrupt) || got.Batches != nil {
			t.Fatalf("owned %v: %v", owned, err)
		}
	}
}

// TestSealedFlips: any change of an encrypted batch is noticed, by its checksum
// and, when that was made right again, by its tag; but for what is assigned late.
func TestSealedFlips(t *testing.T) {
	s := newSealer(t, sealKey)
	topic := wal.TopicID{9}
	sealed := kafka.Batch(SealBatches(nil, topic, 3, sealTestBatch(CodecNone, "value"), s))
	for i := range len(sealed) * 8 {
		bad := kafka.Batch(slices.Clone(sealed))
		bad[i/8] ^= 1 << (i % 8)
		if at := i / 8; at >= guardedBytes && bad.CRCValid() {
			t.Fatalf("bit %d: the checksum is right", i)
		}
		if at := i / 8; at >= lengthAt && at < lengthAt+4 || at < guardedBytes {
			continue // base offset, length, leader epoch, magic, checksum
		}
		bad.Seal()
		if _, err := OpenBatch(nil, topic, 3, bad, s); !errors.Is(err, ErrCorrupt) && !errors.Is(err, seal.ErrUnknownKey) {
			t.Fatalf("bit %d: %v", i, err)
		}
	}
	for cut := range len(sealed) - kafka.BatchHeaderBytes {
		bad := kafka.Batch(slices.Clone(sealed[:kafka.BatchHeaderBytes+cut]))
		bad.Seal()
		if _, err := OpenBatch(nil, topic, 3, bad, s); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
	for name, open := range map[string]func() ([]byte, error){
		"topic":     func() ([]byte, error) { return OpenBatch(nil, wal.TopicID{8}, 3, sealed, s) },
		"partition": func() ([]byte, error) { return OpenBatch(nil, topic, 2, sealed, s) },
	} {
		if _, err := open(); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("another %s: %v", name, err)
		}
	}
	if _, err := OpenBatch(nil, topic, 3, sealed, newSealer(t, otherKey)); !errors.Is(err, seal.ErrUnknownKey) {
		t.Fatalf("another key: %v", err)
	}
	if _, err := OpenBatch(nil, topic, 3, sealed, newSealer(t, otherKey+"\n"+sealKey)); err != nil {
		t.Fatalf("two keys: %v", err)
	}
}

// TestSealedInPlainDirectory: an encrypted batch is never handed out as it is.
func TestSealedInPlainDirectory(t *testing.T) {
	s := newSealer(t, sealKey)
	sealed := SealBatches(nil, wal.TopicID{9}, 3, sealTestBatch(CodecNone, "value"), s)
	read := func(b []byte, at int64) error { copy(b, sealed[at:]); return nil }
	for _, may := range []bool{true, false} {
		got, err := (&stored{read: read, end: int64(len(sealed)), sealed: may}).batches(place{}, 0, 1, Want{Bytes: 1 << 20, AtLeastOne: true})
		if may != (err == nil) || !may && (!errors.Is(err, ErrCorrupt) || got != nil) {
			t.Fatalf("may be sealed %v: %v", may, err)
		}
	}
	if err := CheckKeys(sealed, nil); !errors.Is(err, seal.ErrUnknownKey) {
		t.Fatal(err)
	}
	if err := CheckKeys(sealed, s); err != nil {
		t.Fatal(err)
	}
	if err := CheckKeys(sealed, newSealer(t, otherKey)); !errors.Is(err, seal.ErrUnknownKey) {
		t.Fatal(err)
	}
}
