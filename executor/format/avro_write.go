package format

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millrace/millrace/sql/types"
)

// avroWriter is a compiled writer: how a SQL value is written as an Avro type.
type avroWriter struct {
	op avroOp // named as for readers; avroOpMismatch never
	t  types.Type
	w  *avroType // behind the union, if there is one
	// branch is the encoded number of the value's branch and null that of null's,
	// nil where there is none.
	branch, null []byte
	scale        int64 // avroOpScaled: units per ms
	key, elem    *avroWriter
	fields       []avroWriteField // avroOpRecord
	members      []*avroWriter    // avroOpMember: by column, nil for one without a branch
}

// avroWriteField writes one field of a record.
type avroWriteField struct {
	col  int // -1 for a field without a column: initial is written
	node *avroWriter
	name string
	// initial is the encoded default, nil where there is none.
	initial []byte
}

var errAvroNull = errors.New("NULL has no place here: the schema allows no null and has no default")

// compileAvroWriter compiles the writer of a SQL type as an Avro type. It fails
// for types that do not go together.
func compileAvroWriter(w *avroType, t types.Type) (*avroWriter, error) {
	if w.kind == avroUnion {
		return compileUnionWriter(w, t)
	}
	n := &avroWriter{t: t, w: w}
	var err error
	switch t.Kind {
	case types.KindArray:
		if w.kind == avroArray {
			n.op = avroOpArray
			n.elem, err = compileAvroWriter(w.items, *t.Elem)
		}
	case types.KindMap:
		err = n.mapping()
	case types.KindStruct:
		if w.kind == avroRecord {
			n.op = avroOpRecord
			err = n.record()
		}
	default:
		n.op = scalarWriteOp(w, t)
		if n.op == avroOpScaled {
			n.scale = unitsPerMs[w.logical]
		}
	}
	if err == nil && n.op == avroOpMismatch {
		err = fmt.Errorf("cannot write %s as %s", t, w.label())
	}
	return n, err
}

// scalarWriteOp returns the writer of scalars: what a reader of the same schema
// gives back unchanged, and DOUBLE as float, whose digits are then fewer.
func scalarWriteOp(w *avroType, t types.Type) avroOp {
	switch op := scalarOp(w, t.Kind); {
	case t.Kind == types.KindDecimal:
		if w.logical == avroDecimal && w.scale <= maxExponent {
			return avroOpDecimal
		}
	case t.Kind == types.KindInteger && w.kind == avroLong:
		return avroOpLong
	case t.Kind == types.KindInteger && (w.kind == avroFloat || w.kind == avroDouble), t.Kind == types.KindBigint && w.kind == avroDouble:
		return avroOpNumber
	case t.Kind == types.KindBigint || t.Kind == types.KindTimestamp:
		if w.kind == avroLong {
			return op
		}
	case op == avroOpText && w.kind == avroEnum:
		return avroOpText
	case op == avroOpText, op == avroOpNumber:
	default:
		return op
	}
	return avroOpMismatch
}

func (n *avroWriter) mapping() (err error) {
	w := n.w
	key, value := &avroType{kind: avroString}, w.items
	switch w.kind {
	case avroMap:
		n.op = avroOpMap
	case avroArray:
		var ok bool
		if key, value, ok = w.items.entry(); !ok {
			return nil
		}
		n.op = avroOpEntries
	default:
		return nil
	}
	if n.key, err = compileAvroWriter(key, *n.t.Key); err == nil {
		n.elem, err = compileAvroWriter(value, *n.t.Elem)
	}
	return err
}

// record compiles the writer of a STRUCT: every column needs a field, and every
// field a column, a default or null.
func (n *avroWriter) record() error {
	names := make([]string, len(n.w.fields))
	for k := range names {
		names[k] = n.w.fields[k].name
	}
	column := make(map[int]int, len(names))
	for col, k := range matchAvro(n.t.Fields, names) {
		if k < 0 {
			return fmt.Errorf("%s has no field for %s", n.w.label(), n.t.Fields[col].Name)
		}
		column[k] = col
	}
	for k := range n.w.fields {
		f := &n.w.fields[k]
		out := avroWriteField{col: -1, name: f.name, initial: f.initial}
		if col, ok := column[k]; ok {
			var err error
			out.col = col
			if out.node, err = compileAvroWriter(f.typ, n.t.Fields[col].Type); err != nil {
				return within("."+f.name, err)
			}
		} else if f.initial == nil {
			if out.initial = f.typ.nullBranch(); out.initial == nil {
				return fmt.Errorf("field %s of %s has neither a column nor a default", f.name, n.w.label())
			}
		}
		n.fields = append(n.fields, out)
	}
	return nil
}

// nullBranch returns the encoding of null, nil when the type does not allow it.
func (t *avroType) nullBranch() []byte {
	if t.kind == avroNull {
		return []byte{}
	}
	for k, b := range t.branches {
		if b.kind == avroNull {
			return branchNumber(k)
		}
	}
	return nil
}

func branchNumber(k int) []byte { return binary.AppendVarint(nil, int64(k)) }

// compileUnionWriter takes the branches by name for a STRUCT of them, else the
// first branch that can hold the type.
func compileUnionWriter(w *avroType, t types.Type) (*avroWriter, error) {
	null := w.nullBranch()
	if _, _, _, nullable := w.nullable(); !nullable && t.Kind == types.KindStruct {
		if match := w.matchMembers(t.Fields); match != nil {
			return compileMemberWriter(w, t, match)
		}
	}
	var first error
	for k, b := range w.branches {
		if b.kind == avroNull {
			continue
		}
		n, err := compileAvroWriter(b, t)
		if err == nil {
			n.branch, n.null = branchNumber(k), null
			return n, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = fmt.Errorf("cannot write %s as %s", t, w.label())
	}
	return nil, first
}

func compileMemberWriter(w *avroType, t types.Type, match []int) (*avroWriter, error) {
	n := &avroWriter{op: avroOpMember, t: t, w: w, null: w.nullBranch(), members: make([]*avroWriter, len(t.Fields))}
	for k, col := range match {
		if col < 0 {
			continue
		}
		m, err := compileAvroWriter(w.branches[k], t.Fields[col].Type)
		if err != nil {
			return nil, within("."+t.Fields[col].Name, err)
		}
		m.branch = branchNumber(k)
		n.members[col] = m
	}
	for col, m := range n.members {
		if m == nil {
			return nil, fmt.Errorf("%s has no branch for %s", w.label(), t.Fields[col].Name)
		}
	}
	return n, nil
}
