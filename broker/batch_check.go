package broker

import (
	"errors"
	"fmt"
	"sync"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// checkedBatch is a client's batch that passed every check.
type checkedBatch struct {
	batch kafka.Batch
	info  log.Info
	// appendTime is set when the topic has LogAppendTime.
	appendTime kafka.Timestamp
}

// expansion bounds what a batch may decompress to.
type expansion struct {
	max int
	// large is held while a batch is checked that expands more than nearly all do,
	// so that there is one of them at a time: decompression bombs add up otherwise.
	large *sync.Mutex
}

const (
	// usualExpansion and usualExpansionBytes: a batch that decompresses to at most
	// 64 times its size + 1 MiB is nothing special.
	usualExpansion      = 64
	usualExpansionBytes = 1 << 20
	// messageExpansion: a batch decompresses to at most 16 times
	// max.message.bytes, and never to more than Limits.DecompressedMaxBytes.
	messageExpansion = 16
)

// recordHeadersMax bounds the headers of one record.
const recordHeadersMax = 100_000

// checkBatch validates the records of a Produce request for one partition, in
// Kafka's order, so that no producer can poison a partition for its readers. It
// may rewrite the largest timestamp, which clients get wrong, in place, and
// compresses anew for a topic with a compression.type. Errors are Kafka's; record is the index of the record that is to blame, or -1.
func checkBatch(records []byte, set settings, expand expansion, now kafka.Timestamp) (c checkedBatch, record int, err error) {
	if len(records) > set.maxMessageBytes {
		return c, -1, fmt.Errorf("%w: batch of %d bytes, max.message.bytes is %d", kerr.MessageTooLarge, len(records), set.maxMessageBytes)
	}
	if len(records) >= 17 && records[16] < 2 {
		return c, -1, fmt.Errorf("%w: magic %d", kerr.UnsupportedForMessageFormat, records[16])
	}
	b, rest, err := kafka.NextBatch(records)
	if err != nil || rest != nil {
		return c, -1, fmt.Errorf("%w: exactly one record batch of magic 2 is expected: %w", kerr.InvalidRecord, err)
	}
	if !b.CRCValid() {
		return c, -1, kerr.CorruptMessage
	}
	if err := checkBatchHeader(b); err != nil {
		return c, -1, err
	}
	most := min(expand.max, messageExpansion*set.maxMessageBytes)
	usual := usualExpansion*len(b) + usualExpansionBytes
	payload, err := log.Payload(b, min(usual, most))
	if errors.Is(err, log.ErrTooLarge) && usual < most {
		expand.large.Lock()
		defer expand.large.Unlock()
		payload, err = log.Payload(b, most)
	}
	if errors.Is(err, log.ErrTooLarge) {
		err = fmt.Errorf("%w: the limit is %d bytes, 16 times max.message.bytes and at most %d", err, most, expand.max)
	}
	if err != nil && !errors.Is(err, log.ErrTooLarge) {
		// The checksum is right, so a retry would not help: not CORRUPT_MESSAGE.
		err = fmt.Errorf("%w: %w", kerr.InvalidRecord, err)
	}
	if err != nil {
		return c, -1, err
	}
	largest, record, err := checkRecords(b, payload, set, now)
	if err != nil {
		return c, record, err
	}
	codec := set.codec
	if codec < 0 {
		codec = b.Codec()
	}
	// A frame that other consumers cannot read is written anew: refusing it, as
	// Kafka does, would lock out who writes nothing else.
	if codec != b.Codec() || log.LinkedLZ4(b) {
		if b, err = log.WithCodec(nil, b, codec, payload); err != nil {
			return c, -1, err
		}
	}
	c = checkedBatch{batch: b, appendTime: kafka.NoTimestamp}
	switch {
	case set.logAppendTime:
		c.appendTime = now
		b.SetAttributes(b.Attributes() | kafka.AttrLogAppendTime)
		b.SetMaxTimestamp(now)
		b.Seal()
	case b.MaxTimestamp() != largest:
		b.SetMaxTimestamp(largest)
		b.Seal()
	}
	c.info, err = log.Inspect(b)
	return c, -1, err
}

// checkBatchHeader checks what the header alone says.
func checkBatchHeader(b kafka.Batch) error {
	invalid := func(format string, args ...any) error {
		return fmt.Errorf("%w: %s", kerr.InvalidRecord, fmt.Sprintf(format, args...))
	}
	switch {
	case b.BaseOffset() != 0: // which the CRC does not cover
		return invalid("base offset %d", b.BaseOffset())
	case b.Count() < 1 || b.LastOffsetDelta() != b.Count()-1:
		return invalid("%d records with a last offset delta of %d", b.Count(), b.LastOffsetDelta())
	case b.Control():
		return invalid("clients may not write control batches")
	case b.Attributes()&kafka.AttrDeleteHorizon != 0:
		return invalid("clients may not set a delete horizon")
	case b.Codec() > log.CodecZstd:
		return kerr.UnsupportedCompressionType
	case b.ProducerID() != kafka.NoProducerID && (b.ProducerID() < 0 || b.BaseSequence() < 0 || b.ProducerEpoch() < 0):
		return invalid("producer id %d with sequence %d and epoch %d", b.ProducerID(), b.BaseSequence(), b.ProducerEpoch())
	case b.Transactional() && b.ProducerID() == kafka.NoProducerID:
		return invalid("a transactional batch without a producer id")
	case b.Attributes()&kafka.AttrLogAppendTime != 0:
		return fmt.Errorf("%w: clients may not set the log append time", kerr.InvalidTimestamp)
	}
	return nil
}

// checkRecords walks the uncompressed records without copying them and returns
// the largest timestamp.
func checkRecords(b kafka.Batch, payload []byte, set settings, now kafka.Timestamp) (largest kafka.Timestamp, record int, err error) {
	largest = kafka.NoTimestamp
	oldest, newest := int64(now)-set.beforeMaxMs, int64(now)+set.afterMaxMs
	if newest < int64(now) {
		newest = 1<<63 - 1
	}
	i := 0
	r := b.Records(payload)
	for ; r.Next(); i++ {
		rec := r.Record()
		if rec.Offset != b.BaseOffset()+kafka.Offset(i) {
			return 0, i, fmt.Errorf("%w: record %d has offset delta %d", kerr.InvalidRecord, i, rec.Offset-b.BaseOffset())
		}
		if rec.Key == nil && set.compact {
			return 0, i, fmt.Errorf("%w: a compacted topic needs keys", kerr.InvalidRecord)
		}
		if ts := int64(rec.Timestamp); !set.logAppendTime && (ts < oldest || ts > newest) && rec.Timestamp != kafka.NoTimestamp {
			return 0, i, fmt.Errorf("%w: record %d has timestamp %d", kerr.InvalidTimestamp, i, ts)
		}
		if err := checkHeaders(rec.RawHeaders); err != nil {
			return 0, i, fmt.Errorf("%w: record %d: %w", kerr.InvalidRecord, i, err)
		}
		largest = max(largest, rec.Timestamp)
	}
	if r.Err() != nil || i != int(b.Count()) {
		return 0, i, fmt.Errorf("%w: record %d of %d: %v", kerr.InvalidRecord, i, b.Count(), r.Err())
	}
	return largest, -1, nil
}

// checkHeaders walks a record's headers without allocating.
func checkHeaders(raw []byte) error {
	if len(raw) == 1 && raw[0] == 0 {
		return nil // none
	}
	count, n := kafka.Varint(raw)
	if n <= 0 || count < 0 || count > recordHeadersMax {
		return fmt.Errorf("header count %d", count)
	}
	raw = raw[n:]
	for range count {
		for field := range 2 { // key, value
			size, n := kafka.Varint(raw)
			if n <= 0 || size < -1 || size == -1 && field == 0 || size > int64(len(raw)-n) {
				return fmt.Errorf("header of %d bytes", size)
			}
			raw = raw[n+int(max(size, 0)):]
		}
	}
	if len(raw) != 0 {
		return fmt.Errorf("%d bytes behind the headers", len(raw))
	}
	return nil
}
