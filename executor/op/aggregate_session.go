package op

import (
	"container/heap"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/millrace/millrace/executor/batch"
)

// Sessions of one key are one value of the store, ascending by start:
//
//	+--------------+-------------+---------+--------------------------------+
//	| start varint | end varint  | emitted | length + row time (8 BE), state|
//	+--------------+-------------+---------+--------------------------------+
//
// Both bounds are inclusive. A session is closed when end + gap + grace < stream
// time and forgotten when end + retention < stream time.
type session struct {
	start, end int64
	emitted    bool
	stored     []byte
}

func decodeSessions(b []byte) (out []session, err error) {
	for len(b) > 0 {
		var s session
		var n int
		if s.start, n = binary.Varint(b); n <= 0 {
			return nil, errBadRow
		}
		b = b[n:]
		if s.end, n = binary.Varint(b); n <= 0 || len(b) <= n {
			return nil, errBadRow
		}
		s.emitted = b[n] != 0
		b = b[n+1:]
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) || size < 8 {
			return nil, errBadRow
		}
		s.stored = b[n : n+int(size)]
		b = b[n+int(size):]
		out = append(out, s)
	}
	return out, nil
}

func encodeSessions(dst []byte, list []session) []byte {
	for _, s := range list {
		dst = binary.AppendVarint(binary.AppendVarint(dst, s.start), s.end)
		emitted := byte(0)
		if s.emitted {
			emitted = 1
		}
		dst = append(dst, emitted)
		dst = binary.AppendUvarint(dst, uint64(len(s.stored)))
		dst = append(dst, s.stored...)
	}
	return dst
}

// session folds row i into the sessions of its key: those within the gap become
// one. A tombstone goes out for each of them, with its end as row time, then the
// merged session, as Kafka Streams does. A session that EMIT FINAL has given is
// kept as long as its retention says, and nothing is added to it: its records would
// count in two results, as they do in Kafka Streams. Its end is below that of any
// session that begins later, so the two never have the same bounds.
func (a *Aggregate) session(c *Context, key []byte, b *batch.Batch, i int32) error {
	w, ts := a.window, b.Time[i]
	last := a.store.Int64Note(noteStreamTime, noTime)
	now := max(last, ts)
	if now != last {
		a.store.SetInt64Note(noteStreamTime, now)
		if err := a.closeSessions(b, i, now); err != nil {
			return err
		}
	}
	t := a.store.Plain()
	stored, _ := t.Get(key)
	// The list views bytes that the changes below move.
	list, err := decodeSessions(append([]byte(nil), stored...))
	if err != nil {
		return err
	}
	merged := session{start: ts, end: ts}
	var rest, old []session
	for _, s := range list {
		if !s.emitted && s.end >= ts-w.SizeMs && s.start <= ts+w.SizeMs {
			merged.start, merged.end = min(merged.start, s.start), max(merged.end, s.end)
			old = append(old, s)
		} else {
			rest = append(rest, s)
		}
	}
	if merged.end+w.SizeMs+w.GraceMs < now {
		*c.Late++
		return nil
	}
	if err := a.fold(b, i, &merged, old); err != nil {
		return err
	}
	at, _ := slices.BinarySearchFunc(rest, merged, func(x, y session) int { return int(min(max(x.start-y.start, -1), 1)) })
	rest = slices.Insert(rest, at, merged)
	a.buf = encodeSessions(a.buf[:0], rest)
	t.Put(key, a.buf)
	a.sessions.add(key, a.deadline(rest))
	return nil
}

// fold computes the merged session and emits what changed.
func (a *Aggregate) fold(b *batch.Batch, i int32, merged *session, old []session) (err error) {
	var st []byte
	time := b.Time[i]
	replaces := merged.start != b.Time[i] || merged.end != b.Time[i]
	for _, s := range old {
		if !a.final && replaces {
			o := a.row(b, i, s.end, batch.Delete, s.start, s.end)
			if err := a.calls.finish(s.stored[8:], a.out.b, a.out.b.Keys, o); err != nil {
				return err
			}
		}
		time = max(time, rowTime(s.stored))
		if st, err = a.calls.merge(st, s.stored[8:]); err != nil {
			return err
		}
	}
	before := st
	if a.calls.size >= 0 {
		st = append(make([]byte, 0, a.calls.size), st...)
		st = st[:a.calls.size]
		a.calls.addFixed(st, i, false)
	} else if st, err = a.calls.add(st, i, false); err != nil {
		return err
	}
	merged.stored = append(binary.BigEndian.AppendUint64(nil, uint64(time)), st...)
	if a.final {
		return nil
	}
	op := batch.UpdateAfter
	switch {
	case replaces || len(old) == 0:
		op = batch.Insert
	case a.before:
		o := a.row(b, i, merged.end, batch.UpdateBefore, merged.start, merged.end)
		if err := a.calls.finish(before, a.out.b, a.out.b.Keys, o); err != nil {
			return err
		}
	}
	o := a.row(b, i, merged.end, op, merged.start, merged.end)
	return a.calls.finish(merged.stored[8:], a.out.b, a.out.b.Keys, o)
}

