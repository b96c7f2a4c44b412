package op

import (
	"fmt"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// joinOutput writes the rows of a join: the key, the left value columns, the
// right ones, a missing side NULL.
type joinOutput struct {
	appender
	left, right *rowCodec
	before      bool // changes carry before rows
}

func newJoinOutput(left, right, out *types.Schema, before bool, next Port) (*joinOutput, error) {
	if len(out.Value) != len(left.Value)+len(right.Value) {
		return nil, fmt.Errorf("%d value columns for %d and %d", len(out.Value), len(left.Value), len(right.Value))
	}
	l, err := newRowCodec(left)
	if err != nil {
		return nil, err
	}
	r, err := newRowCodec(right)
	if err != nil {
		return nil, err
	}
	return &joinOutput{appender: appender{next: next, schema: out}, left: l, right: r, before: before}, nil
}

// values sets the value columns of output row o to stored rows, nil for a
// missing side.
func (j *joinOutput) values(o int32, left, right []byte) error {
	from := j.b.Keys
	if left == nil {
		j.left.setNull(j.b, from, o)
	} else if err := j.left.load(j.b, from, o, left); err != nil {
		return err
	}
	from += len(j.left.schema.Value)
	if right == nil {
		j.right.setNull(j.b, from, o)
		return nil
	}
	return j.right.load(j.b, from, o, right)
}

// pair is the two sides of a result as stored rows, nil for a missing one.
type pair struct{ left, right []byte }

// exists reports whether a join of some kind has a row for the pair.
func (p pair) exists(kind plan.JoinKind) bool {
	switch kind {
	case plan.Inner:
		return p.left != nil && p.right != nil
	case plan.Left:
		return p.left != nil
	case plan.Right:
		return p.right != nil
	}
	return p.left != nil || p.right != nil
}

// change emits what turns the result old into the result now. key writes the
// key columns of a row.
func (j *joinOutput) change(kind plan.JoinKind, in *batch.Batch, i int32, time int64, old, now pair, key func(o int32) error) error {
	had, has := old.exists(kind), now.exists(kind)
	row := func(op batch.Op, p pair) error {
		o := j.row(in, i, time, op)
		if err := key(o); err != nil {
			return err
		}
		return j.values(o, p.left, p.right)
	}
	switch {
	case had && has:
		if j.before {
			if err := row(batch.UpdateBefore, old); err != nil {
				return err
			}
		}
		return row(batch.UpdateAfter, now)
	case had:
		return row(batch.Delete, old)
	case has:
		return row(batch.Insert, now)
	}
	return nil
}

func checkJoinKind(kind plan.JoinKind, allowed ...plan.JoinKind) error {
	for _, k := range allowed {
		if k == kind {
			return nil
		}
	}
	return fmt.Errorf("join kind %q is not supported here", kind)
}

// portFunc is a Port made of a function.
type portFunc func(c *Context, b *batch.Batch) error

// Process calls the function.
func (f portFunc) Process(c *Context, b *batch.Batch) error { return f(c, b) }
