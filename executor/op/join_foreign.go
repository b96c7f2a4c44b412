package op

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/state"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// ForeignKeyJoin joins a table with another one's primary key
// (plan.ForeignKeyJoin). The left store holds, by left key, the foreign key
// (length, bytes; length 0 for NULL) and the row; and in its segment
// subscribers, by foreign key, the sorted left keys that refer to it.
type ForeignKeyJoin struct {
	id          string
	kind        plan.JoinKind
	foreign     *expr.Expr
	left, right *state.Store
	out         *joinOutput
	buf         []byte
}

// subscribers is the segment of the left store that lists left keys by foreign
// key.
const subscribers = 1

// NewForeignKeyJoin returns the join; its ports are Left and Right.
func NewForeignKeyJoin(id string, p *plan.ForeignKeyJoin, leftIn, rightIn, out *types.Schema, left, right *state.Store, before bool, next Port) (*ForeignKeyJoin, error) {
	if err := checkJoinKind(p.Join, plan.Inner, plan.Left); err != nil {
		return nil, fatal(id, err)
	}
	if len(rightIn.Key) != 1 || !rightIn.Key[0].Type.Equal(p.ForeignKey.Type) {
		return nil, fatal(id, fmt.Errorf("foreign key of type %s does not fit the right key", p.ForeignKey.Type))
	}
	foreign, err := expr.Compile(p.ForeignKey, leftIn)
	if err != nil {
		return nil, fatal(id, err)
	}
	o, err := newJoinOutput(leftIn, rightIn, out, before, next)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &ForeignKeyJoin{id: id, kind: p.Join, foreign: foreign, left: left, right: right, out: o}, nil
}

// Left takes changes of the left table.
func (j *ForeignKeyJoin) Left() Port {
	return portFunc(func(c *Context, b *batch.Batch) error {
		keys, failed := j.foreign.Eval(&c.Context, b, withValue(c, b))
		c.reportFailed(j.id, b, failed, effectOnForeignKey)
		j.out.begin(c, b.Topic)
		for _, i := range b.Sel {
			if b.OpAt(i) == batch.UpdateBefore || b.KeyNull.Get(i) {
				continue
			}
			if err := j.leftChange(b, i, keys); err != nil {
				return fatal(j.id, err)
			}
		}
		return j.out.end()
	})
}

// leftChange subscribes the row of a left key anew and emits the change.
func (j *ForeignKeyJoin) leftChange(b *batch.Batch, i int32, foreign *batch.Vector) error {
	t := j.left.Plain()
	key := append([]byte(nil), j.out.left.keyOf(b, i)...)
	var old, now pair
	var oldForeign, newForeign []byte
	if stored, ok := t.Get(key); ok {
		stored = append([]byte(nil), stored...)
		var err error
		if oldForeign, old.left, err = splitForeign(stored); err != nil {
			return err
		}
		old.right = j.rightRow(oldForeign)
	}
	if b.OpAt(i) == batch.Delete || b.ValueNull.Get(i) {
		t.Delete(key)
	} else {
		if !foreign.IsNull(i) {
			newForeign, _, _ = j.out.right.key.Append(nil, []*batch.Vector{foreign}, i)
		}
		now.left = j.out.left.valueOf(b, i, b.Time[i])
		now.right = j.rightRow(newForeign)
		j.buf = binary.AppendUvarint(j.buf[:0], uint64(len(newForeign)))
		j.buf = append(append(j.buf, newForeign...), now.left...)
		t.Put(key, j.buf)
	}
	if string(oldForeign) != string(newForeign) {
		if err := j.subscribe(oldForeign, key, false); err != nil {
			return err
		}
		if err := j.subscribe(newForeign, key, true); err != nil {
			return err
		}
	}
	if old.exists(j.kind) || now.exists(j.kind) || len(oldForeign) == 0 {
		return j.emit(b, i, key, old, now)
	}
	if now.left == nil || len(newForeign) > 0 && string(oldForeign) != string(newForeign) {
		return j.unset(b, i, key)
	}
	return nil
}