// deadline is the stream time behind which the first of some sessions must be
// looked at again.
func (a *Aggregate) deadline(list []session) int64 {
	first := int64(1<<63 - 1)
	for _, s := range list {
		d := s.end + a.window.RetentionMs
		if a.final && !s.emitted {
			d = s.end + a.window.SizeMs + a.window.GraceMs
		}
		first = min(first, d)
	}
	return first
}

// closeSessions emits the final results of closed sessions, by end, start and
// key, and forgets the ones whose retention is over.
func (a *Aggregate) closeSessions(b *batch.Batch, i int32, now int64) error {
	type closed struct {
		session
		key string
	}
	var finals []closed
	t := a.store.Plain()
	for len(a.sessions.heap) > 0 && a.sessions.heap[0].deadline < now {
		key := a.sessions.pop()
		stored, ok := t.Get([]byte(key))
		if !ok {
			continue
		}
		list, err := decodeSessions(append([]byte(nil), stored...))
		if err != nil {
			return err
		}
		left := list[:0]
		for _, s := range list {
			if a.final && !s.emitted && s.end+a.window.SizeMs+a.window.GraceMs < now {
				s.emitted = true
				finals = append(finals, closed{s, key})
			}
			if s.end+a.window.RetentionMs >= now {
				left = append(left, s)
			}
		}
		if len(left) == 0 {
			t.Delete([]byte(key))
			continue
		}
		a.buf = encodeSessions(a.buf[:0], left)
		t.Put([]byte(key), a.buf)
		a.sessions.add([]byte(key), a.deadline(left))
	}
	slices.SortFunc(finals, func(x, y closed) int {
		switch {
		case x.end != y.end:
			return sign(x.end - y.end)
		case x.start != y.start:
			return sign(x.start - y.start)
		}
		return strings.Compare(x.key, y.key)
	})
	for _, f := range finals {
		if err := a.finalRow(b, i, []byte(f.key), f.stored, f.end, f.start, f.end); err != nil {
			return err
		}
	}
	return nil
}

func sign(d int64) int {
	if d < 0 {
		return -1
	}
	return 1
}

// sessionIndex finds the keys whose sessions end. It holds one live entry per
// key, at or before its first deadline; others are passed over.
//
// The index stays in memory when the sessions themselves are evicted: about
// indexEntryBytes a key, which the store accounts for.
type sessionIndex struct {
	heap  sessionHeap
	first map[string]int64 // deadline of the live entry
	bytes int64            // of all entries, about
}

// indexEntryBytes is what an index entry takes beside its key.
const indexEntryBytes = 96

type sessionEntry struct {
	deadline int64
	key      string
}

type sessionHeap []sessionEntry

func (h sessionHeap) Len() int           { return len(h) }
func (h sessionHeap) Less(i, j int) bool { return h[i].deadline < h[j].deadline }
func (h sessionHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *sessionHeap) Push(x any)        { *h = append(*h, x.(sessionEntry)) }
func (h *sessionHeap) Pop() any {
	old := *h
	e := old[len(old)-1]
	*h = old[:len(old)-1]
	return e
}

// add notes a key's deadline. A later deadline than the noted one is found when
// that one passes.
func (x *sessionIndex) add(key []byte, deadline int64) {
	if at, ok := x.first[string(key)]; ok && at <= deadline {
		return
	}
	k := string(key)
	x.first[k] = deadline
	heap.Push(&x.heap, sessionEntry{deadline, k})
	x.bytes += int64(len(k)) + indexEntryBytes
}

// pop takes the key whose deadline comes first.
func (x *sessionIndex) pop() string {
	e := heap.Pop(&x.heap).(sessionEntry)
	x.bytes -= int64(len(e.key)) + indexEntryBytes
	if x.first[e.key] == e.deadline {
		delete(x.first, e.key)
	}
	return e.key
}

// resetSessions rebuilds the index from the store.
func (a *Aggregate) resetSessions() error {
	a.sessions = sessionIndex{first: map[string]int64{}}
	var failed error
	a.store.Plain().Each(func(key, stored []byte) bool {
		list, err := decodeSessions(stored)
		if err != nil {
			failed = err
			return false
		}
		a.sessions.add(key, a.deadline(list))
		return true
	})
	a.store.SetOverhead(a.sessions.bytes)
	return failed
}
