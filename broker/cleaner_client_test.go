package broker

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// TestCompactionUnderClients: an ordinary client writes in transactions, some of
// them aborted, and reads a compacted topic to its end from any offset; its
// producer goes on over rounds in which its records go.
func TestCompactionUnderClients(t *testing.T) {
	b, addr := serveTest(t, cleanerLimits())
	ctx := testCtx(t)
	spec := TopicSpec{Name: "c", Configs: map[string]string{"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0", "segment.bytes": "1024", "delete.retention.ms": "0"}}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
		t.Fatal(err)
	}
	txn := txnClient(t, addr, "t", kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	plain := client(t, addr, kgo.DefaultProduceTopic("c"))
	want := map[string]string{}
	for round := range 6 {
		for i := range 20 {
			if err := txn.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			commit := i%3 != 0
			for k := range 3 {
				key, value := fmt.Sprintf("k%d", (i+k)%9), fmt.Sprintf("r%d-%d-%v", round, i, commit)
				if err := txn.ProduceSync(ctx, &kgo.Record{Topic: "c", Key: []byte(key), Value: []byte(value)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
				if commit {
					want[key] = value
				}
			}
			if err := txn.EndTransaction(ctx, kgo.TransactionEndTry(commit)); err != nil {
				t.Fatal(err)
			}
		}
		tomb := fmt.Sprintf("k%d", round)
		if err := plain.ProduceSync(ctx, &kgo.Record{Key: []byte(tomb)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		delete(want, tomb)
		for range 2 { // tombstones and markers go in the second pass
			b.cleaner.pass(b.now())
			if err := plain.ProduceSync(ctx, &kgo.Record{Key: []byte("last"), Value: []byte("x")}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		want["last"] = "x"
	}
	b.cleaner.pass(b.now() + 1000)
	if s := b.CleanerStats(); s.Failed > 0 || s.Removed < 200 {
		t.Fatalf("compaction: %+v", s)
	}
	p := b.topics.partition(tpC)
	end := int64(p.Bounds().HighWatermark)
	for from := int64(0); from < end; from += 1 + end/10 {
		got := consumeTo(t, addr, from, end)
		if from == 0 {
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Fatalf("read %v\nwant %v", got, want)
			}
		}
	}
	// Nearly everything of 120 transactions is gone, their markers too.
	run, err := p.ReadMany(0, p.Bounds().HighWatermark, log.Want{Bytes: 1 << 20, AtLeastOne: true})
	if err != nil {
		t.Fatal(err)
	}
	if info, err := log.Inspect(slices.Concat(run.Batches...)); err != nil || info.Batches > 60 {
		t.Fatalf("%d batches stayed, %v", info.Batches, err)
	}
}

// consumeTo reads committed records from an offset up to the end, and returns
// the newest value of every key that has one.
func consumeTo(t *testing.T, addr string, from, end int64) map[string]string {
	t.Helper()
	cl := client(t, addr, kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.FetchMaxBytes(600),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"c": {0: kgo.NewOffset().At(from)}}))
	got := map[string]string{}
	for next := from; next < end; {
		fs := cl.PollFetches(testCtx(t))
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) {
			next = r.Offset + 1
			switch {
			case r.Attrs.IsControl():
			case r.Value == nil:
				delete(got, string(r.Key))
			default:
				got[string(r.Key)] = string(r.Value)
			}
		})
	}
	return got
}

// TestNullKeyRefused: the error names the record.
func TestNullKeyRefused(t *testing.T) {
	b, addr := serveTest(t, Limits{})
	spec := TopicSpec{Name: "c", Configs: map[string]string{"cleanup.policy": "compact"}}
	if err := b.Apply(Metadata{CreateTopics: []TopicSpec{spec}}); err != nil {
		t.Fatal(err)
	}
	cl := client(t, addr, kgo.DefaultProduceTopic("c"))
	if err := cl.ProduceSync(testCtx(t), &kgo.Record{Value: []byte("v")}).FirstErr(); !errors.Is(err, kerr.InvalidRecord) {
		t.Fatalf("a record without key: %v", err)
	}
	set, err := parseSettings(spec.Configs)
	if err != nil {
		t.Fatal(err)
	}
	var w kafka.BatchBuilder
	w.Append(1, []byte("k"), nil, nil)
	w.Append(1, nil, nil, nil)
	w.Finish()
	if _, record, err := checkBatch(w.Bytes(), set, upTo(1<<20), 1); record != 1 || !errors.Is(err, kerr.InvalidRecord) {
		t.Fatalf("record %d, %v", record, err)
	}
}
