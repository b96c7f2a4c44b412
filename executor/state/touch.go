package state

// BlockRows is the number of keys that are touched at once: enough cache misses
// to overlap, few enough that what was touched is still there when it is used.
const BlockRows = 64

// touchFrom is the number of sub-tables from which touching pays: smaller tables
// stay in the cache anyway.
const touchFrom = 32

// Hash returns the hash that the methods for hashed keys want.
func Hash(key []byte) uint64 { return hashOf(key) }

// Touch reads the memory in which the keys of up to BlockRows hashes stand, so
// that their cache misses overlap instead of following each other. It changes
// nothing and answers nothing of use.
func (t *Table) Touch(hashes []uint64) (sum uint32) {
	if len(t.dir) < touchFrom {
		return 0
	}
	var subs [BlockRows]*sub
	var offs [BlockRows]uint32
	for i, h := range hashes {
		subs[i%BlockRows] = t.dir[h>>(64-t.depth)]
	}
	for i, h := range hashes {
		s := subs[i%BlockRows]
		offs[i%BlockRows] = s.slots[h&uint64(len(s.slots)-1)].off
	}
	for i := range hashes {
		if off := offs[i%BlockRows]; off != 0 {
			sum += uint32(subs[i%BlockRows].arena[off-1])
		}
	}
	return sum
}

// touchUndo touches the keys of a block of the undo log from record i on.
func (t *Table) touchUndo(i int) {
	if i%BlockRows != 0 || len(t.dir) < touchFrom {
		return
	}
	var hashes [BlockRows]uint64
	n := 0
	for _, r := range t.undo.recs[i:min(len(t.undo.recs), i+BlockRows)] {
		hashes[n] = r.hash
		n++
	}
	t.Touch(hashes[:n])
}
