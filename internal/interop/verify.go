package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

// rawBatches reads the headers of every record batch of a partition, as stored.
func (c *call) rawBatches(ctx context.Context, name string, partition int32) ([]kmsg.RecordBatch, error) {
	details, err := c.admin.ListTopics(ctx, name)
	if err != nil {
		return nil, err
	}
	ends, err := c.admin.ListEndOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	end, _ := ends.Lookup(name, partition)
	var batches []kmsg.RecordBatch
	for next := int64(0); next < end.Offset; {
		raw, err := c.fetch(ctx, name, details[name].ID, partition, next)
		if err != nil {
			return nil, err
		}
		for len(raw) > 0 {
			b, size, err := readBatch(raw)
			if err != nil {
				return nil, fmt.Errorf("%s-%d at %d: %w", name, partition, next, err)
			}
			batches, raw, next = append(batches, b), raw[size:], b.FirstOffset+int64(b.LastOffsetDelta)+1
		}
	}
	return batches, nil
}

// fetch answers the bytes from an offset on.
func (c *call) fetch(ctx context.Context, name string, id [16]byte, partition int32, offset int64) ([]byte, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxBytes, req.MinBytes, req.MaxWaitMillis, req.SessionEpoch = 64<<20, 1, 5000, -1
	t := kmsg.NewFetchRequestTopic()
	t.Topic, t.TopicID = name, id
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = partition, offset, 64<<20
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	shards := c.kafka.RequestSharded(ctx, req)
	if len(shards) != 1 || shards[0].Err != nil {
		return nil, fmt.Errorf("fetch %s-%d: %v", name, partition, shards)
	}
	resp := shards[0].Resp.(*kmsg.FetchResponse)
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return nil, fmt.Errorf("fetch %s-%d: error %v, no partition in the reply", name, partition, kerr.ErrorForCode(resp.ErrorCode))
	}
	got := resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(got.ErrorCode); err != nil {
		return nil, fmt.Errorf("fetch %s-%d: %w", name, partition, err)
	}
	if len(got.RecordBatches) == 0 {
		return nil, fmt.Errorf("fetch %s-%d at %d: nothing below the high watermark %d", name, partition, offset, got.HighWatermark)
	}
	return got.RecordBatches, nil
}

// readBatch decodes the batch at the head of raw and returns its size.
func readBatch(raw []byte) (kmsg.RecordBatch, int, error) {
	const prefix = 12 // base offset and length
	var b kmsg.RecordBatch
	if len(raw) < prefix {
		return b, 0, errors.New("cut short")
	}
	size := prefix + int(int32(binary.BigEndian.Uint32(raw[8:])))
	if size < prefix || size > len(raw) {
		return b, 0, fmt.Errorf("a batch of %d bytes in %d", size, len(raw))
	}
	return b, size, b.ReadFrom(raw[:size])
}

// consume reads every record of a topic, the uncommitted too.
func (c *call) consume(ctx context.Context, name string, options ...kgo.Opt) ([]*kgo.Record, error) {
	ends, err := c.admin.ListEndOffsets(ctx, name)
	if err != nil {
		return nil, err
	}
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.target.addr["PLAINTEXT"]), kgo.ConsumeTopics(name), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())}, options...)...)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	remaining := 0
	ends.Each(func(o kadm.ListedOffset) {
		if o.Offset > 0 {
			remaining++
		}
	})
	var records []*kgo.Record
	for remaining > 0 {
		fetches := client.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			return nil, err
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				records = append(records, r)
			}
			if end, _ := ends.Lookup(name, r.Partition); r.Offset == end.Offset-1 {
				remaining--
			}
		})
	}
	return records, nil
}

var codecNames = []string{"none", "gzip", "snappy", "lz4", "zstd"}

