package engine

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millrace/millrace/broker/log"
	"github.com/millrace/millrace/executor"
	"github.com/millrace/millrace/internal/kafka"
)

const (
	// fetchDecompressedMaxBytes bounds one decompressed batch.
	fetchDecompressedMaxBytes = 128 << 20
	// watchInterval is how soon an idle partition is asked for news; it doubles up
	// to watchIntervalMax while there are none.
	watchInterval    = 2 * time.Millisecond
	watchIntervalMax = 50 * time.Millisecond
)

// kafkaReader reads one topic-partition. Poll never waits: it starts a fetch and
// hands out its answer once, later. So an answer of "at the end" comes from a
// fetch that was issued after the last one was handed out, which is after the
// task's last choice, as KIP-695 asks.
//
//	idle --Poll--> fetching --answer, wake--> answered --Poll--> idle
type kafkaReader struct {
	cluster *kafkaCluster
	tp      kafka.TopicPartition
	wake    func()
	ctx     context.Context
	cancel  context.CancelFunc

	mu       sync.Mutex // guards what follows
	next     kafka.Offset
	fetching bool
	answered bool
	chunk    executor.Chunk
	err      error
}

func newKafkaReader(c *kafkaCluster, tp kafka.TopicPartition, from kafka.Offset, wake func()) *kafkaReader {
	ctx, cancel := context.WithCancel(context.Background())
	return &kafkaReader{cluster: c, tp: tp, wake: wake, ctx: ctx, cancel: cancel, next: from}
}

// Poll implements executor.Reader.
func (r *kafkaReader) Poll(maxBytes int) (executor.Chunk, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.answered {
		r.answered = false
		if r.err == nil && len(r.chunk.Batches) == 0 && r.chunk.AtEnd {
			r.cluster.watcher.watch(r, r.chunk.Next)
		}
		return r.chunk, r.err
	}
	if !r.fetching {
		r.fetching = true
		go r.fetch(r.next, maxBytes) // ends with the answer, or with Close
	}
	return executor.Chunk{Next: r.next}, nil
}

// Close implements executor.Reader.
func (r *kafkaReader) Close() {
	r.cancel()
	r.cluster.watcher.forget(r)
}

func (r *kafkaReader) fetch(from kafka.Offset, maxBytes int) {
	ctx, cancel := context.WithTimeout(r.ctx, kafkaRequestTimeout)
	defer cancel()
	chunk := executor.Chunk{Next: from}
	err := r.cluster.retry(ctx, []string{r.tp.Topic}, func() (err error) {
		// Markers and aborted records are no answer: on to what stands behind them.
		for err == nil && len(chunk.Batches) == 0 && !chunk.AtEnd {
			chunk, err = r.cluster.fetch(ctx, r.tp, chunk.Next, maxBytes)
		}
		return err
	})
	if r.ctx.Err() != nil {
		return
	}
	if err != nil {
		err = fmt.Errorf("fetch %s at offset %d: %w", r.tp, chunk.Next, err)
	}
	r.mu.Lock()
	r.fetching, r.answered = false, true
	r.chunk, r.err = chunk, err
	r.next = chunk.Next
	r.mu.Unlock()
	r.wake()
}

