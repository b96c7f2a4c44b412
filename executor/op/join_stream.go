package op

import (
	"cmp"
	"container/heap"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// StreamStreamJoin joins two streams within a time bound (plan.StreamStreamJoin).
//
// Each side keeps its rows in time buckets: segment = bucket start, key = the
// join key, value = rows behind each other in order of arrival:
//
//	+-------+--------------------------------+
//	| state | length + row time (8 BE), row  |
//	+-------+--------------------------------+
//
// state says whether an outer row still waits to be padded. A row is visible to
// the other side while its time > the largest time of its own side - (before +
// after + grace); a waiting row is padded when the time of both sides passes its
// bound + grace.
type StreamStreamJoin struct {
	id      string
	p       plan.StreamStreamJoin
	out     *joinOutput
	sides   [2]joinSide
	bucket  int64
	keep    int64 // before + after + grace
	waiting waitingRows
	buf     []byte
}

// joinSide is one side; index 0 is the left one.
type joinSide struct {
	store *state.Store
	rows  *rowCodec
	outer bool
	// back and ahead bound the other side's time around a row of this side.
	back, ahead int64
}

// States of a stored row.
const (
	rowSettled byte = iota // matched, padded, or never to be padded
	rowWaits
)

// bucketsPerBound is the number of buckets that a join's time bound spans.
const bucketsPerBound = 8

// NewStreamStreamJoin returns the join; its ports are Left and Right.
func NewStreamStreamJoin(id string, p *plan.StreamStreamJoin, leftIn, rightIn, out *types.Schema, left, right *state.Store, next Port) (*StreamStreamJoin, error) {
	if err := checkJoinKind(p.Join, plan.Inner, plan.Left, plan.Right, plan.Full); err != nil {
		return nil, fatal(id, err)
	}
	if p.BeforeMs < 0 || p.AfterMs < 0 || p.GraceMs < 0 {
		return nil, fatal(id, fmt.Errorf("negative time bound: before %d, after %d, grace %d ms", p.BeforeMs, p.AfterMs, p.GraceMs))
	}
	o, err := newJoinOutput(leftIn, rightIn, out, false, next)
	if err != nil {
		return nil, fatal(id, err)
	}
	j := &StreamStreamJoin{id: id, p: *p, out: o, keep: p.BeforeMs + p.AfterMs + p.GraceMs}
	j.bucket = max(1, (p.BeforeMs+p.AfterMs)/bucketsPerBound)
	j.sides[0] = joinSide{left, o.left, p.Join == plan.Left || p.Join == plan.Full, p.BeforeMs, p.AfterMs}
	j.sides[1] = joinSide{right, o.right, p.Join == plan.Right || p.Join == plan.Full, p.AfterMs, p.BeforeMs}
	return j, nil
}

// Left takes rows of the left stream.
func (j *StreamStreamJoin) Left() Port {
	return portFunc(func(c *Context, b *batch.Batch) error { return j.process(c, b, 0) })
}

// Right takes rows of the right stream.
func (j *StreamStreamJoin) Right() Port {
	return portFunc(func(c *Context, b *batch.Batch) error { return j.process(c, b, 1) })
}

func (j *StreamStreamJoin) process(c *Context, b *batch.Batch, side int) error {
	j.out.begin(c, b.Topic)
	for _, i := range b.Sel {
		if noKey(b, i) || b.ValueNull.Get(i) {
			continue
		}
		if err := j.join(c, b, i, side); err != nil {
			return fatal(j.id, err)
		}
	}
	j.account()
	return j.out.end()
}

// join takes one row: stream time, waiting rows, matches, and its place.
func (j *StreamStreamJoin) join(c *Context, b *batch.Batch, i int32, side int) error {
	own := &j.sides[side]
	ts := b.Time[i]
	clock := j.sides[0].store
	now := max(ts, clock.Int64Note(noteStreamTime, noTime))
	clock.SetInt64Note(noteStreamTime, now)
	newest := max(ts, own.store.Int64Note(noteNewestStart, noTime))
	own.store.SetInt64Note(noteNewestStart, newest)
	if err := j.padClosed(b, i, now); err != nil {
		return err
	}
	j.expire(own, newest)
	key := append([]byte(nil), own.rows.keyOf(b, i)...)
	row := own.rows.valueOf(b, i, ts)
	matched, err := j.matches(b, i, side, key, row)
	if err != nil {
		return err
	}
	mark := rowSettled
	late := ts+own.ahead+j.p.GraceMs < now
	if own.outer && !matched {
		if j.p.EagerOuter || late {
			if err := j.emit(b, i, side, ts, row, nil); err != nil {
				return err
			}
		} else {
			mark = rowWaits
			heap.Push(&j.waiting, waitingRow{ts, side, string(key)})
		}
	}
	if ts+j.keep < newest {
		if mark == rowSettled && !(own.outer && !matched) {
			*c.Late++
		}
		return nil // no row of the other side may see it
	}
	j.store(own, key, ts, mark, row)
	return nil
}

// store appends a row to its bucket.
func (j *StreamStreamJoin) store(own *joinSide, key []byte, ts int64, mark byte, row []byte) {
	j.buf = append(j.buf[:0], mark)
	j.buf = binary.AppendUvarint(j.buf, uint64(len(row)))
	j.buf = append(j.buf, row...)
	t := own.store.Open(ts / j.bucket * j.bucket)
	have, _ := t.Get(key)
	n := len(have)
	copy(t.Slot(key, n+len(j.buf), true)[n:], j.buf)
}

// storedRow is a row in a bucket; at is the place of its state byte.
type storedRow struct {
	time    int64
	row     []byte
	segment int64
	at      int
	mark    byte
}

// eachRow walks the rows of one bucket and key.
func eachRow(value []byte, f func(at int, mark byte, row []byte)) error {
	for at := 0; at < len(value); {
		size, n := binary.Uvarint(value[at+1:])
		if n <= 0 || size < 8 || size > uint64(len(value)-at-1-n) {
			return errBadRow
		}
		from := at + 1 + n
		f(at, value[at], value[from:from+int(size)])
		at = from + int(size)
	}
	return nil
}

// matches emits the results of row i with the visible rows of the other side in
// time order, and settles the ones that waited.
func (j *StreamStreamJoin) matches(b *batch.Batch, i int32, side int, key, row []byte) (bool, error) {
	own, other := &j.sides[side], &j.sides[1-side]
	ts := b.Time[i]
	from, to := ts-own.back, ts+own.ahead
	visible := other.store.Int64Note(noteNewestStart, noTime) - j.keep
	var found []storedRow
	segments := other.store.Segments()
	at, _ := slices.BinarySearch(segments, max(0, from)/j.bucket*j.bucket)
	for _, segment := range segments[at:] {
		if segment > to {
			break
		}
		value, ok := other.store.Find(segment).Get(key)
		if !ok {
			continue
		}
		err := eachRow(value, func(at int, mark byte, row []byte) {
			if t := rowTime(row); t >= from && t <= to && t > visible {
				found = append(found, storedRow{t, append([]byte(nil), row...), segment, at, mark})
			}
		})
		if err != nil {
			return false, err
		}
	}
	slices.SortStableFunc(found, func(x, y storedRow) int { return cmp.Compare(x.time, y.time) })
	for _, f := range found {
		if f.mark == rowWaits {
			t := other.store.Find(f.segment)
			value, _ := t.Get(key)
			t.Slot(key, len(value), true)[f.at] = rowSettled
		}
		if err := j.emit(b, i, side, max(ts, f.time), row, f.row); err != nil {
			return false, err
		}
	}
	return len(found) > 0, nil
}

// emit appends the result of a row of one side with one of the other, nil for a
// padded one, under the key of row i.
func (j *StreamStreamJoin) emit(b *batch.Batch, i int32, side int, time int64, own, other []byte) error {
	o := j.out.row(b, i, time, batch.Insert)
	j.out.copyKey(o, b, i)
	return j.finish(o, side, own, other)
}

func (j *StreamStreamJoin) finish(o int32, side int, own, other []byte) error {
	if side == 1 {
		own, other = other, own
	}
	if err := j.out.values(o, own, other); err != nil {
		return err
	}
	return j.out.flush()
}

// padClosed pads the waiting rows whose bound and grace have passed, in order of
// time, side and key.
func (j *StreamStreamJoin) padClosed(b *batch.Batch, i int32, now int64) error {
	for len(j.waiting) > 0 {
		w := j.waiting[0]
		s := &j.sides[w.side]
		if w.time+j.p.GraceMs+min(j.sides[0].ahead, j.sides[1].ahead) >= now {
			return nil // nor any later one
		}
		if w.time+s.ahead+j.p.GraceMs >= now {
			// The sides' bounds differ: look behind this one.
			return j.padBehind(b, i, now)
		}
		heap.Pop(&j.waiting)
		if err := j.pad(b, i, w); err != nil {
			return err
		}
	}
	return nil
}

// padBehind is padClosed when rows of one side close before earlier ones of the
// other.
func (j *StreamStreamJoin) padBehind(b *batch.Batch, i int32, now int64) error {
	var later []waitingRow
	for len(j.waiting) > 0 {
		w := heap.Pop(&j.waiting).(waitingRow)
		if w.time+j.sides[w.side].ahead+j.p.GraceMs >= now {
			later = append(later, w)
			if w.time+j.p.GraceMs >= now {
				break
			}
			continue
		}
		if err := j.pad(b, i, w); err != nil {
			return err
		}
	}
	for _, w := range later {
		heap.Push(&j.waiting, w)
	}
	return nil
}

// pad emits the waiting rows of one time and key.
func (j *StreamStreamJoin) pad(b *batch.Batch, i int32, w waitingRow) error {
	s := &j.sides[w.side]
	t := s.store.Find(w.time / j.bucket * j.bucket)
	if t == nil {
		return nil
	}
	key := []byte(w.key)
	value, _ := t.Get(key)
	var rows []storedRow
	if err := eachRow(value, func(at int, mark byte, row []byte) {
		if mark == rowWaits && rowTime(row) == w.time {
			rows = append(rows, storedRow{row: append([]byte(nil), row...), at: at})
		}
	}); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	marks := t.Slot(key, len(value), true)
	for _, r := range rows {
		marks[r.at] = rowSettled
	}
	for _, r := range rows {
		o := j.out.row(b, i, w.time, batch.Insert)
		if err := s.rows.key.Decode(j.out.b.Cols[:j.out.b.Keys], o, key); err != nil {
			return err
		}
		if err := j.finish(o, w.side, r.row, nil); err != nil {
			return err
		}
	}
	return nil
}

// expire drops the buckets of a side that nobody can see any more.
func (j *StreamStreamJoin) expire(s *joinSide, newest int64) {
	for {
		segments := s.store.Segments()
		if len(segments) == 0 || segments[0]+j.bucket-1+j.keep >= newest {
			return
		}
		s.store.Drop(segments[0])
	}
}

// Reset rebuilds the list of waiting rows from the stores.
func (j *StreamStreamJoin) Reset() error {
	j.waiting = j.waiting[:0]
	var failed error
	for side := range j.sides {
		store := j.sides[side].store
		for _, segment := range store.Segments() {
			store.Find(segment).Each(func(key, value []byte) bool {
				failed = eachRow(value, func(_ int, mark byte, row []byte) {
					if mark == rowWaits {
						j.waiting = append(j.waiting, waitingRow{rowTime(row), side, string(key)})
					}
				})
				return failed == nil
			})
			if failed != nil {
				return failed
			}
		}
	}
	heap.Init(&j.waiting)
	j.account()
	return nil
}

// account tells the left store of the list of waiting rows, which stays in memory
// when the rows themselves are evicted.
func (j *StreamStreamJoin) account() {
	j.sides[0].store.SetOverhead(int64(len(j.waiting)) * (indexEntryBytes + waitingKeyBytes))
}

// waitingKeyBytes is the size that the key of a waiting row is taken for.
const waitingKeyBytes = 32

// waitingRow names the rows of one side, time and key that wait to be padded.
type waitingRow struct {
	time int64
	side int
	key  string
}

// waitingRows is a heap by time, then the right side before the left one, then
// key, as Kafka Streams orders them.
type waitingRows []waitingRow

func (h waitingRows) Len() int { return len(h) }
func (h waitingRows) Less(i, j int) bool {
	if h[i].time != h[j].time {
		return h[i].time < h[j].time
	}
	if h[i].side != h[j].side {
		return h[i].side > h[j].side
	}
	return h[i].key < h[j].key
}
func (h waitingRows) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *waitingRows) Push(x any)   { *h = append(*h, x.(waitingRow)) }
func (h *waitingRows) Pop() any {
	old := *h
	w := old[len(old)-1]
	*h = old[:len(old)-1]
	return w
}
