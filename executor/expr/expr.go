package expr

import (
	"errors"
	"sort"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// Context is what evaluation borrows and captures. It belongs to one task for
// the time of a run.
type Context struct {
	Scratch *batch.Scratch
	// NowMs is the wall time captured for the run's records, in ms.
	NowMs int64
	// Random is the task's generator.
	Random func() uint64

	failures []Failure
}

// Failure is a row whose expression could not be evaluated, and why. A function
// call that failed is NULL and the expression goes on (ksql.nested.error.set.null):
// such a failure is only noted.
type Failure struct {
	Row   int32
	Err   error
	Noted bool
}

var errNullCondition = errors.New("condition is NULL")

func (c *Context) fail(row int32, err error) {
	c.failures = append(c.failures, Failure{Row: row, Err: err})
}

func (c *Context) note(row int32, err error) {
	c.failures = append(c.failures, Failure{Row: row, Err: err, Noted: true})
}

// Expr is a compiled expression. It holds no data between evaluations but may
// hold scratch of its own, so it belongs to one task.
type Expr struct {
	// Type is the type of the result.
	Type types.Type
	root node
}

// node is a compiled operation. The result has values at sel; rows that failed
// hold anything.
type node interface {
	eval(c *Context, b *batch.Batch, sel []int32) *batch.Vector
}

// Compile compiles an expression over rows of the given schema.
func Compile(e *plan.Expr, in *types.Schema) (*Expr, error) {
	root, err := compile(e, in)
	if err != nil {
		return nil, err
	}
	return &Expr{e.Type, root}, nil
}

// CompileAll compiles a list of expressions.
func CompileAll(es []*plan.Expr, in *types.Schema) ([]*Expr, error) {
	out := make([]*Expr, len(es))
	for i, e := range es {
		var err error
		if out[i], err = Compile(e, in); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Eval returns the values at sel and the failed rows, listed once each in
// ascending order. Values are NULL where a failure is not only noted. Both results live until the scratch is
// released or the next call.
func (e *Expr) Eval(c *Context, b *batch.Batch, sel []int32) (*batch.Vector, []Failure) {
	c.failures = c.failures[:0]
	v := e.root.eval(c, b, sel)
	for _, f := range c.failures {
		if !f.Noted {
			v.SetNull(f.Row)
		}
	}
	return v, c.takeFailures()
}

// takeFailures returns the failures so far, the first one of each row.
func (c *Context) takeFailures() []Failure {
	f := c.failures
	if len(f) < 2 {
		return f
	}
	sort.SliceStable(f, func(i, j int) bool { return f[i].Row < f[j].Row })
	n := 1
	for _, x := range f[1:] {
		if x.Row != f[n-1].Row {
			f[n] = x
			n++
		}
	}
	return f[:n]
}

// Filter returns the rows of sel for which a BOOLEAN expression is true. Rows
// where it fails or is NULL are not kept, and listed as failed.
func (e *Expr) Filter(c *Context, b *batch.Batch, sel []int32) (kept []int32, failed []Failure) {
	c.failures = c.failures[:0]
	v := e.root.eval(c, b, sel)
	for _, f := range c.failures {
		if !f.Noted {
			v.Bits.Clear(f.Row)
		}
	}
	kept = c.Scratch.Sel(len(sel))
	if v.Valid == nil {
		kept = selectTrue(v.Bits, sel, kept)
	} else {
		for _, i := range sel {
			if v.IsNull(i) {
				c.fail(i, errNullCondition)
			} else if v.Bits.Get(i) {
				kept = append(kept, i)
			}
		}
	}
	return kept, c.takeFailures()
}

// selectTrue appends the rows whose bit is set without a branch per row. kept
// has room for all of sel.
func selectTrue(bits batch.Bitmap, sel, kept []int32) []int32 {
	kept = kept[:len(sel)]
	n := 0
	for _, i := range sel {
		kept[n] = i
		n += int(bits[uint32(i)>>6] >> (uint32(i) & 63) & 1)
	}
	return kept[:n]
}
