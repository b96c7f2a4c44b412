package op

import (
	"encoding/binary"
	"math"
	"strings"

	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/planner/plan"
	"github.com/millrace/millrace/sql/types"
)

// fixedAggregate is an aggregate whose state has a fixed size and starts as
// zeros: COUNT, SUM, AVG, MIN and MAX of plain numbers. NULL arguments are left
// out by the caller. Integers wrap, as functions.md section 8 says.
//
//	COUNT 8: count   SUM 8: sum   AVG 16: sum, count   MIN MAX 9: set, value
type fixedAggregate struct {
	size   int
	add    func(state []byte, v *batch.Vector, i int32)
	undo   func(state []byte, v *batch.Vector, i int32)
	merge  func(a, b []byte)
	finish func(state []byte, out *batch.Vector, o int32)
}

func getInt(b []byte) int64        { return int64(binary.LittleEndian.Uint64(b)) }
func putInt(b []byte, v int64)     { binary.LittleEndian.PutUint64(b, uint64(v)) }
func getFloat(b []byte) float64    { return math.Float64frombits(binary.LittleEndian.Uint64(b)) }
func putFloat(b []byte, v float64) { binary.LittleEndian.PutUint64(b, math.Float64bits(v)) }

// fixedFor returns the typed form of a call, nil when it has none.
func fixedFor(p plan.AggregateCall, table bool) *fixedAggregate {
	name, _, _ := strings.Cut(p.Function, "(")
	if name == "COUNT" && len(p.Args) <= 1 {
		return &countAggregate
	}
	if len(p.Args) != 1 {
		return nil
	}
	switch t := p.Args[0].Type; {
	case t.Kind == types.KindDouble:
		switch {
		case name == "SUM":
			return &sumFloat
		case name == "AVG":
			return &avgFloat
		case name == "MIN" && !table:
			return extremeFloat(-1)
		case name == "MAX" && !table:
			return extremeFloat(1)
		}
	case batch.RepOf(t) == batch.RepInt64:
		number := t.Kind == types.KindInteger || t.Kind == types.KindBigint
		switch {
		case name == "SUM" && number:
			return sumInt(t.Kind)
		case name == "AVG" && number:
			return avgInt(t.Kind)
		case name == "MIN" && !table:
			return extremeInt(-1)
		case name == "MAX" && !table:
			return extremeInt(1)
		}
	}
	return nil
}

var countAggregate = fixedAggregate{
	size:   8,
	add:    func(s []byte, _ *batch.Vector, _ int32) { putInt(s, getInt(s)+1) },
	undo:   func(s []byte, _ *batch.Vector, _ int32) { putInt(s, getInt(s)-1) },
	merge:  func(a, b []byte) { putInt(a, getInt(a)+getInt(b)) },
	finish: func(s []byte, out *batch.Vector, o int32) { out.I64[o] = getInt(s) },
}

// wrapTo cuts an INTEGER to 32 bits.
func wrapTo(k types.Kind, v int64) int64 {
	if k == types.KindInteger {
		return int64(int32(v))
	}
	return v
}

func sumInt(k types.Kind) *fixedAggregate {
	return &fixedAggregate{
		size:   8,
		add:    func(s []byte, v *batch.Vector, i int32) { putInt(s, wrapTo(k, getInt(s)+v.I64[i])) },
		undo:   func(s []byte, v *batch.Vector, i int32) { putInt(s, wrapTo(k, getInt(s)-v.I64[i])) },
		merge:  func(a, b []byte) { putInt(a, wrapTo(k, getInt(a)+getInt(b))) },
		finish: func(s []byte, out *batch.Vector, o int32) { out.I64[o] = getInt(s) },
	}
}

var sumFloat = fixedAggregate{
	size:   8,
	add:    func(s []byte, v *batch.Vector, i int32) { putFloat(s, getFloat(s)+v.F64[i]) },
	undo:   func(s []byte, v *batch.Vector, i int32) { putFloat(s, getFloat(s)-v.F64[i]) },
	merge:  func(a, b []byte) { putFloat(a, getFloat(a)+getFloat(b)) },
	finish: func(s []byte, out *batch.Vector, o int32) { out.F64[o] = getFloat(s) },
}

func avgInt(k types.Kind) *fixedAggregate {
	step := func(s []byte, sum, n int64) {
		putInt(s, wrapTo(k, getInt(s)+sum))
		putInt(s[8:], getInt(s[8:])+n)
	}
	return &fixedAggregate{
		size:  16,
		add:   func(s []byte, v *batch.Vector, i int32) { step(s, v.I64[i], 1) },
		undo:  func(s []byte, v *batch.Vector, i int32) { step(s, -v.I64[i], -1) },
		merge: func(a, b []byte) { step(a, getInt(b), getInt(b[8:])) },
		finish: func(s []byte, out *batch.Vector, o int32) {
			out.F64[o] = average(float64(getInt(s)), getInt(s[8:]))
		},
	}
}

var avgFloat = fixedAggregate{
	size: 16,
	add: func(s []byte, v *batch.Vector, i int32) {
		putFloat(s, getFloat(s)+v.F64[i])
		putInt(s[8:], getInt(s[8:])+1)
	},
	undo: func(s []byte, v *batch.Vector, i int32) {
		putFloat(s, getFloat(s)-v.F64[i])
		putInt(s[8:], getInt(s[8:])-1)
	},
	merge: func(a, b []byte) {
		putFloat(a, getFloat(a)+getFloat(b))
		putInt(a[8:], getInt(a[8:])+getInt(b[8:]))
	},
	finish: func(s []byte, out *batch.Vector, o int32) { out.F64[o] = average(getFloat(s), getInt(s[8:])) },
}

// average of no rows is 0.
func average(sum float64, n int64) float64 {
	if n == 0 {
		return 0
	}
	return sum / float64(n)
}

// extremeInt is MIN (sign -1) or MAX (sign 1) of integers, dates and times.
func extremeInt(sign int) *fixedAggregate {
	take := func(s []byte, x int64) {
		if s[0] == 0 || sign > 0 && x > getInt(s[1:]) || sign < 0 && x < getInt(s[1:]) {
			s[0] = 1
			putInt(s[1:], x)
		}
	}
	return &fixedAggregate{
		size:  9,
		add:   func(s []byte, v *batch.Vector, i int32) { take(s, v.I64[i]) },
		merge: func(a, b []byte) { mergeExtreme(a, b, func() { take(a, getInt(b[1:])) }) },
		finish: func(s []byte, out *batch.Vector, o int32) {
			if s[0] == 0 {
				out.SetNull(o)
				return
			}
			out.I64[o] = getInt(s[1:])
		},
	}
}

// extremeFloat is MIN or MAX of DOUBLEs; NaN is above all numbers.
func extremeFloat(sign int) *fixedAggregate {
	take := func(s []byte, x float64) {
		if s[0] == 0 || types.Compare(types.NewDouble(x), types.NewDouble(getFloat(s[1:]))) == sign {
			s[0] = 1
			putFloat(s[1:], x)
		}
	}
	return &fixedAggregate{
		size:  9,
		add:   func(s []byte, v *batch.Vector, i int32) { take(s, v.F64[i]) },
		merge: func(a, b []byte) { mergeExtreme(a, b, func() { take(a, getFloat(b[1:])) }) },
		finish: func(s []byte, out *batch.Vector, o int32) {
			if s[0] == 0 {
				out.SetNull(o)
				return
			}
			out.F64[o] = getFloat(s[1:])
		},
	}
}

func mergeExtreme(_, b []byte, take func()) {
	if b[0] != 0 {
		take()
	}
}
