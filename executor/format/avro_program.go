package format

import (
	"fmt"
	"strings"

	"github.com/millrace/millrace/sql/types"
)

// avroOp is how a value in Avro binary becomes a SQL value.
type avroOp uint8

const (
	avroOpMismatch avroOp = iota // cannot: err says why
	avroOpBoolean
	avroOpInt
	avroOpLong
	avroOpScaled // long in a finer unit than ms
	avroOpFloat
	avroOpDouble
	avroOpNumber // int or long as DOUBLE
	avroOpString
	avroOpBytes
	avroOpFixed
	avroOpText // a scalar as its text
	avroOpDecimal
	avroOpArray
	avroOpMap
	avroOpEntries // array of {key, value} as MAP
	avroOpRecord
	avroOpUnion
	avroOpMember // a union as a STRUCT of its branches
)

// avroNode is a compiled reader: how a value of a writer's type is read as a SQL
// type. Its size is bounded by the SQL type's; what is not wanted is skipped by
// the writer's type itself.
type avroNode struct {
	op avroOp
	t  types.Type
	w  *avroType
	// some and null are the branches of a nullable union, some -1 when the value
	// is not in one. w is then the type of the branch.
	some, null int
	divisor    int64 // avroOpScaled: units per ms
	key, elem  *avroNode
	steps      []avroStep  // avroOpRecord: per field of the writer
	missing    []int       // avroOpRecord: columns without a field
	branches   []*avroNode // avroOpUnion, avroOpMember; nil for null
	members    []int       // avroOpMember: the columns of the branches
	err        error
}

// avroStep reads one field of a record.
type avroStep struct {
	col      int // -1 for a field to skip
	op, pass avroOp
	// nullable says that a branch comes first; some and null are then the bytes
	// that it nearly always is.
	nullable   bool
	some, null byte
	node       *avroNode // nil for a field to skip
	skip       *avroType // of the branch, when there is one
	name       string
}

// newAvroStep returns the step that skips a field.
func newAvroStep(f *avroField) avroStep {
	s := avroStep{col: -1, skip: f.typ, name: f.name}
	if inner, some, null, ok := f.typ.nullable(); ok {
		s.skip, s.nullable, s.some, s.null = inner, true, byte(some<<1), byte(null<<1)
	}
	switch s.skip.kind {
	case avroInt:
		s.pass = avroOpInt
	case avroLong:
		s.pass = avroOpLong
	case avroDouble:
		s.pass = avroOpDouble
	case avroBytes, avroString:
		s.pass = avroOpBytes
	}
	return s
}

// compileAvro compiles the reader of a writer's type as a SQL type.
func compileAvro(w *avroType, t types.Type) *avroNode {
	if inner, some, null, ok := w.nullable(); ok {
		n := compileAvro(inner, t)
		n.some, n.null = some, null
		return n
	}
	n := &avroNode{t: t, w: w, some: -1, null: -1}
	if w.kind == avroUnion {
		n.union()
		return n
	}
	switch t.Kind {
	case types.KindArray:
		if w.kind == avroArray {
			n.op, n.elem = avroOpArray, compileAvro(w.items, *t.Elem)
		}
	case types.KindMap:
		n.mapping()
	case types.KindStruct:
		if w.kind == avroRecord {
			n.record()
		}
	case types.KindDecimal:
		if w.logical == avroDecimal && w.scale <= maxExponent {
			n.op = avroOpDecimal
		}
	default:
		n.op = scalarOp(w, t.Kind)
		if n.op == avroOpScaled {
			n.divisor = unitsPerMs[w.logical]
		}
	}
	if n.op == avroOpMismatch {
		n.err = fmt.Errorf("cannot read %s as %s", w.label(), t)
	}
	return n
}

// scalarOp returns the reader of scalars: numbers as wider ones, and any scalar
// as STRING.
func scalarOp(w *avroType, to types.Kind) avroOp {
	switch to {
	case types.KindBoolean:
		if w.kind == avroBoolean {
			return avroOpBoolean
		}
	case types.KindInteger, types.KindDate:
		if w.kind == avroInt {
			return avroOpInt
		}
	case types.KindTime:
		if w.kind == avroInt {
			return avroOpInt
		}
		if w.logical == "time-micros" {
			return avroOpScaled
		}
	case types.KindBigint, types.KindTimestamp:
		switch {
		case w.kind == avroInt:
			return avroOpInt
		case w.kind == avroLong && to == types.KindTimestamp && unitsPerMs[w.logical] > 1:
			return avroOpScaled
		case w.kind == avroLong:
			return avroOpLong
		}
	case types.KindDouble:
		switch w.kind {
		case avroDouble:
			return avroOpDouble
		case avroFloat:
			return avroOpFloat
		case avroInt, avroLong:
			return avroOpNumber
		}
	case types.KindString:
		switch w.kind {
		case avroString:
			return avroOpString
		case avroBoolean, avroInt, avroLong, avroFloat, avroDouble, avroEnum:
			return avroOpText
		}
	case types.KindBytes:
		switch w.kind {
		case avroBytes:
			return avroOpBytes
		case avroFixed:
			return avroOpFixed
		}
	}
	return avroOpMismatch
}

