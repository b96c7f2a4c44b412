package broker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
	"github.com/millrace/millrace/internal/vfs"
)

// BenchmarkEncryption commits batches of 1 KiB records to a disk, and reads them
// from memory and from log files: plain and encrypted.
func BenchmarkEncryption(b *testing.B) {
	for _, encrypted := range []bool{false, true} {
		for _, records := range []int{1, 16, 1000} {
			name := fmt.Sprintf("encrypted=%v/%dKiB", encrypted, records)
			cfg := Config{Dir: "data", FS: vfs.NewMem(), Limits: Limits{TailMaxBytes: 1 << 30}}
			if encrypted {
				cfg.Keys = parseKeys(keyOne)
			}
			b.Run("commit/"+name, func(b *testing.B) { benchCommit(b, cfg, records) })
			b.Run("tail/"+name, func(b *testing.B) { benchRead(b, cfg, records) })
			cfg.FS, cfg.Limits.TailMaxBytes = vfs.NewMem(), 1
			b.Run("file/"+name, func(b *testing.B) { benchRead(b, cfg, records) })
		}
	}
}

// noisyBatch has values that do not repeat.
func noisyBatch(records int) []byte {
	rng := rand.New(rand.NewPCG(1, 1))
	var w kafka.BatchBuilder
	value := make([]byte, 1<<10)
	for range records {
		for i := range value {
			value[i] = byte(rng.Uint32())
		}
		w.Append(1, nil, value, nil)
	}
	w.Finish()
	return w.Bytes()
}

// benchCommit commits one batch at a time.
func benchCommit(b *testing.B, cfg Config, records int) {
	cfg.Dir, cfg.FS = b.TempDir(), vfs.Default
	br, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close(context.Background())
	createTopics(b, br, TopicSpec{Name: "a"})
	batch := noisyBatch(records)
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		r := commitWait(br, Commit{Appends: []Append{{tpA, batch, records}}})
		if r.Outcome != Committed {
			b.Fatal(r.Err)
		}
		if r.BaseOffsets[0]%10_000 == 0 { // or memory fills with what is measured
			if err := br.DeleteRecords(tpA, r.BaseOffsets[0]); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// benchRead reads a megabyte as Fetch does.
func benchRead(b *testing.B, cfg Config, records int) {
	br, err := Open(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer br.Close(context.Background())
	createTopics(b, br, TopicSpec{Name: "a"})
	batch := noisyBatch(records)
	n := max(1, (1<<20)/len(batch))
	for range n {
		if r := commitWait(br, Commit{Appends: []Append{{tpA, batch, records}}}); r.Outcome != Committed {
			b.Fatal(r.Err)
		}
	}
	p := br.topics.partition(tpA)
	end := kafka.Offset(n * records)
	b.SetBytes(int64(n * len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		for at := kafka.Offset(0); at < end; {
			run, err := p.ReadMany(at, end, log.Want{Bytes: 1 << 20, AtLeastOne: true})
			if err != nil {
				b.Fatal(err)
			}
			at = run.Next
		}
	}
}
