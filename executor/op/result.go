package op

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// ResultRow is a row for the client of a transient query. Values own their
// bytes; of a Delete only those of key columns are set.
type ResultRow struct {
	Op     batch.Op
	Values []types.Value
	Time   int64
}

// Result hands rows to a client (plan.Result).
type Result struct {
	id      string
	columns []*expr.Expr
	isKey   []bool
	// left is the number of rows until the limit, -1 for none.
	left int64
	give func(ResultRow)
}

// NewResult returns the end of a transient query; give takes its rows and must
// not block.
func NewResult(id string, p *plan.Result, in *types.Schema, give func(ResultRow)) (*Result, error) {
	r := &Result{id: id, left: p.Limit, give: give}
	for i, k := range p.Columns {
		if key, ok := p.KeyOf[i]; ok {
			k = key
		}
		t, ok := columnType(in, k)
		if !ok {
			return nil, fatal(id, fmt.Errorf("column %d of %d", k, in.Len()))
		}
		e, err := expr.Compile(&plan.Expr{Op: plan.OpColumn, Column: k, Type: t}, in)
		if err != nil {
			return nil, fatal(id, err)
		}
		r.columns = append(r.columns, e)
		r.isKey = append(r.isKey, k >= 0 && k < len(in.Key) || k == plan.ColWindowStart || k == plan.ColWindowEnd)
	}
	return r, nil
}

// columnType returns the type of a column or pseudo column.
func columnType(in *types.Schema, k int) (types.Type, bool) {
	switch {
	case k >= 0 && k < in.Len():
		return in.Column(k).Type, true
	case k == plan.ColRowPartition:
		return types.Integer, true
	case k == plan.ColHeaders:
		return HeadersType, true
	case k < 0 && k > plan.ColHeaders:
		return types.Bigint, true
	}
	return types.Null, false
}

// HeadersType is the type of the HEADERS pseudo column.
var HeadersType = types.Array(types.Struct(types.Field{Name: "KEY", Type: types.String}, types.Field{Name: "VALUE", Type: types.Bytes}))

// Done reports whether the limit was reached.
func (r *Result) Done() bool { return r.left == 0 }

// Process gives the rows to the client. A stream's row without a value is
// skipped.
func (r *Result) Process(c *Context, b *batch.Batch) error {
	vecs := make([]*batch.Vector, len(r.columns))
	for k, e := range r.columns {
		v, failed := e.Eval(&c.Context, b, b.Sel)
		if len(failed) > 0 {
			return fatal(r.id, failed[0].Err)
		}
		vecs[k] = v
	}
	for _, i := range b.Sel {
		op := b.OpAt(i)
		null := b.ValueNull.Get(i)
		if r.left == 0 {
			return nil
		}
		if op == batch.UpdateBefore || null && op != batch.Delete {
			continue
		}
		row := ResultRow{Op: op, Time: b.Time[i], Values: make([]types.Value, len(vecs))}
		for k, v := range vecs {
			if r.isKey[k] || op != batch.Delete {
				row.Values[k] = v.Value(i)
			}
		}
		r.give(row)
		if r.left > 0 {
			r.left--
		}
	}
	return nil
}
