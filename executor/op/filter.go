package op

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Filter keeps the rows for which a predicate is true (plan.Filter).
type Filter struct {
	id        string
	predicate *expr.Expr
	table     bool
	next      Port
	changes   changes
	kept      batch.Bitmap
}

// NewFilter compiles a filter over rows of schema in.
func NewFilter(id string, p *plan.Filter, in *types.Schema, table bool, next Port) (*Filter, error) {
	e, err := expr.Compile(p.Predicate, in)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &Filter{id: id, predicate: e, table: table, next: next}, nil
}

// Process narrows the selection; a table's changes are rewritten.
func (f *Filter) Process(c *Context, b *batch.Batch) error {
	sel := withValue(c, b)
	kept, failed := f.predicate.Filter(&c.Context, b, sel)
	c.reportFailed(f.id, b, failed, EffectOnFilter)
	d := c.Scratch.Derive(b)
	if !f.table {
		d.Sel = kept
		return emit(c, f.next, d)
	}
	f.kept = bitmapOf(f.kept, b.Rows, kept)
	f.changes.rewrite(b, func(i int32) bool {
		// A delete of an unknown row goes on: the row may have matched.
		return f.kept.Get(i) || b.ValueNull.Get(i)
	}, func(int32, int32) bool { return true })
	f.changes.apply(d)
	return emit(c, f.next, d)
}

// withValue returns the selected rows that have a value.
func withValue(c *Context, b *batch.Batch) []int32 {
	if !anySet(b.ValueNull) {
		return b.Sel
	}
	sel := c.Scratch.Sel(len(b.Sel))
	for _, i := range b.Sel {
		if !b.ValueNull.Get(i) {
			sel = append(sel, i)
		}
	}
	return sel
}

func anySet(b batch.Bitmap) bool {
	for _, w := range b {
		if w != 0 {
			return true
		}
	}
	return false
}

// bitmapOf sets the bits of sel in an otherwise empty bitmap of n bits.
func bitmapOf(b batch.Bitmap, n int, sel []int32) batch.Bitmap {
	b = b[:0]
	for range batch.Words(n) {
		b = append(b, 0)
	}
	for _, i := range sel {
		b.Set(i)
	}
	return b
}
