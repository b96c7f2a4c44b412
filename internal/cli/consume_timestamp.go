package cli

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millrace/millrace/internal/clock"
	"github.com/millrace/millrace/internal/kafka"
)

// maxDateMs is the largest timestamp, in ms, whose nanoseconds fit 64 bits: the year
// 2262. The client counts in nanoseconds and wraps what is larger around.
const maxDateMs = math.MaxInt64 / int64(time.Millisecond)

// timestamps returns the timestamps of records as they are stored, in ms.
type timestamps struct {
	rd *reading

	// read are those of the batches that were fetched again, in one partition.
	partition int32
	read      map[int64]int64 // by offset
}

// of returns a record's timestamp. One that the client has wrapped around is no
// whole number of ms, is negative, or, as 1<<62 does, comes out as 0; the batch that
// holds it is then fetched again and read here.
func (s *timestamps) of(ctx context.Context, rec *kgo.Record) (int64, error) {
	ns := rec.Timestamp.UnixNano()
	ms := ns / int64(time.Millisecond)
	if ns > 0 && ns%int64(time.Millisecond) == 0 {
		return ms, nil
	}
	if stored, ok := s.read[rec.Offset]; ok && s.partition == rec.Partition {
		return stored, nil
	}
	// What came is printed, also behind an interrupt.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lookTimeout)
	defer cancel()
	if err := s.fetch(ctx, rec.Partition, rec.Offset); err != nil {
		return 0, refusal(fmt.Sprintf("read the timestamp of %s-%d at offset %d", rec.Topic, rec.Partition, rec.Offset), err, "")
	}
	if stored, ok := s.read[rec.Offset]; ok {
		return stored, nil
	}
	return ms, nil // a message of before record batches
}

// fetch reads the timestamps of the batches from an offset on.
func (s *timestamps) fetch(ctx context.Context, partition int32, offset int64) error {
	s.partition, s.read = partition, map[int64]int64{}
	topics, err := s.rd.admin.ListTopics(ctx, s.rd.topic)
	if err != nil {
		return err
	}
	t := topics[s.rd.topic]
	d, ok := t.Partitions[partition]
	if !ok {
		return kerr.UnknownTopicOrPartition
	}
	raw, err := s.rd.fetch(ctx, t, d, offset)
	for err == nil && len(raw.RecordBatches) == 0 && raw.ErrorCode == 0 { // asked to wait
		timer := clock.System.NewTimer(lookInterval)
		select {
		case <-timer.C:
			raw, err = s.rd.fetch(ctx, t, d, offset)
		case <-ctx.Done():
			timer.Stop()
			err = ctx.Err()
		}
	}
	if err == nil {
		err = kerr.ErrorForCode(raw.ErrorCode)
	}
	if err != nil {
		return err
	}
	decompressor := kgo.DefaultDecompressor()
	for rest := raw.RecordBatches; len(rest) > 0; {
		var batch kafka.Batch
		if batch, rest, err = kafka.NextBatch(rest); err != nil {
			return nil // cut short, or of before record batches
		}
		payload, err := decompressor.Decompress(batch.Payload(), kgo.CompressionCodecType(batch.Codec()))
		if err != nil {
			return err
		}
		records := batch.Records(payload)
		for records.Next() {
			s.read[int64(records.Record().Offset)] = int64(records.Record().Timestamp)
		}
		if err := records.Err(); err != nil {
			return fmt.Errorf("its batch cannot be read: %w", err)
		}
	}
	return nil
}
