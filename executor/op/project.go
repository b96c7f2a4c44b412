package op

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Project computes value columns and keeps key columns (plan.Project).
type Project struct {
	id    string
	key   []int
	value []*expr.Expr
	names []types.Column // of value
	next  Port
}

// NewProject compiles a projection of rows of schema in.
func NewProject(id string, p *plan.Project, in, out *types.Schema, next Port) (*Project, error) {
	if len(p.Key) != len(out.Key) || len(p.Value) != len(out.Value) {
		return nil, fatal(id, fmt.Errorf("%d+%d expressions for %d+%d columns", len(p.Key), len(p.Value), len(out.Key), len(out.Value)))
	}
	for _, k := range p.Key {
		if k < 0 || k >= len(in.Key) {
			return nil, fatal(id, fmt.Errorf("key column %d of %d", k, len(in.Key)))
		}
	}
	value, err := expr.CompileAll(p.Value, in)
	if err != nil {
		return nil, fatal(id, err)
	}
	return &Project{id: id, key: p.Key, value: value, names: out.Value, next: next}, nil
}

// Process replaces the columns. A failed expression makes its column NULL.
func (p *Project) Process(c *Context, b *batch.Batch) error {
	sel := withValue(c, b)
	d := c.Scratch.Derive(b)
	d.Cols = d.Cols[:0]
	for _, k := range p.key {
		d.Cols = append(d.Cols, b.Cols[k])
	}
	d.Keys = len(p.key)
	d.Cols = appendValues(c, p.id, d.Cols, p.value, p.names, b, sel)
	return emit(c, p.next, d)
}

// appendValues evaluates expressions into the columns of names, logging the
// failures.
func appendValues(c *Context, id string, cols []*batch.Vector, es []*expr.Expr, names []types.Column, b *batch.Batch, sel []int32) []*batch.Vector {
	for k, e := range es {
		v, failed := e.Eval(&c.Context, b, sel)
		if len(failed) > 0 {
			c.reportFailed(id, b, failed, func(x expr.Failure) string { return EffectOnColumn(x, names[k].Name) })
		}
		cols = append(cols, v)
	}
	return cols
}
