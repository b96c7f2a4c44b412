package broker

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/internal/kafka"
)

// Reader follows one topic-partition in order and sees committed data only. It
// belongs to one goroutine at a time.
type Reader struct {
	b      *Broker
	p      *partition
	next   kafka.Offset
	cancel func()
}

// OpenReader reads a topic-partition from offset from on. wake, when set, is
// called without blocking, from any goroutine, whenever Poll may return more
// than it did last.
func (b *Broker) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (*Reader, error) {
	p := b.topics.partition(tp)
	if p == nil {
		return nil, fmt.Errorf("read %s: %w", tp, ErrUnknownTopic)
	}
	bounds := p.Bounds()
	if from < bounds.LogStart || from > bounds.HighWatermark {
		return nil, fmt.Errorf("read %s from %d: %w: [%d, %d]", tp, from, ErrOffsetOutOfRange, bounds.LogStart, bounds.HighWatermark)
	}
	r := &Reader{b: b, p: p, next: from}
	if wake != nil {
		r.cancel = p.Watch(wake)
	}
	return r, nil
}

// Close releases the reader. Chunks stay valid.
func (r *Reader) Close() {
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
}

// Poll returns whole record batches, at least one when there is any, about
// maxBytes at most, and never waits. An empty chunk with AtEnd proves that the
// partition was at its end when Poll was called. Errors: ErrOffsetOutOfRange
// when retention was faster, ErrUnknownTopic when the topic was deleted,
// log.ErrCorrupt when stored bytes are damaged.
func (r *Reader) Poll(maxBytes int) (Chunk, error) {
	for {
		stable := r.p.Bounds().LastStable
		run, err := r.p.Read(r.next, stable, maxBytes)
		if err != nil {
			return Chunk{}, r.fail(err)
		}
		batches := run.Batches
		if !run.Plain {
			if batches, err = r.committed(batches, run.Next); err != nil {
				return Chunk{}, r.fail(err)
			}
		}
		r.next = run.Next
		if len(batches) > 0 || r.next >= stable {
			return Chunk{Batches: batches, Next: r.next, AtEnd: r.next >= stable}, nil
		}
	}
}

func (r *Reader) fail(err error) error {
	switch {
	case r.b.closed.Load():
		return ErrClosed
	case errors.Is(err, log.ErrDeleted):
		return fmt.Errorf("read %s: %w", r.p.tp, ErrUnknownTopic)
	case errors.Is(err, log.ErrOffsetOutOfRange):
		return fmt.Errorf("read %s: %w: %w", r.p.tp, ErrOffsetOutOfRange, err)
	}
	return fmt.Errorf("read %s: %w", r.p.tp, err)
}

// committed copies batches without markers and aborted data, uncompressed.
func (r *Reader) committed(batches []byte, next kafka.Offset) ([]byte, error) {
	aborted := r.p.Aborted(r.next, next)
	out := make([]byte, 0, len(batches))
	for len(batches) > 0 {
		b, rest, err := kafka.NextBatch(batches)
		if err != nil {
			return nil, err
		}
		batches = rest
		if b.Control() || b.Transactional() && isAborted(b, aborted) {
			continue
		}
		if out, err = log.Uncompressed(out, b, r.b.cfg.Limits.DecompressedMaxBytes); err != nil {
			return nil, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
		}
	}
	return out, nil
}

func isAborted(b kafka.Batch, aborted []log.AbortedTxn) bool {
	for _, a := range aborted {
		if a.ProducerID == b.ProducerID() && a.First <= b.BaseOffset() && b.BaseOffset() <= a.Last {
			return true
		}
	}
	return false
}

// Bounds returns the first readable offset and the last stable offset.
func (b *Broker) Bounds(tp kafka.TopicPartition) (first, stable kafka.Offset, err error) {
	p := b.topics.partition(tp)
	if p == nil {
		return 0, 0, fmt.Errorf("bounds of %s: %w", tp, ErrUnknownTopic)
	}
	bounds := p.Bounds()
	return bounds.LogStart, bounds.LastStable, nil
}

// OffsetForTime returns the first committed offset whose record has a timestamp
// of ts or later, with that timestamp; -1, -1 when there is none.
func (b *Broker) OffsetForTime(tp kafka.TopicPartition, ts kafka.Timestamp) (kafka.Offset, kafka.Timestamp, error) {
	p := b.topics.partition(tp)
	if p == nil {
		return -1, kafka.NoTimestamp, fmt.Errorf("offset for time of %s: %w", tp, ErrUnknownTopic)
	}
	return p.OffsetForTime(ts, p.Bounds().LastStable)
}