// mapping compiles the reader of a MAP, out of a map or an array of entries.
func (n *avroNode) mapping() {
	switch n.w.kind {
	case avroMap:
		n.key = compileAvro(&avroType{kind: avroString}, *n.t.Key)
		n.op, n.elem = avroOpMap, compileAvro(n.w.items, *n.t.Elem)
	case avroArray:
		if key, value, ok := n.w.items.entry(); ok {
			n.op, n.key, n.elem = avroOpEntries, compileAvro(key, *n.t.Key), compileAvro(value, *n.t.Elem)
		}
	}
}

// record compiles the reader of a STRUCT: a field of the writer belongs to the
// column of exactly its name, else to that of its name in upper case, where the
// last such field wins.
func (n *avroNode) record() {
	n.op = avroOpRecord
	names := make([]string, len(n.w.fields))
	for k := range n.w.fields {
		names[k] = n.w.fields[k].name
	}
	fields := matchAvro(n.t.Fields, names)
	cols := make([]int, len(names))
	for k := range cols {
		cols[k] = -1
	}
	for col, k := range fields {
		if k < 0 {
			n.missing = append(n.missing, col)
		} else {
			cols[k] = col
		}
	}
	for k, col := range cols {
		f := &n.w.fields[k]
		step := newAvroStep(f)
		if col >= 0 {
			step.col, step.name, step.node = col, n.t.Fields[col].Name, compileAvro(f.typ, n.t.Fields[col].Type)
			step.op = step.node.op
		}
		n.steps = append(n.steps, step)
	}
}

// matchAvro returns the number of the name that each column goes by, -1 for none.
// No name serves two columns.
func matchAvro(cols []types.Field, names []string) []int {
	exact, upper := make(map[string]int, len(names)), make(map[string]int, len(names))
	for k, name := range names {
		exact[name], upper[strings.ToUpper(name)] = k, k
	}
	used := make([]bool, len(names))
	out := make([]int, len(cols))
	find := func(col int, in map[string]int, name string) {
		if k, ok := in[name]; ok && out[col] < 0 && !used[k] {
			out[col], used[k] = k, true
		}
	}
	for col := range cols {
		out[col] = -1
		find(col, exact, cols[col].Name)
	}
	for col := range cols {
		find(col, exact, avroFieldName(cols[col].Name))
		find(col, upper, cols[col].Name)
		find(col, upper, avroFieldName(cols[col].Name))
	}
	return out
}

// union compiles the reader of a union that is more than nullable: as a STRUCT of
// its branches when the STRUCT names one, else every branch for itself.
func (n *avroNode) union() {
	n.op = avroOpUnion
	var match []int
	if n.t.Kind == types.KindStruct {
		match = n.w.matchMembers(n.t.Fields)
	}
	for k, b := range n.w.branches {
		switch {
		case b.kind == avroNull:
			n.branches = append(n.branches, nil)
		case match == nil:
			n.branches = append(n.branches, compileAvro(b, n.t))
		case match[k] < 0:
			n.branches = append(n.branches, &avroNode{w: b, some: -1, null: -1}) // skipped
		default:
			n.branches = append(n.branches, compileAvro(b, n.t.Fields[match[k]].Type))
		}
	}
	if match != nil {
		n.op, n.members = avroOpMember, match
	}
}

// matchMembers returns the column of each branch of a union, -1 for none, or nil
// when no column has the name of a branch.
func (t *avroType) matchMembers(cols []types.Field) []int {
	names := make([]string, len(t.branches))
	out := make([]int, len(t.branches))
	for k, b := range t.branches {
		names[k], out[k] = b.branchName(), -1
	}
	found := false
	for col, k := range matchAvro(cols, names) {
		if k >= 0 && t.branches[k].kind != avroNull {
			out[k], found = col, true
		}
	}
	if !found {
		return nil
	}
	return out
}
