package executor

import (
	"context"
	"fmt"
	"sync"

	"github.com/millrace/millrace/internal/kafka"
)

// MemLog is a Log in memory, for drivers and tests: commits are atomic, and
// faults can be injected. The zero value is ready for use. Topics exist when
// they are first named.
type MemLog struct {
	// Fault, when set, is asked before every commit what becomes of it.
	Fault func(id string, req CommitRequest) Fault

	mu      sync.Mutex
	parts   map[kafka.TopicPartition]*memPartition
	groups  map[string]map[kafka.TopicPartition]kafka.Offset
	owners  map[string]*memTxn
	readers map[*memReader]struct{}
}

// Fault is what a MemLog makes of a commit.
type Fault uint8

// The faults.
const (
	NoFault     Fault = iota
	FaultAbort        // aborted
	FaultFence        // fenced
	FaultLost         // unknown, and nothing was written
	FaultUnsure       // unknown, and everything was written
)

type memPartition struct {
	batches []memBatch
	next    kafka.Offset
}

type memBatch struct {
	bytes []byte
	last  kafka.Offset
}

func (l *MemLog) partition(tp kafka.TopicPartition) *memPartition {
	if l.parts == nil {
		l.parts = map[kafka.TopicPartition]*memPartition{}
	}
	p := l.parts[tp]
	if p == nil {
		p = new(memPartition)
		l.parts[tp] = p
	}
	return p
}

// Append writes record batches outside any transaction and returns the offset
// of the first record.
func (l *MemLog) Append(tp kafka.TopicPartition, batches []byte) (kafka.Offset, error) {
	l.mu.Lock()
	base, err := l.append(tp, batches)
	wakes := l.wakes()
	l.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
	return base, err
}

func (l *MemLog) append(tp kafka.TopicPartition, batches []byte) (kafka.Offset, error) {
	p := l.partition(tp)
	base := p.next
	rest := append([]byte(nil), batches...)
	for len(rest) > 0 {
		b, next, err := kafka.NextBatch(rest)
		if err != nil {
			return 0, err
		}
		rest = next
		b.SetBaseOffset(p.next)
		p.batches = append(p.batches, memBatch{b, b.LastOffset()})
		p.next = b.LastOffset() + 1
	}
	return base, nil
}

func (l *MemLog) wakes() (ws []func()) {
	for r := range l.readers {
		ws = append(ws, r.wake)
	}
	return ws
}

// Records returns all records of a topic-partition, copied.
func (l *MemLog) Records(tp kafka.TopicPartition) ([]kafka.Record, error) {
	return l.RecordsFrom(tp, 0)
}

// RecordsFrom returns the records from an offset on, copied.
func (l *MemLog) RecordsFrom(tp kafka.TopicPartition, from kafka.Offset) (out []kafka.Record, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.partition(tp).batches {
		if b.last < from {
			continue
		}
		walk := kafka.Batch(b.bytes).Records(kafka.Batch(b.bytes).Payload())
		for walk.Next() {
			r := *walk.Record()
			if r.Offset < from {
				continue
			}
			r.Key, r.Value, r.RawHeaders = clone(r.Key), clone(r.Value), clone(r.RawHeaders)
			out = append(out, r)
		}
		if err := walk.Err(); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append([]byte{}, b...)
}

// OpenReader implements Log.
func (l *MemLog) OpenReader(tp kafka.TopicPartition, from kafka.Offset, wake func()) (Reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &memReader{log: l, tp: tp, next: from, wake: wake}
	if l.readers == nil {
		l.readers = map[*memReader]struct{}{}
	}
	l.readers[r] = struct{}{}
	return r, nil
}

// Bounds implements Log.
func (l *MemLog) Bounds(_ context.Context, tp kafka.TopicPartition) (first, stable kafka.Offset, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return 0, l.partition(tp).next, nil
}

// Committed implements Log.
func (l *MemLog) Committed(_ context.Context, group string, tps []kafka.TopicPartition) ([]kafka.Offset, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]kafka.Offset, len(tps))
	for i, tp := range tps {
		at, ok := l.groups[group][tp]
		if !ok {
			at = -1
		}
		out[i] = at
	}
	return out, nil
}

// OpenTxn implements Log.
func (l *MemLog) OpenTxn(_ context.Context, id string) (Txn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owners == nil {
		l.owners = map[string]*memTxn{}
	}
	t := &memTxn{log: l, id: id}
	l.owners[id] = t
	return t, nil
}

type memReader struct {
	log  *MemLog
	tp   kafka.TopicPartition
	next kafka.Offset
	wake func()
}

// Poll implements Reader.
func (r *memReader) Poll(maxBytes int) (Chunk, error) {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	p := r.log.partition(r.tp)
	c := Chunk{Next: r.next}
	for _, b := range p.batches {
		if b.last < r.next {
			continue
		}
		if len(c.Batches) > 0 && len(c.Batches)+len(b.bytes) > maxBytes {
			return c, nil
		}
		c.Batches = append(c.Batches, b.bytes...)
		c.Next = b.last + 1
		r.next = c.Next
	}
	c.AtEnd = true
	return c, nil
}

// Close implements Reader.
func (r *memReader) Close() {
	r.log.mu.Lock()
	defer r.log.mu.Unlock()
	delete(r.log.readers, r)
}

type memTxn struct {
	log *MemLog
	id  string
}

// Commit implements Txn.
func (t *memTxn) Commit(req CommitRequest, done func(CommitResult)) {
	fault := NoFault
	if t.log.Fault != nil {
		fault = t.log.Fault(t.id, req)
	}
	l := t.log
	l.mu.Lock()
	res := CommitResult{}
	if l.owners[t.id] != t {
		fault = FaultFence
	}
	switch fault {
	case FaultAbort:
		res = CommitResult{Outcome: Aborted, Err: fmt.Errorf("memlog: injected abort")}
	case FaultFence:
		res = CommitResult{Outcome: Fenced, Err: fmt.Errorf("memlog: %s has another owner", t.id)}
	case FaultLost:
		res = CommitResult{Outcome: Unknown, Err: fmt.Errorf("memlog: injected loss")}
	default:
		res = l.apply(req)
		if fault == FaultUnsure {
			res = CommitResult{Outcome: Unknown, Err: fmt.Errorf("memlog: injected doubt")}
		}
	}
	wakes := l.wakes()
	l.mu.Unlock()
	for _, wake := range wakes {
		wake()
	}
	done(res)
}

// apply writes a commit; the lock is held.
func (l *MemLog) apply(req CommitRequest) (res CommitResult) {
	for _, a := range req.Appends {
		base, err := l.append(a.TP, a.Batches)
		if err != nil {
			return CommitResult{Outcome: Aborted, Err: err}
		}
		res.BaseOffsets = append(res.BaseOffsets, base)
	}
	if l.groups == nil {
		l.groups = map[string]map[kafka.TopicPartition]kafka.Offset{}
	}
	for _, o := range req.Offsets {
		if l.groups[o.Group] == nil {
			l.groups[o.Group] = map[kafka.TopicPartition]kafka.Offset{}
		}
		l.groups[o.Group][o.TP] = o.Next
	}
	return res
}

// Close implements Txn.
func (t *memTxn) Close() {}
