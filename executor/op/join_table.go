package op

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// TableTableJoin joins two tables on their keys (plan.TableTableJoin): a change
// of either side turns the old result of its key into the new one.
type TableTableJoin struct {
	id          string
	kind        plan.JoinKind
	left, right *state.Store
	out         *joinOutput
}

// NewTableTableJoin returns the join; its ports are Left and Right. Windowed keys
// join where their windows are the same.
func NewTableTableJoin(id string, p *plan.TableTableJoin, leftIn, rightIn, out *types.Schema, left, right *state.Store, windowed, before bool, next Port) (*TableTableJoin, error) {
	if err := checkJoinKind(p.Join, plan.Inner, plan.Left, plan.Right, plan.Full); err != nil {
		return nil, fatal(id, err)
	}
	o, err := newJoinOutput(leftIn, rightIn, out, before, next)
	if err != nil {
		return nil, fatal(id, err)
	}
	o.windowed = windowed
	return &TableTableJoin{id: id, kind: p.Join, left: left, right: right, out: o}, nil
}

// Left takes changes of the left table.
func (j *TableTableJoin) Left() Port {
	return portFunc(func(c *Context, b *batch.Batch) error { return j.process(c, b, true) })
}

// Right takes changes of the right table.
func (j *TableTableJoin) Right() Port {
	return portFunc(func(c *Context, b *batch.Batch) error { return j.process(c, b, false) })
}

func (j *TableTableJoin) process(c *Context, b *batch.Batch, isLeft bool) error {
	own, other, rows := j.left.Plain(), j.right.Plain(), j.out.left
	if !isLeft {
		own, other, rows = j.right.Plain(), j.left.Plain(), j.out.right
	}
	j.out.begin(c, b.Topic)
	for _, i := range b.Sel {
		op := b.OpAt(i)
		if op == batch.UpdateBefore || b.KeyNull.Get(i) {
			continue
		}
		key := windowedKeyBoth(rows.keyOf(b, i), b, i)
		theirs, _ := other.Get(key)
		mine, _ := own.Get(key)
		mine = append([]byte(nil), mine...) // the change below moves it
		if len(mine) == 0 {
			mine = nil
		}
		var now []byte
		if op == batch.Delete || b.ValueNull.Get(i) {
			own.Delete(key)
		} else {
			now = rows.valueOf(b, i, b.Time[i])
			own.Put(key, now)
		}
		time := b.Time[i]
		if theirs != nil {
			time = max(time, rowTime(theirs))
		}
		before, after := pair{mine, theirs}, pair{now, theirs}
		if !isLeft {
			before, after = pair{theirs, mine}, pair{theirs, now}
		}
		err := j.out.change(j.kind, b, i, time, before, after, func(o int32) error {
			j.out.copyKey(o, b, i)
			j.out.copyWindow(o, b, i)
			return nil
		})
		if err == nil {
			err = j.out.flush()
		}
		if err != nil {
			return fatal(j.id, err)
		}
	}
	return j.out.end()
}

// StreamTableJoin looks each stream row up in a table (plan.StreamTableJoin).
type StreamTableJoin struct {
	id    string
	kind  plan.JoinKind
	store *state.Store
	out   *joinOutput
}

// NewStreamTableJoin returns the join; its ports are Left (the stream) and Right
// (the table).
func NewStreamTableJoin(id string, p *plan.StreamTableJoin, leftIn, rightIn, out *types.Schema, store *state.Store, windowed bool, next Port) (*StreamTableJoin, error) {
	if err := checkJoinKind(p.Join, plan.Inner, plan.Left); err != nil {
		return nil, fatal(id, err)
	}
	o, err := newJoinOutput(leftIn, rightIn, out, false, next)
	if err != nil {
		return nil, fatal(id, err)
	}
	o.windowed = windowed
	return &StreamTableJoin{id: id, kind: p.Join, store: store, out: o}, nil
}

// Right takes changes of the table: they are stored and cause no output.
func (j *StreamTableJoin) Right() Port {
	return portFunc(func(_ *Context, b *batch.Batch) error {
		t := j.store.Plain()
		for _, i := range b.Sel {
			op := b.OpAt(i)
			if op == batch.UpdateBefore || b.KeyNull.Get(i) {
				continue
			}
			key := windowedKeyBoth(j.out.right.keyOf(b, i), b, i)
			if op == batch.Delete || b.ValueNull.Get(i) {
				t.Delete(key)
			} else {
				t.Put(key, j.out.right.valueOf(b, i, b.Time[i]))
			}
		}
		return nil
	})
}

// Left takes rows of the stream. Those without a key or value never join.
func (j *StreamTableJoin) Left() Port {
	return portFunc(func(c *Context, b *batch.Batch) error {
		t := j.store.Plain()
		j.out.begin(c, b.Topic)
		from := j.out.b.Keys
		for _, i := range b.Sel {
			if noKey(b, i) || b.ValueNull.Get(i) {
				continue
			}
			stored, ok := t.Get(windowedKeyBoth(j.out.left.keyOf(b, i), b, i))
			if !ok && j.kind == plan.Inner {
				continue
			}
			o := j.out.row(b, i, b.Time[i], b.OpAt(i))
			j.out.copyKey(o, b, i)
			j.out.copyWindow(o, b, i)
			for k := b.Keys; k < len(b.Cols); k++ {
				j.out.b.Cols[from+k-b.Keys].Copy(o, b.Cols[k], i)
			}
			at := from + len(j.out.left.schema.Value)
			if !ok {
				j.out.right.setNull(j.out.b, at, o)
			} else if err := j.out.right.load(j.out.b, at, o, stored); err != nil {
				return fatal(j.id, err)
			}
			if err := j.out.flush(); err != nil {
				return err
			}
		}
		return j.out.end()
	})
}
