package format

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/sql/types"
)

// root reads a whole payload into the columns by the reader of their STRUCT, or
// of the one column of an unwrapped payload.
func (r *avroReader) root(n *avroNode, cols []*batch.Vector, i int32) error {
	if n.some >= 0 {
		k, err := r.index(2, "branch")
		if err != nil {
			return err
		}
		if k == n.null {
			setNulls(cols, i)
			return nil
		}
	}
	switch n.op {
	case avroOpRecord:
		return r.fields(n, cols, i)
	case avroOpUnion, avroOpMember:
		k, err := r.index(len(n.branches), "branch")
		if err != nil {
			return err
		}
		b := n.branches[k]
		switch {
		case b == nil:
			setNulls(cols, i)
			return nil
		case n.op == avroOpUnion:
			return r.root(b, cols, i)
		}
		setNulls(cols, i)
		if col := n.members[k]; col >= 0 && cols[col] != nil {
			return r.column(b, cols[col], i)
		}
		return r.skip(n.w.branches[k], 0)
	}
	return n.err
}

func setNulls(cols []*batch.Vector, i int32) {
	for _, v := range cols {
		if v != nil {
			v.SetNull(i)
		}
	}
}

// fields reads a record into columns: the loop that the speed of Avro hangs on.
// Numbers and strings are read here, what is rarer by column.
func (r *avroReader) fields(n *avroNode, cols []*batch.Vector, i int32) error {
	b, at := r.b, r.at
	for k := range n.steps {
		s := &n.steps[k]
		if s.col < 0 || cols[s.col] == nil {
			r.at = at
			if err := r.pass(s.skip); err != nil {
				return within("."+s.name, err)
			}
			at = r.at
			continue
		}
		v, node := cols[s.col], s.node
		if node.some >= 0 {
			branch, next := zigzag(b, at)
			if next < 0 {
				return within("."+s.name, zigzagError(next))
			}
			if at = next; branch == int64(node.null) {
				v.SetNull(i)
				continue
			}
			if branch != int64(node.some) {
				return within("."+s.name, fmt.Errorf("there is no branch %d of 2", branch))
			}
		}
		var err error
		switch node.op {
		case avroOpLong, avroOpInt:
			x, next := zigzag(b, at)
			if next < 0 {
				err = zigzagError(next)
				break
			}
			if node.op == avroOpInt && x != int64(int32(x)) {
				err = errAvroInt(x)
				break
			}
			at = next
			v.SetValid(i)
			v.I64[i] = x
		case avroOpString, avroOpBytes:
			size, next := zigzag(b, at)
			if next < 0 {
				err = zigzagError(next)
				break
			}
			if size < 0 || size > int64(len(b)-next) {
				err = errAvroLength(size)
				break
			}
			at = next + int(size)
			piece := b[next:at:at]
			if node.op == avroOpString && !utf8.Valid(piece) {
				err = errAvroText
				break
			}
			v.Clean = false
			setView(v, i, piece)
		case avroOpDouble:
			if len(b)-at < 8 {
				err = errAvroShort
				break
			}
			v.SetValid(i)
			v.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[at:]))
			at += 8
		default:
			r.at = at
			err = r.present(node, v, i)
			at = r.at
		}
		if err != nil {
			return within("."+s.name, err)
		}
	}
	r.at = at
	for _, col := range n.missing {
		if v := cols[col]; v != nil {
			v.SetNull(i)
		}
	}
	return nil
}

// pass skips a field that is not wanted, the commonest types without a call of
// the general way.
func (r *avroReader) pass(t *avroType) error {
	if inner, some, _, ok := t.nullable(); ok {
		k, err := r.index(2, "branch")
		if err != nil || k != some {
			return err
		}
		t = inner
	}
	return r.skip(t, 0)
}

// column reads one value into a vector.
func (r *avroReader) column(n *avroNode, v *batch.Vector, i int32) error {
	if n.some >= 0 {
		k, err := r.index(2, "branch")
		if err != nil {
			return err
		}
		if k == n.null {
			v.SetNull(i)
			return nil
		}
	}
	return r.present(n, v, i)
}

// present reads a value behind its branch, if it has one, into a vector.
func (r *avroReader) present(n *avroNode, v *batch.Vector, i int32) error {
	switch n.op {
	case avroOpString, avroOpBytes:
		b, err := r.bytes()
		if err != nil {
			return err
		}
		if n.op == avroOpString && !utf8.Valid(b) {
			return errAvroText
		}
		v.Clean = false
		setView(v, i, b)
		return nil
	case avroOpFixed:
		b, err := r.take(n.w.size)
		if err != nil {
			return err
		}
		setView(v, i, b)
		return nil
	case avroOpText:
		mark := len(v.Arena())
		arena, err := r.text(v.Arena(), n.w)
		if err != nil {
			return err
		}
		v.Clean = false
		v.SetValid(i)
		v.SetArena(i, mark, arena)
		return nil
	case avroOpDecimal:
		return r.decimal(n, v, i)
	}
	x, err := r.bare(n, 0)
	if err != nil {
		return err
	}
	v.Clean = false
	if !v.Set(i, x) {
		return fmt.Errorf("value does not fit %s", n.t)
	}
	return nil
}

// decimal reads a DECIMAL, in 128 bits where its type is no wider.
func (r *avroReader) decimal(n *avroNode, v *batch.Vector, i int32) error {
	b, err := r.unscaled(n.w)
	if err != nil {
		return err
	}
	if up := int(n.t.Scale) - n.w.scale; v.Rep == batch.RepDecimal && up >= 0 {
		if x, ok := smallDecimal(b); ok {
			if x, ok = x.Scale10(up); ok && x.FitsDigits(int(n.t.Precision)) {
				v.SetValid(i)
				v.Dec[i] = x
				return nil
			}
		}
	}
	d, err := bigDecimal(b, n.w.scale, n.t)
	if err != nil {
		return err
	}
	if !v.Set(i, types.NewDecimal(d)) {
		return fmt.Errorf("decimal does not fit %s", n.t)
	}
	return nil
}
