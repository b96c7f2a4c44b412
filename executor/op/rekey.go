package op

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

var errNullKey = errors.New("key expression is NULL")

// Rekey gives rows a new key and value (plan.Rekey). A table's update whose
// keys differ becomes a delete and an insert.
type Rekey struct {
	id         string
	key, value []*expr.Expr
	ofKey      []bool // per key expression: made of key columns only
	dropNull   bool
	table      bool
	codec      *format.Sortable
	names      *types.Schema // of key and value
	next       Port
	changes    changes
	kept       batch.Bitmap
	keyNull    batch.Bitmap
	buf        []byte
}

// NewRekey compiles a change of key of rows of schema in.
func NewRekey(id string, p *plan.Rekey, in, out *types.Schema, table bool, next Port) (*Rekey, error) {
	if len(p.Key) != len(out.Key) || len(p.Value) != len(out.Value) {
		return nil, fatal(id, fmt.Errorf("%d+%d expressions for %d+%d columns", len(p.Key), len(p.Value), len(out.Key), len(out.Value)))
	}
	key, err := expr.CompileAll(p.Key, in)
	if err != nil {
		return nil, fatal(id, err)
	}
	value, err := expr.CompileAll(p.Value, in)
	if err != nil {
		return nil, fatal(id, err)
	}
	codec, err := format.NewSortable(out.Key)
	if err != nil {
		return nil, fatal(id, err)
	}
	ofKey := make([]bool, len(key))
	for k, e := range p.Key {
		ofKey[k] = true
		e.Walk(func(x *plan.Expr) bool {
			ofKey[k] = ofKey[k] && (x.Op != plan.OpColumn || x.Column >= 0 && x.Column < len(in.Key))
			return true
		})
	}
	return &Rekey{id: id, key: key, value: value, ofKey: ofKey, dropNull: p.DropNull, table: table, codec: codec, names: out, next: next}, nil
}

// Process evaluates the key, then the value of the rows that stay.
func (r *Rekey) Process(c *Context, b *batch.Batch) error {
	sel := b.Sel
	if r.dropNull || r.table {
		sel = withValue(c, b) // a row without a value has no group
	}
	d := c.Scratch.Derive(b)
	d.Cols, d.Keys = d.Cols[:0], len(r.key)
	r.kept = bitmapOf(r.kept, b.Rows, sel)
	for k, e := range r.key {
		v, failed := e.Eval(&c.Context, b, sel)
		if r.dropNull {
			c.reportFailed(r.id, b, failed, EffectOnFilter)
		} else if len(failed) > 0 {
			c.reportFailed(r.id, b, failed, func(x expr.Failure) string { return EffectOnColumn(x, r.names.Key[k].Name) })
		}
		if r.dropNull {
			r.dropNulls(c, b, v, sel, failed)
		} else if !r.ofKey[k] {
			v = nullWithoutValue(c, b, v, sel)
		}
		d.Cols = append(d.Cols, v)
	}
	kept := c.Scratch.Sel(len(sel))
	for _, i := range sel {
		if r.kept.Get(i) {
			kept = append(kept, i)
		}
	}
	d.Cols = appendValues(c, r.id, d.Cols, r.value, r.names.Value, b, kept)
	d.Sel = kept
	d.WindowStart, d.WindowEnd = nil, nil
	r.keyNull = bitmapOf(r.keyNull, b.Rows, nil)
	for _, i := range kept {
		if len(r.key) == 0 || len(r.key) == 1 && d.Cols[0].IsNull(i) {
			r.keyNull.Set(i)
		}
	}
	d.KeyNull = r.keyNull
	if r.table {
		r.changes.rewrite(b, r.kept.Get, func(before, after int32) bool { return r.sameKey(d.Cols[:d.Keys], before, after) })
		r.dropUnknown(d)
	}
	return emit(c, r.next, d)
}

// nullWithoutValue makes a key component NULL in rows without a value: there is
// nothing to compute it from. It copies a column of the batch before it changes
// it.
func nullWithoutValue(c *Context, b *batch.Batch, v *batch.Vector, sel []int32) *batch.Vector {
	copied := false
	for _, i := range sel {
		if !b.ValueNull.Get(i) || v.IsNull(i) {
			continue
		}
		if !copied {
			w := c.Scratch.Vector(v.Type, b.Rows)
			for _, j := range sel {
				w.Copy(j, v, j)
			}
			v, copied = w, true
		}
		v.SetNull(i)
	}
	return v
}

// dropNulls takes the rows out whose key component is NULL; a failed one was
// logged already.
func (r *Rekey) dropNulls(c *Context, b *batch.Batch, v *batch.Vector, sel []int32, failed []expr.Failure) {
	if v.Valid == nil {
		return
	}
	for _, i := range sel {
		if !v.IsNull(i) || !r.kept.Get(i) {
			continue
		}
		r.kept.Clear(i)
		if len(failed) > 0 && failed[0].Row == i {
			failed = failed[1:]
		} else if !b.OpAt(i).Retracts() {
			c.report(r.id, KindExpression, b, i, errNullKey, effectRowOut)
		}
	}
}

// dropUnknown applies the rewritten changes without deletes of unknown rows: a
// group cannot take back what it does not know.
func (r *Rekey) dropUnknown(d *batch.Batch) {
	sel := r.changes.sel[:0]
	for _, i := range r.changes.sel {
		if !r.changes.nulls.Get(i) {
			sel = append(sel, i)
		}
	}
	r.changes.sel = sel
	r.changes.apply(d)
}

func (r *Rekey) sameKey(key []*batch.Vector, before, after int32) bool {
	r.buf, _, _ = r.codec.Append(r.buf[:0], key, before)
	n := len(r.buf)
	r.buf, _, _ = r.codec.Append(r.buf, key, after)
	return bytes.Equal(r.buf[:n], r.buf[n:])
}
