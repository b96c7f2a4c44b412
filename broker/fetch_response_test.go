package broker

import (
	"bytes"
	"math/rand/v2"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestFetchResponseBytes compares our encoding of random Fetch responses with
// kmsg's, in every version.
func TestFetchResponseBytes(t *testing.T) {
	a := apis[1]
	for seed := range uint64(400) {
		rng := rand.New(rand.NewPCG(seed, 1))
		for version := a.min; version <= a.max; version++ {
			f := &fetchResponse{FetchResponse: *kmsg.NewPtrFetchResponse()}
			f.SetVersion(version)
			f.ThrottleMillis, f.SessionID = rng.Int32(), rng.Int32()
			f.ErrorCode = int16(rng.IntN(100))
			want := f.FetchResponse
			for range rng.IntN(4) {
				topic, partitions, encoded := randomTopic(rng)
				f.Topics, f.records = append(f.Topics, topic), append(f.records, partitions)
				want.Topics = append(want.Topics, encoded)
			}
			got := f.AppendTo([]byte("before"))
			if expected := want.AppendTo([]byte("before")); !bytes.Equal(got, expected) {
				t.Fatalf("seed %d, version %d:\n% x\nwant\n% x", seed, version, got, expected)
			}
		}
	}
}

// randomTopic returns a topic without its records, those, and the same with its
// records in kmsg's form.
func randomTopic(rng *rand.Rand) (topic kmsg.FetchResponseTopic, partitions []records, encoded kmsg.FetchResponseTopic) {
	topic = kmsg.NewFetchResponseTopic()
	topic.Topic = string(bytes.Repeat([]byte{'t'}, rng.IntN(200)))
	topic.TopicID[3] = byte(rng.Uint32())
	encoded = topic
	for range rng.IntN(4) {
		p := kmsg.NewFetchResponseTopicPartition()
		p.Partition, p.ErrorCode = rng.Int32(), int16(rng.IntN(100))
		p.HighWatermark, p.LastStableOffset, p.LogStartOffset = rng.Int64(), rng.Int64(), rng.Int64()
		p.PreferredReadReplica = rng.Int32()
		if rng.IntN(2) == 0 {
			p.AbortedTransactions = []kmsg.FetchResponseTopicPartitionAbortedTransaction{}
			for range rng.IntN(3) {
				aborted := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
				aborted.ProducerID, aborted.FirstOffset = rng.Int64(), rng.Int64()
				p.AbortedTransactions = append(p.AbortedTransactions, aborted)
			}
		}
		if rng.IntN(3) == 0 {
			p.DivergingEpoch.Epoch, p.DivergingEpoch.EndOffset = rng.Int32(), rng.Int64()
		}
		var r records
		whole := []byte{}
		for range rng.IntN(3) {
			run := bytes.Repeat([]byte{byte(rng.Uint32())}, rng.IntN(300))
			r.runs, r.bytes = append(r.runs, run), r.bytes+len(run)
			whole = append(whole, run...)
		}
		partitions = append(partitions, r)
		topic.Partitions = append(topic.Partitions, p)
		p.RecordBatches = whole
		encoded.Partitions = append(encoded.Partitions, p)
	}
	return topic, partitions, encoded
}
