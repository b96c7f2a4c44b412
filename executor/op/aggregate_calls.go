package op

import (
	"errors"
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/expr"
	"github.com/millrace/millrace/executor/format"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/function"
	"github.com/millrace/millrace/sql/types"
)

// calls are the aggregate functions of one operator. A group's state is their
// intermediate values behind each other: of fixed size and changed in place when
// every call has a typed form (aggregate_fixed.go), else as nullable binary
// values that go through function.Aggregator.
type calls struct {
	id   string
	list []aggregateCall
	// size is the size of the state when it is fixed, else -1.
	size int

	states []types.Value // scratch of the general form
	buf    []byte
	args   []types.Value
}

type aggregateCall struct {
	args   []*expr.Expr
	filter *expr.Expr
	typ    types.Type
	fixed  *fixedAggregate
	at     int // of a fixed state
	agg    function.Aggregator
	undo   function.Undoer

	// of the present batch
	vecs []*batch.Vector
	keep batch.Bitmap
}

var errNoUndo = errors.New("an aggregate function cannot take rows back, and the input is a table")

// newCalls compiles aggregate calls over rows of schema in.
func newCalls(id string, ps []plan.AggregateCall, in *types.Schema, table bool) (*calls, error) {
	c := &calls{id: id}
	for _, p := range ps {
		call := aggregateCall{typ: p.Type, at: c.size}
		var err error
		if call.args, err = expr.CompileAll(p.Args, in); err != nil {
			return nil, err
		}
		if p.Filter != nil {
			if call.filter, err = expr.Compile(p.Filter, in); err != nil {
				return nil, err
			}
		}
		if call.fixed = fixedFor(p, table); call.fixed != nil && c.size >= 0 {
			c.size += call.fixed.size
		} else {
			c.size = -1
		}
		c.list = append(c.list, call)
	}
	if c.size >= 0 {
		return c, nil
	}
	for k := range c.list {
		if err := c.list[k].general(ps[k], table); err != nil {
			return nil, err
		}
	}
	c.states = make([]types.Value, len(c.list))
	return c, nil
}

// general finds the aggregator of a call.
func (a *aggregateCall) general(p plan.AggregateCall, table bool) error {
	f, err := expr.Overload(p.Function)
	if err != nil {
		return err
	}
	if f.NewAggregator == nil {
		return fmt.Errorf("function %s is not an aggregate function", p.Function)
	}
	ts, literals := make([]types.Type, len(p.Args)), make([]*types.Value, len(p.Args))
	for k, e := range p.Args {
		ts[k] = e.Type
		if e.Op == plan.OpLiteral {
			literals[k] = e.Value
		}
	}
	if a.agg, err = f.NewAggregator(ts, literals); err != nil {
		return err
	}
	if table {
		var ok bool
		if a.undo, ok = a.agg.(function.Undoer); !ok {
			return fmt.Errorf("%s: %w", p.Function, errNoUndo)
		}
	}
	return nil
}

// begin evaluates the arguments for a batch. Failures are logged; the argument
// is NULL then, and a row whose FILTER fails does not count.
func (c *calls) begin(ctx *Context, b *batch.Batch, sel []int32) {
	for k := range c.list {
		a := &c.list[k]
		a.vecs = a.vecs[:0]
		for _, e := range a.args {
			v, failed := e.Eval(&ctx.Context, b, sel)
			ctx.reportFailed(c.id, b, failed, effectOnArgument)
			a.vecs = append(a.vecs, v)
		}
		if a.filter != nil {
			kept, failed := a.filter.Filter(&ctx.Context, b, sel)
			ctx.reportFailed(c.id, b, failed, EffectOnFilter)
			a.keep = bitmapOf(a.keep, b.Rows, kept)
		}
	}
}

func effectOnArgument(x expr.Failure) string {
	if x.Noted {
		return "the call is NULL in an aggregate's argument"
	}
	return "an aggregate's argument is NULL"
}

// counts reports whether row i passes the call's filter.
func (a *aggregateCall) counts(i int32) bool { return a.filter == nil || a.keep.Get(i) }

