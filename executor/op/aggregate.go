package op

import (
	"encoding/binary"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Aggregate folds rows by key (plan.Aggregate). Its state per key and window is
// the largest row time (8 bytes BE) and the calls' state.
type Aggregate struct {
	id     string
	calls  *calls
	rows   *rowCodec // for keys
	store  *state.Store
	table  bool
	before bool // output carries before rows
	window *plan.Window
	final  bool
	// expireFirst loses what stream time jumped over, as Kafka Streams does.
	expireFirst bool
	out         appender
	buf         []byte

	sessions sessionIndex
}

// Notes of the store.
const (
	noteStreamTime  = "stream time"
	noteNewestStart = "newest start" // of any window written, for expireFirst
)

// noTime is stream time before the first row.
const noTime = -1

// NewAggregate compiles an aggregation of rows of schema in. before says that
// the output must carry before rows.
func NewAggregate(id string, p *plan.Aggregate, in, out *types.Schema, store *state.Store, before bool, next Port) (*Aggregate, error) {
	if len(out.Key) != len(in.Key) || len(out.Value) != len(p.Calls) {
		return nil, fatal(id, fmt.Errorf("%d+%d columns for %d calls over a key of %d", len(out.Key), len(out.Value), len(p.Calls), len(in.Key)))
	}
	if p.Window != nil {
		if err := checkWindow(p.Window); err != nil {
			return nil, fatal(id, err)
		}
		if p.TableInput {
			return nil, fatal(id, fmt.Errorf("a table cannot be aggregated by windows"))
		}
	} else if p.EmitFinal {
		return nil, fatal(id, fmt.Errorf("EMIT FINAL needs a window"))
	}
	cs, err := newCalls(id, p.Calls, in, p.TableInput)
	if err != nil {
		return nil, fatal(id, err)
	}
	rows, err := newRowCodec(out)
	if err != nil {
		return nil, fatal(id, err)
	}
	a := &Aggregate{
		id: id, calls: cs, rows: rows, store: store, table: p.TableInput, before: before,
		window: p.Window, final: p.EmitFinal, expireFirst: p.ExpireFirst,
		out: appender{next: next, schema: out, windowed: p.Window != nil},
	}
	return a, nil
}

func checkWindow(w *plan.Window) error {
	switch {
	case w.SizeMs <= 0:
		return fmt.Errorf("window size is %d ms", w.SizeMs)
	case w.GraceMs < 0 || w.RetentionMs < w.SizeMs+w.GraceMs:
		return fmt.Errorf("window retention of %d ms is less than size %d + grace %d", w.RetentionMs, w.SizeMs, w.GraceMs)
	case w.Kind == plan.Hopping && (w.AdvanceMs <= 0 || w.AdvanceMs > w.SizeMs):
		return fmt.Errorf("window advance of %d ms does not suit size %d", w.AdvanceMs, w.SizeMs)
	case w.Kind != plan.Hopping && w.Kind != plan.Tumbling && w.Kind != plan.Session:
		return fmt.Errorf("unknown window kind %q", w.Kind)
	}
	return nil
}

// View returns a reader of the operator's results.
func (a *Aggregate) View() (*View, error) {
	v, err := NewView(a.out.schema, a.window != nil, a.store)
	if err != nil {
		return nil, err
	}
	v.finish = func(stored []byte) ([]types.Value, error) {
		if len(stored) < 8 {
			return nil, errBadRow
		}
		return a.calls.values(stored[8:])
	}
	switch {
	case a.window == nil:
	case a.window.Kind == plan.Session:
		v.sessions = true
	default:
		v.sizeMs = a.window.SizeMs
	}
	return v, nil
}

// Reset rebuilds what is kept beside the store.
func (a *Aggregate) Reset() error {
	if a.window != nil && a.window.Kind == plan.Session {
		return a.resetSessions()
	}
	return nil
}

// Process folds the rows in order.
func (a *Aggregate) Process(c *Context, b *batch.Batch) error {
	sel := withValue(c, b)
	a.calls.begin(c, b, sel)
	a.out.begin(c, b.Topic)
	for k := 0; k < len(sel); k++ {
		i := sel[k]
		if noKey(b, i) {
			continue
		}
		var err error
		switch {
		case a.window == nil && a.table && b.OpAt(i) == batch.UpdateBefore && k+1 < len(sel) && b.OpAt(sel[k+1]) == batch.UpdateAfter:
			k++
			err = a.change(b, sel[k], i, sel[k]) // one change within one group
		case a.window == nil && b.OpAt(i).Retracts():
			err = a.change(b, i, i, -1)
		case a.window == nil:
			err = a.change(b, i, -1, i)
		case a.window.Kind == plan.Session:
			err = a.session(c, b, i)
		default:
			err = a.windows(c, b, i)
		}
		if err == nil {
			err = a.out.flush()
		}
		if err != nil {
			return fatal(a.id, err)
		}
	}
	if a.window != nil && a.window.Kind == plan.Session {
		a.store.SetOverhead(a.sessions.bytes)
	}
	return a.out.end()
}

// change folds rows into the group of row i: undo takes a row back, add adds
// one, -1 for none.
func (a *Aggregate) change(b *batch.Batch, i, undo, add int32) error {
	return a.update(a.store.Plain(), a.rows.keyOf(b, i), b, i, undo, add, 0, 0, true)
}

// update changes the state of one key and window and emits the change unless
// results wait for the window's end.
func (a *Aggregate) update(t *state.Table, key []byte, b *batch.Batch, i, undo, add int32, start, end int64, emits bool) error {
	had, from := false, a.out.b.Keys
	var old []byte
	if a.before || a.calls.size < 0 {
		old, had = t.Get(key)
	}
	if emits && a.before && had {
		// Both rows of a change carry its time: a before row may become a delete.
		o := a.row(b, i, max(rowTime(old), b.Time[i]), batch.UpdateBefore, start, end)
		if err := a.calls.finish(old[8:], a.out.b, from, o); err != nil {
			return err
		}
	}
	var stored []byte
	if a.calls.size >= 0 {
		stored = t.Slot(key, 8+a.calls.size, true)
		if undo >= 0 {
			a.calls.addFixed(stored[8:], undo, true)
		}
		if add >= 0 {
			a.calls.addFixed(stored[8:], add, false)
		}
		binary.BigEndian.PutUint64(stored, uint64(max(rowTime(stored), b.Time[i])))
	} else {
		var err error
		if stored, err = a.general(t, key, old, had, b.Time[i], undo, add); err != nil {
			return err
		}
	}
	if !emits {
		return nil
	}
	op := batch.UpdateAfter
	if a.before && !had {
		op = batch.Insert
	}
	o := a.row(b, i, rowTime(stored), op, start, end)
	return a.calls.finish(stored[8:], a.out.b, from, o)
}

// general changes a state that is not of fixed size.
func (a *Aggregate) general(t *state.Table, key, old []byte, had bool, time int64, undo, add int32) ([]byte, error) {
	var st []byte
	if had {
		time = max(time, rowTime(old))
		st = old[8:]
	}
	var err error
	if undo >= 0 {
		if st, err = a.calls.add(st, undo, true); err != nil {
			return nil, err
		}
	}
	if add >= 0 {
		if st, err = a.calls.add(st, add, false); err != nil {
			return nil, err
		}
	}
	a.buf = binary.BigEndian.AppendUint64(a.buf[:0], uint64(time))
	a.buf = append(a.buf, st...)
	t.Put(key, a.buf)
	return a.buf, nil
}

// row appends an output row with the key of row i and a window.
func (a *Aggregate) row(b *batch.Batch, i int32, time int64, op batch.Op, start, end int64) int32 {
	o := a.out.row(b, i, time, op)
	a.out.copyKey(o, b, i)
	a.out.window(o, start, end)
	return o
}
