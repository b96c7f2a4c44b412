package op

import (
	"slices"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
)

// windows folds row i into every tumbling or hopping window that it falls in,
// ascending. A window is closed when its end + grace <= stream time.
func (a *Aggregate) windows(c *Context, b *batch.Batch, i int32) error {
	w, ts := a.window, b.Time[i]
	last := a.store.Int64Note(noteStreamTime, noTime)
	now := max(last, ts)
	if now != last {
		a.store.SetInt64Note(noteStreamTime, now)
		if !a.expireFirst {
			if err := a.advance(b, i, last, now); err != nil {
				return err
			}
			a.expire(now)
		}
	}
	advance := w.SizeMs
	if w.Kind == plan.Hopping {
		advance = w.AdvanceMs
	}
	taken, newest := false, int64(noTime)
	for start := max(0, ts-w.SizeMs+advance) / advance * advance; start <= ts; start += advance {
		if start+w.SizeMs+w.GraceMs <= now {
			continue
		}
		taken, newest = true, start
		if err := a.update(a.store.Open(start), a.rows.keyOf(b, i), b, i, -1, i, start, start+w.SizeMs, !a.final); err != nil {
			return err
		}
		if err := a.out.flush(); err != nil {
			return err
		}
	}
	if !taken {
		*c.Late++
	}
	if !a.expireFirst {
		return nil
	}
	if newest > a.store.Int64Note(noteNewestStart, noTime) {
		a.store.SetInt64Note(noteNewestStart, newest)
		a.expire(newest - 1) // a window exactly as old as the retention stays
	}
	if now == last {
		return nil
	}
	return a.advance(b, i, last, now)
}

// expire drops the windows whose retention, counted from their start, is over.
func (a *Aggregate) expire(now int64) {
	for {
		starts := a.store.Segments()
		if len(starts) == 0 || starts[0]+a.window.RetentionMs > now {
			return
		}
		a.store.Drop(starts[0])
	}
}

// advance emits the final results of the windows that close as stream time goes
// from last to now: by window start, then by key.
func (a *Aggregate) advance(b *batch.Batch, i int32, last, now int64) error {
	if !a.final {
		return nil
	}
	length := a.window.SizeMs + a.window.GraceMs
	starts := a.store.Segments()
	from := 0
	if last != noTime { // windows closed by then were emitted then
		from, _ = slices.BinarySearch(starts, last-length+1)
	}
	to, _ := slices.BinarySearch(starts, now-length+1)
	for _, start := range slices.Clone(starts[from:max(from, to)]) {
		t := a.store.Find(start)
		var keys []string
		t.Each(func(k, _ []byte) bool {
			keys = append(keys, string(k))
			return true
		})
		slices.Sort(keys)
		for _, k := range keys {
			stored, _ := t.Get([]byte(k))
			if err := a.finalRow(b, i, []byte(k), stored, rowTime(stored), start, start+a.window.SizeMs); err != nil {
				return err
			}
		}
	}
	return nil
}

// finalRow emits the final result of one key and window.
func (a *Aggregate) finalRow(b *batch.Batch, i int32, key, stored []byte, time, start, end int64) error {
	o := a.out.row(b, i, time, batch.Insert)
	if err := a.rows.key.Decode(a.out.b.Cols[:a.out.b.Keys], o, key); err != nil {
		return err
	}
	a.out.window(o, start, end)
	if err := a.calls.finish(stored[8:], a.out.b, a.out.b.Keys, o); err != nil {
		return err
	}
	return a.out.flush()
}