// addFixed folds row i into a fixed state in place.
func (c *calls) addFixed(state []byte, i int32, undo bool) {
	for k := range c.list {
		a := &c.list[k]
		if !a.counts(i) {
			continue
		}
		var v *batch.Vector
		if len(a.vecs) > 0 {
			v = a.vecs[0]
			if v.IsNull(i) {
				continue
			}
		}
		st := state[a.at : a.at+a.fixed.size]
		if undo {
			a.fixed.undo(st, v, i)
		} else {
			a.fixed.add(st, v, i)
		}
	}
}

// add folds row i into a general state, nil for a new group, and returns the new
// one, valid until the next call.
func (c *calls) add(state []byte, i int32, undo bool) ([]byte, error) {
	if err := c.decode(state); err != nil {
		return nil, err
	}
	for k := range c.list {
		a := &c.list[k]
		if !a.counts(i) {
			continue
		}
		c.args = c.args[:0]
		for _, v := range a.vecs {
			c.args = append(c.args, v.Value(i))
		}
		var err error
		if undo {
			c.states[k], err = a.undo.Undo(c.states[k], c.args)
		} else {
			c.states[k], err = a.agg.Add(c.states[k], c.args)
		}
		if err != nil {
			return nil, err
		}
	}
	return c.encode(), nil
}

// decode sets states from their stored form.
func (c *calls) decode(state []byte) (err error) {
	for k := range c.list {
		if state == nil {
			c.states[k] = c.list[k].agg.Init()
			continue
		}
		if c.states[k], state, err = format.ReadNullable(state, c.list[k].agg.State(), 0); err != nil {
			return err
		}
	}
	return nil
}

func (c *calls) encode() []byte {
	c.buf = c.buf[:0]
	for k, s := range c.states {
		c.buf = format.AppendNullable(c.buf, s, c.list[k].agg.State())
	}
	return c.buf
}

// merge joins the states of two sessions, a being the earlier; either may be nil
// for none.
func (c *calls) merge(a, b []byte) ([]byte, error) {
	if a == nil || b == nil {
		return append([]byte(nil), append(a, b...)...), nil
	}
	if c.size >= 0 {
		out := append([]byte(nil), a...)
		for k := range c.list {
			f, at := c.list[k].fixed, c.list[k].at
			f.merge(out[at:at+f.size], b[at:at+f.size])
		}
		return out, nil
	}
	if err := c.decode(a); err != nil {
		return nil, err
	}
	left := append([]types.Value(nil), c.states...)
	if err := c.decode(b); err != nil {
		return nil, err
	}
	for k := range c.list {
		var err error
		if c.states[k], err = c.list[k].agg.Merge(left[k], c.states[k]); err != nil {
			return nil, err
		}
	}
	return append([]byte(nil), c.encode()...), nil
}

// finish sets the result columns of row o, from column from on.
func (c *calls) finish(state []byte, b *batch.Batch, from int, o int32) error {
	if c.size >= 0 {
		for k := range c.list {
			a := &c.list[k]
			a.fixed.finish(state[a.at:a.at+a.fixed.size], b.Cols[from+k], o)
		}
		return nil
	}
	if err := c.decode(state); err != nil {
		return err
	}
	for k := range c.list {
		v, err := c.list[k].agg.Finish(c.states[k])
		if err != nil {
			return err
		}
		if !b.Cols[from+k].Set(o, v) {
			return fmt.Errorf("result does not fit %s", c.list[k].typ)
		}
	}
	return nil
}

// values returns the results of a state, for pull queries. It touches nothing
// that the operator uses.
func (c *calls) values(state []byte) ([]types.Value, error) {
	out := make([]types.Value, len(c.list))
	for k := range c.list {
		a := &c.list[k]
		if c.size >= 0 {
			v := batch.NewVector(a.typ, 1)
			a.fixed.finish(state[a.at:a.at+a.fixed.size], v, 0)
			out[k] = v.Value(0)
			continue
		}
		s, rest, err := format.ReadNullable(state, a.agg.State(), 0)
		if err != nil {
			return nil, err
		}
		if out[k], err = a.agg.Finish(s); err != nil {
			return nil, err
		}
		state = rest
	}
	return out, nil
}