// verifyCodecs checks that the records of each codec are in batches of it.
func verifyCodecs(ctx context.Context, c *call) error {
	var wrong []string
	for _, codec := range c.client.codecs {
		for partition, acks := range acksByPartition {
			batches, err := c.rawBatches(ctx, c.name(codec), int32(partition))
			if err != nil {
				return err
			}
			records := 0
			for _, b := range batches {
				records += int(b.NumRecords)
				if got := b.Attributes & 7; codecNames[got] != codec {
					wrong = append(wrong, fmt.Sprintf("%s acks=%s went as %s", codec, acks, codecNames[got]))
					break
				}
			}
			if records != codecRecords {
				wrong = append(wrong, fmt.Sprintf("%s acks=%s: %d records of %d", codec, acks, records, codecRecords))
			}
		}
	}
	return join(wrong)
}

// verifyPartitions checks the partition of each key of the table.
func verifyPartitions(ctx context.Context, c *call) error {
	text, err := os.ReadFile(c.file("keys.txt"))
	if err != nil {
		return err
	}
	records, err := c.consume(ctx, c.topic)
	if err != nil {
		return err
	}
	var wrong []string
	keys := strings.Split(strings.TrimSpace(string(text)), "\n")
	for _, k := range keys {
		i := slices.IndexFunc(records, func(r *kgo.Record) bool { return string(r.Key) == k })
		if i < 0 {
			wrong = append(wrong, fmt.Sprintf("key %q is not there", k))
			continue
		}
		if want := kafka.Partition([]byte(k), partitionerParts); records[i].Partition != want {
			wrong = append(wrong, fmt.Sprintf("key %q in partition %d, Java's client would use %d", k, records[i].Partition, want))
		}
	}
	if len(records) != len(keys) {
		wrong = append(wrong, fmt.Sprintf("%d records of %d", len(records), len(keys)))
	}
	return join(wrong)
}

// verifyValues checks keys, values and headers byte by byte. What a client
// cannot write it leaves out, saying so by a line "without NAME".
func verifyValues(ctx context.Context, c *call) error {
	records, err := c.consume(ctx, c.topic)
	if err != nil {
		return err
	}
	without := c.stdout.String()
	var want []string
	for _, v := range []struct{ name, text string }{
		{"null-key", `nil "null key" []`},
		{"empty-key", `"" "empty key" []`},
		{"tombstone", `"tombstone" nil []`},
		{"empty-value", `"empty value" "" []`},
		{"headers", `"headers" "h" [a="1" a="2" empty="" null=nil bin="\x00\xff"]`},
		{"unicode", `"ü€😀" "ü€😀" []`},
	} {
		if !strings.Contains(without, "without "+v.name+"\n") {
			if v.name == "headers" {
				for name, text := range map[string]string{"null-header": " null=nil", "binary-header": ` bin="\x00\xff"`} {
					if strings.Contains(without, "without "+name+"\n") {
						v.text = strings.Replace(v.text, text, "", 1)
					}
				}
			}
			want = append(want, v.text)
		}
	}
	var wrong []string
	for i := range max(len(want), len(records)) {
		var w, g string
		if i < len(want) {
			w = want[i]
		}
		if i < len(records) {
			g = describe(records[i])
		}
		if w != g {
			wrong = append(wrong, fmt.Sprintf("record %d is %s, expected %s", i, g, w))
		}
	}
	return join(wrong)
}

func describe(r *kgo.Record) string {
	quote := func(b []byte) string {
		if b == nil {
			return "nil"
		}
		return fmt.Sprintf("%q", b)
	}
	headers := make([]string, len(r.Headers))
	for i, h := range r.Headers {
		headers[i] = h.Key + "=" + quote(h.Value)
	}
	return fmt.Sprintf("%s %s %v", quote(r.Key), quote(r.Value), headers)
}

// verifyLarge checks that the record is there in its full length.
func verifyLarge(ctx context.Context, c *call) error {
	records, err := c.consume(ctx, c.topic, kgo.FetchMaxPartitionBytes(64<<20))
	if err != nil {
		return err
	}
	if len(records) != 1 || len(records[0].Value) != largeBytes {
		return fmt.Errorf("%d records, not one of %d bytes", len(records), largeBytes)
	}
	return nil
}

