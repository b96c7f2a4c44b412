package op

import "github.com/millrace/millrace/executor/batch"

// changes rewrites the operations of a table's rows when some of them are left
// out or move to another key. The slices are reused between batches.
type changes struct {
	ops   []batch.Op
	nulls batch.Bitmap
	sel   []int32
}

// rewrite returns the selection of in that stays and sets ops and nulls for it:
// keep says whether a row stays, same whether both rows of a pair have one key.
//
//	before kept, after kept    same key: the pair; else delete, insert
//	before kept only           delete
//	after kept only            insert
//	upsert not kept            delete of an unknown row
func (x *changes) rewrite(in *batch.Batch, keep func(i int32) bool, same func(before, after int32) bool) {
	x.ops = append(x.ops[:0], in.Op...)
	for len(x.ops) < in.Rows {
		x.ops = append(x.ops, batch.Insert)
	}
	x.nulls = append(x.nulls[:0], in.ValueNull...)
	for len(x.nulls) < batch.Words(in.Rows) {
		x.nulls = append(x.nulls, 0)
	}
	x.sel = x.sel[:0]
	for k := 0; k < len(in.Sel); k++ {
		i := in.Sel[k]
		op := in.OpAt(i)
		if op == batch.UpdateBefore && k+1 < len(in.Sel) && in.OpAt(in.Sel[k+1]) == batch.UpdateAfter {
			k++
			x.pair(i, in.Sel[k], keep, same)
			continue
		}
		switch kept := keep(i); {
		case kept:
			x.sel = append(x.sel, i)
		case op == batch.UpdateAfter:
			x.ops[i] = batch.Delete
			x.nulls.Set(i)
			x.sel = append(x.sel, i)
		}
	}
}

func (x *changes) pair(before, after int32, keep func(i int32) bool, same func(before, after int32) bool) {
	kb, ka := keep(before), keep(after)
	if kb && ka && same(before, after) {
		x.sel = append(x.sel, before, after)
		return
	}
	if kb {
		x.ops[before] = batch.Delete
		x.sel = append(x.sel, before)
	}
	if ka {
		x.ops[after] = batch.Insert
		x.sel = append(x.sel, after)
	}
}

// apply gives a derived batch the rewritten rows.
func (x *changes) apply(b *batch.Batch) {
	b.Op, b.ValueNull, b.Sel = x.ops, x.nulls, x.sel
}

// noKey reports whether row i has no key to group or join by: a null key, or one
// with a NULL column.
func noKey(b *batch.Batch, i int32) bool {
	if b.KeyNull.Get(i) {
		return true
	}
	for _, v := range b.Cols[:b.Keys] {
		if v.IsNull(i) {
			return true
		}
	}
	return false
}
