package executor

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/format/registry"
	"github.com/millrace/millrace/executor/op"
	"github.com/millrace/millrace/internal/kafka"
)

// input is one topic-partition that a task reads: fetched bytes, the rows
// decoded from them, and how far they were processed.
type input struct {
	tp       kafka.TopicPartition
	node     string // of the plan
	group    string // whose committed offsets are this input's
	port     op.Port
	decoder  *op.Decoder            // of a topic, or
	internal *op.RepartitionDecoder // of a repartition topic
	// table restores from this topic's own records; nil otherwise.
	table *op.TableSource

	reader Reader
	chunk  Chunk
	rest   []byte // whole record batches not yet begun
	walk   kafka.Records
	open   bool // walk stands inside a batch
	// fetchedNext is the offset behind the chunk.
	fetchedNext kafka.Offset

	rows   *batch.Batch
	cursor int      // first row not processed
	bad    []op.Bad // records without a row, in order
	// decodedNext is the offset behind the last record decoded.
	decodedNext kafka.Offset
	// next is the offset to go on from once the processed rows are committed;
	// committed is what the log knows.
	next, committed kafka.Offset
	// stop is the offset at which a bounded read ends, -1 for none.
	stop kafka.Offset
	// atEnd says that a fetch issued after the last choice showed the end. Without
	// it two inputs whose fetches take time would ask in turns for ever, each
	// forgetting its answer while the other's is outstanding. woken takes it back:
	// the reader has news since it was asked last.
	atEnd bool
	woken atomic.Bool
}

// readiness says whether an input takes part in the choice.
type readiness uint8

const (
	ready   readiness = iota // has a row
	ended                    // was at its end when asked
	unknown                  // neither is known: the choice waits
)

// ask makes sure that a row is decoded when there is one. onBad takes records
// without a row that stand before the next row.
func (in *input) ask(c *expr.Context, w *worker, limits *limits, onBad func(op.Entry)) (readiness, error) {
	if in.atEnd && !in.woken.Load() {
		return ended, nil
	}
	for {
		if in.rows != nil && in.cursor < in.rows.Rows {
			in.passBad(onBad)
			return ready, nil
		}
		in.passBad(onBad)
		in.next = max(in.next, in.decodedNext)
		in.recycle(w)
		if in.stop >= 0 && in.next >= in.stop {
			return ended, nil
		}
		if in.open || len(in.rest) > 0 {
			if err := in.decode(c, w, limits.batchRows); err != nil {
				return ended, fmt.Errorf("read %s: %w", in.tp, err)
			}
			continue
		}
		in.next = max(in.next, in.fetchedNext)
		in.release()
		in.woken.Store(false)
		chunk, err := in.reader.Poll(limits.fetchBytes)
		if err != nil {
			return ended, fmt.Errorf("fetch %s: %w", in.tp, err)
		}
		if len(chunk.Batches) == 0 {
			if chunk.Release != nil {
				chunk.Release()
			}
			if chunk.Next > in.next {
				in.next, in.decodedNext, in.fetchedNext = chunk.Next, chunk.Next, chunk.Next
			}
			if in.atEnd = chunk.AtEnd; in.atEnd {
				return ended, nil
			}
			return unknown, nil
		}
		in.chunk, in.rest, in.fetchedNext = chunk, chunk.Batches, chunk.Next
	}
}

// decode fills rows with the next records of the chunk.
func (in *input) decode(c *expr.Context, w *worker, most int) error {
	in.rows, in.cursor = w.batch(), 0
	if in.decoder != nil {
		in.decoder.Begin(in.rows, in.tp.Partition, in.chunk.Batches, in.expected(most))
	} else {
		in.internal.Begin(in.rows, in.chunk.Batches, in.expected(most))
	}
	bytes := 0
	for in.rows.Rows < most && bytes < batch.MaxBytes {
		if !in.open {
			if len(in.rest) == 0 {
				break
			}
			b, rest, err := kafka.NextBatch(in.rest)
			if err != nil {
				return err
			}
			in.rest = rest
			if b.Codec() != 0 {
				return fmt.Errorf("%w: compressed batch at offset %d", kafka.ErrCorruptBatch, b.BaseOffset())
			}
			if b.Control() || b.LastOffset() < in.decodedNext {
				continue
			}
			in.walk, in.open = b.Records(b.Payload()), true
		}
		if !in.walk.Next() {
			in.open = false
			if err := in.walk.Err(); err != nil {
				return err
			}
			continue
		}
		r := in.walk.Record()
		if r.Offset < in.decodedNext {
			continue
		}
		if in.stop >= 0 && r.Offset >= in.stop {
			in.open, in.rest, in.decodedNext = false, nil, in.stop
			break
		}
		bytes += len(r.Key) + len(r.Value)
		if in.decoder == nil {
			if err := in.internal.Decode(in.rows, in.tp.Partition, r); err != nil {
				return err
			}
		} else if e := in.decoder.Decode(c, in.rows, in.tp.Partition, r); e != nil {
			if errors.Is(e.Cause, registry.ErrUnavailable) {
				return e.Cause // the record may be good: the query tries again
			}
			in.bad = append(in.bad, op.Bad{Before: in.rows.Rows, Entry: *e})
		}
		in.decodedNext = r.Offset + 1
	}
	return nil
}

// expected is the number of rows to make room for.
func (in *input) expected(most int) int {
	n := 16
	if len(in.rest) >= kafka.BatchHeaderBytes {
		if b, _, err := kafka.NextBatch(in.rest); err == nil {
			n = max(n, int(b.Count()))
		}
	}
	return min(n, most)
}

// passBad hands over the records without a row that stand at the cursor.
func (in *input) passBad(onBad func(op.Entry)) {
	at := in.cursor
	if in.rows == nil {
		at = 0
	}
	for len(in.bad) > 0 && in.bad[0].Before <= at {
		onBad(in.bad[0].Entry)
		in.bad = in.bad[1:]
	}
}

// headTime returns the row time of the next row.
func (in *input) headTime() int64 { return in.rows.Time[in.cursor] }

// advance moves the cursor behind a processed run.
func (in *input) advance(to int) {
	in.cursor = to
	if to < in.rows.Rows {
		in.next = kafka.Offset(in.rows.Offset[to])
	} else {
		in.next = in.decodedNext
	}
}

// recycle gives the empty batch back.
func (in *input) recycle(w *worker) {
	if in.rows != nil {
		w.giveBatch(in.rows)
		in.rows = nil
	}
	in.cursor, in.bad = 0, in.bad[:0]
}

// release gives the fetched bytes back.
func (in *input) release() {
	if in.chunk.Release != nil {
		in.chunk.Release()
	}
	in.chunk, in.rest, in.open = Chunk{}, nil, false
}

// close drops everything that was fetched.
func (in *input) close() {
	in.rows, in.cursor, in.bad = nil, 0, nil
	in.release()
	if in.reader != nil {
		in.reader.Close()
		in.reader = nil
	}
}

// seek opens the reader at an offset.
func (in *input) seek(log Log, at kafka.Offset, wake func()) error {
	in.close()
	r, err := log.OpenReader(in.tp, at, func() {
		in.woken.Store(true)
		wake()
	})
	if err != nil {
		return fmt.Errorf("open %s at offset %d: %w", in.tp, at, err)
	}
	in.reader, in.next, in.decodedNext, in.fetchedNext, in.atEnd = r, at, at, at, false
	return nil
}