// verifyIdempotent checks that batches have a producer ID and sequences without
// a gap.
func verifyIdempotent(ctx context.Context, c *call) error {
	batches, err := c.rawBatches(ctx, c.topic, 0)
	if err != nil {
		return err
	}
	next := int32(0)
	for _, b := range batches {
		if b.ProducerID < 0 || b.FirstSequence != next {
			return fmt.Errorf("batch at %d: producer %d, sequence %d, expected %d", b.FirstOffset, b.ProducerID, b.FirstSequence, next)
		}
		next += b.NumRecords
	}
	if next != idempotentRecords {
		return fmt.Errorf("%d records of %d", next, idempotentRecords)
	}
	return nil
}

// verifyTransactions checks what a reader of committed records sees: the records
// of the first and third transaction, not those of the second.
func verifyTransactions(ctx context.Context, c *call) error {
	records, err := c.consume(ctx, c.topic, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	if err != nil {
		return err
	}
	var values []string
	for _, r := range records {
		values = append(values, string(r.Value))
	}
	if got, want := strings.Join(values, ","), "c0,c1,c2,c3,c4,d0,d1,d2,d3,d4"; got != want {
		return fmt.Errorf("committed are %s, expected %s", got, want)
	}
	return nil
}

// verifyCommitted checks that the group, whose name is the topic's, has committed
// to the end of every partition.
func verifyCommitted(ctx context.Context, c *call) error {
	ends, err := c.admin.ListEndOffsets(ctx, c.topic)
	if err != nil {
		return err
	}
	committed, err := c.admin.FetchOffsets(ctx, c.topic)
	if err != nil {
		return err
	}
	var wrong []string
	total := int64(0)
	for p := range int32(groupPartitions) {
		end, _ := ends.Lookup(c.topic, p)
		at, ok := committed.Lookup(c.topic, p)
		if total += end.Offset; !ok || at.At != end.Offset {
			wrong = append(wrong, fmt.Sprintf("partition %d committed at %d, ends at %d", p, at.At, end.Offset))
		}
	}
	if total == 0 {
		wrong = append(wrong, "nothing was produced")
	}
	return join(wrong)
}

// compactedConfigs compacts at once whatever is not in the last segment.
var compactedConfigs = map[string]string{
	"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.bytes": "1048576",
	"segment.ms": "1000", "min.compaction.lag.ms": "0", "delete.retention.ms": "86400000",
}

// compactionPoll is how often the runner looks whether the topic was compacted.
const compactionPoll = 500 * time.Millisecond

// prepareCompacted writes every key many times, waits until compaction has made
// holes, and tells the client how many records are left.
func prepareCompacted(ctx context.Context, c *call) error {
	const rounds = 40
	written := 0
	put := func(n int, base time.Time) error {
		var records []*kgo.Record
		for i := range n {
			records = append(records, &kgo.Record{Topic: c.topic, Key: fmt.Appendf(nil, "key-%d", i%compactedKeys), Timestamp: base,
				Value: fmt.Appendf(nil, "value-%d-%s", written, strings.Repeat("y", 1000))})
			written++
		}
		return c.kafka.ProduceSync(ctx, records...).FirstErr()
	}
	now := clock.System.Now()
	for round := range rounds {
		if err := put(5*compactedKeys, now.Add(time.Duration(round-rounds)*time.Minute)); err != nil {
			return err
		}
	}
	for {
		batches, err := c.rawBatches(ctx, c.topic, 0)
		if err != nil {
			return err
		}
		left, end := 0, int64(0)
		for _, b := range batches {
			left += int(b.NumRecords)
			end = b.FirstOffset + int64(b.LastOffsetDelta) + 1
		}
		if left < written/2 {
			c.until(end, left)
			return nil
		}
		timer := clock.System.NewTimer(compactionPoll)
		select {
		case <-ctx.Done():
			return fmt.Errorf("compaction has left %d of %d records: %w", left, written, ctx.Err())
		case <-timer.C:
		}
	}
}

func join(wrong []string) error {
	if len(wrong) == 0 {
		return nil
	}
	return errors.New(strings.Join(wrong, "; "))
}