// unset emits a tombstone for a left key without a result. Kafka Streams does so
// where an inner join's row that refers to something is deleted, or comes to refer
// to what is not there: the side of the foreign key, which answers, does not know
// whether a result stands. There is no old row that one could take back.
func (j *ForeignKeyJoin) unset(b *batch.Batch, i int32, key []byte) error {
	o := j.out.row(b, i, b.Time[i], batch.Delete)
	if err := j.out.left.key.Decode(j.out.b.Cols[:j.out.b.Keys], o, key); err != nil {
		return err
	}
	j.out.b.SetValueNull(o)
	return j.out.flush()
}

// splitForeign parts a stored left row from its foreign key.
func splitForeign(stored []byte) (foreign, row []byte, err error) {
	size, n := binary.Uvarint(stored)
	if n <= 0 || size > uint64(len(stored)-n) {
		return nil, nil, errBadRow
	}
	return stored[n : n+int(size)], stored[n+int(size):], nil
}

// rightRow returns a copy of the right row of a foreign key, nil for none.
func (j *ForeignKeyJoin) rightRow(foreign []byte) []byte {
	if len(foreign) == 0 {
		return nil
	}
	if stored, ok := j.right.Plain().Get(foreign); ok {
		return append([]byte(nil), stored...)
	}
	return nil
}

// subscribe adds a left key to the subscribers of a foreign key, or takes it out.
func (j *ForeignKeyJoin) subscribe(foreign, key []byte, add bool) error {
	if len(foreign) == 0 {
		return nil
	}
	t := j.left.Open(subscribers)
	stored, _ := t.Get(foreign)
	keys, err := splitKeys(stored)
	if err != nil {
		return err
	}
	at, found := slices.BinarySearchFunc(keys, key, slices.Compare[[]byte])
	switch {
	case add && !found:
		keys = slices.Insert(keys, at, key)
	case !add && found:
		keys = slices.Delete(keys, at, at+1)
	}
	if len(keys) == 0 {
		t.Delete(foreign)
		return nil
	}
	var list []byte
	for _, k := range keys {
		list = append(binary.AppendUvarint(list, uint64(len(k))), k...)
	}
	t.Put(foreign, list)
	return nil
}

func splitKeys(b []byte) (keys [][]byte, err error) {
	for len(b) > 0 {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errBadRow
		}
		keys = append(keys, append([]byte(nil), b[n:n+int(size)]...))
		b = b[n+int(size):]
	}
	return keys, nil
}

// emit writes a change under a stored left key; its time is that of the row that
// caused it.
func (j *ForeignKeyJoin) emit(b *batch.Batch, i int32, key []byte, old, now pair) error {
	err := j.out.change(j.kind, b, i, b.Time[i], old, now, func(o int32) error {
		return j.out.left.key.Decode(j.out.b.Cols[:j.out.b.Keys], o, key)
	})
	if err != nil {
		return err
	}
	return j.out.flush()
}

// Right takes changes of the right table: every left row that refers to the key
// changes, in order of the left keys.
func (j *ForeignKeyJoin) Right() Port {
	return portFunc(func(c *Context, b *batch.Batch) error {
		j.out.begin(c, b.Topic)
		for _, i := range b.Sel {
			if b.OpAt(i) == batch.UpdateBefore || b.KeyNull.Get(i) {
				continue
			}
			if err := j.rightChange(b, i); err != nil {
				return fatal(j.id, err)
			}
		}
		return j.out.end()
	})
}

func (j *ForeignKeyJoin) rightChange(b *batch.Batch, i int32) error {
	foreign := append([]byte(nil), j.out.right.keyOf(b, i)...)
	t := j.right.Plain()
	old := j.rightRow(foreign)
	var now []byte
	if b.OpAt(i) == batch.Delete || b.ValueNull.Get(i) {
		t.Delete(foreign)
	} else {
		now = append([]byte(nil), j.out.right.valueOf(b, i, b.Time[i])...)
		t.Put(foreign, now)
	}
	list, _ := j.left.Open(subscribers).Get(foreign)
	keys, err := splitKeys(list)
	if err != nil {
		return err
	}
	for _, key := range keys {
		stored, ok := j.left.Plain().Get(key)
		if !ok {
			return errBadRow
		}
		_, left, err := splitForeign(stored)
		if err != nil {
			return err
		}
		if err := j.emit(b, i, key, pair{left, old}, pair{left, now}); err != nil {
			return err
		}
	}
	return nil
}

func effectOnForeignKey(x expr.Failure) string {
	if x.Noted {
		return "the call is NULL in the foreign key"
	}
	return "the foreign key is NULL"
}
