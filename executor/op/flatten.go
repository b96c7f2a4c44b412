package op

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Flatten applies table functions (plan.Flatten).
type Flatten struct {
	id    string
	calls []*expr.Rows
	width int // columns of the input
	out   appender
	rows  [][]types.Value
}

// NewFlatten compiles table functions over rows of schema in.
func NewFlatten(id string, p *plan.Flatten, in, out *types.Schema, windowed bool, next Port) (*Flatten, error) {
	if len(out.Value) != len(in.Value)+len(p.Calls) || len(out.Key) != len(in.Key) {
		return nil, fatal(id, fmt.Errorf("%d columns for %d and %d calls", out.Len(), in.Len(), len(p.Calls)))
	}
	f := &Flatten{id: id, width: in.Len(), out: appender{next: next, schema: out, windowed: windowed}}
	for _, e := range p.Calls {
		call, err := expr.CompileRows(e, in)
		if err != nil {
			return nil, fatal(id, err)
		}
		f.calls = append(f.calls, call)
	}
	f.rows = make([][]types.Value, len(f.calls))
	return f, nil
}

// Process emits a row per element; a failed call counts as empty.
func (f *Flatten) Process(c *Context, b *batch.Batch) error {
	f.out.begin(c, b.Topic)
	for _, i := range b.Sel {
		if b.ValueNull.Get(i) {
			continue
		}
		most := 0
		for k, call := range f.calls {
			rows, err := call.Eval(&c.Context, b, i)
			if err != nil {
				c.report(f.id, KindExpression, b, i, err, "the table function gives no rows")
				rows = nil
			}
			f.rows[k] = rows
			most = max(most, len(rows))
		}
		for n := range most {
			f.element(c, b, i, n)
			if err := f.out.flush(); err != nil {
				return err
			}
		}
	}
	clear(f.rows)
	return f.out.end()
}

// element appends the n-th output row of row i.
func (f *Flatten) element(c *Context, b *batch.Batch, i int32, n int) {
	o := f.out.row(b, i, b.Time[i], b.OpAt(i))
	f.out.copyWindow(o, b, i)
	for k := range f.width {
		f.out.b.Cols[k].Copy(o, b.Cols[k], i)
	}
	if b.KeyNull.Get(i) {
		f.out.b.SetKeyNull(o)
	}
	for k, rows := range f.rows {
		v := types.NullValue
		if n < len(rows) {
			v = rows[n]
		}
		if col := f.out.b.Cols[f.width+k]; !col.Set(o, v) {
			col.SetNull(o)
			c.report(f.id, KindExpression, b, i, fmt.Errorf("element does not fit %s", f.calls[k].Elem), "the element is NULL")
		}
	}
}