// fetch asks the leader of a topic-partition for what is there now.
func (c *kafkaCluster) fetch(ctx context.Context, tp kafka.TopicPartition, from kafka.Offset, maxBytes int) (executor.Chunk, error) {
	failed := executor.Chunk{Next: from}
	leader, err := c.leader(ctx, tp)
	if err != nil {
		return failed, err
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = 0, 0, int32(maxBytes), readCommitted
	t := kmsg.NewFetchRequestTopic()
	t.Topic = tp.Topic
	p := kmsg.NewFetchRequestTopicPartition()
	p.Partition, p.FetchOffset, p.PartitionMaxBytes = tp.Partition, int64(from), int32(maxBytes)
	t.Partitions = append(t.Partitions, p)
	req.Topics = append(req.Topics, t)
	answer, err := leader.RetriableRequest(ctx, req)
	if err != nil {
		return failed, err
	}
	resp := answer.(*kmsg.FetchResponse)
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return failed, err
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 {
		return failed, fmt.Errorf("the answer holds %d topics: %w", len(resp.Topics), kerr.UnknownServerError)
	}
	part := &resp.Topics[0].Partitions[0]
	if err := kerr.ErrorForCode(part.ErrorCode); err != nil {
		return failed, err
	}
	batches, next, err := committedBatches(part, from)
	if err != nil {
		return failed, err
	}
	stable := part.LastStableOffset
	if stable < 0 {
		stable = part.HighWatermark
	}
	return executor.Chunk{Batches: batches, Next: next, AtEnd: int64(next) >= stable}, nil
}

// committedBatches returns the whole batches of an answer without markers and
// aborted records, uncompressed, and the offset behind them. The broker names the
// aborted transactions by their first offset; their marker ends them.
func committedBatches(part *kmsg.FetchResponseTopicPartition, from kafka.Offset) (out []byte, next kafka.Offset, err error) {
	aborted := slices.Clone(part.AbortedTransactions)
	slices.SortFunc(aborted, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return int(min(max(a.FirstOffset-b.FirstOffset, -1), 1))
	})
	open := map[kafka.ProducerID]bool{}
	next = from
	for rest := part.RecordBatches; wholeBatch(rest); {
		b, after, err := kafka.NextBatch(rest)
		if err != nil {
			return nil, from, err
		}
		rest = after
		if !b.CRCValid() {
			return nil, from, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), kafka.ErrCorruptBatch)
		}
		if b.LastOffset() < from {
			continue
		}
		for len(aborted) > 0 && aborted[0].FirstOffset <= int64(b.LastOffset()) {
			open[kafka.ProducerID(aborted[0].ProducerID)] = true
			aborted = aborted[1:]
		}
		next = b.LastOffset() + 1
		if b.Control() {
			delete(open, b.ProducerID())
			continue
		}
		if b.Transactional() && open[b.ProducerID()] {
			continue
		}
		if out, err = log.Uncompressed(out, b, fetchDecompressedMaxBytes); err != nil {
			return nil, from, fmt.Errorf("batch at offset %d: %w", b.BaseOffset(), err)
		}
	}
	return out, next, nil
}

// wholeBatch reports whether b starts with all bytes of a batch: an answer may be
// cut in the middle of its last one.
func wholeBatch(b []byte) bool {
	const lengthEnds = 12 // base offset and length
	return len(b) >= lengthEnds && int64(binary.BigEndian.Uint32(b[8:]))+lengthEnds <= int64(len(b))
}

// watcher asks, for all readers that stand at the end of their partitions, whether
// there is more now, in one request at a time. A long fetch per reader would hold
// up the others on the connection that they share.
type watcher struct {
	cluster *kafkaCluster
	cancel  context.CancelFunc
	done    chan struct{}
	added   chan struct{} // capacity 1

	mu      sync.Mutex // guards readers
	readers map[*kafkaReader]kafka.Offset
}

func newWatcher(c *kafkaCluster) *watcher {
	ctx, cancel := context.WithCancel(context.Background())
	w := &watcher{cluster: c, cancel: cancel, done: make(chan struct{}), added: make(chan struct{}, 1), readers: map[*kafkaReader]kafka.Offset{}}
	go w.run(ctx) // ends with close
	return w
}

func (w *watcher) close() {
	w.cancel()
	<-w.done
}

func (w *watcher) watch(r *kafkaReader, next kafka.Offset) {
	w.mu.Lock()
	w.readers[r] = next
	w.mu.Unlock()
	select {
	case w.added <- struct{}{}:
	default:
	}
}

func (w *watcher) forget(r *kafkaReader) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.readers, r)
}

func (w *watcher) run(ctx context.Context) {
	defer close(w.done)
	for pause := watchInterval; ctx.Err() == nil; pause = min(2*pause, watchIntervalMax) {
		watched := w.watched()
		var timer <-chan time.Time
		if len(watched) > 0 {
			if w.look(ctx, watched) {
				pause = watchInterval
			}
			timer = w.cluster.clock.NewTimer(pause).C
		}
		select {
		case <-timer:
		case <-w.added:
			pause = watchInterval
		case <-ctx.Done():
		}
	}
}

func (w *watcher) watched() []*kafkaReader {
	w.mu.Lock()
	defer w.mu.Unlock()
	list := make([]*kafkaReader, 0, len(w.readers))
	for r := range w.readers {
		list = append(list, r)
	}
	return list
}

// look wakes the readers whose partitions have grown, or cannot be asked, and
// reports whether there was one.
func (w *watcher) look(ctx context.Context, readers []*kafkaReader) bool {
	var tps []kafka.TopicPartition
	for _, r := range readers {
		if !slices.Contains(tps, r.tp) {
			tps = append(tps, r.tp)
		}
	}
	offsets, err := w.cluster.listOffsets(ctx, tps, latestOffset)
	if err != nil {
		return false // the next look may succeed
	}
	woken := false
	for _, r := range readers {
		at := offsets[r.tp]
		w.mu.Lock()
		next, watched := w.readers[r]
		if watched = watched && (at.err != nil || at.offset > next); watched {
			delete(w.readers, r)
		}
		w.mu.Unlock()
		if watched {
			woken = true
			r.wake()
		}
	}
	return woken
}
