package op

import (
	"github.com/millrace/millrace/executor/batch"
	"github.com/millrace/millrace/executor/state"
)

// keyBlock holds the state keys of a run of rows. Keys are made and hashed a
// block ahead, so that the cache misses of their lookups overlap
// (state.Table.Touch); rows are then folded one by one, in order.
type keyBlock struct {
	from   int // place in the selection of the first row
	n      int
	buf    []byte
	ends   [state.BlockRows]int
	hashes [state.BlockRows]uint64
	null   [state.BlockRows]bool
}

// fill makes the keys of the rows from sel[from] on.
func (k *keyBlock) fill(rows *rowCodec, b *batch.Batch, sel []int32, from int) {
	k.from, k.n, k.buf = from, min(len(sel)-from, state.BlockRows), k.buf[:0]
	for j, i := range sel[from : from+k.n] {
		start := len(k.buf)
		if k.null[j] = noKey(b, i); !k.null[j] {
			k.buf, _, _ = rows.key.Append(k.buf, b.Cols[:b.Keys], i)
		}
		k.ends[j] = len(k.buf)
		k.hashes[j] = state.Hash(k.buf[start:])
	}
}

// key returns the key of the row at a place of the selection, its hash, and
// whether it has one.
func (k *keyBlock) key(at int) (key []byte, hash uint64, ok bool) {
	j := at - k.from
	start := 0
	if j > 0 {
		start = k.ends[j-1]
	}
	return k.buf[start:k.ends[j]:k.ends[j]], k.hashes[j], !k.null[j]
}
