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
// Numbers and strings are read here, what is rarer by present.
func (r *avroReader) fields(n *avroNode, cols []*batch.Vector, i int32) error {
	b, at := r.b, r.at
	for k := range n.steps {
		s := &n.steps[k]
		op, v := s.pass, (*batch.Vector)(nil)
		if s.col >= 0 {
			if v = cols[s.col]; v != nil {
				op = s.op
			}
		}
		if s.nullable {
			null := at < len(b) && b[at] == s.null
			if !null && !(at < len(b) && b[at] == s.some) {
				var err error
				if null, at, err = longBranch(b, at, s); err != nil {
					return within("."+s.name, err)
				}
				at--
			}
			if at++; null {
				if v != nil {
					v.SetNull(i)
				}
				continue
			}
		}
		var err error
		switch op {
		case avroOpLong, avroOpInt:
			x, next := zigzag(b, at)
			if next < 0 || op == avroOpInt && x != int64(int32(x)) {
				return within("."+s.name, zigzagError(next, x))
			}
			if at = next; v != nil {
				v.SetValid(i)
				v.I64[i] = x
			}
		case avroOpString, avroOpBytes:
			size, next := zigzag(b, at)
			if next < 0 {
				return within("."+s.name, zigzagError(next, 0))
			}
			if uint64(size) > uint64(len(b)-next) {
				return within("."+s.name, errAvroLength(size))
			}
			if at = next + int(size); v != nil {
				err = setAvroText(v, i, b[next:at:at], op)
			}
		case avroOpDouble:
			if len(b)-at < 8 {
				return within("."+s.name, errAvroShort)
			}
			if at += 8; v != nil {
				v.SetValid(i)
				v.F64[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[at-8:]))
			}
		default:
			if r.at = at; v != nil {
				err = r.present(s.node, v, i)
			} else {
				err = r.skip(s.skip, 0)
			}
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

// longBranch reads a branch of two that is not in its shortest form, or says what
// is wrong with it.
func longBranch(b []byte, at int, s *avroStep) (null bool, next int, err error) {
	k, next := zigzag(b, at)
	switch {
	case next < 0:
		return false, at, zigzagError(next, 0)
	case k != 0 && k != 1:
		return false, at, fmt.Errorf("there is no branch %d of 2", k)
	}
	return k == int64(s.null>>1), next, nil
}

// setAvroText makes value i a STRING, which must be UTF-8, or BYTES.
func setAvroText(v *batch.Vector, i int32, b []byte, op avroOp) error {
	if op == avroOpString && !validText(b) {
		return errAvroText
	}
	v.Clean = false
	v.SetValid(i)
	if off, ok := offsetIn(v.Data, b); ok {
		v.Str[i] = batch.View{Off: off, Len: uint32(len(b))}
	} else {
		v.SetBytes(i, b)
	}
	return nil
}

// validText reports whether b is UTF-8, 32 bytes of ASCII a step.
func validText(b []byte) bool {
	const high = 0x8080808080808080
	rest := b
	for len(rest) >= 32 {
		x0, x1 := binary.LittleEndian.Uint64(rest), binary.LittleEndian.Uint64(rest[8:])
		x2, x3 := binary.LittleEndian.Uint64(rest[16:]), binary.LittleEndian.Uint64(rest[24:])
		if (x0|x1|x2|x3)&high != 0 {
			return utf8.Valid(rest)
		}
		rest = rest[32:]
	}
	for len(rest) >= 8 {
		if binary.LittleEndian.Uint64(rest)&high != 0 {
			return utf8.Valid(rest)
		}
		rest = rest[8:]
	}
	for _, c := range rest {
		if c >= 0x80 {
			return utf8.Valid(rest)
		}
	}
	return true
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
		return setAvroText(v, i, b, n.op)
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
